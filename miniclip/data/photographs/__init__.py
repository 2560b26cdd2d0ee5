"""Real photographs that come with the package, and what people wrote about 18,437 more.

The album is for looking: a similarity matrix of photographs, a search, zero-shot classes of the
real world, all without the internet. It is far too small to learn from. `tools/build_album.py`
made its files. Notebooks 01, 03, 04, 08 and 09 look at it.
"""

from __future__ import annotations

import io
import json
import lzma
import re
import zipfile
from functools import cache
from pathlib import Path

import numpy as np

from miniclip.data.captioned import CaptionedImages
from miniclip.data.folders import square

PHOTOS = Path(__file__).with_name("photos.zip")
CAPTIONS = Path(__file__).with_name("coco-captions.xz")
SIDE = 256  # the largest height and width in pixels of the photos as they are kept
# Classes of the album, each with the words that name it in captions.
NAMED = {
    "airplane": ("airplane", "plane", "jet"),
    "baseball game": ("baseball",),
    "bathroom": ("bathroom", "toilet", "toilets", "shower", "sink"),
    "bear": ("bear", "bears"),
    "bed": ("bed", "bedroom"),
    "bicycle": ("bike", "bicycle", "bikes", "bicycles"),
    "bird": ("bird", "birds"),
    "boat": ("boat", "boats"),
    "cake": ("cake", "cakes", "dessert", "cupcakes"),
    "cat": ("cat", "cats", "kitten"),
    "clock": ("clock", "clocks"),
    "desk with computers": ("desk", "laptop", "computer", "monitors", "keyboard"),
    "dog": ("dog", "dogs", "poodle"),
    "horse": ("horse", "horses"),
    "kitchen": ("kitchen", "stove", "microwave"),
    "kite": ("kite", "kites"),
    "man in a suit": ("suit", "suits"),
    "motorcycle": ("motorcycle", "motorcycles", "motorbike"),
    "pizza": ("pizza", "pizzas"),
    "skier": ("skis", "skiing", "skier"),
    "street sign": ("sign", "signs"),
    "surfer": ("surfboard", "surfing", "surfer"),
    "tennis player": ("tennis",),
    "train": ("train", "trains"),
    "zebra": ("zebra", "zebras"),
}


def album(size: int = SIDE) -> CaptionedImages:
    """The photographs that come with the package.

    Seventy are from COCO 2017, with five captions each, twelve are free pictures of scikit-image,
    with one. They are squares, cut out of the middle. Nineteen of them are enlarged from 128 px,
    two from 216 and 240.

    Args:
        size: height and width in pixels, 16 to 256.
    Returns:
        a `CaptionedImages`; its ids are COCO's (1 to 12 for the others), its facts are "file_name",
        "source" (an address) and "licence", and its `credits()` says whose each photo is.
    Raises:
        ValueError: for a size out of range.
    """
    if not 16 <= size <= SIDE:
        raise ValueError(f"photos of the album are 16 to {SIDE} pixels wide, not {size}")
    with zipfile.ZipFile(PHOTOS) as archive:
        records = json.loads(archive.read("captions.json"))
        files = [io.BytesIO(archive.read(record["file_name"])) for record in records]
    names = ("file_name", "source", "licence")
    return CaptionedImages(
        np.stack([square(file, size)[0] for file in files]),
        [record["captions"] for record in records],
        [record["id"] for record in records],
        {name: np.array([record[name] for record in records]) for name in names},
        {
            "name": "the album",
            "licence": "that of each photo; COCO's captions are CC BY 4.0",
            "source": "COCO 2017 (Lin et al. 2014, Chen et al. 2015) and scikit-image",
        },
    )


def named_album(size: int = SIDE) -> CaptionedImages:
    """The photographs of the album that show one of the classes in `NAMED` and no other, to ask a
    model which. A photo shows a class if more than half of its captions have one of the words.

    Args:
        size: height and width in pixels, 16 to 256.
    Returns:
        a `CaptionedImages` with one more fact, "object", the class of each photo.
    Raises:
        ValueError: for a size out of range.
    """
    photos = album(size)
    shown = [_named_in(captions) for captions in photos.captions]
    rows = np.array([row for row, names in enumerate(shown) if len(names) == 1])
    named = photos[rows]
    facts = named.facts | {"object": np.array([shown[row][0] for row in rows])}
    info = named.info | {"words": list(NAMED)}
    return CaptionedImages(named.images, named.captions, named.ids, facts, info)


def _named_in(captions: list[str]) -> list[str]:
    """The classes that more than half of some captions name."""
    spoken = [set(re.findall("[a-z]+", caption.lower())) for caption in captions]
    return [
        name
        for name, words in NAMED.items()
        if sum(not said.isdisjoint(words) for said in spoken) > len(captions) / 2
    ]


@cache
def coco_captions() -> dict[int, list[str]]:
    """What people wrote about photographs: about five captions each of 18,437 photos of COCO.

    It is text alone: for a vocabulary, or to see how people write. COCO's captions are CC BY 4.0
    (Chen et al. 2015).

    Returns:
        {COCO's number of the photo: its captions}.
    """
    captions = json.loads(lzma.decompress(CAPTIONS.read_bytes()))
    return {int(number): texts for number, texts in captions.items()}
