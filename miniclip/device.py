"""Where to compute, and how precisely.

By default that is the fastest device on this machine and the precision that suits it. The paper
trains in mixed precision (section 2.5).
"""

from __future__ import annotations

import torch


def pick_device(name: str | torch.device | None = None) -> torch.device:
    """The device with this name, or the fastest one here.

    Args:
        name: "cuda", "cuda:1", "mps", "cpu", ...; None takes CUDA if there is a card, else Apple's
            MPS, else the CPU.
    Returns:
        The device, with its number if it has one ("cuda" becomes "cuda:0").
    Raises:
        ValueError: if there is no such device on this machine.
    """
    best = (
        "cuda"
        if torch.cuda.is_available()
        else "mps"
        if torch.backends.mps.is_available()
        else "cpu"
    )
    try:
        # Making an empty tensor there is the simplest proof that the device exists.
        return torch.empty(0, device=name or best).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"there is no device {name!r} here; leave it out to use {best}") from error


PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def pick_precision(device: torch.device, name: str | None = None) -> torch.dtype:
    """The precision with this name, or the one that suits the device.

    Args:
        device: where the computing is done.
        name: "fp32", "bf16" or "fp16"; None takes bf16 on CUDA cards that have it, fp16 on older
            CUDA cards (training scales the loss then), and fp32 everywhere else.
    Returns:
        The dtype.
    Raises:
        ValueError: for any other name.
    """
    if name is not None and name not in PRECISIONS:
        raise ValueError(f"precision is one of {', '.join(PRECISIONS)}, not {name!r}")
    if name is None and device.type == "cuda":
        # bf16 came with compute capability 8.0 (Ampere).
        name = "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp16"
    return PRECISIONS[name or "fp32"]


def cpu_has_bf16() -> bool:
    """Whether this machine's CPU multiplies matrices in bf16 (AVX-512 BF16 or AMX). Elsewhere bf16
    is emulated, and slower than fp32."""
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
