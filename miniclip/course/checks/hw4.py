"""The checks of homework 4, `notebooks/homework/hw4-the-repair.ipynb`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from miniclip.course.checks.cases import secret_seed
from miniclip.course.checks.judging import Check, Feedback, describe
from miniclip.data.world import CONCEPTS, Scene

SPECIES = len(CONCEPTS["flower"].art)


def _make_pairs(call: Callable, start: str, n: int, seed: int) -> list[tuple[Scene, int]]:
    """Call a student's `make_test`, and raise `Feedback` unless it returns pairs."""
    given = call(n, seed)
    if given is None:
        raise Feedback(f"{start} expected a list, yours gives None. Hint: is there a `return`?")
    if not isinstance(given, (list, tuple)) or not all(
        isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[0], Scene)
        for pair in given
    ):
        raise Feedback(
            f"{start} expected a list of pairs (Scene, number of the species), yours gives"
            f" {describe(given)[:80]}."
        )
    return [(scene, int(label)) for scene, label in given]


def _look_at_scenes(call: Callable) -> None:
    """Judge a test: balanced, with right labels, decided by the seed, and with nothing but the
    flower to tell the species by."""
    n = 12 * SPECIES
    start = f"for n = {n} and seed = 0:"
    make = lambda seed: _make_pairs(call, start, n, seed)
    pairs = make(0)
    labels = np.array([label for _, label in pairs])
    if len(pairs) != n:
        raise Feedback(
            f"{start} expected {n} pairs, yours gives {len(pairs)}. Hint: n is the number of"
            " pictures in all."
        )
    flowers = [
        [thing for thing in scene.things if thing.concept.word == "flower"] for scene, _ in pairs
    ]
    if any(len(found) != 1 for found in flowers):
        raise Feedback(
            f"{start} every scene has exactly one flower; one of yours has"
            f" {next(len(found) for found in flowers if len(found) != 1)}. Hint: with two, which"
            " one is asked about?"
        )
    _look_at_labels(start, labels, np.array([found[0].variant for found in flowers]))
    _look_at_seeds(start, pairs, make)
    _look_at_variety(start, pairs, flowers, labels)


def _look_at_labels(start: str, labels: np.ndarray, species: np.ndarray) -> None:
    """The labels are the species that were drawn, and each species is there equally often."""
    if (labels == species + 1).all():
        raise Feedback(
            f"{start} your labels run from 1 to {SPECIES}; they should be the places in the list,"
            " from 0. Hint: compare label and `variant` of the first scene."
        )
    if (labels != species).any():
        raise Feedback(
            f"{start} the label of a scene is the `variant` of its flower; in"
            f" {int((labels != species).sum())} of yours it is not. Hint: draw the species once,"
            " and use it for both."
        )
    counts = np.bincount(labels, minlength=SPECIES)
    if len(set(counts)) > 1:
        raise Feedback(
            f"{start} each of the {SPECIES} species should be there equally often; yours has"
            f" {counts.tolist()}. Hint: if one species is half of"
            " the test, always naming that one is right half of the time. Deal them out in turn"
            " instead of by chance."
        )


def _look_at_seeds(start: str, pairs: list, make: Callable[[int], list]) -> None:
    """The same seed gives the same scenes, another seed gives others."""
    drawn = lambda pairs: [repr(scene) for scene, _ in pairs]
    if drawn(make(0)) != drawn(pairs):
        raise Feedback(
            f"{start} the same seed gives other scenes the second time. Hint: nobody can repeat"
            " such a test; make random.Random(seed) inside the function and use nothing else."
        )
    if drawn(make(1)) == drawn(pairs):
        raise Feedback(
            f"{start} another seed gives the same scenes. Hint: then pictures to choose by and"
            " pictures to test by would be the same; give the seed to random.Random."
        )


def _look_at_variety(start: str, pairs: list, flowers: list, labels: np.ndarray) -> None:
    """Places, positions and sizes differ, and none of them alone tells the species."""
    for what, values in (
        ("place", [scene.place for scene, _ in pairs]),
        ("position", [found[0].at for found in flowers]),
        ("size", [found[0].size for found in flowers]),
    ):
        kinds = len(set(values))
        if kinds < 4:
            raise Feedback(
                f"{start} your scenes have {kinds} different {what}{'s' if kinds > 1 else ''}; vary"
                " it. Hint: a test that is always the same in one respect says nothing about the"
                " rest of the world."
            )
        if all(
            len({value for value, label in zip(values, labels) if label == number}) == 1
            for number in range(SPECIES)
        ):
            raise Feedback(
                f"{start} in yours the {what} alone tells the species. Hint: a model could be right"
                f" without looking at the flower; draw the {what} by chance, whatever the species."
            )


def _per_class(top: Callable, bottom: Callable) -> Callable:
    """A function of guesses, right classes and their number that gives a share for each class.

    For each class, `top` and `bottom` say of which pictures the share's numerator and denominator
    count; a class with an empty denominator gets 0.
    """
    return lambda g, r, c: np.array(
        [top(g == k, r == k).sum() / max(1, bottom(g == k, r == k).sum()) for k in range(c)]
    )


# For one class: which pictures were guessed to be of it (g) and really are of it (r).
_both = np.logical_and
_right = lambda g, r: r
_guessed = lambda g, r: g
_all = lambda g, r: np.ones(len(r), bool)


def _paired(
    before: np.ndarray, after: np.ndarray, z: float = 1.96, power: float = 0.5, ddof: int = 0
) -> tuple[float, float, float]:
    """The mean change of each picture, and the ends of its interval."""
    change = after.astype(float) - before.astype(float)
    arm = z * change.std(ddof=ddof) / len(change) ** power
    return change.mean(), change.mean() - arm, change.mean() + arm


def _unpaired(before: np.ndarray, after: np.ndarray, ddof: int = 0) -> tuple[float, float, float]:
    """The interval of two independent sets of pictures, which is too wide here."""
    difference = after.mean() - before.mean()
    arm = 1.96 * math.sqrt((before.var(ddof=ddof) + after.var(ddof=ddof)) / len(before))
    return difference, difference - arm, difference + arm


def _hits(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of n pictures are right before and after a repair, at random but not independently."""
    rng = np.random.default_rng(secret_seed(seed))
    before = rng.random(n) < 0.3
    return before, np.where(rng.random(n) < 0.6, before, rng.random(n) < 0.9)


def _verdict(
    target,
    others,
    margin,
    good=lambda t, m: t[1] > 0,
    safe=lambda o, m: all(one[1] > -m for one in o.values()),
) -> str:
    """The verdict on a repair; wrong functions ask something else of the target (`good`) or of the
    other abilities (`safe`)."""
    if not good(target, margin):
        return "not repaired"
    return "repaired" if safe(others, margin) else "broken"


def _list_of(others: Mapping, place: int) -> list[float]:
    """The differences (place 0), lower ends (1) or upper ends (2) of all others."""
    return [one[place] for one in others.values()]


# Changes of an ability: the difference and the two ends of its interval.
GOOD = (0.40, 0.30, 0.50)
SAFE = (0.00, -0.01, 0.01)
WORSE = (-0.08, -0.11, -0.05)
UNSURE = (0.01, -0.06, 0.08)
SLIGHT = (-0.010, -0.018, -0.002)
BETTER = (0.20, 0.10, 0.30)

# In the short functions below, g and r are guessed and right classes, c how many classes there
# are; b and a say which pictures are right before and after; t, o and m are target, others and
# margin.
HW4 = {
    "hw4.make_test": Check(
        form="make_test(n, seed)",
        gives=f"n pairs (Scene, species), each of the {SPECIES} species equally often, and nothing"
        " but the flower to tell it by",
        look=_look_at_scenes,
    ),
    "hw4.recall": Check(
        form="recall(guesses, right, classes)",
        gives="for each class, the share of its pictures that were guessed right, (C,)",
        right=_per_class(_both, _right),
        cases=lambda: {
            "six pictures, three classes": (
                np.array([0, 0, 1, 1, 0, 2]),
                np.array([0, 0, 0, 1, 1, 2]),
                3,
            ),
            "ten pictures, four classes": (
                np.array([3, 1, 1, 0, 2, 3, 3, 1, 0, 3]),
                np.array([3, 1, 0, 0, 2, 2, 3, 3, 1, 3]),
                4,
            ),
            "a class that is never guessed": (
                np.array([0, 0, 2, 2, 0]),
                np.array([0, 1, 2, 1, 0]),
                3,
            ),
        },
        mistakes={
            "that is precision, the share of the guesses of a class that are right; asked for is "
            "the share of its pictures that are found": [
                _per_class(_both, _guessed),
                lambda g, r, c: np.array(
                    [
                        ((g == k) & (r == k)).sum() / (g == k).sum() if (g == k).any() else np.nan
                        for k in range(c)
                    ]
                ),
            ],
            "that is one accuracy over all; asked for is each class by itself, since a mean hides "
            "one that broke": [
                lambda g, r, c: np.full(c, (g == r).mean()),
                lambda g, r, c: (g == r).mean(),
            ],
            "those are counts; a share is divided by how many pictures the class has": [
                lambda g, r, c: np.array([((g == k) & (r == k)).sum() for k in range(c)])
            ],
            "divide by the number of pictures of the class; yours divides by all pictures": [
                _per_class(_both, _all)
            ],
            "that is the share that was missed": [
                lambda g, r, c: 1 - _per_class(_both, _right)(g, r, c)
            ],
            "that is how often a class was guessed, rightly or not": [
                _per_class(_guessed, _right),
                _per_class(_guessed, _all),
                lambda g, r, c: np.bincount(g, minlength=c),
            ],
            "that counts pictures of other classes as right if they were not called this one; "
            "only the pictures of the class matter": [_per_class(lambda g, r: g == r, _all)],
            "that is the mean over classes; asked for is each class by itself": [
                lambda g, r, c: _per_class(_both, _right)(g, r, c).mean()
            ],
            "guesses and truth are swapped, or another measure is mixed in (F1)": [
                _per_class(
                    lambda g, r: np.concatenate([g & r, g & r]), lambda g, r: np.concatenate([g, r])
                )
            ],
        },
    ),
    "hw4.change": Check(
        form="change(before, after)",
        gives="by how much the share of right answers changed, and the two ends of its 95 %"
        " interval",
        right=_paired,
        cases=lambda: {
            "eight pictures": (
                np.array([1, 0, 0, 1, 0, 0, 1, 0], bool),
                np.array([1, 1, 0, 1, 1, 0, 0, 1], bool),
            ),
            "sixty": _hits(60, 0),
            "two hundred": _hits(200, 1),
        },
        mistakes={
            "after minus before, so that better is positive; yours is the other way round": [
                lambda b, a: _paired(a, b),
                lambda b, a: _paired(a, b, ddof=1),
            ],
            "before and after are about the same pictures, and most of the chance is in the "
            "pictures; your interval takes the two for independent. Look at the change of each "
            "picture": [
                _unpaired,
                lambda b, a: _unpaired(b, a, 1),
            ],
            "the standard error of a mean is the standard deviation divided by the root of n; "
            "yours is not divided": [
                lambda b, a: _paired(b, a, power=0),
                lambda b, a: _paired(b, a, power=0, ddof=1),
            ],
            "the standard error of a mean is the standard deviation divided by the root of n; "
            "yours is divided by n": [
                lambda b, a: _paired(b, a, power=1),
                lambda b, a: _paired(b, a, power=1, ddof=1),
            ],
            "95 % are 1.96 standard errors on either side; yours takes 1": [
                lambda b, a: _paired(b, a, 1.0),
                lambda b, a: _paired(b, a, 1.0, ddof=1),
            ],
            "shares are between -1 and 1 here, not percent": [
                lambda b, a: tuple(100 * x for x in _paired(b, a)),
                lambda b, a: tuple(100 * x for x in _paired(b, a, ddof=1)),
            ],
            "that is the difference alone; how sure it is belongs to it": [
                lambda b, a: _paired(b, a)[0]
            ],
            "a share is asked for; yours counts pictures": [
                lambda b, a: tuple(len(b) * x for x in _paired(b, a)),
                lambda b, a: tuple(len(b) * x for x in _paired(b, a, ddof=1)),
            ],
            "the difference comes first, then the lower end, then the upper one": [
                lambda b, a: (_paired(b, a)[1], _paired(b, a)[0], _paired(b, a)[2]),
                lambda b, a: (_paired(b, a)[0], _paired(b, a)[2], _paired(b, a)[1]),
            ],
            "whoever was wrong before and right after counts as much as the other way round; "
            "yours counts every change as a gain": [
                lambda b, a: (
                    (a != b).mean(),
                    *[
                        (a != b).mean() + sign * 1.96 * (a != b).std() / len(b) ** 0.5
                        for sign in (-1, 1)
                    ],
                )
            ],
        },
        also=(lambda b, a: _paired(b, a, ddof=1),),
    ),
    "hw4.verdict": Check(
        form="verdict(target, others, margin)",
        gives="'not repaired', 'broken' or 'repaired'",
        right=_verdict,
        cases=lambda: {
            "a clear gain, the others as before": (GOOD, {"things": SAFE, "colours": SAFE}, 0.03),
            "a gain that may be chance": ((0.04, -0.02, 0.10), {"things": SAFE}, 0.03),
            "a clear gain, but the first of two others fell": (
                GOOD,
                {"things": WORSE, "colours": BETTER},
                0.03,
            ),
            "a clear gain, but the last of two others fell": (
                GOOD,
                {"things": BETTER, "colours": WORSE},
                0.03,
            ),
            "a clear gain, another may have fallen by more than the margin": (
                GOOD,
                {"things": UNSURE},
                0.03,
            ),
            "nothing gained, and something broken": ((0.0, -0.1, 0.1), {"things": WORSE}, 0.03),
            "a clear gain, another fell a little": (GOOD, {"things": SLIGHT}, 0.03),
            "a clear gain, another fell, if not surely": (
                GOOD,
                {"things": (-0.05, -0.12, 0.02)},
                0.03,
            ),
            "a clear gain, another gained a little": (GOOD, {"things": (0.02, 0.01, 0.03)}, 0.03),
            "a wide margin": (GOOD, {"things": UNSURE}, 0.2),
            "a loss": ((-0.3, -0.4, -0.2), {"things": SAFE}, 0.03),
        },
        mistakes={
            "a gain counts when its whole interval is above 0; yours looks at the difference "
            "alone": [lambda t, o, m: _verdict(t, o, m, good=lambda t, m: t[0] > 0)],
            "a gain counts when its whole interval is above 0; yours looks at the upper end": [
                lambda t, o, m: _verdict(t, o, m, good=lambda t, m: t[2] > 0)
            ],
            "yours never asks whether the target was gained": [
                lambda t, o, m: _verdict(t, o, m, good=lambda t, m: True)
            ],
            "yours never looks at the others": [
                lambda t, o, m: _verdict(t, o, m, safe=lambda o, m: True)
            ],
            "for the others the worst that is still possible counts, the lower end; yours looks "
            "at the difference": [
                lambda t, o, m: _verdict(t, o, m, safe=lambda o, m: min(_list_of(o, 0)) > -m),
                lambda t, o, m: _verdict(t, o, m, safe=lambda o, m: min(_list_of(o, 0)) >= 0),
            ],
            "for the others the worst that is still possible counts, the lower end; yours looks "
            "at the upper end": [
                lambda t, o, m: _verdict(t, o, m, safe=lambda o, m: min(_list_of(o, 2)) > -m),
                lambda t, o, m: _verdict(t, o, m, safe=lambda o, m: min(_list_of(o, 2)) > 0),
            ],
            "every one of the others has to hold; in yours a good one makes up for a bad one": [
                lambda t, o, m: _verdict(t, o, m, safe=lambda o, m: np.mean(_list_of(o, 1)) > -m),
                lambda t, o, m: _verdict(t, o, m, safe=lambda o, m: max(_list_of(o, 1)) > -m),
            ],
            "every one of the others has to hold; yours looks at one of them": [
                lambda t, o, m: _verdict(t, o, m, safe=lambda o, m: _list_of(o, 1)[-1] > -m),
                lambda t, o, m: _verdict(t, o, m, safe=lambda o, m: _list_of(o, 1)[0] > -m),
            ],
            "a loss up to the margin is accepted; yours accepts none": [
                lambda t, o, m: _verdict(t, o, m, safe=lambda o, m: min(_list_of(o, 1)) >= 0)
            ],
            "a loss up to the margin is accepted; yours asks for a gain of that size": [
                lambda t, o, m: _verdict(t, o, m, safe=lambda o, m: min(_list_of(o, 1)) > m)
            ],
            "where the target was not gained, 'not repaired' is the answer, whatever else "
            "happened": [
                lambda t, o, m: (
                    "broken"
                    if min(_list_of(o, 1)) <= -m
                    else "repaired"
                    if t[1] > 0
                    else "not repaired"
                )
            ],
        },
        hint="read the three rules in the text again, in their order",
    ),
}
