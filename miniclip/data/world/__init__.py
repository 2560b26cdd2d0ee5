"""Picturebook, the built-in data set: scenes of a drawn world with captions, in a millisecond each.

Everything that shapes the data can be set: which things, colours and places occur (`World`), how
they are drawn (`Scene`), and what the captions say about them (`CaptionStyle`). Picture i of a seed
is the same on every machine, however many pictures are drawn. The art is by ten artists, see
`artists.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from random import Random

import joblib
import numpy as np
from tqdm.auto import tqdm

from miniclip.data.captioned import CaptionedImages
from miniclip.data.world.artists import ARTISTS, COLORS, GROUPS, TRAINED_ON, UNSEEN, credit
from miniclip.data.world.captions import CaptionStyle, caption
from miniclip.data.world.places import PLACES
from miniclip.data.world.scene import MAX_THINGS, Scene, Thing
from miniclip.data.world.things import COMMON, CONCEPTS, STARTER, WORDS, article

__all__ = [
    "ARTISTS",
    "COLORS",
    "COMMON",
    "CONCEPTS",
    "PLACES",
    "STARTER",
    "TRAINED_ON",
    "UNSEEN",
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
# Smallest and largest size of things, as a share of the picture, by the number of things in it.
USUAL_SIZES = {
    0: (0.4, 0.8),
    1: (0.4, 0.82),
    2: (0.36, 0.54),
    3: (0.27, 0.4),
    4: (0.25, 0.36),
}
UNUSUAL = 0.4  # share of paint for things whose drawing by OpenMoji has no colour to replace
SIZES_OF_MANY = (0.2, 0.28)  # in a picture of five or six things


def _pick(rng: Random, weights: Mapping):
    """Choose a key with a probability proportional to its weight, using one random number."""
    remaining = rng.random() * sum(weights.values())
    for key, weight in weights.items():
        remaining -= weight
        if remaining < 0:
            return key
    return key


@dataclass(frozen=True)
class World:
    """Which scenes occur, and how often.

    Args:
        nouns: names of concepts from `CONCEPTS`, or "starter" for the 40 starter nouns, "common"
            for the common ones, "all" for all.
        places: names from `PLACES`.
        objects: number of things in a scene, 0 to 6: one number, or {number: weight} to choose it
            at random.
        same_kind_prob: probability that the things of a scene with several are all of one kind.
        styles, weathers, lights: {name: weight}, from which each scene's is chosen at random.
        scale: factor by which all sizes are multiplied, 0.3 to 1.15.
        sizes: smallest and largest size of things, as shares of the picture's width, 0.05 to 0.85;
            None for the usual sizes, which are smaller in scenes with more things.
        spacing: how a thing's position is chosen among twelve random ones: "even" takes the one
            that is farthest from the other things, "any" the first one that overlaps none of them.
        painted: probability that a thing is painted in a colour, if it can be; otherwise it keeps
            its own. Things with a colour of their own, such as bananas, are painted less than half
            as often, so that shape and not colour tells what a thing is.
        artists: who draws: names from `ARTISTS`, or the name of a group of them: "trained",
            "choosing", "unseen" or "all". A picture is drawn by one of them, chosen at random, and
            shows things that this artist drew. By default those that a model may train on.
        excluded_pairs: (noun, colour) pairs that never occur, so that a test can show them for the
            first time.
        places_of: {noun: places} for nouns that are always in one of these, each as often, if they
            are the first thing of a scene. The rest of the scene stays as it is.
    Raises:
        ValueError: for an unknown name or a number out of range.
    """

    nouns: str | tuple[str, ...] = "common"
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
    artists: str | tuple[str, ...] = "trained"
    places_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        nouns = self.nouns
        if isinstance(nouns, str):
            groups = {"starter": STARTER, "common": COMMON, "all": tuple(CONCEPTS)}
            nouns = groups.get(nouns, nouns)
        else:
            nouns = tuple(nouns)
        if isinstance(nouns, str):
            raise ValueError(
                f"nouns is 'starter', 'common', 'all' or a list of names, not {nouns!r}"
            )
        if unknown := [name for name in nouns if name not in CONCEPTS]:
            raise ValueError(
                f"not in the picture book: {', '.join(unknown)}; its nouns: {', '.join(CONCEPTS)}"
            )
        places = [*self.places, *(place for some in self.places_of.values() for place in some)]
        if unknown := [name for name in places if name not in PLACES]:
            raise ValueError(f"no such place: {', '.join(unknown)}; places are {', '.join(PLACES)}")
        objects = {self.objects: 1.0} if isinstance(self.objects, int) else dict(self.objects)
        self._check_numbers()
        if (
            not nouns
            or not self.places
            or not objects
            or not all(0 <= number <= MAX_THINGS for number in objects)
        ):
            raise ValueError(
                f"a world needs nouns, places, and scenes of 0 to {MAX_THINGS} things; "
                f"got objects={self.objects}"
            )
        object.__setattr__(self, "artists", self._check_artists(nouns))
        object.__setattr__(self, "nouns", nouns)
        object.__setattr__(self, "places", tuple(self.places))
        object.__setattr__(self, "objects", objects)

    def _check_artists(self, nouns: tuple[str, ...]) -> tuple[str, ...]:
        """The names of the artists; each must have drawn at least one of the nouns."""
        names = self.artists
        names = GROUPS.get(names, (names,)) if isinstance(names, str) else tuple(names)
        for name in names:
            if name not in ARTISTS:
                raise ValueError(
                    f"no artist {name!r}; there are {', '.join(ARTISTS)}, and the groups "
                    f"{', '.join(GROUPS)}"
                )
            if not any(CONCEPTS[noun].variants(name) for noun in nouns):
                raise ValueError(f"{name} has drawn none of {', '.join(nouns)}")
        if not names:
            raise ValueError("a world needs an artist")
        return names

    @cached_property
    def _drawn(self) -> dict[str, tuple[str, ...]]:
        """{artist: the nouns of this world that the artist drew}."""
        return {
            artist: tuple(noun for noun in self.nouns if CONCEPTS[noun].variants(artist))
            for artist in self.artists
        }

    def _check_numbers(self) -> None:
        if not 0.3 <= self.scale <= 1.15:
            raise ValueError(
                f"scale is between 0.3 and 1.15, so that things can be seen "
                f"and fit the picture, not {self.scale}"
            )
        if self.sizes is not None and not 0.05 <= self.sizes[0] <= self.sizes[1] <= 0.85:
            raise ValueError(
                f"sizes is a smallest and a largest size between 0.05 and 0.85, not {self.sizes}"
            )
        if self.spacing not in ("even", "any"):
            raise ValueError(f"spacing is even or any, not {self.spacing!r}")

    @classmethod
    def starter(cls, **changes) -> World:
        """Make the easy world of a first five-minute training.

        It has forty nouns, one or two things in a picture, and mostly fair weather.

        Args:
            changes: fields of `World` that are to differ from this.
        Returns:
            the world.
        """
        easy = {
            "nouns": "starter",
            "objects": {1: 0.9, 2: 0.1},
            "scale": 1.15,
            "styles": {"full": 1.0},
            "weathers": {"clear": 0.91, "rain": 0.03, "snowfall": 0.03, "fog": 0.03},
            "lights": {"day": 0.84, "sunset": 0.08, "dusk": 0.08},
        }
        return cls(**{**easy, **changes})

    def nth_scene(self, index: int, seed: int) -> Scene:
        """The scene of a picture of a data set that `picturebook` draws of this world.

        Args:
            index: the picture's number, from 0.
            seed: of the data set.
        """
        return self.scene(Random(f"picturebook {seed} {index}"))

    def scene(self, rng: Random) -> Scene:
        """Compose one scene at random.

        The order of the random draws is part of the data set: another order would change every
        picture of every seed.

        Args:
            rng: the random numbers.
        Returns:
            the scene.
        """
        # Only with a choice is a random number used, so worlds of one artist are what they were.
        artist = rng.choice(self.artists) if len(self.artists) > 1 else self.artists[0]
        nouns = self._drawn[artist]
        count = _pick(rng, self.objects)
        same_kind = count > 1 and rng.random() < self.same_kind_prob
        if same_kind:
            names = [rng.choice(nouns)] * count
        else:
            names = [rng.choice(nouns) for _ in range(count)]
        # Some concepts have home places; the first thing's home is preferred.
        home = [place for place in CONCEPTS[names[0]].home if place in self.places] if names else []
        place = rng.choice(home) if home and rng.random() < 0.7 else rng.choice(self.places)
        if names and (own := self.places_of.get(names[0])):
            place = own[int(rng.random() * len(own))]  # one random number, however many places
        low, high = self.sizes or USUAL_SIZES.get(count, SIZES_OF_MANY)
        shared_color = rng.choice(tuple(COLORS))  # things of one kind often share their colour
        things: list[Thing] = []
        for name in names:
            size = rng.uniform(low, high) * self.scale
            x, y = self._position(rng, size, things)
            concept = CONCEPTS[name]
            variant = rng.choice(concept.variants(artist))
            share = same_kind and rng.random() < 0.7
            color = shared_color if share else rng.choice(tuple(COLORS))
            # What has a colour of its own, such as a banana, is seen in it more often.
            usual = 1 if concept.art[variant] in concept.family else UNUSUAL
            painted = (
                rng.random() < self.painted * usual
                and concept.can_be_painted(variant, artist)
                and (name, color) not in self.excluded_pairs
            )
            things.append(
                Thing(
                    noun=name,
                    color=color if painted else None,
                    at=(round(x, 3), round(y, 3)),
                    size=round(size, 3),
                    variant=variant,
                    flip=rng.random() < 0.5,
                    tilt=round(rng.uniform(-12, 12), 1),
                    artist=artist,
                )
            )
        return Scene(
            place=place,
            things=tuple(things),
            weather=_pick(rng, self.weathers),
            light=_pick(rng, self.lights),
            style=_pick(rng, self.styles),
            chance=str(rng.random()),
        )

    def _position(self, rng: Random, size: float, things: list[Thing]) -> tuple[float, float]:
        """Choose where the centre of the next thing goes, among twelve random positions."""
        candidates = [
            (
                rng.uniform(size / 2, 1 - size / 2),
                rng.uniform(max(0.25, size / 2), 1 - size / 2),
            )
            for _ in range(12)
        ]
        # The gap to the nearest other thing; below zero if the two overlap.
        gaps = [
            min(
                (
                    ((x - t.at[0]) ** 2 + (y - t.at[1]) ** 2) ** 0.5 - (size + t.size) / 2
                    for t in things
                ),
                default=0,
            )
            for x, y in candidates
        ]
        if self.spacing == "any":
            for candidate, gap in zip(candidates, gaps):
                if gap > 0:
                    return candidate
        return candidates[gaps.index(max(gaps))]


def scene_facts(scene: Scene) -> dict[str, object]:
    """List the ground truth of a scene.

    Args:
        scene: the scene.
    Returns:
        by name: "objects" (words), "meanings" (concepts), "colors", "variants", "xy" (centres) and
        "sizes" of the things, each a list padded to six; "object" and "color" of the first thing;
        "count"; the scene's "place", "weather", "light" and "style"; and the "artist" of the first
        thing.
    """

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
        "artist": things[0].artist if things else "",
    }


def _draw_some(indices: range, seed: int, size: int, world: World, style: CaptionStyle):
    """Draw the pictures with these indices: their pixels, captions and facts."""
    pictures, texts, facts = np.empty((len(indices), size, size, 3), np.uint8), [], []
    for row, index in enumerate(indices):
        scene = world.nth_scene(index, seed)
        pictures[row] = scene.draw(size)
        texts.append(captions_of(scene, index, seed, style))
        facts.append(scene_facts(scene))
    return pictures, texts, facts


def captions_of(scene: Scene, index: int, seed: int, style: CaptionStyle) -> list[str]:
    """Five captions, all different if forty tries give as many.

    Args:
        scene: what they speak of.
        index, seed: as of a picture of `picturebook`; they decide which words are chosen. Captions
            have random numbers of their own, so another style changes no picture.
        style: what they mention.
    """
    rng, unique = Random(f"captions {seed} {index}"), dict[str, None]()
    for _ in range(40):
        unique.setdefault(caption(scene, rng, style))
        if len(unique) == CAPTIONS_PER_PICTURE:
            break
    texts = list(unique)
    # A style with few choices may give fewer different captions; then they are repeated.
    return [texts[i % len(texts)] for i in range(CAPTIONS_PER_PICTURE)]


def picturebook(
    n: int,
    seed: int = 0,
    size: int = 64,
    world: World | None = None,
    captions: CaptionStyle | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> CaptionedImages:
    """Draw n captioned pictures.

    Picture i depends only on the seed and on i, so a smaller data set is the beginning of a larger
    one.

    Args:
        n: number of pictures.
        seed: another seed gives other pictures; keep some seeds for tests.
        size: height and width in pixels, 32 to 512.
        world: which scenes occur; by default those with the common nouns and all places.
        captions: what captions mention; see `CaptionStyle`.
        workers: number of processes that draw; by default one for each core if n is above 2,000,
            otherwise one. The result does not depend on it.
        progress: show a progress bar if n is above 2,000.
    Returns:
        a `CaptionedImages` of n pictures with five captions each and the ground truth in `facts`
        (see `scene_facts`).
    Raises:
        ValueError: if n is below 1 or the size is out of range.
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
    parallel = joblib.Parallel(n_jobs=workers, return_as="generator")
    with tqdm(
        total=n, desc="drawing pictures", unit="picture", disable=not progress or n <= 2000
    ) as bar:
        drawn = parallel(joblib.delayed(draw)(chunk) for chunk in chunks)
        for chunk_images, chunk_texts, chunk_facts in drawn:
            images[len(texts) : len(texts) + len(chunk_images)] = chunk_images
            texts += chunk_texts
            facts += chunk_facts
            bar.update(len(chunk_images))
    columns = {key: np.array([fact[key] for fact in facts]) for key in facts[0]}
    info = {
        "name": f"picturebook, seed {seed}",
        "licence": "that of each drawing; CC BY-SA 4.0 for all together",
        "source": "; ".join(map(credit, world.artists)),
        "artists": list(world.artists),
        "words": list(
            dict.fromkeys(CONCEPTS[noun].word for noun in CONCEPTS if noun in world.nouns)
        ),
    }
    return CaptionedImages(images, texts, facts=columns, info=info)
