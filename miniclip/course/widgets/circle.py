"""`CircleLab`: pairs of vectors on a circle, to be dragged or moved by the loss (notebook 01).

It runs in the browser alone, so that it answers at once, by mouse and by touch. What it computes is
in `circle.js`; a test compares it with `miniclip.info_nce`, `miniclip.sigmoid_loss` and autograd.
"""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path

import anywidget
import numpy as np
import torch
import traitlets
from PIL import Image

from miniclip.course.plots import Plot, subplots
from miniclip.course.plots.lines import PALETTE
from miniclip.course.widgets.base import StillPicture
from miniclip.data.world import Thing
from miniclip.loss import info_nce, sigmoid_loss

THINGS = ("dog", "cat", "car", "apple", "tree", "fish", "rocket", "guitar")
HERE = Path(__file__).parent
INKS = (*PALETTE, "#882255", "#555555")  # as in circle.js


class CircleLab(StillPicture, anywidget.AnyWidget):
    """Pictures and texts as vectors on a circle: drag them, change the temperature, the number of
    pairs or the loss, and let the loss move them.

    Args:
        things: names of things of the drawn world, up to eight.
        seed: of the angles at the start.

    Attributes:
        pictures_at, texts_at: the angles, in radians.
        temperature, bias: of the loss; only the sigmoid loss has a bias.
        pairs: how many of the pairs are in the batch.
        loss: "InfoNCE" or "sigmoid".
    """

    _esm = HERE / "circle.js"
    _css = HERE / "circle.css"
    pictures = traitlets.List().tag(sync=True)
    texts = traitlets.List().tag(sync=True)
    pictures_at = traitlets.List(traitlets.Float()).tag(sync=True)
    texts_at = traitlets.List(traitlets.Float()).tag(sync=True)
    temperature = traitlets.Float(0.2).tag(sync=True)
    bias = traitlets.Float(-5.0).tag(sync=True)
    pairs = traitlets.Int(8).tag(sync=True)
    loss = traitlets.Enum(["InfoNCE", "sigmoid"], "InfoNCE").tag(sync=True)

    def __init__(self, things: tuple[str, ...] = THINGS, seed: int = 0):
        if not 2 <= len(things) <= len(THINGS):
            raise ValueError(f"choose 2 to {len(THINGS)} things, not {len(things)}")
        angles = np.random.default_rng(seed).uniform(0, 2 * math.pi, (2, len(things))).round(3)
        self.drawn = [_on_white(Thing(name).draw(96)) for name in things]
        super().__init__(
            pictures=[image_address(image) for image in self.drawn],
            texts=list(things),
            pairs=len(things),
            pictures_at=angles[0].tolist(),
            texts_at=angles[1].tolist(),
        )

    def vectors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The unit vectors of pictures and texts: (pairs, 2) each."""
        angles = torch.tensor([self.pictures_at, self.texts_at])[:, : self.pairs]
        return tuple(torch.stack([angles.cos(), angles.sin()], dim=-1))

    def value(self) -> float:
        """The loss as the package computes it, in nats."""
        images, texts = self.vectors()
        if self.loss == "sigmoid":
            return sigmoid_loss(images, texts, 1 / self.temperature, self.bias).item()
        return info_nce(images, texts, 1 / self.temperature).item()

    def preview(self) -> Plot:
        """A still picture of it, for places where no widget can run."""
        figure, ((axis,),) = subplots(1, 1, (5, 5))
        axis.add_patch(_ring())
        for row, (image, text) in enumerate(zip(*(x.numpy() for x in self.vectors()))):
            color = INKS[row]
            axis.plot(*zip(image, text), "--", color=color, linewidth=1)
            axis.plot(*image, "o", color=color, markersize=9)
            axis.plot(*text, "s", color=color, markersize=9)
            x, y = 1.35 * image
            axis.imshow(self.drawn[row], extent=(x - 0.16, x + 0.16, y - 0.16, y + 0.16))
            axis.text(*(0.68 * text), self.texts[row], color=color, ha="center", va="center")
        axis.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal")
        axis.axis("off")
        figure.alt = f"{self.pairs} pictures and {self.pairs} words on a circle; run it to play"
        return figure


def _ring():
    from matplotlib.patches import Circle

    return Circle((0, 0), 1, fill=False, edgecolor="#999999", linewidth=2)


def _on_white(image: np.ndarray) -> np.ndarray:
    """A drawing (H, W, 4) on white paper: (H, W, 3)."""
    share = image[..., 3:] / 255
    return (image[..., :3] * share + 255 * (1 - share)).round().astype(np.uint8)


def image_address(image: np.ndarray) -> str:
    """A picture as the address of an image element."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
