"""A drawing of what CLIP is: two towers that meet in one matrix (paper, Figure 1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from miniclip.course.plots.base import INK, SHADES, Plot, numbers, subplots


def towers(images: Sequence[np.ndarray], captions: Sequence[str], cosines: np.ndarray) -> Plot:
    """Pictures and captions on their way through the two towers to the matrix of their cosines.

    Args:
        images: uint8 (B, H, W, 3); four are a good number.
        captions: B short captions.
        cosines: (B, B), of each picture (row) with each caption (column).
    """
    count = len(captions)
    figure, ((axis,),) = subplots(1, 1, (12, 6.2))
    axis.set(xlim=(0, 12), ylim=(0, 6.2), aspect="equal")
    axis.axis("off")
    cell = 3.2 / count
    for row, image in enumerate(images):
        y = TOP - (row + 0.5) * cell
        _patches(axis, image, y, 0.86 * cell)
        _vector(axis, (5.55, y - 0.14), INK["image"])
        for start, end in ((0.15 + 0.86 * cell, 1.5), (4.8, 5.48), (6.65, 7.5)):
            _arrow(axis, (start, y), (end, y))
    for column, caption in enumerate(captions):
        x = LEFT + (column + 0.5) * cell
        axis.text(x, 6.15, caption.replace(" ", "\n"), ha="center", va="top", fontsize=13)
        _arrow(axis, (x, 4.05), (x, TOP + 0.08))
    _box(axis, (1.6, TOP - 3.2), (3.1, 3.2), INK["image"], "image tower", IMAGE_TOWER)
    _box(axis, (LEFT - 0.2, 4.1), (3.6, 0.95), INK["text"], "text tower", TEXT_TOWER)
    _matrix(axis, numbers(cosines), cell)
    axis.text(LEFT + 1.6, 0.05, "cosines: the loss wants the diagonal", ha="center", fontsize=14)
    axis.text(6.07, TOP + 0.05, "unit vectors", ha="center", fontsize=13)
    figure.alt = (
        f"{count} pictures go through the image tower and {count} captions through the text tower;"
        " the cosines of their vectors make a matrix whose diagonal has the pairs that belong"
        " together"
    )
    return figure


LEFT, TOP = 7.6, 3.5  # of the matrix
IMAGE_TOWER = "patches\nand their positions\n↓\ntransformer\n↓\nmean, projection"
TEXT_TOWER = "pieces → transformer → end mark"


def _patches(axis: Axes, image: np.ndarray, y: float, size: float) -> None:
    """A picture with its middle at a height, cut into patches."""
    low, high = y - size / 2, y + size / 2
    axis.imshow(image, extent=(0.1, 0.1 + size, low, high))
    for share in np.linspace(0, size, 5):
        axis.plot([0.1 + share] * 2, [low, high], color="white", linewidth=0.8)
        axis.plot([0.1, 0.1 + size], [low + share] * 2, color="white", linewidth=0.8)


def _matrix(axis: Axes, values: np.ndarray, cell: float) -> None:
    """The cosines (B, B) as cells, with a frame around those of the diagonal."""
    for (row, column), value in np.ndenumerate(values):
        x, y = LEFT + column * cell, TOP - (row + 1) * cell
        share = float(np.clip((value + 0.1) / 0.8, 0, 1))
        edge = {"edgecolor": INK["right"], "linewidth": 3} if row == column else {"linewidth": 0}
        corner, side = (x + 0.06, y + 0.06), cell - 0.12
        style = {"boxstyle": "round,pad=0.02", "facecolor": SHADES(share), **edge}
        axis.add_patch(FancyBboxPatch(corner, side, side, **style))
        middle = {"ha": "center", "va": "center", "color": "white" if share > 0.55 else "black"}
        axis.text(x + cell / 2, y + cell / 2, f"{value:.2f}", fontsize=13, **middle)


def _box(
    axis: Axes,
    corner: tuple[float, float],
    size: tuple[float, float],
    color: str,
    name: str,
    text: str,
) -> None:
    """A rounded box with a name and what is in it."""
    style = {"boxstyle": "round,pad=0.05", "facecolor": "white", "edgecolor": color, "linewidth": 3}
    axis.add_patch(FancyBboxPatch(corner, *size, **style))
    x, y = corner[0] + size[0] / 2, corner[1] + size[1]
    bold = {"fontsize": 16, "fontweight": "bold", "color": color}
    axis.text(x, y - 0.1, name, ha="center", va="top", **bold)
    axis.text(x, (y - 0.4 + corner[1]) / 2, text, ha="center", va="center", fontsize=13)


def _vector(axis: Axes, corner: tuple[float, float], color: str) -> None:
    """A vector as a row of small cells."""
    for number, strength in enumerate((0.9, 0.35, 0.6, 0.2, 0.75)):
        place = (corner[0] + 0.21 * number, corner[1])
        axis.add_patch(
            FancyBboxPatch(
                place, 0.17, 0.26, boxstyle="round,pad=0.01", facecolor=color, alpha=strength
            )
        )


def _arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    style = {"arrowstyle": "-|>", "mutation_scale": 13, "color": "#555555", "linewidth": 1.3}
    axis.add_patch(FancyArrowPatch(start, end, **style))
