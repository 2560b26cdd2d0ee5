"""Promises of the project as a whole: style, rooms, and that what the README says is so."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = ROOT / "notebooks" / "README.md"
MODULES = sorted((ROOT / "miniclip").rglob("*.py"))
# Who may use whom: each room uses itself and the rooms before it.
ROOMS = ("", "data", "training", "evaluation", "course", "tools")
# Asked for by its user, when it is asked for: `history.plot()` needs matplotlib.
ALLOWED = {("training.history", "course.plots")}


def name_of(path):
    """The dotted name below miniclip; empty for the package itself."""
    parts = path.relative_to(ROOT / "miniclip").with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def room_of(name):
    first = name.partition(".")[0]
    return first if first in ROOMS else ""


def imported(path, lazy):
    """The modules of miniclip that a file imports, within functions as well if `lazy`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {name_of(module) for module in MODULES}
    for node in ast.walk(tree) if lazy else tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("miniclip"):
            base = node.module.removeprefix("miniclip").lstrip(".")
            for alias in node.names:
                full = f"{base}.{alias.name}".lstrip(".")
                yield full if full in names else base


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=["check", "format"])
def test_ruff_is_content(command):
    """100 columns, complexity of 12 at most, nothing unused: the rules are in pyproject.toml."""
    ruff = [sys.executable, "-m", "ruff", *command, "miniclip", "tests"]
    done = subprocess.run(ruff, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", MODULES, ids=lambda path: name_of(path) or "miniclip")
def test_a_module_says_what_it_is_for_and_uses_the_rooms_before_its_own(path):
    name = name_of(path)
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if name in ("", "__main__"):  # they put all together
        return
    for other in imported(path, lazy=True):
        if (name, other) not in ALLOWED:
            assert ROOMS.index(room_of(other)) <= ROOMS.index(room_of(name)), f"{name} uses {other}"


def test_no_module_needs_itself():
    """Following the imports from a module never leads back to it."""
    uses = {name_of(path): set(imported(path, lazy=False)) - {""} for path in MODULES}
    packages = {name_of(path) for path in MODULES if path.name == "__init__.py"}
    uses = {name: others for name, others in uses.items() if name not in packages}
    left = dict(uses)
    while left:
        free = [name for name, others in left.items() if not (others - packages) & left.keys()]
        assert free, f"a circle among {sorted(left)}"
        for name in free:
            del left[name]


def test_no_function_hides_a_module_of_the_same_name():
    for path in MODULES:
        name = f"miniclip.{name_of(path)}".rstrip(".")
        if name.endswith("__main__"):
            continue
        assert importlib.import_module(name) is sys.modules[name]
        package, _, last = name.rpartition(".")
        if package:
            assert getattr(importlib.import_module(package), last) is sys.modules[name], name


def test_every_link_leads_somewhere():
    for page in (ROOT / "README.md", GUIDE, *(ROOT / "datasets").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), (page.name, target)


def test_the_two_commands_are_in_the_readme():
    for command in ("python -m miniclip train", "python -m pytest"):
        assert f"pip install -r requirements.txt && {command}" in README
    ci = (ROOT / ".ci/run").read_text()
    assert "pip install -r requirements.txt && python -m pytest" in ci


def test_the_readme_is_short():
    """At most two screens of 45 lines before the first link to more."""
    before = README[: README.index("## More")]
    assert len(before.splitlines()) <= 90


def test_nothing_but_tensors_is_ever_unpickled():
    """One call reads others' pytorch_model.bin, one what a student's process sends to the grader;
    what PyTorch lets through there are tensors and plain values alone."""
    calls = []
    forbidden = (
        r"pickle\.load|allow_pickle=True|import pickle|from pickle import (?!UnpicklingError\n)"
        r"|from torch import .*\bload\b"
    )
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        assert not re.search(forbidden, text), path
        lines = (line.strip() for line in text.splitlines() if "torch.load" in line)
        calls += [(path.name, line) for line in lines]
    assert sorted(calls) == [
        ("pretrained.py", 'return torch.load(file, map_location="cpu", weights_only=True)'),
        ("values.py", "return torch.load(io.BytesIO(data), weights_only=True)"),
    ]


def test_what_the_guide_says_of_our_models_is_what_the_notebooks_show():
    """Every number of ours in the table of claims stands in the outputs of the row's notebook."""
    row = r"^\| (.+?) \| (.+?) \| (.+?) \| (.+?) \| \[0\d\]\((\S+\.ipynb)\) \|$"
    rows = re.findall(row, GUIDE.read_text(encoding="utf-8"), flags=re.M)
    assert len(rows) >= 10
    for claim, _, ours, _, path in rows:
        notebook = nbformat.read(GUIDE.parent / path, as_version=4)
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        shown = " ".join(
            output.get("text", "") + "".join(output.get("data", {}).get("text/html", "")[:4000])
            for output in outputs
        )
        numbers = re.findall(r"\d+(?:[.,]\d+)*", ours)
        assert numbers, claim
        for number in numbers:
            assert re.search(rf"(?<![\d.]){re.escape(number)}(?![\d])", shown), (claim, number)
