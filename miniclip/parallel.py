"""Training on several GPUs or machines: every process works on its share of each batch, and the loss is that of the whole batch (paper 2.5).

    torchrun --nproc-per-node 4 -m miniclip train ...

Each process has the whole model. It embeds its own pictures and texts, with BatchNorm's statistics of all; then all exchange their vectors, so that every
picture meets the texts of all processes as its negatives; then the gradients are averaged, and all take the same step. That is what PyTorch's
DistributedDataParallel and SyncBatchNorm do, in the open: the few lines also serve CPUs and batches in chunks (`large.py`), which theirs do not.
One process passes through here untouched.
"""

from __future__ import annotations

import atexit
import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn


def start() -> tuple[int, int]:
    """Join the other processes that torchrun started, if there are any: (which one this is, how many there are)."""
    if int(os.environ.get("WORLD_SIZE", 1)) > 1 and not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(leave)
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def leave() -> None:
    """Part from the others in good order; a process that ends without it may be aborted by the threads that still wait for the others."""
    if dist.is_initialized():
        dist.destroy_process_group()


def is_first() -> bool:
    """Whether this is the process that speaks and writes."""
    return not dist.is_initialized() or dist.get_rank() == 0


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, own: Tensor) -> Tensor:
        parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, own.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)  # everyone's loss has something to say about everyone's vectors
        return gradient.chunk(dist.get_world_size())[dist.get_rank()]


def gather(own: Tensor) -> Tensor:
    """The vectors of all processes, (B, E) from (B / processes, E) each, with their gradients."""
    return _Gather.apply(own) if dist.is_initialized() else own


class _Mean(torch.autograd.Function):
    @staticmethod
    def forward(ctx, own: Tensor) -> Tensor:
        mean = own.clone()
        dist.all_reduce(mean)
        return mean / dist.get_world_size()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        gradient = gradient.clone()
        dist.all_reduce(gradient)
        return gradient / dist.get_world_size()


class BatchNorm2d(nn.BatchNorm2d):
    """PyTorch's batch normalization, with the mean and the variance of the whole batch where several processes share it."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize (B, C, H, W)."""
        if not self.training or not dist.is_initialized():
            return super().forward(x)
        mean = _Mean.apply(x.float().mean(dim=(0, 2, 3)))  # (C,)
        centered = x.float() - mean[:, None, None]
        variance = _Mean.apply(centered.square().mean(dim=(0, 2, 3)))
        n = dist.get_world_size() * x.numel() // x.shape[1]
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * n / (n - 1), self.momentum)
            self.num_batches_tracked += 1
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centered * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)


def average_gradients(model: nn.Module) -> None:
    """Make every process's gradients the mean over all of them."""
    if dist.is_initialized():
        gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
        together = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(together)
        for gradient, mean in zip(gradients, (together / dist.get_world_size()).split([gradient.numel() for gradient in gradients])):
            gradient.copy_(mean.view_as(gradient))


@contextmanager
def death_explained(file: object) -> Iterator[None]:
    """Turn what PyTorch says when another process is gone, or torchrun's signal to end, whichever comes first, into a sentence; `file` is the checkpoint, if there is one."""
    where = f"{file} holds what was learned before; resume goes on from it, with any number of processes" if file else "nothing was kept, since there is no `out`"

    def told_to_end(number: int, frame: object) -> None:
        raise ConnectionError(f"another process of this training has ended, or all were told to end (signal {number}); {where}")

    listening = dist.is_initialized() and threading.current_thread() is threading.main_thread()  # only there do signals arrive
    before = signal.signal(signal.SIGTERM, told_to_end) if listening else None
    try:
        yield
    except RuntimeError as error:
        if not dist.is_initialized() or not re.search(r"[Cc]onnection|[Tt]imed out|[Tt]imeout|NCCL|remote process", str(error)):
            raise
        raise ConnectionError(f"another process of this training has ended ({str(error).splitlines()[0][:120]}); {where}") from error
    if listening:  # after an error it stays: the signal may come while that is being told, and would cut it off
        signal.signal(signal.SIGTERM, before)


def agree(number: float, device: torch.device) -> float:
    """What the first process says, for things that clocks and keyboards decide."""
    if not dist.is_initialized():
        return number
    said = torch.tensor(number, dtype=torch.float64, device=device if dist.get_backend() == "nccl" else "cpu")
    dist.broadcast(said, 0)
    return said.item()
