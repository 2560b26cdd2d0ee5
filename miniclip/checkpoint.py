"""Checkpoints: one safetensors file that holds weights, configuration, tokenizer and, while
training, the optimizer's state.

Two trained models ship with the package, each with a card that says what it learned from and what
it fails at.
Nothing is ever unpickled: a file from a stranger can be wrong, but it cannot run code.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from miniclip.config import CLIPConfig
from miniclip.device import pick_device
from miniclip.model import CLIP
from miniclip.tokenizer import Tokenizer

FORMAT = "miniclip 1"
SHIPPED = {
    path.stem: path
    for path in sorted((Path(__file__).parent / "checkpoints").glob("*.safetensors"))
}


def save(
    model: CLIP,
    path: str | Path,
    training: dict | None = None,
    state: dict[str, torch.Tensor] | None = None,
    half: bool = False,
) -> None:
    """Write a model to one file, whole or not at all (a temporary file is moved into place).

    Args:
        model: the model; its tokenizer goes along.
        path: the file, by custom `*.safetensors`.
        training: what training wants to remember, as JSON-able values.
        state: the optimizer's tensors, for going on later.
        half: store weights in fp16: half the size, and they are rounded to three digits.
    Raises:
        OSError: if it cannot be written; a file that was there before is left as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {
        "format": FORMAT,
        "config": json.dumps(asdict(model.config)),
        "training": json.dumps(training or {}),
    }
    if model.tokenizer is not None:
        metadata["tokenizer"] = model.tokenizer.to_json()
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()} | (
        state or {}
    )
    if half:
        tensors = {
            name: tensor.half() if tensor.is_floating_point() else tensor
            for name, tensor in tensors.items()
        }
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        save_file(
            {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
            temporary,
            metadata,
        )
        os.umask(mask := os.umask(0))
        temporary.chmod(
            0o666 & ~mask
        )  # as any other new file; safetensors would let nobody else read it
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        raise OSError(
            f"could not write {path}: {error}; a checkpoint that was there before is still whole"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def read(path: str | Path) -> tuple[CLIP, dict, dict[str, torch.Tensor]]:
    """Read a checkpoint: the model (on the CPU, in evaluation mode), what training remembered,
    the optimizer's tensors.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is truncated, not a miniclip checkpoint, or its weights do not fit its
            configuration.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no checkpoint at {path}; train one with: python -m miniclip train --out {path}, or load one that ships: {', '.join(SHIPPED)}"
        )
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path} is not a whole safetensors file ({error}); it may be cut off or of another format"
        ) from error
    if metadata.get("format") != FORMAT:
        raise ValueError(
            f"{path} is a safetensors file, but not a checkpoint of miniclip (its format is {metadata.get('format')!r}, expected {FORMAT!r})"
        )
    try:
        config = CLIPConfig(**json.loads(metadata["config"]))
        tokenizer = Tokenizer.from_json(metadata["tokenizer"]) if "tokenizer" in metadata else None
        model = CLIP(config, tokenizer)
        weights = {
            name.removeprefix("model."): tensor.float()
            for name, tensor in tensors.items()
            if name.startswith("model.")
        }
        model.load_state_dict(weights)
        training = json.loads(metadata["training"])
    except Exception as error:  # tokenizers raises a plain Exception for broken JSON
        raise ValueError(
            f"{path} does not hold what its own configuration asks for: {error}"
        ) from error
    return (
        model.eval(),
        training,
        {name: tensor for name, tensor in tensors.items() if not name.startswith("model.")},
    )


def new(captions: Iterable[str], preset: str | CLIPConfig = "nano", seed: int = 0) -> CLIP:
    """A CLIP with random weights, on the CPU, and a vocabulary learned from captions: what every
    training starts from.

    Args:
        captions: the texts to learn the vocabulary from.
        preset: a name from `PRESETS` or a configuration; its vocab_size is the most that may be
            learned.
        seed: decides the weights.
    """
    config = CLIPConfig.preset(preset) if isinstance(preset, str) else preset
    tokenizer = Tokenizer.train(captions, config.vocab_size)
    torch.manual_seed(seed)
    return CLIP(replace(config, vocab_size=len(tokenizer), end_token=tokenizer.end), tokenizer)


def _others(path: Path) -> bool:
    """Whether a file holds a CLIP by the names of OpenAI's code, open_clip or transformers."""
    if path.suffix == ".bin":
        return path.is_file()
    try:
        with safe_open(path, "pt") as file:
            return (file.metadata() or {}).get("format") != FORMAT and any(
                name.startswith(("visual.", "vision_model.")) for name in file.keys()
            )
    except (SafetensorError, OSError):
        return False


def load(path: str | Path, device: str | torch.device | None = None) -> CLIP:
    """Load a model, ready to use.

    Args:
        path: the name of a model that ships with the package ("picturebook", "photos"), a file
            that `save` or training wrote,
            or OpenAI's weights: "openai/clip-vit-base-patch32", or a folder or file that holds
            them (see `openai.py`).
        device: where to put it; by default the fastest here, see `pick_device`.
    Raises:
        FileNotFoundError, ValueError: as `read`, and for a device that is not here.
    """
    if not Path(path).exists():
        path = SHIPPED.get(str(path), path)
    if (
        Path(path).is_dir()
        or str(path).count("/") == 1
        and not Path(path).exists()
        and not Path(path).suffix
        or _others(Path(path))
    ):
        from miniclip.pretrained import load as load_openai

        model = load_openai(path)
    else:
        model, training, _ = read(path)
        if "rival" in training:
            raise ValueError(
                f"{path} holds a {training['rival']}, which has learned no text tower; load it with miniclip.evaluation.baselines.load_baseline"
            )
    return model.to(pick_device(device))
