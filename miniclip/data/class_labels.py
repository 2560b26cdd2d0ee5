"""Real pictures with class labels, to test zero-shot transfer and to train linear probes on.

They come through torchvision, which fetches them where there is the internet, or from a folder or
a zip file with a `labels.json`. A set is a `CaptionedImages` like all others: the class of each
picture is its fact "object", and the words to choose from stand in its `info`, so that
`evaluation.benchmarks.ask` can ask which class a picture shows. Used in notebook 09, and by
`python -m miniclip study real` for notebook 05.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from miniclip.data.captioned import CaptionedImages
from miniclip.data.folders import square


@dataclass(frozen=True)
class LabelledSet:
    """A set that torchvision knows.

    Args:
        kind: the name of its class in `torchvision.datasets`.
        options: what that class is given for the pictures to train on, and for those to test on.
        source: the paper that describes it.
    """

    kind: str
    options: tuple[dict, dict]
    source: str


_SPLIT = ({"split": "train"}, {"split": "test"})
_TRAIN = ({"train": True}, {"train": False})
SETS = {
    "mnist": LabelledSet("MNIST", _TRAIN, "LeCun et al. 1998"),
    "cifar10": LabelledSet("CIFAR10", _TRAIN, "Krizhevsky 2009"),
    "cifar100": LabelledSet("CIFAR100", _TRAIN, "Krizhevsky 2009"),
    "stl10": LabelledSet("STL10", _SPLIT, "Coates et al. 2011"),
    "imagenette": LabelledSet(
        "Imagenette",
        ({"split": "train", "size": "160px"}, {"split": "val", "size": "160px"}),
        "Howard 2019, from ImageNet (Russakovsky et al. 2015)",
    ),
    "oxford_pets": LabelledSet(
        "OxfordIIITPet", ({"split": "trainval"}, {"split": "test"}), "Parkhi et al. 2012"
    ),
    "flowers102": LabelledSet("Flowers102", _SPLIT, "Nilsback and Zisserman 2008"),
    "food101": LabelledSet("Food101", _SPLIT, "Bossard et al. 2014"),
}
# Words of a labels.json that mean the pictures to train on; all others are for tests.
TRAIN_WORDS = ("train", "training", "trainval")


def labelled(
    name: str | Path,
    n: int | None = None,
    size: int = 64,
    train: bool = False,
    root: str | Path = "datasets/torchvision",
    download: bool = False,
) -> CaptionedImages:
    """Pictures with class labels.

    Args:
        name: a name from `SETS`, such as "cifar10"; or a folder (or its `labels.json`) with an
            `images.zip` or with the pictures. `labels.json` holds "classes", a list of words, and
            "images", a list of {"file_name", "label" (a number), "split"}.
        n: how many pictures, chosen at random, but the same ones each time; None for all.
        size: height and width in pixels; pictures are cut to a square in the middle.
        train: take the pictures to train on (for a linear probe) instead of those to test on.
        root: where torchvision keeps its sets.
        download: let torchvision fetch the set if it is not there.
    Returns:
        a `CaptionedImages` of one caption each, its class; facts: "object" (the class's word) and
        "label" (its number); info: "words" (all classes), "name" and "source".
    Raises:
        ValueError: for a name that is neither a set nor a folder, or a `labels.json` that is not
            as described.
        FileNotFoundError: if the set is not there and `download` is False, or it cannot be fetched.
        ModuleNotFoundError: if torchvision is needed and not installed.
    """
    folder = Path(name).parent if Path(name).name == "labels.json" else Path(name)
    if (folder / "labels.json").is_file():
        return _from_folder(folder, n, size, train)
    if name not in SETS:
        raise ValueError(
            f"no set {str(name)!r}: expected one of {', '.join(SETS)}, or a folder with a "
            f"labels.json"
        )
    return _from_torchvision(name, n, size, train, Path(root), download)


def torchvision_set(
    name: str, train: bool, root: str | Path, download: bool
) -> tuple[Sequence[tuple[Image.Image, int]], list[str]]:
    """A set as torchvision reads it.

    Args:
        name, train, root, download: as for `labelled`; the name is one of `SETS`.
    Returns:
        the set, a sequence of pictures and numbers of classes; and the words for the classes.
    Raises:
        FileNotFoundError, ModuleNotFoundError: as `labelled`.
    """
    entry = SETS[name]
    try:
        from torchvision import datasets
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{entry.kind} is read by torchvision, which is not here; pip install torchvision",
            name=error.name,
        ) from None
    options = entry.options[0 if train else 1]
    try:
        found = getattr(datasets, entry.kind)(str(root), download=download, **options)
    except (RuntimeError, OSError) as error:  # what torchvision says of missing or broken files
        way = "and could not be fetched" if download else "fetch it with download=True"
        raise FileNotFoundError(f"{entry.kind} is not in {root} ({error}); {way}") from error
    # Imagenette's classes are tuples of synonyms, MNIST's are "0 - zero".
    words = [label[0] if isinstance(label, tuple) else label for label in found.classes]
    return found, [word.split(" - ")[-1] for word in words]


def _from_torchvision(
    name: str, n: int | None, size: int, train: bool, root: Path, download: bool
) -> CaptionedImages:
    """A set that torchvision reads."""
    found, words = torchvision_set(name, train, root, download)
    info = {"name": name, "source": SETS[name].source}
    return _collect(_choose(len(found), n), found.__getitem__, words, size, info)


def _from_folder(folder: Path, n: int | None, size: int, train: bool) -> CaptionedImages:
    """A set in a folder with a labels.json."""
    try:
        content = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
        words = [str(word) for word in content["classes"]]
        records = [
            (str(record["file_name"]), range(len(words))[record["label"]])
            for record in content["images"]
            if (record.get("split", "test") in TRAIN_WORDS) == train
        ]
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise ValueError(
            f"{folder / 'labels.json'} is not as expected ({type(error).__name__}: {error}): it "
            'needs "classes", a list of words, and "images", a list of {"file_name", "label", '
            '"split"} with numbers of classes as labels'
        ) from error
    if not records:
        kind = "to train on" if train else "to test on"
        raise ValueError(f"{folder / 'labels.json'} names no pictures {kind}")
    rows = _choose(len(records), n)
    info = {"name": folder.name, "source": str(content.get("info", {}).get("source", folder))}
    with _opener(folder) as read:

        def look_at(row: int) -> tuple[io.BytesIO, int]:
            file_name, label = records[row]
            return read(file_name), label

        return _collect(rows, look_at, words, size, info)


@contextmanager
def _opener(folder: Path) -> Iterator[Callable[[str], io.BytesIO]]:
    """A function that reads a picture's file by its name: from `images.zip` in a folder, from
    `images/` in it, or from the folder itself."""
    if not (folder / "images.zip").is_file():
        place = folder / "images" if (folder / "images").is_dir() else folder
        yield lambda name: io.BytesIO((place / name).read_bytes())
        return
    with zipfile.ZipFile(folder / "images.zip") as archive:

        def read(name: str) -> io.BytesIO:
            try:
                return io.BytesIO(archive.read(name))
            except KeyError:
                raise FileNotFoundError(f"{name} is not in {archive.filename}") from None

        yield read


def _choose(count: int, n: int | None) -> np.ndarray:
    """The numbers of n of `count` pictures, chosen at random and the same ones each time."""
    if n is not None and n < 1:
        raise ValueError(f"n is a number of pictures, at least 1, not {n}")
    return np.sort(np.random.default_rng(0).permutation(count)[:n])


def _collect(
    rows: Sequence[int],
    look_at: Callable[[int], tuple[io.BytesIO | Image.Image, int]],
    words: list[str],
    size: int,
    info: dict,
) -> CaptionedImages:
    """Read the chosen pictures, cut them to squares and put them into a data set."""
    images, labels = np.empty((len(rows), size, size, 3), np.uint8), []
    for place, row in enumerate(rows):
        picture, label = look_at(row)
        images[place] = square(picture, size)[0]
        labels.append(int(label))
    objects = np.array([words[label] for label in labels])
    facts = {"object": objects, "label": np.array(labels)}
    return CaptionedImages(
        images, [[word] for word in objects], facts=facts, info=info | {"words": words}
    )
