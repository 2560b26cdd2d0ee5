"""`PromptLab`: class names and templates as one types them, for one model or several, with every
try noted (notebook 04)."""

from __future__ import annotations

import base64
import csv
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ipywidgets as ui
import numpy as np
from PIL import Image, ImageOps

from miniclip import prompts
from miniclip.course.widgets.base import Lab, alert, read_text
from miniclip.course.widgets.circle import image_address
from miniclip.course.widgets.gallery import Gallery
from miniclip.course.widgets.reader import Counted, Reader
from miniclip.data.world import article
from miniclip.evaluation.benchmarks import all_words
from miniclip.zeroshot import inverse_temperature


@dataclass(frozen=True)
class Try:
    """One try in `PromptLab`: templates, class names, and how often they were right on how many
    pictures of which split, with which of several models."""

    templates: tuple[str, ...]
    labels: dict[str, str]
    pictures: int
    accuracy: float
    interval: tuple[float, float]
    split: str = "choose"
    model: str = ""


# Templates to begin with, as buttons. Some are good, some are not, and one says the opposite.
CHIPS = (
    "{}", "a {}", "a photo of {}.", "a drawing of {}.", "a sketch of {}.", "{} on the beach",
    "the tax office of {}.", "no {}",
)  # fmt: skip


def read_labels(text: str) -> dict[str, str]:
    """Class names as typed, one a line: "dog: a dog" (the class, and its name in a sentence) or
    just "a dog". Returns {class: name}.

    Raises:
        ValueError: for fewer than two classes, or a name that is given twice.
    """
    labels: dict[str, str] = {}
    for line in filter(str.strip, text.splitlines()):
        label, colon, name = f"{line.strip()} ".partition(": ")
        label, name = label.strip(), (name if colon else label).strip()
        if not label or not name:
            raise ValueError(f"in the line '{_short(line)}' a word is missing; write 'dog: a dog'")
        if label in labels:
            raise ValueError(f"the class '{_short(label)}' is there twice; leave one out")
        labels[label] = read_text(name, 200)
    if len(labels) < 2:
        raise ValueError("give at least two class names, one a line, such as 'dog: a dog'")
    return labels


def _short(text: str) -> str:
    """A text as it can be repeated in a sentence."""
    return f"{text[:57]}..." if len(text) > 60 else text


def read_templates(text: str, sets: Sequence[str] = ()) -> tuple[str, ...]:
    """The templates typed, one a line, and those of the sets that are ticked.

    Raises:
        ValueError: if there is none, or one that is far too long, or that has not exactly one {}
            or other braces.
    """
    templates = [line.strip() for line in text.splitlines() if line.strip()]
    for template in templates:
        read_text(template, 200)
        if template.count("{}") != 1 or set("{}") & set(template.replace("{}", "", 1)):
            raise ValueError(
                "a template has one pair of braces, {}, where the class name goes, as in 'a photo"
                f" of {{}}.'; this one has not: '{_short(template)}'"
            )
    templates += [template for name in sets for template in prompts.SETS[name]]
    if not templates:
        raise ValueError("type a template such as 'a picture of {}.', or tick a set")
    return tuple(dict.fromkeys(templates))


class PromptLab(Lab):
    """Type class names and templates, and see at once what the model makes of a picture and how
    often it is right.

    Half of the pictures serve to choose prompts. The other half stays hidden until it is revealed,
    once: only that figure is honest.

    Args:
        model: anything with `encode_image` and `encode_text`; or several, as {name: model}, which
            are asked the same and shown side by side.
        data: a `CaptionedImages` with the right class of each picture in `facts[fact]`.
        fact: which fact is asked for.
        labels: {class: its name in a sentence}; by default all classes of the data.
        template: the template to start with.
        gallery: number of pictures to pick from.
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
        models, self.data = model if isinstance(model, Mapping) else {"": model}, data
        self.targets = np.array([str(value) for value in data.facts[fact]])
        found = (
            all_words(self.targets) if fact == "object" else tuple(sorted(set(self.targets) - {""}))
        )
        self.start = labels or {word: article(word) if fact == "object" else word for word in found}
        names = list(self.start.values())
        self.readers = {name: Reader(one, data, names) for name, one in models.items()}
        self.tries: list[Try] = []
        # A thing that was not painted has no colour to ask for.
        known = np.nonzero(self.targets != "")[0]
        # The rows of the pictures that prompts are chosen by, and of those that they are tested on.
        self.splits = {
            "choose": known[::2],
            "test": known[1::2],
        }
        self.revealed = False

        self._make_prompt_controls(template)
        self._make_gallery(gallery)
        self._make_buttons()
        self.says, self.score, self.log, self.file = ui.HTML(), ui.HTML(), ui.HTML(), ui.HTML()
        self.answers = (self.says, self.score)
        self.box = self._arrange()
        self._watch(self.labels, self.templates, self.temperature, *self.sets)

    def _make_prompt_controls(self, template: str) -> None:
        """Where classes, templates, sets of templates and the temperature are chosen."""
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
        self.chips = [
            ui.Button(
                description=chip, tooltip="add it, or take it out", layout=ui.Layout(width="auto")
            )
            for chip in CHIPS
        ]
        for chip in self.chips:
            chip.on_click(lambda button: self.toggle(button.description))
        first = next(iter(self.readers.values()))
        self.temperature = ui.FloatLogSlider(
            value=1 / inverse_temperature(first.model),
            min=-2.3,
            max=0,
            step=0.05,
            description="temperature",
            readout_format=".3f",
            layout=ui.Layout(width="380px"),
            style={"description_width": "90px"},
        )

    def _make_gallery(self, count: int) -> None:
        """Pictures to ask about, and a place for one's own."""
        # The gallery shows pictures to choose prompts by, never those of the hidden test.
        self.gallery = [int(row) for row in self.splits["choose"][:count]]
        names = [f"picture {number + 1} to ask about" for number in range(len(self.gallery))]
        self.pictures = Gallery([self.data.images[row] for row in self.gallery], names)
        self.pictures.observe(lambda _: self.update(), "chosen")
        self.pictures.observe(lambda _: self.take(self.pictures), "given")

    def _make_buttons(self) -> None:
        """Keep a try, reveal the test score, export the log."""
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

    def _arrange(self) -> ui.VBox:
        """All controls in one box."""
        # Controls with this layout keep their full width where there is little room.
        whole = ui.Layout(flex="0 0 auto", margin="0 12px 0 0")
        return ui.VBox(
            [
                self.pictures,
                ui.HBox(
                    [
                        ui.VBox([ui.HTML("<b>classes</b>, one a line"), self.labels], layout=whole),
                        ui.VBox(
                            [
                                ui.HTML("<b>templates</b>, one a line, {} for the class"),
                                self.templates,
                                ui.HBox(
                                    self.chips,
                                    layout=ui.Layout(flex_flow="row wrap", width="390px"),
                                ),
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

    def toggle(self, template: str) -> None:
        """Add a template to those that are typed, or take it out."""
        lines = [line for line in map(str.strip, self.templates.value.splitlines()) if line]
        kept = [line for line in lines if line != template]
        self.templates.value = "\n".join(kept if template in lines else [*lines, template])

    def read(self) -> tuple[dict[str, str], tuple[str, ...]]:
        """The labels and templates that the widget shows."""
        return read_labels(self.labels.value), read_templates(
            self.templates.value, [name for name, box in zip(prompts.SETS, self.sets) if box.value]
        )

    def count(self, split: str = "choose") -> dict[str, Counted]:
        """How often the prompts are right on a split, for each model. Only pictures whose class is
        among the labels count."""
        labels, templates = self.read()
        rows = [row for row in self.splits[split] if self.targets[row] in labels]
        if not rows:
            raise ValueError("no picture shows any of these classes, so there is nothing to count")
        return {
            name: reader.count(rows, self.targets, labels, templates)
            for name, reader in self.readers.items()
        }

    def measure(self, split: str = "choose") -> list[Try]:
        """What would be written into the log now: a try for each model."""
        labels, templates = self.read()
        return [
            Try(templates, labels, found.pictures, found.accuracy, found.interval, split, name)
            for name, found in self.count(split).items()
        ]

    def answer(self) -> None:
        labels, templates = self.read()
        chosen = self.pictures.chosen
        own, row = chosen == -1, self.gallery[max(chosen, 0)]
        title = "your picture" if own else f"picture {chosen + 1}"
        right = None if own else str(self.targets[row])
        shown = []
        for name, reader in self.readers.items():
            features = reader.own if own else reader.features[row : row + 1]
            vectors = reader.classifier(list(labels.values()), templates)
            likely = (features @ vectors.T / self.temperature.value).softmax(1)[0].tolist()
            head = f"<b>{html.escape(name)}</b>" if name else ""
            top = 8 if len(self.readers) == 1 else 5
            said = self.moving_bars(name, dict(zip(labels, likely)), top, right)
            shown.append(f"<div>{head}{said}</div>")
        self.says.value = f"<b>{title}</b>{''.join(shown)}"
        self.score.value = "".join(
            _score_line(name, found, len(templates), len(labels))
            for name, found in self.count().items()
        )

    def take(self, given: Gallery) -> None:
        """Ask about a picture of one's own, which was given in the gallery."""
        try:
            content = ImageOps.exif_transpose(Image.open(io.BytesIO(bytes(given.content))))
            content = content.convert("RGBA")
            white = Image.new("RGBA", content.size, "white")
            content = Image.alpha_composite(white, content).convert("RGB")
        except Exception:  # whatever PIL says of a file that is no picture
            self.message.value = alert(
                f"{given.file_name} is not a picture that can be read here; choose a PNG or JPEG"
                " file"
            )
            return
        content.thumbnail((512, 512))
        for reader in self.readers.values():
            reader.look_at(np.asarray(content))
        self.pictures.own = image_address(np.asarray(content))
        if self.pictures.chosen == -1:  # another one of one's own before
            self.update()
        self.pictures.chosen = -1

    def note(self, split: str) -> None:
        """Write the current try into the log. The test split can be revealed only once."""
        if split == "test" and self.revealed:
            self.message.value = alert(
                "the test score has been revealed; a second look would make it a set for choosing"
            )
            return
        try:
            self.tries += self.measure(split)
        except ValueError as error:
            self.message.value = alert(str(error))
            return
        self.revealed |= split == "test"
        self.reveal.disabled = self.revealed
        several = len(self.readers) > 1
        rows = "".join(_log_row(number, one, several) for number, one in enumerate(self.tries, 1))
        self.log.value = (
            f'<table style="font-size: 14px"><tr><th>try</th>{"<th>model</th>" * several}'
            f"<th>split</th><th>right</th><th>templates</th></tr>{rows}</table>"
        )

    def to_csv(self) -> str:
        """The log of tries as CSV."""
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        writer.writerow(
            ["try", "split", "pictures", "accuracy", "low", "high", "classes", "templates", "model"]
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
                    one.model,
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


def _score_line(name: str, found: Counted, templates: int, classes: int) -> str:
    """What a model scores, and the classes that it misses most, as HTML."""
    low, high = found.interval
    worst = ", ".join(
        f"{html.escape(label)} {right} of {n}, called {html.escape(instead)}"
        for label, (right, n, instead) in list(found.missed.items())[:3]
    )
    return (
        f'<div style="font-size: 16px; margin: 6px 0">{f"{html.escape(name)}: " if name else ""}'
        f"right on <b>{found.accuracy:.1%}</b> of {found.pictures} pictures for choosing "
        f"({low:.1%} to {high:.1%}), {templates} template{'s' * (templates > 1)}, {classes} classes"
        f"{f'<br><small>missed most: {worst}</small>' if worst else ''}</div>"
    )


def _log_row(number: int, one: Try, several: bool) -> str:
    """A try as a row of a table."""
    low, high = one.interval
    cells = [
        str(number),
        *([html.escape(one.model)] if several else []),
        one.split,
        f"{one.accuracy:.1%} of {one.pictures} ({low:.1%} to {high:.1%})",
        html.escape(" | ".join(one.templates[:3])) + " ..." * (len(one.templates) > 3),
    ]
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
