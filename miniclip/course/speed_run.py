"""The speed run of homework 6: whose settings teach a small CLIP most with a fixed number of
operations?

Multiplications and additions (FLOPs) are counted instead of seconds, so that the contest is the
same on every machine. The test is eight things by artists whom no training has seen.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cache

import numpy as np
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
MEMORY = 6 * 10**9  # bytes that a training by the grader may use
# Student's t: how many standard errors are 95 %, for so many numbers.
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365}

# What an entry may choose: of each class all fields but those that would change the contest (what
# is drawn, and by whom) or would be luck.
PARTS = {"config": CLIPConfig, "recipe": Recipe, "captions": CaptionStyle, "world": World}
FIXED = {
    "config": {"resnet", "end_token"},
    "recipe": {"seed", "chunk_size"},
    "captions": set(),
    "world": {"nouns", "artists", "excluded_pairs", "places_of"},
}
# Far wider than what the budget is good for, and narrow enough that nothing takes minutes or
# gigabytes.
LIMITS = {
    "image_size": (16, 64),
    "patch_size": (4, 64),
    "vision_width": (16, 512),
    "vision_layers": (1, 12),
    "vision_heads": (1, 8),
    "text_width": (16, 512),
    "text_layers": (1, 12),
    "text_heads": (1, 8),
    "embed_dim": (8, 512),
    "vocab_size": (260, 4096),
    "context_length": (4, 64),
    "batch_size": (16, 256),
    "captions_per_image": (1, 5),
    "chatter": (0, 16),
}


@dataclass(frozen=True)
class SpeedRun:
    """The result of an entry.

    Attributes:
        accuracy: how many of the test pictures were named right, 0 to 1.
        interval: the two ends of its 95 % interval: of one training over the test pictures, of
            several over their seeds.
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
        ValueError: for a part or a setting that there is not, that is fixed or out of its limits.
    """
    parts = entry.values() if isinstance(entry, Mapping) else [entry]
    if not all(isinstance(part, Mapping) for part in parts):
        raise ValueError('an entry is a dict of dicts, such as {"config": {"image_size": 32}}')
    if unknown := sorted(set(entry) - set(PARTS)):
        raise ValueError(f"an entry has no part '{unknown[0]}'; it has {', '.join(PARTS)}")
    found = {}
    for part, kind in PARTS.items():
        chosen = dict(entry.get(part, {}))
        _check(part, kind, chosen)
        if kind is World:
            chosen |= {"nouns": THINGS, "artists": "trained"}
        found[part] = kind(**chosen)
    if not isinstance(found["recipe"].loss, str):
        raise ValueError("here the loss goes by its name")
    return tuple(found.values())


def _check(part: str, kind: type, chosen: Mapping) -> None:
    """Raise ValueError for a setting that is fixed, too small or too large."""
    free = [field.name for field in fields(kind) if field.name not in FIXED[part]]
    for name, value in chosen.items():
        if name not in free:
            raise ValueError(f"'{name}' cannot be chosen in {part}; {', '.join(free)} can")
        if isinstance(value, (Mapping, list, tuple, set, str)) and len(value) > 100:
            raise ValueError(f"{name} has {len(value)} parts; up to 100 are read")
        low, high = LIMITS.get(name, (-np.inf, np.inf))
        if isinstance(value, (int, float)) and not low <= value <= high:
            raise ValueError(f"{name} is between {low} and {high} here, not {value}")


def operations(entry: Mapping) -> float:
    """Multiplications and additions (FLOPs) of training on one picture: forward, backward and
    optimizer, counted by PyTorch along four steps. Only products of matrices and convolutions are
    counted; the rest is small beside them.

    Args:
        entry: the settings, see `read_entry`.
    Raises:
        ValueError: for settings that there are not, or where the budget is not enough for one step.
    """
    config, recipe, captions, world = read_entry(entry)
    image = torch.zeros(1, 3, config.image_size, config.image_size)
    text = torch.full((1, config.context_length), config.end_token)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        CLIP(config)(image, text)
    # A step goes forward once, and backward for twice as much.
    if 3 * counter.get_total_flops() * recipe.batch_size > BUDGET:
        raise ValueError("one step would take the whole budget; choose a smaller model or batch")
    data = picturebook(256, 0, 64, world, captions, progress=False)
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
    """Train by the settings of an entry until the operations are used up or 60,000 pictures are
    seen, and test it.

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
    each = operations(entry)
    size = max(32, config.image_size)  # none are drawn smaller; the model makes them so
    data = picturebook(PICTURES, seed, size, world, captions, progress=progress)
    # `train` does whole steps, so the last one may go a little beyond the budget.
    seen, start = int(min(MOST_SEEN, BUDGET / each)), time.perf_counter()
    model, history = _train(data, config, replace(recipe, seed=seed), seen, progress)
    seconds = time.perf_counter() - start
    test = _test(artists, test_seed, tests)
    q = questions(test)["object"]
    found = evaluate(model, test, q.targets, q.labels, "a picture of {}.", q.names)
    pictures = history.rows[-1]["seen"]
    return SpeedRun(found.accuracy, found.interval, pictures, each, seconds)


def final_run(
    entry: Mapping, seeds: Sequence[int], tests: int = 800, limit: float = 300
) -> SpeedRun:
    """The last word on an entry: several trainings, tested on pictures by the unseen artists. Each
    is a process of its own, so that a strange entry can stop nothing else.

    Args:
        entry: the settings, see `read_entry`.
        seeds: of the trainings; each has test pictures of its own.
        tests: test pictures for each.
        limit: seconds for each.
    Returns:
        the mean, with an interval over the seeds by Student's t; for one seed, its own.
    Raises:
        ValueError: for settings that there are not, and for a run that breaks or takes too long.
    """
    read_entry(entry)  # a sentence, before a process is started
    runs = [_in_a_process(entry, seed, tests, limit) for seed in seeds]
    if len(runs) == 1:
        return runs[0]
    right = np.array([run.accuracy for run in runs])
    arm = STUDENT[len(right)] * right.std(ddof=1) / len(right) ** 0.5
    middle = float(right.mean())
    ends = (max(0.0, middle - arm), min(1.0, middle + arm))
    return replace(runs[0], accuracy=middle, interval=ends)


def _in_a_process(entry: Mapping, seed: int, tests: int, limit: float) -> SpeedRun:
    asked = repr({"entry": entry, "seed": seed, "tests": tests})
    command = [sys.executable, "-m", "miniclip.course.speed_run"]
    try:
        done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        raise ValueError(f"the training was stopped after {limit:g} seconds") from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["its process ended"])[-1]
        raise ValueError(f"the training broke off: {said[:200]}")
    found = json.loads(done.stdout.splitlines()[-1])
    return SpeedRun(**found | {"interval": tuple(found["interval"])})


def _train(data: CaptionedImages, config: CLIPConfig, recipe: Recipe, seen: int, progress: bool):
    """On the CPU and in fp32 for everybody."""
    return train(
        data, config, seen=seen, recipe=recipe, device="cpu", precision="fp32", progress=progress
    )


@cache
def _test(artists: str, seed: int, pictures: int) -> CaptionedImages:
    return single_objects(World(nouns=THINGS, artists=artists), pictures, 64, seed)


def _main() -> None:
    """Read an entry and a seed from the standard input, and print the result as JSON."""
    if os.name == "posix":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))  # macOS does not enforce it
    asked = ast.literal_eval(sys.stdin.read())
    seed, test_seed = asked["seed"], CHOICE_SEED + 1 + asked["seed"]
    found = speed_run(asked["entry"], seed, "unseen", test_seed, asked["tests"], progress=False)
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    _main()
