"""The paper's Figure 2 (section 2.3) with possible causes as knobs: four ways to learn from
captions, where these say more that no picture tells; a batch can have more pictures, or rivals.

`python -m miniclip study objectives` trains, and resumes where it was stopped.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import Tensor

from miniclip.config import CLIPConfig
from miniclip.data import CaptionedImages, CaptionStyle, World, picturebook
from miniclip.evaluation.baselines import (
    Baseline,
    Captioner,
    bag_of_words,
    captioner,
    contrast_of_bags,
    evaluate_baseline,
)
from miniclip.evaluation.benchmarks import CHOICE_SEED, TEST_SEED, questions, single_objects
from miniclip.evaluation.study_log import Log, best_rate
from miniclip.loss import info_nce
from miniclip.model import CLIP
from miniclip.training.clip import train
from miniclip.training.recipe import Recipe
from miniclip.zeroshot import evaluate

OBJECTIVES = {
    "contrast": train,
    "contrast of bags": contrast_of_bags,
    "bag of words": bag_of_words,
    "language model": captioner,
}
LEARNING_RATES = (1e-3, 2e-3, 4e-3)  # the first to try; more if the best is at an end
SEEDS = (0, 1, 2)
SPARE_SEED = CHOICE_SEED + 1
LOOKS = (1 / 16, *(eighth / 8 for eighth in range(1, 9)))


@dataclass(frozen=True)
class Condition:
    """What is changed about the world, the captions or the batch.

    Args:
        nouns: which things there are, as for `World`.
        chatter: words of each caption that no picture tells, as for `CaptionStyle`.
        batch_size: pictures in a step.
        rivals: how many captions a contrast chooses among; 0 for all of the batch.
        objectives: which of `OBJECTIVES` are compared; none for all.
    """

    nouns: str = "starter"
    chatter: int = 0
    batch_size: int = 64
    rivals: int = 0
    objectives: tuple[str, ...] = ()

    @property
    def world(self) -> World:
        """Its world, with one or two large things in a picture, by six artists."""
        return World.starter(nouns=self.nouns)

    def recipe(self, lr: float, seed: int) -> Recipe:
        """How it is trained. The learning rate stays where it is after a short rise, so that each
        moment of a training is the end of a shorter one."""
        return Recipe(
            batch_size=self.batch_size,
            captions_per_image=1,  # as in the paper
            lr=lr,
            muon_lr=3 * lr,
            warmup=0.03,
            decay="none",
            loss=among(self.rivals) if self.rivals else "info_nce",
            seed=seed,
        )


PLAIN = Condition()
CONTRASTS = ("contrast", "contrast of bags")
CONDITIONS = {
    "plain": PLAIN,
    "4 words of chatter": Condition(chatter=4),
    "16 words of chatter": Condition(chatter=16),
    "16 words, 16 rivals": Condition(chatter=16, rivals=16, objectives=CONTRASTS),
    "16 words, batch of 256": Condition(
        chatter=16, batch_size=256, objectives=(*CONTRASTS, "bag of words")
    ),
    "16 words, common nouns": Condition(
        "common", chatter=16, objectives=(*CONTRASTS, "bag of words")
    ),
}
KEPT = {  # names of the models that are kept, those of the first seed
    ("plain", "contrast"): "contrastive",
    ("plain", "bag of words"): "bag-of-words",
    ("plain", "language model"): "captioner",
    ("16 words of chatter", "contrast"): "chatty-contrastive",
    ("16 words of chatter", "contrast of bags"): "chatty-bags",
    ("16 words of chatter", "language model"): "chatty-captioner",
}


def among(rivals: int) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """InfoNCE in which each picture and each caption chooses among so many and not among all of the
    batch: the rivals change, and the pictures and the steps do not."""

    def loss(image_features: Tensor, text_features: Tensor, logit_scale: Tensor) -> Tensor:
        groups = zip(image_features.split(rivals), text_features.split(rivals))
        losses = [info_nce(images, texts, logit_scale) for images, texts in groups]
        return torch.stack(losses).mean()

    return loss


def compare_objectives(
    log: Log,
    seen: int = 32_000,
    pictures: int = 32_000,
    tests: int = 250,
    precision: str | None = None,
    only: Sequence[str] = (),
    rates: Sequence[float] = LEARNING_RATES,
    seeds: Sequence[int] = SEEDS,
    rounds: int = 4,
) -> None:
    """Contrast captions (read by a transformer, or as a bag of words), predict the bag of words, or
    write the caption: with the same tower, pictures and order, under several conditions.

    For each condition, the learning rate of each objective is chosen by runs of three eighths of
    the budget that are evaluated on pictures other than the test's: first among three, then twice
    or half as large ones as long as the best lies at an end. Where none of them has learned to name
    things by then (less than twice chance), runs of the whole budget decide. Then each is trained
    with that rate, once for each seed.

    Args:
        log: the result file, and where models are kept.
        seen, pictures: what each training sees, and of how many different pictures.
        tests: pictures that it is evaluated on.
        precision: fp32, bf16 or fp16.
        only: names of `CONDITIONS`; by default all.
        rates, seeds: the learning rates to begin with, and the seeds.
        rounds: how often their speeds are measured.
    Raises:
        ValueError: for a condition that there is not.
    """
    if unknown := [name for name in only if name not in CONDITIONS]:
        raise ValueError(f"there is no condition {unknown[0]!r}; there are {', '.join(CONDITIONS)}")
    for name in only or CONDITIONS:
        _compare(log, name, CONDITIONS[name], seen, pictures, tests, precision, rates, seeds)
    about = {"test pictures": tests, "precision": precision or "fp32"}
    timed = partial(speeds, rounds, pictures=max(128, min(pictures, 320)))
    log.part("about", lambda: about | {"seconds for 1,000 pictures": timed()})


def _compare(
    log: Log,
    name: str,
    condition: Condition,
    seen: int,
    pictures: int,
    tests: int,
    precision: str | None,
    rates: Sequence[float],
    seeds: Sequence[int],
) -> None:
    """The four objectives under one condition; see `compare_objectives`."""
    config = CLIPConfig.preset("nano", context_length=48)

    @cache  # drawn when the first part needs it
    def data() -> CaptionedImages:
        captions = CaptionStyle(chatter=condition.chatter)
        return picturebook(pictures, 0, 48, condition.world, captions)

    def run(objective: str, lr: float, seed: int, test_seed: int, **budget) -> list[dict]:
        test, spare = (tests, 48, test_seed), (tests, 48, SPARE_SEED)
        model, history = OBJECTIVES[objective](
            data(),
            config,
            recipe=condition.recipe(lr, seed),
            eval_fn=naming(*(single_objects(condition.world, *some) for some in (test, spare))),
            precision=precision,
            **budget,
        )
        if seed == seeds[0] and test_seed == TEST_SEED and (name, objective) in KEPT:
            log.keep(KEPT[name, objective], model, "objectives")
        return [{key: row[key] for key in ("seen", "loss", "object")} for row in history.rows]

    def compare_rates(objective: str) -> dict[str, float]:
        def last(lr: float, budget: int) -> float:
            return run(objective, lr, seeds[0], CHOICE_SEED, seen=budget, eval_at=1)[-1]["object"]

        found = best_rate(partial(last, budget=3 * seen // 8), rates)
        if max(found.values()) < 2 / len(condition.world.nouns):  # nothing learned by then
            found = best_rate(partial(last, budget=seen), rates)
        return found

    for objective in condition.objectives or OBJECTIVES:
        found = log.part(f"{name} | {objective} | rates", partial(compare_rates, objective))
        best = float(max(found, key=found.get))
        for seed in seeds:
            train_it = partial(run, objective, best, seed, TEST_SEED, seen=seen, eval_at=LOOKS)
            log.part(f"{name} | {objective} | seed {seed}", train_it)


def naming(
    pictures: CaptionedImages, spare: CaptionedImages
) -> Callable[[CLIP | Baseline], dict[str, float]]:
    """What measures how well a model of any objective names the thing in each picture.

    Args:
        pictures: the test pictures.
        spare: others without labels, to find out how likely each name is on any picture.
    Returns:
        a function of the model to {"object": accuracy}.
    """
    q = questions(pictures)["object"]

    def score(model: CLIP | Baseline) -> dict[str, float]:
        if isinstance(model, Baseline):
            names = q.names if isinstance(model, Captioner) else q.labels
            found = evaluate_baseline(model, pictures, q.targets, q.labels, names, calibrate=spare)
        else:
            found = evaluate(model, pictures, q.targets, q.labels, "a picture of {}.", q.names)
        return {"object": found.accuracy}

    return score


def speeds(rounds: int = 4, pictures: int = 320) -> dict[str, dict[str, float]]:
    """Seconds of training for 1,000 pictures, for each objective, without chatter and with it:
    medians of rounds in which each objective has its turn."""
    found: dict[str, dict[str, list[float]]] = {}
    for name, condition in (("plain", PLAIN), ("16 words", Condition(chatter=16))):
        captions = CaptionStyle(chatter=condition.chatter)
        data = picturebook(pictures, 0, 48, condition.world, captions, progress=False)
        for _ in range(rounds):
            for objective, train_it in OBJECTIVES.items():
                # The clock at half of the training and at its end: what goes before is left out.
                _, history = train_it(
                    data,
                    CLIPConfig.preset("nano", context_length=48),
                    recipe=condition.recipe(1e-3, 0),
                    seen=pictures,
                    eval_fn=lambda model: {"clock": time.perf_counter()},
                    eval_at=2,
                    progress=False,
                )
                start, end = history.column("clock")[1]
                times = found.setdefault(name, {}).setdefault(objective, [])
                times.append(1000 * (end - start) / (pictures / 2))
    return {
        name: {objective: statistics.median(times) for objective, times in row.items()}
        for name, row in found.items()
    }
