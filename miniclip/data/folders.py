"""Make a data set from a folder of photos and a captions file in COCO's format (Chen et al. 2015).

Real photos come in every size; some are grey, some lie on their side and some are broken. Each
photo is read once, made a square in RGB and counted in a report. Photos that cannot be read are
left out, and the report names them. `folder` keeps the squares in memory; `pack` writes them to
disk and continues where it stopped if it was interrupted.
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

FLUSH = 256  # after this many photos, `pack` waits until everything has reached the disk
EXIF_TURNS = {  # EXIF's orientation number -> the operation that sets the photo upright
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
    """How many photos were kept, and which were skipped or converted, and why.

    Attributes:
        kept: number of photos in the data set.
        skipped: for each reason to skip a photo, the names of the files that were left out.
        converted: for each conversion other than resizing, the number of kept photos it changed.
    """

    kept: int = 0
    skipped: dict[str, list[str]] = field(default_factory=dict)
    converted: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, reason: str | None, conversions: list[str]) -> None:
        """Count one photo.

        Args:
            name: its file name.
            reason: why it was skipped, or None if it was kept.
            conversions: what was done to it besides resizing.
        """
        if reason:
            self.skipped.setdefault(reason, []).append(name)
            return
        self.kept += 1
        for conversion in conversions:
            self.converted[conversion] = self.converted.get(conversion, 0) + 1

    def __str__(self) -> str:
        lines = [f"{self.kept:,} kept, {sum(map(len, self.skipped.values())):,} skipped"]
        for reason, names in self.skipped.items():
            examples = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
            lines.append(f"  skipped, {reason}: {len(names):,} ({examples})")
        for conversion, count in self.converted.items():
            lines.append(f"  converted, {conversion}: {count:,}")
        return "\n".join(lines)


def read_captions(path: str | Path) -> tuple[list[dict], dict[int, list[str]], dict]:
    """Read a captions file in COCO's format (Chen et al. 2015).

    Args:
        path: a JSON file with a list `images`, whose records have an `id` and a `file_name`, and a
            list `annotations`, whose records have an `image_id` and a `caption`.
    Returns:
        the image records;
        the captions by image id, with white space collapsed and empty captions left out;
        the file's `info`, with its `licenses` added if it has any.
    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not in COCO's caption format.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no captions file {path}; give the path of a JSON file in COCO's format, "
            f"such as annotations/captions_val2017.json"
        )
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ValueError(
            f"{path} is not JSON ({error}); "
            f"give a captions file in COCO's format, or fetch it again if it was cut off"
        ) from error
    _check_records(path, document, "images", {"id": int, "file_name": str})
    _check_records(path, document, "annotations", {"image_id": int, "caption": str})
    captions: dict[int, list[str]] = {}
    for annotation in document["annotations"]:
        texts = captions.setdefault(annotation["image_id"], [])
        text = " ".join(annotation["caption"].split())
        if text:
            texts.append(text)
    info = document.get("info") if isinstance(document.get("info"), dict) else {}
    licenses = {"licenses": document["licenses"]} if document.get("licenses") else {}
    return document["images"], captions, {**info, **licenses}


def _check_records(path: Path, document, key: str, types: dict[str, type]) -> None:
    """Check that a captions file has a list `key` of records with these fields of these types."""
    if not isinstance(document, dict) or not isinstance(document.get(key), list):
        raise ValueError(
            f"{path} has no list {key!r}; "
            f"a captions file in COCO's format has 'images' and 'annotations'"
        )
    for row, record in enumerate(document[key]):
        wrong = [
            name
            for name, expected in types.items()
            if not isinstance(record, dict) or not isinstance(record.get(name), expected)
        ]
        if wrong:
            raise ValueError(
                f"{key}[{row}] of {path} is {str(record)[:80]}; "
                f"expected a record with {' and '.join(types)}, ids being whole numbers; "
                f"{wrong[0]!r} is missing or of another type. "
                f"Of COCO's own files take captions_*.json"
            )


def folder(
    images: str | Path,
    captions: str | Path,
    size: int = 128,
    out: str | Path | None = None,
    progress: bool = True,
    limit: int | None = None,
) -> CaptionedImages:
    """Read a folder of photos and their captions into one data set.

    A photo that cannot be read is left out and named in the data set's `report`.

    Args:
        images: folder of photos in any format and mode that PIL reads.
        captions: captions file in COCO's JSON format.
        size: height and width in pixels: the shorter side of a photo is resized to this length,
            and the longer side is cropped at both ends.
        out: write the data set to this folder instead of keeping it in memory; see `pack`.
        progress: show a progress bar.
        limit: stop when this many photos are kept, in the order of the captions file; None for all.
    Returns:
        the data set. Its `facts` are file_name and, if the captions file has them, license and
        flickr_url. Its `report` is a `Report`.
    Raises:
        FileNotFoundError: if the folder or the captions file does not exist.
        ValueError: if no photo could be used, or size, limit or the captions file is wrong.
    """
    if out is not None:
        return pack(images, captions, out, size, progress, limit)
    source = Source(images, captions, size, limit)
    kept = [pixels for pixels, _, _ in source.read(progress) if pixels is not None]
    source.require_some()
    data = CaptionedImages(np.stack(kept), *source.table())
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
    """Do the same as `folder`, but write the data set to disk, which needs little memory.

    If the work is interrupted, the same call continues where it stopped. A finished data set is
    opened at once, even if new photos have been added to the folder since; delete `out` to read all
    photos again.

    Args:
        images, captions, size, progress, limit: as in `folder`. With other values than in an
            earlier call, the work starts over, with a warning.
        out: folder of the packed data set; unfinished work is kept in its subfolder `unfinished`.
    Returns:
        the data set as `load` opens it, with its pixels on disk; its `report` is a `Report`.
    Raises:
        FileNotFoundError: as in `folder`.
        ValueError: as in `folder`, or if `out` holds a data set that did not come from a folder.
        OSError: if the disk is full; the work done so far is kept.
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
                f"{out} holds a set that was not packed from a folder of photos; "
                f"choose another folder, or delete that one"
            )
        if packing["recipe"] == recipe:
            data.report = Report(**packing["report"])
            return data
        _warn_of_change(out, packing["recipe"], recipe)
        del data  # its memory map would keep the old images.npy open
    pack_source(source, out, recipe, progress)
    return load_packed(out)


def pack_source(
    source: Source,
    out: Path,
    recipe: dict,
    progress: bool,
    flushed: Callable[[], None] = lambda: None,
) -> None:
    """Write the photos of a source to a packed data set.

    Unfinished work of the same recipe is continued.

    Args:
        source: the photos and their captions.
        out: folder of the packed data set.
        recipe: the arguments that determine the result; it is stored with the data set.
        progress: show a progress bar.
        flushed: called each time when everything so far has reached the disk.
    Raises:
        ValueError: if no photo could be used.
        OSError: if the disk is full; the work done so far is kept.
    """
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
    """Open a data set that `pack_source` wrote, together with its `report`."""
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
    """The photos and captions to make a data set of, and a report on the photos read so far.

    Args:
        images: folder of photos.
        captions: captions file in COCO's JSON format.
        size: height and width of the squares in pixels, 8 to 2048.
        limit: keep at most this many photos; None for all.
    Attributes:
        records: the image records of the captions file; a row number below is an index into it.
        captions: lists of captions by image id.
        info: the captions file's `info`, with its licences.
        kept: the records of the photos that are kept so far.
        report: a `Report` on the photos read so far.
    Raises:
        FileNotFoundError: if the folder or the captions file does not exist.
        ValueError: if size, limit or the captions file is wrong.
    """

    def __init__(self, images: str | Path, captions: str | Path, size: int, limit: int | None):
        if not isinstance(size, (int, np.integer)) or not 8 <= size <= 2048:
            raise ValueError(
                f"size is {size!r}; "
                f"expected the height and width in pixels, a whole number from 8 to 2048"
            )
        if limit is not None and limit < 1:
            raise ValueError(
                f"limit is {limit}; "
                f"expected the number of photos to keep, 1 or more, or None for all"
            )
        self.folder, self.size, self.limit = Path(images), int(size), limit
        if not self.folder.is_dir():
            raise FileNotFoundError(
                f"there is no folder {images}; give the folder that holds the photos"
            )
        self.records, self.captions, self.info = read_captions(captions)
        self.first = {}  # image id -> row of its first record; later records of that id are skipped
        for row, record in enumerate(self.records):
            self.first.setdefault(record["id"], row)
        self.kept, self.report = [], Report()
        for image_id in self.captions.keys() - self.first.keys():
            self.report.add(f"image id {image_id}", "caption without image", [])

    def read(
        self, progress: bool, done: list | tuple = ()
    ) -> Iterator[tuple[np.ndarray | None, str | None, list[str]]]:
        """Read the photos one after the other, until `limit` of them are kept.

        Args:
            progress: show a progress bar.
            done: (reason, conversions) of the first photos if they were read by an earlier call;
                these photos are counted but not read again.
        Yields:
            for each further photo: its pixels (size, size, 3) uint8 or None, the reason to skip it
            or None, and the names of the conversions that were made.
        """
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
        """Yield the result of `read_one` for each of these rows, in order."""
        return map(self.read_one, rows)

    def _count(self, record: dict, reason: str | None, conversions: list[str]) -> None:
        self.report.add(record["file_name"], reason, conversions)
        if reason is None:
            self.kept.append(record)

    def read_one(self, row: int) -> tuple[np.ndarray | None, str | None, list[str]]:
        """Read the photo of one record.

        Args:
            row: the record's index in `records`.
        Returns:
            the pixels (size, size, 3) uint8 or None, the reason to skip the photo or None, and the
            names of the conversions that were made.
        """
        record = self.records[row]
        name = record["file_name"]
        relative = PureWindowsPath(name)  # it understands both / and \, and drive letters
        if relative.drive or relative.root or ".." in relative.parts:
            return None, "file name leads out of the folder", []
        if self.first[record["id"]] != row:
            return None, "image id listed twice", []
        if not self.captions.get(record["id"]):
            return None, "image without caption", []
        if not (self.folder / name).is_file():
            return None, "missing file", []
        return self.squared(self.folder / name)

    def squared(self, photo: Path | BinaryIO) -> tuple[np.ndarray | None, str | None, list[str]]:
        """Make one photo a square.

        Args:
            photo: its path, or an open binary file.
        Returns:
            the pixels (size, size, 3) uint8 or None, what is broken or None, and the names of the
            conversions that were made.
        """
        try:
            pixels, conversions = square(photo, self.size)
            return pixels, None, conversions
        except UnidentifiedImageError:
            return None, "broken image (no picture format that is known)", []
        except Image.DecompressionBombError:
            return None, "broken image (too many pixels)", []
        except Exception as error:  # broken files raise OSError, SyntaxError, struct.error and more
            if "truncated" in str(error):
                return None, "broken image (cut off)", []
            return None, f"broken image ({type(error).__name__})", []

    def require_some(self) -> None:
        """Raise a ValueError if no photo has been kept."""
        if not self.kept:
            raise ValueError(
                f"no photo in {self.folder} could be used: {self.report}\n"
                f"Give the folder that holds the files which the captions file names"
            )

    def table(self) -> tuple[list[list[str]], np.ndarray, dict[str, np.ndarray], dict]:
        """Collect the arguments of `CaptionedImages` for the kept photos.

        Returns:
            the captions, ids, facts and info. A fact is included if every kept photo has it.
        """
        facts = {
            name: np.array([record[name] for record in self.kept])
            for name, expected in (("file_name", str), ("license", int), ("flickr_url", str))
            if all(isinstance(record.get(name), expected) for record in self.kept)
        }
        captions = [self.captions[record["id"]] for record in self.kept]
        ids = np.array([record["id"] for record in self.kept], np.int64)
        return captions, ids, facts, {"name": self.folder.name, **self.info}


def square(path: Path | BinaryIO | Image.Image, size: int) -> tuple[np.ndarray, list[str]]:
    """Read one photo, resize its shorter side to `size` and crop the middle of the longer side.

    Args:
        path: the photo's path, an open binary file, or the photo itself, which is closed then.
        size: height and width in pixels.
    Returns:
        the pixels (size, size, 3) uint8, RGB, and the names of the conversions that were made.
    Raises:
        OSError, SyntaxError and others that PIL raises: if the photo is broken.
    """
    with path if isinstance(path, Image.Image) else Image.open(path) as image:
        original_size = image.size
        # Where that is enough, a JPEG is decoded at a half, a quarter or an eighth of its size.
        # This is faster, and the result is close to the exact one (a test says how close).
        image.draft(None, (int(1.4 * size), int(1.4 * size)))
        turn = EXIF_TURNS.get(image.getexif().get(0x0112))  # 0x0112 is EXIF's orientation
        image, conversions = _to_rgb(image)
    if turn is not None:
        image = image.transpose(turn)
        original_size = original_size[::-1] if turn in SIDEWAYS else original_size
        conversions.append("rotated by EXIF")
    if min(original_size) < size:
        conversions.append("enlarged")
    # Round as torchvision's Resize and CenterCrop do.
    resized = [size * side // min(original_size) for side in original_size]
    corner = [round((side - size) / 2) for side in resized]
    # Resizing and cropping are one step: `box` is the crop in pixels of the image as it is now.
    edges = corner + [start + size for start in corner]
    box = [
        edge * current / target for edge, current, target in zip(edges, image.size * 2, resized * 2)
    ]
    image = image.resize((size, size), Image.Resampling.BILINEAR, box, reducing_gap=2.0)
    return np.asarray(image), conversions


def _to_rgb(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """Convert an image of any mode to RGB, laying transparent parts over white."""
    if image.mode == "RGB" and "transparency" not in image.info:
        image.load()
        return image, []
    mode, conversions = image.mode, []
    if mode == "I" or mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image).clip(0, 65535) // 256).astype(np.uint8))
        conversions.append("16-bit to 8-bit")
    kind = {"P": "palette", "PA": "palette", "CMYK": "CMYK", "RGB": "", "RGBA": "", "RGBa": ""}.get(
        mode, "greyscale" if mode[0] in "1LI" and mode != "LAB" else mode
    )
    if kind:
        conversions.append(f"{kind} to RGB")
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        conversions.append("alpha over white")
    return image.convert("RGB"), conversions


class Unfinished:
    """A packed data set in the making: a file of pixels, and a journal of what was done so far.

    The journal is a file with the recipe in its first line and then one line for each photo. A line
    is written only when the photo's pixels have reached the disk, so the journal is never ahead of
    the pixels. After a power cut, everything behind the last complete line is cut off, and those
    photos are read again. The pixels are written as to any file and not through a memory map
    (`numpy.lib.format.open_memmap`), since a full disk would then kill the process by a bus error
    instead of raising an OSError.

    Args:
        out: folder of the packed data set; the work lies in its subfolder `unfinished`.
        recipe: the arguments that determine the result; work of another recipe is thrown away.
        size: height and width of the images in pixels.
    Attributes:
        done: (reason to skip or None, conversions) of each photo of the earlier work.
        pending: journal lines that wait for their pixels to reach the disk.
        kept: the number of images written.
    """

    def __init__(self, out: Path, recipe: dict, size: int):
        self.folder, self.size, self.recipe = out / "unfinished", size, recipe
        self.pixels, self.journal = self.folder / "images.npy", self.folder / "journal.jsonl"
        self.done, self.pending = [], []
        lines, valid_bytes = self._read_journal() if self.journal.exists() else ([], 0)
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
            lines, self.kept = [recipe], 0
            valid_bytes = self.journal.write_bytes(json.dumps(recipe).encode() + b"\n")
        self.done = lines[1:]
        os.truncate(self.pixels, self._end())
        os.truncate(self.journal, valid_bytes)

    def _end(self) -> int:
        """Where the pixels of the kept photos end in images.npy, in bytes."""
        return 128 + self.kept * self.size * self.size * 3

    def _read_journal(self) -> tuple[list, int]:
        """The complete lines of the journal, parsed, and how many bytes they take up."""
        lines, valid_bytes = [], 0
        for line in self.journal.read_bytes().splitlines(keepends=True):
            try:
                lines.append(json.loads(line if line.endswith(b"\n") else b""))
            except ValueError:  # the incomplete last line of a process that was killed
                break
            valid_bytes += len(line)
        return lines, valid_bytes

    def is_whole(self) -> bool:
        """Whether all files are complete and only have to be moved to their place."""
        return (self.folder / "captions.json").exists()

    def __enter__(self) -> Unfinished:
        self.rows = open(self.pixels, "ab")
        self.lines = open(self.journal, "ab")
        return self

    def add(self, pixels: np.ndarray | None, reason: str | None, conversions: list[str]) -> None:
        """Write down the result of reading one photo.

        Args:
            pixels: (size, size, 3) uint8, or None if the photo is skipped.
            reason: why it is skipped, or None.
            conversions: the names of the conversions that were made.
        """
        if pixels is not None:
            self.rows.write(pixels.tobytes())
            self.kept += 1
        self.pending.append(json.dumps([reason, conversions]).encode() + b"\n")
        if len(self.pending) == FLUSH:
            self.flush()

    def flush(self) -> None:
        """Wait until the pixels have reached the disk, and only then write the journal lines."""
        to_disk(self.rows)
        self.lines.write(b"".join(self.pending))
        to_disk(self.lines)
        self.pending = []

    def __exit__(self, *exception) -> None:
        with self.rows, self.lines:  # whatever happened, keep the work done so far
            self.flush()

    def finish(self, source: Source, packing: dict) -> None:
        """Write the header of images.npy, then the facts, and captions.json last.

        Args:
            source: where the captions, ids and facts come from.
            packing: recipe and report, stored in the data set's `info`.
        """
        shape = (self.kept, self.size, self.size, 3)
        with open(self.pixels, "r+b") as file:
            file.write(npy_header(shape))
            to_disk(file)
        captions, ids, facts, info = source.table()
        write_texts(self.folder, shape, ids, captions, facts, {**info, "packing": packing})
