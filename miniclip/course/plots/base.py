"""What all figures share: their colours, their size and their alternative text."""

from __future__ import annotations

import base64
import html
import io

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

INK = {
    "object": "#000000",
    "color": "#CC79A7",
    "place": "#56B4E9",
    "loss": "#555555",
    "right": "#009E73",
    "wrong": "#D55E00",
    "other": "#BBBBBB",
    "image": "#0072B2",
    "text": "#E69F00",
    "label": "#882255",
}
# The colours of a matrix: the higher the value, the darker the cell.
SHADES = LinearSegmentedColormap.from_list("shades", ["white", INK["image"]])
SIZES = {
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.labelsize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


class Plot(Figure):
    """A matplotlib figure with an alternative text that says in words and numbers what can be seen.
    Notebooks show both."""

    alt = ""

    def png(self, dpi: int = 110) -> bytes:
        """The figure as a PNG file."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=dpi)
        return buffer.getvalue()

    def to_html(self) -> str:
        """The figure as an <img> element, its alt text included."""
        return (
            f'<img alt="{html.escape(self.alt)}" style="max-width: 100%"'
            f' src="data:image/png;base64,{base64.b64encode(self.png()).decode()}">'
        )

    def _ipython_display_(self) -> None:
        from IPython.display import HTML, display

        display(HTML(self.to_html()))


def numbers(values) -> np.ndarray:
    """Numbers to draw as an array, from a list, an array, or a tensor on any device."""
    return values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)


def subplots(
    rows: int = 1, columns: int = 1, size: tuple[float, float] = (6, 4), **options
) -> tuple[Plot, np.ndarray]:
    """A figure of `size` inches and its axes (rows, columns). It is made without pyplot, so that
    notebooks do not show it twice."""
    from matplotlib import rc_context

    with rc_context(SIZES):
        figure = Plot(figsize=size, layout="constrained")
        return figure, figure.subplots(rows, columns, squeeze=False, **options)
