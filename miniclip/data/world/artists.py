"""Ten artists who draw the things of the drawn world, and their drawings.

A thing is a concept, not a drawing. OpenMoji draws every concept, the others nearly all or many of
them. Some artists are never trained on: naming things by an unseen hand is the test that counts.
All drawings are free art. They are kept in `art.xz` and, where drawing is slow, in `fluent.webp`,
which `miniclip/tools/build_art.py` makes.
"""

from __future__ import annotations

import colorsys
import json
import lzma
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

ART = Path(__file__).with_name("art.xz")
BOX = 72  # drawings lie in a box of 72 x 72
PAPER, PENCIL = "#fbf7ec", "#333333"  # of sketches
HEX = re.compile(r"#(?:[0-9a-fA-F]{6}|[0-9a-fA-F]{3})\b")


@dataclass(frozen=True)
class Artist:
    """One artist, or the people behind one set of drawings.

    Args:
        title: the name of the set.
        author: who drew it.
        url: where it comes from.
        licence: the licence of the drawings.
        split: "train" for artists to train on; "choose" for one to choose recipes and prompts by;
            "unseen" for those that nothing is trained on or chosen by.
        manners: how captions may name the manner of drawing.
        shaded: whether the drawings are full of gradients and filters, and so slow to draw.
    """

    title: str
    author: str
    url: str
    licence: str
    split: str
    manners: tuple[str, ...]
    shaded: bool = False


ARTISTS = {
    "openmoji": Artist(
        "OpenMoji",
        "the OpenMoji project",
        "https://openmoji.org",
        "CC BY-SA 4.0",
        "train",
        ("a drawing with black outlines of", "an outlined icon of"),
    ),
    "twemoji": Artist(
        "Twemoji",
        "Twitter, Inc. and other contributors",
        "https://github.com/jdecked/twemoji",
        "CC BY 4.0",
        "train",
        ("a flat drawing of", "a flat icon of"),
    ),
    "fluent-flat": Artist(
        "Fluent Emoji, flat",
        "Microsoft Corporation",
        "https://github.com/microsoft/fluentui-emoji",
        "MIT",
        "train",
        ("a flat drawing of", "a bright flat icon of"),
    ),
    "fluent": Artist(
        "Fluent Emoji, shaded",
        "Microsoft Corporation",
        "https://github.com/microsoft/fluentui-emoji",
        "MIT",
        "train",
        ("a shiny 3-d icon of", "a shaded drawing of"),
        shaded=True,
    ),
    "emojione": Artist(
        "EmojiOne 2",
        "Emoji One",
        "https://github.com/EmojiTwo/emojitwo",
        "CC BY 4.0",
        "train",
        ("a flat drawing of", "a simple icon of"),
    ),
    "emojione-old": Artist(
        "EmojiOne 1",
        "Emoji One",
        "https://github.com/joypixels/emojione-legacy",
        "CC BY-SA 4.0",
        "train",
        ("an old icon of", "a simple icon of"),
    ),
    "streamline": Artist(
        "Streamline Emojis",
        "Streamline",
        "https://github.com/webalys-hq/streamline-vectors",
        "CC BY 4.0",
        "choose",
        ("a drawing with thin outlines of", "an outlined icon of"),
    ),
    "noto": Artist(
        "Noto Emoji",
        "Google Inc.",
        "https://github.com/googlefonts/noto-emoji",
        "Apache 2.0",
        "unseen",
        ("a shaded drawing of", "an icon of"),
    ),
    "noto-old": Artist(
        "Noto Emoji, first version",
        "Google Inc.",
        "https://github.com/googlefonts/noto-emoji",
        "Apache 2.0",
        "unseen",
        ("a shaded drawing of", "an icon of"),
    ),
    "firefox": Artist(
        "Firefox OS Emojis",
        "Mozilla",
        "https://github.com/mozilla/fxemoji",
        "Apache 2.0",
        "unseen",
        ("a flat drawing of", "an icon of"),
    ),
}
TRAINED_ON, FOR_CHOOSING, UNSEEN = (
    tuple(name for name, artist in ARTISTS.items() if artist.split == split)
    for split in ("train", "choose", "unseen")
)
GROUPS = {
    "trained": TRAINED_ON,
    "choosing": FOR_CHOOSING,
    "unseen": UNSEEN,
    "all": tuple(ARTISTS),
}

# The colours of paint: name -> (light, dark). They replace the light and the dark tones of the
# colour family that a drawing of OpenMoji has of its own; drawings of others take the light one.
COLORS = {
    "red": ("#e8432f", "#b71f17"),
    "orange": ("#f58a1f", "#d5660f"),
    "yellow": ("#fcea2b", "#f1b31c"),
    "green": ("#6dbb3a", "#3f8a2b"),
    "blue": ("#3f8ae0", "#1e50a0"),
    "purple": ("#9b6fc4", "#6f45a0"),
    "pink": ("#ffa7c0", "#e67a94"),
    "brown": ("#8f5f31", "#5d3a1a"),
    "black": ("#4a4a4a", "#222222"),
    "white": ("#ffffff", "#e4e4e4"),
}
# OpenMoji's own palette: colour family -> (light tones, dark tones).
FAMILIES = {
    "red": (["#ea5a47"], ["#d22f27"]),
    "orange": (["#f4aa41"], ["#e27022"]),
    "yellow": (["#fcea2b"], ["#f1b31c"]),
    "green": (["#b1cc33"], ["#5c9e31"]),
    "blue": (["#92d3f5", "#61b2e4"], ["#1e50a0"]),
    "purple": (["#b399c8"], ["#8967aa"]),
    "pink": (["#ffa7c0"], ["#e67a94"]),
    "brown": (["#a57939"], ["#6a462f"]),
    "grey": (["#d0cfce"], ["#9b9b9a"]),
    "black": (["#3f3f3f"], ["#000000"]),
    "white": (["#ffffff", "#fff"], []),
}
# In art with a tint, such as "1F9A9>crane", OpenMoji's tones are replaced by these, and drawings of
# others lose their colours: a grey flamingo looks like a crane.
TINTS = {"crane": {"#ffa7c0": "#d0cfce", "#e67a94": "#9b9b9a", "#ea5a47": "#d22f27"}}


@dataclass(frozen=True)
class Drawing:
    """What one artist drew for one code, as SVG text in a box of 72 x 72.

    Args:
        fills: the drawing, or its fills if lines are apart.
        lines: the lines over it; "" where the artist's lines are part of `fills`.
        hue: hue (in turns, 0 to 1), saturation and value of the colour that dominates it, if one
            does and the artist is not OpenMoji.
        bottom: the lower end of the drawing as a share of its box; that is where its shadow goes.
    """

    fills: str
    lines: str = ""
    hue: tuple[float, float, float] | None = None
    bottom: float = 1.0


@cache
def _art() -> dict[str, dict[str, list]]:
    """All drawings, {artist: {code: the arguments of `Drawing`}}."""
    return json.loads(lzma.decompress(ART.read_bytes()))


def credit(artist: str) -> str:
    """An artist's set, author, address and licence, in a line."""
    a = ARTISTS[artist]
    return f"{a.title} by {a.author} ({a.url}, {a.licence})"


def refuse_unseen(info: Mapping) -> None:
    """Raise a ValueError if a data set, given by its `info`, has pictures by unseen artists.

    Every training calls this. What has been trained on can no longer be a test.
    """
    if unseen := [name for name in info.get("artists", ()) if name in UNSEEN]:
        raise ValueError(
            f"these pictures are by {', '.join(unseen)}: nothing is trained on the unseen artists, "
            f"they are for tests. Artists to train on are {', '.join(TRAINED_ON)}"
        )


def drawn_codes(artist: str) -> Iterable[str]:
    """The codes that an artist drew, without tints."""
    return _art()[artist].keys()


@cache
def artwork(code: str, artist: str = "openmoji") -> Drawing:
    """One artist's drawing.

    Args:
        code: its code point, such as "1F415", possibly with a tint, as in "1F9A9>crane".
        artist: a name from `ARTISTS`.
    Raises:
        KeyError: if the artist has not drawn this.
    """
    code, _, tint = code.partition(">")
    drawing = Drawing(*_art()[artist][code])
    if not tint:
        return drawing
    if artist != "openmoji":
        return replace(drawing, hue=None, fills=HEX.sub(lambda m: _grey(m[0]), drawing.fills))
    tones = TINTS[tint]
    layers = (drawing.fills, drawing.lines)
    fills, lines = (HEX.sub(lambda match: tones.get(match[0], match[0]), x) for x in layers)
    return replace(drawing, fills=fills, lines=lines)


def paint(layer: str, family: str, color: str) -> str:
    """Repaint the tones of one of OpenMoji's colour families: `paint(layer, "red", "blue")` makes
    red parts blue.

    Args:
        layer: a colour layer, as SVG text.
        family: the tones to replace, a name from `FAMILIES`.
        color: the new colour, a name from `COLORS`.
    Returns:
        the repainted layer, as SVG text.
    """
    light, dark = FAMILIES[family]
    tones = {**dict.fromkeys(light, COLORS[color][0]), **dict.fromkeys(dark, COLORS[color][1])}
    return HEX.sub(lambda match: tones.get(match[0], match[0]), layer)


def repaint(svg: str, dominant: tuple[float, float, float], color: str) -> str:
    """Repaint the colours of a drawing that are near its dominant hue, and keep their shading.

    Args:
        svg: the drawing, as SVG text.
        dominant: hue, saturation and value of its dominant colour, each 0 to 1.
        color: the new colour, a name from `COLORS`.
    Returns:
        the repainted drawing, as SVG text.
    """
    hue, saturation, value = dominant
    new_hue, new_saturation, new_value = _hsv(COLORS[color][0])

    def change(match: re.Match) -> str:
        h, s, v = _hsv(match[0])
        if s < 0.2 or turns_apart(h, hue) > 0.1:
            return match[0]  # a grey, or another colour
        s = min(1.0, new_saturation * s / saturation)
        v = min(1.0, new_value * v / value)
        r, g, b = colorsys.hsv_to_rgb(new_hue, s, v)
        return f"#{round(255 * r):02x}{round(255 * g):02x}{round(255 * b):02x}"

    return HEX.sub(change, svg)


def repaint_pixels(
    pixels: np.ndarray, dominant: tuple[float, float, float], color: str
) -> np.ndarray:
    """The same as `repaint` for pixels: uint8 (H, W, 4), RGBA, to the same."""
    hue, saturation, value = dominant
    new_hue, new_saturation, new_value = _hsv(COLORS[color][0])
    image = Image.fromarray(pixels)
    hsv = np.array(image.convert("RGB").convert("HSV"), float) / 255  # (H, W, 3)
    h, s, v = hsv[..., 0], hsv[..., 1], hsv[..., 2]
    near = (s >= 0.2) & (np.abs((h - hue + 0.5) % 1 - 0.5) <= 0.1)
    hsv[near, 0] = new_hue
    hsv[near, 1] = np.minimum(1, new_saturation * s[near] / saturation)
    hsv[near, 2] = np.minimum(1, new_value * v[near] / value)
    changed = Image.frombytes("HSV", image.size, np.round(255 * hsv).astype(np.uint8).tobytes())
    rgb = np.asarray(changed.convert("RGB"))  # (H, W, 3)
    return np.dstack([np.where(near[..., None], rgb, pixels[..., :3]), pixels[..., 3]])


def sketch(svg: str) -> str:
    """Draw the outlines of all parts of a drawing, for artists whose lines are not apart."""
    svg = re.sub(r' (?:filter|opacity|fill-opacity|stroke-width|stroke)="[^"]*"', "", svg)
    svg = re.sub(r'fill="(?!none")[^"]*"', f'fill="{PAPER}"', svg)
    scale = float(re.search(r"scale\(([\d.]+)\)", svg)[1])  # of the artist's own box to ours
    width = 1.3 / scale
    # Parts without a fill of their own inherit this one.
    return f'<g fill="{PAPER}" stroke="{PENCIL}" stroke-width="{width:.3f}">{svg}</g>'


def turns_apart(a: float, b: float) -> float:
    """The distance of two hues on the colour circle, in turns, 0 to 0.5."""
    return abs((a - b + 0.5) % 1 - 0.5)


def _hsv(color: str) -> tuple[float, float, float]:
    """Hue, saturation and value, each 0 to 1, of "#rrggbb" or "#rgb"."""
    digits = color[1:] if len(color) == 7 else "".join(2 * digit for digit in color[1:])
    return colorsys.rgb_to_hsv(*(int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)))


def _grey(color: str) -> str:
    """The grey that has the lightness of a colour: the mean of its largest and smallest channel."""
    _, s, v = _hsv(color)
    return "#" + 3 * f"{round(255 * (v + v * (1 - s)) / 2):02x}"
