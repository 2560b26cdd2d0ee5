"""A scene of the drawn world: a place with up to six things in it.

A scene is a plain value, which can also be built by hand and drawn:

    Scene(place="beach", things=[Thing("dog", color="red", at=(0.3, 0.7))]).draw(128)

It is drawn as one SVG text that resvg renders. The same scene gives the same pixels on every
machine, at any size.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from random import Random

import numpy as np
import resvg_py
from PIL import Image

from miniclip.data.world.artists import (
    ART,
    ARTISTS,
    BOX,
    COLORS,
    PAPER,
    artwork,
    drawn_codes,
    paint,
    repaint,
    repaint_pixels,
    sketch,
)
from miniclip.data.world.places import INK, PLACES, background, dot
from miniclip.data.world.things import CONCEPTS, article

STYLES = ("full", "sketch", "cutout")
WEATHERS = ("clear", "rain", "snowfall", "fog")
LIGHTS = ("day", "sunset", "dusk")
MAX_THINGS = 6
SPRITE = 128  # height and width in pixels of drawings that are kept as pixels
SHEET = 20  # how many of them lie side by side in their file


def _one_of(value: object, options, what: str) -> None:
    if value not in options:
        raise ValueError(
            f"{what} {value!r} is not in the picture book; "
            f"choose one of: {', '.join(map(str, options))}"
        )


@dataclass(frozen=True)
class Thing:
    """One thing in a scene.

    Args:
        noun: the name of a concept ("dog", "flying bat"), or a word of captions; if several
            concepts share the word, as with "bat", it stands for the first of them.
        color: a name from `COLORS`, or None for the drawing's own colour.
        at: centre (x, y) as shares of the picture's width and height; y grows downwards.
        size: height and width of its box as a share of the picture's, 0.05 to 1.
        variant: which of the concept's drawings (which model of car), as an index from 0.
        flip: whether it is mirrored, so that it looks the other way.
        tilt: how far it is turned clockwise, in degrees.
        artist: who draws it, a name from `ARTISTS`.
    Raises:
        ValueError: for an unknown noun, colour, variant or artist, for a colour that this drawing
            cannot have, for a thing that this artist has not drawn, or for a size out of range.
    """

    noun: str
    color: str | None = None
    at: tuple[float, float] = (0.5, 0.6)
    size: float = 0.5
    variant: int = 0
    flip: bool = False
    tilt: float = 0.0
    artist: str = "openmoji"

    def __post_init__(self) -> None:
        _one_of(self.artist, tuple(ARTISTS), "artist")
        if self.noun not in CONCEPTS:
            name = next(
                (concept.name for concept in CONCEPTS.values() if concept.word == self.noun), None
            )
            if name is None:
                _one_of(self.noun, tuple(CONCEPTS), "noun")
            object.__setattr__(self, "noun", name)
        art = self.concept.art
        if not 0 <= self.variant < len(art):
            raise ValueError(
                f"{self.noun} has {len(art)} drawings, "
                f"so variant is 0 to {len(art) - 1}, not {self.variant}"
            )
        if self.variant not in self.concept.variants(self.artist):
            raise ValueError(
                f"{self.artist} has not drawn {article(self.noun)} (variant {self.variant}); "
                f"choose another artist"
            )
        if self.color is not None:
            _one_of(self.color, tuple(COLORS), "color")
            if not self.concept.can_be_painted(self.variant, self.artist):
                raise ValueError(f"this drawing of {self.noun} cannot be painted; leave color=None")
        if not 0.05 <= self.size <= 1:
            raise ValueError(f"size is a share of the picture from 0.05 to 1, not {self.size}")

    @property
    def concept(self):
        """The `Concept` that the noun stands for, with its words, art and kind."""
        return CONCEPTS[self.noun]

    def svg(self, style: str = "full") -> str:
        """Draw the thing in its colour.

        Args:
            style: one of `STYLES`.
        Returns:
            SVG text in a 72 x 72 box.
        """
        return _thing_svg(self.concept.art[self.variant], self.artist, self.noun, self.color, style)

    def draw(self, size: int = 64) -> np.ndarray:
        """Draw the thing by itself, upright and without a place: uint8 (size, size, 4), RGBA."""
        return np.asarray(render(boxed(self.svg()), size))

    @property
    def bottom(self) -> float:
        """The lower end of the drawing as a share of its box; that is where its shadow goes."""
        return artwork(self.concept.art[self.variant], self.artist).bottom


@lru_cache(maxsize=20_000)
def _thing_svg(code: str, artist: str, noun: str, color: str | None, style: str) -> str:
    """The SVG text of a thing, see `Thing.svg`."""
    drawing = artwork(code, artist)
    fills, lines = drawing.fills, drawing.lines
    if artist == "openmoji":  # its fills and lines are apart
        if color:
            fills = paint(fills, CONCEPTS[noun].family[code], color)
        return ("" if style == "sketch" else fills) + ("" if style == "cutout" else lines)
    if style == "sketch":
        return sketch(fills)
    if ARTISTS[artist].shaded:
        pixels = _sprites(artist)[code]
        return _as_image(repaint_pixels(pixels, drawing.hue, color) if color else pixels)
    return repaint(fills, drawing.hue, color) if color else fills


def sprite_codes(artist: str) -> list[str]:
    """The codes of a shaded artist's drawings, tints included, in the order of their file."""
    drawn = set(drawn_codes(artist))
    every = {code for concept in CONCEPTS.values() for code in concept.art}
    return sorted(code for code in every if code.partition(">")[0] in drawn)


@cache
def _sprites(artist: str) -> dict[str, np.ndarray]:
    """A shaded artist's drawings as pixels: {code: uint8 (SPRITE, SPRITE, 4), RGBA}. As SVG, with
    their gradients and filters, each would take up to 40 ms."""
    sheet = np.asarray(Image.open(ART.with_name(f"{artist}.webp")).convert("RGBA"))
    rows = sheet.reshape(-1, SPRITE, SHEET, SPRITE, 4).swapaxes(1, 2)
    return dict(zip(sprite_codes(artist), rows.reshape(-1, SPRITE, SPRITE, 4)))


def _as_image(pixels: np.ndarray) -> str:
    """An SVG element that shows pixels (H, W, 4) in our box."""
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, "PNG", compress_level=1)
    data = base64.b64encode(png.getvalue()).decode()
    return f'<image width="{BOX}" height="{BOX}" href="data:image/png;base64,{data}"/>'


def boxed(svg: str) -> str:
    """A drawing as an SVG document of its own."""
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {BOX} {BOX}">{svg}</svg>'


def render(svg: str, size: int) -> Image.Image:
    """Draw an SVG document.

    Args:
        svg: its text; it is a square.
        size: height and width in pixels.
    Returns:
        an RGBA image.
    """
    png = resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size, skip_system_fonts=True)
    return Image.open(io.BytesIO(png))


@dataclass(frozen=True)
class Scene:
    """A place and the things in it.

    Args:
        place: a name from `PLACES`.
        things: up to six `Thing`s, drawn in this order, so the last one is in front.
        weather: one of `WEATHERS`.
        light: one of `LIGHTS`.
        style: one of `STYLES`; "sketch" draws only the lines, "cutout" only the fills.
        chance: seed of the place's random details (clouds, houses, tufts of grass).
    Raises:
        ValueError: for a name that does not exist, or for more than six things.
    """

    place: str = "grass"
    things: tuple[Thing, ...] = field(default_factory=tuple)
    weather: str = "clear"
    light: str = "day"
    style: str = "full"
    chance: str = "0"

    def __post_init__(self) -> None:
        object.__setattr__(self, "things", tuple(self.things))
        for value, options, what in (
            (self.place, PLACES, "place"),
            (self.weather, WEATHERS, "weather"),
            (self.light, LIGHTS, "light"),
            (self.style, STYLES, "style"),
        ):
            _one_of(value, tuple(options), what)
        if len(self.things) > MAX_THINGS:
            raise ValueError(f"a scene holds at most {MAX_THINGS} things, not {len(self.things)}")

    def svg(self) -> str:
        """Write the whole scene as SVG text, 100 x 100."""
        rng = Random(f"details {self.chance}")
        fills, lines, horizon = background(self.place, rng)
        is_sketch = self.style == "sketch"
        paper = f'<rect width="100" height="100" fill="{PAPER}"/>'
        parts = [paper, lines] if is_sketch else [fills]
        for thing in self.things:
            x, y, side = 100 * thing.at[0], 100 * thing.at[1], 100 * thing.size
            bottom = y + side * (thing.bottom - 0.5)
            if not is_sketch and bottom > horizon:  # it stands on the ground, so it has a shadow
                parts.append(
                    f'<ellipse cx="{x:.1f}" cy="{bottom - side * 0.02:.1f}" '
                    f'rx="{side * 0.36:.1f}" ry="{side * 0.06:.1f}" fill="#000" opacity=".22"/>'
                )
            rotation = f" rotate({thing.tilt:.1f})" if thing.tilt else ""
            scale = side / 72
            parts.append(
                f'<g transform="translate({x:.1f} {y:.1f}){rotation} '
                f"scale({-scale if thing.flip else scale:.4f} {scale:.4f}) "
                f'translate(-36 -36)">{thing.svg(self.style)}</g>'
            )
        parts.append(self._air(rng))
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">{"".join(parts)}</svg>'
        )

    def _air(self, rng: Random) -> str:
        """Draw the weather and the light, which lie over everything else."""
        parts = []
        if self.weather == "fog":
            parts.append('<rect width="100" height="100" fill="#e8ecef" opacity=".45"/>')
        elif self.weather == "rain":
            drops = "".join(
                f"M{rng.uniform(0, 105):.1f} {rng.uniform(-5, 95):.1f}l-2 7" for _ in range(26)
            )
            parts.append(
                f'<path d="{drops}" stroke="#dcecff" stroke-width=".9" opacity=".85"/>'
                if self.style != "sketch"
                else f'<path d="{drops}" stroke="#555" stroke-width=".5"/>'
            )
        elif self.weather == "snowfall":
            flakes = "".join(
                dot(rng.uniform(0, 100), rng.uniform(0, 100), rng.uniform(0.8, 1.6))
                for _ in range(24)
            )
            parts.append(
                f'<path d="{flakes}" {INK}/>'
                if self.style == "sketch"
                else f'<path d="{flakes}" fill="#fff"/>'
            )
        if self.style != "sketch" and self.light != "day":
            color, opacity = {"sunset": ("#ff7a2e", 0.2), "dusk": ("#10143c", 0.32)}[self.light]
            parts.append(f'<rect width="100" height="100" fill="{color}" opacity="{opacity}"/>')
        return "".join(parts)

    def draw(self, size: int = 128) -> np.ndarray:
        """Draw the scene.

        Args:
            size: height and width in pixels, 32 to 512.
        Returns:
            the pixels (size, size, 3) uint8, RGB.
        Raises:
            ValueError: if the size is out of range.
        """
        if not 32 <= size <= 512:
            raise ValueError(f"pictures are 32 to 512 pixels wide, not {size}")
        return np.asarray(render(self.svg(), size).convert("RGB"))

    def with_(self, **changes) -> Scene:
        """Copy the scene with some fields changed, as in `scene.with_(style="sketch")`."""
        return replace(self, **changes)
