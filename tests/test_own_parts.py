"""Promises to those who bring parts of their own, each a small example to copy: a model, a loss,
pictures."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import miniclip
from miniclip import Recipe, World
from miniclip.course.widgets import FailureLab, LossLab, PromptLab, SceneLab, SearchBox
from miniclip.evaluation.benchmarks import ask, single_objects
from miniclip.evaluation.challenges import CHALLENGES, choose
from miniclip.evaluation.probes import features, few_shot, linear_probe
from miniclip.retrieval import evaluate_retrieval

NOUNS = ("dog", "bus", "apple", "owl")


class ColorModel:
    """A model of one's own: it knows nothing but the mean colour of a picture and the names of
    five colours. Two methods are all that is needed.

    `encode_image` takes one picture (H, W, 3) or several (N, H, W, 3), uint8; `encode_text` one
    string or several; both give unit vectors, (N, E).
    """

    words = {
        "red": (1, 0, 0),
        "green": (0, 1, 0),
        "blue": (0, 0, 1),
        "yellow": (1, 1, 0),
        "white": (1, 1, 1),
    }

    def encode_image(self, images) -> torch.Tensor:
        pixels = torch.from_numpy(np.array(images)).float()
        pixels = pixels[None] if pixels.ndim == 3 else pixels  # (N, H, W, 3)
        return F.normalize(pixels.mean(dim=(1, 2)) / 255 + 0.01, dim=-1)  # (N, 3)

    def encode_text(self, texts) -> torch.Tensor:
        texts = [texts] if isinstance(texts, str) else texts
        vectors = [
            sum(
                (
                    torch.tensor(vector).float()
                    for word, vector in self.words.items()
                    if word in text
                ),
                torch.full((3,), 0.01),
            )
            for text in texts
        ]
        return F.normalize(torch.stack(vectors), dim=-1)  # (N, 3)


@pytest.fixture(scope="module")
def data():
    return single_objects(World(nouns=NOUNS), 60, 64, seed=1_000_006)


def plain(color) -> np.ndarray:
    return np.full((64, 64, 3), color, np.uint8)


def test_a_model_of_ones_own_is_evaluated():
    model, pictures = (
        ColorModel(),
        np.stack(
            [plain((255, 0, 0)), plain((0, 255, 0)), plain((0, 0, 255)), plain((255, 255, 0))]
        ),
    )
    score = miniclip.evaluate(
        model,
        pictures,
        ["red", "green", "blue", "yellow"],
        ["red", "green", "blue", "yellow"],
        "a {} picture",
    )
    assert score.accuracy == 1 and score.n == 4
    likeliest = miniclip.classify(model, pictures[2], ["red", "green", "blue"], "something {}")
    assert next(iter(likeliest)) == "blue" and sum(likeliest.values()) == pytest.approx(1)


def test_a_model_of_ones_own_is_asked_challenged_and_searched_with(data):
    model = ColorModel()
    assert set(ask(model, data)) == {"object", "color", "place"}
    assert choose(model, CHALLENGES["counting"](n=12)).n == 12
    assert evaluate_retrieval(model, data).pictures == 60


def test_a_model_of_ones_own_is_probed(data):
    x, y = features(ColorModel(), data), data.facts["place"]
    assert x.shape == (60, 3)
    often = [place for place, count in zip(*np.unique(y, return_counts=True)) if count >= 3]
    x, y = x[np.isin(y, often)], y[np.isin(y, often)]
    assert (
        linear_probe(x[::2], y[::2], x[1::2], y[1::2], C=1.0).test_score.accuracy > 0.3
    )  # a night is dark and snow is bright
    assert set(few_shot(x, y, x, y, shots=(1, 2), draws=2)) == {1, 2}


def test_a_model_of_ones_own_is_played_with(data):
    model = ColorModel()
    labs = [
        LossLab(model, data),
        SearchBox(model, data, query="a red thing"),
        SceneLab(model),
        PromptLab(model, data),
        FailureLab(model, {"counting": CHALLENGES["counting"](n=12)}),
    ]
    for lab in labs:
        assert lab.message.value == "" and lab.box.children


class TwoTowers(torch.nn.Module):
    """A model of one's own that learns: any two networks that end in vectors of one length."""

    def __init__(self, words):
        super().__init__()
        self.words = {word: number for number, word in enumerate(words, 1)}
        self.visual_tower = torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, 32)
        )
        self.text_tower = torch.nn.EmbeddingBag(len(words) + 1, 32, mode="sum")

    def encode_image(self, images):
        pixels = torch.from_numpy(np.array(images)).float() / 255
        pixels = (pixels[None] if pixels.ndim == 3 else pixels).permute(0, 3, 1, 2)
        return F.normalize(self.visual_tower(F.interpolate(pixels, (16, 16), mode="area")), dim=-1)

    def encode_text(self, texts):
        texts = [texts] if isinstance(texts, str) else texts
        bags = [
            [self.words.get(word.strip(".,"), 0) for word in text.lower().split()] for text in texts
        ]
        return F.normalize(
            self.text_tower(
                torch.tensor(sum(bags, [])),
                torch.tensor([0, *np.cumsum([len(bag) for bag in bags])[:-1]]),
            ),
            dim=-1,
        )


def test_a_model_of_ones_own_learns_with_the_losses_of_the_package():
    data = single_objects(World(nouns=NOUNS, places=("night", "snow", "grass")), 160, 64, seed=5)
    torch.manual_seed(0)
    model = TwoTowers(
        sorted(
            {
                word.strip(".,")
                for captions in data.captions
                for text in captions
                for word in text.lower().split()
            }
        )
    )
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for step in range(60):
        rows = torch.randperm(len(data))[:32].tolist()
        loss = miniclip.info_nce(
            model.encode_image(data.images[rows]),
            model.encode_text([data.captions[row][step % 5] for row in rows]),
            10.0,
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    test = single_objects(
        World(nouns=NOUNS, places=("night", "snow", "grass")), 60, 64, seed=1_000_006
    )
    names = {"night": "at night", "snow": "in the snow", "grass": "on the grass"}
    assert (
        miniclip.evaluate(
            model, test, test.facts["place"], list(names), "{}", list(names.values())
        ).accuracy
        > 0.6
    )


def test_a_loss_of_ones_own_trains():
    calls = []

    def triplets(images, texts, inverse_temperature):
        """Each text should be nearer to its picture than any other, by a margin."""
        cosines = images @ texts.T  # (B, B)
        calls.append(tuple(cosines.shape))
        gap = 0.3 - cosines.diag()[:, None] + cosines
        return gap.masked_fill(torch.eye(len(gap), dtype=torch.bool), 0).clamp(min=0).mean()

    data = miniclip.data.picturebook(128, seed=0, size=48, world=World.starter())
    model, history = miniclip.train(
        data,
        "nano",
        seen=640,
        recipe=Recipe(batch_size=32, loss=triplets),
        eval_at=4,
        progress=False,
    )
    losses = history.column("loss")[1]
    assert losses[-1] < losses[0] and set(calls) == {(32, 32)}
    assert model.encode_text("a dog").shape[1] == model.config.embed_dim


def test_pictures_of_ones_own_are_read_and_trained_on(tmp_path):
    """A folder of files of any size, and a captions file in COCO's format."""
    (tmp_path / "pictures").mkdir()
    colors = {
        "red": (220, 30, 30),
        "green": (30, 200, 30),
        "blue": (30, 30, 220),
        "white": (240, 240, 240),
    }
    records, annotations = [], []
    for number in range(32):
        name = list(colors)[number % 4]
        Image.new("RGB", (90 + number, 80), colors[name]).save(
            tmp_path / "pictures" / f"{number}.png"
        )
        records.append({"id": number, "file_name": f"{number}.png"})
        annotations += [
            {"image_id": number, "caption": f"a {name} sheet of paper"},
            {"image_id": number, "caption": f"paper, {name}"},
        ]
    (tmp_path / "captions.json").write_text(
        json.dumps({"images": records, "annotations": annotations}), encoding="utf-8"
    )

    data = miniclip.data.folder(
        tmp_path / "pictures", tmp_path / "captions.json", size=48, progress=False
    )
    assert (
        len(data) == 32
        and data.images.shape == (32, 48, 48, 3)
        and data.captions[0] == ["a red sheet of paper", "paper, red"]
    )
    model, history = miniclip.train(
        data, "nano", seen=320, recipe=Recipe(batch_size=16), eval_at=2, progress=False
    )
    assert (
        len(history.rows) == 2
        and SearchBox(model, data, query="a red sheet of paper").message.value == ""
    )
