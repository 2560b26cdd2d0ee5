"""Build the files of `miniclip/data/photographs` from real photographs and captions.

Only who changes the album needs this:

    python -m miniclip.tools.build_album ../shared/data

The folder has COCO's photos and captions in COCO's layout (`coco`), more of them at 128 px
(`coco_extra`), twelve free pictures of scikit-image (`skimage_free`), and captions alone
(`coco_text`). Only photos of COCO under licence 4 (CC BY 2.0) are taken, and none that was squashed
to a square.
"""

from __future__ import annotations

import io
import json
import lzma
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from miniclip.data.folders import square
from miniclip.data.photographs import CAPTIONS, PHOTOS, SIDE

CC_BY = 4  # COCO's number of this licence
CC_BY_NAME = "CC BY 2.0"
SCIKIT_IMAGE = "https://scikit-image.org/docs/stable/api/skimage.data.html"
ZIP_TIME = (2026, 1, 1, 0, 0, 0)  # the same photos give the same file


def photos(folder: Path) -> Iterator[tuple[Path, dict]]:
    """Each photo that may be shipped: its file, and its record without the file's name."""
    for images, captions in (
        ("coco/train2017", "coco/annotations/captions_train2017.json"),
        ("coco/val2017", "coco/annotations/captions_val2017.json"),
        ("coco_extra/images", "coco_extra/captions.json"),
    ):
        content = json.loads((folder / captions).read_text(encoding="utf-8"))
        for image in content["images"]:
            if image["license"] != CC_BY or image.get("squashed"):
                continue
            texts = [
                " ".join(note["caption"].split())
                for note in content["annotations"]
                if note["image_id"] == image["id"]
            ]
            record = {"id": image["id"], "captions": texts, "licence": CC_BY_NAME}
            record["source"] = flickr_page(image["flickr_url"])
            yield folder / images / image["file_name"], record
    content = json.loads((folder / "skimage_free/captions.json").read_text(encoding="utf-8"))
    for number, image in enumerate(content, 1):
        address = (
            f"https://scikit-image.org/docs/stable/api/skimage.data.html ({image['original']})"
        )
        record = {"id": number, "captions": [image["caption"]], "licence": image["licence"]}
        yield folder / "skimage_free/images" / image["file_name"], record | {"source": address}


def flickr_page(address: str) -> str:
    """The page of a photo on Flickr, from the address of its file."""
    number = re.search(r"/(\d+)_[0-9a-f]+", address)[1]
    return f"https://flickr.com/photo.gne?id={number}"


def build(folder: Path) -> int:
    """Write both files of the album, and return how many photos it has."""
    records = {}
    with zipfile.ZipFile(PHOTOS, "w") as archive:

        def add(name: str, content: bytes) -> None:
            archive.writestr(zipfile.ZipInfo(name, ZIP_TIME), content)

        for path, record in photos(folder):
            if record["id"] in records:
                continue
            pixels, _ = square(path, min(SIDE, *Image.open(path).size))
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "JPEG", quality=88)
            name = f"{record['id']:012d}.jpg"
            add(name, file.getvalue())
            records[record["id"]] = {"file_name": name} | record
        add("captions.json", json.dumps(list(records.values())).encode())
    texts = json.loads((folder / "coco_text/captions_by_image_id.json").read_text(encoding="utf-8"))
    tidy = {number: [" ".join(text.split()) for text in found] for number, found in texts.items()}
    CAPTIONS.write_bytes(lzma.compress(json.dumps(tidy, separators=(",", ":")).encode(), preset=9))
    return len(records)


if __name__ == "__main__":
    print(build(Path(sys.argv[1])), "photos")
    for path in (PHOTOS, CAPTIONS):
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
