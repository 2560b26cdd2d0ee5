"""Batches larger than the memory, exactly: a chunk of pictures at a time (GradCache, Gao et al.
2021).

The loss of a batch needs every picture and every text at once, so it cannot be summed over small
batches as other losses can. But it needs only their vectors, which are small. What fills the
memory are the activations inside the towers. So all vectors are computed first, a chunk at a time
and without keeping activations. The loss gives a gradient for each vector. Then each chunk is
computed a second time, now with its activations, to carry that gradient on into the weights. The
price of a batch of any size is one more forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn


def grad_cache(
    model: nn.Module,
    images: Tensor,
    tokens: Tensor,
    chunk_size: int,
    autocast: Callable = nullcontext,
    kept: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """What `model(images, tokens)` gives, with the activations of `chunk_size` pictures in memory
    at a time.

    Exact for towers that look at each picture by itself, such as the vision transformer. A
    BatchNorm, as in the ResNet, takes the statistics of its chunk, and each chunk counts once in
    its running statistics.

    Args:
        model: gives (image features (B, E), text features (k B, E), logit scale) for a batch.
        images: (B, 3, S, S).
        tokens: (k B, T), k captions of each picture, caption by caption.
        chunk_size: pictures at a time.
        autocast: gives a context in which the model runs.
        kept: (B, K), which patches to look at, if the model is to look at some only.
    Returns:
        the same three; calling `backward` on a loss of them adds the gradients of the model's
        weights.
    """
    B = len(images)
    by_caption = tokens.view(-1, B, tokens.shape[1])  # (k, B, T)
    parts = [slice(start, start + chunk_size) for start in range(0, B, chunk_size)]

    def features(part: slice) -> tuple[Tensor, Tensor]:
        with autocast():
            patches = () if kept is None else (kept[part],)
            image, text, _ = model(images[part], by_caption[:, part].flatten(0, 1), *patches)
        return image.float(), text.float().unflatten(0, (len(by_caption), -1))

    # Autograd only calls a function's backward if something among its inputs asks for a gradient.
    asks = torch.zeros((), device=images.device, requires_grad=True)
    with _statistics_kept(model):
        image, text = _Chunked.apply(asks, features, parts)  # (B, E), (k, B, E)
    return image, text.flatten(0, 1), model.logit_scale.exp()


class _Chunked(torch.autograd.Function):
    """Features chunk by chunk, forward without remembering, backward with a second forward pass."""

    @staticmethod
    def forward(ctx, asks: Tensor, features: Callable, parts: list[slice]) -> tuple[Tensor, Tensor]:
        ctx.features, ctx.parts = features, parts
        image, text = zip(*(features(part) for part in parts))
        return torch.cat(image), torch.cat(text, dim=1)

    @staticmethod
    def backward(ctx, image_gradient: Tensor, text_gradient: Tensor):
        for part in ctx.parts:
            with torch.enable_grad():
                image, text = ctx.features(part)
            gradients = (image_gradient[part], text_gradient[:, part])
            torch.autograd.backward((image, text), gradients)
        return None, None, None


@contextmanager
def _statistics_kept(model: nn.Module) -> Iterator[None]:
    """Leave the running statistics of BatchNorm alone; they are updated in the second pass."""
    momenta = {norm: norm.momentum for norm in model.modules() if isinstance(norm, nn.BatchNorm2d)}
    for norm in momenta:
        norm.momentum = 0.0
    yield
    for norm, momentum in momenta.items():
        norm.momentum = momentum


class _InBlocks(torch.autograd.Function):
    """Symmetric InfoNCE and its gradient, some rows of the similarity matrix at a time."""

    @staticmethod
    def forward(ctx, image: Tensor, text: Tensor, scale: Tensor, block: int) -> Tensor:
        B = len(image)
        # Logarithms of the sums of exp over each row and over each column: (B,) both.
        over_texts = torch.empty(B, device=image.device)
        over_images = torch.full((B,), -torch.inf, device=image.device)
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
        B, by_scale = len(image), torch.zeros_like(scale)
        by_image, by_text = torch.empty_like(image), torch.zeros_like(text)
        for start in range(0, B, ctx.block):
            rows = slice(start, start + ctx.block)
            cosines = image[rows] @ text.T  # (block, B)
            logits = scale * cosines
            # How far each logit is pushed down: the mean of its two softmax probabilities.
            push = (logits - over_texts[rows, None]).exp() + (logits - over_images).exp()
            push = push / (2 * B)
            push.diagonal(start).sub_(1 / B)  # the positives are pushed up
            by_image[rows] = scale * push @ text
            by_text += scale * push.T @ image[rows]
            by_scale += (push * cosines).sum()
        return upstream * by_image, upstream * by_text, upstream * by_scale, None


def info_nce_in_blocks(
    image_features: Tensor, text_features: Tensor, logit_scale: Tensor | float, block: int = 1024
) -> Tensor:
    """`loss.info_nce` without ever holding the whole (B, B) matrix, which for the paper's 32,768
    pairs has 4.3 GB.

    Args:
        image_features, text_features, logit_scale: as for `info_nce`.
        block: rows of the matrix at a time.
    Returns:
        the same loss, with the same gradients.
    """
    return _InBlocks.apply(
        image_features,
        text_features,
        torch.as_tensor(logit_scale, device=image_features.device),
        block,
    )
