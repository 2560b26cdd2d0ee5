"""Options that several commands share, and those that are made from the fields of `Recipe`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import fields, replace
from functools import wraps
from pathlib import Path
from typing import Annotated, get_args, get_type_hints

import typer
from rich.console import Console

from miniclip.data import CaptionedImages, CaptionStyle, World
from miniclip.data.world.artists import GROUPS
from miniclip.training.recipe import Recipe

console = Console()  # results, which a script may read
notes = Console(stderr=True)  # everything said beside the results

Images = Annotated[
    Path | None, typer.Option("--images", help="A folder of pictures; needs --captions.")
]
Captions = Annotated[
    Path | None, typer.Option("--captions", help="A captions file in COCO's JSON format.")
]
Packed = Annotated[
    Path | None,
    typer.Option("--data", help="A packed data set (made by: python -m miniclip data pack)."),
]
Artists = Annotated[
    str,
    typer.Option(
        help="Picturebook: who draws. trained (those that may be trained on), choosing, unseen, "
        "all, or names with commas between them, such as noto,firefox."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for scripts.")]


def load_data(
    images: Path | None, captions: Path | None, packed: Path | None, size: int
) -> CaptionedImages | None:
    """The data set that the options name, or None if they name none.

    Raises:
        ValueError: if only one of `images` and `captions` is given.
    """
    from miniclip import data

    if packed is not None:
        return data.load(packed)
    if (images is None) != (captions is None):
        raise ValueError(
            "--images and --captions go together: a folder of pictures, and the file with "
            "their captions"
        )
    if images is None:
        return None
    found = data.folder(images, captions, size=size)
    notes.print(str(found.report), markup=False, highlight=False)
    return found


def world_of(nouns: str, artists: str = "trained") -> World:
    """The drawn world of two options: its nouns, "starter", "common" or "all", and its artists, a
    group or names with commas between them."""
    by = artists if artists in GROUPS else tuple(name.strip() for name in artists.split(","))
    return World.starter(artists=by) if nouns == "starter" else World(nouns=nouns, artists=by)


def recipe_options(command: Callable) -> Callable:
    """Give a command an option for each field of `Recipe`.

    Names, types and defaults come from the fields, the help texts from the docstring of `Recipe`.
    The command is called with what the user has set, as a dict named `recipe`: for
    `--batch-size 32` it is `{"batch_size": 32}`.
    """
    names = [field.name for field in fields(Recipe)]
    types, helps = get_type_hints(Recipe), _arguments_in(Recipe.__doc__)
    signature = inspect.signature(command, eval_str=True)
    kept = [option for option in signature.parameters.values() if option.name != "recipe"]
    added = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                _without_functions(types[field.name]) | None,
                typer.Option(help=helps[field.name], show_default=_shown(field.default)),
            ],
        )
        for field in fields(Recipe)
    ]

    @wraps(command)
    def with_recipe(**options):
        given = {name: options.pop(name) for name in names}
        return command(
            **options, recipe={name: value for name, value in given.items() if value is not None}
        )

    places = [option.replace(kind=inspect.Parameter.KEYWORD_ONLY) for option in kept]
    with_recipe.__signature__ = signature.replace(parameters=places + added)
    with_recipe.__annotations__ = {option.name: option.annotation for option in places + added}
    return with_recipe


def make_recipe(base: Recipe, given: dict) -> Recipe:
    """A recipe with what the user has set in place of its own values.

    Whoever sets only `lr` means the pace of the whole training: Muon's rate moves along.
    """
    if "lr" in given and "muon_lr" not in given:
        given = given | {"muon_lr": given["lr"] * base.muon_lr / base.lr}
    return replace(base, **given)


def read_recipe(choices: list[str]) -> Recipe:
    """A recipe from lines such as "lr=0.002" or "flip=true".

    Raises:
        ValueError: for a choice that there is not, or a value that it cannot have.
    """
    return make_recipe(Recipe(), _read_choices(Recipe, choices))


def read_captions(choices: list[str]) -> CaptionStyle:
    """What captions say, from lines such as "color=0".

    Raises:
        ValueError: for a choice that there is not, or a value that it cannot have.
    """
    return CaptionStyle(**_read_choices(CaptionStyle, choices))


def _read_choices(of: type, choices: list[str]) -> dict:
    """Values for fields of a class, each read as its default is."""
    kinds, given = {field.name: type(field.default) for field in fields(of)}, {}
    for choice in choices:
        name, _, value = choice.partition("=")
        kind = kinds.get(name.strip())
        if kind not in (int, float, bool, str):
            names = ", ".join(name for name, kind in kinds.items() if kind is not tuple)
            raise ValueError(f"'{choice}' cannot be chosen; write NAME=VALUE, with one of {names}")
        try:
            read = {"true": True, "false": False}[value.lower()] if kind is bool else kind(value)
        except (KeyError, ValueError):
            raise ValueError(f"{name} cannot be '{value}'") from None
        given[name.strip()] = read
    return given


def _arguments_in(docstring: str) -> dict[str, str]:
    """The texts of the section `Args` of a docstring, by the name of the argument."""
    section = docstring.split("Args:\n")[1].split("Raises:")[0]
    texts = {}
    for entry in re.split(r"\n(?= {8}\w)", "\n" + section.rstrip()):
        names, _, text = " ".join(entry.split()).partition(": ")
        texts |= {name: text for name in names.split(", ") if name}
    return texts


def _without_functions(kind: type) -> type:
    """`str | Callable` as `str`: a function cannot be written on a command line."""
    return str if str in get_args(kind) else kind


def _shown(value: object) -> str:
    """A default as one would type it."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
