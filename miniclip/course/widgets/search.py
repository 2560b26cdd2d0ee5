"""`SearchBox`: pictures found by a sentence or by another picture (notebook 03)."""

from __future__ import annotations

import html
import re

import ipywidgets as ui

from miniclip.course.plots import INK
from miniclip.course.widgets.base import Lab, picture, read_text
from miniclip.retrieval import caption_features, nearest, search
from miniclip.zeroshot import image_features


def strange_words(model, text: str) -> list[str]:
    """The words of a text that the model's vocabulary has not in one piece: it was learned from
    captions, so such a word was rare in them or never there."""
    tokenizer = getattr(model, "tokenizer", None)
    words = re.findall(r"\w+|[^\w\s.,;:!?'\"()-]+", text) if tokenizer else []
    return [word for word in dict.fromkeys(words) if len(tokenizer.pieces(f" {word}")) > 1]


class SearchBox(Lab):
    """Type words and see the pictures nearest to them, or choose a picture and see the captions
    nearest to it.

    Args:
        model: anything with `encode_image` and `encode_text`.
        data: a `CaptionedImages` to search in.
    """

    def __init__(self, model, data, query: str = "a red car in the snow", top: int = 8):
        super().__init__()
        self.model, self.data, self.top = model, data, top
        self.images = image_features(model, data)
        self.captions = [caption for captions in data.captions for caption in captions]
        self.texts, self.owner = caption_features(model, data)
        self.query = ui.Text(
            value=query, description="find", continuous_update=True, layout=ui.Layout(width="520px")
        )
        self.row = ui.IntSlider(
            value=0,
            min=0,
            max=len(data) - 1,
            description="picture",
            layout=ui.Layout(width="520px"),
        )
        self.pictures, self.words, self.note = ui.HTML(), ui.HTML(), ui.HTML()
        self.answers = (self.pictures, self.note)
        self.box = ui.VBox(
            [
                self.query,
                self.message,
                self.note,
                self.pictures,
                ui.HTML("<hr>And back: the captions nearest to one picture, its own in green."),
                self.row,
                self.words,
            ]
        )
        self.row.observe(lambda change: self.describe(), "value")
        self._watch(self.query)
        self.describe()

    def answer(self) -> None:
        asked = read_text(self.query.value)
        found = search(self.model, asked, self.images, self.top)
        unknown = ", ".join(strange_words(self.model, asked))
        self.note.value = (
            f"It has to spell these, since it hardly ever read them: <b>{html.escape(unknown)}</b>"
            if unknown
            else ""
        )
        cells = [
            f'<div style="text-align: center">{self._picture(row, 112)}<br>{cosine:.2f}</div>'
            for row, cosine in found
        ]
        self.pictures.value = (
            '<div style="display: flex; flex-wrap: wrap; gap: 10px; max-width:'
            f' 980px">{"".join(cells)}</div>'
        )

    def _picture(self, row: int, width: int) -> str:
        """A picture, with its first caption for those who cannot see it."""
        return picture(self.data.images[row], width, f"a picture of: {self.data.captions[row][0]}")

    def describe(self) -> None:
        """Show the captions nearest to the chosen picture."""
        row = self.row.value
        lines = []
        for text, cosine in nearest(self.images[row], self.texts, 6):
            ink = INK["right"] if int(self.owner[text]) == row else "inherit"
            lines.append(
                '<div style="color:'
                f' {ink}">{cosine:.2f}&ensp;{html.escape(self.captions[text])}</div>'
            )
        self.words.value = (
            '<div style="display: flex; gap: 16px; font-size: 15px; line-height:'
            f' 1.5">{self._picture(row, 150)}<div>{"".join(lines)}</div></div>'
        )
