"""What a model is asked about pictures it never saw: test sets with their questions, right
answers and chance levels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from miniclip import prompts
from miniclip.data import CaptionedImages, World, picturebook
from miniclip.data.world import COLORS, CONCEPTS, PLACES, article
from miniclip.retrieval import Recall, evaluate_retrieval
from miniclip.zeroshot import Score, classifier, evaluate, image_features, wilson

TEST_SEED = 1_000_000  # pictures of this seed and above are for tests: never train on them
CHOICE_SEED = (
    TEST_SEED + 1
)  # pictures to choose a recipe or to watch a training by, so that the test is spared


@dataclass(frozen=True)
class Question:
    """One thing to ask about the pictures of a set: `rows` that it applies to, their `targets`,
    `labels` to choose from, and
    `names`, the labels as they stand in a sentence."""

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
    """The standard test: n pictures of one thing each from a world, in one drawing style, of a
    seed that no training uses."""
    return picturebook(n, seed, size, replace(world, objects=1, styles={style: 1}), progress=False)


def all_words(objects: np.ndarray) -> tuple[str, ...]:
    """The names that occur among some objects, in the picture book's order: for sets that do not
    say which their world has."""
    found = set(objects.ravel())
    return tuple(
        dict.fromkeys(meaning.word for meaning in CONCEPTS.values() if meaning.word in found)
    )


def questions(data: CaptionedImages) -> dict[str, Question]:
    """What can be asked of single-object Picturebook pictures: which object, which colour (where
    painted), which place."""
    facts, every = data.facts, np.arange(len(data))
    painted = np.nonzero(facts["color"] != "")[0]
    words = tuple(data.info.get("words", ())) or all_words(facts["object"])
    return {
        "object": Question(every, facts["object"], words, tuple(map(article, words))),
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
    """n pictures of two things of different names, in one drawing style, of a seed that no
    training uses."""
    world = replace(world, objects=2, same_kind_prob=0, styles={style: 1})
    data = picturebook(n + n // 10 + 10, seed, size, world, progress=False)
    objects = data.facts["objects"]
    return data[np.nonzero(objects[:, 0] != objects[:, 1])[0][:n]]


def both_named(model, data: CaptionedImages, templates=prompts.SIMPLE) -> Score:
    """In how many pictures of `two_objects` are the two names that fit best the two things there?
    Chance is one pair of all."""
    words = tuple(data.info.get("words", ())) or all_words(data.facts["objects"][:, :2])
    vectors = classifier(model, [article(word) for word in words], templates)
    best = (
        (image_features(model, data) @ vectors.T).topk(2, dim=1).indices.sort(dim=1).values.numpy()
    )  # (N, 2)
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
    """All there is to measure on a world, each on n pictures of its own: the questions, both
    things of two, and retrieval by all captions."""
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
    """Ask a model every question of a test set: {question: Score}; features (N, E) may be given
    where they are known."""
    features = image_features(model, data) if features is None else features
    return {
        name: evaluate(model, features[q.rows], q.targets, q.labels, templates, q.names)
        for name, q in questions(data).items()
        if len(q.rows)
    }


def scorer(data: CaptionedImages) -> Callable[..., dict[str, float]]:
    """A function for `train(score=...)`: accuracies on a test set along the way."""
    return lambda model: {name: score.accuracy for name, score in ask(model, data).items()}
