"""The command line: `python -m miniclip --help`.

`options.py` holds the options that commands share, `report.py` the tables and figures they end
with; the commands themselves are in `training.py`, `data.py` and `measuring.py`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from miniclip.tools.cli import data, measuring, training
from miniclip.tools.cli.options import console, notes
from miniclip.tools.cli.report import models_tables

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train, question and look at a small CLIP.",
)


def grade(
    folder: Annotated[
        Path, typer.Argument(help="Submissions: notebooks, or a folder of them for each student.")
    ],
    out: Annotated[Path, typer.Option(help="CSV to write: a row for each submission.")] = Path(
        "grades.csv"
    ),
    timeout: Annotated[float, typer.Option(min=1, help="Seconds for one submission.")] = 600.0,
    solutions: Annotated[
        Path | None,
        typer.Option(help="Folder of the solutions; by default the homework of this project."),
    ] = None,
    isolate: Annotated[
        bool,
        typer.Option(
            "--isolate",
            help="Run students' code in a sandbox without a network, which sees neither solutions "
            "nor other submissions (Linux, with bubblewrap).",
        ),
    ] = False,
    memory: Annotated[
        float,
        typer.Option(min=1, help="Gigabytes that a student's process may use (on Linux)."),
    ] = 6.0,
) -> None:
    """Grade a folder of homework. It runs what students wrote, in a process for each submission:
    isolate it, or do it where nothing can be lost."""
    from miniclip.course.grading import grade as grade_all

    grades = grade_all(folder, out, timeout, solutions, isolate=isolate, memory=memory)
    board = out.with_name("leaderboard.csv")
    told = f", the speed run's leaderboard in {board}" * any(one.record for one in grades)
    console.print(
        f"{len(grades)} submissions; their points are in {out}{told}",
        markup=False,
        highlight=False,
    )


def models() -> None:
    """List the models that `miniclip.load` knows by name: those that ship, and others to fetch."""
    console.print(*models_tables())
    console.print(
        'In Python: miniclip.load("tinyclip"). All but the first two are fetched from the Hugging '
        "Face hub once; ImageNet is their published zero-shot accuracy there.",
        markup=False,
        highlight=False,
    )


def lab() -> None:
    """Open the notebooks in JupyterLab."""
    notebooks = Path(__file__).parents[3] / "notebooks"
    raise typer.Exit(subprocess.call([sys.executable, "-m", "jupyterlab", str(notebooks)]))


def colab(
    address: Annotated[
        str, typer.Argument(help="Your copy on GitHub, such as https://github.com/ada/miniclip.")
    ],
    branch: Annotated[str, typer.Option(help="The branch to open and to fetch.")] = "main",
) -> None:
    """Give the notebooks a badge that opens them in Colab, and a first cell that fetches the
    package where it is missing. For whoever publishes a copy: run it once, then commit and push."""
    from miniclip.tools.colab import add_colab

    paths = add_colab(address, branch)
    console.print(
        f"{len(paths)} notebooks have a badge for {address}; commit and push them",
        markup=False,
        highlight=False,
    )


for command in (
    training.train,
    training.evaluate,
    training.export,
    measuring.bench,
    measuring.study,
    grade,
    models,
    measuring.doctor,
    lab,
    colab,
):
    app.command()(command)
app.add_typer(data.app, name="data")


def main() -> None:
    """Run the command line; what is wrong with the input is told in a sentence, without a
    traceback."""
    try:
        app(standalone_mode=True)
    except (ValueError, OSError, FloatingPointError, ModuleNotFoundError) as error:
        notes.print("[bold red]Sorry:[/]", end=" ")
        notes.print(str(error), markup=False, highlight=False)
        raise SystemExit(2) from error
