"""Promises of OpenAI's CLIP in our classes: the same numbers as transformers and open_clip, the
same tokens, and nothing missing or left over."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import miniclip
import miniclip.evaluation.probes
from miniclip import pretrained

open_clip = pytest.importorskip(
    "open_clip", reason="parity is tested where open_clip is installed: pip install -e .[bench]"
)
transformers = pytest.importorskip(
    "transformers",
    reason="parity is tested where transformers is installed: pip install -e .[bench]",
)
CAPTIONS = Path(__file__).parents[2] / "shared/data/coco/annotations/captions_val2017_full.json"
MERGES = Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz"
VISION = {
    "image_size": 48,
    "patch_size": 16,
    "hidden_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 512,
}
TEXT = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 1,
    "intermediate_size": 256,
    "vocab_size": 500,
    "max_position_embeddings": 20,
    "eos_token_id": 499,
    "bos_token_id": 498,
}


def batch(size=48, vocab=500, length=20, B=5):
    torch.manual_seed(1)
    tokens = torch.randint(1, vocab - 2, (B, length))
    tokens[:, 0] = vocab - 2
    for row, end in enumerate(torch.randint(3, length, (B,)).tolist()):
        tokens[row, end], tokens[row, end + 1 :] = vocab - 1, 0
    return torch.randn(B, 3, size, size), tokens


def their_transformers():
    torch.manual_seed(0)
    return transformers.CLIPModel(
        transformers.CLIPConfig(projection_dim=32, vision_config=VISION, text_config=TEXT)
    ).eval()


def their_open_clip():
    torch.manual_seed(0)
    vision = {"image_size": 48, "patch_size": 16, "width": 128, "layers": 3, "head_width": 64}
    return open_clip.CLIP(
        32,
        vision,
        {"context_length": 20, "vocab_size": 500, "width": 64, "heads": 1, "layers": 2},
        quick_gelu=True,
    ).eval()


def logits(model, images, tokens):
    if isinstance(model, transformers.CLIPModel):
        return model(
            input_ids=tokens, pixel_values=images, attention_mask=torch.ones_like(tokens)
        ).logits_per_image
    image, text, scale = model(images, tokens)[:3]
    return scale * image @ text.T


@pytest.mark.parametrize("theirs", [their_transformers, their_open_clip])
def test_the_same_weights_give_the_same_numbers_and_gradients(theirs):
    theirs, (images, tokens) = theirs(), batch()
    ours = pretrained.from_state(theirs.state_dict())
    for model in (ours, theirs):
        logits(model, images, tokens).diagonal().sum().backward()
    assert torch.allclose(logits(ours, images, tokens), logits(theirs, images, tokens), atol=1e-4)
    translated = pretrained.translate(
        {name: weight.grad for name, weight in theirs.named_parameters()}
    )
    for name, weight in ours.named_parameters():
        if name != "logit_bias":
            assert torch.allclose(weight.grad, translated[name], atol=1e-4), name


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, size, depth",
    [
        ("ViT-B-32-quickgelu", 224, None),
        ("RN50-quickgelu", 224, None),
        ("ViT-L-14-336-quickgelu", 336, 4),
    ],
)
def test_the_paper_s_shapes(name, size, depth):
    """`depth`: of a model whose 24 layers, all alike, would take most of a minute, the first
    four."""
    torch.manual_seed(0)
    sizes = copy.deepcopy(open_clip.get_model_config(name))
    for tower in ("vision_cfg", "text_cfg"):
        sizes[tower]["layers"] = depth or sizes[tower]["layers"]
    theirs = open_clip.CLIP(**sizes)
    images, tokens = batch(size, 49408, 77, B=2)
    with torch.no_grad():
        theirs.encode_image(images)  # running statistics other than at the start
    theirs.eval()
    ours = pretrained.from_state(theirs.state_dict())
    with torch.inference_mode():
        assert torch.allclose(
            ours.visual(images), theirs.encode_image(images), atol=1e-4
        ) and torch.allclose(ours.text(tokens), theirs.encode_text(tokens), atol=1e-4)
    if name == "ViT-B-32-quickgelu":
        assert ours.config == miniclip.CLIPConfig.preset(
            "base", activation="quick_gelu", end_token=49407
        )


def test_a_small_resnet_learns():
    config = miniclip.CLIPConfig(
        image_size=64,
        resnet=(1, 1, 1, 1),
        vision_width=8,
        vision_heads=4,
        patch_size=32,
        text_width=32,
        text_layers=1,
        embed_dim=32,
        vocab_size=400,
        stem=False,
    )
    data = miniclip.data.picturebook(64, seed=1, size=64)
    model, history = miniclip.train(
        data,
        config,
        seen=32 * 40,
        recipe=miniclip.Recipe(batch_size=32, captions_per_image=1),
        eval_at=4,
        device="cpu",
        progress=False,
    )
    losses = history.column("loss")[1]
    assert losses[-1] < losses[0] - 0.3 and miniclip.probes.features(model, data).shape == (64, 256)
    with pytest.raises(ValueError, match="a ResNet has four stages"):
        miniclip.CLIPConfig(image_size=48, resnet=(1, 1, 1, 1))


STRINGS = [
    "",
    " ",
    "a photo of a dog.",
    "naïve café — “quoted” ‘single’",
    "it's they're we'll I'd",
    "&lt;b&gt; &amp;amp; &eacute;",
    "x" * 500,
    "word " * 200,
    "日本語 テキスト",
    "🚗🐶 emoji 👩‍👩‍👧",
    "3.14 2021-02-26",
    "İstanbul ﬁne ﬂow",
    "tab\tand\nnewline",
    "mojibake: schÃ¶n",
    "ALL CAPS!!! ???",
    "a_b-c/d\\e",
    "\u200bzero\u00a0width",
]


def test_the_same_strings_are_the_same_tokens():
    pytest.importorskip("ftfy")
    theirs, ours = open_clip.get_tokenizer("ViT-B-32"), pretrained.openai_tokenizer(MERGES)
    texts = STRINGS + (
        [note["caption"] for note in json.loads(CAPTIONS.read_text())["annotations"]]
        if CAPTIONS.is_file()
        else []
    )
    assert len(ours) == 49408 and ours.end == 49407
    mine, other = ours(texts, 77, truncate=True), theirs(texts)
    assert torch.equal(mine, other), [
        text for text, a, b in zip(texts, mine, other) if not torch.equal(a, b)
    ][:5]
    assert ours.decode(ours("a photo of a dog.", 77)[0]) == "a photo of a dog ."


@pytest.mark.filterwarnings("ignore:no configuration file")
def test_a_folder_is_loaded_and_saved_as_one_of_ours(tmp_path):
    theirs = their_transformers()
    save_file(
        {name: tensor.contiguous() for name, tensor in theirs.state_dict().items()},
        tmp_path / "model.safetensors",
    )
    model = miniclip.load(tmp_path, "cpu")
    assert model.tokenizer is None and torch.equal(
        model.visual.class_embedding, theirs.vision_model.embeddings.class_embedding
    )
    assert torch.equal(
        miniclip.load(tmp_path / "model.safetensors", "cpu").logit_scale, model.logit_scale
    )  # a single file, too
    picture = np.zeros((40, 60, 3), np.uint8)
    assert model.encode_image(picture).shape == (1, 32)
    miniclip.save(model, tmp_path / "ours.safetensors")
    assert torch.equal(
        miniclip.load(tmp_path / "ours.safetensors", "cpu").encode_image(picture),
        model.encode_image(picture),
    )


@pytest.mark.parametrize(
    "spoil, sentence",
    [
        (
            lambda state: state.pop("visual.ln_post.weight"),
            "do not make a whole CLIP.*visual.ln_post.weight",
        ),
        (lambda state: state.update(mystery=torch.zeros(1)), "mystery is no weight of a CLIP"),
        (lambda state: state.pop("token_embedding.weight"), "not all weights of a CLIP"),
        (
            lambda state: state.update({"ln_final.bias": torch.zeros(3)}),
            "do not make a whole CLIP.*ln_final.bias",
        ),
    ],
)
def test_what_is_missing_or_left_over_is_named(spoil, sentence):
    state = dict(their_open_clip().state_dict())
    spoil(state)
    with pytest.raises(ValueError, match=sentence):
        pretrained.from_state(state)


def test_without_the_internet_one_is_told_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(
        FileNotFoundError,
        match="copy one of .*, model.safetensors, .*, pytorch_model.bin, one of .*merges.txt and "
        r".*config.json of https://huggingface.co/openai/clip-vit-base-patch32 into a folder",
    ):
        miniclip.load("openai/clip-vit-base-patch32")


@pytest.mark.filterwarnings("ignore:no configuration file")
def test_a_repository_without_safetensors_is_read_without_running_anything(monkeypatch, tmp_path):
    """As that of openai/clip-vit-base-patch32 may be: pytorch_model.bin is fetched then, and only
    then."""
    import huggingface_hub

    theirs, asked = their_transformers(), []
    state = dict(theirs.state_dict()) | {
        "vision_model.embeddings.position_ids": torch.arange(5)[None]
    }  # older files have these

    def snapshot(name, allow_patterns):
        asked.append(allow_patterns)
        if "pytorch_model.bin" in allow_patterns:
            torch.save(state, tmp_path / "pytorch_model.bin")
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    for _ in range(2):  # the second time it is in the cache
        model = miniclip.load("openai/clip-vit-base-patch32", "cpu")
        assert torch.equal(
            model.visual.class_embedding, theirs.vision_model.embeddings.class_embedding
        )
    first, last = asked[:-1], asked[-1]
    assert first[-1] == ["pytorch_model.bin"] and len({tuple(names) for names in asked}) == 5
    assert not any(name.endswith((".bin", ".safetensors")) for name in first[0] + last)


class Evil:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_a_pickle_with_code_is_refused_and_runs_nothing(tmp_path):
    torch.save({"text_projection": Evil(tmp_path / "ran")}, tmp_path / "pytorch_model.bin")
    for path in (tmp_path, tmp_path / "pytorch_model.bin"):
        with pytest.raises(ValueError, match="code from a file is never run here"):
            miniclip.load(path)
    (tmp_path / "pytorch_model.bin").write_bytes(
        (tmp_path / "pytorch_model.bin").read_bytes()[:100]
    )
    with pytest.raises(ValueError, match="not a whole file of weights"):
        miniclip.load(tmp_path)
    assert not (tmp_path / "ran").exists()
