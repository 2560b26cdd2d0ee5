"""Figures of matrices: similarity, confusion, and heat maps over pictures."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patches import Rectangle

from miniclip.course.plots.base import INK, SHADES, Plot, numbers, subplots


def similarity(
    matrix,
    images: np.ndarray | None = None,
    texts: Sequence[str] = (),
    title: str = "cosine of picture and text",
    diagonal: bool = True,
    limits: tuple[float, float] | None = None,
    rows_are: Sequence[str] = (),
) -> Plot:
    """A similarity matrix with numbers in its cells and a frame around its diagonal. Rows are
    pictures (or what `rows_are` says), columns are texts; both are drawn at the edges."""
    values = numbers(matrix).astype(float)
    rows, columns = values.shape
    figure, ((axis,),) = subplots(1, 1, (1.5 + 0.95 * columns, 1.9 + 0.8 * rows))
    low, high = limits or (values.min(), values.max())
    shown = axis.imshow(values, cmap=SHADES, aspect="auto", vmin=low, vmax=high)
    _write_numbers(axis, values, dark=low + 0.6 * (high - low))
    for i in range(min(rows, columns) if diagonal else 0):
        frame = {"fill": False, "edgecolor": INK["right"], "linewidth": 4}
        axis.add_patch(Rectangle((i - 0.5, i - 0.5), 1, 1, **frame))
    axis.set_xticks(
        range(columns),
        ["\n".join(textwrap.wrap(text, 12)[:8]) for text in texts] or range(columns),
        fontsize=9,
    )
    axis.set_yticks(range(rows), [""] * rows if images is not None else rows_are or range(rows))
    if images is not None:
        _draw_beside(axis, images)
    axis.set_title(title)
    if images is None and not len(texts):
        axis.set(xlabel="text", ylabel="picture")
    axis.spines[:].set_visible(False)
    figure.colorbar(shown, ax=axis, shrink=0.7)
    figure.alt = f"matrix of {rows} pictures by {columns} texts"
    figure.alt += _diagonal_in_words(values) if diagonal else _largest_in_words(values, texts)
    return figure


def _write_numbers(axis: Axes, values: np.ndarray, dark: float) -> None:
    """The numbers of a matrix in its cells; they are white where a value is above `dark`."""
    for i, j in np.ndindex(values.shape):
        axis.text(
            j,
            i,
            f"{values[i, j]:.2f}".replace("-0.00", "0.00"),
            ha="center",
            va="center",
            fontsize=11,
            color="white" if values[i, j] > dark else "black",
        )


def _draw_beside(axis: Axes, images: np.ndarray) -> None:
    """Pictures (B, H, W, 3) to the left of the rows of a matrix."""
    for i, image in enumerate(images):
        small = OffsetImage(image, zoom=52 / image.shape[0])
        place = {"box_alignment": (1.1, 0.5), "frameon": False, "annotation_clip": False}
        axis.add_artist(AnnotationBbox(small, (-0.5, i), **place))


def _diagonal_in_words(values: np.ndarray) -> str:
    """How the diagonal of a matrix compares with the rest."""
    best = sum(int(row.argmax()) == i for i, row in enumerate(values))
    rest = values[~np.eye(*values.shape, dtype=bool)].mean()
    return (
        f"; {best} of {len(values)} rows have their largest number on the diagonal, which has"
        f" {np.diag(values).mean():.2f} on average, the rest {rest:.2f}"
    )


def _largest_in_words(values: np.ndarray, texts: Sequence[str]) -> str:
    """The text with the largest number of each row of a matrix."""
    return "; the largest numbers of its rows: " + ", ".join(
        f"{texts[j] if len(texts) else j} ({row[j]:.2f})"
        for row, j in zip(values, values.argmax(axis=1))
    )


def confusion(counts: np.ndarray, labels: Sequence[str], title: str = "") -> Plot:
    """A confusion matrix: rows are true labels, columns are guesses, and cells hold counts above
    zero. Right answers are blue, mistakes orange."""
    size = 2.2 + 0.42 * len(labels)
    figure, ((axis,),) = subplots(1, 1, (size + 0.6, size))
    full = np.where(
        np.eye(len(labels), dtype=bool)[..., None], to_rgb(INK["image"]), to_rgb(INK["wrong"])
    )
    axis.imshow(1 - (1 - full) * (counts / max(1, counts.max()) / 1.5)[..., None])
    for i, j in zip(*np.nonzero(counts)):
        axis.text(j, i, int(counts[i, j]), ha="center", va="center", fontsize=10)
    axis.set_xticks(range(len(labels)), labels, rotation=60, ha="right")
    axis.set_yticks(range(len(labels)), labels)
    axis.set(xlabel="the model says", ylabel="it is", title=title)
    wrong = [
        (int(counts[i, j]), labels[i], labels[j]) for i, j in zip(*np.nonzero(counts)) if i != j
    ]
    figure.alt = (
        f"{int(np.trace(counts))} of {int(counts.sum())} on the diagonal; most frequent mistakes: "
        + (", ".join(f"{a} for {b} ({n})" for n, b, a in sorted(wrong, reverse=True)[:3]) or "none")
    )
    return figure


def heat(
    maps: Sequence[np.ndarray],
    titles: Sequence[str],
    image: np.ndarray | None = None,
    mark: tuple[int, int] | None = None,
    name: str = "map",
) -> Plot:
    """Maps over the places of a picture, brighter where a number is higher, each on its own scale.
    The picture itself is shown first, if there is one.

    Args:
        maps: (rows, columns) each; numbers below zero are drawn as zero.
        titles: one for each map.
        image: uint8 (H, W, 3), the picture that they belong to.
        mark: a place (row, column) to point out.
        name: what the numbers are, for the alternative text.
    """
    maps = [numbers(values) for values in maps]
    first = [] if image is None else [image]
    figure, axes = subplots(1, len(first) + len(maps), (3.1 * (len(first) + len(maps)), 3.5))
    for axis, shown, title in zip(
        axes.flat, first + maps, ["the picture"] * len(first) + list(titles)
    ):
        if image is not None:
            axis.imshow(image, extent=(0, 1, 1, 0))
        if shown is not image:
            strength = np.clip(shown, 0, None) / max(float(shown.max()), 1e-9)
            axis.imshow(
                strength,
                extent=(0, 1, 1, 0),
                cmap=SHADES if image is None else "autumn_r",
                alpha=None if image is None else 0.85 * strength,
                vmin=0,
                vmax=1,
            )
        if mark is not None:
            _mark(axis, mark, *maps[0].shape)
        axis.set_title(title, fontsize=13, pad=8)
        axis.set_xticks([])
        axis.set_yticks([])
    figure.alt = f"{name}: " + "; ".join(
        f"{title}, highest in row {np.argmax(values) // values.shape[1]}, column"
        f" {np.argmax(values) % values.shape[1]}"
        for title, values in zip(titles, maps)
    )
    return figure


def heads(
    blocks: Sequence[np.ndarray], names: Sequence[str], image: np.ndarray, mark: tuple[int, int]
) -> Plot:
    """Whom one patch of a picture looks at: a row for each block, a map for each head, one scale.

    Args:
        blocks: for each block the attention weights (heads, rows, columns).
        names: of the blocks.
        image: uint8 (H, W, 3).
        mark: the patch (row, column) that looks.
    """
    blocks = [numbers(block) for block in blocks]
    count, rows, columns = blocks[0].shape
    figure, axes = subplots(len(blocks), count, (1.75 * count, 1.9 * len(blocks)))
    highest = max(float(block.max()) for block in blocks)
    for line, block, name in zip(axes, blocks, names):
        line[0].set_ylabel(name, fontsize=13)
        for number, (axis, head) in enumerate(zip(line, block), 1):
            axis.imshow(image, extent=(0, 1, 1, 0))
            strength = (head / highest) ** 0.5  # so that small weights can be seen, too
            axis.imshow(strength, extent=(0, 1, 1, 0), cmap="autumn_r", alpha=0.85 * strength)
            _mark(axis, mark, rows, columns)
            axis.set_xticks([])
            axis.set_yticks([])
            if name is names[0]:
                axis.set_title(f"head {number}", fontsize=13)
    figure.alt = "whom a patch looks at: " + "; ".join(
        f"{name}, head {number}: most at row {head.argmax() // columns}, "
        f"column {head.argmax() % columns}"
        for name, block in zip(names, blocks)
        for number, head in enumerate(block, 1)
    )
    return figure


def _mark(axis: Axes, mark: tuple[int, int], rows: int, columns: int) -> None:
    """A frame around one place (row, column) of a picture."""
    for width, color in ((5, "black"), (2.5, "white")):
        frame = {"fill": False, "edgecolor": color, "linewidth": width}
        corner = (mark[1] / columns, mark[0] / rows)
        axis.add_patch(Rectangle(corner, 1 / columns, 1 / rows, **frame))
