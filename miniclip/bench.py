"""Measuring speed: our model beside open_clip's and transformers' of the same size, alternating in one run, medians told.

A step is forward, loss, backward and optimizer on random pictures and texts: no data set, so that only the model is timed.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from .loss import info_nce
from .model import CLIP, CLIPConfig

STATUS = Path("/proc/self/status")
TEXT_TOKENS = 16  # of the context; the rest is padding, as in short captions


@dataclass(frozen=True)
class Speed:
    """`images_per_second` and `seconds` a step (medians over the rounds), `gemm_share` of the fp32 matrix-product rate where operations
    were counted, `memory` at the peak in MB where it was measured."""

    images_per_second: float
    seconds: float
    gemm_share: float | None = None
    memory: float | None = None


def gemm_rate(size: int = 2048, tries: int = 5) -> float:
    """The rate of this machine's matrix product in fp32, in operations a second: the best of some products of size x size."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    best = min(_seconds(lambda: a @ b) for _ in range(tries + 1))
    return 2 * size**3 / best


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def count_flops(step: Callable[[], object]) -> float:
    """The operations of one step (two for a multiplication and an addition), counted by PyTorch's own counter."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        step()
    return float(counter.get_total_flops())


def ours(config: CLIPConfig) -> nn.Module:
    """Our model; gives (image features, text features, inverse temperature) for a batch."""
    return CLIP(config)


def open_clips(config: CLIPConfig) -> nn.Module:
    """open_clip's model of the same sizes."""
    from open_clip import CLIP as OpenCLIP

    return OpenCLIP(
        embed_dim=config.embed_dim,
        vision_cfg={"image_size": config.image_size, "layers": config.vision_layers, "width": config.vision_width, "patch_size": config.patch_size,
                    "head_width": config.vision_width // config.vision_heads},
        text_cfg={"context_length": config.context_length, "vocab_size": config.vocab_size, "width": config.text_width, "heads": config.text_heads,
                  "layers": config.text_layers})


class _HuggingFace(nn.Module):
    def __init__(self, config: CLIPConfig):
        super().__init__()
        from transformers import CLIPConfig as Config
        from transformers import CLIPModel

        self.model = CLIPModel(Config(
            projection_dim=config.embed_dim,
            vision_config={"image_size": config.image_size, "num_hidden_layers": config.vision_layers, "hidden_size": config.vision_width, "patch_size": config.patch_size,
                           "num_attention_heads": config.vision_heads, "intermediate_size": 4 * config.vision_width},
            text_config={"max_position_embeddings": config.context_length, "vocab_size": config.vocab_size, "hidden_size": config.text_width, "eos_token_id": 2,
                         "num_attention_heads": config.text_heads, "num_hidden_layers": config.text_layers, "intermediate_size": 4 * config.text_width}))

    def forward(self, images, tokens):
        out = self.model(input_ids=tokens, pixel_values=images)
        return out.image_embeds, out.text_embeds, self.model.logit_scale.exp()


PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
RIVALS: dict[str, Callable[[CLIPConfig], nn.Module]] = {"miniclip": ours, "open_clip": open_clips, "transformers": _HuggingFace}


def training_step(model: nn.Module, config: CLIPConfig, batch_size: int, precision: torch.dtype) -> Callable[[], None]:
    """A function that does one step of training on one random batch, with AdamW for everyone."""
    images = torch.randn(batch_size, 3, config.image_size, config.image_size)
    tokens = torch.randint(3, config.vocab_size - 1, (batch_size, config.context_length))
    tokens[:, 0], tokens[:, TEXT_TOKENS - 1], tokens[:, TEXT_TOKENS:] = 1, config.end_token, 0
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            image, text, scale = model(images, tokens)
        loss = info_nce(image.float(), text.float(), scale)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def sizes(preset: str) -> tuple[CLIPConfig, CLIPConfig]:
    """A preset as it is, and as the rivals have it: without the convolutional stem, with a class token and a LayerNorm before the blocks."""
    shipped = CLIPConfig.preset(preset)
    return shipped, replace(shipped, stem=False, pool="cls", pre_norm=True)


def training_speed(preset: str = "nano", batch_size: int = 256, rounds: int = 7, names: Iterable[str] = tuple(RIVALS), memory: bool = True) -> dict[str, Speed]:
    """Time steps of training on the CPU, the models taking turns, each in fp32 and in bf16.

    Args:
        preset: whose sizes everyone takes; see `sizes`.
        batch_size: pictures a step.
        rounds: turns; the median is told.
        names: which of `RIVALS`; one that is not installed is left out.
        memory: measure the peak memory too, each model in a process of its own.
    Returns:
        {"miniclip fp32": Speed, ...}; "miniclip fp32, as shipped" is the preset with its stem.
    """
    shipped, plain = sizes(preset)
    steps: dict[str, Callable[[], None]] = {}
    for name in names:
        try:
            for what, precision in PRECISIONS.items():
                steps[f"{name} {what}"] = training_step(RIVALS[name](plain), plain, batch_size, precision)
        except ImportError:
            continue
    steps["miniclip fp32, as shipped"] = training_step(CLIP(shipped), shipped, batch_size, torch.float32)
    flops = {key: count_flops(step) for key, step in steps.items() if key.startswith("miniclip fp32")}
    for step in steps.values():  # warm up
        step()
    times: dict[str, list[float]] = {key: [] for key in steps}
    rates = []
    for _ in range(rounds):
        rates.append(gemm_rate())
        for key, step in steps.items():
            times[key].append(_seconds(step))
    rate, speeds = statistics.median(rates), {}
    for key, seconds in ((key, statistics.median(values)) for key, values in times.items()):
        share = flops[key] / seconds / rate if key in flops else None
        speeds[key] = Speed(batch_size / seconds, seconds, share, peak_memory(key, preset, batch_size) if memory else None)
    return speeds


def peak_memory(key: str, preset: str, batch_size: int) -> float | None:
    """The most memory that three steps of a model took, in MB beyond what its imports take; None where the system does not tell (Windows)."""
    done = subprocess.run([sys.executable, "-m", "miniclip.bench", key, preset, str(batch_size)], capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def _peak() -> float:
    """The most memory that this process has held so far, in MB."""
    if STATUS.exists():  # Linux, where ru_maxrss would start from the parent's
        return int(re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())[1]) / 2**10
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS counts bytes


def _measure_own_memory(key: str, preset: str, batch_size: int) -> float:
    shipped, plain = sizes(preset)
    name, what = key.replace(", as shipped", "").split()
    config = shipped if "as shipped" in key else plain
    RIVALS[name](replace(plain, vision_layers=1, text_layers=1))  # its imports
    before = _peak()
    step = training_step(RIVALS[name](config), config, batch_size, PRECISIONS[what])
    for _ in range(3):
        step()
    return _peak() - before


if __name__ == "__main__":
    print(json.dumps(_measure_own_memory(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
