"""Promises of checkpoints: one file holds everything, nothing is unpickled, damage is told in a
sentence."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import miniclip
from miniclip import CLIP, CLIPConfig, Tokenizer, checkpoint

SMALL = CLIPConfig(
    image_size=32,
    vision_width=32,
    vision_layers=1,
    text_width=32,
    text_layers=1,
    embed_dim=16,
    vocab_size=300,
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return CLIP(SMALL, Tokenizer.train(["a dog", "a cat"], 300)).eval()


@pytest.fixture
def path(model, tmp_path):
    miniclip.save(model, tmp_path / "a.safetensors")
    return tmp_path / "a.safetensors"


def test_a_loaded_model_needs_nothing_else_and_answers_the_same(model, path):
    loaded = miniclip.load(path)
    image = np.random.default_rng(0).integers(0, 256, (50, 40, 3), dtype=np.uint8)
    assert loaded.config == SMALL and not loaded.training
    with torch.inference_mode():
        assert torch.equal(loaded.encode_image(image), model.encode_image(image))
        assert torch.equal(loaded.encode_text("a dog"), model.encode_text("a dog"))


def test_training_notes_and_optimizer_come_along(model, tmp_path):
    checkpoint.save(
        model, tmp_path / "deep/b.safetensors", {"step": 3}, {"optimizer.x": torch.ones(2)}
    )
    _, training, state = checkpoint.read(tmp_path / "deep/b.safetensors")
    assert training == {"step": 3} and torch.equal(state["optimizer.x"], torch.ones(2))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_others_may_read_it_as_any_other_new_file(path, tmp_path):
    (tmp_path / "other").touch()
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_failed_write_leaves_the_old_file_and_no_litter(model, path, monkeypatch):
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(
        OSError,
        match="could not write .*No space left on device; "
        "a checkpoint that was there before is still whole",
    ):
        miniclip.save(model, path)
    assert path.read_bytes() == before and [p.name for p in path.parent.iterdir()] == [
        "a.safetensors"
    ]


@pytest.mark.parametrize("keep", [0, 5, 1000, -1])
def test_a_truncated_file_is_refused_with_a_sentence(path, keep):
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        miniclip.load(path)


def _rewritten(path, **changes):
    with safe_open(path, "pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    save_file(
        tensors,
        path,
        {name: text for name, text in {**metadata, **changes}.items() if text is not None},
    )


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"format": None}, "not a checkpoint of miniclip"),
        ({"format": "other 7"}, "its format is 'other 7', expected 'miniclip 1'"),
        (
            {"config": json.dumps({"image_size": 64})},
            "does not hold what its own configuration asks for",
        ),
        ({"config": json.dumps({"depth": 3})}, "does not hold what its own configuration asks for"),
        ({"config": "{"}, "does not hold"),
        ({"config": None}, "does not hold"),
        ({"tokenizer": "{}"}, "does not hold"),
    ],
)
def test_another_format_or_configuration_is_refused_with_a_sentence(path, changes, sentence):
    _rewritten(path, **changes)
    with pytest.raises(ValueError, match=sentence):
        miniclip.load(path)


def test_a_pickle_is_refused_unread(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "exploded",))

    torch.save(Bomb(), tmp_path / "evil.safetensors")
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        miniclip.load(tmp_path / "evil.safetensors")
    assert not (tmp_path / "exploded").exists()


def test_a_missing_file_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no checkpoint at .*; train one with"):
        miniclip.load(tmp_path / "none.safetensors")


def test_a_checkpoint_from_before_the_choice_of_a_norm_loads(tmp_path):
    """Its stem has a BatchNorm, which its configuration does not say."""
    torch.manual_seed(0)
    old = CLIP(CLIPConfig.preset("nano", stem_norm="batch")).eval()
    path = tmp_path / "old.safetensors"
    checkpoint.save(old, path)
    config = asdict(old.config)
    del config["stem_norm"]
    _rewritten(path, config=json.dumps(config))
    images = torch.randn(2, 3, 48, 48)
    loaded = checkpoint.load(path, "cpu")
    assert torch.equal(loaded.encode_image(images), old.encode_image(images))
