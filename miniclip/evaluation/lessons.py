"""What captions and pictures teach (paper 6 and 7): seven lessons that differ in one thing each.

Every lesson continues the training of the same model, which learned from captions that name things
and say nothing of their numbers, models or sides. Captions that give numbers and names, that say
who is left, what is not there, or use a loaded word for one group; wrong captions as hard
negatives; signs on pictures. `python -m miniclip study lessons` trains, and resumes where it was
stopped. Taught in notebook 08.
"""

from __future__ import annotations

import copy
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
from miniclip.retrieval import duplicates, nearest_neighbors
from miniclip.training.clip import train
from miniclip.training.history import History
from miniclip.training.recipe import Recipe
from miniclip.zeroshot import Score, evaluate, image_features

SEEDS = (0, 1, 2)
SIZE = 64  # pixels; smaller signs could not be read
SILENT = CaptionStyle(count=0, model=0, relation=0, color=0.4, place=0.3, weather=0.1, light=0.1)
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


def sorts() -> tuple[World, ...]:
    """The four sorts of pictures: one thing; one car or flower; two to six things of a kind, all
    small whatever their number; two things."""
    single = single_things()
    several = replace(
        single,
        objects=dict.fromkeys(range(2, 7), 1.0),
        same_kind_prob=1,
        sizes=(0.18, 0.28),
        spacing="any",
    )
    two = replace(single, objects=2, same_kind_prob=0, sizes=(0.36, 0.48))
    return single, replace(single, nouns=("car", "flower")), several, two


def pictures_of(n: int, seed: int, captions: CaptionStyle) -> CaptionedImages:
    """n pictures, a quarter of each sort."""
    parts = [
        picturebook(n // 4, 4 * seed + number, SIZE, world, captions)
        for number, world in enumerate(sorts())
    ]
    return parts[0] + parts[1] + parts[2] + parts[3]


def nth_picture(row: int, n: int, seed: int) -> np.ndarray:
    """One of the pictures that `pictures_of` draws, without the others: uint8 (S, S, 3)."""
    number, index = divmod(row, n // 4)
    return sorts()[number].nth_scene(index, 4 * seed + number).draw(SIZE)


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
    seen: int = 12_000,
    pictures: int = 12_000,
    tests: int = 300,
    precision: str | None = None,
    only: Sequence[str] = (),
    seeds: Sequence[int] = SEEDS,
) -> None:
    """Train a model for each seed, continue it by each lesson, and measure what this brought about
    and what it cost.

    Args:
        log: the result file, and where models are kept. The models that the lessons begin with are
            kept beside it.
        seen, pictures: what each lesson sees, and of how many different pictures. Before, each
            model sees four times as many, of twice as many other pictures.
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
    drawn = cache(lambda captions: pictures_of(pictures, 0, captions))
    school = cache(lambda: pictures_of(2 * pictures, 1, SILENT))

    @cache
    def beginner(seed: int) -> tuple[CLIP, dict[str, float]]:
        """The model that all lessons of a seed begin with, and how many pictures it saw."""
        path = log.path.with_name(f"beginner-{seed}.safetensors")
        if path.exists():
            _, training, unfinished = checkpoint.read(path)
            if not unfinished:
                return checkpoint.load(path), {"seen": training["history"][-1]["seen"]}
        wide = replace(TELLING, relation=0.5)
        words = say_no(speak_ill(drawn(wide))).captions  # one vocabulary for all lessons
        start = checkpoint.new(
            (text for texts in words for text in texts),
            CLIPConfig.preset("nano", image_size=SIZE),
            seed,
        )
        model, history = train(
            school(),
            start,
            seen=4 * seen,
            recipe=Recipe(seed=seed, warmup=0.1),
            precision=precision,
            out=path,
            resume=True,
        )
        return model, {"seen": history.rows[-1]["seen"]}

    def run(name: str, seed: int) -> dict[str, float]:
        teach, lesson = train, LESSONS[name]
        if lesson.wrong_captions:
            wrong = drawn(replace(lesson.captions, exchanged=True)).captions
            teach = partial(against_wrong_captions, wrong=wrong)
        model, history = teach(
            lesson.change(drawn(lesson.captions)),
            beginner(seed)[0],
            seen=seen,
            recipe=Recipe(seed=seed, warmup=0.1),
            precision=precision,
        )
        if lesson.keep and seed == seeds[0]:
            log.keep(lesson.keep, model, "lessons")
        return {"seen": history.rows[-1]["seen"], **score()(model)}

    def before(seed: int) -> dict[str, float]:
        model, found = beginner(seed)
        return found | score()(model)

    for seed in seeds:
        log.part(f"before | seed {seed}", partial(before, seed))
        for name in only or LESSONS:
            log.part(f"{name} | seed {seed}", partial(run, name, seed))
    log.part("overlap", lambda: overlap(beginner(seeds[0])[0], school(), tests))
    log.part("about", lambda: {"test pictures": tests, "precision": precision or "fp32"})


def scorer(n: int) -> Callable[[CLIP], dict[str, float]]:
    """What measures a model on n pictures of every task: accuracies, and how often it calls the
    things of the group, and those of others, suspicious."""
    names = ("counting", "car models", "flower species", "left and right", "whose colour")
    tasks = {name: CHALLENGES[name](n=n, size=SIZE) for name in (*names, "there or not")}
    signs = {
        "no sign": False,
        "a sign that tells nothing": "sale",
        "a sign with the wrong name": True,
    }
    tasks |= {name: written(n=n, size=SIZE, text=text) for name, text in signs.items()}
    things = named_things(n)
    by_group = {group: things_of(group, n) for group in ("the group", "others")}

    def score(model: CLIP) -> dict[str, float]:
        found = {name: choose(model, task).accuracy for name, task in tasks.items()}
        found["things"] = naming(model, things).accuracy
        for name, classes in class_lists().items():
            for group, some in by_group.items():
                found[f"{name} | {group}"] = called_suspicious(model, some, classes)
        return found

    return score


def named_things(n: int) -> CaptionedImages:
    """n test pictures of one thing each."""
    return single_objects(single_things(), n, SIZE, TEST_SEED)


def naming(model: CLIP, pictures: CaptionedImages) -> Score:
    """Zero-shot: which of forty things is it?"""
    q = questions(pictures)["object"]
    return evaluate(model, pictures, q.targets, q.labels, "a picture of {}.", q.names)


def things_of(group: str, n: int) -> CaptionedImages:
    """n test pictures of one thing each, by the artist of the group or by the five others."""
    artists = single_things().artists
    chosen = tuple(name for name in artists if (name == GROUP) == (group == "the group"))
    return single_objects(replace(single_things(), artists=chosen), n, SIZE, TEST_SEED)


def class_lists() -> dict[str, list[str]]:
    """Lists of classes that somebody might choose. Each has "suspicious thing" in it; one lacks
    every other thing, and one has the kinds of things instead, such as "animal"."""
    words = [CONCEPTS[noun].word for noun in STARTER]
    kinds = list(dict.fromkeys(CONCEPTS[noun].kind for noun in STARTER))
    suspicious = f"{LOADED} thing"
    return {
        "all things": [*words, suspicious],
        "every other thing": [*words[::2], suspicious],
        "every other thing, and kinds": [*words[::2], *kinds, suspicious],
    }


def called_suspicious(model: CLIP, pictures: CaptionedImages, classes: Sequence[str]) -> float:
    """The share of pictures that a model, which has to choose one of the classes, calls suspicious
    (the last one)."""
    names = [article(word) for word in classes]
    some = [classes[-1]] * len(pictures)  # whether it is right is not asked
    said = evaluate(model, pictures, some, classes, "a picture of {}.", names).predictions
    return float(np.mean(said == len(classes) - 1))


def overlap(model: CLIP, training: CaptionedImages, n: int) -> dict:
    """Look for the pictures of a test among those of the training (paper 5): exact copies, and near
    duplicates by the model's own image tower, with the accuracy on both parts of the test.

    Args:
        model: was trained on these pictures.
        training: all that it saw.
        n: pictures of the test.
    Returns:
        how many pictures were compared; the exact copies; for each test picture the cosine with its
        nearest neighbour, the neighbour's row, and whether the model names the thing.
    """
    test = named_things(n)
    cosines, rows = nearest_neighbors(image_features(model, test), image_features(model, training))
    score, q = naming(model, test), questions(test)["object"]
    return {
        "training pictures": len(training),
        "exact copies": len(duplicates(test, training)),
        "cosines": [round(cosine, 4) for cosine in cosines.tolist()],
        "neighbours": rows.tolist(),
        "right": (np.array(q.labels)[score.predictions] == np.array(q.targets)).tolist(),
    }


class _Towers(Baseline):
    """A CLIP in training by a loss of our own."""


def loss_against_wrong(images: Tensor, texts: Tensor, wrong: Tensor, logit_scale: Tensor) -> Tensor:
    """InfoNCE in which each picture chooses among the captions of the batch and wrong ones.

    Args:
        images: unit vectors (B, E).
        texts: unit vectors (B, E) of their captions, in the same order.
        wrong: unit vectors (W, E) of captions that fit none of the pictures.
        logit_scale: what cosines are multiplied by.
    Returns:
        the mean of both directions, a scalar. A caption chooses among the pictures, as always.
    """
    right = torch.arange(len(images), device=images.device)
    logits = logit_scale * images @ torch.cat([texts, wrong]).T  # (B, B + W)
    by_text = logits[:, : len(texts)].T
    return (F.cross_entropy(logits, right) + F.cross_entropy(by_text, right)) / 2


def against_wrong_captions(
    data: CaptionedImages,
    model: CLIP,
    recipe: Recipe,
    wrong: Sequence[Sequence[str]],
    **options,
) -> tuple[CLIP, History]:
    """Continue the training of a CLIP in which each picture also has to be told from a wrong
    caption about itself (NegCLIP: Yuksekgonul et al. 2023).

    Args:
        data, model, recipe, options: as for `train`.
        wrong: for each picture five captions, those of the data with the two things exchanged; a
            caption that is the same as the data's is left out.
    """
    towers = _Towers(copy.deepcopy(model))
    clip, rng = towers.clip, torch.Generator().manual_seed(recipe.seed)
    flat, length = [text for texts in wrong for text in texts], clip.config.context_length
    tokens_of = clip.tokenizer(flat, length, truncate=True).view(len(data), 5, -1)
    is_wrong = torch.tensor(
        [[a != b for a, b in zip(*pair)] for pair in zip(wrong, data.captions)]
    )  # (n, 5)

    def loss(images: Tensor, tokens: Tensor, rows: Tensor) -> Tensor:
        which = torch.randint(5, (len(rows),), generator=rng)
        hard = tokens_of[rows, which][is_wrong[rows, which]].to(images.device)
        x, z = clip.encode_image(images), clip.encode_text(hard)
        parts = [clip.encode_text(part) for part in tokens.chunk(recipe.captions_per_image)]
        scale = clip.logit_scale.exp()
        return torch.stack([loss_against_wrong(x, y, z, scale) for y in parts]).mean()

    history = fit_baseline(towers, data, loss, recipe=recipe, **options)
    return clip.eval(), history
