"""Training on several GPUs or machines: every process works on its share of each batch, and the
loss is that of the whole batch (paper 2.5).

    torchrun --nproc-per-node 4 -m miniclip train ...

Each process has the whole model. It embeds its own pictures and texts, with BatchNorm's
statistics of all; then all exchange their vectors, so that every picture meets the texts of all
processes as its negatives; then the gradients are averaged, and all take the same step. That is
what PyTorch's
DistributedDataParallel and SyncBatchNorm do, in the open: the few lines also serve CPUs and
batches in chunks (`grad_cache.py`), which theirs do not. One process passes through here
untouched.
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


def init_distributed() -> tuple[int, int]:
    """Join the other processes that torchrun started, if there are any: (which one this is, how
    many there are)."""
    if int(os.environ.get("WORLD_SIZE", 1)) > 1 and not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(cleanup)
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def cleanup() -> None:
    """Part from the others in good order; a process that ends without it may be aborted by the
    threads that still wait for the others."""
    if dist.is_initialized():
        dist.destroy_process_group()


def is_main_process() -> bool:
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


def average_gradients(model: nn.Module) -> None:
    """Make every process's gradients the mean over all of them."""
    if dist.is_initialized():
        gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
        together = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(together)
        for gradient, mean in zip(
            gradients,
            (together / dist.get_world_size()).split([gradient.numel() for gradient in gradients]),
        ):
            gradient.copy_(mean.view_as(gradient))


@contextmanager
def death_explained(file: object) -> Iterator[None]:
    """Turn what PyTorch says when another process is gone, or torchrun's signal to end, whichever
    comes first, into a sentence; `file` is the checkpoint, if there is one."""
    where = (
        f"{file} holds what was learned before; resume goes on from it, with any number of processes"
        if file
        else "nothing was kept, since there is no `out`"
    )

    def told_to_end(number: int, frame: object) -> None:
        raise ConnectionError(
            f"another process of this training has ended, or all were told to end (signal {number}); {where}"
        )

    listening = (
        dist.is_initialized() and threading.current_thread() is threading.main_thread()
    )  # only there do signals arrive
    before = signal.signal(signal.SIGTERM, told_to_end) if listening else None
    try:
        yield
    except RuntimeError as error:
        if not dist.is_initialized() or not re.search(
            r"[Cc]onnection|[Tt]imed out|[Tt]imeout|NCCL|remote process", str(error)
        ):
            raise
        raise ConnectionError(
            f"another process of this training has ended ({str(error).splitlines()[0][:120]}); {where}"
        ) from error
    if listening:  # after an error it stays: the signal may come while that is being told, and would cut it off
        signal.signal(signal.SIGTERM, before)


def broadcast(numbers: list[float]) -> list[float]:
    """What the first process says, for things that clocks and keyboards decide.

    The numbers travel by the CPU (gloo), so that no process waits for its GPU.
    """
    if not dist.is_initialized():
        return numbers
    said = torch.tensor(numbers, dtype=torch.float64)
    dist.broadcast(said, 0)
    return said.tolist()
