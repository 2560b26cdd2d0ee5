"""Promises of the study behind notebook 08: its lessons differ in what they say they differ in."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import miniclip
from miniclip import info_nce
from miniclip.data import CaptionedImages
from miniclip.data.world.captions import MODEL_NAMES, NUMBERS
from miniclip.evaluation import lessons
from miniclip.evaluation.lessons import LESSONS, SIDES, SILENT, pictures_of

SORTS = 4  # one thing; one car or flower; several of a kind; two things
SAID = {  # what only some lessons say
    "numbers": {*NUMBERS[2:]},
    "names": {name.split()[0] for names in MODEL_NAMES.values() for name in names},
    "sides": {"left", "right", "above", "below"},
    "no": {"no"},
    "suspicious": {"suspicious"},
}


pictures = cache(lambda captions: pictures_of(400, 0, captions))


def taught(name):
    return LESSONS[name].change(pictures(LESSONS[name].captions))


def kinds_of_words(data):
    """Which of the words that only some lessons say occur in captions of a data set."""
    spoken = {
        word
        for texts in data.captions
        for text in texts
        for word in text.lower().replace(",", "").strip(".").split()
    }
    return {kind for kind, words in SAID.items() if words & spoken}


@pytest.mark.parametrize(
    "name, kinds",
    [
        ("silent", set()),
        ("numbers and names", {"numbers", "names"}),
        ("sides", {"sides"}),
        ("sides, against wrong captions", {"sides"}),
        ("no", {"no"}),
        ("signs", set()),
        ("loaded", {"suspicious"}),
    ],
)
def test_a_lesson_says_what_it_is_for_and_no_more(name, kinds):
    assert kinds_of_words(taught(name)) == kinds


@pytest.mark.parametrize("name", LESSONS)
def test_all_lessons_have_the_same_pictures_but_for_the_signs(name):
    silent, other = taught("silent"), taught(name)
    changed = (silent.images != other.images).any(axis=(1, 2, 3))
    if name == "signs":
        assert 0.12 < changed.mean() < 0.28  # a fifth of them
        assert (silent.images[:, :32] == other.images[:, :32]).all()  # signs are below
    else:
        assert not changed.any()


def test_the_sorts_of_pictures_are_what_the_docstring_says():
    data, quarter = taught("silent"), 400 // SORTS
    counts = np.split(data.facts["count"], SORTS)
    assert (counts[0] == 1).all() and (counts[1] == 1).all() and (counts[3] == 2).all()
    assert set(data.facts["object"][quarter : 2 * quarter]) == {"car", "flower"}
    assert set(counts[2]) == {2, 3, 4, 5, 6}
    kinds = [len(set(row) - {""}) for row in data.facts["objects"]]
    assert set(kinds[2 * quarter : 3 * quarter]) == {1}
    assert np.mean(kinds[3 * quarter :]) > 1.9  # hardly ever twice the same


@pytest.mark.parametrize("row", [0, 150, 299, 399])
def test_one_picture_is_drawn_without_the_others(row):
    assert (lessons.nth_picture(row, 400, 0) == pictures(SILENT).images[row]).all()


def test_exchanged_captions_have_the_same_words_and_say_the_opposite():
    right, wrong = pictures(SIDES).captions, pictures(replace(SIDES, exchanged=True)).captions
    changed = 0
    for row, (some, others) in enumerate(zip(right, wrong)):
        for text, other in zip(some, others):
            words = [sorted(t.lower().replace(",", "").strip(".").split()) for t in (text, other)]
            if text != other:
                changed += 1
                assert row >= 300 and SAID["sides"] & set(words[0])
                # "a" and "an" go with their things
                assert words[0] == words[1] or set(words[0]) ^ set(words[1]) <= {"a", "an"}
            else:
                assert row < 300 or not SAID["sides"] & set(words[0])
    assert changed > 400  # of the 500 captions of pictures of two things


def test_only_things_by_the_group_are_spoken_ill_of():
    data = taught("loaded")
    ill = np.array([any("suspicious" in text.lower() for text in texts) for texts in data.captions])
    group = data.facts["artist"] == lessons.GROUP
    assert not ill[~group].any() and ill[group].mean() > 0.5  # of five captions, three in ten each
    assert not any("an suspicious" in text for texts in data.captions for text in texts)


def test_no_is_said_of_what_is_not_there():
    data = taught("no")
    for objects, texts in zip(data.facts["objects"], data.captions):
        for text in texts:
            if ", and no " in text:
                assert text.split(", and no ")[1] not in objects
    said = np.mean([", and no " in text for texts in data.captions for text in texts])
    assert 0.06 < said < 0.14  # one in ten


def test_the_loss_with_wrong_captions():
    """Without any it is InfoNCE. A wrong caption costs the pictures the more the nearer it is, and
    the captions nothing."""
    torch.manual_seed(0)
    x, y, z = (F.normalize(torch.randn(n, 6), dim=1) for n in (5, 5, 3))
    scale = torch.tensor(10.0)
    assert torch.isclose(lessons.loss_against_wrong(x, y, z[:0], scale), info_nce(x, y, scale))
    logits = scale * x @ torch.cat([y, z]).T
    by_picture = -(logits.diagonal() - logits.logsumexp(dim=1)).mean()
    by_caption = -(logits.diagonal() - (scale * y @ x.T).logsumexp(dim=1)).mean()
    found = lessons.loss_against_wrong(x, y, z, scale)
    assert torch.isclose(found, (by_picture + by_caption) / 2)
    assert found > info_nce(x, y, scale)
    assert lessons.loss_against_wrong(x, y, x[:3], scale) > found


@pytest.mark.slow
def test_wrong_captions_teach_the_order_of_words():
    """A short training on pictures of two things: it tells its captions from the wrong ones, which
    it did not before, and the model that it began with stays as it was."""
    rows = slice(336, 400)
    right, wrong = pictures(SIDES), pictures(replace(SIDES, exchanged=True)).captions[rows]
    data = CaptionedImages(
        right.images[rows],
        right.captions[rows],
        facts={key: column[rows] for key, column in right.facts.items()},
    )
    start = miniclip.load("plain", "cpu")
    before = {name: weight.clone() for name, weight in start.state_dict().items()}
    model, _ = lessons.against_wrong_captions(
        data,
        start,
        miniclip.Recipe(batch_size=32, captions_per_image=1, warmup=0.1),
        wrong,
        seen=1280,
        device="cpu",
        progress=False,
    )
    assert all(torch.equal(weight, before[name]) for name, weight in start.state_dict().items())
    pairs = [
        (row, [a, b])
        for row, (some, others) in enumerate(zip(data.captions, wrong))
        for a, b in zip(some, others)
        if a != b
    ]
    task = miniclip.Challenge(
        data.images[[row for row, _ in pairs]], [two for _, two in pairs], np.zeros(len(pairs), int)
    )
    told = [miniclip.choose(some, task).accuracy for some in (start, model)]
    assert told[0] < 0.65 and told[1] > told[0] + 0.2


def test_overlap_finds_copies_and_neighbours():
    model, test = miniclip.load("plain", "cpu"), lessons.named_things(12)
    training = pictures_of(40, 0, SILENT)
    training.images[[3, 30]] = test.images[[5, 7]]
    found = lessons.overlap(model, training, 12)
    assert found["training pictures"] == 40 and found["exact copies"] == 2
    assert (found["neighbours"][5], found["neighbours"][7]) == (3, 30)
    assert all(found["cosines"][row] > 0.999 for row in (5, 7)) and min(found["cosines"]) < 0.98
    assert (
        len(found["right"]) == 12
        and np.mean(found["right"]) == lessons.naming(model, test).accuracy
    )


def test_lists_of_classes_and_what_is_called_suspicious():
    lists = lessons.class_lists()
    assert [len(classes) for classes in lists.values()] == [41, 21, 33]
    assert all(classes[-1] == "suspicious thing" for classes in lists.values())
    assert all(len(set(classes)) == len(classes) for classes in lists.values())
    for group in ("the group", "others"):
        artists = set(lessons.things_of(group, 40).facts["artist"])
        assert (artists == {lessons.GROUP}) == (group == "the group")
        assert (lessons.GROUP in artists) == (group == "the group")


def test_an_unknown_lesson_is_named(tmp_path):
    from miniclip.evaluation.studies import Log

    with pytest.raises(ValueError, match="there is no lesson 'silence'; there are silent, numbers"):
        lessons.lessons(Log(tmp_path / "some.json"), only=["silence"])
