"""Batch normalization whose statistics are those of the whole batch, also where several processes
share it."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn


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
    """PyTorch's batch normalization, with the mean and the variance of the whole batch where
    several processes share it."""

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
