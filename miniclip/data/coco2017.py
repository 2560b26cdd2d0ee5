"""COCO 2017 captions (Lin et al. 2014, Chen et al. 2015), fetched as they are wanted: a subset, resized and packed, its photos fetched one by one.

Which photos a subset has depends on their ids alone, so that a smaller subset is part of a larger one on every machine. What was
fetched is never fetched again, whenever the process was stopped; what the servers did wrong is told in a sentence.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import os
import shutil
import threading
import time
import zipfile
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import requests
from PIL import Image
from tqdm.auto import tqdm

from miniclip.data.captioned import CaptionedImages, disk_full_explained, load
from miniclip.data.folders import FLUSH, Report, Source, load_packed, pack_source

SERVER = "http://images.cocodataset.org"
ANNOTATIONS = "annotations/annotations_trainval2017.zip"
SPLITS = {"train2017": 118_287, "val2017": 5_000}
TRIES = 6
PATIENCE = 0.5  # seconds before a second try; twice as long before each further one
BUSY = (408, 425, 429, 500, 502, 503, 504)  # answers that may be another tomorrow
GONE = (404, 410)
CHUNK = 1 << 16  # bytes; of a file that breaks off, less than this is fetched again
PHOTO_BYTES = 170_000  # of a photo of COCO, about


class Gone(Exception):
    """A file that the server does not have (any more)."""


class Refused(ConnectionError):
    """An answer that will be no other next time."""


class Server:
    """Fetches files, tries again where that can help, and says in a sentence what is wrong where it cannot."""

    def __init__(self, url: str = SERVER):
        self.url, self._own = url.rstrip("/"), threading.local()

    @property
    def session(self) -> requests.Session:
        """One connection a thread, kept open."""
        if not hasattr(self._own, "session"):
            self._own.session = requests.Session()
        return self._own.session

    def get(self, path: str, check=None, into: Path | None = None) -> bytes:
        """The bytes of one file, whole.

        Args:
            path: below the server's address.
            check: raises ValueError with what is wrong with the bytes, as a part of a sentence.
            into: write to this file instead, going on where an earlier try stopped; gives b"".
        Raises:
            Gone: if the server says that there is no such file.
            ConnectionError: with a sentence, if it refuses (`Refused`), or still fails after `TRIES` tries.
        """
        url = f"{self.url}/{path}"
        for number in range(TRIES):
            if number:
                time.sleep(PATIENCE * 2 ** (number - 1))
            try:
                return self._once(url, check, into)
            except Refused:
                raise
            except (requests.RequestException, OSError) as error:
                if error.errno == errno.ENOSPC:
                    raise
                problem = f"cannot be reached or breaks off ({type(error).__name__})"
            except ValueError as error:
                problem = str(error)
        raise ConnectionError(
            f"{url} {problem}, {TRIES} times in a row; try the same command again later, it goes on from here"
        )

    def _once(self, url: str, check, into: Path | None) -> bytes:
        part = into.with_name(into.name + ".part") if into else None
        there = part.stat().st_size if part is not None and part.exists() else 0
        with self.session.get(
            url,
            stream=True,
            timeout=(10, 60),
            headers={"Range": f"bytes={there}-"} if there else {},
        ) as answer:
            if answer.status_code in GONE:
                raise Gone(f"{url} is not there ({answer.status_code})")
            if answer.status_code == 416 and there:  # nothing after what is there, or another file
                part.unlink()
                raise ValueError("has another length than before")
            if answer.status_code in BUSY:
                raise ValueError(f"answers {answer.status_code}: the server is busy")
            if not answer.ok:
                raise Refused(
                    f"{url} answers {answer.status_code} {answer.reason}; it refuses to give the file, so trying again does not help. Is the address right, and may you use it from here?"
                )
            if "html" in answer.headers.get("Content-Type", ""):
                raise ValueError(
                    "sends a web page instead of the file (a login page of the network?)"
                )
            expected = (
                int(answer.headers["Content-Length"])
                if "Content-Length" in answer.headers and "Content-Encoding" not in answer.headers
                else None
            )
            if into is None:
                content = answer.content
                self._whole(len(content), expected)
                if check is not None:
                    check(content)
                return content
            more = answer.status_code == 206
            with (
                open(part, "ab" if more else "wb") as file,
                tqdm(
                    total=(expected or 0) + there * more or None,
                    initial=there * more,
                    unit="B",
                    unit_scale=True,
                    desc=into.name,
                ) as bar,
            ):
                for chunk in answer.iter_content(CHUNK):
                    file.write(chunk)
                    bar.update(len(chunk))
            self._whole(part.stat().st_size - there * more, expected)
            os.replace(part, into)
            return b""

    @staticmethod
    def _whole(got: int, expected: int | None) -> None:
        if expected is not None and got != expected:
            raise ValueError(f"breaks off after {got:,} of {expected:,} bytes")


def order(ids: Iterable[int]) -> list[int]:
    """Ids in an order that looks like chance and is the same everywhere; a subset is its beginning."""
    return sorted(ids, key=lambda number: hashlib.sha256(str(number).encode()).digest())


def captions_file(split: str, folder: str | Path, server: Server | None = None) -> Path:
    """The official captions file of a split: from the folder, or from the server's archive, of which it alone is kept.

    Raises:
        ConnectionError, ValueError: if it cannot be had, or the archive is broken.
    """
    folder = Path(folder)
    path, archive = folder / f"captions_{split}.json", folder / Path(ANNOTATIONS).name
    if path.is_file():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with disk_full_explained(folder):
        if not archive.is_file():
            _get(server or Server(), ANNOTATIONS, archive)
        try:
            with zipfile.ZipFile(archive) as file:
                content = file.read(
                    f"annotations/{path.name}"
                )  # a name of ours, so nothing lands outside; its checksum is verified
        except (zipfile.BadZipFile, KeyError) as error:
            archive.unlink()
            raise ValueError(
                f"{archive} is not the archive of COCO's annotations ({error}); it was deleted, run the same again"
            ) from error
        path.with_suffix(".part").write_bytes(content)
        os.replace(path.with_suffix(".part"), path)
    return path


def _get(server: Server, path: str, into: Path) -> None:
    try:
        server.get(path, into=into)
    except Gone as error:
        raise ConnectionError(f"{error}; is {server.url} a server of COCO?") from error


class _Web(Source):
    """Photos of a captions file that come from a server or its archive, some of them read ahead, in the order of the subset."""

    def __init__(
        self,
        captions: Path,
        size: int,
        limit: int | None,
        originals: Path,
        server: Server,
        archive: Path | None,
        licenses: tuple[int, ...],
        connections: int,
    ):
        super().__init__(originals, captions, size, limit)
        names = {record["id"]: record["name"] for record in self.info.get("licenses", [])}
        if unknown := set(licenses) - set(names):
            raise ValueError(
                f"licence {min(unknown)} is not in {captions.name}; there are "
                + "; ".join(f"{number} {name}" for number, name in names.items())
            )
        chosen = {
            record["id"]: record
            for record in self.records
            if not licenses or record.get("license") in licenses
        }
        self.records = [chosen[number] for number in order(chosen)]
        self.first = {record["id"]: row for row, record in enumerate(self.records)}
        self.report = Report()  # of this subset alone
        self.server, self.archive, self.connections, self.split = (
            server,
            archive,
            connections,
            captions.stem.removeprefix("captions_"),
        )
        self.zip = zipfile.ZipFile(archive) if archive is not None else None
        self.lock = threading.Lock()

    def read_one(self, row: int) -> tuple[np.ndarray | None, str | None, list[str]]:
        record = self.records[row]
        if not self.captions.get(record["id"]):
            return None, "image without caption", []
        name = f"{record['id']:012d}.jpg"
        path = self.folder / name
        try:
            if self.zip is not None:
                with self.lock:
                    content = self.zip.read(f"{self.split}/{name}")
            elif path.exists():
                content = path.read_bytes()
            else:
                content = self.server.get(f"{self.split}/{name}", check=_is_photo)
                path.with_suffix(".part").write_bytes(content)
                os.replace(path.with_suffix(".part"), path)
        except (Gone, KeyError):
            return None, "gone from the server", []
        except zipfile.BadZipFile:  # its checksum is wrong
            return None, "broken in the archive", []
        return self.squared(io.BytesIO(content))

    def pictures(self, rows: range) -> Iterator[tuple[np.ndarray | None, str | None, list[str]]]:
        """As `read_one` of each row, over several connections."""
        with ThreadPoolExecutor(self.connections) as pool:
            ahead: deque[Future] = deque()
            try:
                for row in rows:
                    ahead.append(pool.submit(self.read_one, row))
                    if len(ahead) > 4 * self.connections:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                for waiting in ahead:
                    waiting.cancel()


def _is_photo(content: bytes) -> None:
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
    except Exception as error:
        raise ValueError("sends something that is no whole photo") from error


def coco(
    split: str = "train2017",
    images: int | None = None,
    size: int = 128,
    out: str | Path | None = None,
    *,
    licenses: Iterable[int] = (),
    keep_originals: bool = False,
    connections: int = 8,
    cache: str | Path = "datasets/coco",
    server: str = SERVER,
    progress: bool = True,
) -> CaptionedImages:
    """Fetch COCO 2017 captions, or a part of them, as a packed set; when stopped, the same call goes on where it was.

    Args:
        split: "train2017" (118,287 photos) or "val2017" (5,000).
        images: how many photos; None for all. A smaller subset is part of a larger one.
        size: height and width in pixels, as for `folder`.
        out: folder of the packed set; by default one in `cache` that is named after the arguments.
        licenses: keep only photos under these licences, by COCO's numbers (4 is CC BY); by default all.
        keep_originals: keep the photos as they came, in the folder `originals` of `cache`.
        connections: photos fetched at a time.
        cache: where the captions file, the archive and the unfinished work lie.
        server: the address of COCO's server, or of a mirror.
    Returns:
        the set; beside it lies `attribution.csv`: whose each photo is, and its licence. `report` tells what was left out.
        More than half of a split comes as the server's whole archive, less as single photos.
    Raises:
        ValueError: for an unknown split, licence, number or size.
        ConnectionError: with a sentence, if the server fails; what was fetched is kept.
        OSError: if there is not enough room on the disk, before anything is fetched or when it is full.
    """
    if split not in SPLITS:
        raise ValueError(f"split is {' or '.join(SPLITS)}, not {split!r}")
    if not 1 <= connections <= 32:
        raise ValueError(
            f"connections is {connections}; expected 1 to 32, so that the server is not overrun"
        )
    cache, licenses, web = Path(cache), tuple(sorted(set(map(int, licenses)))), Server(server)
    name = "-".join(
        [
            split,
            *([str(images)] if images else []),
            str(size),
            *(f"licence{number}" for number in licenses),
        ]
    )
    out = Path(out) if out is not None else cache / name
    recipe = {"split": split, "size": size, "limit": images, "licenses": list(licenses)}
    if (out / "captions.json").exists():
        data = load(out)
        if data.info.get("packing", {}).get("recipe") != recipe:
            raise ValueError(
                f"{out} holds another set; choose another folder with `out`, or delete that one"
            )
        return _attributed(out)
    total = min(images or SPLITS[split], SPLITS[split])
    whole = 2 * total > SPLITS[split]
    archive, originals = cache / f"{split}.zip", cache / "originals" / split
    needed = (
        total * 3 * size**2
        + (SPLITS[split] * PHOTO_BYTES if whole and not archive.exists() else 0)
        + (total * PHOTO_BYTES if keep_originals and not whole else 0)
    )
    out.mkdir(parents=True, exist_ok=True)
    originals.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(out).free < needed:
        raise OSError(
            errno.ENOSPC,
            f"{out} needs about {needed / 1e9:.1f} GB, and its disk has {shutil.disk_usage(out).free / 1e9:.1f} GB left; ask for fewer images, a smaller size, or another folder",
        )
    captions = captions_file(split, cache, web)
    if whole and not archive.exists():
        _get(web, f"zips/{split}.zip", archive)
    source = _Web(
        captions, size, images, originals, web, archive if whole else None, licenses, connections
    )

    def forget() -> None:
        for record in () if keep_originals else source.kept[-FLUSH:]:  # these are packed now
            (originals / f"{record['id']:012d}.jpg").unlink(missing_ok=True)

    pack_source(source, out, recipe, progress, forget)
    if not keep_originals:
        shutil.rmtree(originals, ignore_errors=True)
    return _attributed(out)


def _attributed(out: Path) -> CaptionedImages:
    """Open a finished set; a process that was killed at its very end may have left it without its attribution."""
    data = load_packed(out)
    if not (out / "attribution.csv").exists():
        attribute(data, out / "attribution.csv")
    return data


def attribute(data: CaptionedImages, path: str | Path) -> None:
    """Write whose each photo of a COCO set is: a CSV of id, file name, licence, its address, and the photo's page."""

    def fact(name: str, row: int) -> str:
        return str(data.facts[name][row]) if name in data.facts else ""

    licenses = {record["id"]: record for record in data.info.get("licenses", [])}
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "file_name", "license", "license_url", "flickr_url"])
        for row, number in enumerate(data.ids.tolist()):
            license_ = licenses.get(
                int(data.facts["license"][row]) if "license" in data.facts else None, {}
            )
            writer.writerow(
                [
                    number,
                    fact("file_name", row),
                    license_.get("name", ""),
                    license_.get("url", ""),
                    fact("flickr_url", row),
                ]
            )


def karpathy(path: str | Path, split: str = "test") -> list[int]:
    """COCO's image ids of a split of Karpathy and Fei-Fei (2015), which papers report retrieval on, in its order.

    `data[np.isin(data.ids, karpathy(path))]` are its 5,000 test photos; the 1k protocol takes the mean over five thousands of them.

    Args:
        path: the file dataset_coco.json, for those who have it. split: train, restval, val or test.
    Raises:
        ValueError: if the file is of another format, or has no such split.
    """
    try:
        records = json.loads(Path(path).read_text(encoding="utf-8"))["images"]
        ids = [int(record["cocoid"]) for record in records if record["split"] == split]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is not Karpathy's dataset_coco.json ({error}); it has a list 'images' with 'cocoid' and 'split'"
        ) from error
    if not ids:
        raise ValueError(
            f"{path} has no split {split!r}; there are {', '.join(sorted({record['split'] for record in records}))}"
        )
    return ids
