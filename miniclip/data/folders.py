"""A folder of photos and a captions file in COCO's format become one data set (COCO captions: Chen et al. 2015).

Photos from the world are of every size, some are grey, some lie on their side and some are broken. Each is read once, made
an RGB square, and counted in a report; the ones that cannot be read are named there and left out. `folder` keeps the squares in
memory, `pack` on disk, where it goes on after an interruption.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path, PureWindowsPath
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError
from tqdm.auto import tqdm

from miniclip.data.captioned import (
    CaptionedImages,
    disk_full_explained,
    load,
    move_into_place,
    npy_header,
    to_disk,
    write_texts,
)

FLUSH = 256  # pictures between two moments at which everything has reached the disk
EXIF_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = [EXIF_TURNS[orientation] for orientation in (5, 6, 7, 8)]  # these swap width and height


@dataclass
class Report:
    """What became of the photos of a folder.

    Attributes:
        kept: number of photos in the set.
        skipped: names of files left out, by reason.
        converted: number of kept photos that were changed beyond resizing, by what was done.
    """

    kept: int = 0
    skipped: dict[str, list[str]] = field(default_factory=dict)
    converted: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, reason: str | None, conversions: list[str]) -> None:
        """Count one photo: skipped for a reason, or kept after some conversions."""
        if reason:
            self.skipped.setdefault(reason, []).append(name)
            return
        self.kept += 1
        for conversion in conversions:
            self.converted[conversion] = self.converted.get(conversion, 0) + 1

    def __str__(self) -> str:
        lines = [f"{self.kept:,} kept, {sum(map(len, self.skipped.values())):,} skipped"]
        for reason, names in self.skipped.items():
            lines.append(
                f"  skipped, {reason}: {len(names):,} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
            )
        return "\n".join(
            lines + [f"  converted, {what}: {count:,}" for what, count in self.converted.items()]
        )


def read_captions(path: str | Path) -> tuple[list[dict], dict[int, list[str]], dict]:
    """Read a captions file in COCO's format.

    Args:
        path: JSON with `images` (each an `id` and a `file_name`) and `annotations` (each an `image_id` and a `caption`).
    Returns:
        the records of images; captions by image id, white space collapsed and empty ones left out; `info` with the `licenses`.
    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not in COCO's caption format.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no captions file {path}; give the path of a JSON file in COCO's format, such as annotations/captions_val2017.json"
        )
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ValueError(
            f"{path} is not JSON ({error}); give a captions file in COCO's format, or fetch it again if it was cut off"
        ) from error
    for key, needed in (("images", ("id", "file_name")), ("annotations", ("image_id", "caption"))):
        if not isinstance(document, dict) or not isinstance(document.get(key), list):
            raise ValueError(
                f"{path} has no list {key!r}; a captions file in COCO's format has 'images' and 'annotations'"
            )
        for row, record in enumerate(document[key]):
            wrong = [
                name
                for name in needed
                if not isinstance(record, dict)
                or not isinstance(
                    record.get(name), str if name in ("file_name", "caption") else int
                )
            ]
            if wrong:
                raise ValueError(
                    f"{key}[{row}] of {path} is {str(record)[:80]}; expected a record with {' and '.join(needed)}, ids being whole numbers; "
                    f"{wrong[0]!r} is missing or of another type. Of COCO's own files take captions_*.json"
                )
    captions: dict[int, list[str]] = {}
    for annotation in document["annotations"]:
        texts, text = (
            captions.setdefault(annotation["image_id"], []),
            " ".join(annotation["caption"].split()),
        )
        texts += [text] if text else []
    info = document.get("info") if isinstance(document.get("info"), dict) else {}
    return (
        document["images"],
        captions,
        {**info, **({"licenses": document["licenses"]} if document.get("licenses") else {})},
    )


def folder(
    images: str | Path,
    captions: str | Path,
    size: int = 128,
    out: str | Path | None = None,
    progress: bool = True,
    limit: int | None = None,
) -> CaptionedImages:
    """Read photos and their captions; a photo that cannot be read is left out and named in the `report` of the set.

    Args:
        images: folder of photos in any format and mode that PIL reads.
        captions: captions file in COCO's JSON format.
        size: height and width in pixels: the shorter side is resized to it, the longer one cropped to its middle.
        out: write the set to this folder instead of keeping it in memory; see `pack`.
        progress: show a progress bar.
        limit: stop once this many photos are kept, in the order of the captions file.
    Returns:
        the set, with `facts` file_name and, where the file tells them, license and flickr_url; `report` is a `Report`.
    Raises:
        FileNotFoundError: if the folder or the captions file does not exist.
        ValueError: if no photo is left, or size, limit or the captions file is wrong.
    """
    if out is not None:
        return pack(images, captions, out, size, progress, limit)
    source, pixels = Source(images, captions, size, limit), []
    for squared, _, _ in source.read(progress):
        if squared is not None:
            pixels.append(squared)
    source.require_some()
    data = CaptionedImages(np.stack(pixels), *source.table())
    data.report = source.report
    return data


def pack(
    images: str | Path,
    captions: str | Path,
    out: str | Path,
    size: int = 128,
    progress: bool = True,
    limit: int | None = None,
) -> CaptionedImages:
    """Do as `folder`, but write to disk in little memory; when interrupted, the same call goes on where it stopped.

    A finished set is opened at once, even if photos have come to the folder since: delete `out` to read them all again.

    Args:
        images, captions, size, progress, limit: as in `folder`; other ones than before start over, with a warning.
        out: folder of the packed set; unfinished work is kept in its folder `unfinished`.
    Returns:
        the set, its pixels on disk, as `load` opens it; `report` is a `Report`.
    Raises:
        FileNotFoundError, ValueError: as `folder`; ValueError too if `out` holds a set of other origin.
        OSError: if the disk is full; what was done is kept.
    """
    out = Path(out)
    source = Source(images, captions, size, limit)
    recipe = {
        "size": size,
        "limit": limit,
        "captions file": hashlib.sha256(Path(captions).read_bytes()).hexdigest(),
        "folder": hashlib.sha256(str(Path(images).resolve()).encode()).hexdigest(),
    }
    if (out / "captions.json").exists():
        data = load(out)
        packing = data.info.get("packing", {"recipe": {}, "report": {"kept": None}})
        if packing["report"]["kept"] != len(data):
            raise ValueError(
                f"{out} holds a set that was not packed from a folder of photos; choose another folder, or delete that one"
            )
        if packing["recipe"] == recipe:
            data.report = Report(**packing["report"])
            return data
        _warn_of_change(out, packing["recipe"], recipe)
        del data  # its memory map would keep the old file open
    pack_source(source, out, recipe, progress)
    return load_packed(out)


def pack_source(
    source: Source,
    out: Path,
    recipe: dict,
    progress: bool,
    flushed: Callable[[], None] = lambda: None,
) -> None:
    """Write what a source gives to a packed set, going on with unfinished work of the same recipe; `flushed` is called when all so far has reached the disk."""
    with disk_full_explained(out):
        work = Unfinished(out, recipe, source.size)
        if not work.is_whole():
            with work:
                for pixels, reason, conversions in source.read(progress, work.done):
                    work.add(pixels, reason, conversions)
                    if not work.pending:
                        flushed()
            source.require_some()
            work.finish(source, {"recipe": recipe, "report": asdict(source.report)})
        move_into_place(work.folder, out)


def load_packed(out: Path) -> CaptionedImages:
    """Open a set that `pack_source` wrote, with its report."""
    data = load(out)
    data.report = Report(**data.info["packing"]["report"])
    return data


def _warn_of_change(place: Path, old: dict, new: dict) -> None:
    changed = [
        f"{key} {old.get(key)} -> {value}" if key in ("size", "limit") else f"another {key}"
        for key, value in new.items()
        if old.get(key) != value
    ]
    warnings.warn(
        f"{place} was packed with other arguments ({', '.join(changed)}); starting over",
        stacklevel=3,
    )


class Source:
    """Photos and captions as they lie in the world, and the report on those read so far."""

    def __init__(self, images: str | Path, captions: str | Path, size: int, limit: int | None):
        if not isinstance(size, (int, np.integer)) or not 8 <= size <= 2048:
            raise ValueError(
                f"size is {size!r}; expected the height and width in pixels, a whole number from 8 to 2048"
            )
        if limit is not None and limit < 1:
            raise ValueError(
                f"limit is {limit}; expected the number of photos to keep, 1 or more, or None for all"
            )
        self.folder, self.size, self.limit = Path(images), int(size), limit
        if not self.folder.is_dir():
            raise FileNotFoundError(
                f"there is no folder {images}; give the folder that holds the photos"
            )
        self.records, self.captions, self.info = read_captions(captions)
        self.first = {}  # image id -> its first record; a second one is skipped
        for row, record in enumerate(self.records):
            self.first.setdefault(record["id"], row)
        self.kept, self.report = [], Report()
        for number in self.captions.keys() - self.first.keys():
            self.report.add(f"image id {number}", "caption without image", [])

    def read(
        self, progress: bool, done: list | tuple = ()
    ) -> Iterator[tuple[np.ndarray | None, str | None, list[str]]]:
        """Yield (pixels or None, reason to skip or None, conversions) of each photo after those done, which are only counted."""
        for record, (reason, conversions) in zip(self.records, done):
            self._count(record, reason, conversions)
        total = self.limit or len(self.records)
        with tqdm(
            total=total,
            initial=self.report.kept if self.limit else len(done),
            desc="reading photos",
            unit="photo",
            disable=not progress,
        ) as bar:
            rows = range(len(done), len(self.records))
            if len(self.kept) == self.limit:
                return
            for row, (pixels, reason, conversions) in zip(rows, self.pictures(rows)):
                self._count(self.records[row], reason, conversions)
                yield pixels, reason, conversions
                bar.update(1 if reason is None or not self.limit else 0)
                if len(self.kept) == self.limit:
                    return

    def pictures(self, rows: range) -> Iterator[tuple[np.ndarray | None, str | None, list[str]]]:
        """What `read_one` gives for each of some rows, in their order."""
        return map(self.read_one, rows)

    def _count(self, record: dict, reason: str | None, conversions: list[str]) -> None:
        self.report.add(record["file_name"], reason, conversions)
        if reason is None:
            self.kept.append(record)

    def read_one(self, row: int) -> tuple[np.ndarray | None, str | None, list[str]]:
        """(pixels or None, reason to skip or None, conversions) of the photo of one record."""
        record, name = self.records[row], self.records[row]["file_name"]
        inside = PureWindowsPath(name)  # understands / and \ both, and drive letters
        if inside.drive or inside.root or ".." in inside.parts:
            return None, "file name leads out of the folder", []
        if self.first[record["id"]] != row:
            return None, "image id listed twice", []
        if not self.captions.get(record["id"]):
            return None, "image without caption", []
        if not (self.folder / name).is_file():
            return None, "missing file", []
        return self.squared(self.folder / name)

    def squared(self, photo: Path | BinaryIO) -> tuple[np.ndarray | None, str | None, list[str]]:
        """(pixels or None, what is broken or None, conversions) of one photo."""
        try:
            pixels, conversions = square(photo, self.size)
            return pixels, None, conversions
        except UnidentifiedImageError:
            return None, "broken image (no picture format that is known)", []
        except Image.DecompressionBombError:
            return None, "broken image (too many pixels)", []
        except Exception as error:  # broken files raise OSError, SyntaxError, struct.error and more
            return (
                None,
                "broken image (cut off)"
                if "truncated" in str(error)
                else f"broken image ({type(error).__name__})",
                [],
            )

    def require_some(self) -> None:
        if not self.kept:
            raise ValueError(
                f"no photo in {self.folder} could be used: {self.report}\nGive the folder that holds the files which the captions file names"
            )

    def table(self) -> tuple[list[list[str]], np.ndarray, dict[str, np.ndarray], dict]:
        """Captions, ids, facts and info of the photos kept."""
        facts = {
            name: np.array([record[name] for record in self.kept])
            for name, kind in (("file_name", str), ("license", int), ("flickr_url", str))
            if all(isinstance(record.get(name), kind) for record in self.kept)
        }
        ids = np.array([record["id"] for record in self.kept], np.int64)
        return (
            [self.captions[record["id"]] for record in self.kept],
            ids,
            facts,
            {"name": self.folder.name, **self.info},
        )


def square(path: Path | BinaryIO, size: int) -> tuple[np.ndarray, list[str]]:
    """Read one photo as (size, size, 3) uint8, with what was done to it."""
    with Image.open(path) as image:
        full = image.size
        image.draft(
            None, (int(1.4 * size), int(1.4 * size))
        )  # a JPEG is decoded at a half, a quarter or an eighth where that is enough: quicker, and close (a test says how close)
        turn = EXIF_TURNS.get(image.getexif().get(0x0112))
        image, done = _to_rgb(image)
    if turn is not None:
        image = image.transpose(turn)
        full = full[::-1] if turn in SIDEWAYS else full
        done.append("rotated by EXIF")
    done += ["enlarged"] * (min(full) < size)
    resized = [
        size * side // min(full) for side in full
    ]  # as torchvision's Resize and CenterCrop round
    corner = [round((side - size) / 2) for side in resized]
    box = [
        edge * now / new
        for edge, now, new in zip(
            corner + [side + size for side in corner], image.size * 2, resized * 2
        )
    ]
    return np.asarray(
        image.resize((size, size), Image.Resampling.BILINEAR, box, reducing_gap=2.0)
    ), done


def _to_rgb(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """Any mode to RGB, transparency over white."""
    if image.mode == "RGB" and "transparency" not in image.info:
        image.load()
        return image, []
    mode, done = image.mode, []
    if mode == "I" or mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image).clip(0, 65535) // 256).astype(np.uint8))
        done.append("16-bit to 8-bit")
    kind = {"P": "palette", "PA": "palette", "CMYK": "CMYK", "RGB": "", "RGBA": "", "RGBa": ""}.get(
        mode, "greyscale" if mode[0] in "1LI" and mode != "LAB" else mode
    )
    done += [f"{kind} to RGB"] * bool(kind)
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        done.append("alpha over white")
    return image.convert("RGB"), done


class Unfinished:
    """A packed set in the making: rows of pixels in one file, and a journal of what became of each photo.

    The journal never runs ahead of the pixels: a line is written once its row has reached the disk. What a power cut
    leaves beyond the last whole line is cut off, and read from the photos again.
    """

    def __init__(self, out: Path, recipe: dict, size: int):
        self.folder, self.size, self.recipe = out / "unfinished", size, recipe
        self.pixels, self.journal = self.folder / "images.npy", self.folder / "journal.jsonl"
        self.done, self.pending = [], []
        lines, whole = self._read_journal() if self.journal.exists() else ([], 0)
        if lines and lines[0] != recipe:
            _warn_of_change(out, lines[0], recipe)
            lines = []
        if self.is_whole() and lines:
            return
        self.kept = sum(reason is None for reason, _ in lines[1:])
        if not lines or not self.pixels.exists() or self.pixels.stat().st_size < self._end():
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            self.pixels.write_bytes(bytes(128))  # room for the header
            lines, self.kept, whole = (
                [recipe],
                0,
                self.journal.write_bytes(json.dumps(recipe).encode() + b"\n"),
            )
        self.done = lines[1:]
        os.truncate(self.pixels, self._end())
        os.truncate(self.journal, whole)

    def _end(self) -> int:
        return 128 + self.kept * self.size * self.size * 3

    def _read_journal(self) -> tuple[list, int]:
        lines, whole = [], 0
        for line in self.journal.read_bytes().splitlines(keepends=True):
            try:
                lines.append(json.loads(line if line.endswith(b"\n") else b""))
            except ValueError:  # the last line of a process that was killed
                break
            whole += len(line)
        return lines, whole

    def is_whole(self) -> bool:
        """Is nothing left to do but to move the files?"""
        return (self.folder / "captions.json").exists()

    def __enter__(self) -> Unfinished:
        self.rows, self.lines = open(self.pixels, "ab"), open(self.journal, "ab")
        return self

    def add(self, pixels: np.ndarray | None, reason: str | None, conversions: list[str]) -> None:
        """Note one photo."""
        if pixels is not None:
            self.rows.write(pixels.tobytes())
            self.kept += 1
        self.pending.append(json.dumps([reason, conversions]).encode() + b"\n")
        if len(self.pending) == FLUSH:
            self.flush()

    def flush(self) -> None:
        to_disk(self.rows)
        self.lines.write(b"".join(self.pending))
        to_disk(self.lines)
        self.pending = []

    def __exit__(self, *exception) -> None:
        with self.rows, self.lines:  # whatever happened, keep what was done
            self.flush()

    def finish(self, source: Source, packing: dict) -> None:
        """Fill in the number of rows and write captions and facts beside them, captions.json last."""
        shape = (self.kept, self.size, self.size, 3)
        with open(self.pixels, "r+b") as file:
            file.write(npy_header(shape))
            to_disk(file)
        captions, ids, facts, info = source.table()
        write_texts(self.folder, shape, ids, captions, facts, {**info, "packing": packing})
