"""Promises of the test sets: they ask what they say, of pictures that no training sees."""

import numpy as np
import pytest
import torch

from miniclip import CaptionedImages, World
from miniclip.data.world import article
from miniclip.evaluation.benchmarks import (
    CHOICE_SEED,
    TEST_SEED,
    all_words,
    both_named,
    duel,
    questions,
    single_objects,
    two_objects,
)

WORLD = World.starter()


class Knower:
    """A model that is told what is in the pictures: its space has an axis for each noun."""

    def __init__(self, data, mistakes=0):
        self.words = tuple(data.info["words"])
        self.vectors = torch.zeros(len(data), len(self.words))
        for row, pair in enumerate(data.facts["objects"][:, :2]):
            for word in pair:
                self.vectors[row, (self.words.index(word) + (row < mistakes)) % len(self.words)] = 1

    def encode_image(self, images):
        return self.vectors[: len(images)]

    def encode_text(self, texts):
        names = [f"a picture of {article(word)}." for word in self.words]
        return torch.eye(len(self.words))[[names.index(text) for text in texts]]


def test_single_objects_show_one_thing_each_and_ask_for_its_colour_only_where_it_was_painted():
    data = single_objects(WORLD, 40, 32)
    assert set(data.facts["count"]) == {1} and set(data.facts["style"]) == {"full"}
    asked = questions(data)
    assert set(asked) == {"object", "color", "place"} and len(asked["object"].rows) == 40
    assert (
        "" not in asked["color"].targets
        and len(asked["color"].rows) == (data.facts["color"] != "").sum()
    )


def test_the_labels_are_the_words_of_the_world_and_not_those_that_happen_to_be_there():
    data = single_objects(WORLD, 6, 32)
    assert len(questions(data)["object"].labels) == len(questions(data[:2])["object"].labels) == 40
    bare = CaptionedImages(
        data.images, data.captions, facts=data.facts
    )  # a set that does not know its world
    assert questions(bare)["object"].labels == all_words(data.facts["object"])


def test_two_objects_have_two_names():
    data = two_objects(WORLD, 40, 32)
    assert len(data) == 40 and set(data.facts["count"]) == {2}
    assert (data.facts["objects"][:, 0] != data.facts["objects"][:, 1]).all()


@pytest.mark.parametrize("mistakes, right", [(0, 1), (10, 0.75), (40, 0)])
def test_both_named_counts_pictures_whose_two_best_names_are_right(mistakes, right):
    data = two_objects(WORLD, 40, 32)
    score = both_named(Knower(data, mistakes), data)
    words = 40  # of the world, whichever of them are in these pictures
    assert score.accuracy == right and score.chance == pytest.approx(2 / words / (words - 1))


def test_seeds_for_choosing_and_for_testing_differ():
    assert CHOICE_SEED != TEST_SEED
    assert not np.array_equal(
        single_objects(WORLD, 2, 32).images, single_objects(WORLD, 2, 32, CHOICE_SEED).images
    )


@pytest.mark.parametrize(
    ("wins", "losses", "p"), [(9, 1, 0.0215), (1, 9, 0.0215), (6, 4, 0.754), (0, 0, 1), (5, 5, 1)]
)
def test_a_duel_is_mcnemars_exact_test(wins, losses, p):
    """The values of p are those of scipy.stats.binomtest."""
    one = np.array([True] * wins + [False] * losses + [True, False] * 20)
    other = np.array([False] * wins + [True] * losses + [True, False] * 20)
    found = duel(one, other)
    assert (found.wins, found.losses) == (wins, losses) and found.p == pytest.approx(p, abs=5e-4)
    verdict = {9: "the first is better", 1: "the second is better"} if p < 0.05 else {}
    assert str(found) == f"{wins} to {losses}: {verdict.get(wins, 'no telling which is better')}"


def test_a_duel_needs_the_same_pictures():
    with pytest.raises(ValueError, match="one answers 2 pictures, the other 3"):
        duel([True, False], [True, False, True])
