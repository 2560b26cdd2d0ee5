"""Figures of numbers: curves, bars and points."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from miniclip.course.plots.base import INK, Plot, subplots

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7")


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
    for number, (name, values) in enumerate(series.items()):
        color = (inks or {}).get(name) or INK.get(name) or PALETTE[number % len(PALETTE)]
        style = {"linewidth": 2.5, "marker": "o", "markersize": 5, "color": color}
        if name in dashed:
            black = (inks or {}).get(name, "black")
            style = {"linestyle": (0, (2, 2)), "color": black, "linewidth": 1.5, "zorder": 3}
        axis.plot(x, values, label=name, **style)
        if name in (bands or {}):
            axis.fill_between(x, *zip(*bands[name]), color=color, alpha=0.2, linewidth=0)
    _draw_marks(axis, marks or {})
    _draw_levels(axis, levels or {}, series)
    if log:
        axis.set_xscale("log", base=log)
        if len(x) <= 8:
            axis.set_xticks(x, [f"{value:,g}" for value in x])
    axis.set(xlabel=xlabel, ylabel=ylabel, title=title, **limits)
    if percent:
        axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    if bands:
        axis.fill_between([], [], color=INK["loss"], alpha=0.2, linewidth=0, label=shaded)
    many = len(series) + bool(bands) > 4  # then the legend stands beside the curves
    beside = {"loc": "upper left", "bbox_to_anchor": (1, 1)} if many else {}
    axis.legend(frameon=False, **beside)
    figure.alt = f"{title or ylabel} over {xlabel}: " + "; ".join(
        f"{name} from {values[0]:.2f} to {[value for value in values if value == value][-1]:.2f}"
        for name, values in series.items()
    )
    return figure


class Live:
    """A figure of `curves` that grows while something runs.

    Args:
        options: what `curves` takes besides x and the series.
    """

    def __init__(self, **options):
        self.options, self.shown = options, None

    def show(self, x: Sequence[float], series: dict[str, Sequence[float]]) -> None:
        """Show the curves as they are now, in the place of those that were shown before."""
        from IPython.display import HTML, display

        figure = curves(x, series, **self.options)
        figure.alt = f"{self.options.get('title', 'curves')}: it grows along the training"
        if self.shown is None:
            self.shown = display(HTML(figure.to_html()), display_id=True)
        else:
            self.shown.update(HTML(figure.to_html()))


def _draw_marks(axis: Axes, marks: dict[str, float]) -> None:
    """Dashed vertical lines at {name: x}."""
    for name, at in marks.items():
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


def _draw_levels(axis: Axes, levels: dict[str, float], series: dict[str, Sequence[float]]) -> None:
    """Dotted horizontal lines at {name: y}, named where the curves are farther away from them."""
    for name, at in levels.items():
        axis.axhline(at, color="#555555", linestyle=":")
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
