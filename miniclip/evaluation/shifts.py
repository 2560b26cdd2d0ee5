"""Distribution shifts: the same question on pictures that differ from those of training in one
way each (paper 3.3).

A model that never saw labels and a supervised one are compared at equal accuracy at home
("effective robustness", Taori et al. 2020). Taught in notebook 07.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import numpy as np
from PIL import Image, ImageFilter

from miniclip.data import CaptionedImages, World
from miniclip.data.world import COLORS, CONCEPTS, PLACES, STARTER, article, scene_facts
from miniclip.evaluation.baselines import Baseline, evaluate_baseline
from miniclip.evaluation.benchmarks import TEST_SEED, Question, single_objects
from miniclip.zeroshot import Score, evaluate

NEW_PLACES = ("night", "desert")
PAINTABLE = tuple(noun for noun in STARTER if CONCEPTS[noun].family)
# Two colours for each thing in which training never shows it.
NEW_COLORS = frozenset(
    (noun, tuple(COLORS)[(number * step + shift) % len(COLORS)])
    for number, noun in enumerate(PAINTABLE)
    for step, shift in ((1, 0), (3, 4))
)
HOME = World(
    nouns="starter",
    objects=1,
    styles={"full": 1},
    places=tuple(place for place in PLACES if place not in NEW_PLACES),
    excluded_pairs=NEW_COLORS,
    artists="openmoji",
)
# A wide world: it contains four of the eight shifts, as captioned pictures of the web would.
WIDE = replace(
    HOME, places=tuple(PLACES), styles={"full": 0.85, "sketch": 0.15}, excluded_pairs=frozenset()
)


def noise(images: np.ndarray, strength: float = 0.15, seed: int = 0) -> np.ndarray:
    """Add normally distributed noise to uint8 pictures (n, H, W, 3), with a standard deviation of
    `strength` times the range of the pixels."""
    return (
        (images + np.random.default_rng(seed).normal(0, 255 * strength, images.shape))
        .round()
        .clip(0, 255)
        .astype(np.uint8)
    )


def blur(images: np.ndarray, radius: float = 0.03) -> np.ndarray:
    """Blur uint8 pictures (n, H, W, 3) with a Gaussian whose standard deviation is `radius` times
    their width."""
    return np.stack(
        [
            np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius * len(image))))
            for image in images
        ]
    )


def _new_colors(n: int, size: int, seed: int) -> CaptionedImages:
    """Pictures of things in colours that they never have in training."""
    scenes, world = [], replace(HOME, nouns=PAINTABLE)
    for index in range(n):
        rng = Random(f"new colours {seed} {index}")
        scene = world.scene(rng)
        noun, meaning = scene.things[0].noun, scene.things[0].concept
        variant = rng.choice([row for row, art in enumerate(meaning.art) if art in meaning.family])
        color = rng.choice([color for color in COLORS if (noun, color) in NEW_COLORS])
        scenes.append(scene.with_(things=[replace(scene.things[0], variant=variant, color=color)]))
    facts = [scene_facts(scene) for scene in scenes]
    columns = {name: np.array([fact[name] for fact in facts]) for name in facts[0]}
    return CaptionedImages(
        np.stack([scene.draw(size) for scene in scenes]),
        [[article(f"{fact['color']} {fact['object']}")] for fact in facts],
        facts=columns,
    )


def _changed(
    change: Callable[[np.ndarray], np.ndarray], n: int, size: int, seed: int
) -> CaptionedImages:
    data = single_objects(HOME, n, size, seed)
    return CaptionedImages(change(data.images), data.captions, data.ids, data.facts, data.info)


SHIFTS: dict[str, Callable[[int, int, int], CaptionedImages]] = {
    "home": lambda n, size, seed: single_objects(HOME, n, size, seed),
    "pencil sketch": lambda n, size, seed: single_objects(HOME, n, size, seed, "sketch"),
    "cut-out": lambda n, size, seed: single_objects(HOME, n, size, seed, "cutout"),
    "at night": lambda n, size, seed: single_objects(
        replace(HOME, places=("night",)), n, size, seed
    ),
    "in the desert": lambda n, size, seed: single_objects(
        replace(HOME, places=("desert",)), n, size, seed
    ),
    "half as large": lambda n, size, seed: single_objects(replace(HOME, scale=0.5), n, size, seed),
    "noise": lambda n, size, seed: _changed(noise, n, size, seed),
    "blur": lambda n, size, seed: _changed(blur, n, size, seed),
    "new colours": _new_colors,
}


def shifted(n: int = 1000, size: int = 48, seed: int = TEST_SEED) -> dict[str, CaptionedImages]:
    """The test at home and under each shift: {name: pictures}, n pictures of one of the forty
    starter things each."""
    return {name: make(n, size, seed) for name, make in SHIFTS.items()}


def which_thing(data: CaptionedImages) -> Question:
    """The question that is asked of all these sets, with the same forty labels: which thing?"""
    words = tuple(CONCEPTS[noun].word for noun in STARTER)
    return Question(np.arange(len(data)), data.facts["object"], words, tuple(map(article, words)))


def ask_all(
    model, sets: dict[str, CaptionedImages], templates: str = "a picture of {}."
) -> dict[str, Score]:
    """The accuracy on every set. A CLIP answers zero-shot; a supervised `Classifier` answers with
    its own outputs."""

    def one(data: CaptionedImages) -> Score:
        q = which_thing(data)
        if isinstance(model, Baseline):
            return evaluate_baseline(model, data, q.targets, q.labels, q.names)
        return evaluate(model, data, q.targets, q.labels, templates, q.names)

    return {name: one(data) for name, data in sets.items()}
