"""`AttentionLab`: whom each patch of a picture and each piece of a text looks at, in every block
and head (notebook 02).

The weights come from the model's own functions, `model.visual.attention` and
`model.text.attention`, all at once; choosing among them happens in the browser, so that it answers
at once.
"""

from __future__ import annotations

from pathlib import Path

import anywidget
import numpy as np
import torch
import traitlets
from torch import Tensor

from miniclip.course.plots import INK, Plot, subplots
from miniclip.course.widgets.base import StillPicture, read_text
from miniclip.course.widgets.circle import image_address
from miniclip.model import CLIP

HERE = Path(__file__).parent
FULL = 65_535  # a weight of 1; weights travel as 16-bit numbers


class AttentionLab(StillPicture, anywidget.AnyWidget):
    """Point at a patch of a picture, or at a piece of a text, and see what it looks at.

    Args:
        model: a CLIP whose image tower is a vision transformer.
        images: uint8 (n, S, S, 3), pictures to choose from.
        text: the sentence at the start.
    Raises:
        ValueError: for a model without attention in its image tower.

    Attributes:
        row: which of the pictures is shown.
        text: the sentence.
        seen, read: weights of all blocks and heads, [blocks, heads, N] and as many 16-bit numbers.
            Where the image tower has a class token, it is number 0 of the N.
        pieces: the tokens of the sentence, as text.
        message: what is wrong with the sentence; the pieces are then those of the one before.
    """

    _esm = HERE / "attention.js"
    _css = HERE / "attention.css"
    picture = traitlets.Unicode().tag(sync=True)
    count = traitlets.Int().tag(sync=True)
    row = traitlets.Int(0).tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)
    seen_shape = traitlets.List().tag(sync=True)
    seen = traitlets.Bytes().tag(sync=True)
    read_shape = traitlets.List().tag(sync=True)
    read = traitlets.Bytes().tag(sync=True)
    pieces = traitlets.List().tag(sync=True)
    message = traitlets.Unicode().tag(sync=True)

    def __init__(self, model: CLIP, images: np.ndarray, text: str):
        if model.config.resnet:
            raise ValueError("a ResNet has no attention between patches; choose another model")
        self.model, self.images = model, images
        super().__init__(count=len(images), text=text)
        self.observe(lambda _: self._look(), "row")
        self.observe(lambda _: self._read(), "text")
        self._look()
        self._read()

    def _look(self) -> None:
        """Show the attention within the picture."""
        image = self.images[self.row]
        with torch.inference_mode():
            weights = self.model.visual.attention(self.model.preprocess(image[None]))[:, 0]
        self.picture = image_address(image)
        self.seen_shape, self.seen = _packed(weights)

    def _read(self) -> None:
        """Show the attention within the sentence, or what is wrong with it."""
        tokenizer, longest = self.model.tokenizer, self.model.config.context_length
        try:
            tokens = tokenizer([read_text(self.text)], longest)
        except ValueError as error:
            self.message = str(error).replace(" or pass truncate=True", "") + "."
            return
        length = int((tokens[0] == tokenizer.end).nonzero()[0]) + 1
        with torch.inference_mode():
            tokens = tokens[:, :length].to(self.model.device)
            weights = self.model.text.attention(tokens)[:, 0]
        inner = [tokenizer.decode([token]) for token in tokens[0, 1:-1].tolist()]
        with self.hold_sync():
            self.message, self.pieces = "", ["[start]", *inner, "[end]"]
            self.read_shape, self.read = _packed(weights)

    def looks_at(self, block: int, head: int, query: int) -> Tensor:
        """The weights (N,) with which a token of the picture looks at all, as they travel."""
        return self._weights(self.seen, self.seen_shape)[block, head, query]

    def reads(self, block: int, head: int, query: int) -> Tensor:
        """The same for a piece of the text."""
        return self._weights(self.read, self.read_shape)[block, head, query]

    @staticmethod
    def _weights(packed: bytes, shape: list[int]) -> Tensor:
        numbers = np.frombuffer(packed, "<u2").astype(np.float32) / FULL
        return torch.from_numpy(numbers).view(*shape, shape[-1])

    def preview(self) -> Plot:
        """A still picture of it, for places where no widget can run: the middle patch in each head
        of the last block."""
        blocks, heads, n = self.seen_shape
        side = int(n**0.5)
        query = n - side * side + (side // 2) * side + side // 2
        shown = [self.looks_at(blocks - 1, head, query)[-side * side :] for head in range(heads)]
        figure, (axes,) = subplots(1, heads + 1, (1.6 * (heads + 1), 1.9))
        axes[0].imshow(self.images[self.row])
        step = len(self.images[self.row]) / side
        corner = (side // 2 * step - 0.5, side // 2 * step - 0.5)
        axes[0].add_patch(_square(corner, step))
        for head, (axis, weights) in enumerate(zip(axes[1:], shown)):
            axis.imshow(weights.view(side, side), cmap="Blues", vmin=0)
            axis.set_title(f"head {head + 1}", fontsize=12)
        for axis in axes:
            axis.axis("off")
        figure.alt = f"What one patch looks at in the {heads} heads of the last block; run it"
        return figure


def _square(corner: tuple[float, float], side: float):
    from matplotlib.patches import Rectangle

    return Rectangle(corner, side, side, fill=False, edgecolor=INK["wrong"], linewidth=3)


def _packed(weights: Tensor) -> tuple[list[int], bytes]:
    """Attention (blocks, heads, N, N) as [blocks, heads, N] and 16-bit numbers."""
    numbers = (weights.float().cpu() * FULL).round().numpy().astype("<u2")
    return list(weights.shape[:3]), numbers.tobytes()
