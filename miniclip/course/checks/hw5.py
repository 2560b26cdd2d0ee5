"""The check of homework 5, `notebooks/homework/hw5-the-small-paper.ipynb`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from miniclip.course.checks.cases import secret_seed
from miniclip.course.checks.judging import Check, Feedback, as_plain, describe

PICTURES = 2000
FORM = f"for {PICTURES:,} pictures"


def answers(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two answers to the same pictures that are mostly right and wrong together, bool (2000,)."""
    rng = np.random.default_rng(secret_seed(seed))
    first = rng.random(PICTURES) < 0.6
    return first, np.where(rng.random(PICTURES) < 0.12, rng.random(PICTURES) < 0.2, first)


def resampled(
    first: np.ndarray, second: np.ndarray, rng: np.random.Generator, together: bool = True
) -> np.ndarray:
    """2,000 differences of the shares of right answers, with the pictures drawn again; both answers
    of a picture are drawn together, or each by itself."""
    rows = rng.integers(len(first), size=(2, 2000, len(first)))
    return first[rows[0]].mean(axis=1) - second[rows[0 if together else 1]].mean(axis=1)


def _three_numbers(call: Callable, *arguments) -> np.ndarray:
    """Call a student's function, and raise `Feedback` unless it returns three numbers."""
    given = call(*arguments)
    if given is None:
        raise Feedback(f"{FORM} expected three numbers, yours gives None. Hint: a `return`?")
    try:
        found = np.asarray(as_plain(given), float)
    except (TypeError, ValueError):
        found = np.array([])
    if found.shape != (3,) or not np.isfinite(found).all():
        raise Feedback(
            f"{FORM} expected three numbers, the difference and the two ends of its interval;"
            f" yours gives {describe(given)[:80]}."
        )
    return found


def _look_at_interval(call: Callable) -> None:
    """Judge an interval by chance numbers: near the right one, and the same for the same seed."""
    first, second = answers()
    value, low, high = _three_numbers(call, first, second, 0)
    difference = first.mean() - second.mean()
    if abs(value + difference) < 1e-6:
        raise Feedback(f"{FORM} the difference is first minus second; yours is the other way round")
    if abs(value - 100 * difference) < 1e-3:
        raise Feedback(f"{FORM} give shares from -1 to 1, not percent")
    if abs(value - difference) > 1e-6:
        raise Feedback(
            f"{FORM} expected a difference of {difference:.4f}, yours is {value:.4f}. Hint: it is"
            " the difference of the two shares as they were measured, not of one that was drawn"
        )
    if low > high:
        raise Feedback(f"{FORM} the lower end comes before the upper one")
    _look_at_width(high - low, first, second)
    if not low < difference < high or abs((low + high) / 2 - difference) > 0.01:
        raise Feedback(f"{FORM} the interval lies around the difference; yours is elsewhere")
    if not np.array_equal(_three_numbers(call, first, second, 0), [value, low, high]):
        raise Feedback(f"{FORM} and the same seed it gives another interval the second time")


def _look_at_width(width: float, first: np.ndarray, second: np.ndarray) -> None:
    """Raise `Feedback` for an interval that is too narrow or too wide."""
    rng = np.random.default_rng(0)
    draws = {pairs: resampled(first, second, rng, pairs) for pairs in (True, False)}
    span = lambda drawn, out: float(np.subtract(*np.percentile(drawn, (100 - out, out))))
    hints = {
        "both answers to a picture are drawn together: what is hard for one is hard for the other."
        " Yours draws them apart": span(draws[False], 2.5),
        "95 % lie between the percentiles 2.5 and 97.5; yours are 5 and 95": span(draws[True], 5),
        "95 % lie between the percentiles 2.5 and 97.5; yours are 16 and 84": span(draws[True], 16),
        "the percentiles are of the differences, not of the pictures": 2.0,
    }
    right = span(draws[True], 2.5)
    if abs(width / right - 1) < 0.11:  # intervals of a thousand draws differ by some 3 %
        return
    hint = min(hints, key=lambda one: abs(np.log(max(width, 1e-6) / hints[one])))
    if abs(width / hints[hint] - 1) > 0.12:
        hint = "draw as many pictures out of these, with replacement, a thousand times or more"
    raise Feedback(
        f"{FORM} expected an interval about {right:.3f} wide, yours has {width:.3f}. Hint: {hint}"
    )


HW5 = {
    "hw5.interval": Check(
        form="interval(first, second, seed)",
        gives="the difference of two shares of right answers, and the ends of its 95 % interval",
        look=_look_at_interval,
    ),
}
