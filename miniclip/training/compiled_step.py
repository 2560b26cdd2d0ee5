"""A whole training step, compiled, and on a GPU recorded once and replayed (a CUDA graph).

A GPU works through the small matrices of our models faster than Python can ask for them: most of
the time it waits for the next request. Two things help. `torch.compile` merges the many small
operations of the forward and backward pass into few larger ones. A CUDA graph is a recording of
everything that a step asks of the GPU, from the forward pass to the update of the weights; to
replay it is a single request. On an H200 both together make the training of nano 4 times as fast
(measured in `datasets/training.md`). `train(compile=True)` uses this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from miniclip.training import distributed
from miniclip.training.loop import train_step
from miniclip.training.precision import Precision

WARM_UP = 3  # steps before a recording: they compile, choose kernels and make optimizer states


def can_record(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether a step can be a CUDA graph: on one NVIDIA GPU, and not in fp16, whose steps are
    skipped when a gradient overflows, which is decided on the CPU."""
    alone = not distributed.is_distributed()
    return device.type == "cuda" and dtype != torch.float16 and alone


class CompiledStep:
    """What `train_step` does, compiled, and replayed from a recording where that can be.

    A recording holds for one shape of batch, so each new shape is recorded anew. The first steps
    of a shape are ordinary steps; what is learned is the same as without a recording.

    Args:
        model: the model to train.
        objective: from the tensors of a batch to the loss.
        optimizers: if steps are recorded, made by `make_optimizers(..., capturable=True)`.
        precision, clip_norm: as for `train_step`.
        record: whether to replay steps from a recording; see `can_record`.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Callable[..., Tensor],
        optimizers: Sequence[torch.optim.Optimizer],
        precision: Precision,
        clip_norm: float,
        record: bool,
    ):
        self.model, self.optimizers, self.precision = model, optimizers, precision
        self.objective = torch.compile(objective, dynamic=False)
        self.clip_norm, self.record = clip_norm, record
        self.recordings: dict[tuple, tuple] = {}  # by the shapes of a batch
        self.seen: dict[tuple, int] = {}  # how many batches of each shape there were
        self.pool = None  # the memory that all recordings share

    def __call__(self, batch: tuple[Tensor, ...]) -> Tensor:
        """Take one step on a batch; returns the loss, a scalar without gradient."""
        if not self.record:
            return self._step(batch)
        shapes = tuple(tensor.shape for tensor in batch)
        self.seen[shapes] = self.seen.get(shapes, 0) + 1
        if self.seen[shapes] <= WARM_UP:
            return self._on_side_stream(batch)
        if shapes not in self.recordings:
            self.recordings[shapes] = self._record(batch)
        graph, inputs, loss = self.recordings[shapes]
        for kept, new in zip(inputs, batch):
            kept.copy_(new, non_blocking=True)
        graph.replay()
        return loss.clone()  # the next replay overwrites the original

    def _step(self, batch: tuple[Tensor, ...]) -> Tensor:
        return train_step(
            self.model, batch, self.objective, self.optimizers, self.precision, self.clip_norm
        )

    def _on_side_stream(self, batch: tuple[Tensor, ...]) -> Tensor:
        """An ordinary step on a stream of its own, as CUDA asks for before a recording."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            loss = self._step(batch)
        torch.cuda.current_stream().wait_stream(side)
        return loss

    def _record(self, batch: tuple[Tensor, ...]) -> tuple[torch.cuda.CUDAGraph, tuple, Tensor]:
        """Record a step without taking it: the graph, the tensors that it reads, its loss."""
        inputs = tuple(tensor.clone() for tensor in batch)
        self.model.zero_grad()  # gradients must lie in the memory of the recording
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool):
            loss = self._step(inputs)
        self.pool = self.pool or graph.pool()
        return graph, inputs, loss
