"""Things to play with in a notebook; behind each is a plain function that gives all it shows.

Made of ipywidgets alone, and drawn as HTML, which answers at once. What is wrong with an input is
said in the widget, in a sentence.
"""

from __future__ import annotations

import base64
import csv
import html
import io
import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import ipywidgets as ui
import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from miniclip import prompts
from miniclip.course.plots import INK
from miniclip.data import CaptionedImages
from miniclip.data.world import COLORS, CONCEPTS, PLACES, Scene, Thing, article
from miniclip.data.world.scene import LIGHTS, STYLES, WEATHERS
from miniclip.evaluation.benchmarks import all_words
from miniclip.evaluation.challenges import CHALLENGES, Challenge, cosines
from miniclip.loss import info_nce, sigmoid_loss
from miniclip.retrieval import caption_features, nearest, search
from miniclip.zeroshot import (
    classifier,
    fill,
    image_features,
    inverse_temperature,
    text_features,
    wilson,
)


def picture(image: np.ndarray, width: int = 64, alt: str = "a picture") -> str:
    """A picture (H, W, 3) as an HTML element; each pixel stays a square."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", compress_level=1)
    return (
        f'<img alt="{html.escape(alt)}" width={width} style="image-rendering: pixelated;'
        ' border-radius: 6px"'
        f' src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">'
    )


def bars(values: dict[str, float], top: int = 8, right: str | None = None) -> str:
    """Labels with their probabilities as HTML bars, likeliest first; the label `right` is green."""
    rows = []
    for label, value in sorted(values.items(), key=lambda item: -item[1])[:top]:
        ink = INK["right"] if label == right else INK["image"]
        rows.append(
            f'<tr><td style="text-align: right; padding: 2px 8px">{html.escape(label)}</td><td'
            f' style="width: 260px"><div style="background: {ink}; width:'
            f' {max(1, 100 * value):.1f}%; height: 16px; border-radius: 3px"></div></td><td'
            f' style="padding: 2px 8px">{value:.0%}</td></tr>'
        )
    return f'<table style="font-size: 15px; border-collapse: collapse">{"".join(rows)}</table>'


def _sentence(text: str) -> str:
    return (
        f'<div role="alert" style="color: {INK["wrong"]}; font-size: 15px; font-weight:'
        f' bold">{html.escape(text)}</div>'
        if text
        else ""
    )


class Lab:
    """What all widgets share: a box to show, a place for sentences, and that no mistake of the
    player becomes a traceback."""

    def __init__(self) -> None:
        self.message = ui.HTML()
        self.box: ui.Widget = ui.VBox()
        self.seconds: deque[float] = deque(maxlen=500)  # how long each answer took

    def _watch(self, *controls: ui.Widget) -> None:
        for control in controls:
            control.observe(lambda change: self.update(), "value")
        self.update()

    def update(self) -> None:
        """Answer what the controls ask now."""
        start = time.perf_counter()
        try:
            self.answer()
            self.message.value = ""
        except ValueError as error:
            self.message.value = _sentence(
                str(error).replace(" or pass truncate=True", "")
                + ". What is shown below is the answer before."
            )
        self.seconds.append(time.perf_counter() - start)

    def answer(self) -> None:
        """Show the answer; ValueError with a sentence for what cannot be answered."""

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.box)


# Notebook 01: the loss.


@dataclass(frozen=True)
class LossView:
    """A batch as the losses see it: (B, B) cosines, each row's probabilities, the loss's gradient
    by each cosine, and that as a share of the whole push; in nats `rows`, `columns`, their mean
    `loss`, the sigmoid loss."""

    cosines: Tensor
    probabilities: Tensor
    gradient: Tensor
    push: Tensor
    rows: float
    columns: float
    loss: float
    sigmoid: float


def look_at_loss(images: Tensor, texts: Tensor, temperature: float = 0.07) -> LossView:
    """All that `LossLab` shows of a batch of image and text vectors (B, E) at a temperature.

    Raises:
        ValueError: for a temperature that is not above zero.
    """
    if not temperature > 0:
        raise ValueError(
            f"a temperature divides the cosines, so it must be above 0, not {temperature}"
        )
    cosines = (images @ texts.T).detach().requires_grad_()  # (B, B)
    logits, labels = cosines / temperature, torch.arange(len(cosines))
    rows, columns = (torch.nn.functional.cross_entropy(x, labels) for x in (logits, logits.T))
    (gradient,) = torch.autograd.grad((rows + columns) / 2, cosines)
    with torch.no_grad():
        return LossView(
            cosines.detach(),
            logits.detach().softmax(1),
            gradient,
            gradient / gradient.abs().sum().clamp(min=1e-12),
            rows.item(),
            columns.item(),
            info_nce(images, texts, 1 / temperature).item(),
            sigmoid_loss(images, texts, 1 / temperature, -math.log(len(images))).item(),
        )


def _shade(value: float, low: float, high: float, signed: bool) -> tuple[str, str]:
    """Background and ink of a cell: pale to blue, or orange over white to blue where signs
    matter."""
    if signed:
        share = value / max(abs(low), abs(high), 1e-9)
        base = (0, 114, 178) if share < 0 else (213, 94, 0)
    else:
        share = (value - low) / max(high - low, 1e-9)
        base = (0, 114, 178)
    color = tuple(round(255 + (channel - 255) * abs(share)) for channel in base)
    return f"rgb{color}", "white" if abs(share) > 0.6 else "black"


def matrix(
    values: Tensor,
    images: Sequence[np.ndarray] = (),
    texts: Sequence[str] = (),
    signed: bool = False,
) -> str:
    """A matrix as an HTML table with pictures and texts at its edges, the diagonal framed."""
    numbers = values.tolist()
    low, high = min(map(min, numbers)), max(map(max, numbers))
    head = "".join(
        '<th style="width: 74px; font-weight: normal; font-size: 11px; vertical-align:'
        f' bottom">{html.escape(text)}</th>'
        for text in texts
    )
    rows = []
    for i, row in enumerate(numbers):
        cells = []
        for j, value in enumerate(row):
            background, ink = _shade(value, low, high, signed)
            frame = f"outline: 4px solid {INK['right']}; outline-offset: -4px;" if i == j else ""
            cells.append(
                f'<td style="background: {background}; color: {ink}; {frame} text-align: center;'
                f' height: 46px; min-width: 60px">{value:.2f}</td>'
            )
        rows.append(
            f"<tr><td>{picture(images[i], 44) if i < len(images) else i}</td>{''.join(cells)}</tr>"
        )
    return (
        '<table style="border-collapse: collapse; font-size:'
        f' 14px"><tr><th></th>{head}</tr>{"".join(rows)}</table>'
    )


class LossLab(Lab):
    """Turn the temperature, the batch size and the company of a batch, and watch the similarity
    matrix, the loss and its gradient.

    Args:
        model: anything with `encode_image` and `encode_text`.
        data: a `CaptionedImages` of at least 2 pictures.
    """

    def __init__(self, model, data):
        super().__init__()
        self.data = data[: min(len(data), 400)]
        self.captions = [captions[0] for captions in self.data.captions]
        first = CaptionedImages(self.data.images, [[caption] for caption in self.captions])
        self.images, self.texts = (
            image_features(model, self.data),
            caption_features(model, first)[0],
        )
        plain = [caption.lower().strip(".") for caption in self.captions]
        self.same = next(
            ([plain.index(text), row] for row, text in enumerate(plain) if plain.index(text) < row),
            [0, 0],
        )  # two pictures with one caption
        wide = ui.Layout(width="420px")
        named = {"description_width": "110px"}
        self.temperature = ui.FloatLogSlider(
            value=0.07,
            min=-2.3,
            max=0.3,
            step=0.05,
            description="temperature",
            readout_format=".3f",
            layout=wide,
            style=named,
        )
        self.batch = ui.IntSlider(
            value=min(6, len(self.data)),
            min=2,
            max=min(8, len(self.data)),
            description="batch size",
            layout=wide,
            style=named,
        )
        self.company = ui.Dropdown(
            options={
                "by chance": "chance",
                "hard: alike": "hard",
                "false: one caption, two pictures": "false",
            },
            description="negatives",
            layout=wide,
            style=named,
        )
        self.show = ui.ToggleButtons(
            options=["cosine", "probability", "push"], style={"button_width": "110px"}
        )
        self.table, self.numbers = ui.HTML(), ui.HTML()
        self.box = ui.VBox(
            [
                ui.HBox([ui.VBox([self.temperature, self.batch, self.company]), self.numbers]),
                self.show,
                self.message,
                self.table,
            ]
        )
        self._watch(self.temperature, self.batch, self.company, self.show)

    def rows(self) -> list[int]:
        """Which pictures of the data are in the batch."""
        size = self.batch.value
        if self.company.value == "hard":
            # The first picture, and those with the captions most similar to its own.
            order = (self.texts @ self.texts[0]).argsort(descending=True).tolist()
            others = (row for row in order if row and self.captions[row] != self.captions[0])
            return [0, *others][:size]
        if self.company.value == "false":  # two pictures of which one caption is true, and others
            return [
                *self.same,
                *(row for row in range(len(self.captions)) if row not in self.same),
            ][:size]
        return list(range(size))

    def answer(self) -> None:
        rows = self.rows()
        texts, captions = self.texts[rows], [self.captions[row] for row in rows]
        view = look_at_loss(self.images[rows], texts, self.temperature.value)
        shown = {"cosine": view.cosines, "probability": view.probabilities, "push": view.push}[
            self.show.value
        ]
        self.table.value = matrix(
            shown,
            [self.data.images[row] for row in rows],
            captions,
            signed=self.show.value == "push",
        )
        self.numbers.value = (
            '<div style="font-size: 16px; line-height: 1.5; padding-left: 24px"><b>InfoNCE'
            f" {view.loss:.2f}</b> nats (a guesser: log {len(rows)} ="
            f" {math.log(len(rows)):.2f})<br>picture to text {view.rows:.2f}, text to picture"
            f" {view.columns:.2f}<br>sigmoid loss {view.sigmoid:.2f}</div>"
        )


# Notebook 03: search, and scenes of one's own.


def _text(text: str, limit: int = 300) -> str:
    if not text.strip():
        raise ValueError("type some words first")
    if len(text) > limit:
        raise ValueError(f"that text has {len(text)} letters; up to {limit} are read here")
    return text.strip()


class SearchBox(Lab):
    """Type words and see the pictures nearest to them; choose a picture and see the captions
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
        self.pictures, self.words = ui.HTML(), ui.HTML()
        self.box = ui.VBox(
            [
                self.query,
                self.message,
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
        found = search(self.model, _text(self.query.value), self.images, self.top)
        cells = [
            '<div style="text-align:'
            f' center">{picture(self.data.images[row], 112)}<br>{cosine:.2f}</div>'
            for row, cosine in found
        ]
        self.pictures.value = (
            '<div style="display: flex; flex-wrap: wrap; gap: 10px; max-width:'
            f' 980px">{"".join(cells)}</div>'
        )

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
            f' 1.5">{picture(self.data.images[row], 150)}<div>{"".join(lines)}</div></div>'
        )


def scene_classifiers(
    model, nouns: Sequence[str] = tuple(CONCEPTS), template: str = prompts.SIMPLE
) -> dict[str, tuple[tuple[str, ...], Tensor]]:
    """What can be asked of a scene: {question: (its C labels, their vectors (C, E))} for the
    thing, the place and the colour."""
    words = tuple(dict.fromkeys(CONCEPTS[noun].word for noun in nouns))
    asked = {
        "thing": (words, map(article, words)),
        "place": (tuple(PLACES), (f"something {place.phrases[0]}" for place in PLACES.values())),
        "color": (tuple(COLORS), (f"{article(color)} thing" for color in COLORS)),
    }
    return {
        question: (labels, classifier(model, list(names), template))
        for question, (labels, names) in asked.items()
    }


def look_at_scene(
    model,
    scene: Scene,
    classifiers: dict[str, tuple[tuple[str, ...], Tensor]] | None = None,
    size: int = 128,
) -> dict[str, dict[str, float]]:
    """What `SceneLab` says of a scene: {question: {label: probability}}, likeliest first.

    Args:
        model: anything with `encode_image` and `encode_text`.
        classifiers: what `scene_classifiers` gave, where it is at hand.
        size: the picture's height and width in pixels.
    """
    features, said = (
        image_features(model, scene.draw(size)[None]),
        {},
    )  # (1, E), once for all questions
    for question, (labels, vectors) in (classifiers or scene_classifiers(model)).items():
        probabilities = (
            (inverse_temperature(model) * features @ vectors.T).softmax(dim=-1)[0].tolist()
        )
        said[question] = dict(sorted(zip(labels, probabilities), key=lambda pair: -pair[1]))
    return said


class SceneLab(Lab):
    """Compose a scene of Picturebook and see what the model says of it.

    Args:
        model: anything with `encode_image` and `encode_text`.
        nouns: what can be put into the scene.
        template: the sentence around names.
    """

    def __init__(
        self,
        model,
        nouns: Sequence[str] = tuple(CONCEPTS),
        template: str = prompts.SIMPLE,
        size: int = 128,
    ):
        super().__init__()
        self.model, self.size, self.classifiers = (
            model,
            size,
            scene_classifiers(model, nouns, template),
        )
        short = ui.Layout(width="210px")
        self.place, self.style, self.weather, self.light = (
            ui.Dropdown(options=options, description=name, layout=short)
            for name, options in (
                ("place", tuple(PLACES)),
                ("style", STYLES),
                ("weather", WEATHERS),
                ("light", LIGHTS),
            )
        )
        self.things = []
        for number, noun in enumerate((nouns[0], "", "")):
            self.things.append(
                (
                    ui.Dropdown(
                        options=("", *sorted(nouns)),
                        value=noun,
                        description=f"thing {number + 1}",
                        layout=short,
                    ),
                    ui.Dropdown(
                        options=("its own", *COLORS),
                        value="its own",
                        layout=ui.Layout(width="110px"),
                    ),
                    *(
                        ui.FloatSlider(
                            value=value,
                            min=low,
                            max=1,
                            step=0.02,
                            description=name,
                            readout=False,
                            layout=ui.Layout(width="200px"),
                            style={"description_width": "40px"},
                        )
                        for name, value, low in (
                            ("x", 0.3 + 0.2 * number, 0),
                            ("y", 0.65, 0),
                            ("size", 0.45, 0.1),
                        )
                    ),
                )
            )
        self.shown, self.says = ui.HTML(), ui.HTML()
        controls = ui.VBox(
            [
                ui.HBox([self.place, self.style]),
                ui.HBox([self.weather, self.light]),
                *(ui.HBox(row) for row in self.things),
                self.message,
            ]
        )
        self.box = ui.VBox([ui.HBox([controls, self.shown]), self.says])
        self._watch(
            self.place,
            self.style,
            self.weather,
            self.light,
            *(control for row in self.things for control in row),
        )

    def scene(self) -> Scene:
        """The scene that the controls describe."""
        things = [
            Thing(
                noun.value,
                None if color.value == "its own" else color.value,
                (x.value, y.value),
                size.value,
            )
            for noun, color, x, y, size in self.things
            if noun.value
        ]
        return Scene(
            place=self.place.value,
            things=things,
            weather=self.weather.value,
            light=self.light.value,
            style=self.style.value,
        )

    def answer(self) -> None:
        scene = self.scene()
        self.shown.value = picture(scene.draw(self.size), 260)
        parts = [
            f"<div><b>{question}</b>{bars(said, 4)}</div>"
            for question, said in look_at_scene(
                self.model, scene, self.classifiers, self.size
            ).items()
        ]
        self.says.value = (
            f'<div style="display: flex; gap: 12px; flex-wrap: wrap">{"".join(parts)}</div>'
        )


# Notebook 04: prompts.


@dataclass(frozen=True)
class Try:
    """One try in `PromptLab`: the templates, the classes with their names in sentences, and how
    it did on how many pictures of which split."""

    templates: tuple[str, ...]
    labels: dict[str, str]
    pictures: int
    accuracy: float
    interval: tuple[float, float]
    split: str = "choose"


def read_labels(text: str) -> dict[str, str]:
    """Class names as typed, one a line: "dog: a dog" (the class, how it stands in a sentence) or
    "a dog" alone; {class: name}.

    Raises:
        ValueError: for nothing, for fewer than two, for a name given twice.
    """
    labels: dict[str, str] = {}
    for line in filter(str.strip, text.splitlines()):
        label, _, name = line.partition(": ")
        label, name = label.strip(), (name or label).strip()
        if not label or not name:
            raise ValueError(f"in the line {line!r} a word is missing; write 'dog: a dog'")
        if label in labels:
            raise ValueError(f"the class {label!r} is there twice; leave one out")
        labels[label] = _text(name, 200)
    if len(labels) < 2:
        raise ValueError("give at least two class names, one a line, such as 'dog: a dog'")
    return labels


def read_templates(text: str, sets: Sequence[str] = ()) -> tuple[str, ...]:
    """Templates as typed, one a line, and those of the ticked sets.

    Raises:
        ValueError: for none, for one without {} or far too long.
    """
    templates = [line.strip() for line in text.splitlines() if line.strip()]
    for template in templates:
        fill(template, "a dog")
        _text(template, 200)
    templates += [template for name in sets for template in prompts.SETS[name]]
    if not templates:
        raise ValueError("type a template such as 'a picture of {}.', or tick a set")
    return tuple(dict.fromkeys(templates))


class PromptLab(Lab):
    """Write class names and templates, and see at once what the model makes of a picture and how
    often it is right.

    Half of the pictures are for choosing; the other half stays hidden until it is revealed, once:
    that is the only honest figure.

    Args:
        model: anything with `encode_image` and `encode_text`.
        data: a `CaptionedImages` with the right class of each picture in `facts[fact]`.
        fact: which fact is asked for.
        labels: {class: how it stands in a sentence}; by default all classes of the data.
        template: the template to start with.
        gallery: pictures to pick from.
    """

    def __init__(
        self,
        model,
        data,
        fact: str = "object",
        labels: dict[str, str] | None = None,
        template: str = prompts.SIMPLE,
        gallery: int = 8,
    ):
        super().__init__()
        self.model, self.data = model, data
        self.targets = np.array([str(value) for value in data.facts[fact]])
        found = (
            all_words(self.targets) if fact == "object" else tuple(sorted(set(self.targets) - {""}))
        )
        self.start = labels or {word: article(word) if fact == "object" else word for word in found}
        self.features = image_features(model, data)
        self.vectors: dict[str, Tensor] = {}  # of every sentence read so far
        self.tries: list[Try] = []
        self.own: Tensor | None = None  # the vector of an uploaded picture, and how it looks
        self.thumbnail = ""
        known = np.nonzero(self.targets != "")[
            0
        ]  # a thing that was not painted has no colour to ask for
        self.splits = {
            "choose": known[::2],
            "test": known[1::2],
        }  # what `zeroshot.evaluate` is asked about
        self.index, self.revealed = int(known[0]), False
        self.kept = 0  # sentences that are never forgotten: those of the sets
        self._remember(
            [
                fill(one, name)
                for templates in prompts.SETS.values()
                for one in templates
                for name in self.start.values()
            ]
        )
        self.kept = len(self.vectors)

        self.labels = ui.Textarea(
            value="\n".join(f"{label}: {name}" for label, name in self.start.items()),
            layout=ui.Layout(width="210px", height="220px"),
        )
        self.templates = ui.Textarea(
            value=template,
            placeholder="a picture of {}.",
            layout=ui.Layout(width="380px", height="90px"),
        )
        self.sets = [
            ui.Checkbox(
                value=False,
                description=f"{name} ({len(templates)})",
                indent=False,
                layout=ui.Layout(width="120px"),
            )
            for name, templates in prompts.SETS.items()
        ]
        self.temperature = ui.FloatLogSlider(
            value=1 / inverse_temperature(model),
            min=-2.3,
            max=0,
            step=0.05,
            description="temperature",
            readout_format=".3f",
            layout=ui.Layout(width="380px"),
            style={"description_width": "90px"},
        )
        self.gallery = [
            int(row) for row in self.splits["choose"][:gallery]
        ]  # never of the hidden split
        self.pictures = [
            ui.Button(
                description=str(number + 1),
                layout=ui.Layout(width="74px"),
                tooltip=f"picture {number + 1}",
            )
            for number in range(len(self.gallery))
        ]
        for row, button in zip(self.gallery, self.pictures):
            button.on_click(lambda _, row=row: self.pick(row))
        self.upload = ui.FileUpload(accept="image/*", multiple=False, description="your own")
        self.upload.observe(lambda change: self.take(change["new"]), "value")
        self.keep, self.export, self.reveal = (
            ui.Button(description=text, icon=icon, layout=ui.Layout(width="auto"))
            for text, icon in (
                ("keep this try", "plus"),
                ("export the log", "download"),
                ("reveal the test score (once)", "eye"),
            )
        )
        self.keep.on_click(lambda _: self.note("choose"))
        self.reveal.on_click(lambda _: self.note("test"))
        self.export.on_click(lambda _: self.link())
        self.says, self.score, self.log, self.file = ui.HTML(), ui.HTML(), ui.HTML(), ui.HTML()
        whole = ui.Layout(
            flex="0 0 auto", margin="0 12px 0 0"
        )  # neither is cut where there is little room
        gallery_row = ui.HBox(
            [
                ui.VBox([ui.HTML(picture(data.images[row], 72)), button])
                for row, button in zip(self.gallery, self.pictures)
            ]
        )
        self.box = ui.VBox(
            [
                gallery_row,
                self.upload,
                ui.HBox(
                    [
                        ui.VBox([ui.HTML("<b>classes</b>, one a line"), self.labels], layout=whole),
                        ui.VBox(
                            [
                                ui.HTML("<b>templates</b>, one a line, {} for the class"),
                                self.templates,
                                ui.HBox(
                                    self.sets, layout=ui.Layout(flex_flow="row wrap", width="390px")
                                ),
                                self.temperature,
                            ],
                            layout=whole,
                        ),
                        self.says,
                    ],
                    layout=ui.Layout(flex_flow="row wrap"),
                ),
                self.message,
                self.score,
                ui.HBox([self.keep, self.reveal, self.export]),
                self.log,
                self.file,
            ]
        )
        self._watch(self.labels, self.templates, self.temperature, *self.sets)

    def _remember(self, sentences: Sequence[str]) -> None:
        if new := [
            sentence for sentence in dict.fromkeys(sentences) if sentence not in self.vectors
        ]:
            for old in list(self.vectors)[
                self.kept : max(self.kept, len(self.vectors) - 20_000)
            ]:  # the oldest of those typed
                del self.vectors[old]
            self.vectors.update(zip(new, text_features(self.model, new)))

    def classifier(self, labels: dict[str, str], templates: Sequence[str]) -> Tensor:
        """As `miniclip.classifier`, (C, E), from remembered sentences."""
        sentences = [[fill(template, name) for template in templates] for name in labels.values()]
        self._remember([sentence for row in sentences for sentence in row])
        return torch.nn.functional.normalize(
            torch.stack([torch.stack([self.vectors[s] for s in row]).mean(0) for row in sentences]),
            dim=-1,
        )

    def read(self) -> tuple[dict[str, str], tuple[str, ...]]:
        """Labels and templates as they stand in the widget."""
        return read_labels(self.labels.value), read_templates(
            self.templates.value, [name for name, box in zip(prompts.SETS, self.sets) if box.value]
        )

    def measure(self, split: str = "choose") -> Try:
        """How the prompts do on a split: only pictures whose class is among the labels count."""
        labels, templates = self.read()
        rows = [row for row in self.splits[split] if self.targets[row] in labels]
        if not rows:
            raise ValueError("no picture shows any of these classes, so there is nothing to count")
        guesses = (self.features[rows] @ self.classifier(labels, templates).T).argmax(1).numpy()
        hits = int((np.array(list(labels))[guesses] == self.targets[rows]).sum())
        return Try(templates, labels, len(rows), hits / len(rows), wilson(hits, len(rows)), split)

    def answer(self) -> None:
        labels, templates = self.read()
        features = self.features[self.index : self.index + 1] if self.own is None else self.own
        probabilities = (
            (features @ self.classifier(labels, templates).T / self.temperature.value)
            .softmax(1)[0]
            .tolist()
        )
        right = str(self.targets[self.index]) if self.own is None else None
        title = (
            f"your picture {self.thumbnail}"
            if self.own is not None
            else f"picture {self.gallery.index(self.index) + 1}"
        )
        self.says.value = f"<b>{title}</b>{bars(dict(zip(labels, probabilities)), 8, right)}"
        tried = self.measure()
        self.score.value = (
            f'<div style="font-size: 16px; margin: 6px 0">right on <b>{tried.accuracy:.1%}</b> of'
            f" {tried.pictures} pictures for choosing "
            f"({tried.interval[0]:.1%} to {tried.interval[1]:.1%}), {len(templates)}"
            f" template{'s' * (len(templates) > 1)}, {len(labels)} classes</div>"
        )

    def pick(self, row: int) -> None:
        """Ask about a picture of the gallery."""
        self.index, self.own = row, None
        self.update()

    def take(self, files) -> None:
        """Ask about an uploaded picture."""
        if not files:
            return
        try:
            content = ImageOps.exif_transpose(
                Image.open(io.BytesIO(bytes(files[0]["content"])))
            ).convert("RGBA")
            content = Image.alpha_composite(
                Image.new("RGBA", content.size, "white"), content
            ).convert("RGB")
        except Exception:  # whatever PIL says of a file that is no picture
            self.message.value = _sentence(
                f"{files[0]['name']} is not a picture that can be read here; choose a PNG or JPEG"
                " file"
            )
            return
        content.thumbnail((512, 512))
        self.thumbnail = picture(np.asarray(content), 64)
        self.own = image_features(self.model, np.asarray(content)[None])
        self.update()

    def note(self, split: str) -> None:
        """Write the current try into the log; the test split is told once."""
        if split == "test" and self.revealed:
            self.message.value = _sentence(
                "the test score has been revealed; a second look would make it a set for choosing"
            )
            return
        try:
            self.tries.append(self.measure(split))
        except ValueError as error:
            self.message.value = _sentence(str(error))
            return
        self.revealed |= split == "test"
        self.reveal.disabled = self.revealed
        rows = "".join(
            f"<tr><td>{number}</td><td>{one.split}</td><td>{one.accuracy:.1%} of {one.pictures}"
            f" ({one.interval[0]:.1%} to"
            f" {one.interval[1]:.1%})</td><td>{html.escape(' | '.join(one.templates[:3]))}"
            f"{' ...' if len(one.templates) > 3 else ''}</td></tr>"
            for number, one in enumerate(self.tries, 1)
        )
        self.log.value = (
            '<table style="font-size: 14px"><tr><th>try</th><th>split</th><th>right</th>'
            f"<th>templates</th></tr>{rows}</table>"
        )

    def to_csv(self) -> str:
        """The log of tries as CSV."""
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        writer.writerow(
            ["try", "split", "pictures", "accuracy", "low", "high", "classes", "templates"]
        )
        for number, one in enumerate(self.tries, 1):
            labels = " | ".join(f"{label}: {name}" for label, name in one.labels.items())
            writer.writerow(
                [
                    number,
                    one.split,
                    one.pictures,
                    f"{one.accuracy:.4f}",
                    f"{one.interval[0]:.4f}",
                    f"{one.interval[1]:.4f}",
                    labels,
                    " | ".join(one.templates),
                ]
            )
        return buffer.getvalue()

    def link(self) -> None:
        """Offer the log as a file."""
        data = base64.b64encode(self.to_csv().encode()).decode()
        self.file.value = (
            f'<a download="prompts.csv" href="data:text/csv;base64,{data}">prompts.csv</a>,'
            f" {len(self.tries)} tries"
        )


# Notebook 08: failures.


class FailureLab(Lab):
    """Choose a task that CLIP is poor at, and look at its mistakes, or at all its answers.

    What it shows can be had from `challenges.cosines` and `challenges.choose`.

    Args:
        model: anything with `encode_image` and `encode_text`.
        tasks: {name: a `challenges.Challenge`}; by default all of `challenges.CHALLENGES`, with
            60 pictures each.
        page: pictures shown at a time.
    """

    def __init__(self, model, tasks: dict[str, Challenge] | None = None, page: int = 6):
        super().__init__()
        self.tasks, self.per_page = (
            tasks or {name: make(n=60) for name, make in CHALLENGES.items()},
            page,
        )
        scale = inverse_temperature(model)
        self.probabilities = {
            name: (scale * cosines(model, task)).softmax(dim=1) for name, task in self.tasks.items()
        }
        self.task = ui.Dropdown(
            options=tuple(self.tasks), description="task", layout=ui.Layout(width="360px")
        )
        self.only = ui.ToggleButtons(options=["mistakes", "all"], style={"button_width": "90px"})
        self.page = ui.BoundedIntText(
            value=1, min=1, max=1, description="page", layout=ui.Layout(width="160px")
        )
        self.score, self.shown = ui.HTML(), ui.HTML()
        self.box = ui.VBox(
            [ui.HBox([self.task, self.only, self.page]), self.message, self.score, self.shown]
        )
        self._watch(self.task, self.only, self.page)

    def rows(self) -> list[int]:
        """Which pictures of the task are to be looked at."""
        task, guesses = (
            self.tasks[self.task.value],
            self.probabilities[self.task.value].argmax(dim=1),
        )
        return [
            row
            for row in range(len(task))
            if self.only.value == "all" or int(guesses[row]) != task.right[row]
        ]

    def answer(self) -> None:
        name, rows = self.task.value, self.rows()
        task, hits = (
            self.tasks[name],
            int((self.probabilities[name].argmax(dim=1).numpy() == self.tasks[name].right).sum()),
        )
        low, high = wilson(hits, len(task))
        self.page.max = max(1, -(-len(rows) // self.per_page))
        self.score.value = (
            f'<div style="font-size: 16px"><b>{hits / len(task):.0%}</b> right of {len(task)} (95 %'
            f" interval {low:.0%} to {high:.0%}), chance {1 / len(task.candidates[0]):.0%};"
            f" {len(rows)} to look at</div>"
        )
        cells = []
        for row in rows[(self.page.value - 1) * self.per_page : self.page.value * self.per_page]:
            said = dict(zip(task.candidates[row], self.probabilities[name][row].tolist()))
            true = task.candidates[row][task.right[row]]
            cells.append(
                f'<div style="width: 470px">{picture(task.images[row], 128, alt=true)}'
                f"{bars(said, 4, right=true)}</div>"
            )
        self.shown.value = (
            '<div style="display: flex; flex-wrap: wrap; gap:'
            f' 14px">{"".join(cells) or "no mistake among these pictures"}</div>'
        )
