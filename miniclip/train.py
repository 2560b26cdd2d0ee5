"""Training: one readable loop (paper 2.5), on whatever device there is, that can be stopped and taken up again.

Whatever happens in step number `step` depends on (seed, step) alone: which pictures, which of their captions, which crops.
So resuming needs no memory of random states, and a run that was stopped ends with the same weights as one that was not.
Taught in notebook 02.
"""

from __future__ import annotations

import copy
import math
import signal
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm.auto import tqdm

from . import hub, parallel
from .augment import augment, shrink, to_device
from .data import CaptionedImages, Shards
from .hub import pick_device, pick_precision
from .large import Ahead, backward_in_chunks, info_nce_in_blocks
from .loss import info_nce, sigmoid_loss
from .model import CLIP, CLIPConfig
from .optim import make_optimizers, memory_by_name, restore, schedule
from .tokenizer import Tokenizer


@dataclass(frozen=True)
class Recipe:
    """How to train: everything but the data, the model's size and the budget.

    Args:
        batch_size: pictures in a step; each is contrasted with all others of its batch.
        captions: of each picture in a step, drawn anew each time; the image tower, the dearer one, sees a picture once for all of them.
        optimizer: "muon" (see `optim.py`), or "adamw" for all weights, as in the paper.
        lr, weight_decay, betas, eps: of AdamW; the decay spares gains, biases and positions, as in the paper.
        muon_lr: Muon's learning rate.
        warmup: share of the budget in which the learning rate rises; then it falls along a cosine to zero.
        loss: "info_nce", "sigmoid", or a function (image_features, text_features, inverse_temperature) -> scalar.
        crop: the smallest share of a picture's area that a random crop keeps; 1 takes the whole picture.
        flip: mirror half of the pictures; leave it off where captions say left and right.
        jitter: strength of random brightness and contrast, 0 for none.
        clip_norm: gradients longer than this are shortened.
        chunk: pictures whose activations are in memory at a time, for batches larger than it (see `large.py`); 0 for the whole batch.
        seed: decides the start, the order of pictures and every other choice.
    """

    batch_size: int = 64
    captions: int = 2
    optimizer: str = "muon"
    lr: float = 1e-3
    muon_lr: float = 3e-3
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-6
    warmup: float = 0.3
    loss: str | Callable = "info_nce"
    crop: float = 1.0
    flip: bool = False
    jitter: float = 0.0
    clip_norm: float = 1.0
    chunk: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.optimizer not in ("muon", "adamw"):
            raise ValueError(f"optimizer is muon or adamw, not {self.optimizer!r}")
        if not callable(self.loss) and self.loss not in ("info_nce", "sigmoid"):
            raise ValueError(f"loss is info_nce, sigmoid or a function, not {self.loss!r}")
        if self.batch_size < 2 or self.captions < 1 or self.chunk < 0 or not 0 < self.crop <= 1:
            raise ValueError(f"expected a batch_size of 2 or more, captions of 1 or more, a chunk of 0 or more, crop above 0 and at most 1; got {self.batch_size}, {self.captions}, {self.chunk} and {self.crop}")


@dataclass
class History:
    """What training recorded: one row (a dict) each time it looked; `seen` pictures, `minutes`, `loss`, scores."""

    rows: list[dict] = field(default_factory=list)

    @classmethod
    def of(cls, checkpoint: str | Path) -> History:
        """What the training of a model that ships ("picturebook"), or of a checkpoint file, wrote down, behind what the trainings that it took further did."""
        def rows(notes: dict) -> list[dict]:
            notes = notes.get("shrunk from", notes)
            earlier = rows(notes["before"]) if "before" in notes else []
            last = earlier[-1] if earlier else {"seen": 0, "minutes": 0.0}
            return earlier + [row | {name: row[name] + last[name] for name in ("seen", "minutes")} for row in notes["history"]]

        return cls(rows(hub.read(hub.SHIPPED.get(str(checkpoint), checkpoint))[1]))

    def column(self, name: str) -> tuple[list[float], list[float]]:
        """Pictures seen, and a column's values there, where it was recorded."""
        found = [(row["seen"], row[name]) for row in self.rows if name in row]
        return [seen for seen, _ in found], [value for _, value in found]

    def plot(self):
        """Draw the loss and the scores over pictures seen; returns a matplotlib figure."""
        from .plots import plot_history

        return plot_history(self)


def random_numbers(*key: int) -> torch.Generator:
    """A source of chance that depends on the key alone; on the CPU, so that every device draws the same."""
    return torch.Generator().manual_seed(zlib.crc32(repr(key).encode()))


class Batches:
    """Batch number `step` of a data set, as a function of (seed, step): (B, 3, S, S) pictures, (captions * B, T) token ids, on the device.

    Of several processes, each gets its `part` (which, of how many) of the same batch.
    """

    def __init__(self, data: CaptionedImages, tokenizer: Tokenizer, config: CLIPConfig, recipe: Recipe, device: torch.device, part: tuple[int, int] = (0, 1)):
        self.recipe, self.device, self.size = recipe, device, config.image_size
        share = recipe.batch_size // part[1]
        self.own = slice(part[0] * share, (part[0] + 1) * share)
        self.images = shrink(data.images, config.image_size, recipe.crop)
        counts = torch.tensor([len(captions) for captions in data.captions])
        self.counts, self.starts = counts, counts.cumsum(0) - counts
        captions = [caption for captions in data.captions for caption in captions]
        self.tokens = tokenizer(captions, config.context_length, truncate=True).to(torch.int32)  # (all captions, T)
        self.on_device = device.type == "cuda" and self.images.nbytes < 0.5 * torch.cuda.mem_get_info(device)[0]
        if self.on_device:
            self.images = torch.from_numpy(np.ascontiguousarray(self.images)).to(device)
        self.mean, self.std = (torch.tensor(value, device=device).view(3, 1, 1) for value in (config.mean, config.std))
        self.epoch, self.order = -1, torch.empty(0)

    def rows(self, step: int) -> Tensor:
        """Which pictures step number `step` looks at: (B,) row numbers; each epoch goes once through all, in an order of its own."""
        B, n = self.recipe.batch_size, len(self.counts)
        epoch, first = divmod(step, n // B)
        if epoch != self.epoch:
            self.epoch, self.order = epoch, torch.randperm(n, generator=random_numbers(self.recipe.seed, "epoch", epoch))
        return self.order[first * B : (first + 1) * B]

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        B, rows = self.recipe.batch_size, self.rows(step)
        rng = random_numbers(self.recipe.seed, "step", step)
        chosen = self.starts[rows] + (torch.rand(self.recipe.captions, B, generator=rng) * self.counts[rows]).long()  # (captions, B)
        chances, rows, chosen = torch.rand(6, B, generator=rng)[:, self.own], rows[self.own], chosen[:, self.own]
        images = self.images[rows.to(self.device)] if self.on_device else to_device(self.images[rows.numpy()], self.device)
        images = augment(images.permute(0, 3, 1, 2).float() / 255, self.size, self.recipe, chances)  # (B, 3, S, S)
        return (images - self.mean) / self.std, self.tokens[chosen].flatten(0, 1).long().to(self.device)


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Let Ctrl-C wait until the step at hand is whole (a second one does not wait); gives a function that tells whether it came."""
    came: list[int] = []

    def note(number: int, frame) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)

    if threading.current_thread() is not threading.main_thread():  # only there do signals arrive
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(came)
    finally:
        signal.signal(signal.SIGINT, before)


def train(
    data: CaptionedImages | Shards,
    preset: str | CLIPConfig | CLIP = "nano",
    *,
    minutes: float | None = None,
    seen: int | None = None,
    recipe: Recipe = Recipe(),
    score: Callable[[CLIP], dict[str, float]] | None = None,
    scores: int | Sequence[float] = 10,
    out: str | Path | None = None,
    save_every: float = 60.0,
    resume: bool = False,
    device: str | torch.device | None = None,
    precision: str | None = None,
    compile: bool = False,
    progress: bool = True,
) -> tuple[CLIP, History]:
    """Train a CLIP on captioned pictures, from nothing or further.

    Args:
        data: the pictures and captions, in memory or packed on disk (`CaptionedImages`), or a stream of them (`data.Shards`).
        preset: a name from `PRESETS` or a configuration, to start from nothing with a vocabulary learned from the captions; or a CLIP, of which a copy is trained further.
        minutes, seen: the budget, as wall-clock minutes or as pictures seen (repeats count); give one.
        recipe: batch size, optimizer, augmentation, seed.
        score: measures the model along the way; what it returns goes into the history.
        scores: how many times, evenly; or when, as shares of the budget.
        out: checkpoint file, written every `save_every` seconds, on Ctrl-C and at the end.
        resume: go on from `out` if it exists; the data, sizes and recipe must be those it was started with.
        device: by default the fastest here.
        precision: fp32, bf16 or fp16, see `pick_precision`; bf16 doubles the speed of CPUs that compute in it (AVX-512 BF16, AMX).
        compile: let torch.compile make the image tower faster; it takes a minute, and helps on GPUs. Batches in chunks go without it.
        progress: show a progress bar.
    Returns:
        the model (in evaluation mode) and its `History`. Ctrl-C ends here too, after the step at hand, with what was learned so far.
    Raises:
        ValueError: for an impossible budget, fewer pictures than a batch, or a checkpoint of another run.
        FloatingPointError: if the loss is no longer a number; the last checkpoint stays.
    """
    if (minutes is None) == (seen is None) or (minutes or seen) <= 0:
        raise ValueError(f"give a budget, either minutes or seen (pictures), above zero; got minutes={minutes}, seen={seen}")
    if len(data) < recipe.batch_size:
        raise ValueError(f"a batch of {recipe.batch_size} needs at least as many pictures, there are {len(data)}; use Recipe(batch_size=...)")
    if resume and out is None:
        raise ValueError("resume needs `out`, the checkpoint file to go on from")
    (rank, processes), device = parallel.start(), pick_device(device)
    if recipe.batch_size % processes:
        raise ValueError(f"{processes} processes cannot share a batch of {recipe.batch_size}; choose a multiple")
    precision = pick_precision(device, precision)
    run = {"recipe": _plain(recipe), "pictures": len(data), "data": zlib.crc32(repr(data.captions[:: max(1, len(data) // 1000)]).encode())}

    step, minutes_before, history, state = 0, 0.0, History(), {}
    if resume and Path(out).exists():
        model, training, state = hub.read(out)
        if training.get("run") != run or not _same_shape(model.config, preset):
            raise ValueError(f"{out} was trained on other data, with another recipe or of another size; resume with the same, or choose another file")
        if not state:
            raise ValueError(f"the training of {out} is complete; train with another --out, or load it as it is")
        step, minutes_before, history = training["step"], training["minutes"], History(training["history"])
    else:
        model = copy.deepcopy(preset) if isinstance(preset, CLIP) else hub.new((caption for captions in data.captions for caption in captions), preset, recipe.seed)
        if recipe.loss == "sigmoid" and not model.logit_bias:  # SigLIP's start: t' = log 10, b = -10
            torch.nn.init.constant_(model.logit_scale, math.log(10))
            torch.nn.init.constant_(model.logit_bias, -10.0)
    model.to(device).train()
    optimizers = make_optimizers(model, recipe)
    restore(optimizers, model, state)
    scaler = torch.amp.GradScaler(device.type, enabled=precision == torch.float16)
    batches = getattr(data, "batches", partial(Batches, data))(model.tokenizer, model.config, recipe, device, (rank, processes))
    if device.type == "cuda" and not getattr(batches, "on_device", False):
        batches = Ahead(batches)
    forward = model
    if compile:
        tower = torch.compile(model.visual)  # the text tower's batches have another length each time
        forward = lambda images, tokens: (F.normalize(tower(images), dim=-1), model.encode_text(tokens), model.logit_scale.exp())  # noqa: E731
    plain = partial(info_nce_in_blocks, block=recipe.chunk) if recipe.chunk else info_nce
    loss_function = {"info_nce": plain, "sigmoid": lambda i, t, s: sigmoid_loss(i, t, s, model.logit_bias)}.get(recipe.loss, recipe.loss)
    autocast = partial(torch.autocast, device.type, precision, enabled=precision != torch.float32)

    def objective(image_features: Tensor, text_features: Tensor, scale: Tensor) -> Tensor:
        """The loss of the vectors of all processes, scaled up in fp16: the mean over the captions of each picture."""
        everyone = parallel.gather(image_features.float())
        losses = [loss_function(everyone, parallel.gather(texts.float()), scale.float()) for texts in text_features.chunk(recipe.captions)]
        return scaler.scale(torch.stack(losses).mean())

    started = saved = time.perf_counter()
    spent = lambda: minutes_before + (time.perf_counter() - started) / 60  # noqa: E731
    share = lambda: spent() / minutes if minutes else step * recipe.batch_size / seen  # noqa: E731

    def checkpoint(done: bool = False) -> None:
        if out is not None and rank == 0:
            notes = {"run": run, "step": step, "minutes": spent(), "history": history.rows}
            try:
                hub.save(model, out, notes, None if done else memory_by_name(optimizers, model))
            except OSError as error:  # a full disk must not cost what was learned
                tqdm.write(str(error), file=sys.stderr)

    bar = tqdm(total=100, desc="training", unit="%", disable=not progress or rank > 0, bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed} {postfix}")
    done, losses = min(1.0, share()), []
    looks = [when for when in ([(k + 1) / scores for k in range(scores)] if isinstance(scores, int) else sorted(scores)) if when > done]
    bar.update(100 * done)
    with bar, parallel.death_explained(out), interruptible() as interrupted:
        while done < 1 and not parallel.agree(interrupted(), device):
            images, tokens = batches(step)
            model.zero_grad()
            if recipe.chunk:
                loss = backward_in_chunks(model, images, tokens, objective, recipe.chunk, autocast)
            else:
                with autocast():
                    features = forward(images, tokens)
                loss = objective(*features)
                loss.backward()
            losses.append(loss.detach() / scaler.get_scale())
            if device.type == "cpu" or step % 20 == 0:  # reading a number from a GPU waits for it
                value = losses[-1].item()
                if not math.isfinite(value):
                    raise FloatingPointError(f"the loss became {value} at step {step}; the last checkpoint is kept. Try a lower learning rate, now {recipe.lr}")
                bar.set_postfix_str(f"loss {value:.3f}, {(step + 1) * recipe.batch_size / spent() / 60:,.0f} images/s", refresh=False)
            parallel.average_gradients(model)
            for optimizer in optimizers:
                scaler.unscale_(optimizer)
                for group in optimizer.param_groups:
                    group["lr"] = optimizer.defaults["lr"] * schedule(done, recipe.warmup)
            torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
            for optimizer in optimizers:
                scaler.step(optimizer)
            scaler.update()
            with torch.no_grad():
                model.logit_scale.clamp_(max=math.log(100))  # the paper never scales logits by more than 100
            step += 1
            before, done = done, parallel.agree(min(1.0, share()), device)
            bar.update(min(100 * (done - before), 100 - bar.n))  # small steps must not add up to more than all
            if looks and done >= looks[0]:
                looks = [when for when in looks if when > done]
                model.eval()
                row = {"seen": step * recipe.batch_size, "minutes": spent(), "loss": torch.stack(losses).mean().item(), "scale": model.logit_scale.exp().item()}
                history.rows.append(row | (score(model) if score and rank == 0 else {}))
                model.train()
                losses = []
            if time.perf_counter() - saved > save_every:
                checkpoint()
                saved = time.perf_counter()
        checkpoint(done=done >= 1)
    if done < 1 and rank == 0:
        tqdm.write(f"stopped after {spent():.1f} minutes" + (f"; {out} holds what was learned, resume goes on from it" if out else ""), file=sys.stderr)
    return model.eval(), history


def _plain(recipe: Recipe) -> dict:
    values = asdict(recipe) | {"loss": recipe.loss if isinstance(recipe.loss, str) else recipe.loss.__name__}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _same_shape(config: CLIPConfig, preset: str | CLIPConfig | CLIP) -> bool:
    wanted = CLIPConfig.preset(preset) if isinstance(preset, str) else getattr(preset, "config", preset)
    learned = ("vocab_size", "end_token")  # decided by the captions
    return all(value == getattr(wanted, name) for name, value in asdict(config).items() if name not in learned)
