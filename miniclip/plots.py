"""Every figure that the notebooks and the command line show. Colours are Okabe and Ito's, which colour-blind readers can tell apart.

The same colour means the same thing everywhere: see `INK`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

INK = {
    "object": "#0072B2", "color": "#D55E00", "place": "#009E73", "loss": "#555555",
    "right": "#009E73", "wrong": "#D55E00", "other": "#BBBBBB", "image": "#0072B2", "text": "#E69F00",
}


def contact_sheet(data, count: int = 12, columns: int = 6, width: int = 26) -> Figure:
    """Pictures of a `CaptionedImages` with their first caption under each."""
    count = min(count, len(data))
    rows = -(-count // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(2.2 * columns, 2.7 * rows), squeeze=False, layout="constrained")
    for axis, index in zip(axes.flat, range(count)):
        image, captions = data[index]
        axis.imshow(image)
        axis.set_title("\n".join(textwrap.wrap(captions[0], width)[:3]), fontsize=9, y=-0.04, va="top")
    for axis in axes.flat:
        axis.axis("off")
    return figure


def guesses(images: np.ndarray, answers: Sequence[dict[str, float]], truth: Sequence[str] | None = None, columns: int = 4, top: int = 3, title: str = "") -> Figure:
    """Pictures beside the model's likeliest labels as bars; the true label's bar is green, a wrong first guess orange.

    Args:
        images: N pictures, uint8 (N, H, W, 3).
        answers: for each picture {label: probability}, likeliest first, as `classify` gives them.
        truth: the right label of each picture, if known.
    """
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(rows, 2 * columns, figsize=(4.1 * columns, 1.85 * rows + 0.4), squeeze=False, layout="constrained")
    for axis in axes.flat:
        axis.axis("off")
    for index, (image, answer) in enumerate(zip(images, answers)):
        picture, bars = axes[index // columns, 2 * (index % columns) : 2 * (index % columns) + 2]
        picture.imshow(image)
        labels, values = zip(*list(answer.items())[:top])
        true = truth[index] if truth is not None else None
        inks = [INK["right"] if label == true else INK["wrong"] if rank == 0 and true is not None else INK["other"] for rank, label in enumerate(labels)]
        bars.barh(range(len(labels)), values, color=inks, height=0.8)
        for rank, (label, value) in enumerate(zip(labels, values)):
            bars.text(0.03, rank, f"{label}  {value:.0%}", va="center", fontsize=10)
        bars.set(xlim=(0, 1), ylim=(top - 0.4, -0.6))
    if title:
        figure.suptitle(title, fontsize=13)
    return figure


def matches(images: np.ndarray, texts: Sequence[Sequence[str]], hits: Sequence[Sequence[bool]], columns: int = 3, title: str = "") -> Figure:
    """Pictures with the captions that a model finds for each, right ones green: a look at retrieval."""
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(rows, 2 * columns, figsize=(5.6 * columns, 2.1 * rows + 0.4), squeeze=False, layout="constrained", width_ratios=[1, 1.6] * columns)
    for axis in axes.flat:
        axis.axis("off")
    for index, image in enumerate(images):
        picture, words = axes[index // columns, 2 * (index % columns) : 2 * (index % columns) + 2]
        picture.imshow(image)
        y = 0.97
        for text, hit in zip(texts[index], hits[index]):
            lines = textwrap.wrap(text, 36)[:2]
            words.text(0, y, "\n".join(lines), va="top", fontsize=9, color=INK["right"] if hit else "#333333", fontweight="bold" if hit else None)
            y -= 0.13 * len(lines) + 0.08
    if title:
        figure.suptitle(title, fontsize=13)
    return figure


def plot_history(history) -> Figure:
    """Loss, and each score, over pictures seen."""
    names = [name for name in dict.fromkeys(key for row in history.rows for key in row) if name not in ("seen", "minutes", "loss", "scale")]
    figure, axes = plt.subplots(1, 1 + bool(names), figsize=(5 * (1 + bool(names)), 3.4), squeeze=False, layout="constrained")
    axes[0, 0].plot(*history.column("loss"), color=INK["loss"], marker="o", markersize=3)
    axes[0, 0].set(xlabel="pictures seen", ylabel="loss (nats)", ylim=(0, None))
    for name in names:
        axes[0, 1].plot(*history.column(name), color=INK.get(name), marker="o", markersize=3, label=name)
    if names:
        axes[0, 1].set(xlabel="pictures seen", ylabel="zero-shot score", ylim=(0, 1))
        axes[0, 1].legend(frameon=False)
    return figure
