"""Figures that show pictures: contact sheets, guesses, matches of pictures and texts."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np

from miniclip.course.plots.base import INK, Plot, subplots
from miniclip.data.world import ARTISTS, CONCEPTS, Thing


def contact_sheet(data, count: int = 12, columns: int = 6, width: int = 20) -> Plot:
    """Pictures of a `CaptionedImages`, each with its first caption below, in at most four lines of
    `width` letters."""
    count = min(count, len(data))
    rows = -(-count // columns)
    wrapped = [
        [line for part in texts[0].split("\n") for line in textwrap.wrap(part, width)][:4]
        for texts in data.captions[:count]
    ]
    lines = max(map(len, wrapped))
    figure, axes = subplots(rows, columns, (2 * columns, (2.1 + 0.26 * lines) * rows))
    for axis, index in zip(axes.flat, range(count)):
        axis.imshow(data.images[index])
        axis.set_title("\n".join(wrapped[index]), fontsize=12, y=-0.07, va="top")
    for axis in axes.flat:
        axis.axis("off")
    figure.alt = f"{count} pictures with a caption each: " + "; ".join(
        captions[0] for captions in data.captions[:count]
    )
    return figure


def guesses(
    images: np.ndarray,
    answers: Sequence[dict[str, float]],
    truth: Sequence[str] | None = None,
    columns: int = 4,
    top: int = 3,
    title: str = "",
) -> Plot:
    """Pictures beside the model's likeliest labels as bars. The bar of the true label is green, a
    wrong first guess is orange.

    Args:
        images: n pictures, uint8 (n, H, W, 3).
        answers: for each picture {label: probability}, likeliest first, as `classify` gives them.
        truth: the right label of each picture, if known.
        columns: pictures in a row.
        top: labels shown for each picture.
        title: of the figure.
    """
    rows = -(-len(images) // columns)
    figure, axes = subplots(rows, 2 * columns, (4.1 * columns, 1.85 * rows + 0.4))
    for axis in axes.flat:
        axis.axis("off")
    for index, (image, answer) in enumerate(zip(images, answers)):
        picture, bars = axes[index // columns, 2 * (index % columns) : 2 * (index % columns) + 2]
        picture.imshow(image)
        labels, values = zip(*list(answer.items())[:top])
        true = truth[index] if truth is not None else None
        inks = [
            (
                INK["right"]
                if label == true
                else INK["wrong"]
                if rank == 0 and true is not None
                else INK["other"]
            )
            for rank, label in enumerate(labels)
        ]
        bars.barh(range(len(labels)), values, color=inks, height=0.8)
        for rank, (label, value) in enumerate(zip(labels, values)):
            bars.text(value + 0.03, rank, f"{label} {value:.0%}", va="center", fontsize=11)
        bars.set(xlim=(0, 2.1), ylim=(top - 0.4, -0.6))  # the right half is for the words
    if title:
        figure.suptitle(title, fontsize=13)
    figure.alt = f"{len(images)} pictures, each with what the model takes it for: " + "; ".join(
        next(iter(answer))
        + (
            f" (it is {truth[index]})"
            if truth is not None and next(iter(answer)) != truth[index]
            else ""
        )
        for index, answer in enumerate(answers)
    )
    return figure


def matches(
    images: np.ndarray,
    texts: Sequence[Sequence[str]],
    hits: Sequence[Sequence[bool]],
    columns: int = 3,
    title: str = "",
) -> Plot:
    """Retrieval: pictures with the captions that a model finds for each, right ones in green."""
    rows = -(-len(images) // columns)
    figure, axes = subplots(
        rows, 2 * columns, (5.6 * columns, 2.1 * rows + 0.4), width_ratios=[1, 1.6] * columns
    )
    for axis in axes.flat:
        axis.axis("off")
    for index, image in enumerate(images):
        picture, words = axes[index // columns, 2 * (index % columns) : 2 * (index % columns) + 2]
        picture.imshow(image)
        y = 0.97
        for text, hit in zip(texts[index], hits[index]):
            lines = textwrap.wrap(text, 36)[:2]
            words.text(
                0,
                y,
                "\n".join(lines),
                va="top",
                fontsize=9,
                color=INK["right"] if hit else "#333333",
                fontweight="bold" if hit else None,
            )
            y -= 0.13 * len(lines) + 0.08
    if title:
        figure.suptitle(title, fontsize=13)
    figure.alt = (
        f"{len(images)} pictures with the captions nearest to each; {sum(row[0] for row in hits)}"
        " have one of their own first"
    )
    return figure


def pairs(
    scores: dict[str, Sequence],
    names: Sequence[str],
    inks: Sequence[str],
    title: str = "",
    chance: bool = True,
) -> Plot:
    """A group of bars for each task, one bar for each of `names`: `Score`s with their 95 %
    intervals as whiskers, and chance as a dashed tick."""
    height = 0.8 / len(names)
    figure, ((axis,),) = subplots(1, 1, (9, 1.1 + 0.34 * len(names) * len(scores)))
    for k, (name, ink) in enumerate(zip(names, inks)):
        rows = np.arange(len(scores)) + (k - (len(names) - 1) / 2) * height
        own = [found[k] for found in scores.values()]
        axis.barh(rows, [score.accuracy for score in own], height * 0.92, color=ink, label=name)
        for width, color in ((4, "white"), (1.5, "black")):  # seen on a dark bar, too
            axis.hlines(
                rows,
                [score.interval[0] for score in own],
                [score.interval[1] for score in own],
                color=color,
                linewidth=width,
            )
        for row, score in zip(rows, own):
            axis.text(
                score.interval[1],
                row,
                f"  {score.accuracy:.0%}",
                va="center",
                fontsize=10,
                bbox={"facecolor": "white", "linewidth": 0, "pad": 0.5},
            )
    if chance:
        level, rows = [found[0].chance for found in scores.values()], np.arange(len(scores))
        axis.vlines(level, rows - 0.46, rows + 0.46, color="white", linewidth=3.5)
        axis.vlines(level, rows - 0.46, rows + 0.46, color="black", linestyle="--", label="chance")
    axis.set_yticks(range(len(scores)), list(scores))
    axis.invert_yaxis()
    axis.set(xlabel="accuracy, with 95 % interval", title=title, xlim=(0, 1.1))
    axis.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    figure.alt = f"{title}: " + "; ".join(
        f"{task}: " + ", ".join(f"{name} {score.accuracy:.0%}" for name, score in zip(names, found))
        for task, found in scores.items()
    )
    return figure


def artists(
    nouns: Sequence[str], names: Sequence[str] = tuple(ARTISTS), size: int = 56, columns: int = 1
) -> Plot:
    """The same things by each artist: a row for each noun, a column for each artist.

    Args:
        nouns: names of concepts.
        names: names of artists.
        size: height and width of a drawing in pixels.
        columns: blocks of rows side by side.
    """
    rows = -(-len(nouns) // columns)
    width, height = columns * (len(names) + 2) * size, (rows + 1.6) * size
    figure, ((axis,),) = subplots(1, 1, (width / 90, height / 90))
    for number, noun in enumerate(nouns):
        block, row = divmod(number, rows)
        left = block * (len(names) + 2)
        axis.text(left + 1.9, row + 0.5, noun, ha="right", va="center", fontsize=size / 6)
        for column, name in enumerate(names):
            for variant in CONCEPTS[noun].variants(name)[:1]:
                pixels = Thing(noun, artist=name, variant=variant).draw(2 * size)
                place = (left + 2 + column, left + 3 + column, row + 1, row)
                axis.imshow(pixels, extent=place, interpolation="antialiased")
    for block in range(columns):
        for column, name in enumerate(names):
            place = (block * (len(names) + 2) + 2.2 + column, -0.1)
            axis.text(*place, name, rotation=60, va="bottom", fontsize=size / 6)
    axis.set(xlim=(0, columns * (len(names) + 2)), ylim=(rows, -1.5))
    axis.axis("off")
    drawn = sum(bool(CONCEPTS[noun].variants(name)) for noun in nouns for name in names)
    figure.alt = (
        f"{len(nouns)} things, from {nouns[0]} to {nouns[-1]}, by {len(names)} artists "
        f"({', '.join(names)}): {drawn} drawings"
    )
    return figure


def picture(image: np.ndarray, alt: str, width: int = 300) -> Plot:
    """One picture, shown `width` pixels wide."""
    figure, ((axis,),) = subplots(1, 1, (width / 90, width / 90 * len(image) / len(image[0])))
    axis.imshow(image)
    axis.axis("off")
    figure.alt = alt
    return figure
