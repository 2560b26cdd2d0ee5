"""Distribution shifts: the same question on pictures that differ from those of training in one
way each (paper 3.3).

A model that never saw labels and a supervised one are compared at equal accuracy at home
("effective robustness", Taori et al. 2020). Taught in notebook 07.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import Random

import numpy as np
from PIL import Image, ImageFilter

from miniclip.data import CaptionedImages, World
from miniclip.data.world import COLORS, CONCEPTS, PLACES, STARTER, article, scene_facts
from miniclip.evaluation.baselines import Baseline, evaluate_baseline
from miniclip.evaluation.benchmarks import TEST_SEED, Question, single_objects
from miniclip.zeroshot import Score, evaluate

NEW_PLACES = ("night", "desert")
USUAL_PLACES = tuple(place for place in PLACES if place not in NEW_PLACES)
NEAR, FAR = ("noto", "noto-old"), ("firefox",)  # unseen artists, by how their drawings look
PAINTABLE = tuple(noun for noun in STARTER if CONCEPTS[noun].family)
# Two colours for each thing in which training never shows it.
NEW_COLORS = frozenset(
    (noun, tuple(COLORS)[(number * step + shift) % len(COLORS)])
    for number, noun in enumerate(PAINTABLE)
    for step, shift in ((1, 0), (3, 4))
)
# Each thing is in each of eight places equally often: a place tells nothing about the thing.
HOME = World(
    nouns="starter",
    objects=1,
    styles={"full": 1},
    places=USUAL_PLACES,
    places_of=dict.fromkeys(STARTER, USUAL_PLACES),
    excluded_pairs=NEW_COLORS,
)
# A wide world: it contains four of the shifts, as captioned pictures of the web would.
WIDE = replace(
    HOME,
    places=tuple(PLACES),
    places_of=dict.fromkeys(STARTER, tuple(PLACES)),
    styles={"full": 0.85, "sketch": 0.15},
    excluded_pairs=frozenset(),
)


def own_places(away: int = 0) -> World:
    """The world at home, but with a shortcut: each thing is always in the same place, so that a
    place leaves five of the forty things to choose from.

    Args:
        away: 0 for the place of each thing; 1 to 7 for that of other things instead. The pictures
            differ in nothing else.
    """
    places = {
        noun: (USUAL_PLACES[(number + away) % len(USUAL_PLACES)],)
        for number, noun in enumerate(STARTER)
    }
    return replace(HOME, places_of=places)


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
        while not scene.things[0].concept.can_be_painted(
            scene.things[0].variant, scene.things[0].artist
        ):
            scene = world.scene(rng)
        noun = scene.things[0].noun
        color = rng.choice([color for color in COLORS if (noun, color) in NEW_COLORS])
        scenes.append(scene.with_(things=[replace(scene.things[0], color=color)]))
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


def _of(n: int, size: int, seed: int, **changes) -> CaptionedImages:
    """Pictures of the world at home with some of its fields changed."""
    style = changes.pop("style", "full")
    return single_objects(replace(HOME, **changes), n, size, seed, style)


SHIFTS: dict[str, Callable[[int, int, int], CaptionedImages]] = {
    "home": _of,
    "near artists": partial(_of, artists=NEAR),
    "far artist": partial(_of, artists=FAR),
    "pencil sketch": partial(_of, style="sketch"),
    "at night": partial(_of, places_of=dict.fromkeys(STARTER, ("night",))),
    "in the desert": partial(_of, places_of=dict.fromkeys(STARTER, ("desert",))),
    "new colours": _new_colors,
    "half as large": partial(_of, scale=0.5),
    "noise": partial(_changed, noise),
    "blur": partial(_changed, blur),
}
INSIDE = ("pencil sketch", "at night", "in the desert", "new colours")  # what `WIDE` contains


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
