"""What a class should know of a machine before it comes in: versions, device, a measured speed,
what will be slow and what to do about it.

`python -m miniclip doctor`, a quarter of a minute; needs no network.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import time
from pathlib import Path

import torch

from miniclip.checkpoint import SHIPPED, new
from miniclip.device import pick_device, pick_precision
from miniclip.loss import info_nce
from miniclip.training.loop import train_step
from miniclip.training.precision import Precision

NEEDED = (
    "torch",
    "numpy",
    "pillow",
    "tokenizers",
    "safetensors",
    "scikit-learn",
    "matplotlib",
    "resvg-py",
)
CLASSROOM = ("jupyterlab", "ipywidgets")
# Measured on two cores of an AMD EPYC: training pictures a second in the README's first command,
# the pictures that the README's table is after, and the seconds that the quickest and the slowest
# notebook took.
REFERENCE = 350.0
FIRST_COMMAND = 96_000
NOTEBOOK = (12, 64)
# The least training pictures a second of each class of machines, its name, and what to do.
CLASSES = (
    (1000.0, "fast", ()),
    (200.0, "as in the README", ()),
    (
        70.0,
        "slow",
        (
            "run the notebooks once before class, and show the outputs of their trainings",
            "on a shared server, let groups train instead of single students",
        ),
    ),
    (
        0.0,
        "very slow",
        (
            "do not train in class here: load the models that ship (miniclip.load), and show the "
            "trainings' outputs",
            "or use Colab, a JupyterHub or a machine with more cores",
        ),
    ),
)


def doctor(seconds: float = 5.0, show: bool = True) -> dict:
    """Look at this machine.

    Args:
        seconds: how long to measure training; it takes a few more to get started.
        show: print what was found.
    Returns:
        what was found, as JSON-able values: versions, missing, device, precision, cores,
        pictures_per_second, speed, notebook_seconds (expected, for the quickest and the slowest
        notebook), first_command_minutes (expected, for as much as it learned in five),
        free_gigabytes, do (sentences).
    """
    device = pick_device()
    precision = str(pick_precision(device)).removeprefix("torch.")
    versions = {name: _version(name) for name in (*NEEDED, *CLASSROOM)}
    rate = training_rate(seconds)
    speed = next(name for least, name, _ in CLASSES if rate >= least)
    found = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "miniclip": _version("miniclip"),
        "versions": versions,
        "missing": [name for name, version in versions.items() if version is None],
        "models": sorted(SHIPPED),
        "device": _device_name(device),
        "precision": precision,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "pictures_per_second": round(rate, 1),
        "speed": speed,
        "notebook_seconds": [round(one * max(0.3, REFERENCE / rate)) for one in NOTEBOOK],
        "first_command_minutes": round(FIRST_COMMAND / rate / 60, 1),
        "free_gigabytes": round(shutil.disk_usage(Path.cwd()).free / 1e9, 1),
    }
    found["do"] = advice(found)
    if show:
        print(describe(found))
    return found


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _device_name(device: torch.device) -> str:
    return (
        f"cuda, {torch.cuda.get_device_name(device)}" if device.type == "cuda" else str(device.type)
    )


def training_rate(seconds: float = 5.0, batch_size: int = 64) -> float:
    """Pictures a second in the training of a `nano` on random pictures, two captions each as in
    the first command: the median over steps, after three to get warm."""
    device = pick_device()
    precision = pick_precision(device)
    model = new(["a dog on the grass", "a red bus in the snow"], "nano").to(device).train()
    images = torch.rand(
        batch_size, 3, model.config.image_size, model.config.image_size, device=device
    )
    tokens = model.tokenizer(
        ["a photo of a red dog on the grass"] * (2 * batch_size),
        model.config.context_length,
        truncate=True,
    ).to(device)
    optimizers = [torch.optim.AdamW(model.parameters(), 1e-4)]
    rounding = Precision(device, precision)

    def objective(images: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        with rounding.autocast():
            image, texts, scale = model(images, tokens)
        parts = (info_nce(image.float(), text.float(), scale.float()) for text in texts.chunk(2))
        return sum(parts) / 2

    times: list[float] = []
    while len(times) < 6 or sum(times) < seconds:
        start = time.perf_counter()
        loss = train_step(model, (images, tokens), objective, optimizers, rounding)
        loss.item()  # waits for a GPU
        times.append(time.perf_counter() - start)
    times = sorted(times[3:])
    return batch_size / times[len(times) // 2]


def advice(found: dict) -> list[str]:
    """What to do about what was found, in sentences; none where all is well."""
    said: list[str] = []
    if missing := [name for name in found["missing"] if name in NEEDED]:
        said.append(
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing: "
            "pip install -r requirements.txt"
        )
    if missing := [name for name in found["missing"] if name in CLASSROOM]:
        said.append(
            f"notebooks and widgets need {' and '.join(missing)}: pip install {' '.join(missing)}"
        )
    if not (3, 10) <= tuple(map(int, found["python"].split(".")[:2])):
        said.append(f"Python {found['python']} is too old; 3.10 or later is needed")
    if "picturebook" not in found["models"]:
        said.append(
            "the model 'picturebook' did not come along: git clone again, or copy "
            "miniclip/checkpoints"
        )
    if found["free_gigabytes"] < 2:
        said.append(
            f"{found['free_gigabytes']} GB are free; make room for 2 or more before training"
        )
    said += next(do for _, name, do in CLASSES if name == found["speed"])
    if found["device"] == "cpu" and found["cores"] and found["threads"] < found["cores"] // 2:
        said.append(
            f"PyTorch uses {found['threads']} threads of {found['cores']} cores: "
            "unset OMP_NUM_THREADS, or raise it"
        )
    return said


def describe(found: dict) -> str:
    """What was found, as text for people."""
    low, high = found["notebook_seconds"]
    versions = ", ".join(f"{name} {it or '(missing)'}" for name, it in found["versions"].items())
    lines = [
        f"miniclip {found['miniclip']}, Python {found['python']}, {found['system']}",
        f"versions: {versions}",
        f"device: {found['device']}, precision {found['precision']}, {found['cores']} cores, "
        f"{found['threads']} threads; {found['free_gigabytes']} GB of disk are free here",
        f"speed: {found['speed']}: {found['pictures_per_second']:,.0f} training pictures a second "
        f"(nano), measured just now; the README's machine had {REFERENCE:,.0f}",
        f"so expect {low} to {high} seconds for a notebook, and {found['first_command_minutes']} "
        "minutes for the training of the README's first command, apart from drawing",
    ]
    lines += [f"to do: {sentence}" for sentence in found["do"]]
    if not found["do"]:
        lines.append("nothing to do: this machine is ready for a class")
    return "\n".join(lines)


if __name__ == "__main__":
    doctor()
    sys.exit(0)
