"""Steps of training on random data, to be timed: for `tools/bench.py` and the study of image
towers."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import nn

from miniclip.config import CLIPConfig
from miniclip.loss import info_nce
from miniclip.training.loop import train_step
from miniclip.training.precision import Precision

TEXT_TOKENS = 16  # of the context; the rest is padding, as in short captions


def seconds_of(call: Callable[[], object]) -> float:
    """How long a call takes, by the clock on the wall."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def random_batch(config: CLIPConfig, batch_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures (B, 3, S, S) and token ids (B, T) with which nothing can be learned."""
    images = torch.randn(batch_size, 3, config.image_size, config.image_size)
    tokens = torch.randint(3, config.vocab_size - 1, (batch_size, config.context_length))
    tokens[:, 0], tokens[:, TEXT_TOKENS - 1], tokens[:, TEXT_TOKENS:] = 1, config.end_token, 0
    return images, tokens


def training_step(
    model: nn.Module, config: CLIPConfig, batch_size: int, precision: torch.dtype
) -> Callable[[], None]:
    """A function that does one step of training on one random batch, with AdamW for everyone."""
    batch = random_batch(config, batch_size)
    optimizers = [torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)]
    rounding = Precision(torch.device("cpu"), precision)

    def objective(images: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        with rounding.autocast():
            image, text, scale = model(images, tokens)
        return info_nce(image.float(), text.float(), scale)

    return lambda: train_step(model, batch, objective, optimizers, rounding)
