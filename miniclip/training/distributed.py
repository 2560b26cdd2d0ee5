"""Training on several GPUs or machines: every process works on its share of each batch, and the
loss is that of the whole batch (paper 2.5).

    torchrun --nproc-per-node 4 -m miniclip train ...

Each process holds the whole model and embeds its own pictures and texts; BatchNorm takes the
statistics of all of them. Then the processes exchange their vectors, so that every picture meets
the texts of all processes as its negatives. At last they average their gradients, and all take the
same step. PyTorch's DistributedDataParallel and SyncBatchNorm do the same; these few lines show
how, and they also serve CPUs and batches in chunks (`grad_cache.py`), which PyTorch's do not. A
single process passes through here untouched.
"""

from __future__ import annotations

import atexit
import gc
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
    """Join the other processes that torchrun started, if there are any.

    Returns:
        rank (which process this is, from 0) and world size (how many there are).
    """
    if int(os.environ.get("WORLD_SIZE", 1)) > 1 and not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(cleanup)
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def cleanup() -> None:
    """Leave the group of processes.

    Gloo's threads may hold the tensors of the last exchange. If Python has ended when they let go
    of them, the process is aborted ("terminate called without an active exception", see
    github.com/pytorch/pytorch/issues/190489). So the group is not only left but also collected
    here, which waits for its threads.
    """
    if dist.is_initialized():
        dist.destroy_process_group()
        gc.collect()


def wait_for_all() -> None:
    """Wait until every process is here."""
    if dist.is_initialized():
        broadcast([0.0])  # from the first process, which arrives last: it writes the file


def is_distributed() -> bool:
    """Whether several processes train together."""
    return dist.is_initialized()


def is_main_process() -> bool:
    """Whether this is the one process that prints and writes files."""
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
        dist.all_reduce(gradient)  # the loss of every process depends on the vectors of all
        return gradient.chunk(dist.get_world_size())[dist.get_rank()]


def gather(own: Tensor) -> Tensor:
    """Collect the vectors of all processes: (B / processes, E) each -> (B, E), with gradients."""
    return _Gather.apply(own) if dist.is_initialized() else own


def average_gradients(model: nn.Module) -> None:
    """Make every process's gradients the mean over all of them."""
    if dist.is_initialized():
        gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
        together = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(together)
        together /= dist.get_world_size()
        means = together.split([gradient.numel() for gradient in gradients])
        for gradient, mean in zip(gradients, means):
            gradient.copy_(mean.view_as(gradient))


@contextmanager
def death_explained(file: object) -> Iterator[None]:
    """Explain in one sentence that another process has died.

    This process learns of it in one of two ways: an error of PyTorch, or the signal by which
    torchrun ends all processes. Either becomes a ConnectionError.

    Args:
        file: the checkpoint that the training can be resumed from, or None.
    """
    where = "nothing was kept, since there is no `out`"
    if file:
        where = (
            f"{file} holds what was learned before; resume goes on from it, with any number of "
            "processes"
        )

    def told_to_end(number: int, frame: object) -> None:
        raise ConnectionError(
            "another process of this training has ended, or all were told to end "
            f"(signal {number}); {where}"
        )

    # Signals arrive in the main thread only.
    listening = dist.is_initialized() and threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, told_to_end) if listening else None
    try:
        yield
    except RuntimeError as error:
        if not dist.is_initialized() or not re.search(
            r"[Cc]onnection|[Tt]imed out|[Tt]imeout|NCCL|remote process", str(error)
        ):
            raise
        cause = str(error).splitlines()[0][:120]
        raise ConnectionError(
            f"another process of this training has ended ({cause}); {where}"
        ) from error
    # After an error the handler stays: torchrun's signal may arrive while the error is still being
    # printed, and would cut it off.
    if listening:
        signal.signal(signal.SIGTERM, before)


def broadcast(numbers: list[float]) -> list[float]:
    """The first process's numbers, for decisions that depend on a clock or a keyboard.

    They travel between the CPUs (gloo), so that no process has to wait for its GPU.
    """
    if not dist.is_initialized():
        return numbers
    said = torch.tensor(numbers, dtype=torch.float64)
    dist.broadcast(said, 0)
    return said.tolist()
