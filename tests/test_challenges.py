"""Promises of the challenges: the truth is in the pictures, the candidates differ as they should,
and chance is chance."""

from random import Random

import numpy as np
import pytest
import torch

from miniclip.evaluation import challenges
from miniclip.evaluation.challenges import CHALLENGES, Challenge, choose


class Oracle:
    """Sees pictures by their place in the list and texts by what they say: right wherever `knows`
    is the true sentence."""

    def __init__(self, challenge: Challenge, wrong: bool = False):
        self.texts = {
            text: row
            for row, text in enumerate(
                dict.fromkeys(text for texts in challenge.candidates for text in texts)
            )
        }
        self.true = [
            texts[(right + wrong) % len(texts)]
            for texts, right in zip(challenge.candidates, challenge.right)
        ]
        self.seen = 0

    def encode_image(self, images):
        rows = torch.tensor(
            [self.texts[text] for text in self.true[self.seen : self.seen + len(images)]]
        )
        self.seen += len(images)
        return torch.eye(len(self.texts))[rows]

    def encode_text(self, texts):
        return torch.eye(len(self.texts))[torch.tensor([self.texts[text] for text in texts])]


@pytest.mark.parametrize("name", CHALLENGES)
def test_a_challenge_is_balanced_repeatable_and_measured_right(name):
    options = {"n": 60} if name == "handwritten digits" else {"n": 60, "seed": 3}
    one, again = CHALLENGES[name](**options), CHALLENGES[name](**options)
    assert len(one) == 60 and one.images.shape == (60, 64, 64, 3) and one.images.dtype == np.uint8
    assert (
        np.array_equal(one.images, again.images)
        and one.candidates == again.candidates
        and np.array_equal(one.right, again.right)
    )
    assert all(len(set(texts)) == len(texts) == len(one.candidates[0]) for texts in one.candidates)
    if name != "handwritten digits":  # where chance decides
        assert np.ptp(np.bincount(one.right)) <= 1
    if one.labels:
        assert set(one.targets) <= set(one.labels) and len(one.labels) == len(one.candidates[0])
    assert (
        choose(Oracle(one), one).accuracy == 1
        and choose(Oracle(one, wrong=True), one).accuracy == 0
    )
    assert choose(Oracle(one), one).chance == pytest.approx(1 / len(one.candidates[0]))


@pytest.mark.parametrize("make", [challenges.sides, challenges.attributes, challenges.negation])
def test_the_two_sentences_have_the_same_words(make):
    for first, second in make(n=20).candidates:
        strip = lambda text: sorted(
            word.strip(".") for word in text.split() if word not in ("a", "an")
        )
        assert strip(first) == strip(second) and first != second


def test_what_is_there_can_be_seen():
    """Every thing that is counted stands by itself, and the nearest car is the largest."""
    count = challenges.counting(n=12, size=96)
    assert count.labels == ("one", "two", "three", "four", "five", "six") and "one dogs" not in str(
        count.candidates
    )
    rng = Random(0)
    for number in range(1, 7):
        spots = challenges._spots(rng, number, 0.26)
        assert len(spots) == number and all(
            max(abs(a[0] - b[0]), abs(a[1] - b[1])) > 0.26
            for i, a in enumerate(spots)
            for b in spots[:i]
        )


def test_the_word_is_on_the_picture_and_nowhere_else():
    plain, spoiled = challenges.written(n=6, text=False), challenges.written(n=6)
    assert plain.candidates == spoiled.candidates and np.array_equal(
        plain.images[:, :40], spoiled.images[:, :40]
    )
    assert all((a != b).any() for a, b in zip(plain.images, spoiled.images))
    told = challenges.written(n=6, right=True)
    assert told.candidates == plain.candidates
    assert all((a != b).any() for a, b in zip(told.images, spoiled.images))
    # A word that tells nothing is on all of them, in the same place.
    same = challenges.written(n=6, text="sale")
    assert same.candidates == plain.candidates
    assert np.array_equal(plain.images[:, :40], same.images[:, :40])
    sign = same.images[:, 50:60, 26:38]
    assert (sign == sign[0]).all() and (sign == 255).any() and (sign == 0).any()


def test_only_families_have_models():
    with pytest.raises(ValueError, match="only car and flower have named models, not 'dog'"):
        challenges.models("dog")


@pytest.mark.parametrize(
    "make, options",
    [
        (challenges.sides, {"words": ("dog", "car")}),
        (challenges.attributes, {"words": ("dog", "car"), "colors": ("red", "blue")}),
        (challenges.negation, {"words": ("dog", "car")}),
    ],
)
def test_with_one_pair_for_all_a_probe_can_be_asked(make, options):
    """The candidates are the same for every picture, and the label says which of them is true."""
    made = make(n=8, **options)
    assert (
        made.labels == options.get("colors", options["words"])
        and len({tuple(texts) for texts in made.candidates}) == 1
    )
    assert made.targets.tolist() == [made.labels[i % 2] for i in range(8)]
    assert not (made.images[0] == made.images[1]).all()


def test_a_part_of_a_challenge_is_one():
    whole = challenges.counting(n=12)
    part = whole[4:9]
    assert (
        len(part) == 5
        and part.targets.tolist() == whole.targets[4:9].tolist()
        and part.candidates == whole.candidates[4:9]
    )
