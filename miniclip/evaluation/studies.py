"""Comparisons of trainings that take too long for a class: `python -m miniclip study NAME`.

A study writes its result part by part, so that it can be stopped and resumed. The results ship in
`results/`, and the models that notebooks look at in `checkpoints/`. Taught in notebooks 02 and 06
to 08.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from miniclip.config import CLIPConfig
from miniclip.data import CaptionedImages, CaptionStyle, World, picturebook
from miniclip.device import PRECISIONS
from miniclip.evaluation.benchmarks import CHOICE_SEED, questions, scorer, single_objects
from miniclip.evaluation.challenges import CHALLENGES, choose
from miniclip.evaluation.objectives import compare_objectives
from miniclip.evaluation.parts import mistakes, parts
from miniclip.evaluation.robustness import robustness
from miniclip.evaluation.study_log import Log
from miniclip.model import CLIP
from miniclip.training.clip import train
from miniclip.training.timing import seconds_of, training_step
from miniclip.zeroshot import evaluate

RESULTS = Path(__file__).parents[1] / "results"


def result(name: str) -> dict:
    """The shipped result of a study, part by part.

    Raises:
        ValueError: if there is no study of this name.
    """
    if name not in NAMES:
        raise ValueError(f"there is no study {name!r}; there are {', '.join(NAMES)}")
    return json.loads((RESULTS / f"{name.replace(' ', '-')}.json").read_text())


def counted_world(n: int, size: int, seed: int, captions: CaptionStyle) -> CaptionedImages:
    """2 n pictures: n of one to six things of the same kind, anywhere and of the same small size
    whatever their number, and n of single larger things."""
    several = World(
        nouns="starter",
        objects={1: 0.25, 2: 0.15, 3: 0.15, 4: 0.15, 5: 0.15, 6: 0.15},
        same_kind_prob=1,
        sizes=(0.18, 0.28),
        spacing="any",
        styles={"full": 1},
        artists="openmoji",
    )
    return picturebook(n, seed, size, several, captions) + picturebook(
        n,
        seed + 1,
        size,
        World(nouns="starter", objects=1, styles={"full": 1}, artists="openmoji"),
        captions,
    )


SILENT = CaptionStyle(count=0.0, model=0.0)
TELLING = CaptionStyle(count=0.9, model=0.5)


def repair(
    log: Log,
    seen: int = 128_000,
    pictures: int = 80_000,
    tests: int = 300,
    precision: str | None = None,
) -> None:
    """Two trainings on the same pictures: with captions that never count and never name models and
    species, and with captions that do."""
    config = CLIPConfig.preset("nano", image_size=64)
    challenges = {
        name: CHALLENGES[name](n=tests, size=64)
        for name in ("counting", "car models", "flower species", "left and right", "whose colour")
    }
    things = single_objects(World(nouns="starter", artists="openmoji"), tests, 64, CHOICE_SEED)

    def score(model: CLIP) -> dict[str, float]:
        q = questions(things)["object"]
        accuracies = {
            name: choose(model, challenge).accuracy for name, challenge in challenges.items()
        }
        return accuracies | {
            "things": (
                evaluate(model, things, q.targets, q.labels, "a picture of {}.", q.names).accuracy
            )
        }

    def run(name: str, style: CaptionStyle) -> list[dict]:
        model, history = train(
            counted_world(pictures // 2, 64, 0, style),
            config,
            seen=seen,
            eval_fn=score,
            precision=precision,
        )
        log.keep(name, model, "repair")
        return history.rows

    log.part("silent", partial(run, "plain", SILENT))
    log.part("telling", partial(run, "counting", TELLING))
    log.part("about", lambda: {"test pictures": tests, "precision": precision or "fp32"})


def towers(
    log: Log,
    seen: int = 24_000,
    pictures: int = 24_000,
    tests: int = 400,
    precision: str | None = None,
) -> None:
    """The paper's two image towers, a vision transformer and a ResNet: accuracy over pictures seen,
    and pictures a second, measured in turns."""
    world = World.starter(artists="openmoji")
    data = picturebook(pictures, 0, 64, world)
    test = single_objects(world, tests, 64)
    presets = ("nano", "nano-resnet")

    def run(preset: str) -> list[dict]:
        _, history = train(data, preset, seen=seen, eval_fn=scorer(test), precision=precision)
        return history.rows

    for preset in presets:
        log.part(preset, partial(run, preset))

    def speeds() -> dict[str, float]:
        configs = {preset: CLIPConfig.preset(preset) for preset in presets}
        steps = {
            preset: training_step(CLIP(config), config, 64, PRECISIONS[precision or "fp32"])
            for preset, config in configs.items()
        }
        rounds = [{preset: seconds_of(step) for preset, step in steps.items()} for _ in range(12)]
        rounds = rounds[2:]  # the first two warm up
        return {preset: 64 / statistics.median(row[preset] for row in rounds) for preset in presets}

    log.part(
        "about",
        lambda: {
            "test pictures": tests,
            "precision": precision or "fp32",
            "pictures a second": speeds(),
            "threads": torch.get_num_threads(),
        },
    )


STUDIES: dict[str, Callable[..., None]] = {
    "objectives": compare_objectives,
    "robustness": robustness,
    "repair": repair,
    "towers": towers,
    "parts": parts,
    "mistakes": mistakes,
}
# "real" trains nothing, and measures released models: see `real_study.py`.
NAMES = (*STUDIES, "real")
