"""Read the configuration files that stand beside released weights, as open_clip and transformers
write them.

The weights alone do not tell everything: the activation, the number of attention heads and the way
pictures are prepared leave no trace in them. These files do. Everything that a plain CLIP (paper
2.4) does not have is refused in a sentence, instead of giving wrong numbers. Used in notebook 09.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from miniclip.config import CLIPConfig

OPEN_CLIP, TRANSFORMERS, PREPROCESSOR = (
    "open_clip_config.json",
    "config.json",
    "preprocessor_config.json",
)
CONFIG_FILES = (OPEN_CLIP, TRANSFORMERS, PREPROCESSOR)

# The values that the two libraries mean where a file leaves something out.
OPEN_CLIP_VISION = {
    "image_size": 224,
    "patch_size": 16,
    "width": 768,
    "layers": 12,
    "head_width": 64,
    "mlp_ratio": 4.0,
}
OPEN_CLIP_TEXT = {
    "context_length": 77,
    "vocab_size": 49408,
    "width": 512,
    "heads": 8,
    "layers": 12,
    "mlp_ratio": 4.0,
}
TRANSFORMERS_VISION = {
    "image_size": 224,
    "patch_size": 32,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
    "num_channels": 3,
}
TRANSFORMERS_TEXT = {
    "max_position_embeddings": 77,
    "vocab_size": 49408,
    "hidden_size": 512,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "intermediate_size": 2048,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
}
# Choices of open_clip that a plain CLIP makes in this way. Any other choice is another model.
PLAIN = {
    "pool_type": ("tok", "argmax"),
    "pos_embed_type": ("learnable",),
    "proj_type": ("linear",),
    "block_type": ("default",),
}
# Settings of open_clip that only training uses, or that only count beside a choice that is refused.
WITHOUT_EFFECT = {
    "attn_pooler_heads",
    "attn_pooler_queries",
    "eos_id",
    "hf_model_pretrained",
    "hf_pooler_type",
    "hf_proj_type",
    "pad_id",
    "patch_dropout",
    "timm_drop",
    "timm_pool",
    "timm_proj",
}


def read(folder: Path, library: int) -> dict[str, Any]:
    """What the configuration files in a folder say.

    Args:
        folder: where the weights are.
        library: whose names the weights have: 0 for open_clip or OpenAI's code, 1 for
            transformers. Its files count; the other library's only say what these leave open.
    Returns:
        Fields of `CLIPConfig` by name; empty if there is no such file. `mean`, `std` and `resize`
        are missing if nothing says how pictures are prepared.
    Raises:
        ValueError: if a file asks for something that a plain CLIP does not have.
    """
    readers = (_read_open_clip, _read_transformers)
    try:
        said, other = readers[library](folder), readers[1 - library](folder)
        if not said:
            return other
        # How pictures are prepared may be said in the other library's files alone.
        return {name: other[name] for name in ("mean", "std", "resize") if name in other} | said
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"the configuration files in {folder} are not those of a CLIP: {error}; fetch them "
            "again from where the weights come from"
        ) from error


def refuse_other_models(folder: Path) -> None:
    """Raise a ValueError if the configuration files in a folder are those of another model.

    This needs only these small files, so it is asked before the weights are fetched.
    """
    config = _json(folder / TRANSFORMERS)
    kind = config.get("model_type") or "clip"  # timm's files of this name have no model_type
    model = _json(folder / OPEN_CLIP).get("model_cfg") or {}
    names = (
        (model.get("vision_cfg") or {}).get("timm_model_name"),
        (model.get("text_cfg") or {}).get("hf_tokenizer_name"),
    )
    if kind.startswith("siglip") or any("siglip" in str(name).lower() for name in names):
        raise ValueError(
            f"{folder} holds a SigLIP by its configuration. It would need attention pooling in the "
            "image tower, a text tower that reads in both directions and a sentencepiece "
            "tokenizer, and miniclip has none of these; choose a plain CLIP, for example one that "
            "python -m miniclip models lists"
        )
    if kind != "clip":
        raise ValueError(
            f"{folder} holds a {kind!r} by its {TRANSFORMERS}, expected a 'clip' with both towers; "
            "python -m miniclip models lists some"
        )


def _json(file: Path) -> dict[str, Any]:
    """The contents of a JSON file, or {} if it does not exist."""
    if not file.is_file():
        return {}
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:  # broken JSON, or broken UTF-8
        raise ValueError(f"{file} is not a whole JSON file ({error}); fetch it again") from error
    if not isinstance(config, dict):
        raise ValueError(f"{file} holds a {type(config).__name__}, expected an object with names")
    return config


def _expect(file: str, name: str, value: Any, expected: Any) -> None:
    """Raise a ValueError unless a file says what is expected of a plain CLIP."""
    if value != expected:
        raise ValueError(
            f"{file} says {name} = {value!r}; a plain CLIP has {expected!r} there, and miniclip "
            "can run no other"
        )


def _square(file: str, name: str, size: Any) -> int:
    """A side in pixels from 224, [224, 224] or {"height": 224, "width": 224}."""
    sides = list(size.values()) if isinstance(size, dict) else size
    if isinstance(sides, (list, tuple)):
        _expect(file, name, sides, [sides[0]] * 2)
        return sides[0]
    return sides


# ---------------------------------------------------------------------------- open_clip


def _read_open_clip(folder: Path) -> dict[str, Any]:
    """The fields that open_clip_config.json says, or {}."""
    config = _json(folder / OPEN_CLIP)
    if not config:
        return {}
    model = config["model_cfg"]
    for tower, known in (
        ("", {"embed_dim", "quick_gelu", "vision_cfg", "text_cfg"}),
        ("vision_cfg", OPEN_CLIP_VISION),
        ("text_cfg", OPEN_CLIP_TEXT),
    ):
        for name, value in (model[tower] if tower else model).items():
            plain = not value or value in PLAIN.get(name, ())
            if not plain and name not in known and name not in WITHOUT_EFFECT:
                raise ValueError(
                    f"{OPEN_CLIP} says {name} = {value!r}, which a plain CLIP does not have; "
                    "miniclip cannot run this model"
                )
    vision, text = OPEN_CLIP_VISION | model["vision_cfg"], OPEN_CLIP_TEXT | model["text_cfg"]
    for tower in (vision, text):
        _expect(OPEN_CLIP, "mlp_ratio", tower["mlp_ratio"], 4.0)
    image_size = _square(OPEN_CLIP, "image_size", vision["image_size"])
    return {
        **_open_clip_vision(vision),
        "image_size": image_size,
        "text_width": text["width"],
        "text_layers": text["layers"],
        "text_heads": text["heads"],
        "embed_dim": model["embed_dim"],
        "vocab_size": text["vocab_size"],
        "context_length": text["context_length"],
        "activation": "quick_gelu" if model.get("quick_gelu") else "gelu",
        **_open_clip_pictures(config.get("preprocess_cfg") or {}, image_size),
    }


def _open_clip_vision(vision: dict[str, Any]) -> dict[str, Any]:
    """The fields of the image tower, a vision transformer or a ResNet."""
    width, layers = vision["width"], vision["layers"]
    if isinstance(layers, int):
        return {
            "patch_size": vision["patch_size"],
            "vision_width": width,
            "vision_layers": layers,
            "vision_heads": width // vision["head_width"],
        }
    return {
        "resnet": tuple(layers),
        "vision_width": width,
        "vision_layers": sum(layers),
        "vision_heads": width * 32 // vision["head_width"],
    }


def _open_clip_pictures(said: dict[str, Any], image_size: int) -> dict[str, Any]:
    """The fields that say how pictures are prepared."""
    _expect(OPEN_CLIP, "interpolation", said.get("interpolation", "bicubic"), "bicubic")
    size = _square(OPEN_CLIP, "size", said.get("size", image_size))
    _expect(OPEN_CLIP, "size", size, image_size)
    return {  # without these numbers open_clip takes OpenAI's, which are our defaults, too
        "mean": tuple(said.get("mean") or CLIPConfig.mean),
        "std": tuple(said.get("std") or CLIPConfig.std),
        "resize": said.get("resize_mode") or "shortest",
    }


# ------------------------------------------------------------------------- transformers


def _read_transformers(folder: Path) -> dict[str, Any]:
    """The fields that config.json and preprocessor_config.json say, or {}."""
    config = _json(folder / TRANSFORMERS)
    if "vision_config" not in config and config.get("model_type") != "clip":
        return {}  # there is none, or it is timm's, which describes an image tower in its own way
    vision = _transformers_tower(config, "vision_config", TRANSFORMERS_VISION)
    text = _transformers_tower(config, "text_config", TRANSFORMERS_TEXT)
    _expect(TRANSFORMERS, "num_channels", vision["num_channels"], 3)
    _expect(TRANSFORMERS, "the texts' hidden_act", text["hidden_act"], vision["hidden_act"])
    image_size = _square(TRANSFORMERS, "image_size", vision["image_size"])
    fields = {
        "image_size": image_size,
        "patch_size": _square(TRANSFORMERS, "patch_size", vision["patch_size"]),
        "embed_dim": config.get("projection_dim", 512),
        "vocab_size": text["vocab_size"],
        "context_length": text["max_position_embeddings"],
        "activation": vision["hidden_act"],
    }
    for name, tower in (("vision", vision), ("text", text)):
        fields[f"{name}_width"] = tower["hidden_size"]
        fields[f"{name}_layers"] = tower["num_hidden_layers"]
        fields[f"{name}_heads"] = tower["num_attention_heads"]
    # Older files say 2, which never was the id of the end mark. transformers then reads a text at
    # its highest id, and that is the end mark, the last piece of the vocabulary.
    end = text.get("eos_token_id", 2)
    fields["end_token"] = end if isinstance(end, int) and end != 2 else text["vocab_size"] - 1
    return fields | _transformers_pictures(_json(folder / PREPROCESSOR), image_size)


def _transformers_tower(config: dict[str, Any], name: str, usual: dict[str, Any]) -> dict[str, Any]:
    """What config.json says about a tower; old files say it twice, and then the second counts."""
    tower = usual | (config.get(name) or {}) | (config.get(f"{name}_dict") or {})
    _expect(TRANSFORMERS, "intermediate_size", tower["intermediate_size"], 4 * tower["hidden_size"])
    _expect(TRANSFORMERS, "layer_norm_eps", float(tower["layer_norm_eps"]), 1e-5)
    return tower


def _transformers_pictures(said: dict[str, Any], image_size: int) -> dict[str, Any]:
    """The fields that say how pictures are prepared, or {} if there is no preprocessor file."""
    if not said:
        return {}
    for name, usual in {"do_resize": True, "do_normalize": True, "resample": 3}.items():
        _expect(PREPROCESSOR, name, said.get(name, usual), usual)  # 3 is bicubic
    size = said.get("size", image_size)
    squash = isinstance(size, dict) and "height" in size
    if isinstance(size, dict) and not squash:
        size = size["shortest_edge"]
    _expect(PREPROCESSOR, "size", _square(PREPROCESSOR, "size", size), image_size)
    if not squash:
        _expect(PREPROCESSOR, "do_center_crop", said.get("do_center_crop", True), True)
        crop = _square(PREPROCESSOR, "crop_size", said.get("crop_size", image_size))
        _expect(PREPROCESSOR, "crop_size", crop, image_size)
    return {
        "mean": tuple(said["image_mean"]),
        "std": tuple(said["image_std"]),
        "resize": "squash" if squash else "shortest",
    }
