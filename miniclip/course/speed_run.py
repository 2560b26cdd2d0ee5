"""The speed run of homework 6: whose settings teach a small CLIP most with a fixed number of
operations?

Multiplications and additions are counted instead of seconds, so that the contest is the same on
every machine. The test is eight things by artists whom no training has seen.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache

import torch
from torch.utils.flop_counter import FlopCounterMode

from miniclip.config import CLIPConfig
from miniclip.data import CaptionedImages, CaptionStyle, World, picturebook
from miniclip.evaluation.benchmarks import CHOICE_SEED, questions, single_objects
from miniclip.model import CLIP
from miniclip.training.clip import train
from miniclip.training.recipe import Recipe
from miniclip.zeroshot import evaluate

THINGS = ("apple", "bicycle", "bus", "dog", "fish", "guitar", "rocket", "umbrella")
BUDGET = 0.6e12  # multiplications and additions
PICTURES = 6_000  # that are drawn to learn from
MOST_SEEN = 60_000  # however cheap they are

# What an entry may choose: of each class all fields but those that would change the contest (what
# is drawn, and by whom) or would be luck.
PARTS = {"config": CLIPConfig, "recipe": Recipe, "captions": CaptionStyle, "world": World}
FIXED = {
    "config": {"resnet", "end_token"},
    "recipe": {"seed", "chunk_size"},
    "captions": set(),
    "world": {"nouns", "artists", "excluded_pairs", "places_of"},
}
LARGEST = {  # far above what the budget is good for, and small enough to be counted in a moment
    "image_size": 64,
    "vision_width": 512,
    "vision_layers": 12,
    "text_width": 512,
    "text_layers": 12,
    "embed_dim": 512,
    "vocab_size": 4096,
    "context_length": 64,
    "batch_size": 512,
    "captions_per_image": 5,
    "chatter": 16,
}


@dataclass(frozen=True)
class SpeedRun:
    """What an entry came to.

    Attributes:
        accuracy: how many of the test pictures were named right, 0 to 1.
        interval: the two ends of its 95 % interval, over pictures.
        pictures: how many were seen in training.
        operations: multiplications and additions for each of these.
        seconds: what the training took here.
    """

    accuracy: float
    interval: tuple[float, float]
    pictures: int
    operations: float
    seconds: float

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"{self.accuracy:.1%} right ({low:.1%} to {high:.1%}); {self.pictures:,} pictures, "
            f"{self.operations / 1e6:.1f} million operations each, {self.seconds:.0f} s"
        )


def read_entry(entry: Mapping) -> tuple[CLIPConfig, Recipe, CaptionStyle, World]:
    """The settings of an entry as what `train` and `picturebook` take. What it does not name is as
    in the package.

    Args:
        entry: such as {"config": {"image_size": 32}, "recipe": {"lr": 2e-3}}; the parts are those
            of `PARTS`.
    Raises:
        ValueError: for a part or a setting that there is not, that is fixed or that is too large.
    """
    if not isinstance(entry, Mapping) or not all(
        isinstance(one, Mapping) for one in entry.values()
    ):
        raise ValueError('an entry is a dict of dicts, such as {"config": {"image_size": 32}}')
    if unknown := sorted(set(entry) - set(PARTS)):
        raise ValueError(f"an entry has no part '{unknown[0]}'; it has {', '.join(PARTS)}")
    found = {}
    for part, kind in PARTS.items():
        chosen = dict(entry.get(part, {}))
        free = [field.name for field in fields(kind) if field.name not in FIXED[part]]
        for name, value in chosen.items():
            if name not in free:
                raise ValueError(f"'{name}' cannot be chosen in {part}; {', '.join(free)} can")
            if name in LARGEST and isinstance(value, (int, float)) and value > LARGEST[name]:
                raise ValueError(f"{name} is at most {LARGEST[name]} here, not {value}")
        if kind is World:
            chosen |= {"nouns": THINGS, "artists": "trained"}
        found[part] = kind(**chosen)
    if found["config"].patch_size < 4 or not isinstance(found["recipe"].loss, str):
        raise ValueError("here patches have 4 pixels or more, and the loss goes by its name")
    return tuple(found.values())


def operations(entry: Mapping, data: CaptionedImages | None = None) -> float:
    """Multiplications and additions of training on one picture: forward, backward and optimizer,
    counted by PyTorch along four steps. Only products of matrices and convolutions are counted; the
    rest is small beside them.

    Args:
        entry: the settings, see `read_entry`.
        data: what it learns from; by default 256 pictures are drawn.
    Raises:
        ValueError: for settings that there are not, or where the budget is not enough for one step.
    """
    config, recipe, captions, world = read_entry(entry)
    data = data or picturebook(256, 0, 64, world, captions, progress=False)
    image = torch.zeros(1, 3, config.image_size, config.image_size)
    text = torch.full((1, config.context_length), config.end_token)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        CLIP(config)(image, text)
    # A step goes forward once, and backward for twice as much.
    if 3 * counter.get_total_flops() * recipe.batch_size > BUDGET:
        raise ValueError("one step would take the whole budget; choose a smaller model or batch")
    seen = 4 * recipe.batch_size
    with FlopCounterMode(display=False) as counter:
        _train(data, config, recipe, seen, progress=False)
    return counter.get_total_flops() / seen


def speed_run(
    entry: Mapping,
    seed: int = 0,
    artists: str = "choosing",
    test_seed: int = CHOICE_SEED,
    tests: int = 400,
    progress: bool = True,
) -> SpeedRun:
    """Train by the settings of an entry until the operations are used up, and test it.

    Args:
        entry: the settings, see `read_entry`.
        seed: of the pictures to learn from and of the training.
        artists: who drew the test pictures: those for choosing, or "unseen" for the last word.
        test_seed, tests: seed and number of the test pictures.
        progress: show bars.
    Raises:
        ValueError: for settings that there are not, or where the budget is not enough for one step.
    """
    config, recipe, captions, world = read_entry(entry)
    size = max(32, config.image_size)  # none are drawn smaller; the model makes them so
    data = picturebook(PICTURES, seed, size, world, captions, progress=progress)
    each = operations(entry, data)
    seen, start = min(MOST_SEEN, int(BUDGET / each)), time.perf_counter()
    model, history = _train(data, config, replace(recipe, seed=seed), seen, progress)
    seconds = time.perf_counter() - start
    test = _test(artists, test_seed, tests)
    q = questions(test)["object"]
    found = evaluate(model, test, q.targets, q.labels, "a picture of {}.", q.names)
    return SpeedRun(found.accuracy, found.interval, history.rows[-1]["seen"], each, seconds)


def _train(data: CaptionedImages, config: CLIPConfig, recipe: Recipe, seen: int, progress: bool):
    """On the CPU and in fp32 for everybody."""
    return train(
        data, config, seen=seen, recipe=recipe, device="cpu", precision="fp32", progress=progress
    )


@cache
def _test(artists: str, seed: int, pictures: int) -> CaptionedImages:
    return single_objects(World(nouns=THINGS, artists=artists), pictures, 64, seed)
