"""Batches larger than the memory: the exact gradient of a contrastive loss, a chunk of pictures at a time (GradCache: Gao et al. 2021).

The loss of a batch needs every picture and every text at once, so it cannot be summed over small batches as other losses can. But it needs only
their vectors, which are small; what fills the memory is how the towers came to them. So: all vectors first, without remembering how; then the loss,
and its gradient by each vector; then each chunk once more, remembering, to carry that gradient on into the weights. One more forward pass buys any size.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn


def backward_in_chunks(model: nn.Module, images: Tensor, tokens: Tensor, objective: Callable[[Tensor, Tensor, Tensor], Tensor], chunk: int, autocast: Callable) -> Tensor:
    """Do what `objective(*model(images, tokens)).backward()` does, with the activations of `chunk` pictures in memory at a time.

    Exact for towers that look at each picture by itself. A BatchNorm, as in the convolutional stem, sees the statistics of its chunk, so there it is
    exact for a model whose batches for that purpose are chunks (each chunk counts once in the running statistics).

    Args:
        model: gives (image features (B, E), text features (k B, E), inverse temperature) for a batch.
        images: (B, 3, S, S). tokens: (k B, T), k captions of each picture, caption by caption.
        objective: of those three, a scalar.
        chunk: pictures at a time.
        autocast: gives a context in which the model runs.
    Returns:
        the loss, a scalar without gradient; gradients are added to those of the model's weights.
    """
    B, captions = len(images), len(tokens) // len(images)
    parts = [slice(start, start + chunk) for start in range(0, B, chunk)]
    by_caption = tokens.view(captions, B, -1)  # (k, B, T)

    def features(part: slice) -> tuple[Tensor, Tensor]:
        with autocast():
            image, text, _ = model(images[part], by_caption[:, part].flatten(0, 1))
        return image.float(), text.float().unflatten(0, (captions, -1))  # (chunk, E), (k, chunk, E)

    momenta = {norm: norm.momentum for norm in model.modules() if isinstance(norm, nn.BatchNorm2d)}
    with torch.no_grad():
        for norm in momenta:
            norm.momentum = 0.0  # the running statistics are kept in the second pass
        image, text = (torch.cat(vectors, dim=-2) for vectors in zip(*map(features, parts)))  # (B, E), (k, B, E)
        for norm, momentum in momenta.items():
            norm.momentum = momentum
    image.requires_grad_(), text.requires_grad_()
    loss = objective(image, text.flatten(0, 1), model.logit_scale.exp())
    loss.backward()  # into the vectors, and into the temperature
    for part in parts:
        torch.autograd.backward(features(part), (image.grad[part], text.grad[:, part]))
    return loss.detach()


class _InBlocks(torch.autograd.Function):
    """Symmetric InfoNCE and its gradient, some rows of the similarity matrix at a time."""

    @staticmethod
    def forward(ctx, image: Tensor, text: Tensor, scale: Tensor, block: int) -> Tensor:
        B = len(image)
        over_texts, over_images = torch.empty(B, device=image.device), torch.full((B,), -torch.inf, device=image.device)  # log of the sums of exp, by row and by column
        for start in range(0, B, block):
            logits = scale * image[start : start + block] @ text.T  # (block, B)
            over_texts[start : start + block] = logits.logsumexp(dim=1)
            over_images = torch.logaddexp(over_images, logits.logsumexp(dim=0))
        ctx.save_for_backward(image, text, scale, over_texts, over_images)
        ctx.block = block
        return ((over_texts + over_images) / 2 - scale * (image * text).sum(dim=1)).mean()

    @staticmethod
    def backward(ctx, upstream: Tensor):
        image, text, scale, over_texts, over_images = ctx.saved_tensors
        B, by_image, by_text, by_scale = len(image), torch.empty_like(image), torch.zeros_like(text), torch.zeros_like(scale)
        for start in range(0, B, ctx.block):
            rows = slice(start, start + ctx.block)
            cosines = image[rows] @ text.T  # (block, B)
            logits = scale * cosines
            push = ((logits - over_texts[rows, None]).exp() + (logits - over_images).exp()) / (2 * B)  # what each logit is pushed down by
            push.diagonal(start).sub_(1 / B)  # the positives are pushed up
            by_image[rows] = scale * push @ text
            by_text += scale * push.T @ image[rows]
            by_scale += (push * cosines).sum()
        return upstream * by_image, upstream * by_text, upstream * by_scale, None


def info_nce_in_blocks(image_features: Tensor, text_features: Tensor, logit_scale: Tensor | float, block: int = 1024) -> Tensor:
    """`loss.info_nce` without ever holding the whole (B, B) matrix, which for the paper's 32,768 pairs has 4.3 GB.

    Args:
        image_features, text_features, logit_scale: as for `info_nce`.
        block: rows of the matrix at a time.
    Returns:
        the same loss, with the same gradients.
    """
    return _InBlocks.apply(image_features, text_features, torch.as_tensor(logit_scale, device=image_features.device), block)


class Ahead:
    """Batches made ready one step ahead by a thread while the GPU works on the one before: for data that does not lie on the GPU.

    Args:
        batches: gives batch number `step`.
    """

    def __init__(self, batches: Callable[[int], tuple[Tensor, Tensor]]):
        self.batches, self.worker, self.coming = batches, ThreadPoolExecutor(1), {}

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        ready = self.coming.pop(step).result() if step in self.coming else self.batches(step)
        self.coming = {step + 1: self.worker.submit(self.batches, step + 1)}
        return ready
