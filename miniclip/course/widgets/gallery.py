"""`Gallery`: a row of pictures to click on, and a place for a picture of one's own, which can be
dropped, pasted, chosen as a file or taken by a camera. Part of `PromptLab`."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

import anywidget
import numpy as np
import traitlets

from miniclip.course.widgets.circle import image_address

HERE = Path(__file__).parent


class Gallery(anywidget.AnyWidget):
    """Pictures to click on, and a place for one's own.

    Args:
        images: uint8 (n, H, W, 3).
        names: what each picture is called for those who cannot see it.

    Attributes:
        chosen: which picture is chosen, from 0; -1 for one's own.
        own: how one's own picture looks, as an address; "" if there is none.
        file_name, content: the picture that was given last, as PNG; content is empty for a file
            that the browser cannot read as a picture.
        given: how many were given so far; it is raised after the two.
    """

    _esm = HERE / "gallery.js"
    _css = HERE / "gallery.css"
    pictures = traitlets.List().tag(sync=True)
    names = traitlets.List().tag(sync=True)
    chosen = traitlets.Int(0).tag(sync=True)
    own = traitlets.Unicode().tag(sync=True)
    file_name = traitlets.Unicode().tag(sync=True)
    content = traitlets.Any(b"").tag(sync=True)  # what comes from a browser is a memoryview
    given = traitlets.Int(0).tag(sync=True)

    def __init__(self, images: Sequence[np.ndarray], names: Sequence[str]):
        super().__init__(pictures=[image_address(image) for image in images], names=list(names))

    def still(self) -> str:
        """The pictures as HTML, for places where no widget can run."""
        return "".join(
            f'<img src="{address}" alt="{html.escape(name)}" width="72" style="margin: 3px">'
            for address, name in zip(self.pictures, self.names)
        )
