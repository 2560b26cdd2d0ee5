"""Promises of the notebooks, beside that each gives today what it shows (`plugin.py` runs them
all): short cells, honest figures, and that a changed result fails."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from safetensors.torch import save_file

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("0*.ipynb"))
LIVE = {
    "nbval-ignore-output",
    "live-training",
}  # what a training of some seconds gives differs between kinds of CPU


def read(path):
    return nbformat.read(path, as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_the_notebooks_are_there():
    assert [path.name[:2] for path in NOTEBOOKS] == [
        f"{number:02d}" for number in range(1, len(NOTEBOOKS) + 1)
    ] and len(NOTEBOOKS) >= 4


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_made_for_a_class(path):
    notebook = read(path)
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert 12 <= len(code(notebook)) <= 30
    assert (
        "By the end you can" in prose
        and "## Summary" in prose
        and "## Exercises" in prose
        and prose.count("Predict first") >= 4
    )
    for cell in code(notebook):
        assert len(cell.source.splitlines()) <= 26, cell.source  # fits on a projector
        assert max(map(len, cell.source.splitlines())) <= 120, cell.source
        assert cell.execution_count, f"not run: {cell.source}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_figure_has_words_for_those_who_cannot_see_it(path):
    pages = [
        output.data["text/html"]
        for cell in code(read(path))
        for output in cell.outputs
        if "text/html" in output.get("data", {})
    ]
    images = [tag for page in pages for tag in re.findall(r"<img[^>]*>", page)]
    assert images
    for tag in images:
        assert len(re.search(r'alt="([^"]*)"', tag)[1]) > 20


def names(cell, kind):
    """The variables that a cell loads or stores."""
    tree = ast.parse(
        "\n".join(line for line in cell.source.splitlines() if not line.startswith("%"))
    )
    return {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, kind)
    }


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_whole_and_only_trainings_are_exempt_from_comparison(path):
    """An exempt cell trains, or uses what an exempt cell before it made; no other cell is."""
    made = set()
    for cell in code(read(path)):
        assert not any(
            output.output_type == "error"
            or output.get("name") == "stderr"
            and "Warning" in output.text
            for output in cell.outputs
        ), cell.source
        tags = set(cell.metadata.get("tags", []))
        assert tags in (set(), LIVE)
        if tags:
            assert (
                re.search(r"\b(train|fine_tune)\(|\.backward\(\)|\blab\.step\(", cell.source)
                or names(cell, ast.Load) & made
            ), cell.source
            made |= names(cell, ast.Store)
    assert sum(bool(cell.metadata.get("tags")) for cell in code(read(path))) <= 5


@pytest.mark.slow
def test_notebook_09_runs_with_other_weights_too(tmp_path, monkeypatch):
    """In the form with a second model: random weights in OpenAI's layout and with its vocabulary,
    small ones."""
    open_clip = pytest.importorskip(
        "open_clip", reason="its wheel has OpenAI's vocabulary: pip install -e .[bench]"
    )
    vision = {"image_size": 64, "patch_size": 16, "width": 64, "layers": 2, "head_width": 32}
    random = open_clip.CLIP(
        32,
        vision,
        {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2},
        quick_gelu=True,
    )
    save_file(
        {name: tensor.contiguous() for name, tensor in random.state_dict().items()},
        tmp_path / "model.safetensors",
    )
    shutil.copy(Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz", tmp_path)
    monkeypatch.setenv("MINICLIP_REAL", str(tmp_path))
    notebook = read(ROOT / "notebooks" / "09-the-real-clip.ipynb")
    fewer = {"n=80,": "n=10,", "written(80,": "written(10,"}
    fewer |= {'"unseen"), 200,': '"unseen"), 20,', "world, 100, size": "world, 10, size"}
    fewer |= {"data.album(224)": "data.album(64)", "picturebook(60,": "picturebook(12,"}
    for many, few in fewer.items():  # what it prints is looked at for its form alone
        (cell,) = [cell for cell in code(notebook) if many in cell.source]
        cell.source = cell.source.replace(many, few)
    NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(ROOT / "notebooks")}}
    ).execute()
    said = "".join(output.get("text", "") for cell in code(notebook) for output in cell.outputs)
    assert "The released model is not here" not in said
    both = [line for line in said.splitlines() if "ours" in line and tmp_path.name[:15] in line]
    assert len(both) == 9  # ours and the other one, for each of the nine tasks


@pytest.mark.slow
def test_a_changed_result_fails_with_one_line(tmp_path):
    """A notebook passes; the same with a digit of an output changed, a word of what a figure
    shows, or an error, does not."""
    cells = {"print('lengths: 1.0')": nbformat.v4.new_output("stream", text="lengths: 1.0\n")}
    html = '<img alt="6 pictures of dogs" src="data:image/png;base64,AAAA">'
    cells[f"from IPython.display import HTML, display\ndisplay(HTML({html!r}))"] = (
        nbformat.v4.new_output(
            "display_data",
            {
                "text/html": html.replace("AAAA", "BBBB"),
                "text/plain": "<IPython.core.display.HTML object>",
            },
        )
    )
    whole = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell(source, execution_count=1, outputs=[output])
            for source, output in cells.items()
        ]
    )

    def save(name, old="", new=""):
        (tmp_path / f"{name}.ipynb").write_text(
            nbformat.writes(whole).replace(old, new) if old else nbformat.writes(whole)
        )

    save("whole")
    save("number", '"lengths: 1.0', '"lengths: 0.8')
    save("figure", '"<img alt=\\"6 pictures', '"<img alt=\\"7 pictures')
    save("error", '"print(', '"1 / 0, print(')
    options = [
        "-p",
        "plugin",
        "-p",
        "no:cacheprovider",
        "-q",
        "-rN",
        "--tb=no",
        "--rootdir",
        str(tmp_path),
        "-c",
        os.devnull,
        str(tmp_path),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "tests")},
    )
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert done.returncode == 1 and "\x1b[" not in done.stdout and len(failed) == 3, done.stdout
    error, figure, number = failed
    assert (
        error == "FAILED error.ipynb::Cell 0 - error.ipynb, code cell 0: "
        "ZeroDivisionError: division by zero"
    )
    assert figure.startswith(
        "FAILED figure.ipynb::Cell 1 - figure.ipynb, code cell 1: "
        "line 1: 6 is more than 0 from 7; expected"
    )
    assert number.startswith(
        "FAILED number.ipynb::Cell 0 - number.ipynb, code cell 0: "
        "line 1: 1.0 is more than 0.1 from 0.8; expected"
    )
