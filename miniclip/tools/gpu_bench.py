"""Training speed on a GPU, beside open_clip and transformers, as they are and compiled.

A GPU works while Python goes on, so a round is many steps and one wait at its end. Models of equal
size take turns in one run, and medians are told. Ours appears twice: as the others are built, and
as shipped, with its convolutional stem. `.ci/gpu` writes the results of one card to a file.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable

import torch
from torch import nn

from miniclip.config import CLIPConfig
from miniclip.device import PRECISIONS
from miniclip.loss import info_nce
from miniclip.model import CLIP
from miniclip.tools.bench import RIVALS, Speed, count_flops, sizes
from miniclip.training.compiled_step import CompiledStep, can_record
from miniclip.training.loop import train_step
from miniclip.training.optimizers import make_optimizers
from miniclip.training.precision import Precision
from miniclip.training.recipe import Recipe
from miniclip.training.timing import random_batch, seconds_of

STEPS = 10  # in a round
# Compiling takes 20 to 40 seconds each, so only these are timed compiled, too.
COMPILED = ("open_clip", "miniclip, as shipped")


def make_step(
    model: nn.Module,
    config: CLIPConfig,
    batch_size: int,
    device: torch.device,
    precision: torch.dtype,
    compiled: bool,
) -> Callable[[], object]:
    """A function that does one step of training on one random batch that is on the device.

    Args:
        model: gives (image features, text features, inverse temperature) for a batch.
        config: the sizes of the batch.
        batch_size: pictures a step.
        device, precision: where and how to compute.
        compiled: for our model, the whole step compiled and, where that can be, recorded, as
            `train(compile=True)` does it; for others the model compiled.
    """
    model.to(device).train()
    batch = tuple(tensor.to(device) for tensor in random_batch(config, batch_size))
    rounding = Precision(device, precision)
    record = compiled and isinstance(model, CLIP) and can_record(device, precision)
    recipe = Recipe(optimizer="adamw", lr=1e-4)
    optimizers = make_optimizers(model, recipe, capturable=record)
    embed = torch.compile(model) if compiled and not isinstance(model, CLIP) else model

    def objective(images: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        with rounding.autocast():
            image, text, scale = embed(images, tokens)
        return info_nce(image.float(), text.float(), scale.float())

    if compiled and isinstance(model, CLIP):
        take_step = CompiledStep(model, objective, optimizers, rounding, 1.0, record)
        return lambda: take_step(batch)
    return lambda: train_step(model, batch, objective, optimizers, rounding, 1.0)


def gpu_speed(
    preset: str = "nano",
    batch_size: int = 1024,
    rounds: int = 5,
    device: str = "cuda",
    names: Iterable[str] = tuple(RIVALS),
    compiled: Iterable[str] = COMPILED,
    precision: str = "bf16",
) -> dict[str, Speed]:
    """Time steps of training, the models taking turns.

    Args:
        preset: whose sizes everyone takes; see `bench.sizes`.
        batch_size: pictures a step.
        rounds: turns of `STEPS` steps; the median is told.
        device: "cuda", or "cpu" to try the bench itself.
        names: which of `bench.RIVALS`; one that is not installed is left out.
        compiled: which models to time compiled as well: "open_clip", "transformers", "miniclip"
            (built as the others are) or "miniclip, as shipped".
        precision: fp32, bf16 or fp16.
    Returns:
        {"miniclip": Speed, "miniclip, compiled": ..., "miniclip, as shipped": ..., ...}; a model's
        gemm_share is its share of the rate of a large matrix product in the same precision, and
        its memory the peak of the card in MB.
    """
    where, dtype = torch.device(device), PRECISIONS[precision]
    shipped, plain = sizes(preset)
    steps: dict[str, Callable[[], object]] = {}
    memory: dict[str, float] = {}
    flops: dict[str, float] = {}
    for title, make, config in _candidates(names, plain, shipped):
        for whole in (False, True) if title in compiled else (False,):
            key = f"{title}, compiled" if whole else title
            try:
                step = make_step(make(config), config, batch_size, where, dtype, whole)
            except ImportError:
                break
            memory[key] = _peak_memory(step, where)
            if title.startswith("miniclip") and not whole:
                flops[title] = count_flops(step)
            steps[key] = step
    times: dict[str, list[float]] = {key: [] for key in steps}
    for _ in range(rounds):
        for key, step in steps.items():
            times[key].append(seconds_of(lambda: _run(step, where)) / STEPS)  # noqa: B023
    rate, speeds = product_rate(where, dtype), {}
    for key, seconds in ((key, statistics.median(values)) for key, values in times.items()):
        operations = flops.get(key.removesuffix(", compiled"))
        share = operations / seconds / rate if operations else None
        speeds[key] = Speed(batch_size / seconds, seconds, share, memory[key])
    return speeds


def _candidates(names: Iterable[str], plain: CLIPConfig, shipped: CLIPConfig):
    """Title, constructor and configuration of each model."""
    for name in names:
        yield name, RIVALS[name], plain
    if "miniclip" in names:
        yield "miniclip, as shipped", CLIP, shipped


def _run(step: Callable[[], object], device: torch.device, times: int = STEPS) -> None:
    """Take some steps and wait until the device has done them."""
    for _ in range(times):
        step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak_memory(step: Callable[[], object], device: torch.device) -> float | None:
    """Warm a step up, and tell the most memory that the card held meanwhile, in MB."""
    if device.type != "cuda":
        step()
        return None
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    _run(step, device, 6)
    return (torch.cuda.max_memory_allocated(device) - before) / 2**20


def product_rate(device: torch.device, dtype: torch.dtype) -> float:
    """The rate of a large matrix product, in operations a second: the best of some."""
    size = 8192 if device.type == "cuda" else 512
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best = min(seconds_of(lambda: _run(lambda: a @ b, device)) / STEPS for _ in range(4))
    return 2 * size**3 / best
