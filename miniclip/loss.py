"""The contrastive losses: which caption belongs to which picture? (Paper 2.3, Figure 3.)

The features of B pictures and of their B captions give a (B, B) matrix of similarities, with the
matching pairs on its diagonal. Training raises each diagonal entry above the rest of its row and
of its column. Taught in notebook 01.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def _check(image_features: Tensor, text_features: Tensor) -> None:
    if image_features.ndim != 2 or image_features.shape != text_features.shape:
        raise ValueError(
            "expected pictures and texts as two (B, E) tensors, row i of one belonging to row i "
            "of the other; "
            f"got {tuple(image_features.shape)} and {tuple(text_features.shape)}"
        )


def info_nce(image_features: Tensor, text_features: Tensor, logit_scale: Tensor | float) -> Tensor:
    """Symmetric cross-entropy over the similarity matrix (paper, Figure 3).

    Args:
        image_features: (B, E), unit vectors.
        text_features: (B, E), unit vectors; row i is the text of picture i.
        logit_scale: the inverse temperature (not its logarithm), by which cosine similarities are
            multiplied.
    Returns:
        A scalar in nats: the average of two means, that of -log p(right text | picture) over the
        pictures and that of -log p(right picture | text) over the texts. Guessing gives log(B).
    Raises:
        ValueError: if the two feature tensors do not have the same shape (B, E).
    """
    _check(image_features, text_features)
    logits = logit_scale * image_features @ text_features.T  # (B, B): picture i against text j
    labels = torch.arange(len(logits), device=logits.device)  # (B,): text i is right for picture i
    # Rows choose a text for each picture, columns choose a picture for each text.
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


def sigmoid_loss(
    image_features: Tensor,
    text_features: Tensor,
    logit_scale: Tensor | float,
    logit_bias: Tensor | float,
) -> Tensor:
    """SigLIP's loss: for every pair by itself, does this text belong to this picture, yes or no?
    (Zhai et al. 2023, equation 1.)

    Args:
        image_features: (B, E), unit vectors.
        text_features: (B, E), unit vectors; row i is the text of picture i.
        logit_scale: the inverse temperature (not its logarithm); SigLIP starts at 10.
        logit_bias: a number added to every logit; SigLIP starts at -10, because only one pair in
            B matches.
    Returns:
        A scalar in nats: the sum over the B x B pairs, divided by B.
    Raises:
        ValueError: if the two feature tensors do not have the same shape (B, E).
    """
    _check(image_features, text_features)
    logits = logit_scale * image_features @ text_features.T + logit_bias  # (B, B)
    # (B, B): +1 on the diagonal (the pair matches), -1 everywhere else
    signs = 2 * torch.eye(len(logits), device=logits.device, dtype=logits.dtype) - 1
    # sigmoid(logit) is the probability of a match and sigmoid(-logit) that of no match. Where
    # sigmoid would round to 0, and its logarithm be minus infinity, `logsigmoid` stays exact.
    return -F.logsigmoid(signs * logits).sum() / len(logits)
