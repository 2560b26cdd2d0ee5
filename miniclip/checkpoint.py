"""Checkpoints: one safetensors file with a model's weights, configuration and tokenizer, and,
during training, the optimizer's state.

Two trained models ship with the package, "picturebook" and "photos", and some small ones that the
notebooks compare. `checkpoints/README.md` says what each has learned from, and where the two fail.
Nothing is ever unpickled here: a file from a stranger can be wrong, but it cannot run code. Used in
notebooks 02 and 06.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from miniclip.config import CLIPConfig
from miniclip.device import pick_device
from miniclip.model import CLIP
from miniclip.released import HUB_MODELS
from miniclip.tokenizer import Tokenizer

FORMAT = "miniclip 1"
# Endings of files with weights. A name with another dot in it can still be one of the hub's.
ENDINGS = {".safetensors", ".bin", ".pt", ".pth", ".ckpt"}
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
    """Write a model to one file, either completely or not at all.

    Args:
        model: the model; its configuration and its tokenizer are written with the weights.
        path: the file to write, usually named `*.safetensors`.
        training: what training wants to remember, as values that JSON can hold.
        state: the optimizer's tensors by name, so that training can be resumed.
        half: store floating-point numbers in fp16. That halves the file and rounds each number
            to about three digits.
    Raises:
        OSError: if the file cannot be written; an older file of that name is left as it was.
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
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= state or {}
    if half:
        tensors = {
            name: tensor.half() if tensor.is_floating_point() else tensor
            for name, tensor in tensors.items()
        }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # Write a temporary file and move it into place when it is complete: if the program is stopped
    # halfway, the old checkpoint is still there.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        save_file(tensors, temporary, metadata)
        # safetensors lets only the owner read the file. Give it the permissions of any other new
        # file: 666 without the bits of the umask, which can only be read by setting it.
        os.umask(mask := os.umask(0))
        temporary.chmod(0o666 & ~mask)
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        raise OSError(
            f"could not write {path}: {error}; a checkpoint that was there before is still whole"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def read(path: str | Path) -> tuple[CLIP, dict, dict[str, torch.Tensor]]:
    """Read everything that a checkpoint holds; `load` gives just the model.

    Args:
        path: a file that `save` wrote.
    Returns:
        The model (on the CPU, in fp32 and in evaluation mode), what training remembered, and the
        optimizer's tensors by name.
    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is cut off or is not a miniclip checkpoint, or if its weights do
            not fit its configuration.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no checkpoint at {path}; train one with: python -m miniclip train --out "
            f"{path}, or load one that ships ({', '.join(SHIPPED)}) or one of the hub: python -m "
            "miniclip models"
        )
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path} is not a whole safetensors file ({error}); it may be cut off or of another "
            "format"
        ) from error
    if metadata.get("format") != FORMAT:
        raise ValueError(
            f"{path} is a safetensors file, but not a checkpoint of miniclip (its format is "
            f"{metadata.get('format')!r}, expected {FORMAT!r})"
        )
    try:
        # Checkpoints that do not name the norm of their stem are older than the choice of it.
        config = CLIPConfig(**{"stem_norm": "batch"} | json.loads(metadata["config"]))
        tokenizer = Tokenizer.from_json(metadata["tokenizer"]) if "tokenizer" in metadata else None
        model = CLIP(config, tokenizer)
        weights = {
            name.removeprefix("model."): tensor.float()
            for name, tensor in tensors.items()
            if name.startswith("model.")
        }
        model.load_state_dict(weights)
        training = json.loads(metadata["training"])
    except Exception as error:  # `tokenizers` raises a plain Exception for broken JSON
        raise ValueError(
            f"{path} does not hold what its own configuration asks for: {error}"
        ) from error
    state = {name: tensor for name, tensor in tensors.items() if not name.startswith("model.")}
    return model.eval(), training, state


def new(captions: Iterable[str], preset: str | CLIPConfig = "nano", seed: int = 0) -> CLIP:
    """The model that training starts from: random weights, and a vocabulary learned from captions.

    Args:
        captions: the texts to learn the vocabulary from.
        preset: a name from `PRESETS` or a configuration; its vocab_size is the most pieces that
            may be learned.
        seed: of the random numbers that the weights start with.
    Returns:
        A CLIP on the CPU. Its vocab_size is the number of pieces that were really learned.
    """
    config = CLIPConfig.preset(preset) if isinstance(preset, str) else preset
    tokenizer = Tokenizer.train(captions, config.vocab_size)
    torch.manual_seed(seed)
    return CLIP(replace(config, vocab_size=len(tokenizer), end_token=tokenizer.end), tokenizer)


def with_new_text(
    model: CLIP, captions: Iterable[str], seed: int = 0, vocab_size: int = 4096
) -> CLIP:
    """The model that training starts from when pictures are known and captions are new: the image
    tower of a trained one, a text tower with random weights, and a vocabulary learned from the
    captions. So what was learned on drawings can serve photographs, whose captions have other
    words.

    Args:
        model: a trained CLIP; it is left as it is.
        captions: the texts to learn the vocabulary from.
        seed: of the random numbers that the text tower starts with.
        vocab_size: the most pieces that may be learned.
    Returns:
        A CLIP on the CPU.
    """
    fresh = new(captions, replace(model.config, vocab_size=vocab_size), seed)
    fresh.visual.load_state_dict(model.visual.state_dict())
    return fresh


def _is_pretrained(path: Path) -> bool:
    """Whether a file holds a CLIP whose weights have the names of OpenAI's code, open_clip or
    transformers."""
    if path.suffix == ".bin":
        return path.is_file()
    try:
        with safe_open(path, "pt") as file:
            return (file.metadata() or {}).get("format") != FORMAT and any(
                name.startswith(("visual.", "vision_model.")) for name in file.keys()
            )
    except (SafetensorError, OSError):
        return False


def _is_repository(name: str) -> bool:
    """Whether this is how the Hugging Face hub names its repositories, owner/name, and neither a
    file that exists nor the name of a file of weights."""
    return (
        re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name) is not None
        and not Path(name).exists()
        and Path(name).suffix not in ENDINGS
    )


def load(path: str | Path, device: str | torch.device | None = None) -> CLIP:
    """Load a model, ready to use.

    Args:
        path: one of four things: the name of a model that ships with the package ("picturebook",
            "photos"); the short name of a released one that is fetched from the Hugging Face hub
            ("tinyclip", "openai"; `python -m miniclip models` lists them); a file that `save` or
            training wrote; or another plain CLIP, as a repository of the hub
            ("openai/clip-vit-base-patch32") or as a folder or file that holds it (see
            `pretrained.py`).
        device: where to put the model; by default on the fastest device here, see `pick_device`.
    Returns:
        The model, in evaluation mode.
    Raises:
        FileNotFoundError: if there is no such model.
        ValueError: if the file holds something else (as `read`), or the device does not exist.
    """
    if not Path(path).exists():
        released = HUB_MODELS.get(str(path))
        path = SHIPPED.get(str(path), released.source if released else path)
    if Path(path).is_dir() or _is_repository(str(path)) or _is_pretrained(Path(path)):
        from miniclip.pretrained import load as load_pretrained

        model = load_pretrained(path)
    else:
        model, training, _ = read(path)
        if "rival" in training:
            raise ValueError(
                f"{path} holds a {training['rival']}, which has learned no text tower; load it "
                "with miniclip.evaluation.baselines.load_baseline"
            )
    return model.to(pick_device(device))
