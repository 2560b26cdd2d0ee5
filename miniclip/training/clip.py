"""Train a CLIP, on whatever device there is; it can be stopped and resumed (paper 2.5).

The loop itself is in `loop.py`, the batches in `batches.py`, the choices in `recipe.py`. Here
they are put together. Taught in notebook 02.
"""

from __future__ import annotations

import copy
import math
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from miniclip import checkpoint
from miniclip.config import CLIPConfig
from miniclip.data import CaptionedImages, Shards
from miniclip.device import pick_device, pick_precision
from miniclip.loss import info_nce, sigmoid_loss
from miniclip.model import CLIP
from miniclip.training import distributed
from miniclip.training.batches import make_batches
from miniclip.training.compiled_step import CompiledStep, can_record
from miniclip.training.grad_cache import grad_cache, info_nce_in_blocks
from miniclip.training.history import History, MetricsLog
from miniclip.training.loop import Loop, fit, train_step
from miniclip.training.optimizers import make_optimizers, optimizer_state, restore
from miniclip.training.precision import Precision
from miniclip.training.recipe import Recipe


def train(
    data: CaptionedImages | Shards,
    preset: str | CLIPConfig | CLIP = "nano",
    *,
    minutes: float | None = None,
    seen: int | None = None,
    recipe: Recipe = Recipe(),
    eval_fn: Callable[[CLIP], dict[str, float]] | None = None,
    eval_at: int | Sequence[float] = 10,
    out: str | Path | None = None,
    save_every: float = 60.0,
    resume: bool = False,
    device: str | torch.device | None = None,
    precision: str | None = None,
    compile: bool = False,
    progress: bool = True,
) -> tuple[CLIP, History]:
    """Train a CLIP on captioned pictures, from nothing or from a trained one.

    Args:
        data: pictures and captions, in memory or packed on disk (`CaptionedImages`), or a stream
            of them (`Shards`).
        preset: a name from `PRESETS` or a configuration starts from nothing, with a vocabulary
            learned from the captions; a CLIP is copied, and the copy is trained further.
        minutes, seen: the budget: wall-clock minutes, or pictures seen (repeats count). Give one
            of the two.
        recipe: batch size, optimizer, augmentation, seed.
        eval_fn: measures the model along the way; its result goes into the history.
        eval_at: how many times to evaluate, at even distances; or a list of shares of the budget
            in (0, 1].
        out: checkpoint file, written every `save_every` seconds, on Ctrl-C and at the end. The
            history is also written beside it as JSON lines, and to TensorBoard if that is
            installed.
        resume: continue from `out` if it exists. Data, sizes and recipe must be the same as when
            it was started.
        device: by default the fastest here.
        precision: fp32, bf16 or fp16, see `pick_precision`. bf16 doubles the speed of CPUs that
            compute in it.
        compile: compile each step with torch.compile, and replay it on a GPU (see
            `compiled_step.py`). It takes about a minute at the start and helps on GPUs.
        progress: show a progress bar.
    Returns:
        the model, in evaluation mode, and its `History`. Ctrl-C ends the training early, after the
        current step, and returns the same.
    Raises:
        ValueError: for an impossible budget, fewer pictures than a batch, or a checkpoint of
            another run.
        FloatingPointError: if the loss is no longer a number; the last checkpoint stays.
    """
    _check(data, minutes, seen, recipe, out, resume)
    (rank, world_size), device = distributed.init_distributed(), pick_device(device)
    if recipe.batch_size % world_size:
        raise ValueError(
            f"{world_size} processes cannot share a batch of {recipe.batch_size}; choose a multiple"
        )
    run = _identity(data, recipe)
    resumed = resume and Path(out).exists()
    model, before, state = (
        _resume(out, run, preset) if resumed else (_start(data, preset, recipe), {}, {})
    )
    if recipe.patch_dropout and model.config.resnet:
        raise ValueError("a ResNet has no patches to leave out; train it with patch_dropout=0")
    model.to(device)
    rounding = Precision(device, pick_precision(device, precision))
    compiled = compile and not recipe.chunk_size  # chunks are passed through twice, in the open
    recorded = compiled and can_record(device, rounding.dtype)
    optimizers = make_optimizers(model, recipe, capturable=recorded)
    restore(optimizers, model, state)
    optimizers[0].register_step_post_hook(partial(_clamp, model))

    def save(complete: bool) -> None:
        if out is not None and rank == 0:
            state = None if complete else optimizer_state(optimizers, model)
            _save(model, out, run, loop, state)

    loop = Loop(
        model,
        recipe,
        device,
        minutes=minutes,
        seen=seen,
        eval_fn=eval_fn,
        eval_at=eval_at,
        columns=lambda: {"minutes": loop.spent(), "scale": model.logit_scale.exp().item()},
        save=save,
        save_every=save_every,
        on_row=MetricsLog(out if rank == 0 else None, resumed).write,
        progress=progress,
        step=before.get("step", 0),
        minutes_before=before.get("minutes", 0.0),
        history=History(before.get("history", [])),
        losses=before.get("losses", []),
    )
    length_step = 16 if compiled else 1
    parts = (model.tokenizer, model.config, recipe, device)
    batches = make_batches(data, *parts, rank, world_size, length_step)
    objective = contrastive_objective(model, recipe, rounding)
    if compiled:
        take_step = CompiledStep(
            model, objective, optimizers, rounding, recipe.clip_norm, record=recorded
        )
    else:
        take_step = partial(
            train_step,
            model,
            objective=objective,
            optimizers=optimizers,
            precision=rounding,
            clip_norm=recipe.clip_norm,
        )
    with distributed.death_explained(out):
        fit(model, batches, take_step, optimizers, loop, recipe)
        distributed.wait_for_all()  # nobody leaves while the first process still writes the file
    loop.explain_stop(out)
    return model, loop.history


def contrastive_objective(
    model: CLIP, recipe: Recipe, precision: Precision
) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of a batch: pictures (B, 3, S, S) and token ids (k B, T), k captions of each, and
    the numbers (B, K) of the patches to look at if some are left out, to a scalar.

    Vectors are gathered from all processes, so that every picture meets every text of the whole
    batch. The loss is the mean over the k captions of each picture, and is computed in fp32.
    """
    forward = _forward(model, recipe, precision)
    loss = _loss(model, recipe)

    def objective(images: Tensor, tokens: Tensor, *kept: Tensor) -> Tensor:
        image, text, scale = forward(images, tokens, *kept)
        everyone = distributed.gather(image.float())  # (B of all processes, E)
        parts = (distributed.gather(part.float()) for part in text.chunk(recipe.captions_per_image))
        return torch.stack([loss(everyone, part, scale.float()) for part in parts]).mean()

    return objective


def _forward(model: CLIP, recipe: Recipe, precision: Precision) -> Callable:
    """What turns a batch into (image features, text features, logit scale)."""
    if recipe.chunk_size:
        chunk_size = recipe.chunk_size
        return lambda images, tokens, *kept: grad_cache(
            model, images, tokens, chunk_size, precision.autocast, *kept
        )

    def forward(images: Tensor, tokens: Tensor, *kept: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        with precision.autocast():
            return model(images, tokens, *kept)

    return forward


def _loss(model: CLIP, recipe: Recipe) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The loss function that a recipe names."""
    if callable(recipe.loss):
        return recipe.loss
    if recipe.loss == "sigmoid":
        return lambda image, text, scale: sigmoid_loss(image, text, scale, model.logit_bias)
    return partial(info_nce_in_blocks, block=recipe.chunk_size) if recipe.chunk_size else info_nce


def _save(
    model: CLIP, out: str | Path, run: dict, loop: Loop, state: dict[str, Tensor] | None
) -> None:
    """Write a checkpoint: the model, where its training is, and the state of the optimizers.

    The state is None when the training is complete. A full disk is told and does not end the
    training: it must not cost what was learned.
    """
    notes = {
        "run": run,
        "step": loop.step,
        "minutes": loop.spent(),
        "history": loop.history.rows,
        "losses": [loss.item() for loss in loop.losses],  # since the last row
    }
    try:
        checkpoint.save(model, out, notes, state)
    except OSError as error:
        tqdm.write(str(error), file=sys.stderr)


def _clamp(model: CLIP, *_) -> None:
    """The paper never scales logits by more than 100."""
    with torch.no_grad():
        model.logit_scale.clamp_(max=math.log(100))


def _check(data, minutes, seen, recipe: Recipe, out, resume: bool) -> None:
    """Refuse what cannot be done, before anything is done."""
    if (minutes is None) == (seen is None) or (minutes or seen) <= 0:
        raise ValueError(
            "give a budget, either minutes or seen (pictures), above zero; "
            f"got minutes={minutes}, seen={seen}"
        )
    if len(data) < recipe.batch_size:
        raise ValueError(
            f"a batch of {recipe.batch_size} needs at least as many pictures, there are "
            f"{len(data)}; use Recipe(batch_size=...)"
        )
    if resume and out is None:
        raise ValueError("resume needs `out`, the checkpoint file to go on from")


def _identity(data: CaptionedImages | Shards, recipe: Recipe) -> dict:
    """What must be the same when a training is resumed."""
    some = data.captions[:: max(1, len(data) // 1000)]
    return {
        "recipe": recipe.to_json(),
        "pictures": len(data),
        "data": zlib.crc32(repr(some).encode()),
    }


def _resume(out: str | Path, run: dict, preset: str | CLIPConfig | CLIP) -> tuple[CLIP, dict, dict]:
    """The model of a checkpoint, what its training remembered, and the state of the optimizers."""
    model, training, state = checkpoint.read(out)
    if training.get("run") != run or not _same_shape(model.config, preset):
        raise ValueError(
            f"{out} was trained on other data, with another recipe or of another size; "
            "resume with the same, or choose another file"
        )
    if not state:
        raise ValueError(
            f"the training of {out} is complete; train with another --out, or load it as it is"
        )
    return model, training, state


def _start(data: CaptionedImages | Shards, preset: str | CLIPConfig | CLIP, recipe: Recipe) -> CLIP:
    """A new model, or a copy of a trained one."""
    if isinstance(preset, CLIP):
        model = copy.deepcopy(preset)
    else:
        captions = (caption for captions in data.captions for caption in captions)
        model = checkpoint.new(captions, preset, recipe.seed)
    if recipe.loss == "sigmoid" and not model.logit_bias:  # SigLIP's start: t' = log 10, b = -10
        torch.nn.init.constant_(model.logit_scale, math.log(10))
        torch.nn.init.constant_(model.logit_bias, -10.0)
    return model


def _same_shape(config: CLIPConfig, preset: str | CLIPConfig | CLIP) -> bool:
    """Whether a configuration is that of a preset, apart from what is learned from the captions."""
    wanted = (
        CLIPConfig.preset(preset) if isinstance(preset, str) else getattr(preset, "config", preset)
    )
    learned = ("vocab_size", "end_token")
    same = (
        value == getattr(wanted, name)
        for name, value in asdict(config).items()
        if name not in learned
    )
    return all(same)
