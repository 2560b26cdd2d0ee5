"""Fetch COCO 2017 captions (Lin et al. 2014, Chen et al. 2015), or a subset of them, and pack them.

The photos of a small subset are fetched one by one. Which photos belong to a subset depends only on
their ids, so a smaller subset is part of a larger one on every machine. If the process is stopped,
nothing that was fetched is fetched again. If the server fails, the error says in a sentence how.
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
import zipfile
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import requests
from PIL import Image
from tqdm.auto import tqdm
from urllib3 import HTTPResponse, Retry
from urllib3.exceptions import MaxRetryError, ProtocolError

from miniclip.data.captioned import CaptionedImages, disk_full_explained, load
from miniclip.data.folders import FLUSH, Report, Source, load_packed, pack_source

SERVER = "http://images.cocodataset.org"
ANNOTATIONS = "annotations/annotations_trainval2017.zip"
SPLITS = {"train2017": 118_287, "val2017": 5_000}
TRIES = 6
PATIENCE = 0.5  # seconds to wait before the third try; the wait doubles before each further try
BUSY = (408, 425, 429, 500, 502, 503, 504)  # HTTP statuses for which trying again can help
GONE = (404, 410)  # HTTP statuses which say that there is no such file
CHUNK = 1 << 16  # bytes written at a time; when a download breaks off, less than this is lost
PHOTO_BYTES = 170_000  # approximate size of one of COCO's photos


class Gone(Exception):
    """The server does not have this file, or has it no longer."""


class Busy(Exception):
    """The file did not come, or not whole, and trying again can help.

    Args:
        problem: the end of a sentence that starts with the file's address.
        response: urllib3's response, if the server answered.
    """

    def __init__(self, problem: str, response: HTTPResponse | None = None):
        super().__init__(problem)
        self.response = response


class Refused(ConnectionError):
    """The server refuses to give the file, and trying again would not help."""


class Server:
    """Fetches files from a server, and tries again if that can help.

    Args:
        url: the server's address.
    """

    def __init__(self, url: str = SERVER):
        self.url, self._thread_local = url.rstrip("/"), threading.local()

    @property
    def session(self) -> requests.Session:
        """This thread's own session, whose connection stays open."""
        if not hasattr(self._thread_local, "session"):
            self._thread_local.session = requests.Session()
        return self._thread_local.session

    def get(self, path: str, check=None, into: Path | None = None) -> bytes:
        """Fetch one whole file.

        Args:
            path: the file's path below the server's address.
            check: a function of the bytes that raises `Busy` if something is wrong with them.
            into: write the bytes to this file instead of returning them, and continue where an
                earlier try stopped.
        Returns:
            the file's bytes, or b"" if they were written to `into`.
        Raises:
            Gone: if the server says that there is no such file.
            ConnectionError: if the server refuses (`Refused`), or still fails after `TRIES` tries.
            OSError: if the disk is full.
        """
        url = f"{self.url}/{path}"
        retry = Retry(TRIES - 1, backoff_factor=PATIENCE / 2)  # waits 0, PATIENCE, 2 PATIENCE, ...
        while True:
            try:
                return self._once(url, check, into)
            except Refused:
                raise
            except Busy as error:
                problem, response = str(error), error.response
            except (requests.RequestException, OSError) as error:
                if error.errno == errno.ENOSPC:
                    raise
                problem = f"cannot be reached or breaks off ({type(error).__name__})"
                response = None
            try:
                retry = retry.increment("GET", url, error=ProtocolError(problem))
            except MaxRetryError:
                raise ConnectionError(
                    f"{url} {problem}, {TRIES} times in a row; "
                    f"try the same command again later, it goes on from here"
                ) from None
            retry.sleep(response)  # as long as the server asks for (Retry-After), if it does

    def _once(self, url: str, check, into: Path | None) -> bytes:
        """Try once to fetch a file; `Busy` says what failed in a way that may get better."""
        part = into.with_name(into.name + ".part") if into else None
        existing_bytes = part.stat().st_size if part is not None and part.exists() else 0
        with self.session.get(
            url,
            stream=True,
            timeout=(10, 60),
            headers={"Range": f"bytes={existing_bytes}-"} if existing_bytes else {},
        ) as response:
            # 416: the file has no bytes after those that we have, or it is another file by now.
            if response.status_code == 416 and existing_bytes:
                part.unlink()
                raise Busy("has another length than before")
            _check_status(response, url)
            expected = (
                int(response.headers["Content-Length"])
                if "Content-Length" in response.headers
                and "Content-Encoding" not in response.headers
                else None
            )
            if into is None:
                content = response.content
                self._check_length(len(content), expected)
                if check is not None:
                    check(content)
                return content
            # 206 is the rest of the file; any other answer is the whole file from its start.
            offset = existing_bytes if response.status_code == 206 else 0
            with (
                open(part, "ab" if response.status_code == 206 else "wb") as file,
                tqdm(
                    total=(expected or 0) + offset or None,
                    initial=offset,
                    unit="B",
                    unit_scale=True,
                    desc=into.name,
                ) as bar,
            ):
                for chunk in response.iter_content(CHUNK):
                    file.write(chunk)
                    bar.update(len(chunk))
            self._check_length(part.stat().st_size - offset, expected)
            os.replace(part, into)
            return b""

    @staticmethod
    def _check_length(received: int, expected: int | None) -> None:
        if expected is not None and received != expected:
            raise Busy(f"breaks off after {received:,} of {expected:,} bytes")


def _check_status(response: requests.Response, url: str) -> None:
    """Raise an error if a response is not the file: `Busy` if trying again can help."""
    if response.status_code in GONE:
        raise Gone(f"{url} is not there ({response.status_code})")
    if response.status_code in BUSY:
        raise Busy(f"answers {response.status_code}: the server is busy", response.raw)
    if not response.ok:
        raise Refused(
            f"{url} answers {response.status_code} {response.reason}; "
            f"it refuses to give the file, so trying again does not help. "
            f"Is the address right, and may you use it from here?"
        )
    if "html" in response.headers.get("Content-Type", ""):
        raise Busy("sends a web page instead of the file (a login page of the network?)")


def order(ids: Iterable[int]) -> list[int]:
    """Sort ids in an order that looks random but is the same on every machine.

    The first k ids of this order are the subset of k photos.

    Args:
        ids: COCO's image ids.
    Returns:
        the same ids, sorted by their SHA-256.
    """
    return sorted(ids, key=lambda image_id: hashlib.sha256(str(image_id).encode()).digest())


def captions_file(split: str, folder: str | Path, server: Server | None = None) -> Path:
    """Find the official captions file of a split, or fetch it from COCO's server.

    The server has it in an archive of annotations, of which only this file is unpacked.

    Args:
        split: "train2017" or "val2017".
        folder: where the file is, or is to be.
        server: the server to ask; by default COCO's.
    Returns:
        the file's path.
    Raises:
        ConnectionError: if the server fails.
        ValueError: if the archive is broken.
        OSError: if the disk is full.
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
                # The member's name is ours, so no archive can make us write outside the folder.
                # zipfile verifies the member's checksum.
                content = file.read(f"annotations/{path.name}")
        except (zipfile.BadZipFile, KeyError) as error:
            archive.unlink()
            raise ValueError(
                f"{archive} is not the archive of COCO's annotations ({error}); "
                f"it was deleted, run the same again"
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
    """The photos of a captions file, read from a server or from its archive, in the subset's order.

    Args:
        captions: COCO's captions file of a split.
        size: height and width in pixels.
        limit: number of photos to keep; None for all.
        originals: folder for the photos as they were fetched.
        server: where single photos are fetched.
        archive: the split's archive of all photos; None fetches single photos.
        licenses: keep only photos under these of COCO's licence numbers; () for all.
        connections: number of threads that read photos.
    Raises:
        ValueError: for an unknown licence, or a wrong size or limit.
    """

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
        license_names = {record["id"]: record["name"] for record in self.info.get("licenses", [])}
        if unknown := set(licenses) - set(license_names):
            raise ValueError(
                f"licence {min(unknown)} is not in {captions.name}; there are "
                + "; ".join(f"{number} {name}" for number, name in license_names.items())
            )
        chosen = {
            record["id"]: record
            for record in self.records
            if not licenses or record.get("license") in licenses
        }
        self.records = [chosen[image_id] for image_id in order(chosen)]
        self.first = {record["id"]: row for row, record in enumerate(self.records)}
        self.report = Report()  # a new one, since the old one counts photos outside the subset
        self.server, self.archive, self.connections = server, archive, connections
        self.split = captions.stem.removeprefix("captions_")
        self.zip = zipfile.ZipFile(archive) if archive is not None else None
        self.lock = threading.Lock()  # only one thread may read from the archive at a time

    def read_one(self, row: int) -> tuple[np.ndarray | None, str | None, list[str]]:
        """Read the photo of one record from the archive, the disk or the server.

        Args:
            row: the record's index in `records`.
        Returns:
            as `Source.read_one`: pixels or None, the reason to skip the photo or None, conversions.
        Raises:
            ConnectionError: if the server fails.
        """
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
        except zipfile.BadZipFile:  # the photo's checksum is wrong
            return None, "broken in the archive", []
        return self.squared(io.BytesIO(content))

    def pictures(self, rows: range) -> Iterator[tuple[np.ndarray | None, str | None, list[str]]]:
        """Yield the result of `read_one` for each row, in order; several threads read ahead."""
        with ThreadPoolExecutor(self.connections) as pool:
            queue: deque[Future] = deque()
            try:
                for row in rows:
                    queue.append(pool.submit(self.read_one, row))
                    if len(queue) > 4 * self.connections:
                        yield queue.popleft().result()
                while queue:
                    yield queue.popleft().result()
            finally:
                for future in queue:
                    future.cancel()


def _is_photo(content: bytes) -> None:
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
    except Exception as error:
        raise Busy("sends something that is no whole photo") from error


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
    """Fetch COCO 2017 captions, or a subset of them, as a packed data set.

    If more than half of a split is wanted, the server's archive of the whole split is fetched,
    otherwise single photos. If the work is interrupted, the same call continues where it stopped.
    The file `attribution.csv` beside the data set lists each photo's licence and its page, which
    says whose it is.

    Args:
        split: "train2017" (118,287 photos) or "val2017" (5,000).
        images: number of photos; None for all. A smaller subset is part of a larger one.
        size: height and width in pixels, as in `folder`.
        out: folder of the packed data set; by default one in `cache`, named after the arguments.
        licenses: keep only photos under these licences, given by COCO's numbers (4 is CC BY); by
            default all.
        keep_originals: keep the photos as they were fetched, in the folder `originals` of `cache`.
        connections: number of photos to fetch at the same time, 1 to 32.
        cache: folder for the captions file, the archive and the fetched photos.
        server: the address of COCO's server, or of a mirror.
        progress: show a progress bar.
    Returns:
        the data set; its `report` says which photos were left out.
    Raises:
        ValueError: for an unknown split or licence, or a wrong number of images, size or
            connections, or if `out` holds another data set.
        ConnectionError: if the server fails; what was fetched is kept.
        OSError: if the disk has too little space, before anything is fetched, or when it is full.
    """
    if split not in SPLITS:
        raise ValueError(f"split is {' or '.join(SPLITS)}, not {split!r}")
    if images is not None and images < 1:
        raise ValueError(f"images is {images}; expected 1 or more, or None for all")
    if not 1 <= connections <= 32:
        raise ValueError(
            f"connections is {connections}; expected 1 to 32, so that the server is not overrun"
        )
    cache = Path(cache)
    licenses = tuple(sorted(set(map(int, licenses))))
    web = Server(server)
    name = [split, str(images), str(size)] if images else [split, str(size)]
    name += [f"licence{number}" for number in licenses]
    out = Path(out) if out is not None else cache / "-".join(name)
    recipe = {"split": split, "size": size, "limit": images, "licenses": list(licenses)}
    if (out / "captions.json").exists():
        data = load(out)
        if data.info.get("packing", {}).get("recipe") != recipe:
            raise ValueError(
                f"{out} holds another set; choose another folder with `out`, or delete that one"
            )
        return _attributed(out)
    total = min(images or SPLITS[split], SPLITS[split])
    use_archive = 2 * total > SPLITS[split]
    archive, originals = cache / f"{split}.zip", cache / "originals" / split
    photos_to_store = SPLITS[split] if use_archive and not archive.exists() else 0
    photos_to_store += total if keep_originals and not use_archive else 0
    needed = total * 3 * size**2 + photos_to_store * PHOTO_BYTES  # bytes
    out.mkdir(parents=True, exist_ok=True)
    originals.mkdir(parents=True, exist_ok=True)
    _check_free_space(out, needed)
    captions = captions_file(split, cache, web)
    if use_archive and not archive.exists():
        _get(web, f"zips/{split}.zip", archive)
    source = _Web(
        captions=captions,
        size=size,
        limit=images,
        originals=originals,
        server=web,
        archive=archive if use_archive else None,
        licenses=licenses,
        connections=connections,
    )

    def delete_packed_originals() -> None:
        if not keep_originals:
            for record in source.kept[-FLUSH:]:
                (originals / f"{record['id']:012d}.jpg").unlink(missing_ok=True)

    pack_source(source, out, recipe, progress, flushed=delete_packed_originals)
    if not keep_originals:
        shutil.rmtree(originals, ignore_errors=True)
    return _attributed(out)


def _check_free_space(out: Path, needed: int) -> None:
    """Raise an OSError if the disk of a folder has less than `needed` bytes left."""
    if shutil.disk_usage(out).free < needed:
        raise OSError(
            errno.ENOSPC,
            f"{out} needs about {needed / 1e9:.1f} GB, "
            f"and its disk has {shutil.disk_usage(out).free / 1e9:.1f} GB left; "
            f"ask for fewer images, a smaller size, or another folder",
        )


def _attributed(out: Path) -> CaptionedImages:
    """Open a finished data set, and write its attribution if that is missing.

    It is missing at first, and also if the process was killed just before it was written.
    """
    data = load_packed(out)
    if not (out / "attribution.csv").exists():
        attribute(data, out / "attribution.csv")
    return data


def attribute(data: CaptionedImages, path: str | Path) -> None:
    """Write a CSV file that gives the source and the licence of each photo of a COCO data set.

    Its columns are the photo's id, its file name, its licence, the licence's address, and the
    address of the photo's page on Flickr. What is not known is left empty.

    Args:
        data: a data set that `coco` made.
        path: the file to write.
    """

    def fact(name: str, row: int) -> str:
        return str(data.facts[name][row]) if name in data.facts else ""

    licenses = {record["id"]: record for record in data.info.get("licenses", [])}
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "file_name", "license", "license_url", "flickr_url"])
        for row, image_id in enumerate(data.ids.tolist()):
            license_id = int(data.facts["license"][row]) if "license" in data.facts else None
            license_ = licenses.get(license_id, {})
            writer.writerow(
                [
                    image_id,
                    fact("file_name", row),
                    license_.get("name", ""),
                    license_.get("url", ""),
                    fact("flickr_url", row),
                ]
            )


def karpathy(path: str | Path, split: str = "test") -> list[int]:
    """Read the image ids of a split of COCO by Karpathy and Fei-Fei (2015).

    Papers report retrieval on these splits. `data[np.isin(data.ids, karpathy(path))]` selects the
    5,000 test photos. The 1k protocol divides them into five sets of 1,000 photos and reports the
    mean over the five.

    Args:
        path: the authors' file dataset_coco.json.
        split: "train", "restval", "val" or "test".
    Returns:
        COCO's image ids, in the order of the file.
    Raises:
        ValueError: if the file has another format, or has no such split.
    """
    try:
        records = json.loads(Path(path).read_text(encoding="utf-8"))["images"]
        ids = [int(record["cocoid"]) for record in records if record["split"] == split]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is not Karpathy's dataset_coco.json ({error}); "
            f"it has a list 'images' with 'cocoid' and 'split'"
        ) from error
    if not ids:
        splits = ", ".join(sorted({record["split"] for record in records}))
        raise ValueError(f"{path} has no split {split!r}; there are {splits}")
    return ids
