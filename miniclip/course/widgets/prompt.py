"""`PromptLab`: class names and templates as one types them, with every try noted (notebook 04)."""

from __future__ import annotations

import base64
import csv
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass

import ipywidgets as ui
import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from miniclip import prompts
from miniclip.course.widgets.base import Lab, alert, bars, picture, read_text
from miniclip.data.world import article
from miniclip.evaluation.benchmarks import all_words
from miniclip.zeroshot import fill, image_features, inverse_temperature, text_features, wilson


@dataclass(frozen=True)
class Try:
    """One try in `PromptLab`: templates, class names, and how often they were right on how many
    pictures of which split."""

    templates: tuple[str, ...]
    labels: dict[str, str]
    pictures: int
    accuracy: float
    interval: tuple[float, float]
    split: str = "choose"


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
        model: anything with `encode_image` and `encode_text`.
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
        # A thing that was not painted has no colour to ask for.
        known = np.nonzero(self.targets != "")[0]
        # The rows of the pictures that prompts are chosen by, and of those that they are tested on.
        self.splits = {
            "choose": known[::2],
            "test": known[1::2],
        }
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
        self.temperature = ui.FloatLogSlider(
            value=1 / inverse_temperature(self.model),
            min=-2.3,
            max=0,
            step=0.05,
            description="temperature",
            readout_format=".3f",
            layout=ui.Layout(width="380px"),
            style={"description_width": "90px"},
        )

    def _make_gallery(self, count: int) -> None:
        """Pictures to ask about, and a button to upload one."""
        # The gallery shows pictures to choose prompts by, never those of the hidden test.
        self.gallery = [int(row) for row in self.splits["choose"][:count]]
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
        names = [f"picture {number + 1} to ask about" for number in range(len(self.gallery))]
        gallery_row = ui.HBox(
            [
                ui.VBox([ui.HTML(picture(self.data.images[row], 72, name)), button])
                for row, button, name in zip(self.gallery, self.pictures, names)
            ]
        )
        return ui.VBox(
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

    def _remember(self, sentences: Sequence[str]) -> None:
        if new := [
            sentence for sentence in dict.fromkeys(sentences) if sentence not in self.vectors
        ]:
            # Forget the vectors of the texts that were typed longest ago.
            for old in list(self.vectors)[self.kept : max(self.kept, len(self.vectors) - 20_000)]:
                del self.vectors[old]
            self.vectors.update(zip(new, text_features(self.model, new)))

    def classifier(self, labels: dict[str, str], templates: Sequence[str]) -> Tensor:
        """The same as `miniclip.classifier`, (C, E), from remembered vectors of sentences."""
        sentences = [[fill(template, name) for template in templates] for name in labels.values()]
        self._remember([sentence for row in sentences for sentence in row])
        return torch.nn.functional.normalize(
            torch.stack([torch.stack([self.vectors[s] for s in row]).mean(0) for row in sentences]),
            dim=-1,
        )

    def read(self) -> tuple[dict[str, str], tuple[str, ...]]:
        """The labels and templates that the widget shows."""
        return read_labels(self.labels.value), read_templates(
            self.templates.value, [name for name, box in zip(prompts.SETS, self.sets) if box.value]
        )

    def measure(self, split: str = "choose") -> Try:
        """How often the prompts are right on a split. Only pictures whose class is among the labels
        count."""
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
            self.message.value = alert(
                f"{files[0]['name']} is not a picture that can be read here; choose a PNG or JPEG"
                " file"
            )
            return
        content.thumbnail((512, 512))
        self.thumbnail = picture(np.asarray(content), 64, "the picture of your own")
        self.own = image_features(self.model, np.asarray(content)[None])
        self.update()

    def note(self, split: str) -> None:
        """Write the current try into the log. The test split can be revealed only once."""
        if split == "test" and self.revealed:
            self.message.value = alert(
                "the test score has been revealed; a second look would make it a set for choosing"
            )
            return
        try:
            self.tries.append(self.measure(split))
        except ValueError as error:
            self.message.value = alert(str(error))
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
