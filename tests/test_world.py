"""Promises of the drawn world: the same on every machine, true to its facts, silent where it is
meant to be silent."""

import hashlib
import json
from collections import Counter
from random import Random

import numpy as np
import pytest

from miniclip.data import CaptionStyle, Scene, Thing, World, load, picturebook
from miniclip.data.world import COLORS, COMMON, CONCEPTS, PLACES, STARTER, WORDS, article, caption
from miniclip.data.world.captions import MODEL_NAMES
from miniclip.data.world.chatter import vocabulary
from miniclip.data.world.places import shade
from miniclip.data.world.things import plural


def digest(data) -> str:
    return hashlib.sha256(data.images.tobytes() + json.dumps(data.captions).encode()).hexdigest()[
        :16
    ]


def sha(texts) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


@pytest.fixture(scope="module")
def some():
    return picturebook(400, seed=7, size=32)


# ---- the same everywhere


@pytest.mark.parametrize(
    "artists, size, expected",
    [
        ("openmoji", 32, "a840ac33428f1964"),
        ("openmoji", 64, "7e105a3ec2221615"),
        ("openmoji", 160, "305d535794b61199"),
        ("trained", 32, "ed959fb69d1c1de1"),
        ("trained", 64, "25d1286e388052c1"),
        ("trained", 160, "4f77a8ede1b94e25"),
        ("unseen", 64, "4ed99debdf7146a2"),
    ],
)
def test_the_same_seed_gives_the_same_bytes_on_every_machine(artists, size, expected):
    assert digest(picturebook(40, seed=3, size=size, world=World(artists=artists))) == expected


@pytest.mark.slow
def test_smaller_sets_nest_in_larger_ones_however_many_draw(some):
    fewer = picturebook(30, seed=7, size=32)
    assert np.array_equal(fewer.images, some.images[:30]) and fewer.captions == some.captions[:30]
    assert digest(picturebook(400, seed=7, size=32, workers=2)) == digest(some)
    assert digest(picturebook(30, seed=8, size=32)) != digest(fewer)


def test_the_same_scenes_at_every_size():
    small, large = picturebook(5, seed=1, size=32), picturebook(5, seed=1, size=512)
    assert small.captions == large.captions and large.images.shape == (5, 512, 512, 3)
    shrunk = large.images.reshape(5, 32, 16, 32, 16, 3).mean(axis=(2, 4))
    assert np.abs(shrunk - small.images).mean() < 6  # of 255


def test_another_way_to_talk_leaves_the_pictures_as_they_are(some):
    counted = picturebook(50, seed=7, size=32, captions=CaptionStyle(count=1.0))
    assert (
        np.array_equal(counted.images, some.images[:50]) and counted.captions != some.captions[:50]
    )


# ---- what there is


def test_the_world_is_as_large_as_promised():
    assert len(WORDS) >= 120 and len(PLACES) >= 8 and len(COLORS) >= 8 and len(STARTER) >= 40
    assert {"animal", "vehicle", "fruit", "plant", "thing"} <= {
        meaning.kind for meaning in CONCEPTS.values()
    }


def test_there_are_starter_nouns_common_ones_and_many_more():
    assert len(CONCEPTS) >= 350 and len(COMMON) == 211 and len(STARTER) == 40
    assert set(STARTER) < set(COMMON) and tuple(CONCEPTS)[: len(COMMON)] == COMMON
    assert World(nouns="common") == World() and World().nouns == COMMON
    assert World(nouns="starter").nouns == STARTER and World(nouns="all").nouns == tuple(CONCEPTS)


def test_more_nouns_and_artists_change_no_picture_of_the_first_world():
    """These are the scenes and captions of seed 0 from when there were only the common nouns, by
    one artist."""
    world = World(artists="openmoji")
    scenes = [repr(world.scene(Random(f"picturebook 0 {index}"))) for index in range(50)]
    data = picturebook(50, 0, 32, world, CaptionStyle(bare=1.0))
    captions = [text for texts in data.captions for text in texts]
    assert (sha(scenes), sha(captions)) == ("132c33964b9cc6ab", "6600b9f2f08c461e")


def test_hardly_a_caption_only_names_its_thing():
    world = World(objects=1, styles={"full": 1.0}, places=("snow",))  # "in the snow": three words
    bare = {
        share: np.mean(
            [
                len(text.split()) <= 2
                for texts in picturebook(
                    200, 7, 32, world, CaptionStyle(bare=share, color=0.0)
                ).captions
                for text in texts
            ]
        )
        for share in (0.0, 0.1, 1.0)
    }
    assert bare[0.0] == 0 < bare[0.1] < 0.06 < 0.15 < bare[1.0]


def test_words_are_unique_but_for_the_words_with_two_meanings():
    concepts_of = Counter()
    for name, concept in CONCEPTS.items():
        concepts_of.update({name, concept.word, *concept.synonyms})
    twofold = {word for word, count in concepts_of.items() if count > 1}
    assert twofold == {"bat", "bolt", "bow", "chicken", "crane", "cup", "glasses", "mouse", "palm"}
    codes = [code for concept in CONCEPTS.values() for code in concept.art]
    assert len(codes) == len(set(codes))  # no two concepts share a drawing
    variants = {name for names in MODEL_NAMES.values() for name in names}
    assert variants.isdisjoint(concepts_of)


@pytest.mark.parametrize("kind", ["ball", "shoe", "bird", "person"])
def test_a_family_has_at_least_six_members(kind):
    assert sum(concept.kind == kind for concept in CONCEPTS.values()) >= 6


@pytest.mark.parametrize(
    "noun, one, many",
    [
        ("goose", "a goose", "geese"),
        ("ox", "an ox", "oxen"),
        ("unicorn", "a unicorn", "unicorns"),
        ("hourglass", "an hourglass", "hourglasses"),
        ("glass of wine", "a glass of wine", "glasses of wine"),
        ("jeans", "jeans", "jeans"),
        ("popcorn", "popcorn", "popcorn"),
        ("policeman", "a policeman", "policemen"),
    ],
)
def test_further_nouns_take_their_article_and_plural(noun, one, many):
    assert (article(noun), plural(noun)) == (one, many)


def test_families_share_one_word_and_differ_in_the_drawing():
    for word, names in MODEL_NAMES.items():
        assert len(CONCEPTS[word].art) == len(names) >= 6
        drawn = {
            Scene(things=[Thing(word, size=0.9, variant=m)]).draw(64).tobytes()
            for m in range(len(names))
        }
        assert len(drawn) == len(names)


def test_at_least_five_words_have_two_meanings_with_their_own_drawings():
    doubles = [
        word for word in WORDS if sum(meaning.word == word for meaning in CONCEPTS.values()) == 2
    ]
    assert len(doubles) >= 5 and {"bat", "mouse", "crane"} <= set(doubles)
    for word in doubles:
        first, second = (meaning for meaning in CONCEPTS.values() if meaning.word == word)
        assert set(first.art).isdisjoint(second.art)


def test_every_drawing_shows_in_every_style_and_takes_every_colour_it_claims():
    for name, meaning in CONCEPTS.items():
        for model, art in enumerate(meaning.art):
            alone = Scene(place="grass", things=[Thing(name, size=0.8, variant=model)])
            for style in ("full", "sketch", "cutout"):
                empty = alone.with_(things=(), style=style).draw(48).astype(int)
                changed = (
                    np.abs(alone.with_(style=style).draw(48) - empty).max(axis=2) > 24
                ).mean()
                assert changed > 0.02, f"{name} {model} cannot be seen as {style}"
            if art in meaning.family:
                red, blue = (
                    Scene(things=[Thing(name, color, size=0.8, variant=model)]).draw(48).astype(int)
                    for color in ("red", "blue")
                )
                assert (np.abs(red - blue).max(axis=2) > 60).mean() > 0.01, (
                    f"{name} {model} does not take paint"
                )


def test_styles_are_the_two_layers_of_one_drawing():
    scene = Scene(place="room", things=[Thing("car", "red", size=0.8)])
    full, sketch, cutout = (
        scene.with_(style=style).draw(96).astype(int) for style in ("full", "sketch", "cutout")
    )
    assert (np.ptp(sketch, axis=2) > 60).mean() == 0  # nothing but paper and pencil
    red = (cutout[..., 0] > 180) & (cutout[..., 1] < 90)
    black = (full.max(axis=2) < 40).mean(), (cutout.max(axis=2) < 40).mean()
    assert red.mean() > 0.05 and black[0] > 2 * black[1]  # the outlines are gone


@pytest.mark.parametrize(
    "change",
    [
        {"weather": "rain"},
        {"weather": "snowfall"},
        {"weather": "fog"},
        {"light": "dusk"},
        {"light": "sunset"},
        {"chance": "other"},
    ],
)
def test_weather_light_and_chance_can_be_seen(change):
    scene = Scene(place="street", things=[Thing("bus")])
    changed = np.abs(scene.with_(**change).draw(64).astype(int) - scene.draw(64)).max(axis=2) > 16
    assert changed.mean() > 0.01


# ---- scenes by hand


def test_a_thing_is_drawn_where_and_as_large_as_it_was_put():
    def box(thing):
        scene = Scene(place="desert", things=[thing], style="cutout")
        diff = (
            np.abs(scene.draw(100).astype(int) - scene.with_(things=()).draw(100)).max(axis=2) > 40
        )
        rows, columns = np.nonzero(diff)
        return columns.mean() / 100, rows.mean() / 100, np.ptp(columns) / 100

    x, y, width = box(Thing("balloon", "blue", at=(0.25, 0.4), size=0.3))
    assert abs(x - 0.25) < 0.05 and abs(y - 0.4) < 0.08
    assert box(Thing("balloon", "blue", at=(0.25, 0.4), size=0.5))[2] == pytest.approx(
        width * 5 / 3, rel=0.25
    )


def test_the_readmes_scene_can_be_built_and_drawn():
    scene = Scene(place="beach", things=[Thing("dog", color="red", at=(0.3, 0.7))])
    assert scene.draw(128).shape == (128, 128, 3) and scene == Scene(
        place="beach", things=(Thing("dog", color="red", at=(0.3, 0.7)),)
    )
    assert Thing("bat").noun == "flying bat"  # a word of captions means its first meaning


@pytest.mark.parametrize(
    "make, sentence",
    [
        (lambda: Thing("gryphon"), "noun 'gryphon' is not in the picture book; choose one of: dog"),
        (
            lambda: Thing("dog", "gold"),
            "color 'gold' is not in the picture book; choose one of: red",
        ),
        (
            lambda: Thing("zebra", "red"),
            "this drawing of zebra cannot be painted; leave color=None",
        ),
        (lambda: Thing("dog", variant=9), "dog has 2 drawings, so variant is 0 to 1, not 9"),
        (lambda: Thing("dog", size=3), "share of the picture from 0.05 to 1, not 3"),
        (lambda: Scene("moon"), "place 'moon' is not in the picture book; choose one of: grass"),
        (lambda: Scene(weather="hail"), "weather 'hail'"),
        (lambda: Scene(things=[Thing("dog")] * 7), "at most 6 things, not 7"),
        (lambda: Scene().draw(16), "32 to 512 pixels wide, not 16"),
        (lambda: World(nouns="some"), "nouns is 'starter', 'common', 'all' or a list"),
        (lambda: World(nouns=["dog", "gryphon"]), "not in the picture book: gryphon"),
        (lambda: World(places=["moon"]), "no such place: moon"),
        (lambda: World(objects=9), "scenes of 0 to 6 things"),
        (lambda: World(spacing="odd"), "spacing is even or any, not 'odd'"),
        (lambda: CaptionStyle(color=2), "color is a probability from 0 to 1, not 2"),
        (lambda: picturebook(0), "at least 1, not 0"),
        (lambda: picturebook(3, size=1000), "32 to 512 pixels wide, not 1000"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_a_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


# ---- facts


def test_facts_are_the_truth_about_the_scenes(some):
    world = World()
    for row in range(60):
        scene = world.scene(Random(f"picturebook 7 {row}"))
        facts = {name: column[row] for name, column in some.facts.items()}
        assert np.array_equal(scene.draw(32), some.images[row])
        n = facts["count"]
        assert (
            n == len(scene.things)
            and facts["place"] == scene.place
            and facts["style"] == scene.style
        )
        assert facts["meanings"][:n].tolist() == [thing.noun for thing in scene.things] and set(
            facts["meanings"][n:]
        ) <= {""}
        assert (
            np.allclose(facts["xy"][:n], [thing.at for thing in scene.things])
            and facts["object"] == scene.things[0].concept.word
        )


def test_worlds_hold_what_was_asked_for():
    data = picturebook(
        120,
        size=32,
        world=World(
            nouns=["dog", "car"],
            places=("sea",),
            objects=2,
            same_kind_prob=0,
            styles={"sketch": 1},
            painted=1,
            excluded_pairs=frozenset({("car", "red")}),
        ),
    )
    assert set(data.facts["objects"][:, :2].flat) == {"dog", "car"} and set(
        data.facts["count"]
    ) == {2}
    assert set(data.facts["place"]) == {"sea"} and set(data.facts["style"]) == {"sketch"}
    painted = {
        (noun, color)
        for nouns, colors in zip(data.facts["objects"], data.facts["colors"])
        for noun, color in zip(nouns, colors)
        if noun
    }
    assert ("car", "red") not in painted and ("dog", "red") in painted


def test_things_stand_far_apart_or_anywhere_and_hide_each_other_no_more_for_it():
    gaps = {}
    for spacing in ("even", "any"):
        world = World(objects=4, sizes=(0.15, 0.15), spacing=spacing)
        things = [world.scene(Random(seed)).things for seed in range(60)]
        pairs = [(a, b) for scene in things for k, a in enumerate(scene) for b in scene[:k]]
        gaps[spacing] = np.array(
            [
                np.hypot(a.at[0] - b.at[0], a.at[1] - b.at[1]) - (a.size + b.size) / 2
                for a, b in pairs
            ]
        )
    assert np.median(gaps["any"]) < np.median(gaps["even"]) - 0.05
    assert (gaps["even"] > -0.002).all() and (
        gaps["any"] > -0.002
    ).all()  # places and sizes are rounded to a thousandth


def test_colours_are_the_ones_that_were_painted():
    for color, (light, _) in COLORS.items():
        pixels = (
            Scene(place="snow", things=[Thing("balloon", color, size=0.9)])
            .draw(64)
            .reshape(-1, 3)
            .astype(int)
        )
        rgb = [int(light[i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(pixels - rgb).max(axis=1) < 12).mean() > 0.05, color


# ---- captions


def test_each_picture_has_five_different_captions(some):
    assert all(len(texts) == 5 for texts in some.captions)
    assert (
        np.mean([len(set(texts)) == 5 for texts in some.captions]) > 0.98
    )  # an empty scene has few things to say


def test_captions_tell_the_truth(some):
    for texts, nouns, count, place in zip(
        some.captions, some.facts["objects"], some.facts["count"], some.facts["place"]
    ):
        for text in texts:
            said = f" {text.lower().rstrip('.')} ".replace(",", " ")
            for other, where in PLACES.items():
                if other != place:
                    assert not any(f" {phrase} " in said for phrase in where.phrases), (text, place)
            there = {
                word
                for meaning in CONCEPTS.values()
                if meaning.word in nouns[:count]
                for word in (meaning.word, *meaning.synonyms, meaning.kind, "thing")
            }
            assert any(word in said or plural(word) in said for word in there), (text, nouns)


@pytest.mark.parametrize(
    "knob, words",
    [
        ("color", tuple(COLORS)),
        ("count", ("two", "three", "four", "five", "six")),
        ("size", ("small", "tiny", "big", "huge")),
        ("relation", ("to the left of", "to the right of", "above", "below")),
        ("weather", ("rain", "falling snow", "fog")),
        ("lead_in", ("a photo of", "a picture of")),
        ("model", ("tulip", "sunflower", "jeep", "taxi")),
    ],
)
def test_every_knob_of_the_caption_style_turns(knob, words):
    # A world of nouns that are no colours themselves.
    world = World(
        nouns=("car", "flower", "balloon"),
        places=("street",),
        styles={"full": 1},
        objects={1: 1, 2: 2},
    )

    def said(value):
        style = CaptionStyle(
            **{
                **dict(color=0.0, size=0.0, lead_in=0.0, relation=0.0, count=0.0, weather=0.0),
                "bare": 1.0,
                knob: value,
            }
        )
        texts = [
            f" {text.lower()}"
            for texts in picturebook(150, seed=2, size=32, world=world, captions=style).captions
            for text in texts
        ]
        return np.mean([any(f" {word}" in text for word in words) for text in texts])

    assert said(0.0) == 0 and said(1.0) > 0.05


def test_with_the_usual_style_captions_hardly_count_and_never_name_the_model():
    data = picturebook(
        300,
        seed=4,
        size=32,
        world=World(nouns=("car", "flower"), objects={2: 1, 3: 1}, same_kind_prob=1),
    )
    texts = [text.lower() for texts in data.captions for text in texts]
    names = {name for names in MODEL_NAMES.values() for name in names}
    assert not any(name in text for text in texts for name in names)
    assert (
        0
        < np.mean([any(f"{number} " in text for number in ("two", "three")) for text in texts])
        < 0.06
    )


def test_articles_and_plurals_are_english():
    assert [article(n) for n in ("dog", "owl", "umbrella", "ufo", "scissors", "bread")] == [
        "a dog",
        "an owl",
        "an umbrella",
        "a ufo",
        "scissors",
        "bread",
    ]
    assert [
        plural(n) for n in ("dog", "bus", "cherry", "mouse", "sheep", "slice of pizza", "knife")
    ] == ["dogs", "buses", "cherries", "mice", "sheep", "slices of pizza", "knives"]


def test_verbs_agree_with_what_they_speak_of():
    style = CaptionStyle(lead_in=1.0, color=0)
    for things, right, wrong in (
        ([Thing("shoe"), Thing("shoe")], "there are", "there is shoes"),
        ([Thing("dog")], "there is a dog", "there are"),
        ([Thing("scissors")], "these are scissors", "this is scissors"),
        ([Thing("bread")], "here is bread", "here are"),
    ):
        texts = [caption(Scene(things=things), Random(i), style).lower() for i in range(300)]
        assert any(right in text for text in texts) and not any(wrong in text for text in texts)


def test_sketches_never_mention_colours():
    data = picturebook(
        150,
        seed=5,
        size=32,
        world=World(nouns=("car", "balloon"), styles={"sketch": 1}),
        captions=CaptionStyle(color=1.0),
    )
    assert not any(
        f"{color} " in text.lower()
        for texts in data.captions
        for text in texts
        for color in set(COLORS) - {"black", "white", "green"}
    )


# ---- on disk


def test_a_drawn_set_is_kept_and_read_like_any_other(tmp_path):
    data = picturebook(20, seed=1, size=32)
    again = load(data.save(tmp_path / "book"))
    assert digest(again) == digest(data) and np.array_equal(again.facts["xy"], data.facts["xy"])
    coco = json.loads((tmp_path / "book/captions.json").read_text())
    assert (
        len(coco["images"]) == 20 and len(coco["annotations"]) == 100 and "OpenMoji" in repr(again)
    )


def test_chatter_adds_words_that_no_picture_tells():
    """So many a caption, before and behind what it says anyway, and none that means something."""
    plain, loud = (
        picturebook(40, 3, 32, captions=CaptionStyle(chatter=count)).captions for count in (0, 5)
    )
    said = {word for texts in plain for text in texts for word in text.lower().strip(".").split()}
    words = set(vocabulary()[0])
    names = [text for one in CONCEPTS.values() for text in (one.word, one.kind, *one.synonyms)]
    names += [*COLORS, *(text for place in PLACES.values() for text in place.phrases)]
    assert not words & (said | set(" ".join(names).split())) and len(words) > 500
    for before, after in zip(plain, loud):
        kept = [word for word in after[0].split() if word not in words]
        assert " ".join(kept) == before[0] and len(after[0].split()) == len(kept) + 5
    shares = np.diff([0, *vocabulary()[1]]) / vocabulary()[1][-1]
    assert shares[0] > 50 * shares[-1]  # a long tail
    for wrong in (-1, 0.5):
        with pytest.raises(ValueError, match=f"chatter is a number of words.*not {wrong}"):
            CaptionStyle(chatter=wrong)


def test_shade_goes_towards_white_and_black():
    assert (
        shade("#808080", 1) == "#ffffff"
        and shade("#808080", -1) == "#000000"
        and shade("#102030", 0) == "#102030"
    )
