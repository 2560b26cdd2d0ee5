"""More pictures than fit in memory or on a disk: WebDataset shards (tar files, as img2dataset writes them), streamed.

A shard is read from its start to its end, so chance comes from elsewhere: the order of the shards, and a buffer from which pictures are
drawn at random. Every process and every worker reads shards of its own. What is broken is left out and counted.
Needs the library `webdataset` (pip install -e .[shards]).
"""

from __future__ import annotations

import io
import json
import random
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset

from miniclip.data.captioned import CaptionedImages
from miniclip.data.folders import Report, square

PICTURES = ("jpg", "jpeg", "png", "webp")


class Shards:
    """Captioned pictures in tar files: `000123.jpg` beside `000123.txt`, or beside a `000123.json` with a "caption" (a string or several).

    Args:
        where: a folder, a pattern with braces such as "shards/{00000..00099}.tar", or a list of files and addresses (http, s3 by `pipe:`; see webdataset).
        size: height and width that pictures are made, in pixels.
        pictures: how many there are in all; None looks for img2dataset's `_stats.json` beside each shard, or else counts what is in it.
        buffer: pictures held in memory to be drawn from at random.
        workers: processes that read and resize; 0 reads in this one.
    Raises:
        ModuleNotFoundError: without webdataset.
        FileNotFoundError: if a shard is not there.
        ValueError: if there is no shard, or none holds a picture with a caption.
    """

    def __init__(
        self,
        where: str | Path | Sequence[str],
        size: int = 64,
        pictures: int | None = None,
        buffer: int = 2000,
        workers: int = 2,
    ):
        try:
            import braceexpand
            import webdataset  # noqa: F401 - asked for here, so that it is missed before a long work
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "shards are read by the library webdataset, which is not here; pip install webdataset",
                name=error.name,
            ) from None
        if isinstance(where, (str, Path)):
            found = (
                sorted(map(str, Path(where).glob("*.tar")))
                if Path(where).is_dir()
                else list(braceexpand.braceexpand(str(where)))
            )
        else:
            found = list(map(str, where))
        if not found:
            raise ValueError(f"there is no shard in {where}; expected files ending in .tar")
        if missing := [path for path in found if ":" not in path[2:] and not Path(path).is_file()]:
            raise FileNotFoundError(
                f"{len(missing)} of {len(found)} shards are not there, the first is {missing[0]}"
            )
        self.paths, self.size, self.buffer, self.workers, self.report = (
            found,
            size,
            buffer,
            workers,
            Report(),
        )
        first = self.take(2000, paths=found[:1])
        self.captions = first.captions  # of the first shard: for the vocabulary
        self.pictures = pictures or sum(_count(path, len(first)) for path in found)

    def __len__(self) -> int:
        return self.pictures

    def __getitem__(self, some: slice) -> Shards:
        """Some of the shards: `shards[1:]`; what is in them is counted anew."""
        return Shards(self.paths[some], self.size, None, self.buffer, self.workers)

    def take(self, n: int, paths: Sequence[str] | None = None) -> CaptionedImages:
        """The first n pictures as a set in memory, for a test or for a look.

        Raises:
            ValueError: if there is none.
        """
        images, captions = [], []
        for pixels, texts in self._stream(paths or self.paths, workers=0):
            images.append(pixels)
            captions.append(texts)
            if len(images) == n:
                break
        if not images:
            raise ValueError(
                f"{(paths or self.paths)[0]} holds no picture with a caption that could be read\n{self.report}"
            )
        return CaptionedImages(
            np.stack(images),
            captions,
            info={"name": f"the first {len(images)} of {len(self.paths)} shards"},
        )

    def _stream(self, paths: Sequence[str], workers: int) -> Iterator[tuple[np.ndarray, list[str]]]:
        """Pictures and captions as the shards hold them; what is broken goes into the report."""
        source = _Reader(list(paths), self.size)
        loader = (
            DataLoader(
                source,
                batch_size=None,
                num_workers=workers,
                prefetch_factor=64 if workers else None,
            )
            if workers
            else source
        )
        for name, pixels, texts, trouble in loader:
            self.report.add(name, trouble or None, [])
            if not trouble:
                yield np.asarray(pixels), texts

    def shuffled(self, seed: str, part: tuple[int, int]) -> Iterator[tuple[np.ndarray, list[str]]]:
        """Without end: the shards of this process in another order each time, pictures drawn at random from a buffer."""
        rng, held, epoch = random.Random(f"shards {seed} {part}"), [], 0
        while True:
            order = list(self.paths)
            random.Random(f"order {seed} {epoch}").shuffle(
                order
            )  # the same for all processes, which then share them out
            before = self.report.kept
            for item in self._stream(
                order[part[0] :: part[1]], min(self.workers, len(order) // part[1])
            ):
                if len(held) < self.buffer:
                    held.append(item)
                    continue
                at = rng.randrange(len(held))
                held[at], item = item, held[at]
                yield item
            if self.report.kept == before:
                raise ValueError(f"a whole round through the shards gave no picture\n{self.report}")
            if (
                len(held) < self.buffer
            ):  # fewer pictures than the buffer holds: empty it, or nothing would come
                rng.shuffle(held)
                while held:
                    yield held.pop()
            epoch += 1


def _count(path: str, otherwise: int) -> int:
    """How many pictures a shard has: as img2dataset wrote down beside it, or by its list of contents; `otherwise` for one that is far away."""
    stats = Path(path.removesuffix(".tar") + "_stats.json")
    if stats.is_file():
        return int(json.loads(stats.read_text())["successes"])
    if not Path(path).is_file():
        return otherwise
    try:
        with tarfile.open(path) as tar:
            return sum(name.rpartition(".")[2].lower() in PICTURES for name in tar.getnames())
    except tarfile.TarError:
        return 0  # reading will say what is wrong with it


class _Reader(IterableDataset):
    """Reads shards one after the other, each worker its own: gives (name, pixels, captions, what is wrong)."""

    def __init__(self, paths: list[str], size: int):
        self.paths, self.size = paths, size

    def __iter__(self) -> Iterator[tuple[str, np.ndarray, list[str], str]]:
        import webdataset

        broken: list[tuple[str, str]] = []

        def note(error: Exception) -> bool:
            broken.append((str(error)[-100:], f"broken shard ({type(error).__name__})"))
            return True

        # The processes have their shares already (`nodesplitter`); workers share what is left among them.
        for sample in webdataset.WebDataset(
            self.paths, shardshuffle=False, nodesplitter=None, empty_check=False, handler=note
        ):
            yield from ((name, np.empty(0, np.uint8), [], trouble) for name, trouble in broken)
            broken.clear()
            yield _read(sample, self.size)
        yield from ((name, np.empty(0, np.uint8), [], trouble) for name, trouble in broken)


def _read(sample: dict, size: int) -> tuple[str, np.ndarray, list[str], str]:
    name, nothing = sample["__key__"], np.empty(0, np.uint8)
    picture = next((sample[ending] for ending in PICTURES if ending in sample), None)
    if picture is None:
        return name, nothing, [], "no picture"
    try:
        texts = (
            [sample["txt"].decode()]
            if "txt" in sample
            else json.loads(sample.get("json", b"{}")).get("caption") or []
        )
    except ValueError as error:
        return name, nothing, [], f"broken caption ({type(error).__name__})"
    texts = [
        " ".join(text.split())
        for text in ([texts] if isinstance(texts, str) else texts)
        if isinstance(text, str) and text.strip()
    ]
    if not texts:
        return name, nothing, [], "no caption"
    try:
        return name, square(io.BytesIO(picture), size)[0], texts, ""
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return name, nothing, [], f"broken image ({type(error).__name__})"
