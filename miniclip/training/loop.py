"""The one loop of every training: a CLIP, the baselines, fine-tuning, studies (paper 2.5).

`fit` is the loop and `train_step` one step of it. All that is no part of learning is in `Loop`:
the clock, the budget, the progress bar, Ctrl-C, and when to evaluate and to save. Taught in
notebook 02.
"""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from miniclip.training import distributed
from miniclip.training.history import History
from miniclip.training.optimizers import schedule, set_learning_rates
from miniclip.training.precision import Precision
from miniclip.training.recipe import Recipe

Optimizers = Sequence[torch.optim.Optimizer]


def fit(
    model: nn.Module,
    batches: Callable[[int], tuple],
    take_step: Callable[[tuple], Tensor],
    optimizers: Optimizers,
    loop: Loop,
    recipe: Recipe,
) -> History:
    """Train a model in place, until the budget of the loop is spent or Ctrl-C is pressed.

    Args:
        model: the model to train; it ends in evaluation mode.
        batches: from the number of a step to its batch, a tuple of tensors.
        take_step: trains on a batch and returns its loss, as `train_step` does.
        optimizers: their learning rates follow the schedule of the recipe.
        loop: the budget, and what happens between two steps.
        recipe: gives the schedule.
    Returns:
        the history of the loop.
    """
    model.train()
    with loop:
        for step in loop:
            set_learning_rates(optimizers, schedule(loop.done, recipe.warmup, recipe.decay))
            loop.record(take_step(batches(step)))
    model.eval()
    return loop.history


def train_step(
    model: nn.Module,
    batch: tuple,
    objective: Callable[..., Tensor],
    optimizers: Optimizers,
    precision: Precision,
    clip_norm: float = math.inf,
) -> Tensor:
    """Take one step: compute the loss and its gradients, and update the weights.

    Returns the loss, a scalar without gradient. It stays on the device: reading it would mean
    waiting for a GPU.
    """
    model.zero_grad()
    loss = objective(*batch)
    precision.backward(loss)
    distributed.average_gradients(model)
    precision.step(optimizers, list(model.parameters()), clip_norm)
    return loss.detach()


class Loop:
    """Counts steps until a budget is spent, and does what is due between them.

    Use it as a context, and iterate over it inside: `with loop: for step in loop: ...
        loop.record(loss)`. Ctrl-C ends it after the step at hand; a second one interrupts at
        once.

    Args:
        model: switched to evaluation mode for `eval_fn`, and back.
        recipe: gives the batch size; the learning rate for an error message.
        minutes, seen: the budget, as wall-clock minutes or as pictures seen; one of the two.
        eval_fn: measures the model; what it returns goes into the history.
        eval_at: how many times to evaluate, evenly; or when, as shares of the budget in (0, 1].
        columns: more columns for each row of the history, made when it is written.
        save: called with True when the budget is spent, with False every `save_every` seconds and
            when interrupted.
        on_row: called with each new row of the history.
        progress: show a progress bar.
        step, minutes_before, history, losses: where a resumed training was; losses are those
            since the last row.
    Raises:
        FloatingPointError: from `record`, if the loss is no longer a number.
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        device: torch.device,
        *,
        minutes: float | None = None,
        seen: int | None = None,
        eval_fn: Callable[[nn.Module], dict[str, float]] | None = None,
        eval_at: int | Sequence[float] = 10,
        columns: Callable[[], dict[str, float]] = dict,
        save: Callable[[bool], None] = lambda complete: None,
        save_every: float = 60.0,
        on_row: Callable[[dict], None] = lambda row: None,
        progress: bool = True,
        label: str = "training",
        step: int = 0,
        minutes_before: float = 0.0,
        history: History | None = None,
        losses: Sequence[float] = (),
    ):
        self.model, self.recipe, self.device = model, recipe, device
        self.minutes, self.seen = minutes, seen
        self.eval_fn, self.columns, self.on_row = eval_fn, columns, on_row
        self.save, self.save_every = save, save_every
        self.step, self.minutes_before = step, minutes_before
        self.history = history or History()
        self.losses = [torch.tensor(loss, device=device) for loss in losses]  # since the last row
        self.started = self.saved = time.perf_counter()
        self.done, self.stopped, self.interrupts = min(1.0, self.share()), False, 0
        shares = eval_at
        if isinstance(eval_at, int):
            shares = [(k + 1) / eval_at for k in range(eval_at)]
        self.eval_at = [share for share in sorted(shares) if share > self.done]
        shown = progress and distributed.is_main_process()
        bar_format = "{desc} {percentage:3.0f}%|{bar}| {elapsed} {postfix}"
        self.bar = tqdm(total=100, desc=label, unit="%", disable=not shown, bar_format=bar_format)
        self.bar.update(100 * self.done)

    def spent(self) -> float:
        """Minutes of training so far, those before a resumption included."""
        return self.minutes_before + (time.perf_counter() - self.started) / 60

    def share(self) -> float:
        """How much of the budget is spent, from 0; it may pass 1 by a step."""
        if self.minutes:
            return self.spent() / self.minutes
        return self.step * self.recipe.batch_size / self.seen

    def __enter__(self) -> Loop:
        self.started = self.saved = time.perf_counter()
        self.previous = None
        if threading.current_thread() is threading.main_thread():  # only there do signals arrive
            self.previous = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, kind, error, traceback) -> None:
        if self.previous is not None:
            signal.signal(signal.SIGINT, self.previous)
        self.bar.close()

    def _interrupt(self, number: int, frame: object) -> None:
        self.interrupts += 1
        if self.interrupts > 1:
            raise KeyboardInterrupt

    def __iter__(self) -> Iterator[int]:
        """Give the number of each step; between two steps, evaluate and save when it is time."""
        while self.done < 1 and not self.stopped:
            yield self.step
            self.step += 1
            before = self.done
            self.done, self.stopped = self._agree()
            # Small steps must not add up to more than all.
            self.bar.update(min(100 * (self.done - before), 100 - self.bar.n))
            if self.eval_at and self.done >= self.eval_at[0]:
                self._evaluate()
            if time.perf_counter() - self.saved > self.save_every:
                self.save(False)
                self.saved = time.perf_counter()
        self.save(self.done >= 1)

    def _agree(self) -> tuple[float, bool]:
        """How much is done, and whether to stop. The first process decides for all: clocks differ,
        and Ctrl-C may reach only one of them."""
        said = distributed.broadcast([min(1.0, self.share()), float(self.interrupts > 0)])
        return said[0], bool(said[1])

    def record(self, loss: Tensor) -> None:
        """Remember the loss of a step and show it."""
        self.losses.append(loss)
        if self.device.type != "cpu" and self.step % 20:
            return  # reading a number from a GPU means waiting for it
        value = loss.item()
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the loss became {value} at step {self.step}; the last checkpoint is kept. "
                f"Try a lower learning rate, now {self.recipe.lr}"
            )
        rate = (self.step + 1) * self.recipe.batch_size / max(self.spent(), 1e-9) / 60
        self.bar.set_postfix_str(f"loss {value:.3f}, {rate:,.0f} images/s", refresh=False)

    def _evaluate(self) -> None:
        """Write a row of the history."""
        self.eval_at = [share for share in self.eval_at if share > self.done]
        self.model.eval()
        row = {
            "seen": self.step * self.recipe.batch_size,
            **self.columns(),
            "loss": torch.stack(self.losses).mean().item(),
        }
        if self.eval_fn is not None and distributed.is_main_process():
            row |= self.eval_fn(self.model)
        self.history.rows.append(row)
        self.on_row(row)
        self.model.train()
        self.losses = []

    def explain_stop(self, out: object) -> None:
        """Say that the training was interrupted, and where what it learned is."""
        if self.done < 1 and distributed.is_main_process():
            kept = f"; {out} holds what was learned, resume goes on from it" if out else ""
            tqdm.write(f"stopped after {self.spent():.1f} minutes{kept}", file=sys.stderr)
