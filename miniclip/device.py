"""Where to compute, and how precisely."""

from __future__ import annotations

import torch


def pick_device(name: str | torch.device | None = None) -> torch.device:
    """The device of that name; without one the fastest at hand: CUDA, then Apple's MPS, then the
    CPU."""
    best = (
        "cuda"
        if torch.cuda.is_available()
        else "mps"
        if torch.backends.mps.is_available()
        else "cpu"
    )
    try:
        return torch.empty(0, device=name or best).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"there is no device {name!r} here; leave it out to use {best}") from error


PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def pick_precision(device: torch.device, name: str | None = None) -> torch.dtype:
    """The precision of that name; without one bf16 on CUDA cards that have it, fp16 (with loss
    scaling) on older ones, fp32 elsewhere."""
    if name is not None and name not in PRECISIONS:
        raise ValueError(f"precision is one of {', '.join(PRECISIONS)}, not {name!r}")
    if name is None and device.type == "cuda":
        name = "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp16"
    return PRECISIONS[name or "fp32"]
