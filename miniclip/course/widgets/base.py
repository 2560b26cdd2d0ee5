"""What all widgets share: the class `Lab`, pictures and bars as HTML, and how input is read."""

from __future__ import annotations

import base64
import html
import io
import time
from collections import deque

import ipywidgets as ui
import numpy as np
from PIL import Image

from miniclip.course.plots import INK

# The tests of notebooks do not compare what stands between these marks.
PREVIEW = "<!-- preview -->{}<p><em>A still picture: run the cell to play.</em></p><!-- end -->"


def picture(image: np.ndarray, width: int = 64, alt: str = "a picture") -> str:
    """A picture (H, W, 3) as an HTML element; each pixel stays a square."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", compress_level=1)
    return (
        f'<img alt="{html.escape(alt)}" width={width} style="image-rendering: pixelated;'
        ' border-radius: 6px"'
        f' src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">'
    )


# How a bar moves from its old width to its new one; not for those who asked their system for rest.
MOVING = (
    "<style>@media (prefers-reduced-motion: no-preference) "
    "{ @keyframes miniclip-bar { from { width: var(--from) } } }</style>"
)


def bars(
    values: dict[str, float],
    top: int = 8,
    right: str | None = None,
    before: dict[str, float] | None = None,
) -> str:
    """Labels with their probabilities as HTML bars, likeliest first.

    Args:
        values: {label: probability}.
        top: how many of them are shown.
        right: the label that is green, and is shown below the others if it is not among the first.
        before: the probabilities of an answer before, from which the bars move to these.
    Returns:
        a table as HTML.
    """
    rows, order = [], sorted(values.items(), key=lambda item: -item[1])
    shown = order[:top] + [item for item in order[top:] if item[0] == right]
    for label, value in shown:
        ink, width = INK["right"] if label == right else INK["image"], _width(value)
        start = _width((values if before is None else before).get(label, 0.0))
        moves = (
            "" if start == width else f"animation: 0.4s ease-out miniclip-bar; --from: {start}; "
        )
        rows.append(
            f'<tr><td style="text-align: right; padding: 2px 8px">{html.escape(label)}</td><td'
            f' style="width: 260px"><div style="background: {ink}; width: {width}; {moves}'
            'height: 16px; border-radius: 3px"></div></td><td'
            f' style="padding: 2px 8px">{value:.0%}</td></tr>'
        )
    table = f'<table style="font-size: 15px; border-collapse: collapse">{"".join(rows)}</table>'
    return table if before is None else MOVING + table


def _width(value: float) -> str:
    return f"{max(1, 100 * value):.1f}%"


def alert(text: str) -> str:
    """A sentence that says what is wrong, as HTML; screen readers speak it at once."""
    return (
        f'<div role="alert" style="color: {INK["wrong"]}; font-size: 15px; font-weight:'
        f' bold">{html.escape(text)}</div>'
        if text
        else ""
    )


class Lab:
    """The base class of all widgets.

    It has a box that is shown and a place for messages. A ValueError while answering becomes a
    message, so that no mistake of the player ends in a traceback. `answers` are then empty, since
    what they showed belongs to another question.
    """

    answers: tuple[ui.HTML, ...] = ()

    def __init__(self) -> None:
        self.message = ui.HTML()
        self.box: ui.Widget = ui.VBox()
        self.seconds: deque[float] = deque(maxlen=500)  # how long each answer took
        self._stood: dict[str, dict[str, float]] = {}  # the bars of the answer before

    def _watch(self, *controls: ui.Widget) -> None:
        """Answer now, and again whenever one of the controls changes."""
        for control in controls:
            control.observe(lambda change: self.update(), "value")
        self.update()

    def update(self) -> None:
        """Show the answer to what the controls ask for now, or a message."""
        start = time.perf_counter()
        try:
            self.answer()
            self.message.value = ""
        except ValueError as error:
            self.message.value = alert(f"{str(error).replace(' or pass truncate=True', '')}.")
            for shown in self.answers:
                shown.value = ""
        self.seconds.append(time.perf_counter() - start)

    def moving_bars(
        self, name: str, values: dict[str, float], top: int = 8, right: str | None = None
    ) -> str:
        """`bars` that move from where those of this name stood in the answer before."""
        before, self._stood[name] = self._stood.get(name), values
        return bars(values, top, right, None if before == values else before)

    def answer(self) -> None:
        """Show the answer. Each widget has its own.

        Raises:
            ValueError: with a sentence, if there is no answer.
        """

    def preview(self) -> str:
        """What it shows now as plain HTML, for places where no widget can run."""

        def pages(widget: ui.Widget) -> str:
            if hasattr(widget, "still"):
                return f"<div>{widget.still()}</div>"
            inside = "".join(map(pages, getattr(widget, "children", ())))
            return f"<div>{widget.value}</div>" if isinstance(widget, ui.HTML) else inside

        return PREVIEW.format(pages(self.box))

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if hasattr(self.box, "_repr_mimebundle_"):
            display(self.box._repr_mimebundle_() | {"text/html": self.preview()}, raw=True)
        else:  # ipywidgets before 8
            display(self.box)


class StillPicture:
    """For widgets that draw in the browser: where none can run, the picture that their `preview`
    gives, a `Plot`, is shown instead."""

    def _repr_mimebundle_(self, **options):
        bundle = super()._repr_mimebundle_(**options)
        data, *rest = bundle if isinstance(bundle, tuple) else (bundle,)
        still = {
            "text/html": PREVIEW.format(self.preview().to_html()),
            "text/plain": type(self).__name__,
        }
        return (data | still, *rest) if rest else data | still


def read_text(text: str, limit: int = 300) -> str:
    """A text that the player typed, without spaces around it.

    Raises:
        ValueError: if it is empty or has more than `limit` letters.
    """
    if not text.strip():
        raise ValueError("type some words first")
    if len(text) > limit:
        raise ValueError(f"that text has {len(text)} letters; up to {limit} are read here")
    return text.strip()
