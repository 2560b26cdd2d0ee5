"""The ten places of the drawn world, each a background of a few shapes with random details.

A place is drawn in a 100 x 100 box as two layers, like the art of the things: fills (for full
drawings and cut-outs) and lines (for pencil sketches). The phrases with which captions name a place
are listed beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

INK = 'fill="none" stroke="#444" stroke-width=".8" stroke-linecap="round"'


@dataclass(frozen=True)
class Place:
    """One place of the drawn world.

    Args:
        phrases: how captions name it.
        sky, ground: the colours at the top and at the bottom of each, as "#rrggbb".
        decorate: draws what stands in the place, given random numbers and the height of the
            horizon, as SVG text: (fills, lines).
    """

    phrases: tuple[str, ...]
    sky: tuple[str, str]
    ground: tuple[str, str]
    decorate: Callable[[Random, float], tuple[str, str]]


def shade(color: str, by: float) -> str:
    """Make a colour lighter or darker.

    Args:
        color: "#rrggbb".
        by: share of the way to white (if positive) or to black (if negative), -1 to 1.
    Returns:
        the new colour, "#rrggbb".
    """
    target = 255 if by > 0 else 0
    channels = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(
        f"{round(channel + (target - channel) * abs(by)):02x}" for channel in channels
    )


def _shape(path: str, fill: str) -> tuple[str, str]:
    """Draw path data as a filled shape and as its outline."""
    return f'<path d="{path}" fill="{fill}"/>', f'<path d="{path}" {INK}/>'


def _join(shapes: list[tuple[str, str]]) -> tuple[str, str]:
    """Join the fills of several shapes, and their outlines."""
    return "".join(fill for fill, _ in shapes), "".join(line for _, line in shapes)


def dot(x: float, y: float, r: float) -> str:
    """Draw a circle.

    A small one has eight sides, which is faster to draw and looks the same.

    Args:
        x, y: centre in the 100 x 100 box.
        r: radius.
    Returns:
        SVG path data.
    """
    if r < 2:
        a, b = 0.41 * r, 0.59 * r  # half a side of the octagon, and the width of a slanted side
        return (
            f"M{x - r:.1f} {y - a:.2f}l{b:.2f} {-b:.2f}h{2 * a:.2f}l{b:.2f} {b:.2f}"
            f"v{2 * a:.2f}l{-b:.2f} {b:.2f}h{-2 * a:.2f}l{-b:.2f} {-b:.2f}z"
        )
    r = round(r, 1)  # so that the diameter in the text is exactly twice the radius in the text
    return f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r:.1f} 0a{r} {r} 0 1 0 {-2 * r:.1f} 0z"


# In the functions below, `h` is the height of the horizon, measured from the top of the box.


def _cloud(rng: Random, y: float) -> str:
    """A cloud of three circles."""
    x, r = rng.uniform(0, 100), rng.uniform(3, 6)
    return dot(x, y, r) + dot(x + r, y - r / 2, r) + dot(x + 2.2 * r, y, r)


def _strokes(rng: Random, h: float, count: int, mark: Callable[[float, float, float], str]) -> str:
    """Small marks scattered over the ground, larger where the ground is nearer to the viewer."""
    marks = []
    for _ in range(count):
        x, nearness = rng.uniform(0, 100), rng.random()
        marks.append(mark(x, h + 2 + nearness * (98 - h), 1 + 2.5 * nearness))
    return "".join(marks)


def _tuft(x: float, y: float, s: float) -> str:
    """A tuft of grass of size s."""
    return (
        f"M{x - s:.1f} {y - s:.1f}L{x:.1f} {y:.1f}L{x + s:.1f} {y - s:.1f}"
        f"L{x + s / 4:.1f} {y + s / 2:.1f}L{x - s / 4:.1f} {y + s / 2:.1f}z"
    )


def _wave(x: float, y: float, s: float) -> str:
    """A wave of size s."""
    return (
        f"M{x - 2 * s:.1f} {y:.1f}q{s:.1f} {-s:.1f} {2 * s:.1f} 0q{s:.1f} {s:.1f} {2 * s:.1f} 0"
        f"l0 .8q{-s:.1f} {s:.1f} {-2 * s:.1f} 0q{-s:.1f} {-s:.1f} {-2 * s:.1f} 0z"
    )


def _ripple(x: float, y: float, s: float) -> str:
    """A ripple of sand of size s."""
    return (
        f"M{x:.1f} {y:.1f}q{3 * s:.1f} {-s:.1f} {6 * s:.1f} 0"
        f"q{-3 * s:.1f} {-s / 2:.1f} {-6 * s:.1f} 0z"
    )


def _grass(rng: Random, h: float) -> tuple[str, str]:
    return _join(
        [
            _shape(_cloud(rng, rng.uniform(8, h - 15)), "#ffffff"),
            _shape(_strokes(rng, h, 14, _tuft), "#4c8f2f"),
        ]
    )


def _beach(rng: Random, h: float) -> tuple[str, str]:
    shore = h + rng.uniform(8, 14)
    sea = f"M0 {h:.1f}H100V{shore:.1f}q-25 {rng.uniform(2, 5):.1f} -50 0t-50 0z"
    return _join(
        [
            _shape(sea, "#3fa7d6"),
            _shape(_strokes(rng, shore + 5, 16, lambda x, y, s: dot(x, y, s / 4)), "#c79a55"),
        ]
    )


def _snow(rng: Random, h: float) -> tuple[str, str]:
    x = rng.uniform(-10, 60)
    hills = f"M{x - 40:.1f} {h:.1f}q30 -18 60 0zM{x + 10:.1f} {h:.1f}q35 -14 70 0z"
    flakes = "".join(
        dot(rng.uniform(0, 100), rng.uniform(2, 90), rng.uniform(0.5, 1.1)) for _ in range(14)
    )
    return _join([_shape(hills, "#eef5fa"), _shape(flakes, "#ffffff")])


def _street(rng: Random, h: float) -> tuple[str, str]:
    shapes, x = [], rng.uniform(-12, 0)
    while x < 100:  # houses, from left to right
        w, top = rng.uniform(12, 22), rng.uniform(6, h - 14)
        shapes.append(
            _shape(
                f"M{x:.1f} {h:.1f}V{top:.1f}H{x + w:.1f}V{h:.1f}z",
                rng.choice(["#b9a08c", "#a3a9b5", "#c9b49a", "#94877f"]),
            )
        )
        panes = "".join(
            f"M{x + 2.5 + 6 * i:.1f} {top + 4 + 9 * j:.1f}h3v4h-3z"
            for i in range(int(w // 6))
            for j in range(int((h - top) // 9))
        )
        shapes.append(_shape(panes, "#f3e9b8"))
        x += w
    pavement = f"M0 {h:.1f}H100v5H0z"
    middle = (h + 100) / 2 + 8
    lane_marks = "".join(
        f"M{i + rng.uniform(0, 4):.1f} {middle:.1f}h12v2h-12z" for i in range(-4, 100, 24)
    )
    shapes += [_shape(pavement, "#c2c2c2"), _shape(lane_marks, "#f4f4f4")]
    return _join(shapes)


def _night(rng: Random, h: float) -> tuple[str, str]:
    stars = "".join(
        dot(rng.uniform(0, 100), rng.uniform(2, h), rng.uniform(0.3, 0.8)) for _ in range(22)
    )
    moon = dot(rng.uniform(10, 90), rng.uniform(10, 20), rng.uniform(4, 7))
    return _join([_shape(stars, "#ffffff"), _shape(moon, "#fdf3c0")])


def _room(rng: Random, h: float) -> tuple[str, str]:
    x, w = rng.uniform(5, 60), rng.uniform(18, 28)
    frame = f"M{x:.1f} 8h{w:.1f}v{h - 26:.1f}h{-w:.1f}z"
    pane = f"M{x + 2:.1f} 10h{w - 4:.1f}v{h - 30:.1f}h{4 - w:.1f}z"
    boards = "".join(
        f"M{i:.1f} {h:.1f}L{50 + (i - 50) * 2.2:.1f} 100h.8L{i + 0.5:.1f} {h:.1f}z"
        for i in range(0, 101, 10)
    )
    skirting = f"M0 {h - 3:.1f}H100v3H0z"
    return _join(
        [
            _shape(frame, "#ffffff"),
            _shape(pane, rng.choice(["#a9d6ee", "#f0c9a0", "#b5cfae"])),
            _shape(boards, "#8a5f3c"),
            _shape(skirting, "#ffffff"),
        ]
    )


def _sea(rng: Random, h: float) -> tuple[str, str]:
    return _join(
        [
            _shape(_cloud(rng, rng.uniform(6, h - 12)), "#ffffff"),
            _shape(_strokes(rng, h, 16, _wave), "#d8f0fb"),
        ]
    )


def _desert(rng: Random, h: float) -> tuple[str, str]:
    x = rng.uniform(-20, 40)
    dunes = (
        f"M{x - 30:.1f} {h + 0.5:.1f}q40 {-rng.uniform(14, 26):.1f} 60 0z"
        f"M{x + 35:.1f} {h + 0.5:.1f}q30 {-rng.uniform(10, 20):.1f} 70 0z"
    )
    sun = dot(rng.uniform(10, 90), rng.uniform(10, 18), 6)
    ripples = _strokes(rng, h + 6, 8, _ripple)
    return _join([_shape(sun, "#fff3a8"), _shape(dunes, "#d9a55a"), _shape(ripples, "#c98f45")])


def _forest(rng: Random, h: float) -> tuple[str, str]:
    trunks = "".join(
        f"M{x:.1f} {h + rng.uniform(0, 8):.1f}V0h{rng.uniform(3, 6):.1f}V{h + 4:.1f}z"
        for x in (i + rng.uniform(0, 7) for i in range(-2, 100, 12))
    )
    leaves = "".join(
        dot(rng.uniform(0, 100), rng.uniform(-4, 10), rng.uniform(8, 13)) for _ in range(9)
    )
    return _join(
        [
            _shape(trunks, "#5b4026"),
            _shape(leaves, "#2f6b35"),
            _shape(_strokes(rng, h, 8, _tuft), "#3c6b2c"),
        ]
    )


def _mountains(rng: Random, h: float) -> tuple[str, str]:
    rocks, caps = [], []
    for x in (rng.uniform(-5, 25), rng.uniform(35, 60), rng.uniform(70, 100)):
        top, w = rng.uniform(6, h - 24), rng.uniform(22, 34)
        share = 0.3  # of the mountain's height is covered by snow
        rocks.append(f"M{x - w:.1f} {h:.1f}L{x:.1f} {top:.1f}L{x + w:.1f} {h:.1f}z")
        caps.append(
            f"M{x - w * share:.1f} {top + (h - top) * share:.1f}L{x:.1f} {top:.1f}"
            f"L{x + w * share:.1f} {top + (h - top) * share:.1f}z"
        )
    return _join([_shape("".join(rocks), "#7d7f92"), _shape("".join(caps), "#ffffff")])


PLACES = {
    "grass": Place(
        ("on the grass", "in a meadow", "on a lawn", "in a green field"),
        ("#7cc4ef", "#d9f0fb"),
        ("#8ccf5a", "#5da83a"),
        _grass,
    ),
    "beach": Place(
        ("on the beach", "at the beach", "on the sand by the water"),
        ("#8fd3f5", "#e8f7fc"),
        ("#f2dba6", "#e2bd78"),
        _beach,
    ),
    "snow": Place(
        ("in the snow", "on a snowy field", "in winter snow"),
        ("#b9cfe0", "#e3edf4"),
        ("#fbfdff", "#dbe7f0"),
        _snow,
    ),
    "street": Place(
        ("on the street", "in the city", "on a road in town"),
        ("#a9bccb", "#dde4e8"),
        ("#85878c", "#5f6166"),
        _street,
    ),
    "night": Place(
        ("at night", "under the stars", "in the moonlight"),
        ("#101a46", "#33427f"),
        ("#2b3a52", "#1a2436"),
        _night,
    ),
    "room": Place(
        ("in a room", "inside the house", "indoors", "on a wooden floor"),
        ("#e9cfd0", "#f1dcd6"),
        ("#b98255", "#9a683e"),
        _room,
    ),
    "sea": Place(
        ("on the sea", "in the ocean", "on the water"),
        ("#9bd4f2", "#e2f4fb"),
        ("#2f8fc4", "#16598c"),
        _sea,
    ),
    "desert": Place(
        ("in the desert", "between sand dunes", "in the hot desert sand"),
        ("#f6b25e", "#fbe3b0"),
        ("#e6b566", "#cf9445"),
        _desert,
    ),
    "forest": Place(
        ("in the forest", "in the woods", "among the trees"),
        ("#9cbf8f", "#c8dcb4"),
        ("#6b7a3d", "#4b5a2b"),
        _forest,
    ),
    "mountains": Place(
        ("in the mountains", "in front of mountains", "high in the alps"),
        ("#86b6e8", "#dfeaf6"),
        ("#a3b08a", "#75855f"),
        _mountains,
    ),
}


def background(name: str, rng: Random) -> tuple[str, str, float]:
    """Draw a place with random details.

    Args:
        name: a name from `PLACES`.
        rng: the random numbers.
    Returns:
        its fills and its lines, as SVG text in a 100 x 100 box;
        the height of the horizon, measured from the top of the box.
    """
    place, h = PLACES[name], rng.uniform(42, 60)
    tone = rng.uniform(-0.12, 0.12)
    sky, ground = ([shade(color, tone) for color in pair] for pair in (place.sky, place.ground))
    gradients = "".join(
        f'<linearGradient id="{key}" x2="0" y2="1"><stop stop-color="{top}"/>'
        f'<stop offset="1" stop-color="{bottom}"/></linearGradient>'
        for key, (top, bottom) in (("sky", sky), ("ground", ground))
    )
    fills, lines = place.decorate(rng, h)
    fills = (
        f'<defs>{gradients}</defs><rect width="100" height="{h + 0.5:.1f}" fill="url(#sky)"/>'
        f'<rect y="{h:.1f}" width="100" height="{100 - h:.1f}" fill="url(#ground)"/>{fills}'
    )
    return fills, f'<path d="M0 {h:.1f}H100" {INK}/>{lines}', h
