"""Batch normalization over the whole batch, even when several processes share that batch.

PyTorch's own layer would normalize each process's part by itself, and the result would depend on
the number of processes. Used by `resnet.py`, and by the convolutional stem in `model.py` if its
configuration asks for it.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn


class _Mean(torch.autograd.Function):
    """The mean of a tensor over all processes, through which gradients flow back to all of them."""

    @staticmethod
    def forward(ctx, own: Tensor) -> Tensor:
        mean = own.clone()
        dist.all_reduce(mean)
        return mean / dist.get_world_size()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        # Every process used the mean, so each one's input is responsible for a part of every
        # process's loss: sum all their gradients before dividing.
        gradient = gradient.clone()
        dist.all_reduce(gradient)
        return gradient / dist.get_world_size()


class BatchNorm2d(nn.BatchNorm2d):
    """PyTorch's batch normalization, but in training with the mean and the variance of the whole
    batch, shared by all processes (Ioffe and Szegedy 2015)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize each channel: (B, C, H, W) -> (B, C, H, W), where C counts channels."""
        if not self.training or not dist.is_initialized():
            return super().forward(x)
        # The statistics are computed in float32: half precision is too coarse for sums over B, H
        # and W.
        mean = _Mean.apply(x.float().mean(dim=(0, 2, 3)))  # (C,)
        centered = x.float() - mean[:, None, None]  # (B, C, H, W)
        variance = _Mean.apply(centered.square().mean(dim=(0, 2, 3)))  # (C,)
        n = dist.get_world_size() * x.numel() // x.shape[1]  # values per channel, all processes
        with torch.no_grad():
            # As in PyTorch, the running variance is the unbiased one: divided by n - 1, not by n.
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * n / (n - 1), self.momentum)
            self.num_batches_tracked += 1
        scale = self.weight * (variance + self.eps).rsqrt()  # (C,)
        return (centered * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)
