"""Promises of plain CLIPs that others have released: their configuration files count, a short name
is enough, and what is no plain CLIP is refused in a sentence."""

import importlib
import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import miniclip
from miniclip import hub_config, pretrained
from miniclip.released import HUB_MODELS, SHIPPED_MODELS

OPENAI = {
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
}
HALF = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 12}
VISION = {"image_size": 224, "layers": 12, "width": 768, "patch_size": 32}

# The configuration files as published. Read word by word on pages of the hub: those of "openai" and
# "datacomp", the preprocessor_config.json of TinyCLIP, and, for "laion2b", those of models that
# were fine-tuned from it. A CommonPool repository lists a file of the same 469 bytes as that of
# "datacomp"; its sisters are taken to be like it. Of TinyCLIP's config.json the sizes are those in
# its authors' code; that its activation is quick_gelu could not be read anywhere.
DATACOMP = {
    "open_clip_config.json": {
        "model_cfg": {"embed_dim": 512, "vision_cfg": VISION, "text_cfg": TEXT},
        "preprocess_cfg": OPENAI,
    }
}


def tinyclip(width, layers, text_width, text_layers):
    return {
        "config.json": {
            "architectures": ["CLIPModel"],
            "model_type": "clip",
            "projection_dim": 512,
            "text_config": {
                "eos_token_id": 2,
                "hidden_act": "quick_gelu",
                "hidden_size": text_width,
                "intermediate_size": 4 * text_width,
                "num_attention_heads": text_width // 64,
                "num_hidden_layers": text_layers,
            },
            "vision_config": {
                "hidden_act": "quick_gelu",
                "hidden_size": width,
                "intermediate_size": 4 * width,
                "num_attention_heads": width // 64,
                "num_hidden_layers": layers,
                "patch_size": 16,
            },
        },
        "preprocessor_config.json": {
            "crop_size": 224,
            "do_center_crop": True,
            "do_normalize": True,
            "do_resize": True,
            "image_mean": OPENAI["mean"],
            "image_std": OPENAI["std"],
            "resample": 3,
            "size": 224,
        },
    }


PUBLISHED = {
    "tinyclip": tinyclip(256, 10, 256, 3),
    "tinyclip-39m": tinyclip(512, 12, 512, 6),
    "openai": {
        "open_clip_config.json": {
            "model_cfg": {
                "embed_dim": 512,
                "quick_gelu": True,
                "vision_cfg": VISION,
                "text_cfg": TEXT,
            },
            "preprocess_cfg": OPENAI | {"interpolation": "bicubic", "resize_mode": "shortest"},
        },
        "config.json": {"architecture": "vit_base_patch32_clip_224", "num_classes": 512},  # timm's
    },
    "laion2b": DATACOMP
    | {
        "config.json": {
            "model_type": "clip",
            "text_config": {"hidden_act": "gelu"},
            "vision_config": {"hidden_act": "gelu"},
        }
    },
}
BASE = miniclip.CLIPConfig.preset("base", end_token=49407)
TINY = replace(BASE, activation="quick_gelu", patch_size=16)
EXPECTED = {
    "tinyclip": replace(
        TINY,
        vision_width=256,
        vision_layers=10,
        vision_heads=4,
        text_width=256,
        text_layers=3,
        text_heads=4,
    ),
    "tinyclip-39m": replace(TINY, vision_width=512, vision_heads=8, text_layers=6),
    "openai": replace(BASE, activation="quick_gelu"),
}


def write(folder, files):
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("name", HUB_MODELS)
def test_the_published_files_of_every_short_name_give_its_configuration(name, tmp_path):
    expected = EXPECTED.get(name, BASE)
    write(tmp_path, PUBLISHED.get(name, DATACOMP))
    hub_config.refuse_other_models(tmp_path)
    with torch.device("meta"):  # shapes without numbers
        weights = miniclip.CLIP(expected).state_dict()
    for library in (0, 1):  # whichever library's weights are fetched
        said = hub_config.read(tmp_path, library)
        assert pretrained.configuration(weights, "quick_gelu", said) == expected
        assert said["mean"] == tuple(OPENAI["mean"]) and said["std"] == tuple(OPENAI["std"])
        assert said["resize"] == "shortest"


@pytest.mark.parametrize("name", ["RN50x4-quickgelu", "ViT-L-14-336-quickgelu", "ViT-H-14"])
def test_resnets_and_other_widths_are_read_from_open_clip_s_own_files(name, libraries, tmp_path):
    sizes = libraries[0].get_model_config(name)
    with torch.device("meta"):
        weights = pretrained.translate(libraries[0].CLIP(**sizes).state_dict())
    write(tmp_path, {"open_clip_config.json": {"model_cfg": sizes}})
    config = pretrained.configuration(weights, said=hub_config.read(tmp_path, 0))
    vision, text = sizes["vision_cfg"], sizes["text_cfg"]
    assert config.image_size == vision["image_size"] and config.text_heads == text["heads"]
    assert config.activation == ("quick_gelu" if name.endswith("quickgelu") else "gelu")
    channels = vision["width"] * (32 if config.resnet else 1)
    assert config.vision_heads * vision.get("head_width", 64) == channels
    assert list(config.resnet or [config.vision_layers]) == (
        vision["layers"] if config.resnet else [vision["layers"]]
    )


# ------------------------------------------------------------------------------ parity


@pytest.fixture(scope="module")
def libraries():
    """transformers and open_clip, and OpenAI's vocabulary, which is in open_clip's wheel."""
    reason = "parity is tested where {} is installed: pip install -e .[bench]"
    open_clip = pytest.importorskip("open_clip", reason=reason.format("open_clip"))
    transformers = pytest.importorskip("transformers", reason=reason.format("transformers"))
    merges = Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz"
    return open_clip, transformers, pretrained.openai_tokenizer(merges)


def their_tokenizer(libraries):
    """The class of transformers, whose save_pretrained writes tokenizer.json for both libraries."""
    whole = json.loads(libraries[2].to_json())["model"]
    pairs = [tuple(pair) for pair in whole["merges"]]
    return libraries[1].CLIPTokenizer(vocab=whole["vocab"], merges=pairs)


def write_transformers(folder, libraries):
    """A small CLIP with heads of 32 channels, gelu and other pixel statistics than OpenAI's."""
    transformers = libraries[1]
    sizes = {"num_hidden_layers": 2, "hidden_act": "gelu"}
    vision = {"hidden_size": 128, "num_attention_heads": 4, "intermediate_size": 512}
    text = {"hidden_size": 64, "num_attention_heads": 2, "intermediate_size": 256}
    torch.manual_seed(0)
    config = transformers.CLIPConfig(
        projection_dim=32,
        vision_config=sizes | vision | {"image_size": 48, "patch_size": 16},
        text_config=sizes | text | {"vocab_size": 49408},
    )
    theirs = transformers.CLIPModel(config).eval()
    theirs.save_pretrained(folder)
    processor = transformers.CLIPImageProcessor(
        size={"shortest_edge": 48}, crop_size=48, image_mean=HALF["mean"], image_std=HALF["std"]
    )
    processor.save_pretrained(folder)
    their_tokenizer(libraries).save_pretrained(folder)

    def encode(picture, tokens):
        pixels = processor(picture, return_tensors="pt")["pixel_values"]
        out = theirs(input_ids=tokens, pixel_values=pixels)
        return out.image_embeds, out.text_embeds

    return encode


def write_open_clip(folder, libraries):
    """The same in open_clip's layout; its pictures are squeezed into a square."""
    open_clip = libraries[0]
    torch.manual_seed(0)
    config = {
        "embed_dim": 32,
        "vision_cfg": {
            "image_size": 48,
            "patch_size": 16,
            "width": 128,
            "layers": 2,
            "head_width": 32,
        },
        "text_cfg": TEXT | {"width": 64, "heads": 2, "layers": 2},
    }
    theirs = open_clip.CLIP(**config).eval()
    pictures = HALF | {"size": 48, "interpolation": "bicubic", "resize_mode": "squash"}
    open_clip.model.set_model_preprocess_cfg(theirs, pictures)
    save_for_hf = importlib.import_module("open_clip.push_to_hf_hub").save_for_hf
    save_for_hf(theirs, their_tokenizer(libraries), config, folder)
    transform = open_clip.transform
    prepare = transform.image_transform_v2(transform.PreprocessCfg(**pictures), is_train=False)

    def encode(picture, tokens):
        return (
            theirs.encode_image(prepare(picture)[None], normalize=True),
            theirs.encode_text(tokens, normalize=True),
        )

    return encode


@pytest.mark.parametrize("layout", [write_transformers, write_open_clip])
def test_a_folder_as_its_library_writes_it_gives_the_same_numbers(layout, libraries, tmp_path):
    """Texts agree but for rounding. A picture is resized by another program, in whole grey levels,
    so it differs a little more, but less than if any of what the files say were not heeded."""
    pytest.importorskip("ftfy")
    encode = layout(tmp_path, libraries)
    (tmp_path / "merges.txt").unlink(missing_ok=True)  # as TinyCLIP: tokenizer.json alone
    (tmp_path / "vocab.json").unlink(missing_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is guessed
        ours = miniclip.load(tmp_path, "cpu")
    assert (ours.config.activation, ours.config.mean) == ("gelu", (0.5, 0.5, 0.5))
    assert (ours.config.vision_heads, ours.config.text_heads) == (4, 2)
    noise = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    picture = Image.fromarray(noise).resize((90, 60), Image.Resampling.BICUBIC)
    texts = ["a photo of a dog.", "naïve café, 3 dogs’ <b>bones</b>!"]
    tokens = libraries[0].get_tokenizer("ViT-B-32")(texts)
    assert torch.equal(ours.tokenizer(texts, 77), tokens)
    with torch.inference_mode():
        image, text = encode(picture, tokens)
        assert torch.allclose(ours.encode_text(texts), text, atol=1e-5)
        assert (ours.encode_image(picture) - image).abs().max() < 1e-3
        for wrong in (
            OPENAI,
            {"resize": "squash" if ours.config.resize == "shortest" else "shortest"},
            {"vision_heads": 2},
            {"activation": "quick_gelu"},
        ):
            other = miniclip.CLIP(replace(ours.config, **wrong))
            other.load_state_dict(ours.state_dict())
            assert (other.encode_image(picture) - image).abs().max() > 1e-3, wrong


def test_every_kind_of_vocabulary_file_gives_the_same_tokens(libraries, tmp_path):
    tokenizer = libraries[2]
    whole = json.loads(tokenizer.to_json())
    model, texts = whole["model"], ["it's 2 naïve dogs", "<|endoftext|> 🐶 日本語", "  A\tB  "]
    pairs = model["merges"]
    older = {"vocab": model["vocab"], "merges": [" ".join(pair) for pair in pairs]}
    older["end_of_word_suffix"] = "</w>"
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    files = [
        tmp_path / "merges.txt",
        write(tmp_path / "old", {"tokenizer.json": {"model": older}}) / "tokenizer.json",
        write(tmp_path / "new", {"tokenizer.json": whole}) / "tokenizer.json",
    ]
    files[0].write_text("\n".join(["#version: 0.2", *older["merges"]]), encoding="utf-8")
    for file in files:
        again = pretrained.openai_tokenizer(file)
        assert torch.equal(again(texts, 77), tokenizer(texts, 77)), file
        assert again.decode(again("a photo of a dog.", 77)[0]) == "a photo of a dog ."


# ------------------------------------------------------------------- what is not right


@pytest.fixture(scope="module")
def small(libraries):
    """The state of a small model of open_clip, and the file that describes it."""
    said = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "patch_size": 16, "width": 64, "layers": 1},
        "text_cfg": {
            "context_length": 8,
            "vocab_size": 50,
            "width": 64,
            "heads": 1,
            "layers": 1,
        },
    }
    state = libraries[0].CLIP(**said).state_dict()
    return {name: weight.contiguous() for name, weight in state.items()}, {"model_cfg": said}


def changed(said, path, value):
    said = json.loads(json.dumps(said))
    *parents, last = path.split(".")
    place = said
    for name in parents:
        place = place.setdefault(name, {})
    place[last] = value
    return said


def test_what_no_file_says_is_guessed_aloud(small, tmp_path):
    state, said = small
    save_file(state, tmp_path / "open_clip_model.safetensors")
    with pytest.warns(UserWarning, match="a model like OpenAI's, with quick_gelu .*, heads of 64"):
        assert miniclip.load(tmp_path, "cpu").config.activation == "quick_gelu"
    write(tmp_path, {"open_clip_config.json": said})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert miniclip.load(tmp_path, "cpu").config.activation == "gelu"


@pytest.mark.parametrize(
    "path, value, sentence",
    [
        ("model_cfg.vision_cfg.width", 128, "says vision_width = 128, but the weights have 64"),
        ("model_cfg.text_cfg.layers", 2, "says text_layers = 2, but the weights have 1"),
        ("model_cfg.text_cfg.context_length", 77, "says context_length = 77, .* have 8"),
        ("model_cfg.vision_cfg.layers", [1, 1, 1, 1], "says .*another model"),
        ("model_cfg.vision_cfg.head_width", 48, None),  # 64 // 48 is 1
        ("model_cfg.text_cfg.heads", 3, "text_width 64 cannot be shared by 3 heads"),
        ("model_cfg.vision_cfg.attentional_pool", True, "attentional_pool = True, which a plain"),
        ("model_cfg.vision_cfg.no_ln_pre", True, "no_ln_pre = True, which a plain CLIP does not"),
        ("model_cfg.vision_cfg.mlp_ratio", 3.7, "mlp_ratio = 3.7; a plain CLIP has 4.0"),
        ("model_cfg.text_cfg.no_causal_mask", True, "no_causal_mask = True"),
        ("model_cfg.text_cfg.pool_type", "last", "pool_type = 'last'"),
        ("model_cfg.text_cfg.hf_model_name", "roberta-base", "hf_model_name = 'roberta-base'"),
        ("model_cfg.custom_text", True, "custom_text = True"),
        ("model_cfg.text_cfg.norm_kwargs", {"eps": 1e-6}, "norm_kwargs"),
        ("preprocess_cfg.interpolation", "bilinear", "interpolation = 'bilinear'"),
        ("preprocess_cfg.resize_mode", "longest", "resize is one of shortest, squash"),
        ("preprocess_cfg.size", 64, "size = 64; a plain CLIP has 32"),
        ("model_cfg", None, "not those of a CLIP"),
        ("model_cfg.vision_cfg.patch_dropout", 0.5, None),
        ("model_cfg.text_cfg.pool_type", "argmax", None),
    ],
)
def test_a_file_that_does_not_fit_is_refused(path, value, sentence, small, tmp_path):
    state, said = small
    save_file(state, tmp_path / "open_clip_model.safetensors")
    write(tmp_path, {"open_clip_config.json": changed(said, path, value)})
    if sentence is None:
        assert miniclip.load(tmp_path, "cpu").config.vision_heads == 1
        return
    with pytest.raises(ValueError, match=sentence):
        miniclip.load(tmp_path, "cpu")


@pytest.mark.parametrize(
    "path, value, sentence",
    [
        ("vision_config.intermediate_size", 1000, "intermediate_size = 1000; .* has 1024"),
        ("vision_config.layer_norm_eps", 1e-6, "layer_norm_eps = 1e-06"),
        ("text_config.hidden_act", "gelu", "the texts' hidden_act = 'gelu'; .* 'quick_gelu'"),
        ("text_config_dict.hidden_act", "gelu", "the texts' hidden_act = 'gelu'"),
        ("preprocessor.crop_size", {"height": 256, "width": 256}, "crop_size = 256"),
        ("preprocessor.size", {"shortest_edge": 256}, "size = 256; a plain CLIP has 224"),
        ("preprocessor.resample", 2, "resample = 2"),
        ("preprocessor.do_normalize", False, "do_normalize = False"),
    ],
)
def test_transformers_files_are_checked_likewise(path, value, sentence, tmp_path):
    files = tinyclip(256, 10, 256, 3)
    name = "preprocessor_config.json" if path.startswith("preprocessor") else "config.json"
    files[name] = changed(files[name], path.removeprefix("preprocessor."), value)
    with pytest.raises(ValueError, match=sentence):
        hub_config.read(write(tmp_path, files), 1)


def test_a_broken_or_foreign_file_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "cl')
    with pytest.raises(ValueError, match="config.json is not a whole JSON file"):
        hub_config.read(tmp_path, 1)
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"type": "Unigram"}}))
    with pytest.raises(ValueError, match="does not hold OpenAI's byte-pair encoding"):
        pretrained.openai_tokenizer(tmp_path / "tokenizer.json")


# ----------------------------------------------------------------------------- the hub


SIGLIP = {
    "google/siglip-base-patch16-224": {
        "config.json": {"model_type": "siglip", "vision_config": {}, "text_config": {}}
    },
    "timm/ViT-B-16-SigLIP": {
        "open_clip_config.json": {
            "model_cfg": {
                "embed_dim": 768,
                "init_logit_bias": -10,
                "custom_text": True,
                "vision_cfg": {"timm_model_name": "vit_base_patch16_siglip_224"},
                "text_cfg": {"hf_tokenizer_name": "timm/ViT-B-16-SigLIP"},
            }
        }
    },
    "google/siglip2-so400m": {"config.json": {"model_type": "siglip2"}},
}


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub without a network: `asked` lists (repository, files), `files` is what it has."""
    import huggingface_hub

    class Hub:
        asked, files, folder = [], {}, tmp_path / "cache"

    def snapshot(name, allow_patterns):
        Hub.asked.append((name, list(allow_patterns)))
        Hub.folder.mkdir(exist_ok=True)
        for file, content in Hub.files.items():
            if file in allow_patterns:
                (Hub.folder / file).write_bytes(content)
        return str(Hub.folder)

    Hub.asked = []
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    monkeypatch.chdir(tmp_path)
    return Hub


@pytest.mark.parametrize("name", SIGLIP)
def test_a_siglip_is_refused_before_its_weights_are_fetched(name, hub):
    hub.files = {file: json.dumps(said).encode() for file, said in SIGLIP[name].items()}
    sentence = "a SigLIP by its .* attention pooling .* both directions and a sentencepiece"
    with pytest.raises(ValueError, match=sentence):
        miniclip.load(name)
    assert len(hub.asked) == 1 and not any("safetensors" in file for file in hub.asked[0][1])


def test_only_one_file_of_weights_is_fetched_and_no_pickle_without_need(hub, small, tmp_path):
    state, said = small
    save_file(state, tmp_path / "weights")
    safe = (tmp_path / "weights").read_bytes()
    hub.files = {
        "open_clip_config.json": json.dumps(said).encode(),
        "open_clip_model.safetensors": safe,
        "model.safetensors": b"timm's image tower alone",
        "pytorch_model.bin": b"a pickle",
    }
    assert miniclip.load("timm/vit_base_patch32_clip_224.openai", "cpu").config.vocab_size == 50
    assert [file for _, files in hub.asked[1:] for file in files] == ["open_clip_model.safetensors"]


@pytest.mark.parametrize(
    "name",
    [
        *HUB_MODELS,
        "timm/vit_base_patch32_clip_224.openai",
        "laion/CLIP-ViT-B-32-DataComp.XL-s13B-b90K",
        "openai/clip-vit-base-patch32",
    ],
)
def test_short_names_and_ids_with_a_dot_are_asked_for_at_the_hub(name, hub):
    with pytest.raises(FileNotFoundError, match="has none of"):
        miniclip.load(name)
    assert {asked for asked, _ in hub.asked} == {
        HUB_MODELS[name].source if name in HUB_MODELS else name
    }


def test_files_come_before_the_hub(hub, tmp_path):
    model = miniclip.checkpoint.new(["a dog", "a cat"] * 9)
    for path in (tmp_path / "timm" / "vit.openai", tmp_path / "tinyclip"):
        miniclip.save(model, path)
    for name in ("timm/vit.openai", "tinyclip"):
        assert torch.equal(miniclip.load(name, "cpu").text.projection, model.text.projection)
    with pytest.raises(FileNotFoundError, match="no checkpoint at runs/first.safetensors.*models"):
        miniclip.load("runs/first.safetensors")
    assert not hub.asked


def test_the_table_of_names():
    assert set(SHIPPED_MODELS) <= set(miniclip.checkpoint.SHIPPED)
    assert not set(HUB_MODELS) & set(miniclip.checkpoint.SHIPPED)
    for model in HUB_MODELS.values():
        assert model.source.count("/") == 1 and model.megabytes and model.data and model.licence
