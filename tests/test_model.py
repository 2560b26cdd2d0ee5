"""Promises of the two towers: sizes, shapes, what is refused, and that trimming texts changes
nothing."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from miniclip import CLIP, PRESETS, CLIPConfig, Tokenizer
from miniclip.attention import attend
from miniclip.model import sincos_2d

SMALL = CLIPConfig(
    image_size=32, vision_width=32, vision_layers=2, text_width=32, embed_dim=16, vocab_size=300
)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return CLIP(SMALL, Tokenizer.train(["a dog on the grass", "a red car"], 300)).eval()


@pytest.mark.parametrize(
    "name, millions, pixels", [("nano", 1.5, 48), ("tiny", 5, 64), ("small", 11, 96)]
)
def test_presets_have_the_sizes_they_claim(name, millions, pixels):
    with torch.device("meta"):
        parameters = sum(weight.numel() for weight in CLIP(CLIPConfig.preset(name)).parameters())
    assert parameters / 1e6 == pytest.approx(millions, rel=0.15)
    assert PRESETS[name].image_size == pixels


def test_base_has_exactly_the_parameters_of_vit_b_32():
    with torch.device("meta"):
        parameters = sum(weight.numel() for weight in CLIP(CLIPConfig.preset("base")).parameters())
    assert (
        parameters == 151_277_313 + 1
    )  # OpenAI's released ViT-B/32, and the bias that only the sigmoid loss uses


@pytest.mark.parametrize("pool", ["cls", "mean"])
@pytest.mark.parametrize("stem", ["group", "batch", ""])
@pytest.mark.parametrize("activation", ["gelu", "quick_gelu"])
def test_every_variant_gives_unit_vectors_and_gradients(pool, stem, activation):
    choices = {"stem": bool(stem), "stem_norm": stem or "group", "pre_norm": bool(stem)}
    model = CLIP(CLIPConfig.preset("nano", pool=pool, activation=activation, **choices))
    images = torch.randint(0, 256, (3, 48, 48, 3), dtype=torch.uint8)
    tokens = torch.tensor([[1, 7, 2, 0], [1, 8, 9, 2], [1, 2, 0, 0]])
    image, text, scale = model(images, tokens)
    assert image.shape == text.shape == (3, 128)
    for vectors in (image, text):
        assert torch.allclose(vectors.norm(dim=1), torch.ones(3), atol=1e-5)
    (scale * (image * text).sum()).backward()
    silent = [
        name
        for name, weight in model.named_parameters()
        if weight.grad is None and name != "logit_bias"
    ]
    assert not silent


def test_trimming_to_the_longest_text_changes_nothing(model):
    tokens = model.tokenizer(
        ["a dog", "a red car on the grass", ""], SMALL.context_length
    )  # (3, 32), mostly padding
    tower, ends = model.text, (tokens == 2).int().argmax(1)
    with torch.inference_mode():
        x = tower.token_embedding(tokens) + tower.positional_embedding  # all 32 places
        x = tower.blocks(x, torch.ones(32, 32, dtype=torch.bool).tril())[torch.arange(3), ends]
        whole = tower.ln_final(x) @ tower.projection
        assert torch.allclose(tower(tokens), whole, atol=1e-6)
        assert torch.allclose(
            tower(tokens[:1]), whole[:1], atol=1e-6
        )  # nor does the company of longer texts


def test_the_last_block_is_spared_what_nobody_reads():
    tower = CLIP(CLIPConfig.preset("nano", pool="cls")).visual
    images, first = torch.randn(3, 3, 48, 48), torch.zeros(3, dtype=torch.long)
    with torch.inference_mode():
        x = tower.embed(images)
        assert torch.allclose(tower.blocks(x, query_index=first), tower.blocks(x)[:, :1], atol=1e-6)


@pytest.mark.parametrize("mask", [None, torch.ones(7, 7, dtype=torch.bool).tril()])
def test_attention_is_the_same_with_and_without_gradients(mask):
    """It takes another way on the CPU where gradients are wanted."""
    q, k, v = (torch.randn(2, 3, 7, 16) for _ in range(3))
    fused = attend(q, k, v, mask)
    written_out = attend(q.requires_grad_(), k, v, mask)
    assert torch.allclose(fused, written_out, atol=1e-6)
    (gradient,) = torch.autograd.grad(written_out.sum(), q)
    (expected,) = torch.autograd.grad(
        torch.nn.functional.scaled_dot_product_attention(q, k, v, mask).sum(), q
    )
    assert torch.allclose(gradient, expected, atol=1e-6)


def test_the_weights_of_attention_are_those_that_it_uses(model):
    """Of each block and head, in both towers; a hidden token gets none."""
    picture = model.preprocess(np.zeros((48, 48, 3), np.uint8))
    tokens = model.tokenizer("a red dog", 12)
    for tower, given in ((model.visual, picture), (model.text, tokens)):
        weights, x = tower.attention(given), tower.embed(given)
        x, mask = x if isinstance(x, tuple) else (x, None)
        assert len(weights) == len(tower.blocks)
        for some, block in zip(weights, tower.blocks):
            attention, normed = block.attention, block.ln_1(x)
            gathered = some @ attention.split(attention.value(normed))  # (1, heads, N, D/H)
            gathered = attention.out(gathered.transpose(1, 2).flatten(2))
            assert torch.allclose(gathered, attention(normed, normed, mask), atol=1e-5)
            assert torch.allclose(some.sum(-1), torch.ones(()))
            assert mask is None or not some[..., ~mask].any()
            x = block(x, mask)


def test_what_stands_behind_the_end_mark_is_never_read(model):
    tokens = model.tokenizer("a dog", SMALL.context_length)
    scribbled = tokens.clone()
    end = int((tokens == 2).int().argmax())
    scribbled[0, end + 1 :] = torch.randint(3, 299, (SMALL.context_length - end - 1,))
    changed = tokens.clone()
    changed[0, end - 1] = 77
    with torch.inference_mode():
        assert torch.equal(model.text(tokens), model.text(scribbled))
        assert not torch.allclose(model.text(tokens), model.text(changed))


def test_temperature_starts_as_in_the_paper(model):
    assert model.logit_scale.item() == pytest.approx(math.log(1 / 0.07))


def test_positions_start_as_sines_and_cosines_of_row_and_column():
    grid = sincos_2d(6, 32)
    assert grid.shape == (36, 32) and grid.abs().max() <= 1
    assert len(torch.unique(grid, dim=0)) == 36
    assert torch.allclose(grid[7, :16], grid[6, :16]) and torch.allclose(
        grid[7, 16:], grid[1, 16:]
    )  # same row; same column
    assert torch.allclose(
        CLIP(PRESETS["nano"]).visual.positional_embedding, sincos_2d(6, 128) * 0.1
    )


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"image_size": 50}, "50 is not a multiple of patch_size 8"),
        ({"vision_heads": 3}, "vision_width 128 cannot be shared by 3 heads"),
        ({"text_heads": 5}, "text_width 128 cannot be shared by 5 heads"),
        ({"text_layers": 0}, "text_layers must be a whole number of at least 1, not 0"),
        ({"embed_dim": 1.5}, "embed_dim must be a whole number"),
        ({"vision_width": 126, "vision_heads": 3, "stem": False}, "must be a multiple of 4"),
        ({"patch_size": 6}, "patch_size must be a power of 2, not 6"),
        ({"pool": "max"}, "pool is one of cls, mean"),
        ({"activation": "relu"}, "activation is one of gelu, quick_gelu"),
        ({"stem_norm": "layer"}, "stem_norm is one of group, batch"),
        ({"context_length": 2}, "at least 3 tokens"),
        ({"end_token": 5000}, "end_token 5000"),
    ],
)
def test_configurations_that_cannot_be_built_are_refused_with_a_sentence(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        CLIPConfig.preset("nano", **changes)


def test_an_unknown_preset_is_refused_with_a_sentence():
    with pytest.raises(
        ValueError, match="no preset 'huge'; there are nano, tiny, nano-resnet, small, base"
    ):
        CLIPConfig.preset("huge")


def test_a_tokenizer_that_does_not_fit_is_refused(model):
    with pytest.raises(ValueError, match="expects at most 100 and id 2"):
        CLIP(CLIPConfig.preset("nano", vocab_size=100), model.tokenizer)


# ---- what goes in


def test_all_ways_to_hand_over_a_picture_agree(model):
    array = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    pil = Image.fromarray(array)
    ways = [
        array,
        array[None],
        torch.from_numpy(array),
        pil,
        [pil],
        [array],
        model.preprocess(array),
    ]
    with torch.inference_mode():
        features = [model.encode_image(way) for way in ways]
    assert all(torch.allclose(features[0], other, atol=1e-6) for other in features[1:])


def test_preprocessing_resizes_the_shorter_side_crops_the_centre_and_normalises(model):
    wide = np.zeros((64, 192, 3), np.uint8)
    wide[:, 64:128] = (255, 0, 255)  # the centre, which is all that is kept
    x = model.preprocess(wide)
    expected = (torch.tensor([1.0, 0.0, 1.0]) - torch.tensor(SMALL.mean)) / torch.tensor(SMALL.std)
    assert x.shape == (1, 3, 32, 32) and x.dtype == torch.float32
    assert torch.allclose(x[0, :, 16, 16], expected, atol=0.02)
    assert model.preprocess(wide.transpose(1, 0, 2)).shape == (1, 3, 32, 32)


def test_pictures_of_several_sizes_and_modes_go_in_together(model):
    pictures = [
        Image.new("RGBA", (40, 50), "red"),
        Image.new("L", (90, 33)),
        Image.new("CMYK", (32, 32)),
    ]
    assert model.encode_image(pictures).shape == (3, 16)


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((32, 32), np.uint8), np.zeros((1, 32, 32, 4), np.uint8), np.zeros((32, 32, 3)), []],
)
def test_what_is_no_picture_is_refused_with_a_sentence(model, wrong):
    with pytest.raises(ValueError, match="expected pictures as PIL images or uint8"):
        model.encode_image(wrong)


def test_strings_and_their_tokens_give_the_same_vectors(model):
    texts = ["a dog", "a red car"]
    assert torch.equal(
        model.encode_text(texts), model.encode_text(model.tokenizer(texts, SMALL.context_length))
    )
    assert torch.allclose(model.encode_text("a dog"), model.encode_text(texts)[:1], atol=1e-6)


def test_a_model_without_tokenizer_says_so():
    with pytest.raises(ValueError, match="has no tokenizer"):
        CLIP(SMALL).encode_text("a dog")
