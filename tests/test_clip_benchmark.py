"""Promises of tests in the protocol of CLIP_benchmark: its sets are read as they are, and scored
as everything else here is."""

import json

import numpy as np
import pytest
from archives import png, write_tar
from typer.testing import CliRunner

import miniclip
from miniclip.evaluation import clip_benchmark
from miniclip.evaluation.clip_benchmark import evaluate_on, open_set, published
from miniclip.released import HUB_MODELS
from miniclip.retrieval import evaluate_retrieval
from miniclip.tools.cli import app

WORDS = ["crane", "dog", "crane"]  # as in ImageNet, where two classes are called crane
TEMPLATES = ["a photo of a {c}.", "a drawing of the {c}."]


def write(folder, images, told, kind="cls", words=WORDS, templates=TEMPLATES):
    """A folder as CLIP_benchmark makes it, with two shards."""
    (folder / "test").mkdir(parents=True)
    for name, lines in (
        (clip_benchmark.CLASS_NAMES, words),
        (clip_benchmark.TEMPLATES, templates),
    ):
        if lines:
            (folder / name).write_text("\n".join(lines) + "\n")
    half = len(images) // 2
    for shard, rows in enumerate((range(half), range(half, len(images)))):
        members = []
        for row in rows:
            members.append((f"s{row:07}.{kind}", str(told[row]).encode()))
            members.append((f"s{row:07}.png", png(images[row])))
        write_tar(folder / "test" / f"{shard}.tar", members)
    (folder / "test" / "nshards.txt").write_text("2\n")
    return folder


@pytest.fixture(scope="module")
def model():
    return miniclip.load("photos", device="cpu")


@pytest.fixture(scope="module")
def album():
    return miniclip.data.album(64)[:12]


def test_classes_are_named_as_by_evaluate(tmp_path, model, album):
    """Same pictures, names and templates: the same answers, by number, since names may be the
    same."""
    told = [number % 3 for number in range(12)]
    data = open_set(write(tmp_path / "set", album.images, told))
    assert data.words == tuple(WORDS) and data.templates[1] == "a drawing of the {}."
    found = evaluate_on(model, data, progress=False)
    expected = miniclip.evaluate(
        model, album, [str(n) for n in told], ["0", "1", "2"], list(data.templates), WORDS
    )
    assert np.array_equal(found.predictions, expected.predictions) and found.n == 12
    assert found.accuracy == expected.accuracy and found.chance == pytest.approx(1 / 3)
    assert evaluate_on(model, data, n=5, progress=False).n == 5


def test_captions_are_found_as_by_evaluate_retrieval(tmp_path, model, album):
    told = ["\n".join(captions) for captions in album.captions]
    data = open_set(write(tmp_path / "set", album.images, told, "txt", words=(), templates=()))
    assert evaluate_on(model, data, progress=False) == evaluate_retrieval(model, album)


def test_the_command_line_shows_what_was_published(tmp_path, album, monkeypatch):
    folder = write(tmp_path / "set", album.images, [number % 3 for number in range(12)])
    asked = []

    def snapshot_download(repository, **options):
        asked.append((repository, options["local_files_only"]))
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    monkeypatch.setitem(clip_benchmark.PUBLISHED, "photos", {"cifar10": 12.5})
    command = ["evaluate", "photos", "--on", "clip-benchmark/cifar10", "--download"]
    done = CliRunner().invoke(app, [*command, "--json"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert asked == [("clip-benchmark/wds_vtab-cifar10", False)]
    assert result["n"] == 12 and result["published"] == 0.125
    shown = CliRunner().invoke(app, command, env={"COLUMNS": "120"}).stdout
    assert f"{result['accuracy']:.1%}" in shown and "12.5%" in shown
    part = CliRunner().invoke(app, [*command, "--json", "--pictures", "5"])
    assert json.loads(part.stdout)["published"] is None  # of all pictures, not of five


def test_the_published_figures_are_of_models_and_sets_that_can_be_asked_for():
    assert published("openai", "clip-benchmark/cifar10") == 89.8
    assert published("openai", "clip-benchmark/svhn") is None is published("photos", "imagenet")
    for name, row in clip_benchmark.PUBLISHED.items():
        assert len(row) == len(clip_benchmark.PUBLISHED_SETS)
        # ImageNet stands in the table of models, too: from the same source.
        assert row["imagenet"] == HUB_MODELS[name].imagenet


def test_what_is_wrong_with_a_set_is_told(tmp_path, model, album):
    with pytest.raises(FileNotFoundError, match="wds_nothing is not here yet; fetch it with"):
        open_set("clip-benchmark/nothing")
    with pytest.raises(ValueError, match="has no test/\\*.tar"):
        open_set(tmp_path)
    write(tmp_path / "names alone", album.images, [0] * 12, templates=())
    (tmp_path / "labelled" / "test").mkdir(parents=True)
    assert not clip_benchmark.is_benchmark(str(tmp_path / "labelled"))
    with pytest.raises(ValueError, match="has a classnames.txt and no zeroshot"):
        open_set(tmp_path / "names alone")
    with pytest.raises(ValueError, match="at least 1, not 0"):
        evaluate_on(model, open_set(write(tmp_path / "good", album.images, [0] * 12)), n=0)
    data = open_set(write(tmp_path / "class 7", album.images, [7] * 12))
    with pytest.raises(ValueError, match="has class 7 and 3 class names"):
        evaluate_on(model, data, progress=False)
    data = open_set(write(tmp_path / "no class", album.images, [0] * 12, kind="json"))
    with pytest.raises(ValueError, match="6 pictures without class or caption"):
        evaluate_on(model, data, progress=False)
    folder = write(tmp_path / "broken", album.images, [0] * 12)
    write_tar(folder / "test" / "0.tar", [("s0.cls", b"0"), ("s0.png", b"no picture")])
    with pytest.raises(ValueError, match="0.tar: s0 is broken"):
        evaluate_on(model, open_set(folder), progress=False)
