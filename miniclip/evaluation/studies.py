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
from miniclip.data import World, picturebook
from miniclip.device import PRECISIONS
from miniclip.evaluation.benchmarks import scorer, single_objects
from miniclip.evaluation.lessons import lessons
from miniclip.evaluation.objectives import compare_objectives
from miniclip.evaluation.parts import mistakes, parts
from miniclip.evaluation.robustness import robustness
from miniclip.evaluation.study_log import Log
from miniclip.model import CLIP
from miniclip.training.clip import train
from miniclip.training.timing import seconds_of, training_step

RESULTS = Path(__file__).parents[1] / "results"


def result(name: str) -> dict:
    """The shipped result of a study, part by part.

    Raises:
        ValueError: if there is no study of this name.
    """
    if name not in NAMES:
        raise ValueError(f"there is no study {name!r}; there are {', '.join(NAMES)}")
    return json.loads((RESULTS / f"{name.replace(' ', '-')}.json").read_text())


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
    "lessons": lessons,
    "towers": towers,
    "parts": parts,
    "mistakes": mistakes,
}
# "real" trains nothing, and measures released models: see `real_study.py`.
NAMES = (*STUDIES, "real")
