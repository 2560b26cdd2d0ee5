"""The block that both towers are made of: attention among the tokens, then a small network on
each (paper 2.4).

Shapes stand behind the lines that make them: B batch, N patches or tokens, Q queries, D width, H
heads. Taught in notebook 02.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class QuickGELU(nn.Module):
    """x * sigmoid(1.702 x), the cheaper GELU of OpenAI's weights."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """softmax(q k^T / sqrt(D/H)) v for queries (B, H, Q, D/H) over keys and values (B, H, N,
    D/H); False in `mask` hides a key."""
    if q.device.type != "cpu" or not q.requires_grad:
        return F.scaled_dot_product_attention(q, k, v, mask)
    # PyTorch's fused kernel is slow backward on the CPU: 1.5 times as long in fp32 and 10 times
    # in bf16, for 37 tokens. The same in three products:
    scores = (q * q.shape[-1] ** -0.5) @ k.mT  # (B, H, Q, N)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return scores.softmax(dim=-1) @ v


class Attention(nn.Module):
    """Multi-head attention: each query gathers from the tokens what it looks for."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, queries: Tensor, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """Queries (B, Q, D) look at tokens (B, N, D), where `mask` (..., Q, N) allows it; gives
        (B, Q, D)."""
        q, k, v = self.query(queries), self.key(tokens), self.value(tokens)
        q, k, v = (
            x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (q, k, v)
        )  # (B, H, Q or N, D/H)
        x = attend(q, k, v, mask)  # (B, H, Q, D/H)
        return self.out(x.transpose(1, 2).flatten(2))  # (B, Q, D)


class Block(nn.Module):
    """A pre-norm transformer block: attention among the tokens, then a two-layer network on each
    by itself."""

    def __init__(self, width: int, heads: int, activation: str):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width),
            nn.GELU() if activation == "gelu" else QuickGELU(),
            nn.Linear(4 * width, width),
        )

    def forward(
        self, x: Tensor, mask: Tensor | None = None, query_index: Tensor | None = None
    ) -> Tensor:
        """(B, N, D) -> (B, N, D); or, where `query_index` (B,) names one token of each sequence,
        what becomes of it alone: (B, 1, D)."""
        queries = tokens = self.ln_1(x)  # (B, N, D)
        if query_index is not None:
            rows = torch.arange(len(x), device=x.device)
            x, queries = x[rows, query_index, None], tokens[rows, query_index, None]  # (B, 1, D)
            mask = None if mask is None else mask[query_index, None, None]  # (B, 1, 1, N)
        x = x + self.attention(queries, tokens, mask)
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Sequential):
    """A stack of blocks, started as in the paper's code: smaller where more layers add up."""

    def __init__(self, width: int, layers: int, heads: int, activation: str):
        super().__init__(*(Block(width, heads, activation) for _ in range(layers)))
        for block in self:
            attention, (wide, _, narrow) = block.attention, block.mlp
            for linear in (
                attention.query,
                attention.key,
                attention.value,
                attention.out,
                wide,
                narrow,
            ):
                nn.init.normal_(linear.weight, std=width**-0.5)
                nn.init.zeros_(linear.bias)
            with torch.no_grad():
                wide.weight.mul_(2**-0.5)
                attention.out.weight.mul_((2 * layers) ** -0.5)
                narrow.weight.mul_((2 * layers) ** -0.5)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, query_index: Tensor | None = None
    ) -> Tensor:
        """(B, N, D) -> (B, N, D). Who will `query_index` (B,) one token of each sequence gets (B,
        1, D): the last block is spared the others."""
        *first, last = self
        for block in first:
            x = block(x, mask)
        return last(x, mask, query_index)
