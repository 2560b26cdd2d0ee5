"""Tests of released models in the protocol of CLIP_benchmark, to check us against published
numbers.

CLIP_benchmark (https://github.com/LAION-AI/CLIP_benchmark) keeps its test sets on the Hugging Face
hub: pictures in tar files, and beside them the class names and the prompt templates that everyone
uses. So a model's zero-shot accuracy here (paper 3.1) should be the one that others measured.
`python -m miniclip evaluate openai --on clip-benchmark/cifar10 --download` does it.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from tqdm.auto import tqdm

from miniclip.retrieval import Recall, caption_features, recall_at_k
from miniclip.zeroshot import Score, evaluate

OWNER = "clip-benchmark"
PICTURES = ("webp", "png", "jpg", "jpeg")
CLASS_NAMES, TEMPLATES = "classnames.txt", "zeroshot_classification_templates.txt"
# Short names for sets whose repository is called otherwise; every other name of the benchmark works
# as it is, such as "imagenet_sketch" for the repository clip-benchmark/wds_imagenet_sketch.
REPOSITORIES = {
    "imagenet": "imagenet1k",
    "imagenet-v2": "imagenetv2",
    "imagenet-sketch": "imagenet_sketch",
    "cifar10": "vtab-cifar10",
    "cifar100": "vtab-cifar100",
    "eurosat": "vtab-eurosat",
    "clevr-counts": "vtab-clevr_count_all",
    "kitti-distance": "vtab-kitti_closest_vehicle_distance",
    "coco": "mscoco_captions",
}
# In percent, from the file docs/openclip_results.csv of https://github.com/mlfoundations/open_clip,
# measured with DataComp's copies of the same sets: accuracy; for "coco" and "flickr30k" the mean
# of recall@1 in both directions. Sets of which it gives the mean over classes are left out.
PUBLISHED_SETS = (
    "imagenet", "imagenet-v2", "imagenet-sketch", "imagenet-a", "imagenet-r", "objectnet",
    "cifar10", "cifar100", "stl10", "mnist", "eurosat", "cars", "clevr-counts", "kitti-distance",
    "flickr30k", "coco",
)  # fmt: skip
_PUBLISHED = {
    "openai": "63.3 55.9 42.3 31.6 69.3 44.3 89.8 64.2 97.1 48.4 50.4 59.6 23.2 27.4 68.8 40.3",
    "laion2b": "66.6 58.1 53.7 26.3 76.4 48.8 93.6 75.6 96.6 70.0 48.1 86.1 15.4 26.3 75.4 47.8",
    "datacomp": "69.2 60.8 56.8 30.4 78.2 55.1 95.6 80.3 96.5 81.2 57.5 87.3 12.9 16.3 70.0 45.3",
    "datacomp-m": "29.7 24.4 19.3 4.9 34.0 19.7 82.5 54.8 83.7 11.5 33.9 28.0 13.7 21.1 22.4 14.1",
    "commonpool-m-clip": "27.3 22.5 18.4 4.2 33.0 20.9 84.1 55.5 83.7 17.8 25.9 41.2 14.0 32.4 "
    "24.7 14.8",
    "commonpool-m-text": "25.5 21.4 16.6 4.3 31.1 18.9 81.6 51.3 79.7 10.3 35.9 19.4 18.9 29.0 "
    "23.9 14.5",
    "commonpool-m": "17.6 14.4 9.5 3.9 19.8 15.7 74.6 43.9 76.9 9.3 25.4 13.3 12.6 27.4 16.0 9.7",
    "datacomp-s": "3.9 3.1 1.9 1.6 5.8 4.4 31.8 13.3 46.0 9.9 15.9 1.7 11.2 28.8 1.7 1.3",
    "commonpool-s": "2.7 2.3 1.1 1.4 4.0 3.6 40.8 13.0 42.7 7.1 14.9 1.4 13.1 34.6 2.6 1.3",
}
PUBLISHED = {
    model: dict(zip(PUBLISHED_SETS, map(float, row.split()))) for model, row in _PUBLISHED.items()
}


def published(model: str, name: str) -> float | None:
    """What others measured for a model on a set, in percent, by their short names; or None."""
    return PUBLISHED.get(model, {}).get(name.removeprefix(f"{OWNER}/"))


def is_benchmark(name: str) -> bool:
    """Whether a name means a set of CLIP_benchmark, on the hub or in a folder."""
    return name.startswith(f"{OWNER}/") or any(Path(name).glob("test/*.tar"))


@dataclass(frozen=True)
class BenchmarkSet:
    """A test set in the form of CLIP_benchmark.

    Args:
        name: what it is called.
        shards: its tar files, in order.
        words: the class names; empty if its pictures have captions instead.
        templates: the prompt templates, each with one {}.
    """

    name: str
    shards: tuple[Path, ...]
    words: tuple[str, ...]
    templates: tuple[str, ...]


def open_set(name: str | Path, download: bool = False) -> BenchmarkSet:
    """Find a test set.

    Args:
        name: "clip-benchmark/cifar10" or another set of the benchmark, or a folder in its form.
        download: fetch it from the hub if it is not in the hub's cache.
    Raises:
        FileNotFoundError: if it is not here and was not or could not be fetched.
        ValueError: if the folder is not in the benchmark's form.
    """
    folder = Path(name) if Path(name).is_dir() else _from_hub(str(name), download)
    shards = sorted(folder.glob("test/*.tar"), key=lambda path: (len(path.stem), path.stem))
    words, templates = (_lines(folder / file) for file in (CLASS_NAMES, TEMPLATES))
    templates = tuple(template.replace("{c}", "{}") for template in templates)
    if not shards:
        raise ValueError(f"{folder} has no test/*.tar, so it is no set of CLIP_benchmark")
    if words and not templates:
        raise ValueError(f"{folder} has a {CLASS_NAMES} and no {TEMPLATES}")
    return BenchmarkSet(str(name), tuple(shards), words, templates)


def _from_hub(name: str, download: bool) -> Path:
    """The folder of a set in the hub's cache."""
    from huggingface_hub import snapshot_download

    short = name.removeprefix(f"{OWNER}/")
    repository = f"{OWNER}/wds_{REPOSITORIES.get(short, short)}"
    try:
        found = snapshot_download(
            repository,
            repo_type="dataset",
            allow_patterns=[CLASS_NAMES, TEMPLATES, "test/*.tar"],
            local_files_only=not download,
        )
    except Exception as error:  # the hub has many: no network, no such repository, terms to accept
        way = "and could not be fetched" if download else "yet; fetch it with --download"
        raise FileNotFoundError(
            f"https://huggingface.co/datasets/{repository} is not here {way} "
            f"({type(error).__name__})"
        ) from error
    return Path(found)


def _lines(path: Path) -> tuple[str, ...]:
    """The lines of a text file; none if there is no such file."""
    return tuple(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else ()


def samples(shard: Path) -> Iterator[tuple[Image.Image, int | list[str]]]:
    """The pictures of a tar file, each with the number of its class or with its captions.

    Raises:
        ValueError: for a picture that is broken or has neither.
    """
    parts: dict[str, dict[str, bytes]] = {}
    with tarfile.open(shard) as archive:
        for member in archive:
            key, _, kind = member.name.rpartition(".")
            sample = parts.setdefault(key, {})
            sample[kind.lower()] = archive.extractfile(member).read() if member.isfile() else b""
            picture = next((sample[kind] for kind in PICTURES if kind in sample), None)
            if picture is not None and ("cls" in sample or "txt" in sample):
                yield _sample(picture, parts.pop(key), f"{shard.name}: {key}")
    if any(kind in sample for sample in parts.values() for kind in PICTURES):
        raise ValueError(f"{shard} has {len(parts)} pictures without class or caption")


def _sample(picture: bytes, sample: dict[str, bytes], where: str):
    """A picture and what is told about it."""
    try:
        image = Image.open(io.BytesIO(picture)).convert("RGB")
        if "cls" in sample:
            return image, int(sample["cls"])
        return image, sample["txt"].decode().strip().split("\n")
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise ValueError(f"{where} is broken ({error})") from error


def evaluate_on(
    model, data: BenchmarkSet, n: int | None = None, progress: bool = True
) -> Score | Recall:
    """Zero-shot accuracy, or recall if the pictures have captions.

    Args:
        model: a CLIP.
        data: a set from `open_set`.
        n: how many of its pictures, from the first on; None for all, as in the protocol.
        progress: whether to show a progress bar.
    Returns:
        a `Score`, or a `Recall` of a set with captions.
    Raises:
        ValueError: for a set that is broken, a class number without a name, or an n below 1.
    """
    if n is not None and n < 1:
        raise ValueError(f"n is a number of pictures, at least 1, not {n}")
    pictures = islice((sample for shard in data.shards for sample in samples(shard)), n)
    features, told = _embed(model, tqdm(pictures, data.name, disable=not progress))
    if not data.words:
        return recall_at_k(features, *caption_features(model, SimpleNamespace(captions=told)))
    if max(told) >= len(data.words):
        raise ValueError(f"{data.name} has class {max(told)} and {len(data.words)} class names")
    # Two classes of ImageNet may have the same name, so classes are compared by their numbers.
    numbers = [str(number) for number in range(len(data.words))]
    right = [str(number) for number in told]
    return evaluate(model, features, right, numbers, data.templates, data.words)


def _embed(model, pictures, batch_size: int = 64) -> tuple[Tensor, list]:
    """The features (n, E) of pictures that come one by one, and what is told about them."""
    features, told, pictures = [], [], iter(pictures)
    while batch := list(islice(pictures, batch_size)):
        images, answers = zip(*batch)
        with torch.inference_mode():
            features.append(model.encode_image(list(images)).float().cpu())
        told.extend(answers)
    if not told:
        raise ValueError("there is no picture in the set")
    return torch.cat(features), told
