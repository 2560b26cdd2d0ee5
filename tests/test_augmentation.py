"""Promises of what is hidden from a training step: as much as was asked for, the same for the same
seed, and the same gradients however the batch is cut up."""

import pytest
import torch

import miniclip
from miniclip import CLIP, CLIPConfig, Recipe, info_nce
from miniclip.evaluation.baselines import bag_of_words
from miniclip.training.augmentation import drop_words, erase, keep_patches
from miniclip.training.batches import Batches
from miniclip.training.grad_cache import grad_cache

SMALL = CLIPConfig(
    image_size=32,
    vision_width=32,
    vision_layers=2,
    text_width=32,
    text_layers=1,
    embed_dim=32,
    vocab_size=400,
)
HIDING = Recipe(batch_size=32, erase=0.5, patch_dropout=0.5, word_dropout=0.3)
OPTIONS = {"device": "cpu", "progress": False}


@pytest.fixture(scope="module")
def data():
    return miniclip.data.picturebook(96, seed=1, size=32)


def test_a_rectangle_is_erased_in_the_share_of_pictures_that_was_asked_for():
    torch.manual_seed(0)
    images = torch.rand(400, 3, 20, 20) * 0.4
    erased = erase(images, 0.3, torch.rand(5, 400))
    changed = (erased != images).any(dim=1)  # (B, H, W)
    assert (erased[changed[:, None].expand_as(erased)] == 0.5).all()
    share = changed.flatten(1).any(dim=1).float().mean().item()
    assert abs(share - 0.3) < 0.07
    sizes = changed.flatten(1).float().mean(dim=1)
    assert 0.02 < sizes[sizes > 0].min() and sizes.max() < 0.31  # sides of 0.2 to 0.5
    for picture in changed[sizes > 0]:  # a rectangle has equal rows
        rows = picture[picture.any(dim=1)]
        assert (rows == rows[0]).all()


@pytest.mark.parametrize("share, kept", [(0.5, 18), (0.25, 27), (0.9, 4)])
def test_so_many_patches_are_kept_each_once(share, kept):
    rows = keep_patches(36, share, torch.rand(5, 36))
    assert rows.shape == (5, kept)
    for row in rows.tolist():
        assert row == sorted(set(row)) and 0 <= row[0] and row[-1] < 36
    assert len({tuple(row) for row in rows.tolist()}) == 5


def test_dropped_words_leave_marks_order_and_padding():
    tokens = torch.tensor([[1, 11, 12, 13, 14, 2, 0, 0], [1, 21, 2, 0, 0, 0, 0, 0]])
    chances = torch.ones(2, 8)
    chances[0, 2] = chances[0, 3] = 0.0  # these two go
    chances[:, 0] = chances[0, 5] = chances[1, 2] = 0.0  # marks stay whatever their chance
    expected = [[1, 11, 14, 2, 0, 0, 0, 0], [1, 21, 2, 0, 0, 0, 0, 0]]
    assert drop_words(tokens, 2, 0.5, chances).tolist() == expected
    assert torch.equal(drop_words(tokens, 2, 0.0, torch.rand(2, 8)), tokens)


def test_a_batch_hides_as_the_recipe_says_and_again_the_same(data):
    model = miniclip.checkpoint.new((c for texts in data.captions for c in texts), SMALL)
    parts = (data, model.tokenizer, model.config)
    whole = Batches(*parts, Recipe(batch_size=32), torch.device("cpu"))(3)
    images, tokens, kept = Batches(*parts, HIDING, torch.device("cpu"))(3)
    assert len(whole) == 2 and kept.shape == (32, 8)
    changed = (images != whole[0]).flatten(1).any(dim=1)
    assert 5 < changed.sum() < 27
    words = lambda tokens: (tokens > 2).sum().item()
    assert 0.6 < words(tokens) / words(whole[1]) < 0.8
    again = Batches(*parts, HIDING, torch.device("cpu"))(3)
    assert all(torch.equal(a, b) for a, b in zip((images, tokens, kept), again))


@pytest.mark.parametrize("pool", ["mean", "cls"])
def test_all_patches_in_order_are_the_whole_picture(pool):
    torch.manual_seed(0)
    model = CLIP(CLIPConfig.preset("nano", pool=pool, pre_norm=True)).eval()
    images = torch.randn(3, 3, 48, 48)
    every = torch.arange(36).expand(3, 36)
    assert torch.allclose(model.visual(images, every), model.visual(images), atol=1e-6)
    halves = model.visual(images, every[:, :18]), model.visual(images, every[:, 18:])
    assert not torch.allclose(*halves, atol=1e-2)


def test_gradients_by_chunks_are_the_plain_ones_with_patches_left_out():
    torch.manual_seed(0)
    model = CLIP(SMALL).train()
    images, tokens = torch.randn(20, 3, 32, 32), torch.randint(3, 399, (20, 9))
    tokens[:, -1] = 2
    kept = keep_patches(16, 0.5, torch.rand(20, 16))
    info_nce(*model(images, tokens, kept)).backward()
    expected = {
        name: weight.grad.clone()
        for name, weight in model.named_parameters()
        if weight.grad is not None
    }
    model.zero_grad()
    info_nce(*grad_cache(model, images, tokens, 8, kept=kept)).backward()
    for name, gradient in expected.items():
        assert torch.allclose(dict(model.named_parameters())[name].grad, gradient, atol=1e-5), name


def test_a_training_that_hides_is_resumed_to_the_same_weights(data, tmp_path):
    options = OPTIONS | {"seen": 32 * 8, "recipe": HIDING}
    whole, history = miniclip.train(data, SMALL, **options)
    assert history.rows[-1]["loss"] < history.rows[0]["loss"] + 1

    def stop(model):
        raise KeyboardInterrupt

    out = tmp_path / "half.safetensors"
    with pytest.raises(KeyboardInterrupt):
        miniclip.train(data, SMALL, out=out, save_every=0, eval_fn=stop, eval_at=[0.5], **options)
    resumed, _ = miniclip.train(data, SMALL, out=out, resume=True, **options)
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values()):
        assert torch.equal(a, b)


def test_what_cannot_leave_patches_out_says_so(data):
    recipe = Recipe(batch_size=32, patch_dropout=0.5)
    with pytest.raises(ValueError, match="a ResNet has no patches to leave out"):
        miniclip.train(data, "nano-resnet", seen=64, recipe=recipe, **OPTIONS)
    with pytest.raises(ValueError, match="baselines look at whole pictures"):
        bag_of_words(data, SMALL, seen=64, recipe=recipe, **OPTIONS)
    with pytest.raises(ValueError, match="word_dropout is a share from 0 to 0.9, not 1.5"):
        Recipe(word_dropout=1.5)
