"""Promises of the ten artists: whose each drawing is, who is never trained on, and that a thing by
another hand is still that thing."""

from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import miniclip
from miniclip import Scene, Thing, World, plots
from miniclip.data import picturebook
from miniclip.data.world import (
    COMMON,
    CONCEPTS,
    STARTER,
    TRAINED_ON,
    UNSEEN,
    CaptionStyle,
    caption,
)
from miniclip.data.world.artists import ARTISTS, FOR_CHOOSING, artwork, drawn_codes
from miniclip.data.world.scene import boxed, render
from miniclip.evaluation import lessons, robustness, shifts
from miniclip.evaluation.baselines import bag_of_words
from miniclip.tools.cli import app
from miniclip.tools.cli.options import world_of

CODES = {code.partition(">")[0] for concept in CONCEPTS.values() for code in concept.art}
COMPLETE = ("openmoji", "twemoji", "fluent-flat", "fluent", "noto")


def thing(noun, artist, **options):
    return Scene("room", [Thing(noun, at=(0.5, 0.5), size=0.9, artist=artist, **options)])


# ---- whose drawings these are


@pytest.mark.parametrize("name", ARTISTS)
def test_every_artist_is_named_in_the_licence(name):
    text = (Path(__file__).parents[1] / "LICENSE").read_text(encoding="utf-8")
    artist = ARTISTS[name]
    line = next(line for line in text.splitlines() if line.startswith(f"- {artist.title}:"))
    assert artist.author in line and artist.url in line and artist.licence in line


@pytest.mark.parametrize("name", ARTISTS)
def test_an_artist_drew_things_of_this_world_and_the_complete_ones_all(name):
    drawn = set(drawn_codes(name))
    assert drawn <= CODES and len(drawn) >= 100
    assert name not in COMPLETE or drawn == CODES


def test_every_starter_noun_and_every_further_one_is_drawn_by_five_hands_at_least():
    for noun in {*STARTER, *set(CONCEPTS).difference(COMMON)}:
        assert sum(bool(CONCEPTS[noun].variants(artist)) for artist in ARTISTS) >= 5, noun


# ---- who is trained on


def test_everybody_is_trained_on_or_chosen_by_or_unseen():
    parts = (TRAINED_ON, FOR_CHOOSING, UNSEEN)
    assert sorted(sum(parts, ())) == sorted(ARTISTS) and all(parts)
    assert "noto" in UNSEEN and len(UNSEEN) >= 2


@pytest.mark.parametrize(
    "world",
    [
        World(),
        World.starter(),
        World(artists="trained"),
        world_of("common"),
        world_of("all"),
        world_of("starter"),
        shifts.HOME,
        shifts.WIDE,
        *(arm.world for arm in robustness.ARMS.values()),
    ],
)
def test_nothing_is_trained_on_an_unseen_artist(world):
    assert set(world.artists) <= set(TRAINED_ON)


@pytest.mark.parametrize("learn", [miniclip.train, bag_of_words])
def test_training_on_an_unseen_artist_is_refused(learn):
    data = picturebook(64, seed=2, size=48, world=World.starter(artists=("openmoji", "noto")))
    with pytest.raises(ValueError, match="by noto: nothing is trained on the unseen artists"):
        learn(data, "nano", seen=64, device="cpu", progress=False)


def test_no_study_trains_on_an_unseen_artist():
    assert set(lessons.pictures_of(400, 0, lessons.SILENT).facts["artist"]) <= set(TRAINED_ON)


# ---- what a world of several artists is


def test_a_picture_is_by_one_artist_who_drew_everything_in_it():
    world = World(artists="unseen", objects={1: 0.5, 3: 0.5})
    rng = Random(0)
    scenes = [world.scene(rng) for _ in range(200)]
    for scene in scenes:
        (artist,) = {thing.artist for thing in scene.things}
        for drawn in scene.things:
            assert drawn.variant in drawn.concept.variants(artist)
    assert {scene.things[0].artist for scene in scenes} == set(UNSEEN)


def test_the_facts_say_who_drew_a_picture_and_the_info_who_drew_at_all():
    data = picturebook(60, seed=2, size=32, world=World(artists=("noto", "firefox")))
    assert set(data.facts["artist"]) == {"noto", "firefox"}
    assert data.info["artists"] == ["noto", "firefox"] and "Mozilla" in data.info["source"]


def test_a_world_of_one_artist_has_the_captions_of_any_other():
    """Which artist draws changes the pictures alone, for artists who drew the same things."""
    one, other = (
        picturebook(40, seed=2, size=32, world=World(artists=artist, painted=0.0))
        for artist in ("twemoji", "noto")
    )
    assert one.captions == other.captions and (one.images != other.images).any((1, 2, 3)).all()


@pytest.mark.parametrize("artist", [name for name in ARTISTS if name != "openmoji"])
def test_paint_changes_the_colour_and_keeps_the_shape(artist):
    painted = [c for c in ("apple", "car", "mushroom", "heart") if CONCEPTS[c].variants(artist)]
    painted = [c for c in painted if CONCEPTS[c].can_be_painted(0, artist)]
    assert painted
    for noun in painted:
        plain, blue = thing(noun, artist).draw(96), thing(noun, artist, color="blue").draw(96)
        changed = (plain != blue).any(axis=2)
        assert changed.mean() > 0.05, noun
        hues = np.asarray(Image.fromarray(blue).convert("HSV"))[changed][:, 0] / 255
        assert abs(np.median(hues) - 0.59) < 0.05, noun  # of COLORS["blue"]


@pytest.mark.parametrize("artist", ARTISTS)
def test_a_sketch_has_no_colours(artist):
    noun = next(noun for noun in ("car", "cat") if CONCEPTS[noun].variants(artist))
    pixels = thing(noun, artist).with_(style="sketch").draw(96)
    saturation = np.asarray(Image.fromarray(pixels).convert("HSV"))[..., 1]
    assert saturation.max() < 40 and (pixels.min(axis=2) < 120).mean() > 0.01


def test_a_shaded_drawing_is_the_same_large_and_small():
    """It is drawn once as pixels; that must not be seen."""
    large = Image.fromarray(thing("car", "fluent").draw(128)).resize((48, 48), Image.LANCZOS)
    small = thing("car", "fluent").draw(48)
    assert np.abs(np.asarray(large, float) - small).mean() < 4


@pytest.mark.parametrize("artist", [name for name in COMPLETE if name != "openmoji"])
def test_a_crane_is_a_flamingo_without_its_colours(artist):
    grey, pink = (thing(noun, artist).things[0].draw(64) for noun in ("crane bird", "flamingo"))
    assert np.array_equal(grey[..., 3], pink[..., 3])  # the same shape
    spread = lambda pixels: np.ptp(pixels[pixels[..., 3] > 200][:, :3].astype(int), axis=1).max()
    assert spread(grey) < 8 < 60 < spread(pink)


def test_a_figure_shows_things_by_every_artist():
    figure = plots.artists(("dog", "llama"))
    drawn = sum(
        bool(CONCEPTS[noun].variants(name)) for noun in ("dog", "llama") for name in ARTISTS
    )
    assert f"from dog to llama, by {len(ARTISTS)} artists" in figure.alt
    assert f"{drawn} drawings" in figure.alt and figure.png().startswith(b"\x89PNG")


def test_the_command_line_draws_by_whom_one_asks(tmp_path):
    out = tmp_path / "set"
    words = f"data draw {out} --pictures 20 --size 32 --nouns starter --artists noto,firefox"
    assert CliRunner().invoke(app, words.split()).exit_code == 0
    assert set(miniclip.data.load(out).facts["artist"]) == {"noto", "firefox"}


@pytest.mark.parametrize(
    "make, sentence",
    [
        (lambda: World(artists="rembrandt"), "no artist 'rembrandt'; there are openmoji, twemoji"),
        (lambda: World(artists=()), "needs an artist"),
        (lambda: World(nouns=("llama",), artists="firefox"), "firefox has drawn none of llama"),
        (lambda: Thing("dog", artist="rembrandt"), "artist 'rembrandt' is not in the picture book"),
        (lambda: Thing("llama", artist="firefox"), "firefox has not drawn a llama"),
        (lambda: Thing("panda", color="blue", artist="noto"), "cannot be painted"),
    ],
)
def test_what_no_artist_can_draw_is_refused_with_a_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


def test_captions_name_the_manner_of_the_artist_where_they_are_asked_to():
    style = CaptionStyle(manner=1)
    for artist in ARTISTS:
        scene = thing("dog", artist)
        texts = {caption(scene, Random(number), style).lower() for number in range(40)}
        found = {manner for manner in ARTISTS[artist].manners for text in texts if manner in text}
        assert found == set(ARTISTS[artist].manners)
        assert all(any(manner in text for manner in found) for text in texts)
    silent = [caption(thing("dog", "fluent"), Random(number)) for number in range(200)]
    assert not any("icon" in text or "shaded" in text for text in silent)


def test_what_has_a_colour_of_its_own_is_seen_in_others_but_less_often():
    assert not CONCEPTS["banana"].can_be_painted(0, "openmoji")
    assert CONCEPTS["banana"].can_be_painted(0, "twemoji")

    def painted(noun):
        world = World(nouns=(noun,), objects=1, artists=("twemoji",))
        return np.mean([world.scene(Random(n)).things[0].color is not None for n in range(500)])

    assert 0.28 < painted("banana") < 0.44 and 0.85 < painted("frog") < 0.95


def test_drawings_kept_as_pixels_are_the_drawings():
    """The sheet of shaded drawings is in the order of their codes, and none of them is another."""
    (artist,) = (name for name in ARTISTS if ARTISTS[name].shaded)
    for noun in ("dog", "machine crane", "flying bat", *tuple(CONCEPTS)[-3:]):
        variant = CONCEPTS[noun].variants(artist)[0]
        code = CONCEPTS[noun].art[variant]
        kept = Thing(noun, artist=artist, variant=variant).draw(128).astype(int)
        drawn = np.asarray(render(boxed(artwork(code, artist).fills), 128)).astype(int)
        visible = drawn[..., 3] > 0
        assert np.abs(kept - drawn)[visible].mean() < 3  # of 255: they have 64 levels of colour
