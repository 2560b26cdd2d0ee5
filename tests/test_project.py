"""Promises of the project as a whole: it fits in the head, and what the README says of the files is so."""

import re
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8") if (ROOT / "README.md").exists() else ""
CORE = ("model", "loss", "train", "zeroshot")


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_the_core_fits_in_the_head():
    assert sum(lines(ROOT / "miniclip" / f"{name}.py") for name in CORE) < 900


def test_the_readme_gives_the_true_length_of_every_file():
    table = dict(re.findall(r"^\| \[`([\w/]+\.py)`\]\([^)]*\) \| (\d+) \|", README, flags=re.M))
    assert {name: int(count) for name, count in table.items()} == {
        name: lines(ROOT / "miniclip" / name) for name in table
    }
    modules = {
        path.relative_to(ROOT / "miniclip").as_posix() for path in (ROOT / "miniclip").rglob("*.py")
    }
    assert modules - {"__init__.py", "data/__init__.py"} == set(table)


def test_every_link_of_the_readme_leads_somewhere():
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", README):
        assert (ROOT / target).exists(), target


def test_the_two_commands_are_in_the_readme():
    for command in ("python -m miniclip train", "python -m pytest"):
        assert f"pip install -r requirements.txt && {command}" in README
    assert "pip install -r requirements.txt && python -m pytest" in (ROOT / ".ci/run").read_text()


def test_nothing_but_tensors_is_ever_unpickled():
    """One call reads others' pytorch_model.bin, and what PyTorch lets through there are tensors alone."""
    calls = []
    for path in (ROOT / "miniclip").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(
            r"pickle\.load|allow_pickle=True|import pickle|from pickle import (?!UnpicklingError\n)|from torch import .*\bload\b",
            text,
        ), path
        calls += [(path.name, line.strip()) for line in text.splitlines() if "torch.load" in line]
    assert calls == [
        ("pretrained.py", 'return torch.load(file, map_location="cpu", weights_only=True)')
    ]


def test_what_the_readme_says_of_our_models_is_what_the_notebooks_show():
    """Every number in the last column but one of the table of claims stands in the outputs of the notebook that the row names."""
    rows = re.findall(
        r"^\| (.+?) \| (.+?) \| (.+?) \| \[(0\d)\]\((notebooks/\S+\.ipynb)\) \|$",
        README,
        flags=re.M,
    )
    assert len(rows) >= 10
    for claim, _, ours, _, path in rows:
        notebook = nbformat.read(ROOT / path, as_version=4)
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        shown = " ".join(
            output.get("text", "") + "".join(output.get("data", {}).get("text/html", "")[:4000])
            for output in outputs
        )
        numbers = re.findall(r"\d+(?:[.,]\d+)*", ours)
        assert numbers, claim
        for number in numbers:
            assert re.search(rf"(?<![\d.]){re.escape(number)}(?![\d])", shown), (claim, number)
