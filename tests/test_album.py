"""Promises of the photographs that come with the package: they are there without the internet,
they may be, and it is told whose they are."""

import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import miniclip
from miniclip.data import album, coco_captions, named_album, picturebook
from miniclip.data.photographs import PHOTOS
from miniclip.evaluation.benchmarks import questions
from miniclip.tools import build_album

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
FREE = ("CC0", "public domain", "no known copyright restrictions")


@pytest.fixture(scope="module")
def photos():
    return album()


def is_of_coco(photos):
    return np.array(["flickr.com" in source for source in photos.facts["source"]])


def test_eighty_photographs_come_with_their_captions(photos):
    assert photos.images.shape == (82, 256, 256, 3)
    assert is_of_coco(photos).sum() == 70
    for of_coco, texts in zip(is_of_coco(photos), photos.captions):
        assert len(texts) >= 5 if of_coco else len(texts) == 1
    with zipfile.ZipFile(PHOTOS) as archive:
        sides = [Image.open(archive.open(name)).size for name in photos.facts["file_name"]]
    assert sides.count((128, 128)) == 19 and sides.count((256, 256)) == 61
    flat = photos.images.reshape(len(photos), -1)
    assert (flat.std(axis=1) > 8).all() and len(np.unique(flat[:, ::997], axis=0)) == 82


def test_smaller_ones_show_the_same(photos):
    small = album(64)
    coarse = photos.images.reshape(82, 64, 4, 64, 4, 3).mean(axis=(2, 4))
    assert np.abs(small.images - coarse).mean() < 6
    for size in (8, 512):
        with pytest.raises(ValueError, match=f"16 to 256 pixels wide, not {size}"):
            album(size)


def test_each_photograph_may_be_shipped_and_tells_its_source(photos):
    lines = photos.credits()
    assert len(lines) == 82
    for number, of_coco, line in zip(photos.ids, is_of_coco(photos), lines):
        assert str(number) in line
        if of_coco:
            assert re.search(r"https://flickr\.com/photo\.gne\?id=\d+, CC BY 2\.0$", line)
        else:
            assert "scikit-image.org" in line and any(free in line for free in FREE)


def test_the_guide_to_the_data_sets_names_every_photograph(photos):
    guide = (ROOT / "datasets" / "README.md").read_text(encoding="utf-8")
    for number, source, licence in zip(photos.ids, photos.facts["source"], photos.facts["licence"]):
        address = source.partition(" ")[0]
        assert address in guide and licence in guide and str(number) in guide


def test_sets_without_a_source_for_each_image_tell_that_of_all():
    (line,) = picturebook(2, size=32).credits()
    assert "openmoji.org" in line and "CC BY-SA 4.0" in line
    assert miniclip.CaptionedImages(np.zeros((1, 8, 8, 3), np.uint8), [["nothing"]]).credits() == []


def test_what_people_wrote_about_many_more():
    captions = coco_captions()
    texts = [text for found in captions.values() for text in found]
    assert len(captions) == 18_437 and len(texts) > 90_000
    assert all(text.strip() == text and text for text in texts)
    assert sum("dog" in text.lower().split() for text in texts) > 500


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real photos of ../shared/data")
def test_the_album_is_what_its_script_makes(photos):
    found = {record["id"]: record for _, record in build_album.photos(SHARED)}
    assert sorted(found) == sorted(photos.ids.tolist())
    allowed = set()
    for name in ("coco/annotations/captions_train2017", "coco/annotations/captions_val2017"):
        content = json.loads((SHARED / f"{name}.json").read_text(encoding="utf-8"))
        allowed |= {image["id"] for image in content["images"] if image["license"] == 4}
    content = json.loads((SHARED / "coco_extra/captions.json").read_text(encoding="utf-8"))
    allowed |= {
        image["id"]
        for image in content["images"]
        if image["license"] == 4 and not image["squashed"]
    }
    assert set(photos.ids[is_of_coco(photos)].tolist()) <= allowed
    for number, texts in zip(photos.ids, photos.captions):
        assert found[int(number)]["captions"] == texts


def test_some_photographs_show_one_thing_by_what_most_people_wrote():
    named = named_album(64)
    assert len(named) == 54 and set(named.facts["object"]) <= set(named.info["words"])
    question = questions(named)["object"]
    assert "a man in a suit" in question.names and len(question.labels) == 25
    for captions, name in zip(named.captions, named.facts["object"]):
        if name in ("cat", "pizza", "train"):
            assert sum(name in text.lower() for text in captions) > len(captions) / 2
    for pixels, number in zip(named.images[:3], named.ids[:3]):
        assert np.array_equal(pixels, album(64).images[album(64).ids == number][0])
