"""Values that cross from one process to the other without being believed.

What a student's process sends must not run anything in the teacher's. So nothing is pickled:
values are taken apart into numbers, strings, lists, dicts and tensors, which PyTorch reads
with `weights_only=True`, and are put together again by the classes named here.
"""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields

import numpy as np
import torch
from tokenizers import Tokenizer as BPE
from torch import Tensor

from miniclip.config import CLIPConfig
from miniclip.data import CaptionedImages, Scene, Thing
from miniclip.model import CLIP
from miniclip.tokenizer import Tokenizer

SEQUENCES = {"list": list, "tuple": tuple, "set": set}
SCENES = {"Thing": Thing, "Scene": Scene}


class CannotCross(TypeError):
    """This kind of value is not handed over; the message names it."""


def take_apart(value, keep: Callable[[object], int] | None = None, models_stay: bool = False):
    """Take a value apart into plain ones.

    Args:
        value: numbers, strings, lists, tuples, sets, dicts, arrays, tensors, scenes, captioned
            pictures or a CLIP; with `keep` also functions, which stay where they are.
        keep: remembers an object and gives its number.
        models_stay: whether models stay where they are, too, instead of being sent.
    Raises:
        CannotCross: for any other value.
    """
    for take in (_numbers, _collections, _ours):
        inner = lambda one: take_apart(one, keep, models_stay)
        if (taken := take(value, inner)) is not NotImplemented:
            return taken
    if models_stay and keep is not None and hasattr(value, "encode_text"):
        return {"kind": "model", "of": keep(value)}
    if isinstance(value, CLIP):
        words = value.tokenizer.bpe.to_str() if value.tokenizer else ""
        config = take_apart(asdict(value.config))
        weights = {name: weight.detach().cpu() for name, weight in value.state_dict().items()}
        return {"kind": "CLIP", "of": [config, weights, words]}
    if keep is not None and callable(value):
        return {"kind": "function", "of": keep(value), **_form(value)}
    raise CannotCross(f"a {type(value).__name__} cannot be handed over")


def _numbers(value, inner: Callable):
    """Numbers, strings, tensors and arrays; NotImplemented for anything else."""
    if isinstance(value, np.generic):  # before float, of which np.float64 is a kind
        return value.item()
    if value is None:
        return None
    for plain in (bool, int, float, str):
        if isinstance(value, plain):
            return plain(value)
    if isinstance(value, Tensor):
        return value.as_subclass(Tensor).detach().cpu().clone()  # no kind of a student's own
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return {"kind": "array", "of": torch.from_numpy(np.array(value))}
    if isinstance(value, np.ndarray) and value.dtype.kind == "U":
        return {"kind": "strings", "of": value.tolist()}
    return NotImplemented


def _collections(value, inner: Callable):
    """Dicts, lists, tuples and sets; NotImplemented for anything else."""
    if isinstance(value, Mapping):
        return {"kind": "dict", "of": [[inner(key), inner(one)] for key, one in value.items()]}
    for kind, sequence in SEQUENCES.items():
        if isinstance(value, sequence):
            return {"kind": kind, "of": [inner(one) for one in value]}
    return NotImplemented


def _ours(value, inner: Callable):
    """Scenes and captioned pictures; NotImplemented for anything else."""
    for kind, scene in SCENES.items():
        if isinstance(value, scene):
            parts = {part.name: inner(getattr(value, part.name)) for part in fields(scene)}
            return {"kind": kind, "of": parts}
    if isinstance(value, CaptionedImages):
        parts = (value.images, value.captions, value.ids, value.facts)
        return {"kind": "CaptionedImages", "of": [inner(part) for part in parts]}
    return NotImplemented


def _form(function: Callable) -> dict:
    """The name of a function and of its parameters, and which of them may be left out."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some built-in functions tell nothing of themselves
        parameters = None
    name = str(getattr(function, "__name__", "function"))
    if parameters is None:
        return {"name": name, "parameters": None}
    each = [[one.name, int(one.kind), one.default is not one.empty] for one in parameters]
    return {"name": name, "parameters": each}


def put_together(plain, remote: Callable[[dict], object] | None = None):
    """The value that `take_apart` took apart.

    Args:
        plain: what it gave.
        remote: makes a stand-in for a function or a model that stayed where it was.
    Raises:
        CannotCross: for anything else, whoever has made it.
    """
    inner = lambda one: put_together(one, remote)
    if plain is None or isinstance(plain, (bool, int, float, str, Tensor)):
        return plain
    if not isinstance(plain, dict) or not {"kind", "of"} <= plain.keys():
        raise CannotCross("what came is nothing that was agreed upon")
    kind, of = plain["kind"], plain["of"]
    if kind in SEQUENCES:
        return SEQUENCES[kind](inner(one) for one in of)
    if kind == "array":
        return of.numpy()
    if kind == "strings":
        return np.array(of)
    if kind == "dict":
        return {inner(key): inner(one) for key, one in of}
    if kind in SCENES:
        return SCENES[kind](**{name: inner(one) for name, one in of.items()})
    if kind == "CaptionedImages":
        return CaptionedImages(*map(inner, of))
    if kind == "CLIP":
        config, weights, words = of
        tokenizer = Tokenizer(BPE.from_str(words)) if words else None
        model = CLIP(CLIPConfig(**inner(config)), tokenizer)
        model.load_state_dict(weights)
        return model.eval()
    if kind in ("function", "model") and remote is not None:
        return remote(plain)
    raise CannotCross(f"a {kind} cannot be handed over")


def to_bytes(plain) -> bytes:
    """Plain values as bytes."""
    buffer = io.BytesIO()
    torch.save(plain, buffer)
    return buffer.getvalue()


def from_bytes(data: bytes):
    """Plain values from bytes. Reading them runs no code, whoever has written them."""
    return torch.load(io.BytesIO(data), weights_only=True)
