"""Promises of large batches: the same loss and the same gradients, in less memory."""

from dataclasses import replace

import pytest
import torch

import miniclip
from miniclip import CLIP, CLIPConfig, Recipe, info_nce, sigmoid_loss
from miniclip.training.batches import Prefetcher
from miniclip.training.grad_cache import grad_cache, info_nce_in_blocks

SIZES = {
    "image_size": 32,
    "vision_width": 32,
    "vision_layers": 2,
    "text_width": 32,
    "text_layers": 2,
    "embed_dim": 32,
    "vocab_size": 300,
}
PLAIN, STEM = CLIPConfig(**SIZES, stem=False), CLIPConfig(**SIZES)


def gradients(model):
    return {
        name: weight.grad.clone()
        for name, weight in model.named_parameters()
        if weight.grad is not None
    }


def batch(B=22, captions=2):
    torch.manual_seed(3)
    tokens = torch.randint(3, 299, (captions * B, 12))
    tokens[:, 0], tokens[:, -1] = 1, 2
    return torch.randn(B, 3, 32, 32), tokens


@pytest.mark.parametrize("block", [1, 7, 50, 1000])
def test_the_loss_in_blocks_is_the_loss(block):
    torch.manual_seed(0)
    image, text = (
        torch.nn.functional.normalize(x, dim=-1).requires_grad_() for x in torch.randn(2, 50, 16)
    )
    scale = torch.tensor(30.0, requires_grad=True)
    whole, parts = info_nce(image, text, scale), info_nce_in_blocks(image, text, scale, block)
    assert torch.allclose(whole, parts, atol=1e-5)
    for a, b in zip(
        torch.autograd.grad(3 * whole, (image, text, scale)),
        torch.autograd.grad(3 * parts, (image, text, scale)),
    ):
        assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        info_nce,
        lambda i, t, s: info_nce_in_blocks(i, t, s, 8),
        lambda i, t, s: sigmoid_loss(i, t, s, -10.0),
    ],
)
@pytest.mark.parametrize("chunk", [1, 8, 22, 100])
@pytest.mark.parametrize("config", [PLAIN, STEM], ids=["plain", "stem"])
def test_gradients_by_chunks_are_the_plain_ones(loss, chunk, config):
    torch.manual_seed(0)
    model, (images, tokens) = CLIP(config).train(), batch()
    objective = lambda image, text, scale: torch.stack(
        [loss(image, part, scale) for part in text.chunk(2)]
    ).mean()
    whole = objective(*model(images, tokens))
    whole.backward()
    expected = gradients(model)
    model.zero_grad()
    got = objective(*grad_cache(model, images, tokens, chunk))
    got.backward()
    assert torch.allclose(got, whole, atol=1e-5) and gradients(model).keys() == expected.keys()
    for name, gradient in gradients(model).items():
        assert torch.allclose(gradient, expected[name], atol=1e-5), name


def test_running_statistics_count_each_chunk_once():
    torch.manual_seed(0)
    config, (images, tokens) = replace(STEM, stem_norm="batch"), batch(16, 1)
    once, twice = CLIP(config).train(), CLIP(config).train()
    twice.load_state_dict(once.state_dict())
    info_nce(*grad_cache(twice, images, tokens, 8)).backward()
    for part in images.split(8):
        once.visual(part)
    for (name, a), (_, b) in zip(once.named_buffers(), twice.named_buffers()):
        if "running" in name:
            assert torch.allclose(a, b, atol=1e-6), name


def test_training_by_chunks_ends_with_the_same_weights():
    data = miniclip.data.picturebook(96, seed=1, size=32)
    whole, parts = (
        miniclip.train(
            data,
            STEM,
            seen=32 * 6,
            recipe=Recipe(batch_size=32, optimizer="adamw", chunk_size=chunk),
            device="cpu",
            progress=False,
        )[0]
        for chunk in (0, 12)
    )
    for (name, a), (_, b) in zip(whole.named_parameters(), parts.named_parameters()):
        assert torch.allclose(a, b, atol=2e-4), name
    with pytest.raises(ValueError, match="a chunk_size of 0 or more"):
        Recipe(chunk_size=-1)


def test_batches_made_ahead_are_the_same_and_what_goes_wrong_is_told():
    seen = []

    def batches(step):
        seen.append(step)
        if step == 4:
            raise OSError("the disk is gone")
        return torch.tensor(step), torch.tensor(-step)

    ahead = Prefetcher(batches)
    assert [int(ahead(step)[0]) for step in (0, 1, 2)] == [0, 1, 2]
    assert int(ahead(2)[1]) == -2  # out of order: made at once
    assert int(ahead(3)[0]) == 3 and seen[0] == 0
    with pytest.raises(OSError, match="the disk is gone"):
        ahead(4)
