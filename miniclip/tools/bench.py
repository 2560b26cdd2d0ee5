"""Measuring speed, on the CPU: training and inference beside open_clip and transformers,
learning, data, and the time to an answer.

Models of equal size take turns in one run, and medians are told. A step of training is forward,
loss, backward and optimizer on random pictures and texts: no data set, so that only the model is
timed.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from miniclip.config import CLIPConfig
from miniclip.device import PRECISIONS
from miniclip.model import CLIP
from miniclip.training.batches import Batches
from miniclip.training.clip import train
from miniclip.training.recipe import Recipe
from miniclip.training.timing import random_batch, seconds_of, training_step

if TYPE_CHECKING:
    from miniclip.data import CaptionStyle

STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Speed:
    """`images_per_second` and `seconds` a step (medians over the rounds), `gemm_share` of the
    fp32 matrix-product rate where operations were counted, `memory` at the peak in MB where it was
    measured."""

    images_per_second: float
    seconds: float
    gemm_share: float | None = None
    memory: float | None = None


def gemm_rate(size: int = 2048, tries: int = 5) -> float:
    """The rate of this machine's matrix product in fp32, in operations a second: the best of some
    products of size x size."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    best = min(seconds_of(lambda: a @ b) for _ in range(tries + 1))
    return 2 * size**3 / best


def count_flops(step: Callable[[], object]) -> float:
    """The operations of one step (two for a multiplication and an addition), counted by PyTorch's
    own counter."""
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
        vision_cfg={
            "image_size": config.image_size,
            "layers": config.vision_layers,
            "width": config.vision_width,
            "patch_size": config.patch_size,
            "head_width": config.vision_width // config.vision_heads,
        },
        text_cfg={
            "context_length": config.context_length,
            "vocab_size": config.vocab_size,
            "width": config.text_width,
            "heads": config.text_heads,
            "layers": config.text_layers,
        },
    )


class _HuggingFace(nn.Module):
    def __init__(self, config: CLIPConfig):
        super().__init__()
        from transformers import CLIPConfig as Config
        from transformers import CLIPModel

        self.model = CLIPModel(
            Config(
                projection_dim=config.embed_dim,
                vision_config={
                    "image_size": config.image_size,
                    "num_hidden_layers": config.vision_layers,
                    "hidden_size": config.vision_width,
                    "patch_size": config.patch_size,
                    "num_attention_heads": config.vision_heads,
                    "intermediate_size": 4 * config.vision_width,
                },
                text_config={
                    "max_position_embeddings": config.context_length,
                    "vocab_size": config.vocab_size,
                    "hidden_size": config.text_width,
                    "eos_token_id": 2,
                    "num_attention_heads": config.text_heads,
                    "num_hidden_layers": config.text_layers,
                    "intermediate_size": 4 * config.text_width,
                },
            )
        )

    def forward(self, images, tokens):
        out = self.model(input_ids=tokens, pixel_values=images)
        return out.image_embeds, out.text_embeds, self.model.logit_scale.exp()


RIVALS: dict[str, Callable[[CLIPConfig], nn.Module]] = {
    "miniclip": ours,
    "open_clip": open_clips,
    "transformers": _HuggingFace,
}


def inference_step(
    model: nn.Module, config: CLIPConfig, batch_size: int, precision: torch.dtype
) -> Callable[[], None]:
    """A function that embeds one random batch of pictures and their texts, without gradients."""
    images, tokens = random_batch(config, batch_size)
    model.eval()

    def step() -> None:
        with (
            torch.inference_mode(),
            torch.autocast("cpu", precision, enabled=precision != torch.float32),
        ):
            model(images, tokens)

    return step


# A size of others' that no preset of ours has: ViT-S/16 with a text tower as wide.
VIT_S_16 = CLIPConfig.preset(
    "base",
    patch_size=16,
    vision_width=384,
    vision_heads=6,
    text_width=384,
    text_heads=6,
    embed_dim=384,
)


def sizes(preset: str) -> tuple[CLIPConfig, CLIPConfig]:
    """A preset (or "vit-s-16") as it is, and as the rivals have it: without the convolutional
    stem, with a class token and a LayerNorm before the blocks."""
    shipped = VIT_S_16 if preset == "vit-s-16" else CLIPConfig.preset(preset)
    return shipped, replace(shipped, stem=False, pool="cls", pre_norm=True)


def speed(
    preset: str = "nano",
    batch_size: int = 256,
    rounds: int = 7,
    what: str = "training",
    names: Iterable[str] = tuple(RIVALS),
    memory: bool = False,
) -> dict[str, Speed]:
    """Time steps on the CPU, the models taking turns, each in fp32 and in bf16.

    Args:
        preset: whose sizes everyone takes; see `sizes`.
        batch_size: pictures a step.
        rounds: turns; the median is told.
        what: "training", or "inference" (pictures and their texts embedded).
        names: which of `RIVALS`; one that is not installed is left out.
        memory: measure the peak memory of training too, each model in a process of its own.
    Returns:
        {"miniclip fp32": Speed, ...}; "miniclip fp32, as shipped" is the preset with its stem.
    """
    shipped, plain = sizes(preset)
    make = {"training": training_step, "inference": inference_step}[what]
    steps: dict[str, Callable[[], None]] = {}
    for name in names:
        try:
            for precision in ("fp32", "bf16"):
                steps[f"{name} {precision}"] = make(
                    RIVALS[name](plain), plain, batch_size, PRECISIONS[precision]
                )
        except ImportError:
            continue
    for precision in ("fp32", "bf16"):
        steps[f"miniclip {precision}, as shipped"] = make(
            CLIP(shipped), shipped, batch_size, PRECISIONS[precision]
        )
    for step in steps.values():  # warm up
        step()
    flops = (
        {key: count_flops(step) for key, step in steps.items() if key.startswith("miniclip")}
        if what == "training"
        else {}
    )
    times: dict[str, list[float]] = {key: [] for key in steps}
    rates = []
    for _ in range(rounds):
        rates.append(gemm_rate())
        for key, step in steps.items():
            times[key].append(seconds_of(step))
    rate, speeds = statistics.median(rates), {}
    for key, seconds in ((key, statistics.median(values)) for key, values in times.items()):
        share = flops[key] / seconds / rate if key in flops else None
        speeds[key] = Speed(
            batch_size / seconds,
            seconds,
            share,
            peak_memory(key, preset, batch_size) if memory else None,
        )
    return speeds


RECORD = 0.5  # the record table counts the time to this accuracy on unseen artists' things


def time_to_learn(
    minutes: float = 0.75,
    pictures: int = 20_000,
    precision: str | None = None,
    recipe: Recipe | None = None,
    captions: CaptionStyle | None = None,
) -> dict:
    """Train `nano` on the starter world by six artists, and watch how well it names the same forty
    things by artists that it never saw.

    Args:
        minutes: of training.
        pictures: to draw for it.
        precision: as for `train`.
        recipe: how to train; by default as `train` does.
        captions: what captions say; by default as in `picturebook`.
    Returns:
        "rows": a list of {"seen", "minutes", "object", "color", "place", "unseen", ...}, the last
        being the accuracy on 600 pictures by unseen artists, the others on 300 by those trained
        on; "drawing": minutes that drawing took; "record": minutes from the start, drawing
        included, until "unseen" reached `RECORD` (None if it did not); "data_share": the share of
        a step that was spent making its batch.
    """
    from miniclip.data import CaptionStyle, World, picturebook
    from miniclip.evaluation.benchmarks import CHOICE_SEED, ask, single_objects

    recipe, started = recipe or Recipe(), time.perf_counter()
    world = World.starter(artists="trained")
    data = picturebook(pictures, size=48, world=world, captions=captions or CaptionStyle())
    drawing = (time.perf_counter() - started) / 60
    seen = single_objects(World.starter(artists="trained"), 300, 48, CHOICE_SEED)
    unseen = single_objects(World.starter(artists="unseen"), 600, 48, CHOICE_SEED)

    def look(model: CLIP) -> dict[str, float]:
        known = {name: score.accuracy for name, score in ask(model, seen).items()}
        return known | {"unseen": ask(model, unseen)["object"].accuracy}

    model, history = train(
        data,
        "nano",
        minutes=minutes,
        recipe=recipe,
        eval_fn=look,
        eval_at=max(2, min(12, round(4 * minutes))),  # a look takes about a second
        device="cpu",
        precision=precision,
    )
    batches = Batches(data, model.tokenizer, model.config, recipe, model.device)
    batch = statistics.median(seconds_of(partial(batches, step)) for step in range(100))
    step = history.rows[-1]["minutes"] * 60 / (history.rows[-1]["seen"] / recipe.batch_size)
    reached = [row["minutes"] for row in history.rows if row["unseen"] >= RECORD]
    return {
        "rows": history.rows,
        "drawing": drawing,
        "record": drawing + reached[0] if reached else None,
        "data_share": batch / step,
    }


def data_speed(pictures: int = 1000, photos: int = 100) -> dict[str, float]:
    """What a core does in a second.

    The photos are drawn scenes, saved as JPEG files of 640 x 480 pixels like COCO's.

    Returns:
        "drawn": Picturebook pictures of 64 px; "packed": photos read at 128 px; "torchvision": the
        same by torchvision's Resize and CenterCrop, if it is installed.
    """
    from PIL import Image

    from miniclip.data import folder, picturebook

    def draw(n: int, seed: int, size: int):
        return picturebook(n, seed, size, workers=1, progress=False)

    draw(100, 1, 64)  # reads the art
    drawn = pictures / seconds_of(lambda: draw(pictures, 0, 64))
    with tempfile.TemporaryDirectory() as place:
        scenes, captions = draw(photos, 2, 512), {"images": [], "annotations": []}
        for i, pixels in enumerate(scenes.images):
            Image.fromarray(pixels).resize((640, 480)).save(Path(place, f"{i}.jpg"), quality=92)
            captions["images"].append({"id": i, "file_name": f"{i}.jpg"})
            captions["annotations"] += [
                {"id": 5 * i + j, "image_id": i, "caption": text}
                for j, text in enumerate(scenes.captions[i])
            ]
        Path(place, "captions.json").write_text(json.dumps(captions))
        read = {
            "packed": lambda: folder(place, Path(place, "captions.json"), 128, progress=False),
            "torchvision": _torchvision_reader([Path(place, f"{i}.jpg") for i in range(photos)]),
        }
        read = {name: function for name, function in read.items() if function is not None}
        # In turns, so that a busy moment of the machine hits both.
        rounds = [{name: seconds_of(read[name]) for name in read} for _ in range(3)]
    medians = {name: statistics.median(times[name] for times in rounds) for name in read}
    return {"drawn": drawn} | {name: photos / seconds for name, seconds in medians.items()}


def _torchvision_reader(paths: list[Path]) -> Callable[[], list] | None:
    """A function that reads photos as `folder` does, but by torchvision; None without it."""
    import numpy as np
    from PIL import Image

    try:
        from torchvision.transforms import CenterCrop, Compose, Resize
    except ModuleNotFoundError:
        return None
    transform = Compose([Resize(128), CenterCrop(128)])
    return lambda: [np.asarray(transform(Image.open(path).convert("RGB"))) for path in paths]


def answer_time(preset: str = "tiny", tries: int = 50) -> dict[str, float]:
    """Milliseconds (medians) to classify one picture with 20 prompts: {"cached": text vectors
    known, "uncached": embedded too}."""
    import numpy as np

    from miniclip.tokenizer import Tokenizer
    from miniclip.zeroshot import classifier, classify

    labels = [f"a thing of kind {number}" for number in range(20)]
    config = CLIPConfig.preset(preset)
    model = CLIP(config, Tokenizer.train(labels, config.vocab_size)).eval()
    picture = np.random.default_rng(0).integers(
        0, 256, (config.image_size, config.image_size, 3), np.uint8
    )
    vectors = classifier(model, labels)
    return {
        "cached": 1000
        * statistics.median(
            seconds_of(lambda: classify(model, picture, labels, vectors=vectors))
            for _ in range(tries)
        ),
        "uncached": 1000
        * statistics.median(
            seconds_of(lambda: classify(model, picture, labels)) for _ in range(tries)
        ),
    }


def peak_memory(key: str, preset: str, batch_size: int) -> float | None:
    """The most memory that three steps of a model took, in MB beyond what its imports take; None
    where the system does not tell (Windows)."""
    done = subprocess.run(
        [sys.executable, "-m", "miniclip.tools.bench", key, preset, str(batch_size)],
        capture_output=True,
        text=True,
    )
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
