"""What the paper says CLIP is poor at (3.1.5, 6), made of scenes of the drawn world.

Models of car, species of flower, counting, the distance to the nearest car, left and right, which
thing has which colour, "no", text on a picture, and real handwritten digits. Each challenge lists
for every picture the sentences that a model has to choose from, so it can be put to any model with
`encode_image` and `encode_text`. Taught in notebook 08.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from miniclip.data.world import COLORS, CONCEPTS, PLACES, STARTER, Scene, Thing, article
from miniclip.data.world.captions import MODEL_NAMES, NUMBERS
from miniclip.data.world.things import plural
from miniclip.zeroshot import Score, image_features, text_features, wilson

NUMBER_WORDS = NUMBERS[1:]  # one to six
DISTANCES = {"near": "close by", "middle": "some way off", "far": "far away"}
# Nouns that have a single meaning, a single word, and a plural that differs from it.
WORDS = tuple(noun for noun in STARTER if CONCEPTS[noun].word == noun and plural(noun) != noun)
PAINTABLE = tuple(noun for noun in WORDS if set(CONCEPTS[noun].art) == set(CONCEPTS[noun].family))


@dataclass(frozen=True)
class Challenge:
    """Pictures, each with the sentences to choose from.

    Args:
        images: uint8 (n, S, S, 3).
        candidates: for each picture its C sentences.
        right: (n,), which of them is true, from 0.
        labels: what the C places stand for, if that is the same for all pictures (a linear probe
            needs it); else None.
    """

    images: np.ndarray
    candidates: list[list[str]]
    right: np.ndarray
    labels: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: slice) -> Challenge:
        """Some of the pictures: `challenge[:100]`."""
        return Challenge(self.images[rows], self.candidates[rows], self.right[rows], self.labels)

    @property
    def targets(self) -> np.ndarray:
        """The right label of each picture (n,), for a linear probe.

        Raises:
            ValueError: if the candidates of each picture are others, so that there are no labels.
        """
        if self.labels is None:
            raise ValueError(
                "the pictures of this challenge have candidates of their own and so no labels in "
                "common; a linear probe needs labels"
            )
        return np.array(self.labels)[self.right]


def cosines(model, challenge: Challenge) -> torch.Tensor:
    """The cosine of each picture with each of its candidates: (n, C)."""
    features = image_features(model, challenge.images)  # (n, E)
    position = {
        text: row
        for row, text in enumerate(
            dict.fromkeys(text for texts in challenge.candidates for text in texts)
        )
    }
    vectors = text_features(model, list(position))
    own = vectors[
        torch.tensor([[position[text] for text in texts] for texts in challenge.candidates])
    ]  # (n, C, E)
    return torch.einsum("ne,nce->nc", features, own)


def choose(model, challenge: Challenge) -> Score:
    """Zero-shot: how often the true sentence is the nearest of a picture's candidates."""
    predictions = cosines(model, challenge).argmax(dim=1).numpy()
    hits = int((predictions == challenge.right).sum())
    return Score(
        hits / len(predictions),
        wilson(hits, len(predictions)),
        len(predictions),
        1 / len(challenge.candidates[0]),
        predictions,
    )


def _make(
    n: int,
    size: int,
    key: str,
    seed: int,
    make_scene: Callable[[Random, int], tuple[Scene, list[str], int]],
    labels: Sequence[str] | None = None,
) -> Challenge:
    """Draw n pictures.

    `make_scene` takes a random number generator and the number of the picture; it gives a scene,
    its candidates and which of them is right.
    """
    rows = [make_scene(Random(f"{key} {seed} {index}"), index) for index in range(n)]
    return Challenge(
        np.stack([scene.draw(size) for scene, _, _ in rows]),
        [texts for _, texts, _ in rows],
        np.array([right for _, _, right in rows]),
        tuple(labels) if labels else None,
    )


def _place(rng: Random) -> str:
    return rng.choice(tuple(PLACES))


def _paint(rng: Random, noun: str, model: int = 0) -> str | None:
    return rng.choice(tuple(COLORS)) if CONCEPTS[noun].art[model] in CONCEPTS[noun].family else None


def models(noun: str, n: int = 300, size: int = 64, seed: int = 0) -> Challenge:
    """Which model of car, or which species of flower, is it? Fine-grained classes: captions say
    "car" and "flower" for all of them.

    Raises:
        ValueError: for a noun without named models.
    """
    if noun not in MODEL_NAMES:
        raise ValueError(f"only {' and '.join(MODEL_NAMES)} have named models, not {noun!r}")
    names, count = MODEL_NAMES[noun], len(CONCEPTS[noun].art)

    def make_scene(rng: Random, index: int):
        right = index % count
        thing = Thing(
            noun,
            _paint(rng, noun, right),
            (rng.uniform(0.35, 0.65), rng.uniform(0.45, 0.65)),
            rng.uniform(0.5, 0.8),
            right,
            rng.random() < 0.5,
        )
        return (
            Scene(_place(rng), [thing]),
            [f"a picture of {article(name)}." for name in names],
            right,
        )

    return _make(n, size, f"models {noun}", seed, make_scene, names)


def _spots(rng: Random, count: int, size: float) -> list[tuple[float, float]]:
    """Places for things of one size at which they do not hide each other."""
    while True:  # six things of the largest size that is asked for nearly always fit soon
        spots: list[tuple[float, float]] = []
        for _ in range(200):
            spot = rng.uniform(size / 2, 1 - size / 2), rng.uniform(size / 2, 1 - size / 2)
            if all(max(abs(spot[0] - x), abs(spot[1] - y)) > size for x, y in spots):
                spots.append(spot)
            if len(spots) == count:
                return spots


def counting(n: int = 300, size: int = 64, seed: int = 0) -> Challenge:
    """How many things are there, from one to six? All things of a picture look alike, and they are
    not smaller where there are more of them."""

    def make_scene(rng: Random, index: int):
        count, noun, side = index % 6 + 1, rng.choice(WORDS), rng.uniform(0.2, 0.26)
        paint = _paint(rng, noun)
        things = [Thing(noun, paint, spot, side) for spot in _spots(rng, count, side)]
        return (
            Scene(_place(rng), things),
            [
                f"a picture of {article(noun) if word == 'one' else f'{word} {plural(noun)}'}."
                for word in NUMBER_WORDS
            ],
            count - 1,
        )

    return _make(n, size, "counting", seed, make_scene, NUMBER_WORDS)


def distance(n: int = 300, size: int = 64, seed: int = 0) -> Challenge:
    """How far away is the nearest car: near, at some distance or far? Two or three cars stand in a
    street, smaller the farther away they are (as in KITTI)."""
    sides = {"near": (0.5, 0.62), "middle": (0.28, 0.36), "far": (0.13, 0.18)}

    def make_scene(rng: Random, index: int):
        right = index % 3
        nearest = rng.uniform(*sides[tuple(sides)[right]])
        things = []
        for side in sorted(
            [nearest] + [rng.uniform(0.1, nearest) for _ in range(rng.randint(1, 2))]
        ):
            model = rng.randrange(len(CONCEPTS["car"].art))
            things.append(
                Thing(
                    "car",
                    _paint(rng, "car", model),
                    (rng.uniform(side / 2, 1 - side / 2), 0.55 + 0.4 * side),
                    side,
                    model,
                    rng.random() < 0.5,
                )
            )
        return Scene("street", things), [f"a car {words}." for words in DISTANCES.values()], right

    return _make(n, size, "distance", seed, make_scene, tuple(DISTANCES))


def sides(
    n: int = 300, size: int = 64, seed: int = 0, words: tuple[str, str] | None = None
) -> Challenge:
    """Which of two things is to the left of the other? Both sentences have the same words in
    another order.

    Args:
        n, size, seed: how many pictures, of how many pixels, and which.
        words: the same two things in all pictures, so that a linear probe can be trained; by
            default they vary.
    """

    def make_scene(rng: Random, index: int):
        (a, b), swapped = words or rng.sample(WORDS, 2), index % 2
        left, right = (b, a) if swapped else (a, b)
        things = [
            Thing(left, _paint(rng, left), (0.27, rng.uniform(0.5, 0.65)), 0.45),
            Thing(right, _paint(rng, right), (0.73, rng.uniform(0.5, 0.65)), 0.45),
        ]
        return (
            Scene(_place(rng), things),
            [
                f"{article(a)} to the left of {article(b)}",
                f"{article(b)} to the left of {article(a)}",
            ],
            swapped,
        )

    return _make(n, size, "sides", seed, make_scene, words)


def attributes(
    n: int = 300,
    size: int = 64,
    seed: int = 0,
    words: tuple[str, str] | None = None,
    colors: tuple[str, str] | None = None,
) -> Challenge:
    """Which of two things has which colour? "a red car and a blue dog" against "a blue car and a
    red dog": the same words in another order (Yuksekgonul et al. 2023, Thrush et al. 2022).

    Args:
        n, size, seed: how many pictures, of how many pixels, and which.
        words, colors: the same in all pictures, so that a linear probe can be trained; by default
            they vary.
    """

    def make_scene(rng: Random, index: int):
        (a, b), (p, q), swapped = (
            words or rng.sample(PAINTABLE, 2),
            colors or rng.sample(tuple(COLORS), 2),
            index % 2,
        )
        spots = [(0.27, rng.uniform(0.5, 0.65)), (0.73, rng.uniform(0.5, 0.65))]
        rng.shuffle(spots)
        c, d = (q, p) if swapped else (p, q)
        return (
            Scene(_place(rng), [Thing(a, c, spots[0], 0.45), Thing(b, d, spots[1], 0.45)]),
            [f"{article(f'{x} {a}')} and {article(f'{y} {b}')}" for x, y in ((p, q), (q, p))],
            swapped,
        )

    return _make(n, size, "attributes", seed, make_scene, colors)


def negation(
    n: int = 300, size: int = 64, seed: int = 0, words: tuple[str, str] | None = None
) -> Challenge:
    """What is there and what is not? "a dog and no cat" against "a cat and no dog", for a picture
    of one of the two.

    Args:
        n, size, seed: how many pictures, of how many pixels, and which.
        words: the same two things in all pictures, so that a linear probe can be trained; by
            default they vary.
    """

    def make_scene(rng: Random, index: int):
        (a, b), swapped = words or rng.sample(WORDS, 2), index % 2
        there = b if swapped else a
        texts = [f"a picture of {article(x)} and no {y}." for x, y in ((a, b), (b, a))]
        return (
            Scene(
                _place(rng), [Thing(there, _paint(rng, there), (0.5, 0.58), rng.uniform(0.5, 0.75))]
            ),
            texts,
            swapped,
        )

    return _make(n, size, "negation", seed, make_scene, words)


def written(
    n: int = 300, size: int = 64, seed: int = 0, text: bool | str = True, right: bool = False
) -> Challenge:
    """A picture of one thing with the name of another written across it: which of the two does the
    model see? (Typographic attack: Goh et al. 2021.)

    Args:
        n, size, seed: how many pictures, of how many pixels, and which.
        text: to compare with, False gives the same pictures without a word, and a string the same
            pictures with this word on all of them.
        right: whether it is the right name that is written.
    """

    def make_scene(rng: Random, index: int):
        (there, word), swapped = rng.sample(WORDS, 2), index % 2
        texts = [f"a picture of {article(a)}." for a in (there, word)]
        return (
            Scene(
                _place(rng), [Thing(there, _paint(rng, there), (0.5, 0.5), rng.uniform(0.5, 0.7))]
            ),
            texts[::-1] if swapped else texts,
            swapped,
        )

    made = _make(n, size, "written", seed, make_scene)
    if text is False:
        return made
    which = made.right if right else 1 - made.right
    sentences = [texts[row].rstrip(".") for texts, row in zip(made.candidates, which)]
    names = [sentence.removeprefix("a picture of ").split(" ", 1)[1] for sentence in sentences]
    words = names if text is True else [text] * n
    images = np.stack([with_sign(pixels, word) for pixels, word in zip(made.images, words)])
    return Challenge(images, made.candidates, made.right)


def with_sign(pixels: np.ndarray, word: str) -> np.ndarray:
    """A picture (S, S, 3) with a word written on a white sign in its lower part."""
    picture, size = Image.fromarray(pixels), len(pixels)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(size=max(8, size // 5))
    box = pen.textbbox((size // 2, size * 0.86), word, font=font, anchor="mm")
    pen.rectangle((box[0] - 2, box[1] - 1, box[2] + 2, box[3] + 1), fill="white")
    pen.text((size // 2, size * 0.86), word, font=font, anchor="mm", fill="black")
    return np.asarray(picture)


def there_or_not(n: int = 300, size: int = 64, seed: int = 0) -> Challenge:
    """Is it there or not? "a picture of a dog." against "a picture of no dog.", and half of the
    pictures show something else."""

    def make_scene(rng: Random, index: int):
        (there, other), absent = rng.sample(WORDS, 2), index % 2
        word = other if absent else there
        return (
            Scene(_place(rng), [Thing(there, _paint(rng, there), (0.5, 0.58), 0.6)]),
            [f"a picture of {article(word)}.", f"a picture of no {word}."],
            absent,
        )

    return _make(n, size, "there or not", seed, make_scene, ("there", "not there"))


def digits(n: int = 1797, size: int = 64) -> Challenge:
    """Real handwritten digits, which are like nothing in the drawn world.

    They come with scikit-learn (from UCI: Alpaydin and Kaynak 1998), have 8 x 8 pixels and are
    enlarged.
    """
    from sklearn.datasets import load_digits

    dataset = load_digits()
    rows = np.random.default_rng(0).permutation(len(dataset.images))[:n]
    shades = (255 - dataset.images[rows] * 255 / 16).astype(np.uint8)  # black on white
    images = np.stack(
        [
            np.asarray(
                Image.fromarray(shade).resize((size, size), Image.Resampling.BICUBIC).convert("RGB")
            )
            for shade in shades
        ]
    )
    words = ("zero", *NUMBER_WORDS, "seven", "eight", "nine")
    return Challenge(
        images,
        [[f"a picture of the number {word}." for word in words]] * len(rows),
        dataset.target[rows],
        words,
    )


CHALLENGES: dict[str, Callable[..., Challenge]] = {
    "car models": lambda **options: models("car", **options),
    "flower species": lambda **options: models("flower", **options),
    "counting": counting,
    "distance to the nearest car": distance,
    "left and right": sides,
    "whose colour": attributes,
    "no": negation,
    "a word on the picture": written,
    "handwritten digits": digits,
}
