"""Batch number `step` of a data set, as a function of the seed and of `step` alone.

Which pictures a step looks at, which of their captions and which crops depends on (seed, step).
So a resumed training needs no memory of random states, and ends with the same weights as one that
was never stopped. Taught in notebook 02.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from miniclip.config import CLIPConfig
from miniclip.data import CaptionedImages, Shards
from miniclip.data.world.artists import refuse_unseen
from miniclip.tokenizer import Tokenizer, trim
from miniclip.training.augmentation import (
    augment,
    downsample,
    drop_words,
    erase,
    keep_patches,
    to_device,
)
from miniclip.training.recipe import Recipe


def make_batches(
    data: CaptionedImages | Shards,
    tokenizer: Tokenizer,
    config: CLIPConfig,
    recipe: Recipe,
    device: torch.device,
    rank: int = 0,
    world_size: int = 1,
    length_step: int = 1,
) -> Callable[[int], tuple[Tensor, Tensor]]:
    """The batches of a data set, as a function of the number of the step.

    Where the pictures do not fit onto the GPU, a thread makes them one step ahead. Texts are
    trimmed to a multiple of `length_step` tokens.

    Raises:
        ValueError: if there are fewer shards than processes.
    """
    kind = StreamedBatches if isinstance(data, Shards) else Batches
    batches = kind(data, tokenizer, config, recipe, device, (rank, world_size), length_step)
    if device.type == "cuda" and not getattr(batches, "on_device", False):
        return Prefetcher(batches)
    return batches


def random_numbers(*key: int) -> torch.Generator:
    """A random number generator that depends on the key alone. It is on the CPU, so that a
    training on any device draws the same numbers."""
    return torch.Generator().manual_seed(zlib.crc32(repr(key).encode()))


class MoreChances:
    """Further random numbers of a step, drawn only where the recipe asks for them.

    Args:
        rng: gives the numbers of this step.
        batch_size: B, pictures of the whole batch.
        own: which of them this process has; by default all.
    """

    def __init__(self, rng: torch.Generator, batch_size: int, own: slice = slice(None)):
        self.rng, self.batch_size, self.own = rng, batch_size, own

    def __call__(self, *before: int, each: int) -> Tensor:
        """Random numbers in [0, 1) for this process's pictures: (*before, own pictures, each)."""
        return torch.rand(*before, self.batch_size, each, generator=self.rng)[..., self.own, :]


def hide(
    images: Tensor, tokens: Tensor, config: CLIPConfig, recipe: Recipe, chances: MoreChances
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Hide parts of pictures and captions, as the recipe says.

    Args:
        images: (B, 3, S, S) in [0, 1].
        tokens: (captions * B, T) token ids on the CPU, caption by caption.
        config: of the model; it says how many patches a picture has.
        recipe: its erase, patch_dropout and word_dropout say how much.
        chances: gives the random numbers.
    Returns:
        the pictures, the token ids, and a tuple that is empty if all patches are looked at, or
        holds the numbers (B, K) of those that are.
    """
    device = images.device
    if recipe.erase:
        images = erase(images, recipe.erase, chances(each=5).T)
    if recipe.word_dropout:
        words = chances(recipe.captions_per_image, each=tokens.shape[1]).flatten(0, 1)
        tokens = drop_words(tokens, config.end_token, recipe.word_dropout, words)
    if not recipe.patch_dropout:
        return images, tokens, ()
    patches = (config.image_size // config.patch_size) ** 2
    kept = keep_patches(patches, recipe.patch_dropout, chances(each=patches))
    return images, tokens, (to_device(kept, device),)


class Batches:
    """Batch number `step` of a data set, as a function of (seed, step): (B, 3, S, S) pictures and
    (captions * B, T) token ids, on the device, and the numbers (B, K) of the patches to look at if
    the recipe has patch_dropout.

    Of several processes, each gets its `part` (which, of how many) of the same batch.
    """

    def __init__(
        self,
        data: CaptionedImages,
        tokenizer: Tokenizer,
        config: CLIPConfig,
        recipe: Recipe,
        device: torch.device,
        part: tuple[int, int] = (0, 1),
        length_step: int = 1,
    ):
        refuse_unseen(data.info)
        self.recipe, self.device, self.size = recipe, device, config.image_size
        self.config, self.length_step = config, length_step
        share = recipe.batch_size // part[1]
        self.own = slice(part[0] * share, (part[0] + 1) * share)
        self.images = downsample(data.images, config.image_size, recipe.crop)
        counts = torch.tensor([len(captions) for captions in data.captions])
        self.counts, self.starts = counts, counts.cumsum(0) - counts
        captions = [caption for captions in data.captions for caption in captions]
        # Token ids of all captions, (all captions, T).
        self.tokens = tokenizer(captions, config.context_length, truncate=True).to(torch.int32)
        self.end_token = config.end_token
        self.on_device = (
            device.type == "cuda" and self.images.nbytes < 0.5 * torch.cuda.mem_get_info(device)[0]
        )
        if self.on_device:
            self.images = torch.from_numpy(np.ascontiguousarray(self.images)).to(device)
        self.mean, self.std = (
            torch.tensor(value, device=device).view(3, 1, 1) for value in (config.mean, config.std)
        )
        self.epoch, self.order = -1, torch.empty(0)

    def rows(self, step: int) -> Tensor:
        """The row numbers (B,) of the pictures of a step. An epoch goes through all pictures once,
        in an order of its own."""
        B, n = self.recipe.batch_size, len(self.counts)
        epoch, first = divmod(step, n // B)
        if epoch != self.epoch:
            rng = random_numbers(self.recipe.seed, "epoch", epoch)
            self.epoch, self.order = epoch, torch.randperm(n, generator=rng)
        return self.order[first * B : (first + 1) * B]

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        B, rows = self.recipe.batch_size, self.rows(step)
        rng = random_numbers(self.recipe.seed, "step", step)
        which = torch.rand(self.recipe.captions_per_image, B, generator=rng) * self.counts[rows]
        chosen = (self.starts[rows] + which.long())[:, self.own]  # (captions, B)
        chances, rows = torch.rand(6, B, generator=rng)[:, self.own], rows[self.own]
        more = MoreChances(rng, B, self.own)
        if self.on_device:
            images = self.images[to_device(rows, self.device)]
        else:
            images = to_device(self.images[rows.numpy()], self.device)
        images = images.permute(0, 3, 1, 2).float() / 255
        images = augment(images, self.size, self.recipe, chances)  # (B, 3, S, S)
        tokens = self.tokens[chosen].flatten(0, 1).long()  # (captions * B, T)
        images, tokens, kept = hide(images, tokens, self.config, self.recipe, more)
        tokens = trim(tokens, self.end_token, self.length_step)
        return (images - self.mean) / self.std, to_device(tokens, self.device), *kept


class StreamedBatches:
    """The same as `Batches` from a stream of shards.

    A stream cannot be rewound, so a resumed training starts with another order of the shards.
    """

    def __init__(
        self,
        shards: Shards,
        tokenizer: Tokenizer,
        config: CLIPConfig,
        recipe: Recipe,
        device: torch.device,
        part: tuple[int, int] = (0, 1),
        length_step: int = 1,
    ):
        if len(shards.paths) < part[1]:
            raise ValueError(
                f"{part[1]} processes need as many shards, there are {len(shards.paths)}"
            )
        self.shards, self.tokenizer, self.config, self.recipe = shards, tokenizer, config, recipe
        self.device, self.part, self.stream = device, part, None
        self.length_step = length_step
        mean, std = (torch.tensor(value, device=device) for value in (config.mean, config.std))
        self.mean, self.std = mean.view(3, 1, 1), std.view(3, 1, 1)

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        recipe, size = self.recipe, self.config.image_size
        B = recipe.batch_size // self.part[1]
        self.stream = self.stream or self.shards.shuffled(f"{recipe.seed} {step}", self.part)
        pictures, captions = zip(*(next(self.stream) for _ in range(B)))
        rng = random_numbers(recipe.seed, "stream", step, self.part[0])
        chances = torch.rand(recipe.captions_per_image, B, generator=rng).tolist()
        chosen = [
            texts[int(chance * len(texts))]
            for row in chances
            for chance, texts in zip(row, captions)
        ]
        tokens = self.tokenizer(chosen, self.config.context_length, truncate=True)
        images = to_device(downsample(np.stack(pictures), size, recipe.crop), self.device)
        images = images.permute(0, 3, 1, 2).float() / 255
        images = augment(images, size, recipe, torch.rand(6, B, generator=rng))
        more = MoreChances(rng, B)
        images, tokens, kept = hide(images, tokens, self.config, recipe, more)
        tokens = trim(tokens, self.config.end_token, self.length_step)
        return (images - self.mean) / self.std, to_device(tokens, self.device), *kept


class Prefetcher:
    """Batches made one step ahead by a thread, while the GPU works on the one before.

    Args:
        batches: gives batch number `step`.
    """

    def __init__(self, batches: Callable[[int], tuple[Tensor, Tensor]]):
        self.batches, self.worker, self.coming = batches, ThreadPoolExecutor(1), {}

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        ready = self.coming.pop(step).result() if step in self.coming else self.batches(step)
        self.coming = {step + 1: self.worker.submit(self.batches, step + 1)}
        return ready
