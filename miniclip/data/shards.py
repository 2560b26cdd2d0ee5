"""Stream more images than fit in memory or on a disk, from WebDataset shards (tar files).

img2dataset writes such shards. A shard can only be read from its start to its end, so the shuffling
comes from elsewhere: the order of the shards is random, and images are drawn at random from a
buffer. Every process and every worker reads shards of its own. Broken files are left out and
counted. This module needs the library `webdataset` (pip install -e .[shards]).
"""

from __future__ import annotations

import io
import itertools
import json
import random
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from torch.utils.data import DataLoader

from miniclip.data.captioned import CaptionedImages
from miniclip.data.folders import Report, square

PICTURES = ("jpg", "jpeg", "png", "webp")


class Shards:
    """Images with captions in tar files.

    A tar file holds each image, say `000123.jpg`, beside its caption in `000123.txt`, or beside a
    `000123.json` whose entry "caption" is a string or a list of strings.

    Args:
        where: a folder, a pattern with braces such as "shards/{00000..00099}.tar", or a list of
            paths and addresses (http, or s3 by `pipe:`; see webdataset).
        size: height and width in pixels to which images are resized.
        pictures: number of images in all shards. With None, the number is read from img2dataset's
            `_stats.json` beside each shard or, where there is none, counted in the shard.
        buffer: number of images held in memory, from which the next one is drawn at random.
        workers: number of processes that read and resize; with 0, this process does it.
    Attributes:
        paths: paths and addresses of the shards.
        captions: captions of the first 2,000 images of the first shard that has any, to learn a
            vocabulary from.
        report: a `Report` on the images read so far.
    Raises:
        ModuleNotFoundError: if webdataset is not installed.
        FileNotFoundError: if a shard does not exist.
        ValueError: if there is no shard, or no image with a caption in any of them.
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
            import webdataset  # noqa: F401 - if it is missing, say so now and not much later
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "shards are read by the library webdataset, which is not here; "
                "pip install webdataset",
                name=error.name,
            ) from None
        if not isinstance(where, (str, Path)):
            paths = list(map(str, where))
        elif Path(where).is_dir():
            paths = sorted(map(str, Path(where).glob("*.tar")))
        else:
            paths = list(braceexpand.braceexpand(str(where)))
        if not paths:
            raise ValueError(f"there is no shard in {where}; expected files ending in .tar")
        # An address has a colon; in a path only the drive of Windows has one, as its second letter.
        if missing := [path for path in paths if ":" not in path[2:] and not Path(path).is_file()]:
            raise FileNotFoundError(
                f"{len(missing)} of {len(paths)} shards are not there, the first is {missing[0]}"
            )
        self.paths, self.size = paths, size
        self.buffer, self.workers = buffer, workers
        self.report = Report()
        first_images = self._first_images(2000)
        self.captions = first_images.captions
        self.pictures = pictures or sum(_count(path, len(first_images)) for path in paths)

    def __len__(self) -> int:
        return self.pictures

    def __getitem__(self, selection: slice) -> Shards:
        """Select some of the shards, as in `shards[1:]`; the images in them are counted again."""
        return Shards(self.paths[selection], self.size, None, self.buffer, self.workers)

    def _first_images(self, n: int) -> CaptionedImages:
        """The first n images of the first shard that has any; a shard may be broken or empty."""
        for path in self.paths[:-1]:
            try:
                return self.take(n, [path])
            except ValueError:
                pass  # what is wrong with its images stands in the report
        return self.take(n, self.paths[-1:])

    def take(self, n: int, paths: Sequence[str] | None = None) -> CaptionedImages:
        """Load the first n images into memory, to test a model on or to look at.

        Args:
            n: the number of images; fewer if the shards do not hold as many.
            paths: the shards to read; by default all.
        Returns:
            a data set of these images, without facts.
        Raises:
            ValueError: if there is no image with a caption that can be read.
        """
        images, captions = [], []
        for pixels, texts in self._stream(paths or self.paths, workers=0):
            images.append(pixels)
            captions.append(texts)
            if len(images) == n:
                break
        if not images:
            raise ValueError(
                f"{(paths or self.paths)[0]} holds no picture with a caption that could be read\n"
                f"{self.report}"
            )
        return CaptionedImages(
            np.stack(images),
            captions,
            info={"name": f"the first {len(images)} of {len(self.paths)} shards"},
        )

    def _stream(self, paths: Sequence[str], workers: int) -> Iterator[tuple[np.ndarray, list[str]]]:
        """Yield images and captions in the order of the shards; broken ones go into the report."""
        import webdataset as wds

        pipeline = wds.DataPipeline(
            wds.SimpleShardList(list(paths)),
            wds.split_by_worker,
            _samples,
            wds.map(partial(_read, size=self.size)),
        )
        options = {"num_workers": workers, "prefetch_factor": 64} if workers else {}
        # `collate_fn` leaves each sample as it is, instead of making tensors of its arrays.
        loader = DataLoader(pipeline, batch_size=None, collate_fn=tuple, **options)
        for name, pixels, texts, problem in loader:
            self.report.add(name, problem or None, [])
            if not problem:
                yield pixels, texts

    def shuffled(self, seed: str, part: tuple[int, int]) -> Iterator[tuple[np.ndarray, list[str]]]:
        """Yield images and captions in random order, without end.

        In each epoch the shards come in another order, and a buffer shuffles their images.

        Args:
            seed: the same seed gives the same order.
            part: (rank, number of processes); each process reads its own part of the shards.
        Yields:
            an image (size, size, 3) uint8 and the list of its captions.
        Raises:
            ValueError: if a whole epoch gives no image that can be read.
        """
        import webdataset as wds

        # A buffer that holds everything gives a random order already; a larger one would only
        # read the same images again before it gives the first.
        buffer = min(self.buffer, max(1, self.pictures // part[1]))
        rng = random.Random(f"shards {seed} {part}")
        return wds.shuffle(buffer, initial=buffer, rng=rng)(self._epochs(seed, *part))

    def _epochs(self, seed: str, rank: int, world_size: int) -> Iterator:
        """The images of one epoch after the other; in each, the shards have another order."""
        for epoch in itertools.count():
            order = list(self.paths)
            # All processes shuffle the shards in the same way, and then share them out.
            random.Random(f"order {seed} {epoch}").shuffle(order)
            kept_before = self.report.kept
            own = order[rank::world_size]
            yield from self._stream(own, min(self.workers, len(own)))
            if self.report.kept == kept_before:
                raise ValueError(f"a whole round through the shards gave no picture\n{self.report}")


def _count(path: str, default: int) -> int:
    """Count the images of a shard.

    Args:
        path: path or address of the shard.
        default: the answer for a shard that is neither described nor on this machine.
    Returns:
        the number in img2dataset's `_stats.json`, or else the number of images in the tar file.
    """
    stats = Path(path.removesuffix(".tar") + "_stats.json")
    if stats.is_file():
        return int(json.loads(stats.read_text())["successes"])
    if not Path(path).is_file():
        return default
    try:
        with tarfile.open(path) as tar:
            return sum(name.rpartition(".")[2].lower() in PICTURES for name in tar.getnames())
    except tarfile.TarError:
        return 0  # the report will say what is wrong with it when it is read


def _samples(shards: Iterable[dict]) -> Iterator[dict]:
    """A stage of webdataset's pipeline: the samples of shards, and what is wrong with a shard as a
    sample of its own, {"__key__": the end of the message, "broken": the kind of error}."""
    import webdataset as wds

    broken: list[dict] = []

    def note(error: Exception) -> bool:
        problem = f"broken shard ({type(error).__name__})"
        broken.append({"__key__": str(error)[-100:], "broken": problem})
        return True  # tells webdataset to go on reading

    for sample in wds.tarfile_to_samples(handler=note)(shards):
        yield from broken
        broken.clear()
        yield sample
    yield from broken


def _read(sample: dict, size: int) -> tuple[str, np.ndarray, list[str], str]:
    """Read one sample of webdataset: its name, pixels, captions and what is wrong with it."""
    name, no_pixels = sample["__key__"], np.empty(0, np.uint8)
    if "broken" in sample:
        return name, no_pixels, [], sample["broken"]
    content = next((sample[suffix] for suffix in PICTURES if suffix in sample), None)
    if content is None:
        return name, no_pixels, [], "no picture"
    try:
        if "txt" in sample:
            texts = [sample["txt"].decode()]
        else:
            texts = json.loads(sample.get("json", b"{}")).get("caption") or []
    except ValueError as error:
        return name, no_pixels, [], f"broken caption ({type(error).__name__})"
    texts = [
        " ".join(text.split())
        for text in ([texts] if isinstance(texts, str) else texts)
        if isinstance(text, str) and text.strip()
    ]
    if not texts:
        return name, no_pixels, [], "no caption"
    try:
        return name, square(io.BytesIO(content), size)[0], texts, ""
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return name, no_pixels, [], f"broken image ({type(error).__name__})"
