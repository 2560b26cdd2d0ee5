"""Promises of homework 6's contest: fixed operations, a test that nobody saw, and sentences for
entries that cannot be."""

from dataclasses import replace

import pytest
from torch.utils.flop_counter import FlopCounterMode

from miniclip import World
from miniclip.course import speed_run as contest
from miniclip.course.speed_run import (
    BUDGET,
    THINGS,
    SpeedRun,
    final_run,
    operations,
    read_entry,
    speed_run,
)
from miniclip.training.clip import train

SMALL = {
    "config": {
        "image_size": 32,
        "vision_width": 32,
        "vision_layers": 1,
        "text_width": 32,
        "text_layers": 1,
        "embed_dim": 32,
    },
    "recipe": {"batch_size": 32},
}


def test_an_entry_names_only_what_it_changes():
    config, recipe, captions, world = read_entry(SMALL | {"captions": {"color": 0.0}})
    assert config.image_size == 32 and config.patch_size == 8 and recipe.batch_size == 32
    assert captions.color == 0.0 and captions.place > 0
    assert world == World(nouns=THINGS, artists="trained")


@pytest.mark.parametrize(
    "entry, sentence",
    [
        (None, "a dict of dicts"),
        ({"config": 32}, "a dict of dicts"),
        ({"model": {}}, "an entry has no part 'model'; it has config, recipe, captions, world"),
        ({"config": {"layers": 2}}, "'layers' cannot be chosen in config; image_size,"),
        ({"world": {"artists": "unseen"}}, "'artists' cannot be chosen in world"),
        ({"world": {"nouns": ("dog",)}}, "'nouns' cannot be chosen in world"),
        ({"recipe": {"seed": 7}}, "'seed' cannot be chosen in recipe"),
        ({"config": {"vision_width": 100_000}}, "vision_width is between 16 and 512 here"),
        ({"captions": {"chatter": 10**9}}, "chatter is between 0 and 16 here"),
        ({"config": {"patch_size": 2}}, "patch_size is between 4 and 64 here"),
        ({"config": {"vision_heads": 32}}, "vision_heads is between 1 and 8 here"),
        ({"recipe": {"batch_size": 2}}, "batch_size is between 16 and 256 here"),
        ({"recipe": {"batch_size": float("nan")}}, "256 here, not nan"),
        ({"recipe": {"lr": float("nan")}}, "lr is between"),
        ({"world": {"styles": dict.fromkeys(range(1000), 0)}}, "styles has 1000 parts"),
        ({"recipe": {"loss": print}}, "the loss goes by its name"),
        ({"recipe": {"optimizer": "sgd"}}, "optimizer is muon or adamw"),
        ({"config": {"image_size": 33}}, "patches must tile the picture"),
    ],
)
def test_what_is_no_entry_gets_a_sentence(entry, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_entry(entry)


def test_a_step_that_is_too_large_is_refused_before_it_is_made():
    large = {"vision_width": 512, "vision_layers": 12, "image_size": 64, "patch_size": 4}
    with pytest.raises(ValueError, match="one step would take the whole budget"):
        operations({"config": large, "recipe": {"batch_size": 256}})


def test_operations_are_those_of_the_training(data):
    """The count of four steps is what PyTorch counts along a longer training."""
    config, recipe, *_ = read_entry(SMALL)
    with FlopCounterMode(display=False) as counter:
        train(data, config, seen=384, recipe=recipe, device="cpu", precision="fp32", progress=False)
    counted = counter.get_total_flops() / 384
    assert operations(SMALL) == pytest.approx(counted, rel=0.02)
    longer = {**SMALL, "config": SMALL["config"] | {"vision_layers": 2}}
    assert operations(longer) > 1.05 * operations(SMALL)


@pytest.fixture(scope="module")
def data():
    world = read_entry(SMALL)[3]
    return contest.picturebook(200, 0, 32, world, progress=False)


def test_the_last_word_is_the_mean_of_its_seeds_and_their_interval(monkeypatch):
    right = {4: 0.60, 7: 0.66, 9: 0.63}
    asked = []

    def run(entry, seed, tests, limit):
        asked.append((entry, seed))
        return SpeedRun(right[seed], (0.5, 0.7), 25_000, 2e7, 15.0)

    monkeypatch.setattr(contest, "_in_a_process", run)
    found = final_run(SMALL, [4, 7, 9])
    assert asked == [(SMALL, seed) for seed in right]
    arm = 4.303 * 0.03 / 3**0.5
    assert found.accuracy == pytest.approx(0.63)
    assert found.interval == pytest.approx((0.63 - arm, 0.63 + arm))
    assert final_run(SMALL, [7]).interval == (0.5, 0.7)
    with pytest.raises(ValueError, match="an entry has no part"):
        final_run({"model": {}}, [4])


@pytest.mark.slow
def test_a_strange_entry_stops_only_its_own_process():
    steep = {**SMALL, "recipe": {"batch_size": 32, "lr": 1e9, "muon_lr": 1e9}}
    with pytest.raises(ValueError, match="the training broke off: "):
        final_run(steep, [1], tests=20)
    with pytest.raises(ValueError, match="the training was stopped after 0.5 seconds"):
        final_run(SMALL, [1], tests=20, limit=0.5)


@pytest.mark.slow
def test_a_run_uses_its_budget_and_can_be_repeated(monkeypatch):
    monkeypatch.setattr(contest, "BUDGET", BUDGET / 60)
    monkeypatch.setattr(contest, "PICTURES", 600)
    found = speed_run(SMALL, progress=False, tests=100)
    assert found.pictures % 32 == 0
    assert found.pictures * found.operations == pytest.approx(BUDGET / 60, rel=0.05)
    assert found.interval[0] < found.accuracy < found.interval[1]
    assert f"{found.pictures:,} pictures, " in str(found)
    again = speed_run(SMALL, progress=False, tests=100)
    assert again == replace(found, seconds=again.seconds)


def test_the_seed_decides_pictures_and_training(monkeypatch, data):
    drawn, trained = [], []

    def drawing(n, seed, *others, **more):
        drawn.append(seed)
        return data

    def training(data, config, recipe, seen, progress):
        trained.append(recipe.seed)
        return train(data, config, seen=64, recipe=recipe, device="cpu", progress=False)

    monkeypatch.setattr(contest, "picturebook", drawing)
    monkeypatch.setattr(contest, "_train", training)
    monkeypatch.setattr(contest, "operations", lambda entry: 1e7)
    speed_run(SMALL, seed=7, progress=False, tests=20)
    assert drawn == trained == [7]
