"""The data set type of this package: images with several captions each, and any known ground truth.

A data set is a table (paper 2.2). Row i holds an image, its captions, its id and its facts, and a
slice of the table is again a data set. On disk it is a folder with `images.npy`, `captions.json`
(in COCO's own caption format, so that other tools can read it) and `facts.npz`.
"""

from __future__ import annotations

import errno
import io
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

# COCO keeps these facts in its image records, so they are written there too.
IMAGE_FACTS = ("file_name", "license", "flickr_url")


class CaptionedImages:
    """Images with several captions each, their ids, and ground truth about them (paper 2.2).

    In the shapes below, N is the number of images.

    Args:
        images: (N, H, W, 3) uint8, RGB; an array or a memory map.
        captions: N lists of one or more strings.
        ids: (N,) integers; by default 0 to N - 1.
        facts: ground truth by name: arrays of numbers, booleans or strings whose first axis is N.
        info: what the data set is and where it comes from, for example its name, licence and
            source, or the `info` of a COCO file.
    Raises:
        ValueError: if one of the parts has the wrong type or shape, or if their lengths differ.
    """

    def __init__(
        self,
        images: np.ndarray,
        captions: Sequence[Sequence[str]],
        ids: Sequence[int] | np.ndarray | None = None,
        facts: Mapping[str, np.ndarray] | None = None,
        info: Mapping | None = None,
    ):
        _check_images(images)
        _check_captions(captions, len(images))
        ids = np.arange(len(images)) if ids is None else np.asarray(ids)
        _check_ids(ids, len(images))
        facts = {name: np.asarray(column) for name, column in (facts or {}).items()}
        _check_facts(facts, len(images))
        self.images = images
        self.captions = [list(texts) for texts in captions]
        self.ids = ids.astype(np.int64)
        self.facts = facts
        self.info = dict(info or {})
        # `folder` and `pack` say here which photos they kept, skipped and converted.
        self.report = None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows):
        """Select one row, or several rows as a smaller data set.

        A slice is a view: it shares its pixels with the whole data set, and a memory map stays on
        disk. Selecting by a list of rows or by a mask copies the pixels.

        Args:
            rows: an integer, a slice, a list or array of integers, or a boolean mask (N,).
        Returns:
            for an integer: the image (H, W, 3) uint8 and the list of its captions;
            otherwise: a `CaptionedImages` of the selected rows.
        Raises:
            IndexError: if a row does not exist, or `rows` is none of the above.
        """
        if not isinstance(rows, slice):
            try:
                row = range(len(self))[operator.index(rows)]
                return np.array(self.images[row]), list(self.captions[row])
            except TypeError:  # `rows` is not a single integer
                rows = self._rows(rows)
            except IndexError:
                raise IndexError(
                    f"row {rows} does not exist; "
                    f"there are {len(self)} images, rows 0 to {len(self) - 1}"
                ) from None
        captions = (
            self.captions[rows] if isinstance(rows, slice) else [self.captions[row] for row in rows]
        )
        facts = {name: column[rows] for name, column in self.facts.items()}
        return CaptionedImages(self.images[rows], captions, self.ids[rows], facts, self.info)

    def __add__(self, other: CaptionedImages) -> CaptionedImages:
        """Concatenate two data sets whose images have the same size.

        Args:
            other: the data set whose images come second.
        Returns:
            a data set with new ids from 0, the facts that both have, and the entries of `info`
            that are the same in both.
        Raises:
            ValueError: if the images differ in size, or `other` is not a `CaptionedImages`.
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
                f"only sets of one picture size can be joined, "
                f"not {self.images.shape[1:]} and {size}"
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
        """Turn a list of row numbers or a mask into an array of row numbers that all exist."""
        rows = np.asarray(rows)
        if rows.size == 0 and rows.dtype != bool:  # NumPy makes an empty list an array of floats
            rows = rows.astype(np.int64)
        if (
            rows.ndim != 1
            or rows.dtype.kind not in "iub"
            or (rows.dtype == bool and len(rows) != len(self))
        ):
            raise IndexError(
                f"rows are chosen by a number, a slice, a list of numbers "
                f"or a mask of {len(self)} truths, not by {rows.dtype} of shape {rows.shape}"
            )
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        if rows.size and not (-len(self) <= rows.min() and rows.max() < len(self)):
            raise IndexError(
                f"rows {rows.min()} to {rows.max()} were asked for; "
                f"there are {len(self)} images, rows 0 to {len(self) - 1}"
            )
        return rows

    def __iter__(self) -> Iterator[tuple[np.ndarray, list[str]]]:
        return (self[row] for row in range(len(self)))

    def __repr__(self) -> str:
        caption_count = sum(map(len, self.captions))
        name = self.info.get("name") or self.info.get("description")
        parts = [
            f"{len(self):,} images of {self.images.shape[1]} x {self.images.shape[2]}",
            f"{caption_count:,} captions",
        ]
        if self.facts:
            parts.append(f"facts: {', '.join(self.facts)}")
        if name:
            parts.append(str(name))
        parts += [
            f"{key}: {self.info[key]}" for key in ("licence", "source", "url") if key in self.info
        ]
        return f"CaptionedImages({'; '.join(parts)})"

    def credits(self) -> list[str]:
        """Whose the images are, a line for each image if the data set knows it.

        Returns:
            lines such as "000000252219.jpg: https://flickr.com/photo.gne?id=3232237447, CC BY 2.0";
            for a set with one source, that source and its licence in one line.
        """
        if not {"file_name", "source", "licence"} <= self.facts.keys():
            known = [str(self.info[key]) for key in ("source", "licence") if key in self.info]
            return ["; ".join(known)] if known else []
        columns = (self.facts[name] for name in ("file_name", "source", "licence"))
        return [f"{name}: {source}, {licence}" for name, source, licence in zip(*columns)]

    def split(self, fraction: float, seed: int = 0) -> tuple[CaptionedImages, CaptionedImages]:
        """Split the images at random into two data sets that have no image in common.

        Each part keeps the order of the images and copies their pixels.

        Args:
            fraction: the share of images in the first part, above 0 and below 1.
            seed: seed of the random choice; the same seed gives the same split on every machine.
        Returns:
            the first part, of round(fraction * N) images, and the remaining images.
        Raises:
            ValueError: if one of the two parts would be empty.
        """
        first_size = round(fraction * len(self)) if 0 < fraction < 1 else 0
        if not 0 < first_size < len(self):
            raise ValueError(
                f"fraction {fraction} of {len(self)} images leaves one side empty; "
                f"choose one above 0 and below 1, and have images enough"
            )
        mask = np.zeros(len(self), bool)
        mask[np.random.default_rng(seed).permutation(len(self))[:first_size]] = True
        return self[mask], self[~mask]

    def save(self, folder: str | Path) -> Path:
        """Write the data set to a folder, from which `load` opens it.

        A data set that is already there is replaced only when the new one is complete.

        Args:
            folder: where to write; it is created if it does not exist.
        Returns:
            the folder.
        Raises:
            ValueError: if there are no images, or if two of them have the same id (COCO's format
                tells images apart by their ids).
            OSError: if the disk is full, or if the old data set is in use (on Windows).
        """
        folder = Path(folder)
        if not len(self):
            raise ValueError("there are no images to save; choose some rows")
        unique_ids, counts = np.unique(self.ids, return_counts=True)
        if counts.max() > 1:
            raise ValueError(
                f"id {unique_ids[counts.argmax()]} "
                f"occurs {counts.max()} times, and a saved set tells images apart by id; "
                f"give new ones: data.ids = np.arange(len(data))"
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


def _check_images(images: np.ndarray) -> None:
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
            f"images are a {type(images).__name__}, {got}; "
            f"expected a numpy array of uint8, (N, H, W, 3); "
            f"stack pictures of one size with np.stack, and scale floats to 0 .. 255"
        )


def _check_captions(captions: Sequence[Sequence[str]], n: int) -> None:
    if isinstance(captions, str) or len(captions) != n:
        raise ValueError(
            f"captions has length {len(captions)} and images {n}; "
            f"expected one list of captions an image"
        )
    for row, texts in enumerate(captions):
        if (
            isinstance(texts, str)
            or not len(texts)
            or not all(isinstance(text, str) for text in texts)
        ):
            raise ValueError(
                f"captions[{row}] is {texts!r}; "
                f"expected a list of one or more strings, such as ['a dog']; "
                f"put a single caption into a list, and leave out images without one"
            )


def _check_ids(ids: np.ndarray, n: int) -> None:
    if ids.shape != (n,) or (n and ids.dtype.kind not in "iu"):
        raise ValueError(
            f"ids is {ids.dtype} of shape {ids.shape}; "
            f"expected {n} whole numbers, one an image; leave it out to count from 0"
        )


def _check_facts(facts: Mapping[str, np.ndarray], n: int) -> None:
    for name, column in facts.items():
        if column.ndim == 0 or len(column) != n or column.dtype.hasobject:
            raise ValueError(
                f"fact {name!r} is {column.dtype} of shape {column.shape}; "
                f"expected numbers or strings, {n} on the first axis, "
                f"one an image; np.array(list, dtype=str) makes strings of anything"
            )


def load(folder: str | Path) -> CaptionedImages:
    """Open a packed data set; its pixels stay on disk until rows are selected.

    Args:
        folder: a folder that `CaptionedImages.save` or `pack` wrote.
    Returns:
        the data set; its `images` are a read-only memory map.
    Raises:
        FileNotFoundError: if there is no packed data set in the folder.
        ValueError: if its files are damaged or do not belong together.
    """
    folder = Path(folder)
    missing = [name for name in ("captions.json", "images.npy") if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"{folder} holds no whole packed set, there is no {' and no '.join(missing)}; "
            f"pack a folder of photos with "
            f"miniclip.data.pack(images, captions, out), "
            f"which also goes on where one was interrupted, or save a set with data.save(folder)"
        )
    try:
        document = json.loads((folder / "captions.json").read_text(encoding="utf-8"))
        packed, records = document["packed"], document["images"]
        captions = {record["id"]: [] for record in records}
        for annotation in document["annotations"]:
            captions[annotation["image_id"]].append(annotation["caption"])
        images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        facts = {}
        if packed["facts"]:
            with np.load(folder / "facts.npz", allow_pickle=False) as file:
                facts = {name: file[name] for name in packed["facts"]}
        if list(images.shape) != packed["shape"]:
            raise ValueError(
                f"images.npy has shape {list(images.shape)}, "
                f"captions.json belongs to one of {packed['shape']}"
            )
        licenses = {"licenses": document["licenses"]} if document["licenses"] else {}
        return CaptionedImages(
            images,
            [captions[record["id"]] for record in records],
            [record["id"] for record in records],
            facts,
            {**document["info"], **licenses},
        )
    except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        problem = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise ValueError(
            f"{folder} is no whole packed set: {problem}; "
            f"delete the folder and pack or save it again"
        ) from error


def npy_header(shape: Sequence[int]) -> bytes:
    """Make the header of an .npy file of uint8: 128 bytes for every shape.

    NumPy leaves room for any number of rows, so the length does not depend on it. The pixels can be
    written first and the header filled in at the end, when the number of rows is known.

    Args:
        shape: the array's shape.
    Returns:
        the first 128 bytes of the file.
    """
    header = io.BytesIO()
    description = {"descr": "|u1", "fortran_order": False, "shape": tuple(map(int, shape))}
    np.lib.format.write_array_header_1_0(header, description)
    return header.getvalue()


def write_texts(
    folder: Path,
    shape: Sequence[int],
    ids: np.ndarray,
    captions: list[list[str]],
    facts: Mapping[str, np.ndarray],
    info: Mapping,
) -> None:
    """Write the two files that lie beside images.npy: facts.npz and then captions.json.

    captions.json also states the shape of images.npy and the names of the facts, so that `load` can
    notice files that do not belong together.

    Args:
        folder: where to write.
        shape: (N, H, W, 3), the shape of images.npy.
        ids: (N,) integers.
        captions: N lists of strings.
        facts: arrays by name, each with N rows.
        info: what the data set is; its entry `licenses`, if any, becomes COCO's list of licences.
    """
    if facts:  # as np.savez would write it, but np.savez cannot store a fact called "file"
        with open(folder / "facts.npz", "wb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                for name, column in facts.items():
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                        np.lib.format.write_array(entry, column, allow_pickle=False)
            to_disk(file)
    records = [
        {
            "id": int(image_id),
            "file_name": f"{image_id:012d}.png",
            "width": int(shape[2]),
            "height": int(shape[1]),
        }
        for image_id in ids
    ]
    for name in IMAGE_FACTS:
        for record, value in zip(records, facts[name].tolist() if name in facts else []):
            record[name] = value
    pairs = ((int(image_id), text) for image_id, texts in zip(ids, captions) for text in texts)
    annotations = [
        {"id": annotation_id, "image_id": image_id, "caption": text}
        for annotation_id, (image_id, text) in enumerate(pairs, 1)
    ]
    info = dict(info)
    packed = {"shape": [int(side) for side in shape], "facts": list(facts)}
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
    # Renaming is atomic: captions.json is either complete or does not exist.
    os.replace(folder / "captions.json.part", folder / "captions.json")


def move_into_place(unfinished: Path, folder: Path) -> None:
    """Move a complete data set from one folder to another, replacing what is there.

    captions.json is taken away first and moved last. In between the folder does not load, so nobody
    can ever load a mix of old and new files.

    Args:
        unfinished: the folder that holds the complete new data set; it is deleted afterwards.
        folder: the folder that it moves to.
    Raises:
        OSError: if images.npy is in use (on Windows).
    """
    current, old = folder / "captions.json", folder / "captions.json.old"
    if current.exists():
        os.replace(current, old)
    try:
        if (unfinished / "images.npy").exists():
            os.replace(unfinished / "images.npy", folder / "images.npy")
    except PermissionError as error:  # Windows cannot replace a file that is open
        if old.exists():
            os.replace(old, current)
        raise OSError(
            f"{folder / 'images.npy'} is in use, perhaps by a set loaded from it; "
            f"forget that one (del data), or write to another folder"
        ) from error
    for name in ("facts.npz", "captions.json"):
        if (unfinished / name).exists():
            os.replace(unfinished / name, folder / name)
    old.unlink(missing_ok=True)
    shutil.rmtree(unfinished, ignore_errors=True)


def to_disk(file) -> None:
    """Wait until everything written to an open file has reached the disk."""
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def disk_full_explained(folder: Path) -> Iterator[None]:
    """Replace the operating system's "no space left" by an error that says what to do.

    Args:
        folder: the folder that is being written to, named in the error.
    Raises:
        OSError: with the same error number, if the disk is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise OSError(
            errno.ENOSPC,
            f"the disk of {folder} is full; "
            f"make room or choose a folder on another disk, then run the same again",
        ) from error
