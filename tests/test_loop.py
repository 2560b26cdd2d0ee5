"""Promises of the one loop: a step waits for nobody, and every training goes through it."""

import ast
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import miniclip
from miniclip import CLIPConfig, Recipe
from miniclip.training.batches import Batches
from miniclip.training.clip import contrastive_objective
from miniclip.training.loop import Loop, train_step
from miniclip.training.optimizers import make_optimizers
from miniclip.training.precision import Precision

CPU = torch.device("cpu")
SIZES = {"vision_width": 32, "vision_layers": 1, "text_width": 32, "text_layers": 1}
SMALL = CLIPConfig(image_size=32, embed_dim=32, vocab_size=600, **SIZES)
# Operations by which Python asks a tensor for a number: on a GPU each of them waits for it.
WAITING = {"aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero", "aten::equal"}


class Waits(TorchDispatchMode):
    """Notes every operation that would make the host wait for a GPU."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.name().partition(".")[0] in WAITING:
            self.seen.append(function.name())
        return function(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def data():
    return miniclip.data.picturebook(64, seed=1, size=40)


def test_what_waits_is_noticed():
    with Waits() as waits:
        torch.ones(3).sum().item()
        bool(torch.ones(1) > 0)
    assert len(waits.seen) == 2


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("chunk_size", [0, 8])
@pytest.mark.parametrize("loss", ["info_nce", "sigmoid"])
def test_a_step_asks_for_no_number(data, optimizer, chunk_size, loss):
    """The text tower trims on the CPU, so its batch, trimmed already, is given as a GPU's would
    be."""
    recipe = Recipe(batch_size=32, optimizer=optimizer, chunk_size=chunk_size, loss=loss)
    model = miniclip.checkpoint.new(sum(data.captions, []), SMALL).train()
    batch = Batches(data, model.tokenizer, model.config, recipe, CPU)(0)
    optimizers, precision = make_optimizers(model, recipe), Precision(CPU, torch.float32)
    objective = contrastive_objective(model, recipe, precision)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("miniclip.model.trim", lambda tokens, end: tokens)
        with Waits() as waits:
            train_step(model, batch, objective, optimizers, precision, recipe.clip_norm)
    assert waits.seen == []


def test_on_a_gpu_the_loss_is_read_every_twentieth_step():
    loop = Loop(torch.nn.Linear(1, 1), Recipe(), CPU, seen=64 * 100, progress=False)
    loop.device = SimpleNamespace(type="cuda")
    reads = []
    with loop:
        for step in loop:
            with Waits() as waits:
                loop.record(torch.tensor(1.0))
            reads += [step] * len(waits.seen)
    assert reads == [0, 20, 40, 60, 80]


def test_the_loop_fits_a_slide_and_is_written_once():
    """`fit` is at most 40 lines, docstring aside; nobody else walks through an epoch of steps."""
    folder = Path(miniclip.__file__).parent
    tree = ast.parse((folder / "training" / "loop.py").read_text(encoding="utf-8"))
    (fit,) = (node for node in tree.body if getattr(node, "name", "") == "fit")
    assert fit.end_lineno - fit.body[1].lineno < 40
    users = [path for path in folder.rglob("*.py") if ".backward()" in path.read_text("utf-8")]
    assert [path.relative_to(folder).as_posix() for path in users] == ["training/precision.py"]
