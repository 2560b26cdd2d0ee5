"""`LossLab`: a batch, a temperature and what they do to the contrastive loss (notebook 01)."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import ipywidgets as ui
import numpy as np
import torch
from torch import Tensor

from miniclip.course.plots import INK
from miniclip.course.widgets.base import Lab, picture
from miniclip.data import CaptionedImages
from miniclip.loss import info_nce, sigmoid_loss
from miniclip.retrieval import caption_features
from miniclip.zeroshot import image_features

LARGE = 9  # a matrix with more rows than this has small cells
CELL = "text-align: center; height: 64px; min-width: 76px"


@dataclass(frozen=True)
class LossView:
    """What the losses see of a batch of B pairs.

    Args:
        cosines: of each picture with each text, (B, B).
        probabilities: of each text for a picture, (B, B); rows add up to 1.
        gradient: of the loss by each cosine, (B, B).
        push: the same as a share of the sum of all its absolute values, (B, B).
        rows, columns: the loss of pictures that choose texts and of texts that choose pictures,
            in nats.
        loss: the mean of the two.
        sigmoid: the sigmoid loss of the same batch, in nats.
    """

    cosines: Tensor
    probabilities: Tensor
    gradient: Tensor
    push: Tensor
    rows: float
    columns: float
    loss: float
    sigmoid: float


def look_at_loss(images: Tensor, texts: Tensor, temperature: float = 0.07) -> LossView:
    """Everything that `LossLab` shows of a batch of image and text vectors (B, E) at a temperature.

    Raises:
        ValueError: for a temperature that is not above zero.
    """
    if not temperature > 0:
        raise ValueError(
            f"a temperature divides the cosines, so it must be above 0, not {temperature}"
        )
    cosines = (images @ texts.T).detach().requires_grad_()  # (B, B)
    logits, labels = cosines / temperature, torch.arange(len(cosines))
    rows, columns = (torch.nn.functional.cross_entropy(x, labels) for x in (logits, logits.T))
    (gradient,) = torch.autograd.grad((rows + columns) / 2, cosines)
    with torch.no_grad():
        return LossView(
            cosines.detach(),
            logits.detach().softmax(1),
            gradient,
            gradient / gradient.abs().sum().clamp(min=1e-12),
            rows.item(),
            columns.item(),
            info_nce(images, texts, 1 / temperature).item(),
            sigmoid_loss(images, texts, 1 / temperature, -math.log(len(images))).item(),
        )


def _shade(value: float, low: float, high: float, signed: bool) -> tuple[str, str]:
    """Colours of background and text of a cell: from white to blue, or from orange over white to
    blue if values have signs."""
    if signed:
        share = value / max(abs(low), abs(high), 1e-9)
        base = (0, 114, 178) if share < 0 else (213, 94, 0)
    else:
        share = (value - low) / max(high - low, 1e-9)
        base = (0, 114, 178)
    color = tuple(round(255 + (channel - 255) * abs(share)) for channel in base)
    return f"rgb{color}", "white" if abs(share) > 0.6 else "black"


def matrix(
    values: Tensor,
    images: Sequence[np.ndarray] = (),
    texts: Sequence[str] = (),
    signed: bool = False,
) -> str:
    """A matrix as an HTML table, with pictures and texts at its edges and a frame around its
    diagonal. A large one (more than nine rows) has small cells without numbers and texts."""
    numbers, large = values.tolist(), len(values) > LARGE
    low, high = min(map(min, numbers)), max(map(max, numbers))
    head = "".join(
        '<th style="width: 96px; font-weight: normal; font-size: 15px; vertical-align:'
        f' bottom">{html.escape(text)}</th>'
        for text in (() if large else texts)
    )
    side = max(9, 560 // len(numbers))  # of a small cell, in pixels
    rows = []
    for i, row in enumerate(numbers):
        cells = []
        for j, value in enumerate(row):
            background, ink = _shade(value, low, high, signed)
            width = 2 if large else 4
            frame = f"outline: {width}px solid {INK['right']}; outline-offset: -{width}px;"
            box = f"height: {side}px; min-width: {side}px; padding: 0" if large else CELL
            cells.append(
                f'<td style="background: {background}; color: {ink}; {frame if i == j else ""}'
                f' {box}">{"" if large else f"{value:.2f}"}</td>'
            )
        edge = (
            ""
            if large
            else picture(images[i], 64, f"picture {i + 1} of the batch")
            if i < len(images)
            else i
        )
        rows.append(f"<tr><td>{edge}</td>{''.join(cells)}</tr>")
    return (
        '<table style="border-collapse: collapse; font-size:'
        f' 16px"><tr><th></th>{head}</tr>{"".join(rows)}</table>'
    )


class LossLab(Lab):
    """Change the temperature, the batch size and what else is in the batch, and watch the
    similarity matrix, the loss and its gradient.

    Args:
        model: anything with `encode_image` and `encode_text`.
        data: a `CaptionedImages` of at least 2 pictures.
    """

    def __init__(self, model, data):
        super().__init__()
        self.data = data[: min(len(data), 400)]
        self.captions = [captions[0] for captions in self.data.captions]
        first = CaptionedImages(self.data.images, [[caption] for caption in self.captions])
        self.images = image_features(model, self.data)
        self.texts = caption_features(model, first)[0]
        plain = [caption.lower().strip(".") for caption in self.captions]
        # Two pictures with the same caption, if there are any.
        self.same = next(
            ([plain.index(text), row] for row, text in enumerate(plain) if plain.index(text) < row),
            [0, 0],
        )
        self._make_controls()
        self.table, self.numbers = ui.HTML(), ui.HTML()
        controls = ui.VBox([self.temperature, self.batch, self.company])
        top = ui.HBox([controls, self.numbers])
        self.box = ui.VBox([top, self.show, self.message, self.table])
        self._watch(self.temperature, self.batch, self.company, self.show)

    def _make_controls(self) -> None:
        """Sliders for temperature and batch size, and the choices of negatives and of numbers."""
        wide = {"layout": ui.Layout(width="420px"), "style": {"description_width": "110px"}}
        self.temperature = ui.FloatLogSlider(
            value=0.07,
            min=-2.3,
            max=0.3,
            step=0.05,
            description="temperature",
            readout_format=".3f",
            **wide,
        )
        self.batch = ui.IntSlider(
            value=min(6, len(self.data)),
            min=2,
            max=min(64, len(self.data)),
            description="batch size",
            **wide,
        )
        company = {
            "by chance": "chance",
            "hard: alike": "hard",
            "false: one caption, two pictures": "false",
        }
        self.company = ui.Dropdown(options=company, description="negatives", **wide)
        self.show = ui.ToggleButtons(
            options=["cosine", "probability", "push"],
            value="probability",  # what the temperature changes
            style={"button_width": "110px"},
        )

    def rows(self) -> list[int]:
        """The row numbers of the pictures in the batch."""
        size = self.batch.value
        if self.company.value == "hard":
            # The first picture, and those with the captions most similar to its own.
            order = (self.texts @ self.texts[0]).argsort(descending=True).tolist()
            others = (row for row in order if row and self.captions[row] != self.captions[0])
            return [0, *others][:size]
        if self.company.value == "false":  # two pictures of which one caption is true, and others
            return [
                *self.same,
                *(row for row in range(len(self.captions)) if row not in self.same),
            ][:size]
        return list(range(size))

    def answer(self) -> None:
        rows = self.rows()
        texts, captions = self.texts[rows], [self.captions[row] for row in rows]
        view = look_at_loss(self.images[rows], texts, self.temperature.value)
        shown = {"cosine": view.cosines, "probability": view.probabilities, "push": view.push}[
            self.show.value
        ]
        self.table.value = matrix(
            shown,
            [self.data.images[row] for row in rows],
            captions,
            signed=self.show.value == "push",
        )
        self.numbers.value = (
            '<div style="font-size: 16px; line-height: 1.5; padding-left: 24px"><b>InfoNCE'
            f" {view.loss:.2f}</b> nats (a guesser: log {len(rows)} ="
            f" {math.log(len(rows)):.2f})<br>picture to text {view.rows:.2f}, text to picture"
            f" {view.columns:.2f}<br>sigmoid loss {view.sigmoid:.2f}</div>"
        )
