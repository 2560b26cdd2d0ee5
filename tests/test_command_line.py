"""Promises of the command line: what the README tells people to type works, and wrong input gets
a sentence."""

import dataclasses
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

import miniclip
from miniclip.checkpoint import read
from miniclip.data import CaptionStyle, load, picturebook
from miniclip.released import HUB_MODELS, SHIPPED_MODELS
from miniclip.tools.cli import app, main, training
from miniclip.tools.cli.options import make_recipe, read_captions, read_recipe
from miniclip.tools.cli.report import models_tables
from miniclip.training.recipe import Recipe

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
QUICK = ("--test-pictures", "100")
run = CliRunner().invoke


def call(*arguments, folder=None):
    """In a process of its own, as a user does. That takes seconds only to import PyTorch, so what
    is not about the process itself runs in this one, by `run_here`."""
    return subprocess.run(
        [sys.executable, "-m", "miniclip", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=folder or ROOT,
        timeout=300,
        env={**os.environ, "COLUMNS": "120", "PYTHONIOENCODING": "utf-8"},
    )


def run_here(*arguments):
    """The same in this process: the result has `exit_code`, `stdout` and `stderr`."""
    result = run(app, [*map(str, arguments)], env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The README's first command, for two seconds."""
    folder = tmp_path_factory.mktemp("first")
    result = call("train", "--pictures", 600, *QUICK, "--minutes", 0.03, folder=folder)
    assert result.returncode == 0, result.stderr
    return folder, result


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Captioned pictures as files, in COCO's layout."""
    folder = tmp_path_factory.mktemp("photos")
    data = picturebook(60, seed=3, size=64)
    for number, pixels in zip(data.ids, data.images):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    coco = {
        "images": [{"id": int(i), "file_name": f"{i}.png"} for i in data.ids],
        "annotations": [
            {"image_id": int(i), "caption": text}
            for i, texts in zip(data.ids, data.captions)
            for text in texts
        ],
    }
    (folder / "captions.json").write_text(json.dumps(coco))
    return folder


def test_training_ends_with_a_table_a_figure_and_the_way_to_the_notebooks(trained):
    folder, result = trained
    for question in ("object", "color", "place", "object, unseen artists"):
        assert re.search(
            rf"{question}\s+│\s+\d+\.\d%\s+│\s+\d+\.\d% to \d+\.\d%\s+│\s+\d+", result.stdout
        ), result.stdout
    assert (
        "python -m miniclip lab" in result.stdout and "training" in result.stderr
    )  # the progress bar
    assert Image.open(folder / "my-clip.png").size[0] > 800
    assert miniclip.load(folder / "my-clip.safetensors").config.image_size == 48


def test_a_trained_model_can_be_evaluated_and_answers_in_json(trained):
    result = run_here(
        "evaluate",
        trained[0] / "my-clip.safetensors",
        "--pictures",
        100,
        "--style",
        "sketch",
        "--json",
    )
    scores = json.loads(result.stdout)
    assert scores["object"]["n"] == 100 and scores["object"]["chance"] == pytest.approx(1 / 40)
    assert (
        scores["place"]["interval"][0]
        <= scores["place"]["accuracy"]
        <= scores["place"]["interval"][1]
    )
    assert scores["both of two objects"]["n"] == 100 and scores["recall"]["texts"] == 500


def test_a_trained_model_can_be_made_small(trained, tmp_path):
    whole, small = trained[0] / "my-clip.safetensors", tmp_path / "small.safetensors"
    assert run(app, ["export", str(whole), str(small)]).exit_code == 0
    assert small.stat().st_size < 0.6 * whole.stat().st_size
    a, b = (miniclip.load(path).encode_text(["a red dog", "a bus"]) for path in (whole, small))
    assert torch.allclose(a, b, atol=2e-3) and not torch.equal(a, b)


def test_a_trained_model_can_be_trained_further_and_tells_both_histories(trained, tmp_path):
    first, second, small = (
        trained[0] / "my-clip.safetensors",
        tmp_path / "second.safetensors",
        tmp_path / "small.safetensors",
    )
    run_here(
        "train",
        "--from",
        first,
        *QUICK,
        "--pictures",
        300,
        "--seen",
        128,
        "--batch-size",
        32,
        "--captions-per-image",
        1,
        "--manner",
        0.1,
        "--mention",
        0.5,
        "--out",
        second,
    )
    assert miniclip.load(second).tokenizer.to_json() == miniclip.load(first).tokenizer.to_json()
    assert run(app, ["export", str(second), str(small), "--before", str(first)]).exit_code == 0
    one, both = miniclip.History.of(first).rows, miniclip.History.of(small).rows
    assert (
        both[: len(one)] == one
        and len(both) > len(one)
        and both[-1]["seen"] == one[-1]["seen"] + 128
    )
    assert [row["minutes"] for row in both] == sorted(row["minutes"] for row in both)
    shipped = miniclip.History.of("picturebook")
    assert shipped.rows[-1]["seen"] > 1_000_000 and shipped.rows[-1]["six artists"] > 0.9
    assert shipped.column("object")[1][0] < 0.1 < 0.9 < shipped.column("object")[1][-1]


def test_the_same_command_trains_on_captioned_photos(photos, tmp_path):
    result = run_here(
        "train",
        "--images",
        photos,
        "--captions",
        photos / "captions.json",
        "--seen",
        64,
        "--batch-size",
        32,
        "--out",
        tmp_path / "p.safetensors",
    )
    assert (
        "60 kept" in result.stderr
        and "Retrieval among 6 pictures and 30 captions" in result.stdout
        and "recall@10" in result.stdout
    )
    assert (tmp_path / "p.png").exists()
    result = run_here(
        "evaluate",
        tmp_path / "p.safetensors",
        "--images",
        photos,
        "--captions",
        photos / "captions.json",
        "--json",
    )
    recall = json.loads(result.stdout)
    assert (
        recall["pictures"] == 60
        and recall["texts"] == 300
        and 0 <= recall["image_to_text"]["1"] <= 1
    )


def test_an_image_tower_goes_on_with_other_words(trained, photos, tmp_path):
    """With a rate that changes nothing: the image tower is the trained one, the vocabulary is that
    of the new captions, and the text tower is new."""
    out, first = tmp_path / "p.safetensors", trained[0] / "my-clip.safetensors"
    given = ["--images", photos, "--captions", photos / "captions.json", "--seen", 32]
    still = ["--batch-size", 32, "--lr", 0.0, "--out", out]
    run_here("train", "--image-tower", first, *given, *still)
    before, after = miniclip.load(first, "cpu"), miniclip.load(out, "cpu")
    for name, weight in before.visual.state_dict().items():
        assert torch.equal(weight, after.visual.state_dict()[name]), name
    assert before.tokenizer.to_json() != after.tokenizer.to_json()
    rows = slice(0, len(after.text.token_embedding.weight))
    assert not torch.equal(
        before.text.token_embedding.weight[rows], after.text.token_embedding.weight
    )
    result = run(app, ["train", "--image-tower", str(first), "--from", str(first)])
    assert result.exit_code != 0 and "choose one of the two" in str(result.exception)


def test_every_choice_of_a_recipe_is_an_option_that_explains_itself():
    page = run(app, ["train", "--help"], env={"COLUMNS": "200"}).stdout
    for field in dataclasses.fields(Recipe):
        option = re.search(rf"--{field.name.replace('_', '-')}\b(.*)", page)
        assert option and re.search(r"[a-z]{4}", option[1]), field.name


def test_options_replace_what_a_recipe_has():
    photos = Recipe.photos()
    assert make_recipe(photos, {}) == photos and photos.flip and photos.crop < 1
    assert make_recipe(photos, {"flip": False, "jitter": 0.0}) == Recipe.photos(
        flip=False, jitter=0
    )
    pace = make_recipe(Recipe(), {"lr": 2e-3})
    assert pace.muon_lr == pytest.approx(2 * Recipe().muon_lr)
    assert make_recipe(Recipe(), {"lr": 2e-3, "muon_lr": 1e-4}).muon_lr == 1e-4


def test_a_recipe_can_be_read_from_choices():
    found = read_recipe(["lr=0.002", "captions_per_image=3", "flip=true", "optimizer=adamw"])
    assert found == Recipe(
        lr=0.002, muon_lr=0.006, captions_per_image=3, flip=True, optimizer="adamw"
    )
    for choice, words in (
        ("speed=2", "'speed=2' cannot be chosen; write NAME=VALUE, with one of batch_size,"),
        ("betas=0.9", "'betas=0.9' cannot be chosen"),
        ("lr=fast", "lr cannot be 'fast'"),
        ("flip=perhaps", "flip cannot be 'perhaps'"),
    ):
        with pytest.raises(ValueError, match=words):
            read_recipe([choice])
    assert read_captions(["color=0", "chatter=4"]) == CaptionStyle(color=0.0, chatter=4)
    with pytest.raises(ValueError, match="'hue=1' cannot be chosen; .* mention, color"):
        read_captions(["hue=1"])


def test_what_is_set_on_the_command_line_is_what_the_training_gets(tmp_path):
    out = tmp_path / "a.safetensors"
    options = ["--pictures", "80", *QUICK, "--seen", "64", "--out", str(out), "--json"]
    chosen = ["--batch-size", "32", "--betas", "0.8", "0.9", "--flip", "--jitter", "0.1"]
    assert run(app, ["train", *options, *chosen]).exit_code == 0
    kept = read(out)[1]["run"]["recipe"]
    wanted = Recipe(batch_size=32, betas=(0.8, 0.9), flip=True, jitter=0.1)
    assert kept == wanted.to_json()


@pytest.mark.parametrize(
    "capabilities, budget", [({"amx_bf16": True}, (2.5, "bf16")), ({}, (5.0, None))]
)
def test_a_cpu_made_for_bf16_trains_in_it_for_half_the_time(monkeypatch, capabilities, budget):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    given = []

    def train_clip(*_, minutes, precision, **__):
        given.append((minutes, precision))
        raise KeyboardInterrupt  # what follows is not asked here

    monkeypatch.setattr(training, "train_clip", train_clip)
    run(app, ["train", "--pictures", "80", *QUICK, "--device", "cpu"])
    assert given == [budget]


def test_training_can_be_taken_up_again(tmp_path):
    options = [
        *QUICK,
        "--pictures",
        300,
        "--batch-size",
        64,
        "--out",
        tmp_path / "a.safetensors",
        "--seen",
        128,
    ]
    run_here("train", *options)
    again = run(app, ["train", *map(str, options), "--resume"])
    assert isinstance(again.exception, ValueError) and "is complete" in str(again.exception)


def test_sets_are_drawn_packed_and_shown(photos, tmp_path):
    assert (
        run(
            app, ["data", "draw", str(tmp_path / "book"), "--pictures", "20", "--size", "32"]
        ).exit_code
        == 0
    )
    assert np.array_equal(load(tmp_path / "book").images, picturebook(20, size=32).images)
    packed = run(
        app,
        [
            "data",
            "pack",
            "--images",
            str(photos),
            "--captions",
            str(photos / "captions.json"),
            "--out",
            str(tmp_path / "packed"),
            "--size",
            "48",
        ],
    )
    assert packed.exit_code == 0 and "60 pictures are in" in packed.stdout.replace("\n", " ")
    assert load(tmp_path / "packed").images.shape == (60, 48, 48, 3)
    assert (
        run(
            app,
            [
                "data",
                "show",
                "--data",
                str(tmp_path / "packed"),
                "--out",
                str(tmp_path / "sheet.png"),
            ],
        ).exit_code
        == 0
    )
    assert Image.open(tmp_path / "sheet.png").size[0] > 600


def test_a_packed_set_trains_too(tmp_path):
    picturebook(80, size=48).save(tmp_path / "book")
    result = run_here(
        "train",
        "--data",
        tmp_path / "book",
        "--seen",
        64,
        "--batch-size",
        32,
        "--out",
        tmp_path / "b.safetensors",
        "--json",
    )
    answer = json.loads(result.stdout)
    assert answer["scores"]["pictures"] == 8 and answer["history"][-1]["seen"] == 64


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["train", "--preset", "huge"], "no preset 'huge'; there are nano"),
        (["train", "--images", "."], "--images and --captions go together"),
        (["train", "--loss", "triplet"], "loss is info_nce, sigmoid or a function, not 'triplet'"),
        (["train", "--pictures", "50", *QUICK, "--seen", "10"], "a batch of 64 needs at least"),
        (["evaluate", "nothing.safetensors"], "there is no checkpoint at nothing.safetensors"),
        (["evaluate", "README.md"], "not a whole safetensors file"),
        (["train", "--data", "nowhere"], "holds no whole packed set"),
        (["data", "draw", "x", "--size", "8"], "32 to 512 pixels wide, not 8"),
        (["train", "--minutes", "-1"], "Invalid value for '--minutes'"),
        (["train", "--minutes", "1", "--seen", "9"], "--minutes or --seen, not both"),
        (["train", "--val-captions", "v.json"], "let a tenth be held out"),
        (["train", "--val-data", "photos"], "it needs --data or --images"),
        (["train", "--optimizer", "sgd"], "optimizer is muon or adamw, not 'sgd'"),
        (["train", "--nouns", "few"], "nouns is 'starter', 'common', 'all'"),
        (["train", "--device", "tpu9"], "there is no device"),
    ],
)
def test_wrong_input_gets_a_sentence(arguments, sentence, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys, "argv", ["miniclip", *arguments])
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2 and sentence in " ".join(capsys.readouterr().err.split())


def test_wrong_input_ends_the_program_with_2_and_without_a_traceback():
    result = call("train", "--preset", "huge")
    assert result.returncode == 2 and result.stderr.startswith("Sorry:")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["train"],
        ["evaluate"],
        ["data"],
        ["data", "pack"],
        ["data", "draw"],
        ["data", "show"],
        ["bench"],
        ["export"],
        ["models"],
        ["lab"],
        ["colab"],
    ],
)
def test_every_command_explains_itself(command):
    result = run(app, [*command, "--help"])
    assert result.exit_code == 0 and "Usage" in result.stdout


def test_models_lists_what_ships_first_and_then_what_can_be_fetched():
    done = run(app, ["models"])
    assert done.exit_code == 0 and "tinyclip" in done.stdout
    models, sources = map(printed, models_tables())
    places = [models.index(f" {name} ") for name in (*SHIPPED_MODELS, *HUB_MODELS)]
    assert places == sorted(places) and list(SHIPPED_MODELS) == ["picturebook", "photos"]
    for name, model in HUB_MODELS.items():
        row = next(line for line in models.splitlines() if f" {name} " in line)
        assert all(
            text in row for text in (f"{model.megabytes} MB", f"{model.imagenet} %", model.licence)
        )
        assert re.search(rf" {name} +{re.escape(model.source)}\b", sources)


def printed(table) -> str:
    """What a terminal of 80 columns shows."""
    console = Console(width=80, file=io.StringIO())
    console.print(table)
    return console.file.getvalue()


def test_importing_the_package_imports_neither_matplotlib_nor_widgets():
    code = (
        "import miniclip, sys; heavy = ('matplotlib', 'ipywidgets', 'sklearn', 'IPython'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip()
        == "[]"
    )
