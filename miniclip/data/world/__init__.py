"""Picturebook, the embedded data set: scenes of a drawn world with captions, made in a millisecond each.

Every cause is a knob: which things, colours and places occur (`World`), how they are drawn (`Scene`), and what people say
of them (`CaptionStyle`). Picture i of a seed is the same on every machine, whatever the size of the set.
Art: OpenMoji (openmoji.org), CC BY-SA 4.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from random import Random

import joblib
import numpy as np
from tqdm.auto import tqdm

from miniclip.data.captioned import CaptionedImages
from miniclip.data.world.captions import CaptionStyle, caption
from miniclip.data.world.places import PLACES
from miniclip.data.world.scene import MAX_THINGS, Scene, Thing
from miniclip.data.world.things import COLORS, CONCEPTS, STARTER, WORDS, article

__all__ = [
    "COLORS",
    "CONCEPTS",
    "PLACES",
    "STARTER",
    "WORDS",
    "CaptionStyle",
    "Scene",
    "Thing",
    "World",
    "article",
    "caption",
    "picturebook",
]

CAPTIONS_PER_PICTURE = 5
CHUNK = 250  # pictures that one worker draws at a time


def _pick(rng: Random, weights: Mapping):
    """Choose a key with a probability in proportion to its weight, from one random number."""
    at = rng.random() * sum(weights.values())
    for key, weight in weights.items():
        at -= weight
        if at < 0:
            return key
    return key


@dataclass(frozen=True)
class World:
    """Which scenes occur, and how often.

    Args:
        nouns: names of meanings from `CONCEPTS`; "starter" for the first words, "all" for every one.
        places: names from `PLACES`.
        objects: things in a scene, as {number: weight} or one number; at most 6.
        same_kind_prob: probability that the things of a scene with several are all of one kind.
        styles, weathers, lights: {name: weight}.
        scale: sizes of things, as a multiple of the usual ones.
        sizes: smallest and largest size of things, as shares of the picture; None for the usual ones, smaller where there are more.
        spacing: where things stand: "even", each as far from the others as twelve tries allow, or "any", at the first of them that hides no other.
        painted: probability that a thing that can take a colour is painted; otherwise it keeps its own.
        excluded_pairs: (noun, colour) pairs that never occur, to be met for the first time in a test.
    Raises:
        ValueError: for an unknown name or an impossible number.
    """

    nouns: str | tuple[str, ...] = "all"
    places: tuple[str, ...] = tuple(PLACES)
    objects: int | Mapping[int, float] = field(
        default_factory=lambda: {1: 0.4, 2: 0.4, 3: 0.12, 4: 0.08}
    )
    same_kind_prob: float = 0.2
    styles: Mapping[str, float] = field(
        default_factory=lambda: {"full": 0.92, "sketch": 0.04, "cutout": 0.04}
    )
    weathers: Mapping[str, float] = field(
        default_factory=lambda: {"clear": 0.76, "rain": 0.08, "snowfall": 0.08, "fog": 0.08}
    )
    lights: Mapping[str, float] = field(
        default_factory=lambda: {"day": 0.7, "sunset": 0.15, "dusk": 0.15}
    )
    scale: float = 1.0
    sizes: tuple[float, float] | None = None
    spacing: str = "even"
    painted: float = 0.9
    excluded_pairs: frozenset[tuple[str, str]] = frozenset()

    def __post_init__(self) -> None:
        named = {"all": tuple(CONCEPTS), "starter": STARTER}
        nouns = (
            named.get(self.nouns, self.nouns) if isinstance(self.nouns, str) else tuple(self.nouns)
        )
        if isinstance(nouns, str):
            raise ValueError(f"nouns is 'all', 'starter' or a list of names, not {nouns!r}")
        if unknown := [name for name in nouns if name not in CONCEPTS]:
            raise ValueError(
                f"not in the picture book: {', '.join(unknown)}; its nouns: {', '.join(CONCEPTS)}"
            )
        if unknown := [name for name in self.places if name not in PLACES]:
            raise ValueError(f"no such place: {', '.join(unknown)}; places are {', '.join(PLACES)}")
        objects = {self.objects: 1.0} if isinstance(self.objects, int) else dict(self.objects)
        if not 0.3 <= self.scale <= 1.15:
            raise ValueError(
                f"scale is between 0.3 and 1.15, so that things can be seen and fit the picture, not {self.scale}"
            )
        if self.sizes is not None and not 0.05 <= self.sizes[0] <= self.sizes[1] <= 0.85:
            raise ValueError(
                f"sizes is a smallest and a largest size between 0.05 and 0.85, not {self.sizes}"
            )
        if self.spacing not in ("even", "any"):
            raise ValueError(f"spacing is even or any, not {self.spacing!r}")
        if (
            not nouns
            or not self.places
            or not objects
            or not all(0 <= number <= MAX_THINGS for number in objects)
        ):
            raise ValueError(
                f"a world needs nouns, places, and scenes of 0 to {MAX_THINGS} things; got objects={self.objects}"
            )
        object.__setattr__(self, "nouns", nouns)
        object.__setattr__(self, "places", tuple(self.places))
        object.__setattr__(self, "objects", objects)

    @classmethod
    def starter(cls, **changes) -> World:
        """The world of a first five minutes: forty nouns, one or two in a picture, mostly in fair weather; single fields can be changed."""
        easy = {
            "nouns": "starter",
            "objects": {1: 0.9, 2: 0.1},
            "scale": 1.15,
            "styles": {"full": 1.0},
            "weathers": {"clear": 0.91, "rain": 0.03, "snowfall": 0.03, "fog": 0.03},
            "lights": {"day": 0.84, "sunset": 0.08, "dusk": 0.08},
        }
        return cls(**{**easy, **changes})

    def scene(self, rng: Random) -> Scene:
        """Compose one scene by chance."""
        count = _pick(rng, self.objects)
        alike = count > 1 and rng.random() < self.same_kind_prob
        names = (
            [rng.choice(self.nouns)] * count
            if alike
            else [rng.choice(self.nouns) for _ in range(count)]
        )
        home = [
            place for place in (CONCEPTS[names[0]].home if names else ()) if place in self.places
        ]
        place = rng.choice(home) if home and rng.random() < 0.7 else rng.choice(self.places)
        low, high = self.sizes or {
            0: (0.4, 0.8),
            1: (0.4, 0.82),
            2: (0.36, 0.54),
            3: (0.27, 0.4),
            4: (0.25, 0.36),
        }.get(count, (0.2, 0.28))
        things: list[Thing] = []
        paint = rng.choice(tuple(COLORS))  # things of one kind often share their colour
        for name in names:
            size = rng.uniform(low, high) * self.scale
            spots = [
                (
                    rng.uniform(size / 2, 1 - size / 2),
                    rng.uniform(max(0.25, size / 2), 1 - size / 2),
                )
                for _ in range(12)
            ]
            gaps = [
                min(
                    (
                        ((x - t.at[0]) ** 2 + (y - t.at[1]) ** 2) ** 0.5 - (size + t.size) / 2
                        for t in things
                    ),
                    default=0,
                )
                for x, y in spots
            ]
            clear = (
                next((spot for spot, gap in zip(spots, gaps) if gap > 0), None)
                if self.spacing == "any"
                else None
            )
            at = clear or spots[gaps.index(max(gaps))]
            concept = CONCEPTS[name]
            variant = rng.randrange(len(concept.art))
            color = paint if alike and rng.random() < 0.7 else rng.choice(tuple(COLORS))
            painted = (
                rng.random() < self.painted
                and concept.art[variant] in concept.family
                and (name, color) not in self.excluded_pairs
            )
            things.append(
                Thing(
                    name,
                    color if painted else None,
                    (round(at[0], 3), round(at[1], 3)),
                    round(size, 3),
                    variant,
                    rng.random() < 0.5,
                    round(rng.uniform(-12, 12), 1),
                )
            )
        return Scene(
            place,
            tuple(things),
            _pick(rng, self.weathers),
            _pick(rng, self.lights),
            _pick(rng, self.styles),
            str(rng.random()),
        )


def scene_facts(scene: Scene) -> dict[str, object]:
    """The ground truth of a scene: names, colours, place and the rest, lists padded to six things."""

    def pad(values, empty):
        return list(values) + [empty] * (MAX_THINGS - len(scene.things))

    things = scene.things
    return {
        "objects": pad((t.concept.word for t in things), ""),
        "meanings": pad((t.noun for t in things), ""),
        "colors": pad((t.color or "" for t in things), ""),
        "variants": pad((t.variant for t in things), -1),
        "xy": pad((t.at for t in things), (-1.0, -1.0)),
        "sizes": pad((t.size for t in things), 0.0),
        "object": things[0].concept.word if things else "",
        "color": things[0].color or "" if things else "",
        "count": len(things),
        "place": scene.place,
        "weather": scene.weather,
        "light": scene.light,
        "style": scene.style,
    }


def _draw_some(indices: range, seed: int, size: int, world: World, style: CaptionStyle):
    pictures, texts, facts = np.empty((len(indices), size, size, 3), np.uint8), [], []
    for row, index in enumerate(indices):
        rng = Random(f"picturebook {seed} {index}")
        scene = world.scene(rng)
        pictures[row] = scene.draw(size)
        words = Random(
            f"captions {seed} {index}"
        )  # its own chance: another CaptionStyle leaves the pictures as they are
        texts.append(_different_captions(scene, words, style))
        facts.append(scene_facts(scene))
    return pictures, texts, facts


def _different_captions(scene: Scene, rng: Random, style: CaptionStyle) -> list[str]:
    found: dict[str, None] = {}
    for _ in range(40):
        found.setdefault(caption(scene, rng, style))
        if len(found) == CAPTIONS_PER_PICTURE:
            break
    texts = list(found)
    return [
        texts[i % len(texts)] for i in range(CAPTIONS_PER_PICTURE)
    ]  # a style of few choices may run out of different ones


def picturebook(
    n: int,
    seed: int = 0,
    size: int = 64,
    world: World | None = None,
    captions: CaptionStyle | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> CaptionedImages:
    """Draw n captioned pictures; picture i depends on the seed and i alone, so smaller sets nest in larger ones.

    Args:
        n: number of pictures.
        seed: another seed, other pictures; keep some seeds for tests.
        size: height and width in pixels, 32 to 512.
        world: which scenes occur; by default every noun and place.
        captions: what captions mention; see `CaptionStyle`.
        workers: processes that draw; by default one a core for large sets. The result does not depend on it.
        progress: show a progress bar for large sets.
    Returns:
        `CaptionedImages` of n pictures with five captions each and the ground truth in `facts`.
    Raises:
        ValueError: for an n below 1 or a size out of range.
    """
    if n < 1:
        raise ValueError(f"n is the number of pictures to draw, at least 1, not {n}")
    if not 32 <= size <= 512:
        raise ValueError(f"pictures are 32 to 512 pixels wide, not {size}")
    world, captions = world or World(), captions or CaptionStyle()
    draw = partial(_draw_some, seed=seed, size=size, world=world, style=captions)
    chunks = [range(start, min(start + CHUNK, n)) for start in range(0, n, CHUNK)]
    workers = workers or (joblib.cpu_count() if n > 2000 else 1)
    images, texts, facts = np.empty((n, size, size, 3), np.uint8), [], []
    with tqdm(
        total=n, desc="drawing pictures", unit="picture", disable=not progress or n <= 2000
    ) as bar:
        for pictures, more_texts, more_facts in joblib.Parallel(
            n_jobs=workers, return_as="generator"
        )(joblib.delayed(draw)(chunk) for chunk in chunks):
            images[len(texts) : len(texts) + len(pictures)] = pictures
            texts += more_texts
            facts += more_facts
            bar.update(len(pictures))
    columns = {key: np.array([fact[key] for fact in facts]) for key in facts[0]}
    info = {
        "name": f"picturebook, seed {seed}",
        "licence": "CC BY-SA 4.0",
        "source": "drawn from OpenMoji (openmoji.org, CC BY-SA 4.0)",
        "words": list(
            dict.fromkeys(CONCEPTS[noun].word for noun in CONCEPTS if noun in world.nouns)
        ),
    }
    return CaptionedImages(images, texts, facts=columns, info=info)
