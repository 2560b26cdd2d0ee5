"""The transformer block that both towers are made of: attention among the tokens, then a small
network on each token (paper 2.4).

A comment behind a line gives the shape of its result: B batch, N patches or tokens, Q queries, D
width, H heads. Taught in notebook 02.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class QuickGELU(nn.Module):
    """x * sigmoid(1.702 x), a cheaper approximation of GELU that OpenAI's weights were trained
    with."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Scaled dot-product attention: softmax(q k^T / sqrt(D/H)) v (Vaswani et al. 2017, equation 1).

    Args:
        q: queries (B, H, Q, D/H).
        k, v: keys and values (B, H, N, D/H).
        mask: bool, of a shape that broadcasts to (B, H, Q, N); False hides a key from a query.
            None hides nothing.
    Returns:
        (B, H, Q, D/H): for each query a weighted mean of the values.
    """
    if q.device.type != "cpu" or not q.requires_grad:
        return F.scaled_dot_product_attention(q, k, v, mask)
    # Training on the CPU: there the backward pass of PyTorch's fused kernel is slow. For 37 tokens
    # it takes 1.5 times as long in fp32, and 10 times as long in bf16, as these three lines.
    scores = (q * q.shape[-1] ** -0.5) @ k.mT  # (B, H, Q, N)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)  # exp(-inf) = 0: a hidden key has no weight
    return scores.softmax(dim=-1) @ v  # (B, H, Q, D/H)


class Attention(nn.Module):
    """Multi-head attention: each query gathers from the tokens what it is looking for.

    Args:
        width: D, of queries and tokens.
        heads: H; each head attends on its own, with D/H of the channels.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, queries: Tensor, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """Let queries (B, Q, D) look at tokens (B, N, D).

        `mask` (..., Q, N) is True where a query may look; None lets every query see every token.
        The result is (B, Q, D).
        """
        q, k, v = map(self.split, (self.query(queries), self.key(tokens), self.value(tokens)))
        x = attend(q, k, v, mask)  # (B, H, Q, D/H)
        return self.out(x.transpose(1, 2).flatten(2))  # (B, Q, D)

    def split(self, x: Tensor) -> Tensor:
        """Give each head its channels: (B, N, D) -> (B, H, N, D/H)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def weights(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """How much each token of (B, N, D) takes from each: (B, H, N, N), rows that sum to one.

        `forward` does not need them by themselves; they are for looking at a model.
        """
        q, k = self.split(self.query(tokens)), self.split(self.key(tokens))  # (B, H, N, D/H)
        scores = (q * q.shape[-1] ** -0.5) @ k.mT  # (B, H, N, N)
        return (scores if mask is None else scores.masked_fill(~mask, -math.inf)).softmax(dim=-1)


class Block(nn.Module):
    """A pre-norm transformer block: attention among the tokens, then a two-layer network on each
    token by itself. What each of the two computes is added to its input.

    Args:
        width: D; the two-layer network is 4 D wide inside.
        heads: number of attention heads.
        activation: "gelu" or "quick_gelu".
    """

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
        """Update every token, or only one token of each sequence.

        Args:
            x: tokens (B, N, D).
            mask: bool (N, N), True where the row's token may look at the column's token.
            query_index: int (B,), which token of each sequence to update; None updates them all.
        Returns:
            (B, N, D). If `query_index` is given, only that token of each sequence is updated,
            giving (B, 1, D).
        """
        queries = tokens = self.ln_1(x)  # (B, N, D)
        if query_index is not None:
            # `gather` and not indexing: on a GPU its backward pass needs no sorting.
            chosen = query_index[:, None, None].expand(-1, 1, x.shape[-1])  # (B, 1, D)
            x, queries = x.gather(1, chosen), tokens.gather(1, chosen)  # (B, 1, D)
            mask = None if mask is None else mask[query_index, None, None]  # (B, 1, 1, N)
        x = x + self.attention(queries, tokens, mask)  # (B, N, D) or (B, 1, D)
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Sequential):
    """A stack of blocks, with the initial weights of the paper's code.

    Args:
        width, layers, heads: width D of a token, number of blocks, attention heads in each block.
        activation: "gelu" or "quick_gelu".
    """

    def __init__(self, width: int, layers: int, heads: int, activation: str):
        super().__init__(*(Block(width, heads, activation) for _ in range(layers)))
        for block in self:
            attention, (widen, _, narrow) = block.attention, block.mlp
            for linear in (
                attention.query,
                attention.key,
                attention.value,
                attention.out,
                widen,
                narrow,
            ):
                nn.init.normal_(linear.weight, std=width**-0.5)
                nn.init.zeros_(linear.bias)
            with torch.no_grad():
                widen.weight.mul_(2**-0.5)
                # These two layers add to the running sum of tokens, 2 * layers times in all: the
                # more terms, the smaller each has to be for the sum to keep its size.
                attention.out.weight.mul_((2 * layers) ** -0.5)
                narrow.weight.mul_((2 * layers) ** -0.5)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, query_index: Tensor | None = None
    ) -> Tensor:
        """Pass tokens through all blocks.

        Args:
            x: tokens (B, N, D).
            mask: bool (N, N), True where the row's token may look at the column's token.
            query_index: int (B,), for callers that need only one token of each sequence: the last
                block then computes no other, which saves time.
        Returns:
            (B, N, D), or (B, 1, D) if `query_index` is given.
        """
        *first, last = self
        for block in first:
            x = block(x, mask)
        return last(x, mask, query_index)

    def weights(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """The attention weights of all blocks, for tokens (B, N, D): (blocks, B, H, N, N)."""
        found = []
        for block in self:
            found.append(block.attention.weights(block.ln_1(x), mask))
            x = block(x, mask)
        return torch.stack(found)
