"""The checks of homework 3, `notebooks/homework/hw3-the-garden.ipynb`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from miniclip.course.checks.cases import SMALL, random_numbers, secret_seed
from miniclip.course.checks.judging import Check, Feedback, as_plain, describe

# Six tulips, four roses and two lotuses.
TARGETS = np.array("tulip rose tulip lotus rose tulip lotus rose tulip rose tulip tulip".split())


def _draw_rows(call: Callable, start: str, shots: int, seed: int) -> np.ndarray:
    """Call a student's `few_rows`, and raise `Feedback` unless it returns row numbers."""
    targets = TARGETS.copy()
    given = call(targets, shots, seed)
    if not (targets == TARGETS).all():
        raise Feedback(
            f"{start} afterwards targets is no longer what it was. Hint: shuffling in place"
            " changes what the caller still needs; make something new instead."
        )
    rows = as_plain(given)
    if given is None:
        raise Feedback(
            f"{start} expected six row numbers, yours gives None. Hint: is there a `return`?"
        )
    if (
        not isinstance(rows, np.ndarray)
        or np.asarray(given if not isinstance(given, Tensor) else rows).dtype == bool
    ):
        raise Feedback(
            f"{start} expected the numbers of six rows, yours gives {describe(given)[:80]}. Hint:"
            " which rows, not which labels and not a mask."
        )
    if (
        rows.ndim != 1
        or not (rows == rows.round()).all()
        or rows.min(initial=0) < 0
        or rows.max(initial=0) >= len(TARGETS)
    ):
        raise Feedback(
            f"{start} expected whole numbers from 0 to 11 in one row, yours gives"
            f" {describe(given)}."
        )
    return rows.astype(int)


def _look_at_few(call: Callable) -> None:
    """Judge a draw: as many rows of each class as asked for, none twice, decided by the seed."""
    start = f"for targets = {describe(TARGETS.tolist())} and shots = 2:"
    draw = lambda shots, seed: _draw_rows(call, start, shots, seed)
    rows = draw(2, 0)
    _look_at_counts(start, rows, draw)
    _look_at_seeds(start, rows, draw)
    one_of_each = {tuple(sorted(TARGETS[draw(1, seed)])) for seed in range(4)}
    if len(one_of_each) != 1 or len(draw(1, 0)) != 3:
        raise Feedback(
            f"{start[:-1]}, but with shots = 1: expected three rows, one of each class, yours takes"
            f" {draw(1, 0).tolist()}."
        )


def _look_at_counts(start: str, rows: np.ndarray, draw: Callable) -> None:
    """Two rows of each class, and no row twice."""
    counts = {str(name): int((TARGETS[rows] == name).sum()) for name in np.unique(TARGETS)}
    if len(rows) == 2:
        raise Feedback(
            f"{start} yours takes {len(rows)} rows in all. Hint: shots are pictures of each class,"
            " not of all classes together."
        )
    repeats = len(set(rows.tolist())) < len(rows)
    # With replacement a draw may have no row twice by luck, so two more seeds are tried.
    if repeats or all(len(set(draw(2, seed).tolist())) < 6 for seed in (5, 6)):
        raise Feedback(
            f"{start} yours takes a row twice: {rows.tolist()}. Hint: draw without replacement; the"
            " same picture twice is one picture."
        )
    if set(counts.values()) != {2}:
        raise Feedback(
            f"{start} expected two of each class, yours takes {counts}. Hint: draw within each"
            " class by itself."
        )


def _look_at_seeds(start: str, rows: np.ndarray, draw: Callable) -> None:
    """The same seed gives the same rows, other seeds give others."""
    if sorted(rows) != sorted(draw(2, 0)):
        raise Feedback(
            f"{start} the same seed gives other rows the second time. Hint: nobody can repeat such"
            " an experiment; make a generator from the seed, inside the function."
        )
    if len({tuple(sorted(draw(2, seed))) for seed in range(6)}) < 3:
        raise Feedback(
            f"{start} other seeds give the same rows. Hint: the first pictures of a class may be"
            " alike; let the seed decide which."
        )


def _scaled(
    train: np.ndarray,
    test: np.ndarray,
    of_train: np.ndarray | None = None,
    of_test: np.ndarray | None = None,
    ddof: int = 0,
    power: float = 1,
    axis: int = 0,
):
    """Standardise both sets, each by the statistics of `of_train` and `of_test`.

    By default these are those of the training set, which is right. `power` 0 leaves out the
    division, 2 divides by the variance.
    """

    def scale(x: np.ndarray, by: np.ndarray) -> np.ndarray:
        spread = by.std(axis=axis, ddof=ddof, keepdims=True) ** power
        middle = by.mean(axis=axis, keepdims=True)
        return (x - middle) / np.where(spread == 0, 1, spread)

    of_train, of_test = (
        train if of_train is None else of_train,
        train if of_test is None else of_test,
    )
    return scale(train, of_train), scale(test, of_test)


def _zero_divided(train: np.ndarray, test: np.ndarray, ddof: int = 0):
    """A wrong `standardize` that divides a feature that never changes by 0."""
    with np.errstate(all="ignore"):
        return tuple((x - train.mean(0)) / train.std(0, ddof=ddof) for x in (train, test))


def _features(n: int, m: int, d: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random features of n training and m test pictures, (n, d) and (m, d)."""
    rng = np.random.default_rng(secret_seed(seed))
    return rng.normal(2, 3, (n, d)), rng.normal(-1, 2, (m, d))


def _constant(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same sets, with a feature that never changes in training."""
    train[:, 1] = 4.0
    return train, test


def _logistic(x: Tensor, y: Tensor, w: Tensor, dim: int = 1, hot: float = 1) -> Tensor:
    """The sum over pictures of (p - y) x, (C, D); `hot` 0 leaves out the targets y."""
    return ((x @ w.T).softmax(dim) - hot * F.one_hot(y, len(w))).T @ x


def _blend(before: dict, after: dict, share: float, first: float | None = None) -> dict:
    """`share` of the second weights and `first` of the first, by default the rest."""
    first = 1 - share if first is None else first
    return {
        name: (
            first * before[name] + share * after[name]
            if before[name].is_floating_point()
            else after[name].clone()
        )
        for name in before
    }


def _weights(seed: int, count: int) -> dict[str, Tensor]:
    """Weights by name, as a `state_dict` has them; `batches` is a whole number."""
    return {
        "weight": random_numbers(2, 2, seed=seed),
        "bias": random_numbers(3, seed=seed + 1),
        "batches": torch.tensor(count),
    }


def _pairs(scores: np.ndarray, present: np.ndarray, ties: float = 0.5) -> np.ndarray:
    """For each pair of a picture that has it and one that has not: 1 where the first has the higher
    score, 0 where it has the lower one, and `ties` where they are equal."""
    above = scores[present][:, None] - scores[~present][None]
    return np.where(above == 0, ties, above > 0)


def _scores(n: int, found: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of n pictures, rounded so that some are equal, and which of them have it."""
    rng = np.random.default_rng(secret_seed(seed))
    present = rng.permutation(n) < found
    return (rng.normal(present * 0.8, 1.0)).round(1), present


# In the short functions below, a and b are the two sets (of features, or of weights), ddof=1 is
# the standard deviation with n - 1; x are features, y targets, w weights, s a share.
HW3 = {
    "hw3.few_rows": Check(
        form="few_rows(targets, shots, seed)",
        gives="row numbers, as many of each class as there are shots, none twice, decided by the"
        " seed",
        look=_look_at_few,
    ),
    "hw3.standardize": Check(
        form="standardize(train, test)",
        gives="both sets, each feature moved and scaled so that on the training set its mean is 0"
        " and its standard deviation 1",
        right=_scaled,
        cases=lambda: {
            "three rows and two": (
                np.array([[1.0, 10.0], [2.0, 20.0], [6.0, 60.0]]),
                np.array([[2.0, 0.0], [3.0, 30.0]]),
            ),
            "more": _features(6, 4, 3, 0),
            "square": _features(5, 5, 5, 1),
            "a feature that never changes": _constant(*_features(6, 3, 3, 2)),
        },
        mistakes={
            "the test is scaled by its own mean and spread; then the same picture would get other "
            "features in other company, and the test has leaked": [
                lambda a, b: _scaled(a, b, of_test=b),
                lambda a, b: _scaled(a, b, of_test=b, ddof=1),
            ],
            "mean and spread were measured on both sets together; that is leaking the test set "
            "into training": [
                lambda a, b: _scaled(a, b, np.concatenate([a, b]), np.concatenate([a, b])),
                lambda a, b: _scaled(a, b, np.concatenate([a, b]), np.concatenate([a, b]), ddof=1),
            ],
            "a feature is a column, so its mean is over the rows; yours is over the wrong "
            "dimension": [
                lambda a, b: (_scaled(a, a, axis=1)[0], _scaled(b, b, axis=1)[0]),
                lambda a, b: (_scaled(a, a, axis=1, ddof=1)[0], _scaled(b, b, axis=1, ddof=1)[0]),
            ],
            "each feature has a mean of its own; yours takes one over all numbers": [
                lambda a, b: ((a - a.mean()) / a.std(), (b - a.mean()) / a.std())
            ],
            "the mean is taken off, but nothing is divided by the spread": [
                lambda a, b: _scaled(a, b, power=0)
            ],
            "nothing was taken off: the mean has to become 0": [
                lambda a, b: (
                    a / np.where(a.std(0) == 0, 1, a.std(0)),
                    b / np.where(a.std(0) == 0, 1, a.std(0)),
                )
            ],
            "the spread is the standard deviation, not the variance": [
                lambda a, b: _scaled(a, b, power=2),
                lambda a, b: _scaled(a, b, power=2, ddof=1),
            ],
            "a feature that never changes has a spread of 0, and must not be divided by it": [
                _zero_divided,
                lambda a, b: _zero_divided(a, b, 1),
            ],
            "the test set was left as it was; the probe would meet features on another scale": [
                lambda a, b: (_scaled(a, b)[0], b)
            ],
            "training first, then test": [lambda a, b: _scaled(a, b)[::-1]],
        },
        also=(lambda a, b: _scaled(a, b, ddof=1),),
    ),
    "hw3.auc": Check(
        form="auc(scores, present)",
        gives="the AUC: in which share of the pairs the picture that has it has the higher score",
        right=lambda s, p: _pairs(s, p).mean(),
        cases=lambda: {
            "five pictures": (
                np.array([0.9, 0.1, 0.4, 0.4, 0.2]),
                np.array([True, False, True, False, False]),
            ),
            "eighty": _scores(80, 9, 0),
            "thirty": _scores(30, 12, 1),
        },
        mistakes={
            "that is the share of pictures on the right side of zero or of the middle; no threshold"
            " is asked for": [
                lambda s, p: ((s > 0) == p).mean(),
                lambda s, p: ((s > 0.5) == p).mean(),
                lambda s, p: ((s > np.median(s)) == p).mean(),
                lambda s, p: ((s > s.mean()) == p).mean(),
            ],
            "two equal scores count half": [
                lambda s, p: _pairs(s, p, 0.0).mean(),
                lambda s, p: _pairs(s, p, 1.0).mean(),
            ],
            "the picture that has it should be above; yours counts how often it is below": [
                lambda s, p: 1 - _pairs(s, p).mean()
            ],
            "a pair is one picture that has it and one that has not; yours takes all pairs": [
                lambda s, p: _pairs(s, p).sum() / len(s) ** 2,
                lambda s, p: _pairs(s, p).sum() / (len(s) * (len(s) - 1) / 2),
            ],
            "that is the number of pairs; asked for is their share": [
                lambda s, p: _pairs(s, p).sum()
            ],
            "that is the difference of the mean scores": [lambda s, p: s[p].mean() - s[~p].mean()],
            "that is a share for each picture; asked for is one number": [
                lambda s, p: _pairs(s, p).mean(axis=1)
            ],
        },
        hint="write down all pairs of the five pictures: there are six",
    ),
    "hw3.gradient": Check(
        form="gradient(features, targets, weights)",
        gives="the (C, D) derivative of the mean cross-entropy by the weights",
        right=lambda x, y, w: _logistic(x, y, w) / len(x),
        cases=lambda: {
            "two pictures, two classes": (
                SMALL[0],
                torch.tensor([0, 1]),
                torch.tensor([[0.5, 0.0], [0.0, 0.1]]),
            ),
            "four pictures, three classes": (
                random_numbers(4, 5),
                torch.tensor([2, 0, 1, 2]),
                random_numbers(3, 5, seed=1),
            ),
            "as many of everything": (
                random_numbers(4, 4, seed=2),
                torch.tensor([3, 0, 0, 1]),
                random_numbers(4, 4, seed=3),
            ),
        },
        mistakes={
            "the loss is a mean over pictures; yours is a sum": [_logistic],
            "the mean is over pictures, not over pictures and classes, and not over classes": [
                lambda x, y, w: _logistic(x, y, w) / (len(x) * len(w)),
                lambda x, y, w: _logistic(x, y, w) / len(w),
            ],
            "a step goes against the gradient, so it is negative where a weight should grow; "
            "yours has the wrong sign": [lambda x, y, w: -_logistic(x, y, w) / len(x)],
            "the softmax is over the wrong axis: the classes of one picture compete, not the "
            "pictures": [lambda x, y, w: _logistic(x, y, w, 0) / len(x)],
            "a picture whose class has the probability 1 should push nothing; yours never looks "
            "at the targets": [lambda x, y, w: _logistic(x, y, w, hot=0) / len(x)],
            "wrong classes push as well, in proportion to their probability; yours knows only the "
            "right ones": [
                lambda x, y, w: -F.one_hot(y, len(w)).float().T @ x / len(x),
                lambda x, y, w: (((x @ w.T).softmax(1) - 1) * F.one_hot(y, len(w))).T @ x / len(x),
            ],
            "a class for each row, as in the weights: yours is transposed": [
                lambda x, y, w: _logistic(x, y, w).T / len(x)
            ],
            "the gradient is asked for, not the weights after a step": [
                lambda x, y, w: w - _logistic(x, y, w) / len(x)
            ],
            "that is the loss; its derivative by each weight is asked for": [
                lambda x, y, w: F.cross_entropy(x @ w.T, y)
            ],
        },
        hint="compare with the difference of two losses, one weight moved by 0.001",
    ),
    "hw3.average": Check(
        form="average(before, after, share)",
        gives="weights between two sets of them, by name: (1 - share) of the first and share of the"
        " second; whole numbers from the second",
        right=_blend,
        cases=lambda: {
            "one number each": ({"w": torch.tensor([1.0])}, {"w": torch.tensor([3.0])}, 0.25),
            "three tensors, one of whole numbers": (_weights(0, 7), _weights(5, 12), 0.3),
            "nothing of the second": (_weights(2, 1), _weights(3, 2), 0.0),
        },
        mistakes={
            "the share belongs to the second; in yours the two are swapped": [
                lambda a, b, s: _blend(b, a, s),
                lambda a, b, s: _blend(a, b, 1 - s),
            ],
            "the two shares should add up to 1; yours adds to the whole of the first": [
                lambda a, b, s: _blend(a, b, s, 1.0)
            ],
            "the two shares should add up to 1; yours adds the two": [
                lambda a, b, s: {k: a[k] + b[k] for k in a}
            ],
            "the share makes no difference to yours": [
                lambda a, b, s: _blend(a, b, 0.5),
                lambda a, b, s: _blend(a, b, 1.0),
                lambda a, b, s: _blend(a, b, 0.0),
            ],
            "whole numbers are counts (of batches, of positions) and cannot lie between two; take "
            "the second's": [
                lambda a, b, s: {k: (1 - s) * a[k] + s * b[k] for k in a},
                lambda a, b, s: {k: ((1 - s) * a[k] + s * b[k]).to(a[k].dtype) for k in a},
            ],
            "whole numbers come from the second; yours takes them from the first": [
                lambda a, b, s: {
                    k: v if a[k].is_floating_point() else a[k] for k, v in _blend(a, b, s).items()
                }
            ],
            "every name should be there, those of whole numbers too": [
                lambda a, b, s: {k: v for k, v in _blend(a, b, s).items() if v.is_floating_point()}
            ],
            "a difference is added to the first, not taken off: yours moves away from the second": [
                lambda a, b, s: _blend(a, b, -s, 1 + s)
            ],
        },
    ),
}
