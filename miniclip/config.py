"""The sizes of a model: everything that decides its shape (paper 2.4 and Table 20), and named
presets.

Taught in notebook 02.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class CLIPConfig:
    """Everything that decides a model's shape; `CLIPConfig.preset("nano")` gives a named one.

    Args:
        image_size, patch_size: in pixels; the picture is cut into (image_size / patch_size)^2
            patches.
        vision_width, vision_layers, vision_heads: of the image tower. text_width, ...: of the
            text tower.
        embed_dim: dimension E of the shared space.
        vocab_size, context_length: number of token ids; most tokens a text may have, its two
            marks included.
        stem: see patches through a few small convolutions (Xiao et al. 2021) instead of one
            linear map.
        pool: read the picture at a class token ("cls", as the paper) or at the mean over patches
            ("mean").
        activation: "gelu", or "quick_gelu" as in OpenAI's weights.
        pre_norm: a LayerNorm before the first image block, as in OpenAI's weights.
        resnet: blocks in each of four stages, for the paper's other image tower (see
            `resnet.py`); empty for a vision transformer.
        end_token: id of the mark at which a text is read.
        mean, std: of the pixels, by channel, in [0, 1]; inputs are normalised with them.
    Raises:
        ValueError: for a combination that cannot be built.
    """

    image_size: int = 48
    patch_size: int = 8
    vision_width: int = 128
    vision_layers: int = 3
    vision_heads: int = 4
    text_width: int = 128
    text_layers: int = 2
    text_heads: int = 4
    embed_dim: int = 128
    vocab_size: int = 2048
    context_length: int = 32
    stem: bool = True
    pool: str = "mean"
    activation: str = "gelu"
    pre_norm: bool = False
    resnet: tuple[int, ...] = ()
    end_token: int = 2
    mean: tuple[float, float, float] = (
        0.48145466,
        0.4578275,
        0.40821073,
    )  # the paper's code normalises with these
    std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", tuple(self.mean))
        object.__setattr__(self, "std", tuple(self.std))
        object.__setattr__(self, "resnet", tuple(self.resnet))
        for item in fields(self):
            value = getattr(self, item.name)
            if item.type == "int" and (
                not isinstance(value, int) or isinstance(value, bool) or value < 1
            ):
                raise ValueError(f"{item.name} must be a whole number of at least 1, not {value!r}")
        if self.image_size % self.patch_size:
            raise ValueError(
                f"image_size {self.image_size} is not a multiple of patch_size {self.patch_size}; patches must tile the picture"
            )
        for tower in ("vision", "text"):
            width, heads = getattr(self, f"{tower}_width"), getattr(self, f"{tower}_heads")
            if width % heads:
                raise ValueError(
                    f"{tower}_width {width} cannot be shared by {heads} heads; choose a multiple"
                )
        if self.resnet and (
            len(self.resnet) != 4
            or min(self.resnet) < 1
            or self.image_size % 32
            or self.vision_width * 32 % self.vision_heads
        ):
            raise ValueError(
                f"a ResNet has four stages of at least one block and pictures of a multiple of 32 pixels, not {self.resnet} and {self.image_size}"
            )
        if self.vision_width % 4:
            raise ValueError(
                f"vision_width {self.vision_width} must be a multiple of 4 for 2-D sine-cosine positions"
            )
        if self.stem and (self.patch_size & (self.patch_size - 1) or self.patch_size < 2):
            raise ValueError(
                f"a convolutional stem halves the picture again and again: patch_size must be a power of 2, not {self.patch_size}"
            )
        if self.stem and self.vision_width % (self.patch_size // 2):
            raise ValueError(
                f"a convolutional stem doubles its channels up to vision_width: {self.vision_width} is not a multiple of {self.patch_size // 2}"
            )
        for name, options in (("pool", ("cls", "mean")), ("activation", ("gelu", "quick_gelu"))):
            if getattr(self, name) not in options:
                raise ValueError(
                    f"{name} is one of {', '.join(options)}, not {getattr(self, name)!r}"
                )
        if self.context_length < 3 or not self.end_token < self.vocab_size:
            raise ValueError(
                f"a text needs at least 3 tokens and its end mark in the vocabulary; got context_length {self.context_length}, end_token {self.end_token}"
            )

    @classmethod
    def preset(cls, name: str, **changes) -> CLIPConfig:
        """A named size, with single fields changed: `CLIPConfig.preset("tiny", pool="cls")`."""
        if name not in PRESETS:
            raise ValueError(f"no preset {name!r}; there are {', '.join(PRESETS)}")
        return replace(PRESETS[name], **changes)


PRESETS = {
    "nano": CLIPConfig(),  # 1.4 M parameters: minutes on two cores
    "tiny": CLIPConfig(  # 5 M: an hour on two cores
        image_size=64,
        vision_width=192,
        vision_layers=6,
        vision_heads=6,
        text_width=192,
        text_layers=3,
        text_heads=6,
        embed_dim=192,
        vocab_size=4096,
    ),
    "nano-resnet": CLIPConfig(  # 2 M: the paper's other image tower
        image_size=64,
        patch_size=32,
        vision_width=16,
        vision_layers=6,
        vision_heads=8,
        resnet=(2, 2, 1, 1),
        stem=False,
        pool="cls",
    ),
    "small": CLIPConfig(  # 11 M: for a GPU
        image_size=96,
        vision_width=256,
        vision_layers=8,
        vision_heads=8,
        text_width=256,
        text_layers=4,
        text_heads=8,
        embed_dim=256,
        vocab_size=4096,
    ),
    "base": CLIPConfig(  # the paper's ViT-B/32
        image_size=224,
        patch_size=32,
        vision_width=768,
        vision_layers=12,
        vision_heads=12,
        text_width=512,
        text_layers=12,
        text_heads=8,
        embed_dim=512,
        vocab_size=49408,
        context_length=77,
        stem=False,
        pool="cls",
        pre_norm=True,
    ),
}
