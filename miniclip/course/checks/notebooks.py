"""The checks of the exercises in notebooks that ask for code."""

from __future__ import annotations

import torch
from torch import Tensor

from miniclip.course.checks.cases import random_numbers, unit_vectors
from miniclip.course.checks.judging import Check


def _mask(T: int, diagonal: int = 0) -> Tensor:
    return torch.ones(T, T, dtype=torch.bool).tril(diagonal)


def _share(images: Tensor, texts: Tensor, dim: int = 1, largest: bool = True) -> float:
    """How often the nearest of the other side is the own one."""
    cosines = images @ texts.T
    chosen = cosines.argmax(dim) if largest else cosines.argmin(dim)
    return (chosen == torch.arange(len(images))).float().mean().item()


def _pairs() -> dict[str, tuple]:
    """Pairs of which some are found: by pictures and by texts not the same number."""
    small = unit_vectors(torch.tensor([[1.0, 0.0], [1.0, 0.2], [0.0, 1.0]]))
    texts = unit_vectors(torch.tensor([[1.0, -0.1], [1.0, 3.0], [0.4, 1.0]]))
    cases = {"three pairs": (small, texts)}
    for seed in range(3):
        x = random_numbers(12, 4, seed=seed)
        y = x + 0.8 * random_numbers(12, 4, seed=seed + 10)
        cases[f"12 pairs, number {seed + 1}"] = (unit_vectors(x), unit_vectors(y))
    return cases


def _needed(seen: list[int], right: list[float], level: float) -> float:
    """Pictures until a curve that starts at (0, 0) first reaches a level, on straight lines."""
    before, low = 0.0, 0.0
    for after, high in zip(seen, right):
        if high >= level:
            return before + (level - low) / (high - low) * (after - before)
        before, low = after, high
    return float("inf")


def _first(seen: list[int], right: list[float], level: float) -> float:
    return next((float(x) for x, y in zip(seen, right) if y >= level), float("inf"))


def _last(seen: list[int], right: list[float], level: float) -> float:
    """Where a curve crosses for the last time: wrong if it dips."""
    found, points = float("inf"), [(0, 0.0), *zip(seen, right)]
    for (before, low), (after, high) in zip(points, points[1:]):
        if low < level <= high:
            found = before + (level - low) / (high - low) * (after - before)
    return found


def _without_start(seen: list[int], right: list[float], level: float) -> float:
    """Without the line from (0, 0) to the first point."""
    if right[0] >= level:
        return float(seen[0])
    return _needed(seen, right, level)


CURVES = {
    "a rising curve": ([100, 200, 400], [0.1, 0.3, 0.7], 0.5),
    "reached before the first point": ([100, 200], [0.4, 0.6], 0.2),
    "a curve that dips": ([10, 20, 30, 40], [0.1, 0.5, 0.2, 0.6], 0.4),
    "never reached": ([10, 20], [0.1, 0.2], 0.5),
    "reached exactly": ([10, 20], [0.1, 0.2], 0.2),
}

NOTEBOOKS = {
    "02.causal_mask": Check(
        form="causal_mask(T)",
        gives="a bool tensor (T, T), True where the row's token may look at the column's",
        right=_mask,
        cases=lambda: {f"T = {T}": (T,) for T in (2, 1, 5)},
        mistakes={
            "a piece may look at itself, too": [lambda T: _mask(T, -1)],
            "your rows look at what comes behind them; they may look at what comes before": [
                lambda T: _mask(T).T
            ],
            "True is where a piece may look, and yours is the other way round": [
                lambda T: ~_mask(T)
            ],
        },
    ),
    "02.found": Check(
        form="found(images, texts)",
        gives="the share of pictures whose nearest text is their own, a number from 0 to 1",
        right=_share,
        cases=_pairs,
        mistakes={
            "you let texts find pictures; here each picture chooses among the texts": [
                lambda images, texts: _share(images, texts, 0)
            ],
            "the nearest text is the one with the largest cosine": [
                lambda images, texts: _share(images, texts, 1, False)
            ],
            "that is how many; divide by the number of pictures": [
                lambda images, texts: _share(images, texts) * len(images)
            ],
        },
    ),
    "06.pictures_needed": Check(
        form="pictures_needed(seen, right, level)",
        gives="the pictures until the curve first reaches the level, infinite if it never does",
        right=_needed,
        cases=lambda: CURVES,
        mistakes={
            "between two points the curve is a straight line; you took the next point": [_first],
            "the curve begins at zero pictures and an accuracy of zero": [_without_start],
            "it counts when the level is reached for the first time, not for the last": [_last],
        },
    ),
}
