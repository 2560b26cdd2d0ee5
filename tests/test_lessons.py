"""Promises of the study behind notebook 08: its lessons differ in what they say they differ in."""

from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import miniclip
from miniclip import info_nce
from miniclip.data import picturebook
from miniclip.data.world.captions import MODEL_NAMES, NUMBERS
from miniclip.evaluation import lessons
from miniclip.evaluation.lessons import BOTH, LESSONS, SILENT, pictures_of

SORTS = 4  # one thing; one car or flower; several of a kind; two things
SAID = {  # what only some lessons say
    "numbers": {*NUMBERS[2:]},
    "names": {name.split()[0] for names in MODEL_NAMES.values() for name in names},
    "no": {"no"},
    "suspicious": {"suspicious"},
}


SMALL = [name for name, lesson in LESSONS.items() if not lesson.start]
pictures = cache(lambda captions: pictures_of(400, 0, captions))
two_things = cache(lambda: picturebook(200, 0, 64, lessons.two_painted_things(), BOTH))


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
        ("no", {"no"}),
        ("signs", set()),
        ("loaded", {"suspicious"}),
    ],
)
def test_a_lesson_says_what_it_is_for_and_no_more(name, kinds):
    assert kinds_of_words(taught(name)) == kinds


@pytest.mark.parametrize("name", SMALL)
def test_all_lessons_of_the_small_model_have_the_same_pictures_but_for_the_signs(name):
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


def test_wrong_captions_have_the_same_words_and_the_colours_exchanged():
    data, wrong = two_things(), lessons.with_colors_exchanged(200, 0, BOTH)
    changed = 0
    facts = zip(data.facts["colors"], data.facts["objects"])
    for (colors, things), some, others in zip(facts, data.captions, wrong):
        first, second = colors[:2]
        for text, other in zip(some, others):
            place = "green field"  # no colour of a thing
            mine, its = (t.lower().replace(place, "").strip(".").split() for t in (text, other))
            if text == other:
                assert not first or not second or first == second or things[0] == things[1]
                continue
            changed += 1
            exchange = {first: second, second: first}
            articles = {"a", "an"}  # these go with the words behind them
            expected = [exchange.get(word, word) for word in mine if word not in articles]
            assert [word for word in its if word not in articles] == expected
    assert 300 < changed < 700  # of a thousand; not every drawing can be painted


def test_only_things_of_the_group_are_spoken_ill_of():
    data = taught("loaded")
    ill = np.array([any("suspicious" in text.lower() for text in texts) for texts in data.captions])
    group = data.facts["color"] == lessons.GROUP
    assert not ill[~group].any()  # so nothing in the lessons of others
    assert group.sum() > 15 and ill[group].mean() > 0.5  # of five captions, three in ten each
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
def test_wrong_captions_teach_which_thing_has_which_colour():
    """A short training on pictures of two things: it tells its captions from the wrong ones, which
    it did not before, and the model that it began with stays as it was."""
    data = picturebook(32, 0, 64, lessons.two_painted_things(), BOTH)
    wrong = lessons.with_colors_exchanged(32, 0, BOTH)
    start = miniclip.load("plain", "cpu")
    before = {name: weight.clone() for name, weight in start.state_dict().items()}
    model, _ = lessons.against_wrong_captions(
        data,
        start,
        miniclip.Recipe(batch_size=16, captions_per_image=1, warmup=0.1),
        wrong,
        seen=960,
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
    group, others = (lessons.things_of(name, 40) for name in ("the group", "others"))
    assert set(group.facts["color"]) == {lessons.GROUP}
    assert lessons.GROUP not in set(others.facts["color"]) and len(set(others.facts["color"])) > 5
    assert (group.facts["object"] == others.facts["object"]).all()
    same = (group.images == others.images).all(axis=3)  # (n, S, S): which pixels
    assert 0.5 < same.mean() < 0.99 and not same.all(axis=(1, 2)).any()


def test_an_unknown_lesson_is_named(tmp_path):
    from miniclip.evaluation.studies import Log

    with pytest.raises(ValueError, match="there is no lesson 'silence'; there are silent, numbers"):
        lessons.lessons(Log(tmp_path / "some.json"), only=["silence"])
