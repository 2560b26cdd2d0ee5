"""Promises of the homework: every solution gets all points, students' versions are made of them,
and the grader survives whatever is handed in."""

import copy
import csv
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from miniclip.course.checks import CHECKS
from miniclip.course.grading import HOMEWORK, grade, merged, student_version, write_students

pytestmark = pytest.mark.slow
SOLUTIONS = sorted((HOMEWORK / "solutions").glob("*.ipynb"))


def seconds_to_import():
    """How long a kernel takes until a submission can begin: two seconds, or eight on a machine
    that is slow and busy."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import miniclip"], check=True)
    return time.perf_counter() - start


@pytest.fixture(scope="module")
def limit():
    """Seconds for a whole submission in these tests. Half of it may go into one endless cell; the
    rest has to be enough for importing the package, starting a kernel and the other cells."""
    return float(max(16, round(8 * seconds_to_import())))


def read(path):
    return nbformat.read(path, as_version=4)


def marks(cell):
    return cell.metadata.get("nbgrader", {})


# The assignments.


def test_the_assignments_are_there():
    assert [path.name[:4] for path in SOLUTIONS] == ["hw1-", "hw2-", "hw3-", "hw4-"]
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


def test_every_check_belongs_to_an_assignment():
    text = "\n".join(cell.source for path in SOLUTIONS for cell in read(path).cells)
    assert all(f'check("{name}"' in text for name in CHECKS)


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_a_solution_gets_all_points(path, tmp_path):
    shutil.copy(path, tmp_path)
    (found,) = grade(tmp_path, progress=False)
    assert found.wrong == [] and found.total == found.of > 0 and found.total + found.to_read == 20


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


# The grader, with a small assignment.


def cell(source, grade_id="", points=None):
    made = new_code_cell(source)
    if grade_id:
        made.metadata["nbgrader"] = {
            "grade": points is not None,
            "solution": points is None,
            "locked": points is not None,
            "grade_id": grade_id,
            "schema_version": 3,
            "task": False,
            **({"points": points} if points else {}),
        }
    return made


WRITTEN = new_markdown_cell(
    "because",
    metadata={
        "nbgrader": {
            "grade": True,
            "solution": True,
            "locked": False,
            "grade_id": "words",
            "schema_version": 3,
            "task": False,
            "points": 1,
        }
    },
)
RIGHT = (
    "def cosines(images, texts):\n    ### BEGIN SOLUTION\n"
    "    images, texts = (x / x.norm(dim=1, keepdim=True) for x in (images, texts))\n"
    "    return images @ texts.T\n    ### END SOLUTION"
)
HIDDEN = (
    "assert secret != 3\n### BEGIN HIDDEN TESTS\n"
    "assert secret == 42, 'another number was hidden'\n### END HIDDEN TESTS"
)
SMALL = new_notebook(
    cells=[
        cell("from miniclip.course.exercises import check\nopen('scratch.txt', 'w').write('x')"),
        cell(RIGHT, "code"),
        cell("assert check('hw1.cosines', cosines)", "cosines", 3),
        cell("### BEGIN SOLUTION\nsecret = 42\n### END SOLUTION", "more"),
        cell(HIDDEN, "secret", 2),
        WRITTEN,
    ]
)


def submission(**changes):
    """The solved assignment with some cells changed, by number."""
    notebook = copy.deepcopy(student_version(SMALL))
    for number, made in enumerate(SMALL.cells):
        notebook.cells[number].source = changes.get(
            f"cell{number}",
            student_version(SMALL).cells[number].source
            if marks(made).get("grade")
            else made.source,
        )
    return notebook


@pytest.fixture(scope="module")
def graded(tmp_path_factory, limit):
    place = tmp_path_factory.mktemp("class")
    (place / "solutions").mkdir()
    nbformat.write(SMALL, place / "solutions" / "small.ipynb")
    gone = submission()
    del gone.cells[2]
    gone.cells.insert(1, cell(" "))  # an empty cell is no mistake
    handed_in = {
        "good": submission(),
        "bad": submission(
            cell1="def cosines(images, texts):\n    return images @ texts.T", cell3="secret = 41"
        ),
        "empty": student_version(SMALL),
        "looping": submission(cell1=f"{RIGHT}\nwhile True:\n    pass"),
        "crashing": submission(cell3="import os\nos._exit(3)"),
        # Two mistakes each, since a kernel takes seconds to start.
        "leaving, then sleeping": submission(
            cell0="from miniclip.course.exercises import check\nimport sys\nsys.exit()",
            cell3="secret = 42\nimport time\ntime.sleep(1000)",
        ),
        "asking, then bad syntax": submission(
            cell0="from miniclip.course.exercises import check\ninput('name?')",
            cell3="secret = = 42",
        ),
        "cheating": submission(
            cell1="check = lambda *a: True\ncosines = 3",
            cell2="pass",
            cell3="secret = 4",
            cell4="pass",
        ),
        "gone": gone,
        "other": new_notebook(cells=[cell("1 + 1")]),
    }
    for name, notebook in handed_in.items():
        (place / "handed in" / name).mkdir(parents=True)
        nbformat.write(notebook, place / "handed in" / name / "small.ipynb")
    (place / "handed in" / "broken.ipynb").write_text('{"cells": [', encoding="utf-8")
    start = time.perf_counter()
    grades = grade(
        place / "handed in",
        place / "grades.csv",
        timeout=limit,
        solutions=place / "solutions",
        progress=False,
    )
    assert time.perf_counter() - start < limit * len(handed_in)
    return {one.name: one for one in grades}, place


@pytest.mark.parametrize(
    "name, cosines, secret, words",
    [
        ("good", 3, 2, ""),
        ("bad", 0, 0, "Lengths have to go before the product"),
        ("bad", 0, 0, "another number was hidden"),
        ("empty", 0, 0, "not written yet"),
        ("looping", 3, 2, "was stopped after"),
        ("crashing", 3, 0, "its kernel died in cell 4"),
        ("leaving, then sleeping", 3, 2, "SystemExit"),
        ("leaving, then sleeping", 3, 2, "was stopped after"),
        ("cheating", 0, 0, "the function itself"),
        ("cheating", 0, 0, "another number was hidden"),
        ("gone", 3, 2, ""),
        ("asking, then bad syntax", 3, 0, "raw_input|StdinNotImplemented|EOFError"),
        ("asking, then bad syntax", 3, 0, "SyntaxError"),
    ],
)
def test_a_submission_gets_its_points_and_a_sentence(graded, name, cosines, secret, words):
    found = graded[0][name]
    assert (found.assignment, found.points, found.total, found.of, found.to_read) == (
        "small",
        {"cosines": cosines, "secret": secret},
        cosines + secret,
        5,
        1,
    )
    assert any(word in " | ".join(found.wrong) for word in words.split("|")) and (
        words or not found.wrong
    ), found.wrong


def test_an_endless_cell_gets_half_of_the_time(graded, limit):
    said = f"was stopped after {int(limit / 2)} seconds"
    assert any(said in sentence for sentence in graded[0]["looping"].wrong)


def test_what_is_no_submission_is_told(graded):
    assert (
        "cannot be read as a notebook" in graded[0]["broken"].wrong[0]
        and "no cell of any assignment (small)" in graded[0]["other"].wrong[0]
    )


def test_the_table_has_a_row_for_everyone(graded):
    with open(graded[1] / "grades.csv", newline="", encoding="utf-8") as file:
        table = {row["name"]: row for row in csv.DictReader(file)}
    assert table.keys() == graded[0].keys() and len(table) == 11
    assert (
        table["good"]["total"] == "5.0"
        and table["bad"]["cosines"] == "0.0"
        and table["broken"]["cosines"] == ""
        and "Lengths" in table["bad"]["what went wrong"]
    )


def test_nothing_is_left_beside_the_submissions(graded):
    assert not list(graded[1].rglob("scratch.txt"))


def test_the_checks_are_those_of_the_original_in_their_places():
    found = merged(submission(cell2="pass"), SMALL)
    assert (
        [one.source for one in found.cells][2] == SMALL.cells[2].source
        and "HIDDEN" in found.cells[4].source
        and len(found.cells) == 6
    )


def test_no_submission_and_an_endless_solution_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there are no submissions"):
        grade(tmp_path)
    with pytest.raises(ValueError, match="BEGIN SOLUTION and none with END SOLUTION"):
        student_version(new_notebook(cells=[cell("### BEGIN SOLUTION\n1", "code")]))
