"""A folder of photos and a captions file in COCO's format become a `CaptionedImages`, in memory (`folder`) or on disk (`pack`).

Real folders hold broken files, grey or rotated photos, captions of pictures that are not there: each is told in a report,
none of them stops the reading.
"""

from __future__ import annotations

import json
import os
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from tqdm.auto import tqdm

from .captioned import CaptionedImages, load

SAVE_EVERY = 256  # pictures between two notes of how far packing has come


@dataclass
class Report:
    """What became of the pictures: how many were `kept`, which were `skipped` and why, how many `converted` and how."""

    kept: int = 0
    skipped: dict[str, list[str]] = field(default_factory=dict)
    converted: Counter = field(default_factory=Counter)

    def skip(self, reason: str, name: str) -> None:
        """Note a picture or caption that is left out."""
        self.skipped.setdefault(reason, []).append(name)

    def __str__(self) -> str:
        lines = [f"{self.kept:,} pictures with captions"]
        for reason, names in self.skipped.items():
            lines.append(f"  skipped {len(names):,}: {reason} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})")
        lines += [f"  {count:,} {how}" for how, count in self.converted.items()]
        return "\n".join(lines)


def read_captions(path: str | Path) -> tuple[list[dict], dict[int, list[str]], dict]:
    """Read a captions file in COCO's format.

    Returns:
        the image entries (`id`, `file_name`, ...), the captions by image id, and the file's `info`.
    Raises:
        FileNotFoundError, ValueError: if it is not there, or not such a file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no captions file at {path}")
    try:
        coco = json.loads(path.read_text(encoding="utf-8"))
        images = [{**image, "id": int(image["id"]), "file_name": str(image["file_name"])} for image in coco["images"]]
        captions: dict[int, list[str]] = {}
        for annotation in coco["annotations"]:
            text = " ".join(str(annotation["caption"]).split())
            if text:
                captions.setdefault(int(annotation["image_id"]), []).append(text)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is not a captions file in COCO's format (JSON with images: id, file_name, and annotations: image_id, caption): "
            f"{type(error).__name__} {error}") from error
    return images, captions, dict(coco.get("info") or {})


def open_square(path: Path, size: int, converted: Counter) -> np.ndarray:
    """Open a picture, turn it upright, make it RGB, resize its shorter side to `size` and crop the centre: (size, size, 3) uint8."""
    with Image.open(path) as image:
        image.draft("RGB", (2 * size, 2 * size))  # a JPEG decodes at half or a quarter of its size where that is enough
        image.load()
        mode, orientation = image.mode, image.getexif().get(0x0112, 1)
        image = ImageOps.exif_transpose(image)
        if orientation != 1:
            converted["turned upright by EXIF"] += 1
        if mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            converted["laid on white, having been transparent"] += 1
        elif mode.startswith("I;16") or mode == "I":
            image = Image.fromarray((np.asarray(image, dtype=np.float64) / 257).clip(0, 255).astype(np.uint8))
        if mode != "RGB":
            converted[f"made RGB from {({'L': 'greyscale', '1': 'black and white', 'P': 'a palette'}).get(mode, mode)}"] += 1
        image = image.convert("RGB")
        scale = size / min(image.size)
        if scale > 1:
            converted["enlarged"] += 1
        width, height = (max(size, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
        left, top = (width - size) // 2, (height - size) // 2
        return np.asarray(image.crop((left, top, left + size, top + size)))


def _candidates(folder: Path, captions_file: Path, limit: int | None, report: Report) -> tuple[list[dict], dict[int, list[str]], dict]:
    """The entries that have a caption and a file; the others are reported."""
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder of pictures at {folder}")
    images, captions, info = read_captions(captions_file)
    found, listed = [], set()
    for image in images:
        name, parts = image["file_name"], Path(image["file_name"]).parts
        if image["id"] in listed:
            report.skip("listed twice", name)
        elif Path(name).is_absolute() or ".." in parts:
            report.skip("file name leaves the folder", name)
        elif image["id"] not in captions:
            report.skip("image without caption", name)
        elif not (folder / name).is_file():
            report.skip("missing file", name)
        else:
            found.append(image)
        listed.add(image["id"])
    for image_id in captions.keys() - listed:
        report.skip("caption without image", str(image_id))
    return found[:limit], captions, info


def _read(folder: Path, entries: list[dict], size: int, report: Report, progress: bool, start: int = 0) -> Iterator[tuple[int, np.ndarray | None]]:
    """Open the entries from `start` on, one by one: (position, picture, or None for a broken one)."""
    bar = tqdm(total=len(entries), initial=start, desc="reading pictures", unit="picture", disable=not progress)
    with bar:
        for position in range(start, len(entries)):
            name = entries[position]["file_name"]
            try:
                yield position, open_square(folder / name, size, report.converted)
                report.kept += 1
            except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.UnidentifiedImageError) as error:
                report.skip("broken image", f"{name}: {str(error)[:60]}")
                yield position, None
            bar.update()


def _nothing(folder: Path, captions: Path, report: Report) -> ValueError:
    return ValueError(f"no picture of {captions} could be read from {folder}:\n{report}")


def folder(images: str | Path, captions: str | Path, size: int = 128, out: str | Path | None = None, progress: bool = True, limit: int | None = None) -> CaptionedImages:
    """Read a folder of captioned pictures into memory (or, with `out`, pack it on disk).

    Args:
        images: the folder; captions: a captions file in COCO's JSON format, whose file names are looked up in it.
        size: height and width in pixels: the shorter side is resized to it, the centre cropped.
        limit: read at most the first so many.
    Returns:
        a `CaptionedImages`; its `report` tells what was skipped and why.
    Raises:
        FileNotFoundError: if the folder or the file is not there. ValueError: if nothing can be read.
    """
    if out is not None:
        return pack(images, captions, out, size, progress, limit)
    images, captions, report = Path(images), Path(captions), Report()
    entries, texts, info = _candidates(images, captions, limit, report)
    read = [(entries[i]["id"], picture) for i, picture in _read(images, entries, size, report, progress) if picture is not None]
    if not read:
        raise _nothing(images, captions, report)
    ids = [image_id for image_id, _ in read]
    data = CaptionedImages(np.stack([picture for _, picture in read]), [texts[i] for i in ids], ids, info={"name": images.name, **info})
    data.report = report
    return data


def pack(images: str | Path, captions: str | Path, out: str | Path, size: int = 128, progress: bool = True, limit: int | None = None) -> CaptionedImages:
    """Read a folder of captioned pictures into a packed data set on disk; stopped at any point, the next call goes on.

    Args: as `folder`; out: the folder to write.
    Returns:
        the packed set, mapped from disk, with its `report`.
    Raises:
        as `folder`; OSError if the disk is full: what was packed stays, and the next call goes on from there.
    """
    images, captions, out, report = Path(images), Path(captions), Path(out), Report()
    entries, texts, info = _candidates(images, captions, limit, report)
    if not entries:
        raise _nothing(images, captions, report)
    key = {"size": size, "entries": zlib.crc32(json.dumps([(e["id"], e["file_name"]) for e in entries]).encode()), "captions": zlib.crc32(captions.read_bytes())}
    out.mkdir(parents=True, exist_ok=True)
    note, part = out / "packing.json", out / "images.part"
    found = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else {}
    if found.get("key") == key and found.get("complete") and (out / "captions.json").is_file():
        data = load(out)
        data.report = Report(**{**found["report"], "converted": Counter(found["report"]["converted"])})
        return data
    start, kept, done = 0, [], found.get("key") == key and part.is_file()
    if done:  # rows beyond the note are written again
        start, kept = found["position"], found["kept"]
        report.kept, report.converted = found["report"]["kept"], Counter(found["report"]["converted"])
        report.skipped = found["report"]["skipped"]
    row_bytes = size * size * 3

    def remember(position: int, complete: bool = False) -> None:
        state = {"key": key, "position": position, "kept": kept, "complete": complete,
                 "report": {"kept": report.kept, "skipped": report.skipped, "converted": report.converted}}
        temporary = note.with_suffix(".tmp")
        temporary.write_text(json.dumps(state), encoding="utf-8")
        os.replace(temporary, note)

    try:
        with open(part, "r+b" if done else "wb") as rows:
            rows.truncate(len(kept) * row_bytes)
            rows.seek(len(kept) * row_bytes)
            for position, picture in _read(images, entries, size, report, progress, start):
                if picture is not None:
                    rows.write(picture.tobytes())
                    kept.append(position)
                if position % SAVE_EVERY == SAVE_EVERY - 1:
                    rows.flush()
                    os.fsync(rows.fileno())
                    report.kept = len(kept)
                    remember(position + 1)
        report.kept = len(kept)
        if not kept:
            raise _nothing(images, captions, report)
        pictures = np.memmap(part, np.uint8, "r", shape=(len(kept), size, size, 3))
        ids = [entries[position]["id"] for position in kept]
        CaptionedImages(pictures, [texts[i] for i in ids], ids, info={"name": images.name, **info}).save(out)
        del pictures
    except OSError as error:
        raise OSError(error.errno, f"packing into {out} stopped: {error.strerror or error}; make room and run it again, it goes on from there") from error
    remember(len(entries), complete=True)
    part.unlink(missing_ok=True)
    data = load(out)
    data.report = report
    return data
