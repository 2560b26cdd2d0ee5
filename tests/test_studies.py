"""Promises of the studies: they can be stopped and taken up again, and write down what they
measured."""

import json

import pytest
import torch

import miniclip
from miniclip import World, checkpoint
from miniclip.evaluation import studies
from miniclip.evaluation.baselines import evaluate_baseline, load_baseline
from miniclip.evaluation.benchmarks import CHOICE_SEED, questions, single_objects
from miniclip.evaluation.shifts import ask_all, shifted
from miniclip.zeroshot import wilson

SHORT = {"seen": 128, "pictures": 64, "tests": 6}


def test_a_part_that_is_there_is_not_measured_again(tmp_path):
    log = studies.Log(tmp_path / "some.json")
    assert log.part("one", lambda: [1]) == [1]
    again = studies.Log(tmp_path / "some.json")
    assert again.part("one", lambda: 1 / 0) == [1]
    with pytest.raises(ZeroDivisionError):
        again.part("two", lambda: 1 / 0)
    assert json.loads((tmp_path / "some.json").read_text()) == {"one": [1]}


@pytest.mark.slow
@pytest.mark.parametrize("name", studies.STUDIES)
def test_a_study_runs_writes_what_ships_part_by_part_and_keeps_its_models(name, tmp_path):
    """In a short form; the second time nothing is left to do."""
    log = studies.Log(tmp_path / "study.json", tmp_path)
    studies.STUDIES[name](log, **SHORT)
    trained = [part for part, rows in log.parts.items() if isinstance(rows, list)]
    assert (
        len(trained) == {"figure 2": 4, "robustness": 4, "repair": 2, "towers": 2}[name]
        and "about" in log.parts
    )
    for part in trained:
        seen = [row["seen"] for row in log.parts[part]]
        assert (
            seen == sorted(seen)
            and seen[-1] == SHORT["seen"]
            and all(
                0 <= value <= 1
                for row in log.parts[part]
                for key, value in row.items()
                if key not in ("seen", "loss", "minutes", "scale")
            )
        )
    models = {path.stem for path in tmp_path.glob("*.safetensors")}
    assert (
        models
        == {
            "figure 2": {"contrastive", "bag-of-words", "captioner"},
            "robustness": {"home", "classifier"},
            "repair": {"plain", "counting"},
            "towers": set(),
        }[name]
    )
    shipped = studies.result(name)  # has the same parts with the same columns, from long runs
    assert set(log.parts) == set(shipped)
    for part in trained:
        seen = [row["seen"] for row in shipped[part]]
        assert (
            len(seen) >= 10
            and seen == sorted(seen)
            and seen[-1] >= 20_000
            and set(log.parts[part][0]) == set(shipped[part][0])
        )
    for model in models:
        assert (
            checkpoint.read(checkpoint.SHIPPED[model])[0].config.image_size
            == checkpoint.read(tmp_path / f"{model}.safetensors")[0].config.image_size
        )
    before = (tmp_path / "study.json").read_text()
    again = studies.Log(tmp_path / "study.json", tmp_path)
    studies.STUDIES[name](again, **SHORT)
    assert (tmp_path / "study.json").read_text() == before
    if "classifier" in models:
        twin = load_baseline(tmp_path / "classifier.safetensors", "cpu")
        assert len(twin.labels) == 40 and twin.head.shape[0] == 40
        with pytest.raises(ValueError, match="holds a CLIP and no rival"):
            load_baseline(tmp_path / "home.safetensors", "cpu")
        with pytest.raises(ValueError, match="holds a Classifier, which has learned no text tower"):
            checkpoint.load(tmp_path / "classifier.safetensors", "cpu")


def test_an_unknown_study_is_named():
    with pytest.raises(
        ValueError,
        match="there is no study 'figure 3'; there are figure 2, robustness, repair, towers, real",
    ):
        studies.result("figure 3")


def test_the_models_that_ship_score_as_the_study_says():
    """The last row of each training, measured again on some of its pictures."""
    sets = {name: data for name, data in shifted(200).items() if name in ("home", "pencil sketch")}
    study = studies.result("robustness")
    for model, part in (
        (checkpoint.load("home", "cpu"), "captions"),
        (load_baseline("classifier", "cpu"), "labels"),
    ):
        for name, score in ask_all(model, sets).items():
            low, high = wilson(round(study[part][-1][name] * 200), 200, z=3.3)
            assert low <= score.accuracy <= high, (part, name)


@pytest.mark.parametrize("name", ["bag-of-words", "captioner"])
def test_the_rivals_that_ship_are_the_trained_ones(name):
    """On a few pictures each names many times as many things as chance, which is 2.5 %."""
    data = single_objects(World.starter(), 60, 48)
    q, model = questions(data)["object"], load_baseline(name, "cpu")
    names = q.names if name == "captioner" else q.labels
    assert (
        evaluate_baseline(
            model,
            data,
            q.targets,
            q.labels,
            names,
            calibrate=single_objects(World.starter(), 40, 48, CHOICE_SEED),
        ).accuracy
        > 0.2
    )


def test_captions_alone_differ_between_the_silent_and_the_telling_world():
    silent, telling = (
        studies.counted_world(30, 48, 0, style) for style in (studies.SILENT, studies.TELLING)
    )
    assert (silent.images == telling.images).all() and silent.captions != telling.captions
    numbers = {"two", "three", "four", "five", "six"}
    said = lambda data: sum(
        bool(numbers & set(text.lower().strip(".").split()))
        for texts in data.captions
        for text in texts
    )
    assert said(silent) == 0 < said(telling)
    assert torch.equal(torch.tensor(silent.facts["count"][30:]), torch.ones(30, dtype=torch.long))
    assert isinstance(silent, miniclip.CaptionedImages) and len(silent) == 60
