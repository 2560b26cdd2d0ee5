"""Promises of the homework: every solution gets all points, students' versions are made of them,
and the grader survives whatever is handed in."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from miniclip.course.checks import CHECKS, hw6
from miniclip.course.grading import HOMEWORK, grade, student_version, write_students

pytestmark = pytest.mark.slow
SOLUTIONS = sorted((HOMEWORK / "solutions").glob("*.ipynb"))


def read(path):
    return nbformat.read(path, as_version=4)


def marks(cell):
    return cell.metadata.get("nbgrader", {})


# The assignments.


def test_the_assignments_are_there():
    assert [path.name[:4] for path in SOLUTIONS] == [f"hw{number}-" for number in range(1, 7)]
    assert [path.name for path in SOLUTIONS] == [
        path.name for path in sorted(HOMEWORK.glob("*.ipynb"))
    ]


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_students_get_what_the_solution_makes(path, tmp_path):
    """The two never drift apart: write them with `miniclip.course.grading.write_students()`."""
    (tmp_path / "solutions").mkdir()
    shutil.copy(path, tmp_path / "solutions")
    write_students(tmp_path)
    assert (tmp_path / path.name).read_text(encoding="utf-8") == (HOMEWORK / path.name).read_text(
        encoding="utf-8"
    )
    notebook = read(HOMEWORK / path.name)
    for cell in notebook.cells:
        assert (
            "SOLUTION" not in cell.source
            and "HIDDEN" not in cell.source
            and not cell.get("outputs")
        )
        assert (
            not marks(cell).get("solution")
            or "YOUR CODE HERE" in cell.source
            or cell.source == "YOUR ANSWER HERE"
        )


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_an_assignment_is_made_for_a_class(path):
    notebook = read(path)
    text = "\n".join(cell.source for cell in notebook.cells)
    assert (
        sum(marks(cell).get("points", 0) for cell in notebook.cells) == 20
        and text.startswith("# Homework")
        and "Predict first" in text
    )
    ids = [marks(cell)["grade_id"] for cell in notebook.cells if marks(cell)]
    assert len(ids) == len(set(ids)) and all(one.startswith(path.name[:4]) for one in ids)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert (
                len(cell.source.splitlines()) <= 26
                and max(map(len, cell.source.splitlines())) <= 120
            ), cell.source
            assert cell.execution_count and not any(
                output.output_type == "error" or output.get("name") == "stderr"
                for output in cell.outputs
            ), cell.source


def test_every_check_belongs_to_an_assignment_or_a_notebook():
    asked = [*SOLUTIONS, *HOMEWORK.parent.glob("0*.ipynb")]
    text = "\n".join(cell.source for path in asked for cell in read(path).cells)
    assert all(f'check("{name}"' in text for name in CHECKS)


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_a_solution_gets_all_points(path, tmp_path, monkeypatch):
    monkeypatch.setattr(hw6, "SEEDS", 1)  # instead of three, to save a minute
    shutil.copy(path, tmp_path)
    (found,) = grade(tmp_path, tmp_path / "grades.csv", progress=False)
    assert found.wrong == [] and found.total == found.of > 0 and found.total + found.to_read == 20
    assert (tmp_path / "leaderboard.csv").exists() == path.stem.startswith("hw6")


def test_nbgrader_makes_the_same_and_grades_it(tmp_path):
    """generate_assignment gives the students' version, cell by cell; autograde gives a solution
    of part 1 its points, and an empty one none."""
    nbgrader = shutil.which("nbgrader", path=str(Path(sys.executable).parent)) or pytest.skip(
        "nbgrader is not here: pip install -e .[homework]"
    )
    part = read(SOLUTIONS[0])
    part.cells = part.cells[:5]  # up to the first check, so that it is quick
    for name, notebook in (
        ("source", part),
        ("submitted/anna", part),
        ("submitted/bob", student_version(part)),
    ):
        (tmp_path / name / "hw1").mkdir(parents=True)
        nbformat.write(notebook, tmp_path / name / "hw1" / SOLUTIONS[0].name)
    (tmp_path / "nbgrader_config.py").write_text(
        "c = get_config()\nc.CourseDirectory.course_id = 'clip'\n"
    )
    for path in SOLUTIONS[1:]:
        (tmp_path / "source" / path.stem).mkdir()
        shutil.copy(path, tmp_path / "source" / path.stem)

    def run(*arguments):
        path = os.pathsep.join(
            [str(Path(nbgrader).parent), os.environ["PATH"]]
        )  # it calls alembic by its name
        done = subprocess.run(
            [nbgrader, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env=os.environ | {"PATH": path},
        )
        assert done.returncode == 0, done.stderr[-3000:]

    for path in SOLUTIONS[1:]:
        run("generate_assignment", path.stem)
        assert read(tmp_path / "release" / path.stem / path.name) == read(HOMEWORK / path.name)
    run("generate_assignment", "hw1")
    run("autograde", "hw1")
    run("export")
    with open(tmp_path / "grades.csv", encoding="utf-8") as file:
        scores = {
            row["student_id"]: float(row["score"])
            for row in csv.DictReader(file)
            if row["assignment"] == "hw1"
        }
    assert scores == {"anna": 2.0, "bob": 0.0}
