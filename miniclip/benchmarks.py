"""What a model is asked about pictures it never saw: test sets with their questions, right answers and chance levels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from . import prompts
from .data import CaptionedImages, World, picturebook
from .data.picturebook import COLORS, MEANINGS, PLACES, article
from .zeroshot import Score, evaluate, image_features

TEST_SEED = 1_000_000  # pictures of this seed and above are for tests: never train on them


@dataclass(frozen=True)
class Question:
    """One thing to ask about the pictures of a set: `rows` that it applies to, their `targets`, `labels` to choose from, and
    `names`, the labels as they stand in a sentence."""

    rows: np.ndarray
    targets: np.ndarray
    labels: tuple[str, ...]
    names: tuple[str, ...]


def single_objects(world: World = World(), n: int = 1000, size: int = 64, seed: int = TEST_SEED, style: str = "full") -> CaptionedImages:
    """The standard test: n pictures of one thing each from a world, in one drawing style, of a seed that no training uses."""
    return picturebook(n, seed, size, replace(world, objects=1, styles={style: 1}), progress=False)


def questions(data: CaptionedImages) -> dict[str, Question]:
    """What can be asked of single-object Picturebook pictures: which object, which colour (where painted), which place."""
    facts, every = data.facts, np.arange(len(data))
    painted = np.nonzero(facts["color"] != "")[0]
    words = tuple(dict.fromkeys(meaning.word for meaning in MEANINGS.values() if meaning.word in set(facts["object"])))
    return {
        "object": Question(every, facts["object"], words, tuple(map(article, words))),
        "color": Question(painted, facts["color"][painted], tuple(COLORS), tuple(f"{article(color)} thing" for color in COLORS)),
        "place": Question(every, facts["place"], tuple(PLACES), tuple(f"something {place.phrases[0]}" for place in PLACES.values())),
    }


def ask(model, data: CaptionedImages, templates=prompts.SIMPLE, features: Tensor | None = None) -> dict[str, Score]:
    """Ask a model every question of a test set: {question: Score}; features (N, E) may be given where they are known."""
    features = image_features(model, data) if features is None else features
    return {
        name: evaluate(model, features[q.rows], q.targets, q.labels, templates, q.names)
        for name, q in questions(data).items() if len(q.rows)
    }


def scorer(data: CaptionedImages) -> Callable[..., dict[str, float]]:
    """A function for `train(score=...)`: accuracies on a test set along the way."""
    return lambda model: {name: score.accuracy for name, score in ask(model, data).items()}
