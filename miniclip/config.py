"""The configuration of a model: every size and choice that decides its shape, and named presets.

The sizes mean what they mean in the paper (section 2.4 and Table 20). Taught in notebook 02.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class CLIPConfig:
    """Every size and choice that decides the shape of a model (paper 2.4 and Table 20).

    `CLIPConfig.preset("nano")` gives one of the named configurations in `PRESETS`.

    Args:
        image_size: height and width, in pixels, of the square pictures that the model sees.
        patch_size: height and width of a patch, in pixels; a picture is cut into
            N = (image_size / patch_size)^2 patches.
        vision_width, vision_layers, vision_heads: width D, number of blocks and number of
            attention heads of the image tower.
        text_width, text_layers, text_heads: the same three numbers for the text tower.
        embed_dim: dimension E of the space that pictures and texts share.
        vocab_size: number of different token ids.
        context_length: the most tokens that a text may have, its start and end marks included.
        stem: whether patches are embedded by a few small convolutions (Xiao et al. 2021) instead
            of one linear map.
        stem_norm: what follows each of these convolutions: a GroupNorm ("group"), which looks at
            each picture by itself, or a BatchNorm ("batch"), as in older checkpoints.
        pool: how the image tower's tokens become one vector: by a class token ("cls", as in the
            paper) or by the mean over all patches ("mean").
        activation: "gelu", or "quick_gelu" as in OpenAI's weights.
        pre_norm: whether a LayerNorm comes before the first image block, as in OpenAI's weights.
        resnet: the number of blocks in each of the four stages of a ResNet, the paper's other
            image tower (see `resnet.py`); empty for a vision transformer.
        end_token: id of the end mark; a text's vector is read at this token.
        mean, std: mean and standard deviation of each colour channel, for pixel values in [0, 1];
            pictures are normalised with them.
        resize: how a picture becomes square: its shorter side is resized and the centre is cut out
            ("shortest", as in the paper's code), or it is squeezed into a square ("squash").
    Raises:
        ValueError: if no model can be built from this combination.
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
    stem_norm: str = "group"
    pool: str = "mean"
    activation: str = "gelu"
    pre_norm: bool = False
    resnet: tuple[int, ...] = ()
    end_token: int = 2
    # The numbers that the paper's code normalises with.
    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)
    resize: str = "shortest"

    def __post_init__(self) -> None:
        # A configuration read from a checkpoint's JSON has lists where we want tuples. Fields of
        # a frozen dataclass can only be set through `object`.
        for name in ("mean", "std", "resnet"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        self._check_whole_numbers()
        self._check_sizes_divide()
        self._check_resnet()
        self._check_positions()
        self._check_stem()
        self._check_options()
        self._check_texts()

    def _check_whole_numbers(self) -> None:
        """Every field declared as `int` must be a whole number of at least 1."""
        for field in fields(self):
            if field.type != "int":  # a string, because of `from __future__ import annotations`
                continue
            value = getattr(self, field.name)
            # Python counts True and False as int, but as a size they can only be a mistake.
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(
                    f"{field.name} must be a whole number of at least 1, not {value!r}"
                )

    def _check_sizes_divide(self) -> None:
        """Patches must tile the picture, and heads must share the width equally."""
        if self.image_size % self.patch_size:
            raise ValueError(
                f"image_size {self.image_size} is not a multiple of patch_size "
                f"{self.patch_size}; patches must tile the picture"
            )
        for tower in ("vision", "text"):
            width, heads = getattr(self, f"{tower}_width"), getattr(self, f"{tower}_heads")
            if width % heads:
                raise ValueError(
                    f"{tower}_width {width} cannot be shared by {heads} heads; choose a multiple"
                )

    def _check_resnet(self) -> None:
        """A ResNet makes the picture 32 times smaller and ends 32 * vision_width channels wide."""
        if self.resnet and (
            len(self.resnet) != 4
            or min(self.resnet) < 1
            or self.image_size % 32
            or self.vision_width * 32 % self.vision_heads
        ):
            raise ValueError(
                "a ResNet has four stages of at least one block and pictures of a multiple of 32 "
                f"pixels, not {self.resnet} and {self.image_size}"
            )

    def _check_positions(self) -> None:
        """2-D positions consist of four equal parts: a sine and a cosine for the row and for the
        column."""
        if self.vision_width % 4:
            raise ValueError(
                f"vision_width {self.vision_width} must be a multiple of 4 for 2-D sine-cosine "
                "positions"
            )

    def _check_stem(self) -> None:
        """Each step of a convolutional stem halves the picture and doubles the channels."""
        if not self.stem:
            return
        # A power of 2 has a single 1 in its binary form, so it shares no bit with the number
        # just below it.
        if self.patch_size & (self.patch_size - 1) or self.patch_size < 2:
            raise ValueError(
                "a convolutional stem halves the picture again and again: patch_size must be a "
                f"power of 2, not {self.patch_size}"
            )
        if self.vision_width % (self.patch_size // 2):
            raise ValueError(
                "a convolutional stem doubles its channels up to vision_width: "
                f"{self.vision_width} is not a multiple of {self.patch_size // 2}"
            )

    def _check_options(self) -> None:
        """`pool`, `activation`, `stem_norm` and `resize` must each be one of two words."""
        choices = {
            "pool": ("cls", "mean"),
            "activation": ("gelu", "quick_gelu"),
            "stem_norm": ("group", "batch"),
            "resize": ("shortest", "squash"),
        }
        for name, options in choices.items():
            if getattr(self, name) not in options:
                raise ValueError(
                    f"{name} is one of {', '.join(options)}, not {getattr(self, name)!r}"
                )

    def _check_texts(self) -> None:
        """A text needs room for its two marks and one more token; its end mark needs an id."""
        if self.context_length < 3 or not self.end_token < self.vocab_size:
            raise ValueError(
                "a text needs at least 3 tokens and its end mark in the vocabulary; got "
                f"context_length {self.context_length}, end_token {self.end_token}"
            )

    @classmethod
    def preset(cls, name: str, **changes) -> CLIPConfig:
        """A named configuration, with some fields changed if you like.

        Args:
            name: one of the names in `PRESETS`.
            changes: fields to change, as in `CLIPConfig.preset("tiny", pool="cls")`.
        Raises:
            ValueError: for a name that is not in `PRESETS`, or changes that do not fit.
        """
        if name not in PRESETS:
            raise ValueError(f"no preset {name!r}; there are {', '.join(PRESETS)}")
        return replace(PRESETS[name], **changes)


PRESETS = {
    "nano": CLIPConfig(),  # 1.4 M parameters: trains in minutes on two cores
    "tiny": CLIPConfig(  # 5 M parameters: an hour on two cores
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
    "nano-resnet": CLIPConfig(  # 2 M parameters: a ResNet, the paper's other image tower
        image_size=64,
        patch_size=32,
        vision_width=16,
        vision_layers=6,
        vision_heads=8,
        resnet=(2, 2, 1, 1),
        stem=False,
        pool="cls",
    ),
    "small": CLIPConfig(  # 11 M parameters: for a GPU
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
