"""Promises of several processes: together they do what one does alone."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import miniclip
from miniclip import CLIPConfig, Recipe, checkpoint

pytestmark = pytest.mark.slow
PLAIN = CLIPConfig(
    image_size=32,
    vision_width=32,
    vision_layers=1,
    text_width=32,
    text_layers=1,
    embed_dim=32,
    vocab_size=400,
    stem=False,
)
CONFIGS = {
    "plain": PLAIN,
    "stem": replace(PLAIN, stem=True),
    "stem with batch norm": replace(PLAIN, stem=True, stem_norm="batch"),
    "resnet": replace(
        PLAIN,
        image_size=64,
        patch_size=32,
        vision_width=8,
        vision_layers=4,
        vision_heads=4,
        resnet=(1, 1, 1, 1),
        pool="cls",
    ),
}
# Which towers are trained, with which chunk size and for how many steps.
TRAININGS = {
    "plain": (0, 20),
    "stem": (6, 20),
    "stem with batch norm": (0, 20),
    "resnet": (0, 5),
}
# All in one start of two processes, because each process takes seconds to import PyTorch.
EVERY_TOWER = """
for tower, (chunk, steps) in TRAININGS.items():
    out = f"{folder}/{tower}.safetensors"
    miniclip.train(data, CONFIGS[tower], out=out, **options(chunk), seen=32 * steps)
try:
    miniclip.train(data, CONFIGS["plain"], **options(batch_size=33), seen=640)
except ValueError as error:
    print(error)
"""
KILLED = """
import os, torch.distributed as dist
import miniclip.training.batches as t
real, steps = t.Batches.__call__, []
def stop(self, step):
    if step == 10 and dist.get_rank() == 1:
        os._exit(3)
    return real(self, step)
t.Batches.__call__ = stop
out = f"{folder}/killed.safetensors"
miniclip.train(data, CONFIGS["plain"], out=out, **options(), seen=640, save_every=0)
"""
HEAD = """
import sys
import miniclip
from tests.test_distributed import CONFIGS, TRAININGS, options
folder = sys.argv[1]
data = miniclip.data.picturebook(96, seed=1, size=40)
"""


def options(chunk=0, optimizer="adamw", batch_size=32):
    recipe = Recipe(
        batch_size=batch_size,
        optimizer=optimizer,
        chunk_size=chunk,
        crop=0.7,
        flip=True,
        jitter=0.2,
    )
    return {"recipe": recipe, "device": "cpu", "progress": False}


def two_processes(folder, body):
    """Run a script in two processes; gives what they printed and their exit status."""
    script = folder / "script.py"
    script.write_text(HEAD + body)
    root = str(Path(__file__).parents[1])
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": root}
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*start, str(script), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=root, timeout=240)


@pytest.fixture(scope="module")
def every_tower(tmp_path_factory):
    folder = tmp_path_factory.mktemp("towers")
    done = two_processes(folder, EVERY_TOWER)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.mark.parametrize("tower", TRAININGS)
def test_two_processes_end_with_the_weights_of_one(every_tower, tower):
    """With the same batches, running statistics of BatchNorm included; `chunk` works within each
    process.

    To 1e-5. In a ResNet AdamW makes more of the last digits of a sum (another processor: 3e-5
    after 5 steps), so there
    a weight may differ by a hundredth of the way that it went instead: 0.3 % was the most seen.
    """
    steps = TRAININGS[tower][1]
    both = checkpoint.load(every_tower[0] / f"{tower}.safetensors", "cpu").state_dict()
    data, still = (
        miniclip.data.picturebook(96, seed=1, size=40),
        options() | {"recipe": Recipe(batch_size=32, optimizer="adamw", lr=0.0)},
    )
    alone, _ = miniclip.train(data, CONFIGS[tower], seen=32 * steps, **options())
    start = miniclip.train(data, CONFIGS[tower], seen=32, **still)[0].state_dict()
    norms = tower in ("stem with batch norm", "resnet")
    assert any("running_mean" in name for name in both) == norms
    for name, a in alone.state_dict().items():
        way = (a - start[name]).norm() if tower == "resnet" and a.is_floating_point() else 0
        assert torch.allclose(a, both[name], atol=1e-5) or (a - both[name]).norm() < 0.01 * way, (
            name,
            float((a - both[name]).abs().max()),
        )


def test_a_training_goes_on_with_another_number_of_processes(tmp_path):
    """Killed by one of its processes, which is told; taken up again by one process alone."""
    done, path = two_processes(tmp_path, KILLED), tmp_path / "killed.safetensors"
    assert done.returncode != 0 and "another process of this training has ended" in done.stderr
    step = checkpoint.read(path)[1]["step"]
    assert 0 < step <= 10
    data = miniclip.data.picturebook(96, seed=1, size=40)
    resumed, _ = miniclip.train(data, PLAIN, out=path, resume=True, seen=640, **options())
    alone, _ = miniclip.train(data, PLAIN, seen=640, **options())
    for (name, a), (_, b) in zip(alone.named_parameters(), resumed.named_parameters()):
        assert torch.allclose(a, b, atol=1e-5), name


SIGNAL = """
import os, signal, time
import torch.distributed as dist
from miniclip.training import distributed as parallel
dist.init_process_group("gloo", init_method="file://{file}", rank=0, world_size=1)
with parallel.death_explained("mine.safetensors"):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals on Windows")
def test_a_process_that_is_told_to_end_says_so(tmp_path):
    """torchrun may end the others before they notice by themselves that one is gone."""
    done = subprocess.run(
        [sys.executable, "-c", SIGNAL.format(file=tmp_path / "meet")],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
        timeout=120,
    )
    assert (
        done.returncode == 1
        and "another process of this training has ended" in done.stderr
        and "mine.safetensors holds what was learned before" in done.stderr
    )


def test_a_batch_that_cannot_be_shared_is_refused(every_tower):
    sentence = "2 processes cannot share a batch of 33; choose a multiple"
    assert every_tower[1].count(sentence) == 2  # by each of them
