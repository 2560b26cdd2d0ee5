"""The one data set type: images with several captions each, and whatever ground truth is known about them.

A set is a table. Row i is a picture, its captions, its id and its facts; a slice of the table is a set again. On disk it is a
folder of `images.npy`, `captions.json` (COCO's own caption format, for other tools to read) and `facts.npz` (paper 2.2).
"""

from __future__ import annotations

import errno
import json
import operator
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

IMAGE_FACTS = (
    "file_name",
    "license",
    "flickr_url",
)  # facts that COCO keeps in its records of images


class CaptionedImages:
    """Images with several captions each.

    Args:
        images: (N, H, W, 3) uint8, an array or a memory map.
        captions: N lists of one or more strings.
        ids: (N,) whole numbers; by default 0 to N - 1.
        facts: ground truth by name: arrays of numbers, truths or strings whose first axis is N.
        info: what the set is and whose: name, licence, source, or the `info` of a COCO file.
    Raises:
        ValueError: if the parts do not fit one another.
    """

    def __init__(
        self,
        images: np.ndarray,
        captions: Sequence[Sequence[str]],
        ids: Sequence[int] | np.ndarray | None = None,
        facts: Mapping[str, np.ndarray] | None = None,
        info: Mapping | None = None,
    ):
        if (
            not isinstance(images, np.ndarray)
            or images.dtype != np.uint8
            or images.ndim != 4
            or images.shape[3] != 3
        ):
            got = (
                f"{images.dtype} of shape {tuple(images.shape)}"
                if hasattr(images, "dtype")
                else "no array at all"
            )
            raise ValueError(
                f"images are a {type(images).__name__}, {got}; expected a numpy array of uint8, (N, H, W, 3); "
                f"stack pictures of one size with np.stack, and scale floats to 0 .. 255"
            )
        n = len(images)
        if isinstance(captions, str) or len(captions) != n:
            raise ValueError(
                f"captions has length {len(captions)} and images {n}; expected one list of captions an image"
            )
        for row, texts in enumerate(captions):
            if (
                isinstance(texts, str)
                or not len(texts)
                or not all(isinstance(text, str) for text in texts)
            ):
                raise ValueError(
                    f"captions[{row}] is {texts!r}; expected a list of one or more strings, such as ['a dog']; "
                    f"put a single caption into a list, and leave out images without one"
                )
        ids = np.arange(n) if ids is None else np.asarray(ids)
        if ids.shape != (n,) or (n and ids.dtype.kind not in "iu"):
            raise ValueError(
                f"ids is {ids.dtype} of shape {ids.shape}; expected {n} whole numbers, one an image; leave it out to count from 0"
            )
        facts = {name: np.asarray(column) for name, column in (facts or {}).items()}
        for name, column in facts.items():
            if column.ndim == 0 or len(column) != n or column.dtype.hasobject:
                raise ValueError(
                    f"fact {name!r} is {column.dtype} of shape {column.shape}; expected numbers or strings, {n} on the first axis, "
                    f"one an image; np.array(list, dtype=str) makes strings of anything"
                )
        self.images, self.captions, self.ids = (
            images,
            [list(texts) for texts in captions],
            ids.astype(np.int64),
        )
        self.facts, self.info = facts, dict(info or {})
        self.report = (
            None  # what reading a folder kept, skipped and converted: see `folder` and `pack`
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows):
        """One row as (image (H, W, 3) uint8, captions), or many (slice, whole numbers, mask) as another `CaptionedImages`.

        A plain slice shares its pixels with the whole, and leaves them on disk where they are; other choices of rows copy them.
        """
        if not isinstance(rows, slice):
            try:
                row = range(len(self))[operator.index(rows)]
                return np.array(self.images[row]), list(self.captions[row])
            except TypeError:  # not a single whole number
                rows = self._rows(rows)
            except IndexError:
                raise IndexError(
                    f"row {rows} does not exist; there are {len(self)} images, rows 0 to {len(self) - 1}"
                ) from None
        captions = (
            self.captions[rows] if isinstance(rows, slice) else [self.captions[row] for row in rows]
        )
        facts = {name: column[rows] for name, column in self.facts.items()}
        return CaptionedImages(self.images[rows], captions, self.ids[rows], facts, self.info)

    def __add__(self, other: CaptionedImages) -> CaptionedImages:
        """The images of two sets of one size, one set after the other, numbered anew; it has the facts that both have, and of `info` what both say.

        Raises:
            ValueError: if their pictures differ in size.
        """
        if (
            not isinstance(other, CaptionedImages)
            or self.images.shape[1:] != other.images.shape[1:]
        ):
            size = (
                other.images.shape[1:]
                if isinstance(other, CaptionedImages)
                else type(other).__name__
            )
            raise ValueError(
                f"only sets of one picture size can be joined, not {self.images.shape[1:]} and {size}"
            )
        facts = {
            name: np.concatenate([column, other.facts[name]])
            for name, column in self.facts.items()
            if name in other.facts
        }
        info = {key: value for key, value in self.info.items() if other.info.get(key) == value}
        return CaptionedImages(
            np.concatenate([self.images, other.images]),
            self.captions + other.captions,
            None,
            facts,
            info,
        )

    def _rows(self, rows) -> np.ndarray:
        rows = np.asarray(rows)
        rows = rows.astype(np.int64) if rows.size == 0 and rows.dtype != bool else rows
        if (
            rows.ndim != 1
            or rows.dtype.kind not in "iub"
            or (rows.dtype == bool and len(rows) != len(self))
        ):
            raise IndexError(
                f"rows are chosen by a number, a slice, a list of numbers or a mask of {len(self)} truths, "
                f"not by {rows.dtype} of shape {rows.shape}"
            )
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        if rows.size and not (-len(self) <= rows.min() and rows.max() < len(self)):
            raise IndexError(
                f"rows {rows.min()} to {rows.max()} were asked for; there are {len(self)} images, rows 0 to {len(self) - 1}"
            )
        return rows

    def __iter__(self) -> Iterator[tuple[np.ndarray, list[str]]]:
        return (self[row] for row in range(len(self)))

    def __repr__(self) -> str:
        texts = sum(map(len, self.captions))
        name = self.info.get("name") or self.info.get("description")
        parts = [
            f"{len(self):,} images of {self.images.shape[1]} x {self.images.shape[2]}",
            f"{texts:,} captions",
        ]
        parts += [f"facts: {', '.join(self.facts)}"] * bool(self.facts) + [str(name)] * bool(name)
        parts += [
            f"{key}: {self.info[key]}" for key in ("licence", "source", "url") if key in self.info
        ]
        return f"CaptionedImages({'; '.join(parts)})"

    def split(self, fraction: float, seed: int = 0) -> tuple[CaptionedImages, CaptionedImages]:
        """Deal the images at random into two sets that share none; the order within each is kept, the pixels are copied.

        Args:
            fraction: the share of the first set, above 0 and below 1.
            seed: the same seed deals the same way on every machine.
        Returns:
            the first set, of round(fraction * N) images, and the rest.
        Raises:
            ValueError: if one of the two would be empty.
        """
        first = round(fraction * len(self)) if 0 < fraction < 1 else 0
        if not 0 < first < len(self):
            raise ValueError(
                f"fraction {fraction} of {len(self)} images leaves one side empty; choose one above 0 and below 1, and have images enough"
            )
        mask = np.zeros(len(self), bool)
        mask[np.random.default_rng(seed).permutation(len(self))[:first]] = True
        return self[mask], self[~mask]

    def save(self, folder: str | Path) -> Path:
        """Write the set to a folder that `load` opens; a set already there is replaced once the new one is whole.

        Returns:
            the folder.
        Raises:
            ValueError: if the set is empty or an id occurs twice (COCO's format tells images apart by their ids).
            OSError: if the disk is full or the old set is in use (Windows).
        """
        folder = Path(folder)
        numbers, counts = np.unique(self.ids, return_counts=True)
        if not len(self) or counts.max() > 1:
            raise ValueError(
                "there are no images to save; choose some rows"
                if not len(self)
                else f"id {numbers[counts.argmax()]} "
                f"occurs {counts.max()} times, and a saved set tells images apart by id; give new ones: data.ids = np.arange(len(data))"
            )
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix="saving-", dir=folder))
        try:
            with disk_full_explained(folder):
                with open(unfinished / "images.npy", "wb") as file:
                    file.write(npy_header(self.images.shape))
                    for start in range(0, len(self), 256):
                        file.write(self.images[start : start + 256].tobytes())
                    to_disk(file)
                write_texts(
                    unfinished, self.images.shape, self.ids, self.captions, self.facts, self.info
                )
                move_into_place(unfinished, folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return folder


def load(folder: str | Path) -> CaptionedImages:
    """Open a packed set; its pixels stay on disk until rows are asked for.

    Args:
        folder: what `CaptionedImages.save` or `pack` wrote.
    Returns:
        the set; `images` is a read-only memory map.
    Raises:
        FileNotFoundError: if there is no packed set.
        ValueError: if its files are damaged or do not belong together.
    """
    folder = Path(folder)
    missing = [name for name in ("captions.json", "images.npy") if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"{folder} holds no whole packed set, there is no {' and no '.join(missing)}; pack a folder of photos with "
            f"miniclip.data.pack(images, captions, out), which also goes on where one was interrupted, or save a set with data.save(folder)"
        )
    try:
        document = json.loads((folder / "captions.json").read_text(encoding="utf-8"))
        promised, records = document["packed"], document["images"]
        captions = {record["id"]: [] for record in records}
        for annotation in document["annotations"]:
            captions[annotation["image_id"]].append(annotation["caption"])
        images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        facts = {}
        if promised["facts"]:
            with np.load(folder / "facts.npz", allow_pickle=False) as file:
                facts = {name: file[name] for name in promised["facts"]}
        if list(images.shape) != promised["shape"]:
            raise ValueError(
                f"images.npy has shape {list(images.shape)}, captions.json belongs to one of {promised['shape']}"
            )
        return CaptionedImages(
            images,
            [captions[record["id"]] for record in records],
            [record["id"] for record in records],
            facts,
            {
                **document["info"],
                **({"licenses": document["licenses"]} if document["licenses"] else {}),
            },
        )
    except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        problem = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise ValueError(
            f"{folder} is no whole packed set: {problem}; delete the folder and pack or save it again"
        ) from error


def npy_header(shape: Sequence[int]) -> bytes:
    """The first 128 bytes of an .npy file of uint8, the same length for every shape, so that the number of rows can be filled in last."""
    text = repr({"descr": "|u1", "fortran_order": False, "shape": tuple(map(int, shape))})
    return (
        b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + text.ljust(117).encode("ascii") + b"\n"
    )


def write_texts(
    folder: Path,
    shape: Sequence[int],
    ids: np.ndarray,
    captions: list[list[str]],
    facts: Mapping[str, np.ndarray],
    info: Mapping,
) -> None:
    """Write facts.npz and captions.json, which promises the (N, H, W, 3) shape of images.npy and the names of the facts."""
    if facts:  # as np.savez does, which cannot write a fact called "file"
        with open(folder / "facts.npz", "wb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                for name, column in facts.items():
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                        np.lib.format.write_array(entry, column, allow_pickle=False)
            to_disk(file)
    records = [
        {
            "id": int(number),
            "file_name": f"{number:012d}.png",
            "width": int(shape[2]),
            "height": int(shape[1]),
        }
        for number in ids
    ]
    for name in IMAGE_FACTS:
        for record, value in zip(records, facts[name].tolist() if name in facts else []):
            record[name] = value
    pairs = ((int(number), text) for number, texts in zip(ids, captions) for text in texts)
    annotations = [
        {"id": row, "image_id": number, "caption": text}
        for row, (number, text) in enumerate(pairs, 1)
    ]
    info, packed = dict(info), {"shape": [int(side) for side in shape], "facts": list(facts)}
    document = {
        "licenses": info.pop("licenses", []),
        "info": info,
        "images": records,
        "annotations": annotations,
        "packed": packed,
    }
    with open(folder / "captions.json.part", "w", encoding="utf-8") as file:
        file.write(json.dumps(document, default=str))
        to_disk(file)
    os.replace(folder / "captions.json.part", folder / "captions.json")  # whole or not there at all


def move_into_place(unfinished: Path, folder: Path) -> None:
    """Move a whole set from one folder to another; until the last move the other does not load, so a mix of old and new never does."""
    current, old = folder / "captions.json", folder / "captions.json.old"
    if current.exists():
        os.replace(current, old)
    try:
        if (unfinished / "images.npy").exists():
            os.replace(unfinished / "images.npy", folder / "images.npy")
    except PermissionError as error:  # Windows does not replace a file that is open
        if old.exists():
            os.replace(old, current)
        raise OSError(
            f"{folder / 'images.npy'} is in use, perhaps by a set loaded from it; forget that one (del data), or write to another folder"
        ) from error
    for name in ("facts.npz", "captions.json"):
        if (unfinished / name).exists():
            os.replace(unfinished / name, folder / name)
    old.unlink(missing_ok=True)
    shutil.rmtree(unfinished, ignore_errors=True)


def to_disk(file) -> None:
    """Wait until what was written has reached the disk."""
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def disk_full_explained(folder: Path) -> Iterator[None]:
    """Turn the operating system's "no space left" into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise OSError(
            errno.ENOSPC,
            f"the disk of {folder} is full; make room or choose a folder on another disk, then run the same again",
        ) from error
