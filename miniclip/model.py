"""The two towers of CLIP: a vision transformer and a text transformer that meet in one space
(paper 2.4).

Read from top to bottom: the image tower, the text tower, and CLIP, which joins them. Their sizes
are in `config.py`, and the block that both are made of is in `attention.py`.
A comment behind a line gives the shape of its result: B batch, N patches, T tokens, D width, E
embedding. For pictures, H and W are height and width in pixels. Taught in notebook 02.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from miniclip.attention import Transformer
from miniclip.batch_norm import BatchNorm2d
from miniclip.config import CLIPConfig
from miniclip.resnet import ResNet
from miniclip.tokenizer import Tokenizer, trim


def sincos_2d(side: int, width: int) -> Tensor:
    """Sine-cosine positions for a grid of side x side patches (Vaswani et al. 2017, in 2-D).

    Args:
        side: number of patches in a row, and in a column.
        width: D, a multiple of 4.
    Returns:
        (side * side, D), values in [-1, 1]. The first half of each vector tells the row of the
        patch, the second half its column.
    """
    frequencies = 10000.0 ** -(torch.arange(width // 4) / (width // 4))  # (D/4,)
    angles = torch.arange(side)[:, None] * frequencies  # (side, D/4)
    row = angles[:, None, :].expand(side, side, -1)  # (side, side, D/4)
    column = angles[None, :, :].expand(side, side, -1)  # (side, side, D/4)
    return torch.cat([row.sin(), row.cos(), column.sin(), column.cos()], dim=2).flatten(0, 1)


def convolutional_stem(patch_size: int, width: int, norm: str = "group") -> nn.Sequential:
    """Embed patches by a few small convolutions instead of one large one (Xiao et al. 2021).

    Each step halves height and width and doubles the channels, up to `width`, until one pixel
    stands for one patch. A last convolution then looks at the neighbouring patches.

    Args:
        patch_size: in pixels, a power of 2.
        width: D, a multiple of patch_size / 2.
        norm: "group" or "batch", see `CLIPConfig.stem_norm`.
    Returns:
        A network from (B, 3, H, W) to (B, D, H / patch_size, W / patch_size).
    """
    steps = int(math.log2(patch_size))
    layers, channels = [], 3
    for step in range(steps):
        wider = width >> (steps - 1 - step)  # width / 2**(steps - 1 - step)
        layers += [
            nn.Conv2d(channels, wider, 3, stride=2, padding=1, bias=False),
            # Up to eight groups of channels; each is normalised by itself, in each picture.
            nn.GroupNorm(math.gcd(8, wider), wider) if norm == "group" else BatchNorm2d(wider),
            nn.GELU(),
        ]
        channels = wider
    return nn.Sequential(*layers, nn.Conv2d(width, width, 3, padding=1))


class VisionTransformer(nn.Module):
    """The image tower as a vision transformer (Dosovitskiy et al. 2021; paper 2.4).

    It cuts a picture into patches, tells each patch its position, lets the patches exchange
    information in a stack of blocks, and makes one vector of them.

    Args:
        config: sizes and choices; see `CLIPConfig`.
    """

    def __init__(self, config: CLIPConfig):
        super().__init__()
        width, side = config.vision_width, config.image_size // config.patch_size
        if config.stem:
            self.patch_embedding = convolutional_stem(config.patch_size, width, config.stem_norm)
        else:
            self.patch_embedding = nn.Conv2d(
                3, width, config.patch_size, stride=config.patch_size, bias=False
            )
        self.class_embedding = (
            nn.Parameter(torch.randn(width) * width**-0.5) if config.pool == "cls" else None
        )
        # Positions start small compared with the patches, and are learned from there on. The
        # class token has no place in the picture, so its row starts at zero.
        grid = sincos_2d(side, width) * 0.1  # (N, D)
        self.positional_embedding = nn.Parameter(
            F.pad(grid, (0, 0, 1, 0)) if config.pool == "cls" else grid
        )
        self.ln_pre = nn.LayerNorm(width) if config.pre_norm else nn.Identity()
        self.blocks = Transformer(
            width, config.vision_layers, config.vision_heads, config.activation
        )
        self.ln_post = nn.LayerNorm(width)
        self.projection = nn.Parameter(torch.randn(width, config.embed_dim) * width**-0.5)

    def embed(self, images: Tensor, kept: Tensor | None = None) -> Tensor:
        """The tokens that the first block gets.

        Args:
            images: (B, 3, H, W).
            kept: int64 (B, K), which K of the N patches of each picture to look at; None for all.
                Training can leave some out (`Recipe.patch_dropout`).
        Returns:
            (B, N, D), or (B, 1 + N, D) with the class token first if there is one; K for N if some
            patches are left out.
        """
        x = self.patch_embedding(images).flatten(2).transpose(1, 2)  # (B, N, D)
        classes = 0 if self.class_embedding is None else 1  # class tokens in front of the patches
        x = x + self.positional_embedding[classes:]
        if kept is not None:
            x = x.gather(1, kept[:, :, None].expand(-1, -1, x.shape[2]))  # (B, K, D)
        if self.class_embedding is not None:
            first = self.class_embedding + self.positional_embedding[0]  # (D,)
            x = torch.cat([first.expand(len(x), 1, -1), x], dim=1)  # (B, 1 + N, D)
        return self.ln_pre(x)

    def tokens(self, images: Tensor) -> Tensor:
        """The tokens that the last block gives: (B, 3, H, W) -> (B, N, D), or (B, 1 + N, D) with
        the class token first if there is one."""
        return self.blocks(self.embed(images))

    def attention(self, images: Tensor) -> Tensor:
        """Whom each token looks at, in each block and head: (B, 3, H, W) -> (blocks, B, heads, N,
        N), or 1 + N for N if there is a class token. Each row sums to one."""
        return self.blocks.weights(self.embed(images))

    def features(self, images: Tensor, kept: Tensor | None = None) -> Tensor:
        """One vector for each picture, before the projection into the shared space, as linear
        probes use it (paper A.3): (B, 3, H, W) -> (B, D). `kept` is explained at `embed`."""
        x = self.embed(images, kept)  # (B, N, D) or (B, 1 + N, D)
        if self.class_embedding is None:
            x = self.blocks(x).mean(dim=1)  # (B, D)
        else:
            # Only the class token, number 0 of each sequence, is needed from the last block.
            first = torch.zeros(len(images), dtype=torch.long, device=images.device)  # (B,)
            x = self.blocks(x, query_index=first)[:, 0]  # (B, D)
        return self.ln_post(x)

    def forward(self, images: Tensor, kept: Tensor | None = None) -> Tensor:
        """(B, 3, H, W) -> (B, E), not yet of unit length. `kept` is explained at `embed`."""
        return self.features(images, kept) @ self.projection


class TextTransformer(nn.Module):
    """The text tower: a causal transformer (Radford et al. 2019; paper 2.4).

    Each token sees only itself and the tokens before it. So the end mark is the first token that
    has seen the whole text, and its vector stands for the text.

    Args:
        config: sizes and choices; see `CLIPConfig`.
    """

    def __init__(self, config: CLIPConfig):
        super().__init__()
        width = config.text_width
        self.end_token = config.end_token
        self.token_embedding = nn.Embedding(config.vocab_size, width)
        self.positional_embedding = nn.Parameter(torch.randn(config.context_length, width) * 0.1)
        self.blocks = Transformer(width, config.text_layers, config.text_heads, config.activation)
        self.ln_final = nn.LayerNorm(width)
        self.projection = nn.Parameter(torch.randn(width, config.embed_dim) * width**-0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        """int64 token ids (B, T) -> (B, E), not yet of unit length."""
        # On a GPU it would cost a wait (see `trim`), and a compiled step wants a fixed length.
        if tokens.device.type == "cpu" and not torch.compiler.is_compiling():
            tokens = trim(tokens, self.end_token)
        # argmax gives the first of equal maxima, so this is the place of the first end mark.
        ends = (tokens == self.end_token).int().argmax(dim=1)  # (B,)
        x, causal = self.embed(tokens)
        x = self.blocks(x, causal, query_index=ends)[:, 0]  # (B, D)
        return self.ln_final(x) @ self.projection

    def embed(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """What the first block gets: (B, T) -> vectors (B, T, D), and the mask (T, T) that is True
        where the row's token may look at the column's."""
        T = tokens.shape[1]
        x = self.token_embedding(tokens) + self.positional_embedding[:T]  # (B, T, D)
        return x, torch.ones(T, T, dtype=torch.bool, device=x.device).tril()

    def attention(self, tokens: Tensor) -> Tensor:
        """Whom each token looks at, in each block and head: (B, T) -> (blocks, B, heads, T, T)."""
        return self.blocks.weights(*self.embed(tokens))


class CLIP(nn.Module):
    """Two towers and a temperature, together with the tokenizer and the preprocessing that they
    need (paper 2.3 to 2.5).

    Args:
        config: sizes and choices; its vocab_size must be at least the tokenizer's.
        tokenizer: turns strings into token ids; None for a model that is only given token ids.
    Raises:
        ValueError: if the tokenizer does not fit the configuration.
    """

    def __init__(self, config: CLIPConfig, tokenizer: Tokenizer | None = None):
        super().__init__()
        if tokenizer is not None and (
            len(tokenizer) > config.vocab_size or tokenizer.end != config.end_token
        ):
            raise ValueError(
                f"the tokenizer has {len(tokenizer)} tokens and ends texts with id "
                f"{tokenizer.end}, the configuration expects at most {config.vocab_size} and id "
                f"{config.end_token}"
            )
        self.config, self.tokenizer = config, tokenizer
        self.visual = ResNet(config) if config.resnet else VisionTransformer(config)
        self.text = TextTransformer(config)
        # The logarithm of the inverse temperature, so that the inverse temperature itself stays
        # positive whatever training does. It starts at a temperature of 0.07 (paper 2.5).
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.logit_bias = nn.Parameter(torch.tensor(0.0))  # only the sigmoid loss uses it
        # Buffers move to the GPU with the model. They are not saved with the weights, because the
        # configuration has them already.
        self.register_buffer("mean", torch.tensor(config.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config.std).view(3, 1, 1), persistent=False)

    @property
    def device(self) -> torch.device:
        """The device that the weights are on."""
        return self.logit_scale.device

    def preprocess(self, images) -> Tensor:
        """Make pictures ready for the image tower: resize, crop the centre, normalise.

        Args:
            images: one picture or several: PIL images, or uint8 arrays or tensors of shape
                (H, W, 3) or (B, H, W, 3).
        Returns:
            float32 tensor (B, 3, S, S) on the model's device, S = image_size: the shorter side is
            resized to S, the centre is cut out, and each channel is normalised. (With the
            configuration's `resize` "squash", both sides are resized to S.)
        Raises:
            ValueError: for anything else.
        """
        if isinstance(images, (np.ndarray, Tensor)):
            if isinstance(images, np.ndarray):
                # PyTorch wants arrays that are contiguous and writeable; this copies others.
                images = np.require(images, requirements="CW")
            x = torch.as_tensor(images)
            x = x[None] if x.ndim == 3 else x  # (B, H, W, 3)
        else:
            pictures = images if isinstance(images, Sequence) else [images]
            arrays = [
                torch.from_numpy(np.array(p.convert("RGB") if hasattr(p, "convert") else p))
                for p in pictures
            ]
            if len({array.shape for array in arrays}) > 1:
                # Pictures of different sizes fit into one tensor only after they are resized.
                return torch.cat([self.preprocess(array) for array in arrays])
            x = torch.stack(arrays) if arrays else torch.empty(0)  # (B, H, W, 3)
        if x.dtype != torch.uint8 or x.ndim != 4 or x.shape[-1] != 3:
            raise ValueError(
                "expected pictures as PIL images or uint8 (B, H, W, 3), got "
                f"{x.dtype} {tuple(x.shape)}"
            )
        x = x.permute(0, 3, 1, 2).float() / 255  # (B, 3, H, W)
        x = self._resize_and_crop(x)  # (B, 3, S, S)
        return (x.to(self.device) - self.mean) / self.std

    def _resize_and_crop(self, x: Tensor) -> Tensor:
        """Make pictures square, as `CLIPConfig.resize` says: (B, 3, H, W) -> (B, 3, S, S)."""
        size, (height, width) = self.config.image_size, x.shape[2:]
        if (height, width) == (size, size):
            return x
        if self.config.resize == "squash":
            height = width = size
        else:
            scale = size / min(height, width)
            height, width = max(size, round(height * scale)), max(size, round(width * scale))
        # Bicubic interpolation can overshoot the range of the colours, hence the clamp.
        x = F.interpolate(x, (height, width), mode="bicubic", antialias=True).clamp(0, 1)
        top, left = (height - size) // 2, (width - size) // 2
        return x[:, :, top : top + size, left : left + size]

    def encode_image(self, images, kept: Tensor | None = None) -> Tensor:
        """Embed pictures.

        Args:
            images: anything that `preprocess` takes, or its result: float (B, 3, S, S).
            kept: which patches to look at, see `VisionTransformer.embed`; None for all.
        Returns:
            (B, E), unit vectors.
        Raises:
            ValueError: as `preprocess`.
        """
        if not (isinstance(images, Tensor) and images.is_floating_point()):
            images = self.preprocess(images)
        x = self.visual(images) if kept is None else self.visual(images, kept)  # (B, E)
        return F.normalize(x, dim=-1)

    def encode_text(self, texts: str | Sequence[str] | Tensor, truncate: bool = False) -> Tensor:
        """Embed texts.

        Args:
            texts: one string or B of them, or int64 token ids (B, T).
            truncate: cut strings that are too long for the model instead of refusing them.
        Returns:
            (B, E), unit vectors.
        Raises:
            ValueError: if a string is too long, or if the model has no tokenizer for strings.
        """
        if not isinstance(texts, Tensor):
            if self.tokenizer is None:
                raise ValueError(
                    "this model has no tokenizer; give it token ids, or make it with "
                    "CLIP(config, tokenizer)"
                )
            texts = self.tokenizer(texts, self.config.context_length, truncate)
        return F.normalize(self.text(texts.to(self.device)), dim=-1)

    def forward(
        self, images: Tensor, tokens: Tensor, kept: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Embed a batch of pairs, ready for the losses in `loss.py`.

        Args:
            images: float (B, 3, S, S), preprocessed.
            tokens: int64 token ids (B, T); row i is the caption of picture i.
            kept: which patches of each picture to look at, see `VisionTransformer.embed`; None for
                all.
        Returns:
            Image features (B, E), text features (B, E), both unit vectors, and the inverse
            temperature (a scalar).
        """
        return self.encode_image(images, kept), self.encode_text(tokens), self.logit_scale.exp()

    def classify(
        self, image, labels: Sequence[str], template: str | Sequence[str] = "{}"
    ) -> dict[str, float]:
        """The probability of each label for one picture: see `miniclip.zeroshot.classify`."""
        from miniclip.zeroshot import classify

        return classify(self, image, labels, template)
