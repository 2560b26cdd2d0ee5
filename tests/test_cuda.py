"""Promises on a GPU: the same as on the CPU, faster, and without waiting for the card.

Skips where there is no CUDA. MINICLIP_TEST_DEVICE=cpu runs what can be run without a card, to try
the tests themselves. `.ci/gpu` runs them on a lent card.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import miniclip
from miniclip import CLIPConfig, Recipe, Scene, Thing, checkpoint
from miniclip.tools.gpu_bench import gpu_speed, make_step
from miniclip.training import clip as clip_module
from miniclip.training.batches import Batches, Prefetcher, make_batches

DEVICE = os.environ.get("MINICLIP_TEST_DEVICE", "cuda")
CUDA = DEVICE == "cuda"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CUDA and not torch.cuda.is_available(), reason="there is no CUDA here"),
]
SMALL = CLIPConfig(
    image_size=32,
    vision_width=64,
    vision_layers=2,
    text_width=64,
    text_layers=1,
    embed_dim=64,
    vocab_size=500,
)
RECIPE = Recipe(batch_size=32, optimizer="adamw")
STEPS = 30
# How far the losses of 30 steps may be from those in fp32 on the CPU.
NEAR = {"fp32": 5e-3, "bf16": 5e-2, "fp16": 5e-2}
only_cuda = pytest.mark.skipif(not CUDA, reason="a CPU has nothing of the kind")


@pytest.fixture(scope="module")
def data():
    return miniclip.data.picturebook(96, seed=1, size=32)


def train(data, device=DEVICE, recipe=RECIPE, **options):
    options = {"seen": 32 * STEPS, "eval_at": 6, "progress": False} | options
    return miniclip.train(data, SMALL, device=device, recipe=recipe, **options)


@pytest.fixture(scope="module")
def on_the_cpu(data):
    return train(data, "cpu")


def losses(history):
    return [row["loss"] for row in history.rows]


@pytest.mark.parametrize("precision", ["fp32", "bf16", pytest.param("fp16", marks=only_cuda)])
def test_losses_are_those_of_the_cpu(data, on_the_cpu, precision):
    _, history = train(data, precision=precision)
    assert np.allclose(losses(history), losses(on_the_cpu[1]), atol=NEAR[precision])


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_compiled_training_learns_the_same(data, optimizer):
    """In fp32: in bf16 a last digit is a hundredth, and learning by heart makes more of it."""
    recipe = Recipe(batch_size=32, optimizer=optimizer)
    _, plain = train(data, recipe=recipe, precision="fp32")
    _, compiled = train(data, recipe=recipe, precision="fp32", compile=True)
    assert np.allclose(losses(plain), losses(compiled), atol=NEAR["fp32"])


def test_chunks_give_the_same(data, on_the_cpu):
    chunked = Recipe(batch_size=32, optimizer="adamw", chunk_size=12)
    _, history = train(data, recipe=chunked, precision="fp32")
    assert np.allclose(losses(history), losses(on_the_cpu[1]), atol=NEAR["fp32"])


def test_patches_words_and_rectangles_are_hidden_there_too(data):
    hiding = Recipe(
        batch_size=32, optimizer="adamw", patch_dropout=0.5, word_dropout=0.2, erase=0.3
    )
    _, there = train(data, recipe=hiding, precision="fp32")
    _, here = train(data, "cpu", recipe=hiding)
    assert np.allclose(losses(there), losses(here), atol=NEAR["fp32"])


def test_batches_are_those_of_the_cpu_on_the_card_or_made_ahead(data, monkeypatch):
    model = checkpoint.new((c for texts in data.captions for c in texts), SMALL)
    parts = (data, model.tokenizer, model.config, Recipe(batch_size=32, crop=0.6, flip=True))
    expected = Batches(*parts, torch.device("cpu"))(5)
    made = [make_batches(*parts, torch.device(DEVICE))]
    if CUDA:
        assert made[0].on_device
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (0, 0))
        made.append(make_batches(*parts, torch.device(DEVICE)))
        assert isinstance(made[1], Prefetcher)
    for batches in made:
        for there, here in zip(batches(5), expected):
            assert there.device.type == DEVICE
            assert torch.allclose(there.cpu(), here, atol=1e-4)


def test_a_training_goes_on_on_another_device(data, on_the_cpu, tmp_path):
    def stop(model):
        raise KeyboardInterrupt

    out = tmp_path / "half.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(data, out=out, save_every=0, eval_fn=stop, eval_at=[0.5], precision="fp32")
    _, history = train(data, "cpu", out=out, resume=True)
    assert np.allclose(losses(history)[-2:], losses(on_the_cpu[1])[-2:], atol=NEAR["fp32"])


@pytest.mark.parametrize("name", ["picturebook", "photos"])
def test_a_model_that_ships_answers_as_on_the_cpu(name):
    pixels = Scene("beach", [Thing("dog", size=0.6)]).draw(64)
    words = ["a dog", "a cat", "a bus", "a tree"]
    here, there = (
        checkpoint.load(name, device).classify(pixels, words) for device in ("cpu", DEVICE)
    )
    assert all(abs(here[word] - there[word]) < 2e-3 for word in words)


@only_cuda
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_step_does_not_wait_for_the_card(data, monkeypatch, optimizer, precision):
    real, calls = clip_module.train_step, []

    def strict(*arguments, **options):
        calls.append(1)
        torch.cuda.set_sync_debug_mode("error" if len(calls) > 3 else "default")
        try:
            return real(*arguments, **options)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(clip_module, "train_step", strict)
    recipe = Recipe(batch_size=32, optimizer=optimizer)
    train(data, recipe=recipe, precision=precision, eval_at=1)
    assert len(calls) == STEPS


@only_cuda
def test_making_a_batch_does_not_wait_for_the_card(data):
    model = checkpoint.new((c for texts in data.captions for c in texts), SMALL)
    recipe = Recipe(batch_size=32, crop=0.6, flip=True, jitter=0.2, erase=0.3, patch_dropout=0.5)
    batches = make_batches(data, model.tokenizer, model.config, recipe, torch.device(DEVICE))
    batches(0)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for step in range(1, 6):
            batches(step)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@only_cuda
def test_compiled_is_faster():
    speeds = gpu_speed("nano", 512, rounds=3, names=("miniclip",))
    eager, compiled = (
        speeds[f"miniclip, as shipped{end}"].images_per_second for end in ("", ", compiled")
    )
    assert compiled > 1.5 * eager, speeds


def test_one_process_started_by_torchrun_trains(tmp_path):
    out = tmp_path / "one.safetensors"
    command = "-m torch.distributed.run --standalone --nproc-per-node 1 -m miniclip train"
    options = f"--pictures 200 --seen 256 --batch-size 64 --out {out} --device {DEVICE} --json"
    done = subprocess.run(
        [sys.executable, *command.split(), *options.split()],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=Path(__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert checkpoint.load(out, "cpu").config.image_size == 48


def test_the_bench_times_everyone_in_turns():
    precision = "bf16" if CUDA else "fp32"  # not every CPU multiplies in bf16
    speeds = gpu_speed("nano", 8, rounds=2, device=DEVICE, compiled=(), precision=precision)
    assert {"miniclip", "miniclip, as shipped"} <= set(speeds)
    assert all(speed.images_per_second > 0 for speed in speeds.values())
    assert 0 < speeds["miniclip"].gemm_share < 2


def test_a_compiled_step_of_the_bench_is_a_step():
    config = CLIPConfig.preset("nano", image_size=32)
    model = miniclip.CLIP(config)
    before = model.logit_scale.item()
    step = make_step(model, config, 8, torch.device(DEVICE), torch.float32, compiled=True)
    for _ in range(5):
        loss = step()
    assert torch.isfinite(loss) and model.logit_scale.item() != before
