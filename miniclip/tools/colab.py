"""A Colab badge for each notebook, and a first cell that fetches the package where it is missing.

Both need the address of the repository, which whoever publishes a copy knows and we do not.
"""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import nbformat

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
BADGE = "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
START, END = (
    "# Where miniclip is missing, as on Colab, this fetches it.",
    "# (End of the fetching.)",
)
# What Colab lacks. The rest, ipywidgets 7.7 included, is left as Colab has it: no restart.
MISSING = ("anywidget", "psygnal", "resvg-py")


def add_colab(address: str, branch: str = "main", folder: Path = NOTEBOOKS) -> list[Path]:
    """Give the notebooks of a folder a badge that opens them in Colab, and let their first cell
    fetch and install the package where it cannot be imported. Saved outputs and the numbers of the
    cells stay; a second call replaces what the first one wrote.

    Args:
        address: of the repository on GitHub, such as "https://github.com/ada/miniclip".
        branch: which of its branches is opened and fetched.
        folder: where the notebooks are.
    Returns:
        the notebooks that were written.
    Raises:
        ValueError: for an address that is not one of GitHub, a name that no branch can have, or a
            folder without notebooks.
    """
    found = re.fullmatch(r"(?:https://github\.com/)?([\w.-]+/[\w.-]+?)(?:\.git)?/?", address)
    if not found:
        raise ValueError(
            f"Colab opens notebooks from GitHub, by an address such as "
            f"https://github.com/ada/miniclip; this is none: '{address}'"
        )
    if not re.fullmatch(r"[\w.][\w./-]*", branch):
        raise ValueError(f"a branch cannot be called '{branch}'")
    paths = sorted(folder.glob("[0-9]*.ipynb"))
    if not paths:
        raise ValueError(f"there are no notebooks in {folder}")
    for path in paths:
        notebook = nbformat.read(path, 4)
        first = next(cell for cell in notebook.cells if cell.cell_type == "code")
        first.source = f"{_fetching(found[1], branch)}\n{_without_fetching(first.source)}"
        title = notebook.cells[0]
        link = f"https://colab.research.google.com/github/{found[1]}/blob/{branch}"
        text = "\n".join(line for line in title.source.split("\n") if not line.startswith(BADGE))
        heading, _, rest = text.partition("\n")
        title.source = f"{heading}\n{BADGE}({link}/notebooks/{path.name})\n{rest}"
        nbformat.write(notebook, path)
    return paths


def _fetching(repository: str, branch: str) -> str:
    """The lines that fetch the package; cells may hold commands for the shell (!) and for pip. The
    folder must not be called miniclip: from the one above, Python would take it for the package."""
    missing = " ".join(f"{name}=={metadata.version(name)}" for name in MISSING)
    place, address = "/content/miniclip-course", f"https://github.com/{repository}"
    return f"""{START}
import importlib.util, sys
if importlib.util.find_spec("miniclip") is None:
    !git clone -q --depth 1 --branch {branch} {address} {place}
    %pip install -q --no-deps -e {place} {missing}
    sys.path.insert(0, "{place}")
{END}"""


def _without_fetching(source: str) -> str:
    if not source.startswith(START):
        return source
    return source.split(f"{END}\n", 1)[1]
