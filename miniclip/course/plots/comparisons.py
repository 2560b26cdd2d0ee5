"""Figures that compare trainings: learning curves side by side, ratios and gaps with intervals, and
effective robustness."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, PercentFormatter

from miniclip.course.plots.base import INK, Plot, subplots
from miniclip.zeroshot import wilson

Interval = tuple[float, float, float]  # a value, and the ends of its interval
Points = Sequence[tuple[float, float]]  # (accuracy at home, accuracy under a shift), in [0, 1]


def panels(
    groups: Mapping[str, Mapping[str, Mapping[float, Interval]]],
    xlabel: str,
    ylabel: str,
    inks: Mapping[str, str],
    title: str = "",
    shaded: str = "shaded: 95 % interval",
) -> Plot:
    """Curves of accuracies, in panels side by side with the same axes.

    Args:
        groups: {title of a panel: {name of a curve: {x: (accuracy, low, high)}}}.
        xlabel, ylabel, title: texts of the figure.
        inks: the colour of each curve.
        shaded: what the bands are.
    """
    size = (5.2 * len(groups) + 1, 4.4)
    figure, axes = subplots(1, len(groups), size, sharex=True, sharey=True)
    for axis, (name, curves) in zip(axes.flat, groups.items()):
        for label, curve in curves.items():
            middle, low, high = np.array(list(curve.values())).T
            axis.fill_between(list(curve), low, high, color=inks[label], alpha=0.18, linewidth=0)
            style = {"linewidth": 2.5, "marker": "o", "markersize": 5}
            axis.plot(list(curve), middle, color=inks[label], label=label, **style)
        axis.set(title=name, xlabel=xlabel, ylim=(0, None), xlim=(0, None))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1000:g}k"))
        axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes[0, 0].set_ylabel(ylabel)
    axes[0, 0].fill_between([], [], color="#555555", alpha=0.18, linewidth=0, label=shaded)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), frameon=False, loc="outside right upper")
    figure.suptitle(title, fontsize=14)
    figure.alt = f"{title or ylabel} over {xlabel}; at the end: " + "; ".join(
        f"{name}: "
        + ", ".join(f"{label} {list(curve.values())[-1][0]:.0%}" for label, curve in curves.items())
        for name, curves in groups.items()
    )
    return figure


def ratios(
    groups: Mapping[str, Mapping[str, Interval]],
    xlabel: str,
    inks: Mapping[str, str],
    title: str = "",
    ticks: Sequence[float] = (0.25, 0.5, 1, 2, 4, 8),
) -> Plot:
    """Ratios on a logarithmic axis, with their intervals: a row for each, in groups.

    Args:
        groups: {name of a group: {name of a row: (ratio, low, high)}}; an infinite one is a row
            that has no end, shown as an arrow from its low end on.
        xlabel, title: texts of the figure.
        inks: the colour of each row.
        ticks: of the axis; it reaches from the first to the last.
    """
    count = sum(map(len, groups.values())) + len(groups)
    figure, ((axis,),) = subplots(1, 1, (9, 0.9 + 0.42 * count))
    place, names, words = 0.0, {}, []
    for group, rows in groups.items():
        names[place] = group
        for row, (value, low, high) in rows.items():
            place += 1
            names[place] = f"{row}  "
            start, end = max(low, ticks[0]), min(high, ticks[-1])
            axis.plot((start, end), (place, place), color=inks[row], linewidth=4, alpha=0.35)
            text = f"{value:.1f}x" if value >= 1 else f"{value:.2f}x"
            text = text if value < math.inf else f"more than {low:.1f}x"
            if value < math.inf:
                axis.plot(value, place, "o", color=inks[row], markersize=9)
            else:
                axis.plot(end, place, ">", color=inks[row], markersize=9, clip_on=False)
            axis.text(ticks[-1] * 1.06, place, text, va="center", fontsize=12)
            words.append(f"{group}, {row} {text}")
        place += 1.3
    axis.axvline(1, color="#555555", linestyle="--")
    axis.set_xscale("log", base=2)
    axis.set_xticks(ticks, [f"{tick:g}x" for tick in ticks])
    axis.minorticks_off()
    axis.set_yticks(list(names), list(names.values()))
    for label in axis.get_yticklabels():
        if label.get_text() in groups:
            label.set_fontweight("bold")
    axis.tick_params(axis="y", length=0)
    axis.invert_yaxis()
    axis.set(xlabel=xlabel, title=title, xlim=(ticks[0], ticks[-1]))
    figure.alt = f"{title or xlabel}: " + "; ".join(words)
    return figure


def stacked(
    rows: Mapping[str, tuple[float, float]],
    parts: tuple[str, str],
    xlabel: str,
    title: str = "",
) -> Plot:
    """Horizontal bars of two parts each: {name: (first part, second part)}."""
    figure, ((axis,),) = subplots(1, 1, (9, 1.2 + 0.5 * len(rows)))
    first, second = np.array(list(rows.values())).clip(min=0).T
    axis.barh(list(rows), first, color=INK["image"], height=0.7, label=parts[0])
    axis.barh(list(rows), second, left=first, color=INK["other"], height=0.7, label=parts[1])
    for row, (one, other) in enumerate(zip(first, second)):
        text = f"  {one:.1f} of {one + other:.1f}"
        axis.text(one + other, row, text, va="center", fontsize=12)
    axis.invert_yaxis()
    axis.set(xlabel=xlabel, title=title, xlim=(0, 1.15 * (first + second).max()))
    axis.legend(frameon=False, loc="lower right")
    figure.alt = f"{title or xlabel}: " + "; ".join(
        f"{name} {one:.1f} {parts[0]}, {other:.1f} {parts[1]}"
        for name, one, other in zip(rows, first, second)
    )
    return figure


def diagnosis(
    cases: Mapping[str, Sequence[Mapping[str, float]]], columns: Mapping[str, str]
) -> Plot:
    """Curves of several trainings without their names: a row for each, a panel for each column.

    Args:
        cases: {letter: rows with "seen" and the columns}.
        columns: {column: how it is called}.
    """
    size = (3.6 * len(columns), 1.5 * len(cases) + 0.6)
    figure, axes = subplots(len(cases), len(columns), size, sharex=True, sharey="col")
    for line, (letter, rows) in zip(axes, cases.items()):
        for axis, column in zip(line, columns):
            seen = [row["seen"] for row in rows]
            axis.plot(seen, [row[column] for row in rows], color=INK["image"], linewidth=2.5)
            axis.set_ylim(0, 1.08 * max(row[column] for some in cases.values() for row in some))
            axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1000:g}k"))
        line[0].set_ylabel(letter, rotation=0, fontsize=16, fontweight="bold", labelpad=18)
    for axis, title in zip(axes[0], columns.values()):
        axis.set_title(title)
    figure.supxlabel("pictures seen")
    figure.alt = "; ".join(
        f"{letter}: "
        + ", ".join(f"{name} to {rows[-1][column]:.2f}" for column, name in columns.items())
        for letter, rows in cases.items()
    )
    return figure


def robustness(
    models: Mapping[str, Mapping[str, Points]],
    n: int,
    inks: Mapping[str, str],
    line: str,
    columns: int = 2,
    title: str = "Equally good at home: which is better away?",
) -> Plot:
    """Effective robustness (Taori et al. 2020): a panel for each shift, with the accuracy under the
    shift over the accuracy at home, a point for each trained model, and a fitted line.

    Args:
        models: {kind of model: {shift: points}}.
        n: test pictures behind each accuracy, for the 95 % intervals.
        inks: the colour of each kind.
        line: the kind of model to which the line is fitted, on the logit scale of both axes.
        columns: panels in a row.
        title: of the figure.
    """
    shifts = list(models[line])
    rows = -(-len(shifts) // columns)
    size = (5.2 * columns, 4.6 * rows)
    figure, axes = subplots(rows, columns, size, sharex=True, sharey=True)
    for axis, shift in zip(axes.flat, shifts):
        panel = {name: points[shift] for name, points in models.items()}
        _draw_panel(axis, panel, n, inks, line)
        axis.set_title(shift)
    for axis in axes.flat[len(shifts) :]:
        axis.axis("off")
    axes[0, 0].legend(frameon=False, loc="upper left")
    figure.supxlabel("accuracy at home (logit scale)")
    figure.supylabel("accuracy under the shift (logit scale)")
    figure.suptitle(title, fontsize=14)
    best = (
        f"{shift} "
        + ", ".join(
            f"{name} {max(away for _, away in of[shift]):.0%}" for name, of in models.items()
        )
        for shift in shifts
    )
    figure.alt = (
        f"accuracy under a shift over accuracy at home, with a line through the {line}; the best: "
        + "; ".join(best)
    )
    return figure


def _logit(share, n: int) -> np.ndarray:
    """The logarithm of the odds of shares of n; 0 and 1, whose logit is infinite, count as half a
    picture more and less."""
    inside = np.clip(share, 0.5 / n, 1 - 0.5 / n)
    return np.log(inside / (1 - inside))


def _draw_panel(
    axis: Axes, models: Mapping[str, Points], n: int, inks: Mapping[str, str], line: str
) -> None:
    """One panel of `robustness`."""
    ticks = np.array((0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.99))
    every = np.array([xy for points in models.values() for xy in points])
    ticks = ticks[(ticks > every.min() / 1.6) & (1 - ticks > (1 - every.max()) / 1.6)]
    place = _logit(ticks, n)
    axis.plot(place, place, color="#AAAAAA", linestyle="--", label="as good as at home")
    x, y = (_logit(values, n) for values in np.array(models[line]).T)
    ends = np.array((place[0], place[-1]))
    slope, start = np.polyfit(x, y, 1)
    axis.plot(ends, start + slope * ends, color=inks[line], alpha=0.5, label=f"fit to {line}")
    for name, points in models.items():
        home, away = np.array(points).T
        low, high = np.array([wilson(round(value * n), n) for value in away]).T
        spread = [_logit(away, n) - _logit(low, n), _logit(high, n) - _logit(away, n)]
        style = {"fmt": "o", "markersize": 8, "elinewidth": 1.2, "color": inks[name]}
        axis.errorbar(_logit(home, n), _logit(away, n), spread, label=name, **style)
    names = [f"{tick:.0%}" for tick in ticks]
    axis.set(xticks=place, xticklabels=names, yticks=place, yticklabels=names)
    axis.set(xlim=ends, ylim=(place[0] - 0.3, place[-1]))


def gaps(
    series: Mapping[str, Mapping[str, Interval]],
    xlabel: str,
    inks: Mapping[str, str],
    title: str = "",
) -> Plot:
    """Differences with their intervals around a line at zero: a row for each, and in it a point for
    each series.

    Args:
        series: {name of a series: {name of a row: (difference, low, high)}}, all with the same
            rows.
        xlabel, title: texts of the figure.
        inks: the colour of each series.
    """
    rows = list(next(iter(series.values())))
    step = 0.8 / len(series)
    figure, ((axis,),) = subplots(1, 1, (9, 1.2 + len(rows) * (0.3 + 0.18 * len(series))))
    for number, (name, found) in enumerate(series.items()):
        for row, label in enumerate(rows):
            value, low, high = found[label]
            y = row + (number - (len(series) - 1) / 2) * step
            axis.plot((low, high), (y, y), color=inks[name], linewidth=4, alpha=0.35)
            text = name if len(series) > 1 and not row else None
            axis.plot(value, y, "o", color=inks[name], markersize=9, label=text)
    axis.axvline(0, color="#555555", linestyle="--")
    axis.set_yticks(range(len(rows)), rows)
    axis.tick_params(axis="y", length=0)
    axis.invert_yaxis()
    axis.set(xlabel=xlabel, title=title)
    if len(series) > 1:
        figure.legend(frameon=False, loc="outside right upper")
    figure.alt = f"{title or xlabel}: " + "; ".join(
        f"{row} " + ", ".join(f"{name} {found[row][0]:+.0f}" for name, found in series.items())
        for row in rows
    )
    return figure
