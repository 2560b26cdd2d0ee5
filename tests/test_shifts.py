"""Promises of the shifts: each changes one thing, the answer stays, and what training must not
show it does not show."""

from collections import Counter, defaultdict

import numpy as np
import pytest

import miniclip
from miniclip.course import plots
from miniclip.data import picturebook
from miniclip.evaluation import shifts
from miniclip.evaluation.baselines import Classifier
from miniclip.evaluation.benchmarks import single_objects
from miniclip.zeroshot import Score


@pytest.fixture(scope="module")
def sets():
    return shifts.shifted(24, 48, seed=5)


def test_every_shift_asks_for_the_same_things(sets):
    """The same scenes, too, but for new colours, which need things that can be painted, and for
    other artists, who have other drawings to choose from."""
    assert set(sets) == set(shifts.SHIFTS)
    for name, data in sets.items():
        assert len(data) == 24 and data.images.shape == (24, 48, 48, 3)
        question = shifts.which_thing(data)
        assert len(set(question.labels)) == 40 and set(question.targets) <= set(question.labels)
        if name not in ("new colours", "near artists", "far artist"):
            assert data.facts["object"].tolist() == sets["home"].facts["object"].tolist()


def test_each_shift_is_what_its_name_says(sets):
    home = sets["home"]
    assert set(sets["pencil sketch"].facts["style"]) == {"sketch"}
    assert set(sets["at night"].facts["place"]) == {"night"} and set(
        sets["in the desert"].facts["place"]
    ) == {"desert"}
    assert np.allclose(
        sets["half as large"].facts["sizes"][:, 0], home.facts["sizes"][:, 0] / 2, atol=0.001
    )
    added = sets["noise"].images.astype(float) - home.images
    assert 15 < added.std() < 0.15 * 255 and not np.array_equal(sets["noise"].images, home.images)
    edges = lambda images: np.abs(np.diff(images.astype(float), axis=2)).mean()
    assert edges(sets["blur"].images) < 0.6 * edges(home.images)
    pairs = zip(
        sets["new colours"].facts["meanings"][:, 0].tolist(),
        sets["new colours"].facts["color"].tolist(),
    )
    assert set(pairs) <= shifts.NEW_COLORS


def test_training_at_home_never_shows_what_the_shifts_show():
    data = picturebook(400, 0, 32, shifts.HOME)
    assert (
        not set(zip(data.facts["meanings"][:, 0].tolist(), data.facts["color"].tolist()))
        & shifts.NEW_COLORS
    )
    assert not set(data.facts["place"]) & set(shifts.NEW_PLACES) and set(data.facts["style"]) == {
        "full"
    }
    assert {noun for noun, _ in shifts.NEW_COLORS} == set(
        shifts.PAINTABLE
    )  # each thing that can be painted has new colours


def test_a_clip_and_a_classifier_are_asked_the_same(sets):
    clip = miniclip.checkpoint.new(
        ["a dog in the snow", "a red bus"], miniclip.CLIPConfig(vision_layers=1, text_layers=1)
    )
    words = shifts.which_thing(sets["home"]).labels
    for model in (clip.eval(), Classifier(clip, words)):
        found = shifts.ask_all(model, {"home": sets["home"]})["home"]
        assert found.n == 24 and found.chance == 1 / 40 and len(found.predictions) == 24


def test_figures_say_what_their_whiskers_and_shades_are():
    score = Score(0.5, (0.4, 0.6), 100, 0.25, np.array([]))
    axis = plots.pairs({"a task": [score, score]}, ("one", "two"), ("blue", "red")).axes[0]
    assert "95 %" in axis.get_xlabel() and [
        text.get_text() for text in axis.get_legend().get_texts()
    ] == ["chance", "one", "two"]
    bands, names = (
        {"one": [(0, 0.2), (0.4, 0.6)]},
        lambda figure: [text.get_text() for text in figure.axes[0].get_legend().get_texts()],
    )
    assert names(plots.curves((1, 2), {"one": (0.1, 0.5)}, "x", "y", bands=bands)) == [
        "one",
        "shaded: 95 % interval",
    ]
    assert names(
        plots.curves((1, 2), {"one": (0.1, 0.5)}, "x", "y", bands=bands, shaded="five draws")
    ) == ["one", "five draws"]
    assert names(plots.curves((1, 2), {"one": (0.1, 0.5)}, "x", "y")) == ["one"]
    levels = (
        plots.curves((1, 2), {"one": (0.1, 0.5)}, "x", "y", levels={"below": 0.45}),
        plots.curves((1, 2), {"one": (0.1, 0.5)}, "x", "y", levels={"above": 0.15}),
    )
    assert [figure.axes[0].texts[0].get_ha() for figure in levels] == [
        "left",
        "right",
    ]  # where the curve is farther away


def test_a_place_of_its_own_leaves_five_things_and_another_place_changes_nothing_else():
    """The shortcut: where a thing is, tells which five it may be, until places are exchanged."""
    own, other = (single_objects(shifts.own_places(away), 200, 48, seed=5).facts for away in (0, 3))
    places_of = defaultdict(set)
    for word, place in zip(own["object"], own["place"]):
        places_of[word].add(place)
    assert {len(places) for places in places_of.values()} == {1}
    things_in = Counter(place for (place,) in places_of.values())
    assert set(things_in) == set(shifts.USUAL_PLACES) and max(things_in.values()) <= 5
    assert (own["place"] != other["place"]).all()
    for fact in ("object", "color", "artist", "sizes", "light"):
        assert np.array_equal(own[fact], other[fact])


def test_artists_are_unseen_at_home_and_seen_under_their_own_shift(sets):
    assert not set(sets["home"].facts["artist"]) & {*shifts.NEAR, *shifts.FAR}
    assert set(sets["near artists"].facts["artist"]) == set(shifts.NEAR)
    assert set(sets["far artist"].facts["artist"]) == set(shifts.FAR)


def test_the_figure_of_robustness_has_a_panel_for_each_shift_and_a_line_through_one_kind():
    """The line goes through points that lie on one, also where an accuracy is 0 or 1."""
    models = {
        name: {"noise": [(0.0, 0.1), (0.8, 0.4), (1.0, last)], "blur": [(0.2, 0.2), (0.9, 0.9)]}
        for name, last in (("CLIP", 0.75), ("twin", 0.25))
    }
    figure = plots.robustness(models, 100, {"CLIP": "blue", "twin": "red"}, line="twin")
    assert [axis.get_title() for axis in figure.axes] == ["noise", "blur"]
    assert "noise CLIP 75%, twin 40%" in figure.alt and len(figure.png()) > 10_000
    lines = {line.get_label(): line for line in figure.axes[1].get_lines()}
    x, y = lines["fit to twin"].get_data()
    assert np.allclose(x, y)  # blur is as good as at home


def test_a_figure_of_gaps_shows_each_difference_on_its_side_of_zero():
    rows = {"noise": (-5.0, -9.0, -1.0), "blur": (3.0, -2.0, 8.0)}
    figure = plots.gaps({"captions": rows}, "points", {"captions": "blue"}, "Who is ahead?")
    assert figure.alt == "Who is ahead?: noise captions -5; blur captions +3"
    two = plots.gaps({"one": rows, "two": rows}, "points", {"one": "blue", "two": "red"})
    marks = [line.get_xdata()[0] for line in two.axes[0].get_lines() if line.get_marker() == "o"]
    assert marks == [-5, 3, -5, 3]
