"""Numbers of half the size: where to round, and how to keep small gradients from vanishing."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


class Precision:
    """Forward passes, gradients and steps in fp32, bf16 or fp16.

    In fp16, gradients would be rounded to zero, so the loss is scaled up before the backward pass
    and gradients are scaled down again before the step (Micikevicius et al. 2018). In bf16 and
    fp32 the scale is 1.

    Args:
        device: where the training runs.
        dtype: see `device.pick_precision`.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype):
        self.device, self.dtype = device, dtype
        self.scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)

    def autocast(self) -> torch.autocast:
        """A context in which matrix products run in this precision."""
        enabled = self.dtype != torch.float32
        return torch.autocast(self.device.type, self.dtype, enabled=enabled)

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss to those of the weights."""
        self.scaler.scale(loss).backward()

    def step(
        self,
        optimizers: Iterable[torch.optim.Optimizer],
        weights: Iterable[Tensor],
        clip_norm: float,
    ) -> None:
        """Shorten the gradients to `clip_norm` and let every optimizer take a step."""
        for optimizer in optimizers:
            self.scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(weights, clip_norm)
        for optimizer in optimizers:
            self.scaler.step(optimizer)
        self.scaler.update()
