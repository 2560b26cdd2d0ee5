"""The commands `data draw`, `data pack`, `data coco` and `data show`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image

from miniclip.data.world import CONCEPTS
from miniclip.tools.cli.options import (
    Artists,
    Captions,
    Images,
    Packed,
    console,
    load_data,
    world_of,
)
from miniclip.tools.cli.report import make_table

app = typer.Typer(no_args_is_help=True, help="Make data sets ready, and look at them.")


@app.command()
def draw(
    out: Annotated[Path, typer.Argument(help="Folder to write the packed data set to.")],
    pictures: Annotated[int, typer.Option(help="How many.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Another seed, other pictures.")] = 0,
    size: Annotated[int, typer.Option(help="Height and width in pixels, 32 to 512.")] = 64,
    nouns: Annotated[str, typer.Option(help="'starter', 'common' or 'all'.")] = "common",
    artists: Artists = "trained",
) -> None:
    """Draw a Picturebook set and keep it as a packed data set."""
    from miniclip.data import picturebook

    picturebook(pictures, seed, size, world_of(nouns, artists)).save(out)
    console.print(
        f"{pictures:,} pictures of {size} x {size} pixels are in {out}; "
        f"look with: python -m miniclip data show --data {out}",
        markup=False,
    )


@app.command()
def artists(
    out: Annotated[Path, typer.Argument(help="PNG file to write, of all things by all artists.")],
) -> None:
    """Show who draws Picturebook: a table of the artists, and a picture of all that they drew."""
    from miniclip.course import plots
    from miniclip.data.world.artists import ARTISTS, drawn_codes

    rows = [
        (name, *map(str, (len(drawn_codes(name)), artist.split, artist.licence, artist.author)))
        for name, artist in ARTISTS.items()
    ]
    heads = ("artist", "drawings", "split", "licence", "author")
    sheet = plots.artists(tuple(CONCEPTS), size=32, columns=6).png()
    Image.open(io.BytesIO(sheet)).convert("RGB").quantize(256).save(out, "PNG", optimize=True)
    console.print(make_table("Who draws Picturebook", heads, rows))
    console.print(f"All their drawings are in {out}", markup=False)


@app.command()
def pack(
    images: Annotated[Path, typer.Option(help="A folder of pictures.")],
    captions: Annotated[Path, typer.Option(help="A captions file in COCO's JSON format.")],
    out: Annotated[Path, typer.Option(help="Folder to write the packed data set to.")],
    size: Annotated[int, typer.Option(help="Height and width in pixels.")] = 128,
) -> None:
    """Resize a folder of captioned pictures once and pack it; stop it and start it again as you
    like."""
    from miniclip.data import pack as pack_folder

    packed = pack_folder(images, captions, out, size=size)
    console.print(f"{packed.report}\n{len(packed):,} pictures are in {out}", markup=False)


@app.command()
def coco(
    split: Annotated[
        str, typer.Option(help="train2017 (118,287 photos) or val2017 (5,000).")
    ] = "train2017",
    images: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many photos; all, if it is left out. A smaller subset is part of a larger "
            "one.",
        ),
    ] = None,
    size: Annotated[int, typer.Option(help="Height and width in pixels.")] = 128,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write the packed data set to; by default one inside --cache."),
    ] = None,
    licenses: Annotated[
        str,
        typer.Option(
            help="Keep only photos under these licences, by COCO's numbers, such as 4,5,7,8."
        ),
    ] = "",
    keep_originals: Annotated[
        bool, typer.Option("--keep-originals", help="Keep the photos as they came, too.")
    ] = False,
    connections: Annotated[int, typer.Option(help="Photos fetched at a time, 1 to 32.")] = 8,
    cache: Annotated[
        Path, typer.Option(help="Folder for the captions file and for unfinished work.")
    ] = Path("datasets/coco"),
    server: Annotated[
        str, typer.Option(help="Address of COCO's server or of a mirror.")
    ] = "http://images.cocodataset.org",
) -> None:
    """Fetch COCO 2017 captions, or a part of them, and pack it; stop it and start it again as you
    like."""
    from miniclip.data import coco as fetch

    if bad := [number for number in licenses.split(",") if number and not number.strip().isdigit()]:
        raise ValueError(f"--licenses is a list of numbers such as 4,5, not {bad[0]!r}")
    chosen = [int(number) for number in licenses.split(",") if number]
    packed = fetch(
        split,
        images,
        size,
        out,
        licenses=chosen,
        keep_originals=keep_originals,
        connections=connections,
        cache=cache,
        server=server,
    )
    place = Path(packed.images.filename).parent
    console.print(
        f"{packed.report}\n{len(packed):,} pictures are in {place}, "
        f"and whose they are in {place / 'attribution.csv'}\n"
        f"Train with: python -m miniclip train --preset tiny --data {place}",
        markup=False,
    )


@app.command()
def show(
    out: Annotated[Path, typer.Option(help="The figure to write.")] = Path("contact-sheet.png"),
    images: Images = None,
    captions: Captions = None,
    packed: Packed = None,
    seed: Annotated[int, typer.Option(help="Picturebook: which pictures.")] = 0,
    count: Annotated[int, typer.Option(help="How many pictures to show.")] = 12,
) -> None:
    """Save a contact sheet of a data set: pictures with their first caption."""
    from miniclip.course import plots
    from miniclip.data import picturebook

    data = load_data(images, captions, packed, size=160)
    plots.contact_sheet(picturebook(count, seed, 160) if data is None else data, count).savefig(
        out, dpi=110
    )
    console.print(f"a contact sheet is in {out}", markup=False)
