"""Promises of pictures with class labels: they come from a folder, a zip file or torchvision, the
same ones each time, and can be asked which class they show."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import miniclip
from miniclip.data import labelled
from miniclip.evaluation.benchmarks import ask, questions
from miniclip.tools.cli import app

SHARED = Path(__file__).parents[2] / "shared" / "data"
CLASSES = ["apple", "dog", "sail boat"]


def png(shade):
    file = io.BytesIO()
    Image.fromarray(np.full((40, 60, 3), shade, np.uint8)).save(file, "png")
    return file.getvalue()


def write(folder, packed=False, **changes):
    """Twelve pictures, nine to train on; the shade of a picture tells its number."""
    names = [f"{number}.png" for number in range(12)]
    records = [
        {"file_name": name, "label": number % 3, "split": "val" if number > 8 else "train"}
        for number, name in enumerate(names)
    ]
    content = {"info": {"source": "a test"}, "classes": CLASSES, "images": records} | changes
    (folder / "labels.json").write_text(json.dumps(content))
    if packed:
        with zipfile.ZipFile(folder / "images.zip", "w") as archive:
            for number, name in enumerate(names):
                archive.writestr(name, png(20 * number))
    else:
        (folder / "images").mkdir()
        for number, name in enumerate(names):
            (folder / "images" / name).write_bytes(png(20 * number))
    return folder


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_or_a_zip_file_with_labels(tmp_path, packed):
    folder = write(tmp_path, packed)
    train, test = labelled(folder, size=32, train=True), labelled(folder, size=32)
    assert train.images.shape == (9, 32, 32, 3) and len(test) == 3
    numbers = train.images[:, 0, 0, 0] // 20
    assert (train.facts["label"] == numbers % 3).all()
    assert (train.facts["object"] == np.array(CLASSES)[numbers % 3]).all()
    assert train.captions[0] == [train.facts["object"][0]] and train.info["words"] == CLASSES
    assert "a test" in train.credits()[0]
    some = labelled(folder / "labels.json", n=4, size=32, train=True)
    assert len(some) == 4
    assert np.array_equal(some.images, labelled(folder, n=4, size=32, train=True).images)


def test_a_model_can_be_asked_which_class_they_show(tmp_path):
    data = labelled(write(tmp_path), size=64, train=True)
    assert list(questions(data)) == ["object"]
    assert questions(data)["object"].names == ("an apple", "a dog", "a sail boat")
    score = ask(miniclip.load("photos"), data, "a photo of {}.")["object"]
    assert score.n == 9 and score.chance == pytest.approx(1 / 3)


def test_the_command_line_asks_for_the_classes_of_a_folder(tmp_path):
    command = ["evaluate", "photos", "--on", str(write(tmp_path)), "--json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0 and json.loads(done.stdout)["object"]["n"] == 3
    both = CliRunner().invoke(app, [*command, "--data", "somewhere"])
    assert "choose one" in str(both.exception)


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"classes": None}, "is not as expected"),
        ({"images": [{"file_name": "0.png", "label": 7}]}, "numbers of classes as labels"),
        ({"images": []}, "names no pictures to test on"),
        ({"images": [{"file_name": "0.png", "label": 0, "split": "train"}]}, "to test on"),
    ],
)
def test_labels_that_are_not_as_expected_are_told(tmp_path, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        labelled(write(tmp_path, **changes))


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(ValueError, match="no set 'imagenet': expected one of mnist, cifar10"):
        labelled("imagenet")
    with pytest.raises(ValueError, match="at least 1, not 0"):
        labelled(write(tmp_path), n=0)
    one = [{"file_name": "gone.png", "label": 0, "split": "test"}]
    (tmp_path / "b").mkdir()
    with pytest.raises(FileNotFoundError, match="gone.png"):
        labelled(write(tmp_path / "b", packed=True, images=one))
    pytest.importorskip("torchvision")
    with pytest.raises(FileNotFoundError, match="CIFAR10 is not in .*; fetch it with download"):
        labelled("cifar10", root=tmp_path)


def test_torchvisions_sets_are_read(mnist):
    pytest.importorskip("torchvision")
    found = labelled("mnist", n=15, size=32, root=mnist)
    assert found.images.shape == (15, 32, 32, 3) and found.info["words"][3] == "three"
    assert (found.images[:, 16, 16, 0] == 25 * found.facts["label"]).all()


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real pictures of ../shared/data")
@pytest.mark.parametrize("name, size", [("cifar10", 32), ("imagenette", 64)])
def test_the_real_ones_at_hand_are_read(name, size):
    data = labelled(SHARED / name, n=40, size=size)
    assert len(data) == 40 and len(data.info["words"]) == 10
    assert set(data.facts["object"]) <= set(data.info["words"])
    assert data.images.std() > 30
