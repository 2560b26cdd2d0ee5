"""`SceneLab`: scenes that the player puts together, and what a model says of them (notebook 03)."""

from __future__ import annotations

import html
from collections.abc import Sequence

import ipywidgets as ui
from torch import Tensor

from miniclip import prompts
from miniclip.course.widgets.base import Lab, picture
from miniclip.data.world import COLORS, COMMON, CONCEPTS, PLACES, Scene, Thing, article
from miniclip.data.world.artists import ARTISTS
from miniclip.data.world.scene import LIGHTS, STYLES, WEATHERS
from miniclip.zeroshot import classifier, image_features, inverse_temperature


def scene_classifiers(
    model, nouns: Sequence[str] = COMMON, template: str = prompts.SIMPLE
) -> dict[str, tuple[tuple[str, ...], Tensor]]:
    """What can be asked of a scene, {question: (C labels, their vectors (C, E))}, for the thing,
    the place and the colour."""
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
    """What `SceneLab` shows of a scene: {question: {label: probability}}, likeliest first.

    Args:
        model: anything with `encode_image` and `encode_text`.
        scene: the scene to look at.
        classifiers: the result of `scene_classifiers`, if it is known already.
        size: height and width of the picture in pixels.
    """
    features = image_features(model, scene.draw(size)[None])  # (1, E), once for all questions
    said = {}
    for question, (labels, vectors) in (classifiers or scene_classifiers(model)).items():
        probabilities = (
            (inverse_temperature(model) * features @ vectors.T).softmax(dim=-1)[0].tolist()
        )
        said[question] = dict(sorted(zip(labels, probabilities), key=lambda pair: -pair[1]))
    return said


def _thing_controls(number: int, noun: str, nouns: Sequence[str]) -> tuple[ui.Widget, ...]:
    """The controls of thing `number` of a scene, from 0: noun, colour, x, y and size."""
    which = ui.Dropdown(
        options=("", *sorted(nouns)),
        value=noun,
        description=f"thing {number + 1}",
        layout=ui.Layout(width="210px"),
    )
    color = ui.Dropdown(
        options=("its own", *COLORS), value="its own", layout=ui.Layout(width="110px")
    )
    sliders = (
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
        for name, value, low in (("x", 0.3 + 0.2 * number, 0), ("y", 0.65, 0), ("size", 0.45, 0.1))
    )
    return which, color, *sliders


def drawn_thing(
    noun: str, color: str | None, at: tuple[float, float], size: float, artist: str
) -> tuple[Thing, str]:
    """A thing as the player wants it, as far as there is such a drawing.

    Args:
        noun, color, at, size, artist: as in `Thing`.
    Returns:
        the thing, by OpenMoji if the artist has not drawn it, in its own colours if that drawing
        cannot be painted; and a sentence about what is not as it was wanted, or "".
    """
    concept, notes = CONCEPTS[noun], []
    if not concept.variants(artist):
        notes.append(f"{ARTISTS[artist].title} has not drawn {article(noun)}, so OpenMoji did")
        artist = "openmoji"
    variant = concept.variants(artist)[0]
    if color and not concept.can_be_painted(variant, artist):
        notes.append(f"this drawing of {article(noun)} has colours of its own")
        color = None
    return Thing(noun, color, at, size, variant, artist=artist), "; ".join(notes)


class SceneLab(Lab):
    """Put a scene together, choose who draws it, and see what the model says of it.

    Args:
        model: anything with `encode_image` and `encode_text`.
        nouns: the things that can be put into the scene.
        template: the sentence around names.
    """

    def __init__(
        self,
        model,
        nouns: Sequence[str] = COMMON,
        template: str = prompts.SIMPLE,
        size: int = 128,
    ):
        super().__init__()
        self.model, self.size = model, size
        self.classifiers = scene_classifiers(model, nouns, template)
        choices = {"place": tuple(PLACES), "style": STYLES, "weather": WEATHERS, "light": LIGHTS}
        self.place, self.style, self.weather, self.light = (
            ui.Dropdown(options=options, description=name, layout=ui.Layout(width="210px"))
            for name, options in choices.items()
        )
        artists = [
            (f"{artist.title}{' (unseen)' * (artist.split == 'unseen')}", name)
            for name, artist in ARTISTS.items()
        ]
        self.artist = ui.Dropdown(
            options=artists, description="artist", layout=ui.Layout(width="300px")
        )
        self.things = [
            _thing_controls(number, noun, nouns) for number, noun in enumerate((nouns[0], "", ""))
        ]
        self.shown, self.says, self.note = ui.HTML(), ui.HTML(), ui.HTML()
        lines = [
            ui.HBox([self.place, self.style]),
            ui.HBox([self.weather, self.light]),
            self.artist,
            *map(ui.HBox, self.things),
            self.note,
            self.message,
        ]
        self.box = ui.VBox([ui.HBox([ui.VBox(lines), self.shown]), self.says])
        of_things = (control for controls in self.things for control in controls)
        of_scene = (self.place, self.style, self.weather, self.light, self.artist)
        self._watch(*of_scene, *of_things)

    def scene(self) -> Scene:
        """The scene that the controls describe; `note` says what is not as they ask for it."""
        found = [
            drawn_thing(
                noun.value,
                None if color.value == "its own" else color.value,
                (x.value, y.value),
                size.value,
                self.artist.value,
            )
            for noun, color, x, y, size in self.things
            if noun.value
        ]
        self.note.value = html.escape(". ".join(note for _, note in found if note))
        return Scene(
            place=self.place.value,
            things=[thing for thing, _ in found],
            weather=self.weather.value,
            light=self.light.value,
            style=self.style.value,
        )

    def answer(self) -> None:
        scene = self.scene()
        self.shown.value = picture(scene.draw(self.size), 260, "the scene that was put together")
        parts = [
            f"<div><b>{question}</b>{self.moving_bars(question, said, 4)}</div>"
            for question, said in look_at_scene(
                self.model, scene, self.classifiers, self.size
            ).items()
        ]
        self.says.value = (
            f'<div style="display: flex; gap: 12px; flex-wrap: wrap">{"".join(parts)}</div>'
        )
