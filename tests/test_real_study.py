"""Promises of the study of released models: it measures what is here, says what is not, and is
taken up again."""

import json
from collections import Counter

import numpy as np
import pytest
from typer.testing import CliRunner

import miniclip
from miniclip import World
from miniclip.evaluation import real_study, studies
from miniclip.evaluation.benchmarks import single_objects
from miniclip.evaluation.challenges import CHALLENGES, choose
from miniclip.evaluation.real_study import accuracy, hits, real
from miniclip.tools.cli import app

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "real.json"
    real(studies.Log(path), ["photos", "not/here"], n=6, progress=False)
    return path


def test_hits_can_be_counted_and_compared():
    assert hits(np.array([True, False, True])) == "101" and accuracy("101") == pytest.approx(2 / 3)


def test_each_claim_is_measured_and_written(measured):
    """A model that cannot be had is left out."""
    parts = json.loads(measured.read_text())
    assert {name.partition(":")[0] for name in parts} == {"about", "photos"}
    assert set(parts["photos: prompts: drawings"]) == set(real_study.WAYS)
    assert all(len(found) == 6 for found in parts["photos: styles"].values())
    assert parts["photos: album"]["recall"]["pictures"] == 82
    assert "photos: prompts: cifar10" not in parts  # the set is not here
    model = miniclip.load("photos")
    score = choose(model, CHALLENGES["counting"](n=6, size=64))
    found = parts["photos: failures: counting"]
    assert accuracy(found["hits"]) == score.accuracy and found["chance"] == score.chance


def test_what_is_there_is_not_measured_again(measured, monkeypatch):
    monkeypatch.setattr(real_study, "album_scores", lambda *_: 1 / 0)
    before = measured.read_text()
    real(studies.Log(measured), ["photos"], n=99, progress=False)
    assert measured.read_text() == before


def test_a_missing_model_is_told(tmp_path, capsys):
    real(studies.Log(tmp_path / "real.json"), ["not/here"], n=6, progress=False)
    said = capsys.readouterr()
    assert "not/here is left out" in said.out + said.err


def test_the_shipped_result_has_the_same_parts(measured):
    shipped, mine = studies.result("real"), json.loads(measured.read_text())
    claims = {name.partition(": ")[2] for name in mine} - {""}
    # Real sets are not here; what ships was measured where they were.
    claims |= {f"{kind}: {name}" for kind in ("prompts", "labels") for name in real_study.REAL_SETS}
    for model in ("picturebook", "photos"):
        assert {name for name in shipped if name.startswith(f"{model}:")} == {
            f"{model}: {claim}" for claim in claims
        }


def test_the_shipped_result_is_of_the_models_that_ship():
    """One of its parts, measured again; another processor may turn a picture or two."""
    shipped, n = studies.result("real"), studies.result("real")["about"]["pictures"]
    for name in ("picturebook", "photos"):
        score = choose(miniclip.load(name), CHALLENGES["counting"](n=60, size=64))
        kept = shipped[f"{name}: failures: counting"]["hits"]
        assert len(kept) == n and abs(accuracy(kept[:60]) - score.accuracy) < 0.06


def test_labels_are_compared_with_words():
    """By probes on all labels and on few, as many as the rarest class has."""
    world = World(nouns=("dog", "bus", "pizza"), objects=1, artists="openmoji")
    learn, test = (single_objects(world, 90, 48, seed) for seed in (1, 2))
    fewest = min(Counter(learn.facts["object"]).values())
    found = real_study.labels_against_words(miniclip.load("home"), learn, test)
    assert found["labels"] == 90 and 1 < fewest < 64
    assert list(found["shots"]) == [str(k) for k in real_study.SHOTS if k <= fewest]
    assert all(len(draws) == 5 for draws in found["shots"].values())
    for name in ("zero-shot", "probe", "pixels", "untrained"):
        assert len(found[name]) == 90
    assert accuracy(found["probe"]) > accuracy(found["pixels"])


def test_options_that_do_not_belong_together_are_refused():
    for options in (["real", "--seen", "64"], ["towers", "--only", "photos"]):
        done = CliRunner().invoke(app, ["study", *options])
        assert isinstance(done.exception, ValueError) and options[1] in str(done.exception)
