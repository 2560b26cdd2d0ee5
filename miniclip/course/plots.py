"""Every figure that the notebooks and the command line show, each with a text for those who cannot
see it.

The colours are those of Okabe and Ito, which colour-blind readers can tell apart. A colour means
the same thing in every figure: see `INK`.
"""

from __future__ import annotations

import base64
import html
import io
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

INK = {
    "object": "#000000",
    "color": "#CC79A7",
    "place": "#56B4E9",
    "loss": "#555555",
    "right": "#009E73",
    "wrong": "#D55E00",
    "other": "#BBBBBB",
    "image": "#0072B2",
    "text": "#E69F00",
    "label": "#882255",
}
# The colours of a matrix: the higher the value, the darker the cell.
SHADES = LinearSegmentedColormap.from_list("shades", ["white", INK["image"]])
SIZES = {
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.labelsize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


class Plot(Figure):
    """A matplotlib figure with an alternative text that says in words and numbers what can be seen.
    Notebooks show both."""

    alt = ""

    def png(self, dpi: int = 90) -> bytes:
        """The figure as a PNG file."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=dpi)
        return buffer.getvalue()

    def to_html(self) -> str:
        """The figure as an <img> element, its alt text included."""
        return (
            f'<img alt="{html.escape(self.alt)}" style="max-width: 100%"'
            f' src="data:image/png;base64,{base64.b64encode(self.png()).decode()}">'
        )

    def _ipython_display_(self) -> None:
        from IPython.display import HTML, display

        display(HTML(self.to_html()))


def numbers(values) -> np.ndarray:
    """Numbers to draw as an array, from a list, an array, or a tensor on any device."""
    return values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)


def subplots(
    rows: int = 1, columns: int = 1, size: tuple[float, float] = (6, 4), **options
) -> tuple[Plot, np.ndarray]:
    """A figure of `size` inches and its axes (rows, columns). It is made without pyplot, so that
    notebooks do not show it twice."""
    from matplotlib import rc_context

    with rc_context(SIZES):
        figure = Plot(figsize=size, layout="constrained")
        return figure, figure.subplots(rows, columns, squeeze=False, **options)


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


def plot_history(history) -> Plot:
    """The loss and every score of a `History` over pictures seen."""
    names = [
        name
        for name in dict.fromkeys(key for row in history.rows for key in row)
        if name not in ("seen", "minutes", "loss", "scale")
    ]
    figure, axes = subplots(1, 1 + bool(names), (5 * (1 + bool(names)), 3.4))
    axes[0, 0].plot(*history.column("loss"), color=INK["loss"], marker="o", markersize=3)
    axes[0, 0].set(xlabel="pictures seen", ylabel="loss (nats)", ylim=(0, None))
    for name in names:
        axes[0, 1].plot(
            *history.column(name), color=INK.get(name), marker="o", markersize=3, label=name
        )
    if names:
        axes[0, 1].set(xlabel="pictures seen", ylabel="zero-shot score", ylim=(0, 1))
        axes[0, 1].legend(frameon=False)
    figure.alt = "curves over pictures seen; at the end: " + ", ".join(
        f"{name} {history.column(name)[1][-1]:.2f}" for name in ["loss", *names]
    )
    return figure


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
    dark = low + 0.6 * (high - low)
    for i in range(rows):
        for j in range(columns):
            axis.text(
                j,
                i,
                f"{values[i, j]:.2f}".replace("-0.00", "0.00"),
                ha="center",
                va="center",
                fontsize=11,
                color="white" if values[i, j] > dark else "black",
            )
        if diagonal and i < columns:
            axis.add_patch(
                Rectangle((i - 0.5, i - 0.5), 1, 1, fill=False, edgecolor=INK["right"], linewidth=4)
            )
    axis.set_xticks(
        range(columns),
        ["\n".join(textwrap.wrap(text, 11)[:5]) for text in texts] or range(columns),
        fontsize=9,
    )
    axis.set_yticks(range(rows), [""] * rows if images is not None else rows_are or range(rows))
    for i, image in enumerate(images if images is not None else ()):
        axis.add_artist(
            AnnotationBbox(
                OffsetImage(image, zoom=52 / image.shape[0]),
                (-0.5, i),
                box_alignment=(1.1, 0.5),
                frameon=False,
                annotation_clip=False,
            )
        )
    axis.set_title(title)
    if images is None and not len(texts):
        axis.set(xlabel="text", ylabel="picture")
    axis.spines[:].set_visible(False)
    figure.colorbar(shown, ax=axis, shrink=0.7)
    best = sum(int(row.argmax()) == i for i, row in enumerate(values))
    figure.alt = f"matrix of {rows} pictures by {columns} texts"
    if diagonal:
        rest = values[~np.eye(rows, columns, dtype=bool)].mean()
        figure.alt += (
            f"; {best} of {rows} rows have their largest number on the diagonal, which has"
            f" {np.diag(values).mean():.2f} on average, the rest {rest:.2f}"
        )
    else:
        figure.alt += "; the largest numbers of its rows: " + ", ".join(
            f"{texts[j] if len(texts) else j} ({row[j]:.2f})"
            for row, j in zip(values, values.argmax(axis=1))
        )
    return figure


def curves(
    x: Sequence[float],
    series: dict[str, Sequence[float]],
    xlabel: str,
    ylabel: str,
    title: str = "",
    log: float = 0,
    marks: dict[str, float] | None = None,
    inks: dict[str, str] | None = None,
    size: tuple[float, float] = (7, 4),
    bands: dict[str, Sequence[tuple[float, float]]] | None = None,
    levels: dict[str, float] | None = None,
    dashed: Sequence[str] = (),
    shaded: str = "shaded: 95 % interval",
    percent: bool = False,
    **limits,
) -> Plot:
    """Curves over a common x, named in a legend.

    Args:
        x: positions of the points.
        series: {name: the values of a curve}.
        xlabel, ylabel, title: texts of the figure.
        log: base of a logarithmic x, or 0 for a linear one.
        marks: {name: x} for dashed vertical lines.
        levels: {name: y} for dotted horizontal lines.
        bands: an interval around each point of a curve; `shaded` names what the band is.
        dashed: names of curves that are drawn dashed and on top, in black unless `inks` says
            otherwise.
        inks: colours of curves by name.
        percent: write y in percent.
    """
    figure, ((axis,),) = subplots(1, 1, size)
    palette = ["#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7"]
    for number, (name, values) in enumerate(series.items()):
        color = (inks or {}).get(name) or INK.get(name) or palette[number % len(palette)]
        style = (
            {
                "linestyle": (0, (2, 2)),
                "color": (inks or {}).get(name, "black"),
                "linewidth": 1.5,
                "zorder": 3,
            }
            if name in dashed
            else {"linewidth": 2.5, "marker": "o", "markersize": 5, "color": color}
        )
        axis.plot(x, values, label=name, **style)
        if name in (bands or {}):
            axis.fill_between(x, *zip(*bands[name]), color=color, alpha=0.2, linewidth=0)
    for name, at in (marks or {}).items():
        axis.axvline(at, color="#555555", linestyle="--")
        axis.annotate(
            name,
            (at, 1),
            xycoords=("data", "axes fraction"),
            xytext=(5, -5),
            textcoords="offset points",
            va="top",
            fontsize=11,
        )
    for name, at in (levels or {}).items():
        axis.axhline(at, color="#555555", linestyle=":")
        # Write the name of the level where the curves are farther away from it.
        left = all(abs(values[0] - at) > abs(values[-1] - at) for values in series.values())
        axis.annotate(
            name,
            (0 if left else 1, at),
            xycoords=("axes fraction", "data"),
            xytext=(4 if left else -2, 3),
            textcoords="offset points",
            ha="left" if left else "right",
            fontsize=11,
        )
    if log:
        axis.set_xscale("log", base=log)
        if len(x) <= 8:
            axis.set_xticks(x, [f"{value:,g}" for value in x])
    axis.set(xlabel=xlabel, ylabel=ylabel, title=title, **limits)
    if percent:
        axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    if bands:
        axis.fill_between([], [], color=INK["loss"], alpha=0.2, linewidth=0, label=shaded)
    axis.legend(
        frameon=False,
        **(
            {"loc": "upper left", "bbox_to_anchor": (1, 1)} if len(series) + bool(bands) > 4 else {}
        ),
    )
    figure.alt = f"{title or ylabel} over {xlabel}: " + "; ".join(
        f"{name} from {values[0]:.2f} to {[value for value in values if value == value][-1]:.2f}"
        for name, values in series.items()
    )
    return figure


def bars(
    values: dict[str, float],
    xlabel: str,
    intervals: Sequence[tuple[float, float]] | None = None,
    chance: float | None = None,
    title: str = "",
    inks: Sequence[str] | None = None,
    percent: bool = True,
    limit: float | None = None,
) -> Plot:
    """Horizontal bars with numbers, 95 % intervals as whiskers, and chance as a dashed line."""
    figure, ((axis,),) = subplots(1, 1, (8, 0.9 + 0.5 * len(values)))
    names, heights = list(values), list(values.values())
    axis.barh(range(len(names)), heights, color=inks or INK["image"], height=0.7)
    if intervals is not None:
        for width, color in ((4.5, "white"), (2, "black")):  # seen on a dark bar, too
            axis.hlines(
                range(len(names)),
                [low for low, _ in intervals],
                [high for _, high in intervals],
                color=color,
                linewidth=width,
            )
    ends = [high for _, high in intervals] if intervals is not None else heights
    for row, (value, end) in enumerate(zip(heights, ends)):
        axis.text(
            end, row, f"  {value:.1%}" if percent else f"  {value:.2f}", va="center", fontsize=12
        )
    if chance is not None:
        axis.axvline(chance, color="#555555", linestyle="--")
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set(
        xlabel=xlabel + (", dashed: chance" if chance is not None else ""),
        title=title,
        xlim=(0, limit or max(ends) * 1.15),
    )
    if percent:
        axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    figure.alt = f"{title or xlabel}: " + ", ".join(
        f"{name} {value:.1%}" if percent else f"{name} {value:.2f}"
        for name, value in values.items()
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
            rows, columns = maps[0].shape
            for width, color in ((5, "black"), (2.5, "white")):
                axis.add_patch(
                    Rectangle(
                        (mark[1] / columns, mark[0] / rows),
                        1 / columns,
                        1 / rows,
                        fill=False,
                        edgecolor=color,
                        linewidth=width,
                    )
                )
        axis.set_title(title, fontsize=13, pad=8)
        axis.set_xticks([])
        axis.set_yticks([])
    figure.alt = f"{name}: " + "; ".join(
        f"{title}, highest in row {np.argmax(values) // values.shape[1]}, column"
        f" {np.argmax(values) % values.shape[1]}"
        for title, values in zip(titles, maps)
    )
    return figure


def points(
    groups: dict[str, np.ndarray],
    notes: Sequence[tuple[float, float, str]] = (),
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
    links: int = 0,
) -> Plot:
    """Groups of points (n, 2) in the plane, with notes beside some. The first `links` points of the
    first two groups are joined by lines."""
    figure, ((axis,),) = subplots(1, 1, (9, 6.5))
    marks = iter("osD^vPX*<>")
    for name, xy in groups.items():
        axis.scatter(
            *np.asarray(xy).T, label=name, s=28, alpha=0.8, marker=next(marks), color=INK.get(name)
        )
    for pair in zip(*[xy[:links] for xy in list(groups.values())[:2]]):
        axis.plot(*np.array(pair).T, color="#555555", linewidth=1, zorder=0)
    for x, y, note in notes:
        box = {"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
        axis.annotate(
            textwrap.shorten(note, 34, placeholder=" …"),
            (x, y),
            xytext=(6, 8),
            textcoords="offset points",
            fontsize=11,
            bbox=box,
        )
    axis.set(title=title, xlabel=xlabel, ylabel=ylabel)
    axis.legend(frameon=False)
    figure.alt = f"{title}: " + "; ".join(
        f"{len(xy)} points of {name} around ({np.mean(xy, axis=0)[0]:.2f},"
        f" {np.mean(xy, axis=0)[1]:.2f})"
        for name, xy in groups.items()
    )
    return figure


def robustness(
    lines: dict[str, dict[str, Sequence[tuple[float, float]]]],
    n: int,
    inks: dict[str, str],
    columns: int = 4,
    title: str = "Equally good at home: which is better away?",
) -> Plot:
    """Effective robustness (Taori et al. 2020): a panel for each shift, with accuracy under the
    shift over accuracy at home, and a line for each model along its training.

    Args:
        lines: {model: {shift: [(accuracy at home, accuracy under the shift), ...]}}, accuracies in
            [0, 1].
        n: test pictures behind each accuracy, for the 95 % intervals.
        inks: the colour of each model.
        columns: panels in a row.
        title: of the figure.
    """
    from miniclip.zeroshot import wilson

    shifts = list(next(iter(lines.values())))
    rows = -(-len(shifts) // columns)
    figure, axes = subplots(rows, columns, (3.3 * columns, 3.4 * rows), sharex=True, sharey=True)
    ticks = (0.05, 0.2, 0.5, 0.8, 0.95, 0.99)
    inside = lambda p: np.clip(p, 0.5 / n, 1 - 0.5 / n)
    logit = lambda p: np.log(inside(p) / (1 - inside(p)))
    gaps = []
    for axis, shift in zip(axes.flat, shifts):
        axis.plot(
            logit(np.array(ticks)),
            logit(np.array(ticks)),
            color="#AAAAAA",
            linestyle="--",
            linewidth=1,
            label="as good as at home",
        )
        for name, panels in lines.items():
            x, y = np.array(panels[shift]).T
            spread = np.array([wilson(round(value * n), n) for value in y]).T
            axis.errorbar(
                logit(x),
                logit(y),
                [logit(y) - logit(spread[0]), logit(spread[1]) - logit(y)],
                color=inks[name],
                marker="o",
                markersize=4,
                linewidth=1.5,
                elinewidth=0.8,
                label=name,
            )
        axis.set(
            title=shift,
            xticks=logit(np.array(ticks)),
            xticklabels=[f"{tick:.0%}" for tick in ticks],
            yticks=logit(np.array(ticks)),
            yticklabels=[f"{tick:.0%}" for tick in ticks],
        )
        axis.tick_params(labelsize=9)
        gaps.append(
            f"{shift} "
            + ", ".join(f"{name} {panels[shift][-1][1]:.0%}" for name, panels in lines.items())
        )
    for axis in axes.flat[len(shifts) :]:
        axis.axis("off")
    axes[0, 0].legend(frameon=False)
    figure.supxlabel("accuracy at home (logit scale)")
    figure.supylabel("accuracy under the shift (logit scale)")
    figure.suptitle(title, fontsize=13)
    figure.alt = (
        "accuracy under a shift over accuracy at home, along two trainings; at their ends: "
        + "; ".join(gaps)
    )
    return figure


def picture(image: np.ndarray, alt: str, width: int = 300) -> Plot:
    """One picture, shown `width` pixels wide."""
    figure, ((axis,),) = subplots(1, 1, (width / 90, width / 90 * len(image) / len(image[0])))
    axis.imshow(image)
    axis.axis("off")
    figure.alt = alt
    return figure
