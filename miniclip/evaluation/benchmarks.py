"""Test sets of drawn pictures that no training has seen: their questions, right answers and chance
levels. Used in notebooks 02 to 07."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from miniclip import prompts
from miniclip.data import CaptionedImages, World, picturebook
from miniclip.data.world import COLORS, CONCEPTS, PLACES, article
from miniclip.retrieval import Recall, evaluate_retrieval
from miniclip.zeroshot import Score, classifier, evaluate, image_features, wilson

TEST_SEED = 1_000_000  # pictures of this seed and above are for tests: never train on them
# Pictures to choose a recipe or to watch a training by, so that the test is spared.
CHOICE_SEED = TEST_SEED + 1


@dataclass(frozen=True)
class Question:
    """One question about the pictures of a set.

    Args:
        rows: the numbers of the pictures that it can be asked of.
        targets: the right label of each of these.
        labels: the labels to choose from.
        names: the same labels as they stand in a sentence.
    """

    rows: np.ndarray
    targets: np.ndarray
    labels: tuple[str, ...]
    names: tuple[str, ...]


def single_objects(
    world: World = World(),
    n: int = 1000,
    size: int = 64,
    seed: int = TEST_SEED,
    style: str = "full",
) -> CaptionedImages:
    """The standard test: n pictures of one thing each, in one drawing style, of a seed that no
    training uses."""
    return picturebook(n, seed, size, replace(world, objects=1, styles={style: 1}), progress=False)


def all_words(objects: np.ndarray) -> tuple[str, ...]:
    """The nouns that occur among some objects, in the order of the world's list. It serves sets
    that do not say which world they are of."""
    found = set(objects.ravel())
    return tuple(
        dict.fromkeys(meaning.word for meaning in CONCEPTS.values() if meaning.word in found)
    )


def questions(data: CaptionedImages) -> dict[str, Question]:
    """What can be asked of pictures of single objects: which object, and of drawn ones also which
    colour (if they are painted) and which place."""
    facts, every = data.facts, np.arange(len(data))
    words = tuple(data.info.get("words", ())) or all_words(facts["object"])
    which = {"object": Question(every, facts["object"], words, tuple(map(article, words)))}
    if not {"color", "place"} <= facts.keys():
        return which
    painted = np.nonzero(facts["color"] != "")[0]
    return which | {
        "color": Question(
            painted,
            facts["color"][painted],
            tuple(COLORS),
            tuple(f"{article(color)} thing" for color in COLORS),
        ),
        "place": Question(
            every,
            facts["place"],
            tuple(PLACES),
            tuple(f"something {place.phrases[0]}" for place in PLACES.values()),
        ),
    }


def two_objects(
    world: World = World(),
    n: int = 1000,
    size: int = 64,
    seed: int = TEST_SEED,
    style: str = "full",
) -> CaptionedImages:
    """n pictures of two things with different names, in one drawing style, of a seed that no
    training uses."""
    world = replace(world, objects=2, same_kind_prob=0, styles={style: 1})
    data = picturebook(n + n // 10 + 10, seed, size, world, progress=False)
    objects = data.facts["objects"]
    return data[np.nonzero(objects[:, 0] != objects[:, 1])[0][:n]]


def both_named(model, data: CaptionedImages, templates=prompts.SIMPLE) -> Score:
    """In how many pictures of `two_objects` the two names that fit best are those of the two
    things. Chance is one pair out of all."""
    words = tuple(data.info.get("words", ())) or all_words(data.facts["objects"][:, :2])
    vectors = classifier(model, [article(word) for word in words], templates)
    best = (
        (image_features(model, data) @ vectors.T).topk(2, dim=1).indices.sort(dim=1).values.numpy()
    )  # (n, 2)
    right = np.sort(
        np.array([[words.index(word) for word in pair] for pair in data.facts["objects"][:, :2]]),
        axis=1,
    )
    hits = (best == right).all(axis=1)
    return Score(
        float(hits.mean()),
        wilson(int(hits.sum()), len(hits)),
        len(hits),
        2 / (len(words) * (len(words) - 1)),
        best,
    )


def picturebook_scores(
    model,
    world: World = World(),
    n: int = 1000,
    templates=prompts.SIMPLE,
    seed: int = TEST_SEED,
    style: str = "full",
) -> tuple[dict[str, Score], Recall]:
    """Everything that can be measured on a world, each on n pictures of its own: the questions,
    both things of two, and retrieval among all captions."""
    size = model.config.image_size
    world = replace(world, styles={style: 1})
    scores = ask(model, single_objects(world, n, size, seed, style), templates)
    scores["both of two objects"] = both_named(
        model, two_objects(world, n, size, seed, style), templates
    )
    return scores, evaluate_retrieval(model, picturebook(n, seed, size, world, progress=False))


def ask(
    model, data: CaptionedImages, templates=prompts.SIMPLE, features: Tensor | None = None
) -> dict[str, Score]:
    """Ask a model every question of a test set.

    Args:
        model, data, templates: as for `zeroshot.evaluate`.
        features: the image features (n, E), if they are known already.
    Returns:
        {question: `Score`}.
    """
    features = image_features(model, data) if features is None else features
    return {
        name: evaluate(model, features[q.rows], q.targets, q.labels, templates, q.names)
        for name, q in questions(data).items()
        if len(q.rows)
    }


def scorer(data: CaptionedImages) -> Callable[..., dict[str, float]]:
    """A function for `train(eval_fn=...)` that gives the accuracies on a test set."""
    return lambda model: {name: score.accuracy for name, score in ask(model, data).items()}


@dataclass(frozen=True)
class Duel:
    """Two answers to the same pictures, compared pair by pair (McNemar's exact test).

    Where both are right or both are wrong, a picture says nothing about which is better.

    Args:
        wins: pictures on which only the first is right.
        losses: pictures on which only the second is right.
        p: how often two equally good answers would differ so much or more, in [0, 1].
    """

    wins: int
    losses: int
    p: float

    def __str__(self) -> str:
        verdict = "the first is better" if self.wins > self.losses else "the second is better"
        verdict = verdict if self.p < 0.05 else "no telling which is better"
        return f"{self.wins} to {self.losses}: {verdict}"


def duel(one: Sequence[bool], other: Sequence[bool]) -> Duel:
    """Compare two answers to the same pictures.

    Args:
        one, other: whether each is right on each picture (n,).
    Raises:
        ValueError: if they are not of the same length.
    """
    one, other = np.asarray(one, bool), np.asarray(other, bool)
    if one.shape != other.shape:
        raise ValueError(f"one answers {one.size} pictures, the other {other.size}")
    wins, losses = int((one & ~other).sum()), int((other & ~one).sum())
    n = wins + losses
    tail = sum(math.comb(n, k) for k in range(min(wins, losses) + 1)) / 2**n
    return Duel(wins, losses, min(1.0, 2 * tail))
