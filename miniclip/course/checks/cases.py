"""Inputs that the hidden cases of several checks are made of."""

from __future__ import annotations

import zlib

import torch
import torch.nn.functional as F
from torch import Tensor

SECRET = 0  # the grader sets another number, which no student can know


def secret_seed(seed: int) -> int:
    """Another seed for each grading; the same one while students try out their functions."""
    return zlib.crc32(f"{SECRET} {seed}".encode()) if SECRET else seed


def random_numbers(*shape: int, seed: int = 0) -> Tensor:
    """Normally distributed numbers that depend on shape and seed alone (see `secret_seed`)."""
    key = (shape, secret_seed(seed))
    rng = torch.Generator().manual_seed(zlib.crc32(repr(key).encode()))
    return torch.randn(*shape, generator=rng)


def unit_vectors(x: Tensor, dim: int = -1) -> Tensor:
    """The same vectors, scaled to length 1."""
    return F.normalize(x, dim=dim)


def random_pairs(B: int, M: int, E: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """B image vectors and M text vectors of E numbers, not of length 1, as the towers give them."""
    return 2 * random_numbers(B, E, seed=seed), 3 * random_numbers(M, E, seed=seed + 1)


# Two image vectors and two text vectors, small enough to be worked out on paper.
SMALL = torch.tensor([[3.0, 0.0], [0.0, 2.0]]), torch.tensor([[1.0, 0.0], [1.0, 1.0]])
