"""Tar files of pictures for tests, as WebDataset shards are."""

import io
import tarfile

from PIL import Image


def write_tar(path, members):
    """Write a tar file of (name, content in bytes) pairs."""
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            record = tarfile.TarInfo(name)
            record.size = len(content)
            tar.addfile(record, io.BytesIO(content))


def png(pixels):
    """Pixels (H, W, 3) uint8 as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()
