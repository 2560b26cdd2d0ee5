"""Assignments as notebooks with nbgrader's metadata: students' versions are made from the
solutions."""

from __future__ import annotations

import copy
import hashlib
import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

HOMEWORK = Path(__file__).parents[3] / "notebooks" / "homework"
STUBS = {
    "code": ["# YOUR CODE HERE", "raise NotImplementedError()"],
    "markdown": ["YOUR ANSWER HERE"],
}


def marks_of(cell: NotebookNode) -> NotebookNode:
    """nbgrader's metadata of a cell: grade_id, points, and whether it is a solution, graded, or
    locked."""
    return cell.metadata.get(
        "nbgrader", NotebookNode(grade=False, solution=False, locked=False, grade_id="")
    )


def is_check(cell: NotebookNode) -> bool:
    """Whether a cell gives points automatically."""
    return cell.cell_type == "code" and marks_of(cell).grade and not marks_of(cell).solution


def _without(source: str, what: str, stub: list[str]) -> str:
    """Replace each region of a source between `BEGIN what` and `END what` by the stub, with the
    same indentation."""
    lines, inside = [], False
    for line in source.split("\n"):
        if f"BEGIN {what}" in line:
            inside = True
            lines += [re.match(r"\s*", line)[0] + one for one in stub]
        elif f"END {what}" in line:
            inside = False
        elif not inside:
            lines.append(line)
    if inside:
        raise ValueError(f"a cell has a line with BEGIN {what} and none with END {what} behind it")
    return "\n".join(lines)


def student_version(solution: NotebookNode) -> NotebookNode:
    """The students' version of a solution: without solutions, hidden tests and outputs, and with
    locked checks, as `nbgrader generate_assignment` makes it.

    Raises:
        ValueError: if a region begins and does not end.
    """
    notebook = copy.deepcopy(solution)
    for cell in notebook.cells:
        marks = marks_of(cell)
        if marks.solution:
            whole = "BEGIN SOLUTION" not in cell.source
            cell.source = (
                "\n".join(STUBS[cell.cell_type])
                if whole
                else _without(cell.source, "SOLUTION", STUBS[cell.cell_type])
            )
        cell.source = _without(cell.source, "HIDDEN TESTS", [])
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            cell.metadata.pop("execution", None)
        if marks.solution or marks.grade or marks.locked:
            cell.metadata["deletable"] = False
            if not marks.solution:
                cell.metadata["editable"] = False
            marks["cell_type"], marks["checksum"] = cell.cell_type, _checksum(cell)
    return notebook


def _checksum(cell: NotebookNode) -> str:
    """The checksum by which nbgrader notices that a cell was changed."""
    marks = marks_of(cell)
    parts = [
        cell.source,
        cell.cell_type,
        marks.grade,
        marks.solution,
        marks.locked,
        marks.grade_id,
    ] + ([float(marks.points)] if marks.grade else [])
    return hashlib.md5("".join(map(str, parts)).encode()).hexdigest()


def write_students(homework: Path = HOMEWORK) -> list[Path]:
    """Write the students' version of each notebook in `solutions` beside that folder, and return
    their paths."""
    written = []
    for path in sorted((homework / "solutions").glob("*.ipynb")):
        nbformat.write(student_version(nbformat.read(path, as_version=4)), homework / path.name)
        written.append(homework / path.name)
    return written
