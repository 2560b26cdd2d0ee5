"""Captions against labels under distribution shift (paper 3.3), and what belongs to the data.

Each training runs to the end of its own schedule, so that models of equal accuracy are compared in
the same state. `python -m miniclip study robustness` trains, and resumes where it was stopped.
Taught in notebook 07.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

from miniclip.data import CaptionedImages, CaptionStyle, World, picturebook
from miniclip.evaluation.baselines import Baseline, supervised
from miniclip.evaluation.benchmarks import CHOICE_SEED, TEST_SEED, questions, single_objects
from miniclip.evaluation.shifts import HOME, WIDE, ask_all, own_places, shifted, which_thing
from miniclip.evaluation.study_log import Log, best_rate
from miniclip.model import CLIP
from miniclip.training.clip import train
from miniclip.training.history import History
from miniclip.training.recipe import Recipe

SEEDS = (0, 1, 2)
LEARNING_RATES = (1e-3, 2e-3, 4e-3)
ONLY_THINGS = CaptionStyle(color=0, size=0, place=0, weather=0, light=0, kind=0, verb=0)


@dataclass(frozen=True)
class Arm:
    """One way to train.

    Args:
        taught: by "captions", by "labels" of the things, or by "labels of all": also of colours and
            places.
        world: what the pictures show.
        budgets: the pictures that its trainings see, as shares of a study's.
        captions: what captions say.
        keep: the name of the model that ships, of the first seed and the last budget.
    """

    taught: str
    world: World = HOME
    budgets: tuple[float, ...] = (1 / 2,)
    captions: CaptionStyle = CaptionStyle()
    keep: str = ""

    @property
    def pictures(self) -> tuple[World, CaptionStyle]:
        """What decides its pictures and their captions."""
        return self.world, self.captions


# Labels teach with fewer pictures, so these budgets come to similar accuracies.
ARMS = {
    "captions": Arm("captions", budgets=(1 / 4, 1 / 2, 1), keep="home"),
    "labels": Arm("labels", budgets=(1 / 8, 1 / 4, 1 / 2), keep="classifier"),
    "captions, wide": Arm("captions", WIDE),
    "labels, wide": Arm("labels", WIDE, (1 / 4,)),
    "captions, shortcut": Arm("captions", own_places()),
    "labels, shortcut": Arm("labels", own_places(), (1 / 4,)),
    "captions that name the thing": Arm("captions", captions=ONLY_THINGS),
    "labels of all": Arm("labels of all", budgets=(1 / 4,)),
}


def robustness(
    log: Log,
    seen: int = 64_000,
    pictures: int = 32_000,
    tests: int = 500,
    precision: str | None = None,
    only: Sequence[str] = (),
    rates: Sequence[float] = LEARNING_RATES,
    seeds: Sequence[int] = SEEDS,
) -> None:
    """Train each arm with several seeds and budgets, and measure the accuracy at home and under
    each shift, and where the place of a thing is its own or another's.

    The learning rate is chosen once for captions and once for labels, by the accuracy at home on
    pictures other than the test's.

    Args:
        log: the result file, and where models are kept.
        seen: pictures that the longest training sees.
        pictures: of how many different ones.
        tests: pictures of each test.
        precision: fp32, bf16 or fp16.
        only: names of `ARMS`; by default all.
        rates, seeds: the learning rates to begin with, and the seeds.
    Raises:
        ValueError: for an arm that there is not.
    """
    if unknown := [name for name in only if name not in ARMS]:
        raise ValueError(f"there is no arm {unknown[0]!r}; there are {', '.join(ARMS)}")
    sets = cache(
        lambda: (
            shifted(tests)
            | {
                "own place": single_objects(own_places(), tests, 48, TEST_SEED),
                "another's place": single_objects(own_places(away=3), tests, 48, TEST_SEED),
            }
        )
    )
    choice = cache(lambda: {"home": single_objects(HOME, tests, 48, CHOICE_SEED)})

    @cache
    def drawn(name: str) -> CaptionedImages:
        return picturebook(pictures, 0, 48, ARMS[name].world, ARMS[name].captions)

    def run(
        name: str, budget: float, seed: int, lr: float, test: Callable, keep: str = ""
    ) -> dict[str, float]:
        arm = ARMS[name]
        same = (other for other in ARMS if ARMS[other].pictures == arm.pictures)
        model, history = _train(
            arm,
            drawn(next(same)),
            seen=int(budget * seen),
            recipe=Recipe(lr=lr, muon_lr=3 * lr, warmup=0.05, seed=seed),
            eval_fn=lambda model: _accuracies(model, test()),
            eval_at=1,
            precision=precision,
        )
        if keep:
            log.keep(keep, model, "robustness")
        return {key: history.rows[-1][key] for key in ("seen", *test())}

    def search(name: str) -> dict[str, float]:
        budget = ARMS[name].budgets[0]
        return best_rate(lambda lr: run(name, budget, seeds[0], lr, choice)["home"], rates)

    for name in only or ARMS:
        arm = ARMS[name]
        first = "captions" if arm.taught == "captions" else "labels"
        found = log.part(f"{first}, rates", partial(search, first))
        best = float(max(found, key=found.get))
        for budget in arm.budgets:
            for seed in seeds:
                keep = arm.keep if (budget, seed) == (arm.budgets[-1], seeds[0]) else ""
                train_it = partial(run, name, budget, seed, best, sets, keep)
                log.part(f"{name} | {budget:g} | seed {seed}", train_it)
    log.part("about", lambda: {"test pictures": tests, "precision": precision or "fp32"})


def _train(arm: Arm, data: CaptionedImages, **options) -> tuple[CLIP | Baseline, History]:
    """Train a model as an arm says."""
    if arm.taught == "captions":
        return train(data, "nano", **options)
    q, also = which_thing(data), []
    if arm.taught == "labels of all":
        asked = questions(data)
        also = [(data.facts[what], asked[what].labels) for what in ("color", "place")]
    return supervised(data, q.targets, q.labels, "nano", also=also, **options)


def _accuracies(model: CLIP | Baseline, sets: dict[str, CaptionedImages]) -> dict[str, float]:
    return {name: score.accuracy for name, score in ask_all(model, sets).items()}
