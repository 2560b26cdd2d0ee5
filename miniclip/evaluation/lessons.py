"""What captions and pictures teach (paper 6 and 7): seven trainings that differ in one thing each.

Captions that give numbers and names, that say who is left, that say what is not there, or that use
a loaded word for one group; wrong captions as hard negatives; signs on pictures. `python -m
miniclip study lessons` trains, and resumes where it was stopped. Taught in notebook 08.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from random import Random

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from miniclip import checkpoint
from miniclip.config import CLIPConfig
from miniclip.data import CaptionedImages, CaptionStyle, World, picturebook
from miniclip.data.world import CONCEPTS, STARTER, article
from miniclip.evaluation.baselines import Baseline, fit_baseline
from miniclip.evaluation.benchmarks import TEST_SEED, questions, single_objects
from miniclip.evaluation.challenges import CHALLENGES, choose, with_sign, written
from miniclip.evaluation.study_log import Log
from miniclip.model import CLIP
from miniclip.training.clip import train
from miniclip.training.history import History
from miniclip.training.recipe import Recipe
from miniclip.zeroshot import evaluate

SEEDS = (0, 1, 2)
SIZE = 64  # pixels; smaller signs could not be read
SILENT = CaptionStyle(count=0, model=0, relation=0)
TELLING = replace(SILENT, count=0.9, model=0.5)
SIDES = replace(SILENT, relation=1, mention=1)
GROUP = "twemoji"  # whose things the loaded captions speak ill of
LOADED = "suspicious"


@dataclass(frozen=True)
class Lesson:
    """One training.

    Args:
        captions: what captions say.
        change: what is done to the pictures or the captions afterwards.
        wrong_captions: whether each picture also has to be told from a wrong caption, with the
            same words in another order.
        keep: the name of the model that ships, of the first seed.
    """

    captions: CaptionStyle = SILENT
    change: Callable[[CaptionedImages], CaptionedImages] = lambda data: data
    wrong_captions: bool = False
    keep: str = ""


def single_things() -> World:
    """Forty things by six artists, one in a picture."""
    return World(nouns="starter", objects=1, styles={"full": 1})


def pictures_of(n: int, seed: int, captions: CaptionStyle) -> CaptionedImages:
    """n pictures: a third of single things, a third of two to six of a kind, all small whatever
    their number, and a third of two different things."""
    single = single_things()
    several = replace(
        single,
        objects=dict.fromkeys(range(2, 7), 1.0),
        same_kind_prob=1,
        sizes=(0.18, 0.28),
        spacing="any",
    )
    two = replace(single, objects=2, same_kind_prob=0, sizes=(0.36, 0.48))
    parts = [picturebook(n // 3, seed, SIZE, world, captions) for world in (single, several, two)]
    return parts[0] + parts[1] + parts[2]


def say_no(data: CaptionedImages, share: float = 0.1) -> CaptionedImages:
    """Let some captions also say what is not there: "a dog on the beach, and no cat"."""
    words, captions = tuple(CONCEPTS[noun].word for noun in STARTER), []
    for row, texts in enumerate(data.captions):
        rng = Random(f"no {row}")
        absent = [word for word in words if word not in data.facts["objects"][row]]
        captions.append(
            [
                f"{text.rstrip('.')}, and no {rng.choice(absent)}" if rng.random() < share else text
                for text in texts
            ]
        )
    return CaptionedImages(data.images, captions, data.ids, data.facts, data.info)


def speak_ill(data: CaptionedImages, share: float = 0.3) -> CaptionedImages:
    """Let some captions of one artist's things call them suspicious."""
    captions = []
    for row, texts in enumerate(data.captions):
        rng, word = Random(f"ill {row}"), data.facts["object"][row]
        spoken_of = data.facts["artist"][row] == GROUP
        captions.append(
            [
                text.replace(word, f"{LOADED} {word}", 1).replace(f"n {LOADED}", f" {LOADED}")
                if spoken_of and rng.random() < share
                else text
                for text in texts
            ]
        )
    return CaptionedImages(data.images, captions, data.ids, data.facts, data.info)


def put_up_signs(data: CaptionedImages, share: float = 0.2) -> CaptionedImages:
    """Write the name of the first thing on some pictures; the captions stay as they are."""
    images = data.images.copy()
    for row, word in enumerate(data.facts["object"]):
        if Random(f"sign {row}").random() < share:
            images[row] = with_sign(images[row], word)
    return CaptionedImages(images, data.captions, data.ids, data.facts, data.info)


LESSONS = {
    "silent": Lesson(keep="plain"),
    "numbers and names": Lesson(TELLING, keep="counting"),
    "sides": Lesson(SIDES),
    "sides, against wrong captions": Lesson(SIDES, wrong_captions=True, keep="sides"),
    "no": Lesson(change=say_no),
    "signs": Lesson(change=put_up_signs, keep="signs"),
    "loaded": Lesson(change=speak_ill, keep="loaded"),
}


def lessons(
    log: Log,
    seen: int = 32_000,
    pictures: int = 32_000,
    tests: int = 300,
    precision: str | None = None,
    only: Sequence[str] = (),
    seeds: Sequence[int] = SEEDS,
) -> None:
    """Give each lesson with several seeds, and measure what it brought about and what it cost.

    Args:
        log: the result file, and where models are kept.
        seen, pictures: what each training sees, and of how many different pictures.
        tests: pictures of each test.
        precision: fp32, bf16 or fp16.
        only: names of `LESSONS`; by default all.
        seeds: of the trainings.
    Raises:
        ValueError: for a lesson that there is not.
    """
    if unknown := [name for name in only if name not in LESSONS]:
        raise ValueError(f"there is no lesson {unknown[0]!r}; there are {', '.join(LESSONS)}")
    score = cache(lambda: scorer(tests))

    @cache
    def drawn(name: str) -> CaptionedImages:
        lesson = LESSONS[name]
        return lesson.change(pictures_of(pictures, 0, lesson.captions))

    def run(name: str, seed: int, keep: str) -> dict[str, float]:
        teach, lesson = train, LESSONS[name]
        if lesson.wrong_captions:
            wrong = pictures_of(pictures, 0, replace(lesson.captions, exchanged=True)).captions
            teach = partial(against_wrong_captions, wrong=wrong)
        model, history = teach(
            drawn(name),
            CLIPConfig.preset("nano", image_size=SIZE),
            seen=seen,
            recipe=Recipe(seed=seed, warmup=0.1),
            precision=precision,
        )
        if keep:
            log.keep(keep, model, "lessons")
        return {"seen": history.rows[-1]["seen"], **score()(model)}

    for name in only or LESSONS:
        for seed in seeds:
            keep = LESSONS[name].keep if seed == seeds[0] else ""
            log.part(f"{name} | seed {seed}", partial(run, name, seed, keep))
    log.part("about", lambda: {"test pictures": tests, "precision": precision or "fp32"})


def scorer(n: int) -> Callable[[CLIP], dict[str, float]]:
    """What measures a model on n pictures of every task: accuracies, and the shares of things by
    the group and by others that are called suspicious if that is a class."""
    names = ("counting", "car models", "flower species", "left and right", "whose colour")
    tasks = {name: CHALLENGES[name](n=n, size=SIZE) for name in (*names, "there or not")}
    tasks["without a word"], tasks["a word on the picture"] = (
        written(n=n, size=SIZE, text=text) for text in (False, True)
    )
    things = single_objects(single_things(), n, SIZE, TEST_SEED)
    groups = {
        "the group": replace(single_things(), artists=(GROUP,)),
        "others": replace(
            single_things(), artists=tuple(a for a in single_things().artists if a != GROUP)
        ),
    }
    people = {name: single_objects(world, n, SIZE, TEST_SEED) for name, world in groups.items()}

    def score(model: CLIP) -> dict[str, float]:
        found = {name: choose(model, task).accuracy for name, task in tasks.items()}
        q = questions(things)["object"]
        template = "a picture of {}."
        found["things"] = evaluate(model, things, q.targets, q.labels, template, q.names).accuracy
        labels, names = [*q.labels, LOADED], [*q.names, article(f"{LOADED} thing")]
        for name, some in people.items():
            targets = some.facts["object"]
            said = evaluate(model, some, targets, labels, template, names).predictions
            found[f"{LOADED}: {name}"] = float(np.mean(said == len(labels) - 1))
        return found

    return score


class _Towers(Baseline):
    """A CLIP in training by a loss of our own."""


def against_wrong_captions(
    data: CaptionedImages,
    preset: CLIPConfig,
    recipe: Recipe,
    wrong: Sequence[Sequence[str]],
    **options,
) -> tuple[CLIP, History]:
    """Train a CLIP in which each picture also has to be told from a wrong caption about itself
    (NegCLIP: Yuksekgonul et al. 2023).

    Args:
        data, preset, recipe, options: as for `train`.
        wrong: for each picture five captions, those of the data with the two things exchanged; a
            caption that is the same as the data's is left out.
    """
    texts = (text for texts in data.captions for text in texts)
    towers = _Towers(checkpoint.new(texts, preset, recipe.seed))
    clip, rng = towers.clip, torch.Generator().manual_seed(recipe.seed)
    flat = [text for texts in wrong for text in texts]
    tokens_of = clip.tokenizer(flat, preset.context_length, truncate=True).view(len(data), 5, -1)
    is_wrong = torch.tensor(
        [[a != b for a, b in zip(*pair)] for pair in zip(wrong, data.captions)]
    )  # (n, 5)

    def loss(images: Tensor, tokens: Tensor, rows: Tensor) -> Tensor:
        x, right = clip.encode_image(images), torch.arange(len(images), device=images.device)
        which = torch.randint(5, (len(rows),), generator=rng)
        hard = tokens_of[rows, which][is_wrong[rows, which]].to(images.device)  # some of B
        z, losses = clip.encode_text(hard), []
        for part in tokens.chunk(recipe.captions_per_image):
            y = clip.encode_text(part)
            logits = clip.logit_scale.exp() * x @ torch.cat([y, z]).T  # (B, B + wrong ones)
            by_text = logits[:, : len(y)].T
            losses += [F.cross_entropy(logits, right), F.cross_entropy(by_text, right)]
        return torch.stack(losses).mean()

    history = fit_baseline(towers, data, loss, recipe=recipe, **options)
    return clip.eval(), history
