"""Promises of `python -m miniclip colab`: a badge, and a first cell that fetches the package."""

import importlib.util
import shutil
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

from miniclip.tools.colab import BADGE, add_colab

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
ADDRESS = "https://github.com/ada/my.clip"


@pytest.fixture
def folder(tmp_path):
    for path in NOTEBOOKS.glob("[0-9]*.ipynb"):
        shutil.copy(path, tmp_path)
    return tmp_path


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_each_notebook_gets_a_badge_and_keeps_all_else(folder):
    paths = add_colab(ADDRESS, "autumn", folder)
    assert [path.name for path in paths] == sorted(path.name for path in folder.glob("*.ipynb"))
    for path in paths:
        new, old = (nbformat.read(place / path.name, 4) for place in (folder, NOTEBOOKS))
        heading, badge = new.cells[0].source.split("\n")[:2]
        assert heading == old.cells[0].source.split("\n")[0] and badge.startswith(BADGE)
        assert badge.endswith(f"/github/ada/my.clip/blob/autumn/notebooks/{path.name})")
        assert code(new)[0].source.endswith(code(old)[0].source)
        assert [cell.outputs for cell in code(new)] == [cell.outputs for cell in code(old)]
        assert [cell.source for cell in code(new)[1:]] == [cell.source for cell in code(old)[1:]]
        nbformat.validate(new)


def test_a_second_call_replaces_what_the_first_one_wrote(folder):
    add_colab("https://github.com/someone/else.git", "old", folder)
    (path, *_) = add_colab("ada/my.clip", "main", folder)
    twice = path.read_text()
    add_colab(ADDRESS, "main", folder)
    assert path.read_text() == twice and twice.count("colab-badge") == 1
    assert "someone" not in twice and twice.count("git clone") == 1


@pytest.mark.parametrize("installed", [True, False])
def test_the_first_cell_fetches_only_what_is_missing(folder, installed, monkeypatch):
    (path, *_) = add_colab(ADDRESS, "autumn", folder)
    source = code(nbformat.read(path, 4))[0].source.split("# (End")[0]
    ran = []

    class Shell:
        def system(self, line):
            ran.append(line)

        def run_line_magic(self, name, line):
            ran.append(f"{name} {line}")

    found = importlib.util.find_spec("miniclip") if installed else None
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
    monkeypatch.setattr("sys.path", [])
    exec(TransformerManager().transform_cell(source), {"get_ipython": Shell})
    if installed:
        assert ran == []
        return
    clone, install = ran
    assert clone.endswith("--branch autumn https://github.com/ada/my.clip /content/miniclip-course")
    assert install.startswith("pip install -q --no-deps -e /content/miniclip-course anywidget==")
    place = clone.split()[-1].rpartition("/")[2]
    assert not place.isidentifier()  # else it would be found in the place of the package
    assert "ipywidgets" not in install and "torch" not in install  # Colab's own are kept


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (("https://example.org/ada/clip",), "Colab opens notebooks from GitHub"),
        (("ada/clip; rm -rf /",), "this is none: 'ada/clip; rm -rf /'"),
        ((ADDRESS, "main; ls"), "a branch cannot be called 'main; ls'"),
        ((ADDRESS, "--upload-pack=ls"), "a branch cannot be called"),
    ],
)
def test_what_is_no_address_or_branch_gets_a_sentence(folder, arguments, sentence):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ValueError, match=sentence.replace("(", r"\(")):
        add_colab(*arguments, folder=folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_without_notebooks_gets_a_sentence(tmp_path):
    with pytest.raises(ValueError, match="there are no notebooks in"):
        add_colab(ADDRESS, folder=tmp_path)
