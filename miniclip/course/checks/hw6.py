"""The checks of homework 6, `notebooks/homework/hw6-the-speed-run.ipynb`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from miniclip.course.checks import cases
from miniclip.course.checks.cases import secret_seed
from miniclip.course.checks.judging import Check
from miniclip.course.speed_run import STUDENT, SpeedRun, final_run, speed_run

SEEDS = 3  # trainings of each entry by the grader


def _block(
    N: int, D: int, each: float = 2, projections: int = 4, looks: int = 2, inside: int = 4
) -> float:
    """Operations of a block on N tokens of D numbers: each product of a number counts as `each`;
    linear maps of D to D, products of N x N (scores, mixing), and the width inside the MLP."""
    return each * (projections * N * D * D + looks * N * N * D + 2 * inside * N * D * D)


def _ahead(
    first: np.ndarray,
    second: np.ndarray,
    arm: float | None = None,
    ddof: int = 1,
    power: float = 0.5,
    paired: bool = True,
) -> tuple[float, float, float]:
    """How far the first is ahead, seed by seed, and the ends of the interval."""
    change, n = first - second, len(first)
    spread = change.std(ddof=ddof)
    if not paired:
        spread = np.sqrt(first.var(ddof=ddof) + second.var(ddof=ddof))
    arm = (STUDENT[n] if arm is None else arm) * spread / n**power
    return change.mean(), change.mean() - arm, change.mean() + arm


def _accuracies(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Accuracies of two entries for n seeds, which are mostly good or bad for both."""
    rng = np.random.default_rng(secret_seed(seed))
    second = rng.uniform(0.3, 0.5, n)
    return (second + rng.normal(0.06, 0.02, n)).round(3), second.round(3)


HW6 = {
    "hw6.block_operations": Check(
        form="block_operations(tokens, width)",
        gives="the multiplications and additions of one block, forward, for one picture",
        right=_block,
        cases=lambda: {
            "two tokens of three numbers": (2, 3),
            "nano at 48 px": (36, 128),
            "more tokens than numbers": (256, 64),
        },
        mistakes={
            "a product of matrices adds as often as it multiplies, so everything counts twice": [
                lambda N, D: _block(N, D, each=1)
            ],
            "inside the MLP there are 4 D numbers for each token, on the way in and out": [
                lambda N, D: _block(N, D, inside=1)
            ],
            "the MLP has two linear maps, one to 4 D numbers and one back": [
                lambda N, D: _block(N, D, inside=2)
            ],
            "the MLP is missing": [lambda N, D: _block(N, D, inside=0)],
            "every token looks at every other: the scores and the mixing are missing": [
                lambda N, D: _block(N, D, looks=0)
            ],
            "attention takes two products of N x N: one for the scores, one to mix the values": [
                lambda N, D: _block(N, D, looks=1)
            ],
            "besides queries, keys and values there is a linear map behind the mixing": [
                lambda N, D: _block(N, D, projections=3)
            ],
            "queries, keys and values are three linear maps, not one": [
                lambda N, D: _block(N, D, projections=2),
                lambda N, D: _block(N, D, projections=1),
            ],
            "tokens and width are exchanged": [lambda N, D: _block(D, N)],
            "asked for is the way forward alone; the way back costs twice as much again": [
                lambda N, D: 3 * _block(N, D)
            ],
        },
        hint="add up the products in the text one by one, and print each of them",
    ),
    "hw6.ahead": Check(
        form="ahead(first, second)",
        gives="the mean difference over the seeds and the two ends of its 95 % interval",
        right=_ahead,
        cases=lambda: {
            "three seeds": (np.array([0.44, 0.41, 0.47]), np.array([0.40, 0.36, 0.44])),
            "five": _accuracies(5, 0),
            "eight": _accuracies(8, 1),
        },
        mistakes={
            "so few seeds leave it open how far seeds lie apart; 1.96 is for many, STUDENT[n] for "
            "a few": [
                lambda a, b: _ahead(a, b, 1.96),
                lambda a, b: _ahead(a, b, 1.96, ddof=0),
            ],
            "divide by n - 1 below the root (ddof=1): the mean of a few is nearer to them than the "
            "true one": [lambda a, b: _ahead(a, b, ddof=0)],
            "the same seed is mostly good or bad for both, so look at the difference seed by seed; "
            "your interval takes the two for independent": [
                lambda a, b: _ahead(a, b, paired=False),
                lambda a, b: _ahead(a, b, paired=False, ddof=0),
                lambda a, b: _ahead(a, b, 1.96, paired=False),
            ],
            "the standard error is the spread divided by the root of n; yours is not divided": [
                lambda a, b: _ahead(a, b, power=0)
            ],
            "the standard error is the spread divided by the root of n; yours is divided by n": [
                lambda a, b: _ahead(a, b, power=1)
            ],
            "first minus second, so that ahead is positive; yours is the other way round": [
                lambda a, b: _ahead(b, a)
            ],
            "that is the difference alone; how sure it is belongs to it": [
                lambda a, b: _ahead(a, b)[0]
            ],
            "those are the differences of the seeds; asked for is their mean, and how sure it is": [
                lambda a, b: a - b
            ],
            "shares from -1 to 1, not percent": [lambda a, b: tuple(100 * x for x in _ahead(a, b))],
            "the difference comes first, then the lower end, then the upper one": [
                lambda a, b: (_ahead(a, b)[1], _ahead(a, b)[0], _ahead(a, b)[2])
            ],
            "STUDENT goes by how many seeds there are; yours takes one fewer or one more": [
                lambda a, b: _ahead(a, b, STUDENT[len(a) - 1]),
                lambda a, b: _ahead(a, b, STUDENT.get(len(a) + 1, 2.306)),
            ],
        },
    ),
}


def last_word(entry: Mapping) -> SpeedRun:
    """The result that gives the points: while students try it out one training, tested on the
    artist for choosing; by the grader several, with seeds and pictures that nobody could choose
    by."""
    if not cases.SECRET:
        return speed_run(entry)
    return final_run(entry, [secret_seed(number) % 100_000 for number in range(SEEDS)])
