"""Which caption belongs to which picture: the contrastive losses, as plain functions of features
(paper 2.3, Figure 3).

The features of B pictures and their B captions give a (B, B) matrix of similarities. Matching
pairs stand on its diagonal; training raises the diagonal above the rest of its row and of its
column. Taught in notebook 01.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def _check(image_features: Tensor, text_features: Tensor) -> None:
    if image_features.ndim != 2 or image_features.shape != text_features.shape:
        raise ValueError(
            f"expected pictures and texts as two (B, E) tensors, row i of one belonging to row i of the other; "
            f"got {tuple(image_features.shape)} and {tuple(text_features.shape)}"
        )


def info_nce(image_features: Tensor, text_features: Tensor, logit_scale: Tensor | float) -> Tensor:
    """Symmetric cross-entropy over the similarity matrix (paper, Figure 3).

    Args:
        image_features: (B, E), unit vectors.
        text_features: (B, E), unit vectors; row i belongs to picture i.
        logit_scale: the inverse temperature that cosines are multiplied by (not its logarithm).
    Returns:
        scalar: the mean of -log p(right text | picture) and -log p(right picture | text), in
            nats; log(B) for a guesser.
    Raises:
        ValueError: if the two do not have one shape (B, E).
    """
    _check(image_features, text_features)
    logits = logit_scale * image_features @ text_features.T  # (B, B): picture i against text j
    labels = torch.arange(len(logits), device=logits.device)  # the positives are on the diagonal
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


def sigmoid_loss(
    image_features: Tensor,
    text_features: Tensor,
    logit_scale: Tensor | float,
    logit_bias: Tensor | float,
) -> Tensor:
    """Every pair by itself: does this text belong to this picture, yes or no? (SigLIP: Zhai et
    al. 2023, equation 1.)

    Args:
        image_features, text_features: (B, E), unit vectors; row i belongs to row i.
        logit_scale: the inverse temperature; SigLIP starts at 10.
        logit_bias: added to every logit; SigLIP starts at -10, since all but one pair in B do not
            match.
    Returns:
        scalar: the sum over the B x B pairs divided by B, in nats.
    Raises:
        ValueError: if the two do not have one shape (B, E).
    """
    _check(image_features, text_features)
    logits = logit_scale * image_features @ text_features.T + logit_bias  # (B, B)
    signs = (
        2 * torch.eye(len(logits), device=logits.device, dtype=logits.dtype) - 1
    )  # +1 on the diagonal, -1 off it
    return -F.logsigmoid(signs * logits).sum() / len(logits)
