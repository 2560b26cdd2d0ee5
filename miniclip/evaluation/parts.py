"""What each part of the package adds to the plainest CLIP, and trainings that go wrong.

`python -m miniclip study parts` and `python -m miniclip study mistakes` train, and resume where
they were stopped. Taught in notebook 02.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor

from miniclip import checkpoint
from miniclip.config import CLIPConfig
from miniclip.data import CaptionedImages, World, picturebook
from miniclip.evaluation.benchmarks import CHOICE_SEED, TEST_SEED, scorer, single_objects
from miniclip.evaluation.study_log import Log, best_rate
from miniclip.loss import info_nce
from miniclip.model import CLIP
from miniclip.training.clip import train
from miniclip.training.recipe import Recipe

SEEDS = (0, 1, 2)
LEARNING_RATES = (5e-4, 1e-3, 2e-3)
# Each row has what the rows above it have.
PARTS = {
    "as typed": {"stem": False, "waves": False, "optimizer": "adamw"},
    "+ positions that start as waves": {"stem": False, "waves": True, "optimizer": "adamw"},
    "+ a stem of small convolutions": {"stem": True, "waves": True, "optimizer": "adamw"},
    "+ Muon for the matrices": {"stem": True, "waves": True, "optimizer": "muon"},
}


def parts(
    log: Log,
    seen: int = 16_000,
    pictures: int = 16_000,
    tests: int = 500,
    precision: str | None = None,
    rates: Sequence[float] = LEARNING_RATES,
    seeds: Sequence[int] = SEEDS,
) -> None:
    """Train a CLIP that is as plain as can be, and then with one part of the package after the
    other: accuracy on forty things, colours and places, with several seeds.

    The learning rate of each is the one with the best mean of the three, on pictures other than
    the test's.
    """
    world = World.starter()
    data = cache(lambda: picturebook(pictures, 0, 48, world))
    test, choice = (
        cache(partial(single_objects, world, tests, 48, seed)) for seed in (TEST_SEED, CHOICE_SEED)
    )

    def run(name: str, lr: float, seed: int, pictures: Callable, budget: int) -> dict[str, float]:
        model, recipe = start(data(), seed=seed, **PARTS[name]), PARTS[name]["optimizer"]
        recipe = Recipe(optimizer=recipe, lr=lr, muon_lr=3 * lr, warmup=0.1, seed=seed)
        options = {"eval_fn": scorer(pictures()), "eval_at": 1, "precision": precision}
        _, history = train(data(), model, seen=budget, recipe=recipe, **options)
        return {key: history.rows[-1][key] for key in ("seen", "object", "color", "place")}

    def mean(name: str, lr: float) -> float:
        found = run(name, lr, seeds[0], choice, seen // 2)
        return sum(found[what] for what in ("object", "color", "place")) / 3

    def search(name: str) -> dict[str, float]:
        return best_rate(partial(mean, name), rates)

    for name in PARTS:
        found = log.part(f"{name} | rates", partial(search, name))
        best = float(max(found, key=found.get))
        for seed in seeds:
            train_it = partial(run, name, best, seed, test, seen)
            log.part(f"{name} | seed {seed}", train_it)
    log.part("about", lambda: {"test pictures": tests, "precision": precision or "fp32"})


def start(data: CaptionedImages, stem: bool, waves: bool, seed: int, optimizer: str = "") -> CLIP:
    """A fresh `nano`, with or without the convolutional stem, and with positions that start as
    waves or at random."""
    texts = (text for texts in data.captions for text in texts)
    model = checkpoint.new(texts, CLIPConfig.preset("nano", stem=stem), seed)
    if not waves:
        torch.nn.init.normal_(model.visual.positional_embedding, std=0.02)
    return model


MISTAKES = (
    "none",
    "a temperature that is stuck at 0.01",
    "a learning rate that is far too high",
    "captions that belong to other pictures",
    "targets that are made of the vectors",
)


def mistakes(
    log: Log,
    seen: int = 9_600,
    pictures: int = 9_600,
    tests: int = 256,
    precision: str | None = None,
) -> None:
    """Train the plainest CLIP once as it should be, and four times with a mistake in it. What is
    written down along the way is what somebody who trains would look at: the loss, how alike the
    vectors of different pictures are, and how many captions are found among 64."""
    data = cache(lambda: picturebook(pictures, 0, 48, World.starter(), progress=False))
    test = cache(lambda: picturebook(tests, TEST_SEED, 48, World.starter(), progress=False))

    def run(mistake: str) -> list[dict]:
        changes, pairs = {}, data()
        if mistake == "a temperature that is stuck at 0.01":
            changes["loss"] = lambda images, texts, scale: info_nce(images, texts, 0 * scale + 100)
        if mistake == "a learning rate that is far too high":
            changes["lr"] = 0.1
        if mistake == "captions that belong to other pictures":
            wrong = pairs.captions[1:] + pairs.captions[:1]
            pairs = CaptionedImages(pairs.images, wrong, pairs.ids, pairs.facts, pairs.info)
        if mistake == "targets that are made of the vectors":
            changes["loss"] = targets_of_vectors
        _, history = train(
            pairs,
            start(data(), stem=False, waves=False, seed=0),
            seen=seen,
            recipe=Recipe(**PLAIN | changes),
            eval_fn=lambda model: _look(model, test()),
            eval_at=(0.01, *(step / 25 for step in range(1, 26))),
            precision=precision,
        )
        columns = ("seen", "loss", "alike", "found")
        return [{key: row[key] for key in columns} for row in history.rows]

    for mistake in MISTAKES:
        log.part(mistake, partial(run, mistake))
    log.part("about", lambda: {"test pictures": tests, "precision": precision or "fp32"})


# As in the loop that students type: one caption, AdamW, and the same learning rate throughout.
PLAIN = {"captions_per_image": 1, "optimizer": "adamw", "warmup": 0.0, "decay": "none"}


def targets_of_vectors(x: Tensor, y: Tensor, scale: Tensor) -> Tensor:
    """The loss of a popular tutorial: the right answers are not the diagonal, but what the vectors
    themselves find alike."""
    with torch.no_grad():
        targets = ((x @ x.T + y @ y.T) / 2 * scale).softmax(dim=1)
    logits = scale * x @ y.T
    return (F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets.T)) / 2


@torch.inference_mode()
def _look(model: CLIP, test: CaptionedImages) -> dict[str, float]:
    """How a model does on test pictures: the mean cosine between the vectors of different
    pictures, and how often a picture finds its caption among 64."""
    x, y = model.encode_image(test.images), model.encode_text([texts[0] for texts in test.captions])
    alike = (x @ x.T).fill_diagonal_(math.nan).nanmean().item()
    hits = [
        (some @ texts.T).argmax(dim=1) == torch.arange(len(some), device=x.device)
        for some, texts in zip(x.split(64), y.split(64))
    ]
    return {"alike": alike, "found": torch.cat(hits).float().mean().item()}
