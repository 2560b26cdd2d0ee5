"""What tests must not depend on: the internet, and what happens to be on this disk."""

import os

import numpy as np
import pytest

os.environ["HF_HUB_OFFLINE"] = "1"


def pytest_configure(config):
    config.pluginmanager.import_plugin("plugin")


@pytest.fixture
def mnist(tmp_path):
    """A folder with MNIST's own file format (big-endian idx): 20 digits, told by their shade."""
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    digits = np.arange(20, dtype=np.uint8) % 10
    shades = np.repeat(digits * 25, 28 * 28).reshape(20, 28, 28)
    for part in ("train", "t10k"):
        (folder / f"{part}-images-idx3-ubyte").write_bytes(
            np.array([2051, 20, 28, 28], ">i4").tobytes() + shades.tobytes()
        )
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(
            np.array([2049, 20], ">i4").tobytes() + digits.tobytes()
        )
    return tmp_path
