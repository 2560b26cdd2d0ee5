"""What captions and pictures teach (paper 6 and 7): lessons that differ in one thing each.

A lesson is a short training that continues a model. Five begin with a small model, which learned
from captions that name things and say nothing of their numbers or models: captions that give these,
that say what is not there, or use a loaded word for one group; signs on pictures; and more of the
same. Two begin with `picturebook`, and ask which of two things has which colour: with captions
alone, and with wrong captions as hard negatives. `python -m miniclip study lessons` trains, and
resumes where it was stopped. Taught in notebook 08.
"""

from __future__ import annotations

import copy
import re
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
from miniclip.data.world import CONCEPTS, STARTER, article, captions_of, scene_facts
from miniclip.evaluation.baselines import Baseline, fit_baseline
from miniclip.evaluation.benchmarks import TEST_SEED, questions, single_objects
from miniclip.evaluation.challenges import (
    CHALLENGES,
    PAINTABLE,
    choose,
    there_or_not,
    with_sign,
    written,
)
from miniclip.evaluation.study_log import Log
from miniclip.model import CLIP
from miniclip.retrieval import duplicates, nearest_neighbors
from miniclip.training.clip import train
from miniclip.training.history import History
from miniclip.training.recipe import Recipe
from miniclip.zeroshot import Score, evaluate, image_features

SEEDS = (0, 1, 2)
SIZE = 64  # pixels; smaller signs could not be read
FIRST_SEED, LESSON_SEED = 1, 0  # of the pictures before the lessons, and of those of the lessons
SILENT = CaptionStyle(count=0, model=0, relation=0, color=0.4, place=0.3, weather=0.1, light=0.1)
TELLING = replace(SILENT, count=0.9, model=0.5)
BOTH = replace(SILENT, color=1, mention=1, kind=0)  # of two things each with its colour
SIGNS = {
    "no sign": {"text": False},
    "a sign that tells nothing": {"text": "sale"},
    "a sign with the right name": {"right": True},
    "a sign with the wrong name": {},
}
GROUP = "purple"  # things of this colour are spoken ill of
LOADED = "suspicious"


@dataclass(frozen=True)
class Lesson:
    """One training.

    Args:
        captions: what captions say.
        change: what is done to the pictures or the captions afterwards.
        start: the model to begin with, by its name; "" for the small one.
        wrong_captions: whether each picture also has to be told from a wrong caption, with the
            colours of the two things exchanged.
        keep: the name of the model that ships, of the first seed.
    """

    captions: CaptionStyle = SILENT
    change: Callable[[CaptionedImages], CaptionedImages] = lambda data: data
    start: str = ""
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
    """Let some captions of things of one colour call them suspicious."""
    captions = []
    for row, texts in enumerate(data.captions):
        rng, word = Random(f"ill {row}"), data.facts["object"][row]
        ill = f"{LOADED} {word}"
        spoken_of = data.facts["color"][row] == GROUP
        captions.append(
            [
                re.sub(rf"\b([Aa])n {LOADED}", rf"\1 {LOADED}", text.replace(word, ill, 1))
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


def two_painted_things() -> World:
    """Two things, each in a colour where the artist's drawing can have one."""
    world = replace(single_things(), objects=2, same_kind_prob=0, sizes=(0.36, 0.48))
    return replace(world, nouns=PAINTABLE, painted=1)


def with_colors_exchanged(n: int, seed: int, captions: CaptionStyle) -> list[list[str]]:
    """Five wrong captions for each picture of two painted things: those of the picture itself with
    the two colours exchanged. Where there are not two different colours, they are its own."""
    world, wrong = two_painted_things(), []
    for index in range(n):
        scene = world.nth_scene(index, seed)
        a, b = scene.things
        if a.color and b.color:
            exchanged = [replace(a, color=b.color), replace(b, color=a.color)]
            scene = scene.with_(things=exchanged)
        wrong.append(captions_of(scene, index, seed, captions))
    return wrong


LESSONS = {
    "silent": Lesson(keep="plain"),
    "numbers and names": Lesson(TELLING, keep="counting"),
    "no": Lesson(change=say_no),
    "signs": Lesson(change=put_up_signs, keep="signs"),
    "loaded": Lesson(change=speak_ill, keep="loaded"),
    "both colours": Lesson(BOTH, start="picturebook"),
    "both colours, against wrong captions": Lesson(BOTH, start="picturebook", wrong_captions=True),
}
OF_PICTUREBOOK = 0.3  # it is slower, and learns faster: the share of pictures that its lessons have


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
    school, score = _School(log, seen, pictures, precision), cache(lambda: scorer(tests))

    def before(seed: int) -> dict[str, float]:
        model, found = school.beginner(seed)
        return found | score()(model)

    def after(name: str, seed: int) -> dict[str, float]:
        model, history = school.teach(name, seed)
        if LESSONS[name].keep and seed == seeds[0]:
            log.keep(LESSONS[name].keep, model, "lessons")
        return {"seen": history.rows[-1]["seen"], **score()(model)}

    for seed in seeds:
        log.part(f"before | seed {seed}", partial(before, seed))
        for name in only or LESSONS:
            log.part(f"{name} | seed {seed}", partial(after, name, seed))
    first = lambda: (school.beginner(seeds[0])[0], school.first_pictures())
    log.part("overlap", lambda: overlap(*first(), tests))
    log.part("about", lambda: {"test pictures": tests, "precision": precision or "fp32"})


class _School:
    """What the lessons share: the models that they begin with, and the pictures.

    Args:
        log, seen, pictures, precision: as for `lessons`.
    """

    def __init__(self, log: Log, seen: int, pictures: int, precision: str | None):
        self.log, self.precision, self.seen, self.count = log, precision, seen, pictures
        self.first_pictures = cache(lambda: pictures_of(2 * pictures, FIRST_SEED, SILENT))
        self.pictures = cache(lambda captions: pictures_of(pictures, LESSON_SEED, captions))
        self.beginner = cache(self._train_beginner)

    def _train_beginner(self, seed: int) -> tuple[CLIP, dict[str, float]]:
        """The model that all lessons of a seed begin with, and how many pictures it saw."""
        path = self.log.path.with_name(f"beginner-{seed}.safetensors")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            _, training, unfinished = checkpoint.read(path)
            if not unfinished:
                return checkpoint.load(path), {"seen": training["history"][-1]["seen"]}
        words = say_no(speak_ill(self.pictures(TELLING))).captions  # for all lessons
        config = CLIPConfig.preset("nano", image_size=SIZE)
        start = checkpoint.new((text for texts in words for text in texts), config, seed)
        model, history = train(
            self.first_pictures(),
            start,
            seen=4 * self.seen,
            recipe=Recipe(seed=seed, warmup=0.1),
            precision=self.precision,
            out=path,
            resume=True,
        )
        return model, {"seen": history.rows[-1]["seen"]}

    def teach(self, name: str, seed: int) -> tuple[CLIP, History]:
        """A copy of the model that a lesson begins with, after it."""
        lesson = LESSONS[name]
        recipe, options = Recipe(seed=seed, warmup=0.1), {"precision": self.precision}
        if lesson.start:
            start, n = checkpoint.load(lesson.start), round(OF_PICTUREBOOK * self.count)
            data = picturebook(n, LESSON_SEED, SIZE, two_painted_things(), lesson.captions)
            options["seen"] = round(OF_PICTUREBOOK * self.seen)
            # Gently: it has learned already.
            recipe = replace(recipe, lr=3e-4, muon_lr=9e-4, captions_per_image=1)
        else:
            start, data = self.beginner(seed)[0], self.pictures(lesson.captions)
            options["seen"] = self.seen
        if not lesson.wrong_captions:
            return train(lesson.change(data), start, recipe=recipe, **options)
        wrong = with_colors_exchanged(len(data), LESSON_SEED, lesson.captions)
        return against_wrong_captions(data, start, recipe, wrong, **options)


def scorer(n: int) -> Callable[[CLIP], dict[str, float]]:
    """What measures a model on n pictures of every task: accuracies, and how often it calls the
    things of the group, and those of others, suspicious."""
    names = ("counting", "car models", "flower species", "left and right", "whose colour")
    tasks = {name: CHALLENGES[name](n=n, size=SIZE) for name in names}
    tasks["there or not"] = there_or_not(n=n, size=SIZE)
    tasks |= {name: written(n=n, size=SIZE, **options) for name, options in SIGNS.items()}
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
    """n test pictures of one painted thing each: "the group" has its colour, "others" have another.
    Both are the same pictures but for that."""
    world, scenes, index = single_things(), [], 0
    while len(scenes) < n:
        scene, index = world.nth_scene(index, TEST_SEED), index + 1
        thing = scene.things[0]
        if thing.color:
            other = thing.color if thing.color != GROUP else "green"
            color = GROUP if group == "the group" else other
            scenes.append(scene.with_(things=[replace(thing, color=color)]))
    facts = [scene_facts(scene) for scene in scenes]
    return CaptionedImages(
        np.stack([scene.draw(SIZE) for scene in scenes]),
        [[f"{fact['color']} {fact['object']}"] for fact in facts],
        facts={name: np.array([fact[name] for fact in facts]) for name in ("object", "color")},
    )


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
        wrong: for each picture five captions that do not fit it. One that is among the picture's
            own at the same place is left out.
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
