"""Promises of the studies: they run from the command line, can be stopped and taken up again, and what ships is what they write."""

import json

import pytest
import torch

import miniclip
from miniclip import hub, studies
from miniclip.baselines import load_classifier
from miniclip.zeroshot import wilson

SHORT = {"seen": 256, "pictures": 128, "tests": 12}


def test_a_part_that_is_there_is_not_measured_again(tmp_path):
    log = studies.Log(tmp_path / "some.json")
    assert log.part("one", lambda: [1]) == [1]
    again = studies.Log(tmp_path / "some.json")
    assert again.part("one", lambda: 1 / 0) == [1]
    with pytest.raises(ZeroDivisionError):
        again.part("two", lambda: 1 / 0)
    assert json.loads((tmp_path / "some.json").read_text()) == {"one": [1]}


@pytest.mark.parametrize("name", studies.STUDIES)
def test_a_study_runs_and_writes_what_ships(name, tmp_path):
    """In a short form: the same parts, with the same columns, as in the file that notebooks read."""
    log = studies.Log(tmp_path / "study.json", tmp_path)
    studies.STUDIES[name](log, **SHORT)
    shipped = studies.result(name)
    assert set(log.parts) == set(shipped)
    for part, rows in shipped.items():
        if isinstance(rows, list):
            assert len(rows) >= 10 and rows[-1]["seen"] >= 40_000 and set(log.parts[part][0]) == set(rows[0])
            assert [row["seen"] for row in rows] == sorted(row["seen"] for row in rows)
    for file in tmp_path.glob("*.safetensors"):
        assert file.name in {path.name for path in hub.SHIPPED.values()} and hub.load(file, "cpu").config == hub.load(file.stem, "cpu").config


def test_an_unknown_study_is_named():
    with pytest.raises(ValueError, match="there is no study 'figure 3'; there are figure 2, robustness, repair"):
        studies.result("figure 3")


def test_the_classifier_that_ships_is_one_and_a_clip_is_none():
    twin = load_classifier("labels-nano", "cpu")
    assert len(twin.labels) == 40 and twin.head.shape[0] == 40
    with pytest.raises(ValueError, match="holds a CLIP and no classifier"):
        load_classifier("captions-nano", "cpu")


def test_the_models_that_ship_score_as_the_study_says():
    """The last row of each training, measured again on some of its pictures."""
    from miniclip.shifts import ask_all, shifted

    sets = {name: data for name, data in shifted(200).items() if name in ("home", "pencil sketch")}
    study = studies.result("robustness")
    for model, part in ((hub.load("captions-nano", "cpu"), "captions"), (load_classifier("labels-nano", "cpu"), "labels")):
        for name, score in ask_all(model, sets).items():
            low, high = wilson(round(study[part][-1][name] * 200), 200, z=3.3)
            assert low <= score.accuracy <= high, (part, name)


def test_captions_alone_differ_between_the_silent_and_the_telling_world():
    silent, telling = (studies.counted_world(30, 48, 0, style) for style in (studies.SILENT, studies.TELLING))
    assert (silent.images == telling.images).all() and silent.captions != telling.captions
    numbers = {"two", "three", "four", "five", "six"}
    said = lambda data: sum(bool(numbers & set(text.lower().strip(".").split())) for texts in data.captions for text in texts)  # noqa: E731
    assert said(silent) == 0 < said(telling)
    assert torch.equal(torch.tensor(silent.facts["count"][30:]), torch.ones(30, dtype=torch.long))
    assert isinstance(silent, miniclip.CaptionedImages) and len(silent) == 60
