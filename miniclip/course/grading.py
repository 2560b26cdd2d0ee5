"""Homework for teachers: students' versions are made from the solutions, and a folder of
submissions is graded into a CSV file.

Notebooks carry nbgrader's metadata, so nbgrader can be used as well. A submission runs with the
student's code and the solution's own checks, in a kernel of its own with a time limit. That
protects the teacher from mistakes, not from malice: submissions are run as they are, so run them
where nothing can be lost. See `notebooks/README.md`.
"""

from __future__ import annotations

import contextlib
import copy
import csv
import hashlib
import os
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

HOMEWORK = Path(__file__).parents[2] / "notebooks" / "homework"
STUBS = {
    "code": ["# YOUR CODE HERE", "raise NotImplementedError()"],
    "markdown": ["YOUR ANSWER HERE"],
}


def _marks(cell: NotebookNode) -> NotebookNode:
    """nbgrader's metadata of a cell: grade_id, points, and whether it is a solution, graded, or
    locked."""
    return cell.metadata.get(
        "nbgrader", NotebookNode(grade=False, solution=False, locked=False, grade_id="")
    )


def _is_check(cell: NotebookNode) -> bool:
    """Whether a cell gives points automatically."""
    return cell.cell_type == "code" and _marks(cell).grade and not _marks(cell).solution


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
        marks = _marks(cell)
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
    marks = _marks(cell)
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


@dataclass
class Grade:
    """A graded submission: the student, the assignment, the points of each check, the points that a
    reader has to give, and sentences about what went wrong."""

    name: str
    assignment: str = ""
    points: dict[str, float] = field(default_factory=dict)
    of: float = 0.0
    to_read: float = 0.0
    wrong: list[str] = field(default_factory=list)

    @property
    def total(self) -> float:
        """The sum of the points that the checks gave."""
        return sum(self.points.values())


def grade(
    folder: str | Path,
    out: str | Path | None = None,
    timeout: float = 600.0,
    solutions: str | Path | None = None,
    progress: bool = True,
) -> list[Grade]:
    """Grade a folder of submissions. A submission that is broken, never ends or crashes does not
    stop the others.

    Args:
        folder: holds notebooks, or a folder of notebooks for each student.
        out: CSV file to write, with a row for each submission and a column for each check.
        timeout: seconds for a whole submission; a single cell may take half of it.
        solutions: folder of the assignments with their solutions; by default those of this project.
        progress: print a line for each submission.
    Returns:
        a `Grade` for each submission, ordered by name.
    Raises:
        FileNotFoundError: if the folder, notebooks in it, or a solution is missing.
    """
    folder, solutions = Path(folder), Path(solutions or HOMEWORK / "solutions")
    found = sorted(
        path for path in folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts
    )
    originals = {
        path.stem: nbformat.read(path, as_version=4) for path in sorted(solutions.glob("*.ipynb"))
    }
    if not found or not originals:
        raise FileNotFoundError(
            f"there are no submissions (*.ipynb) in {folder}"
            if originals
            else f"there are no solutions (*.ipynb) in {solutions}; give their folder"
        )
    grades = []
    for path in found:
        name = path.parent.relative_to(folder).as_posix() if path.parent != folder else path.stem
        grades.append(_grade_one(name, path, originals, timeout))
        if progress:
            print(
                f"{name}: {grades[-1].assignment or 'no assignment'}, {grades[-1].total:g} of"
                f" {grades[-1].of:g}",
                *grades[-1].wrong[:1],
                sep="; ",
            )
    if out is not None:
        write_csv(grades, out)
    return grades


def write_csv(grades: list[Grade], out: str | Path) -> None:
    """Write a row for each submission: name, assignment, total, of, to_read, a column for each
    check, and what went wrong."""
    checks = sorted({check for one in grades for check in one.points})
    with open(out, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["name", "assignment", "total", "of", "to_read", *checks, "what went wrong"])
        for one in grades:
            table.writerow(
                [
                    one.name,
                    one.assignment,
                    one.total,
                    one.of,
                    one.to_read,
                    *(one.points.get(check, "") for check in checks),
                    " | ".join(one.wrong),
                ]
            )


def _grade_one(name: str, path: Path, originals: dict[str, NotebookNode], timeout: float) -> Grade:
    try:
        submission = nbformat.read(path, as_version=4)
        ids = {_marks(cell).grade_id for cell in submission.cells}
    except Exception as error:  # whatever a broken file makes nbformat raise
        return Grade(
            name,
            wrong=[
                f"{path.name} cannot be read as a notebook: {' '.join(str(error).split())[:150]}"
            ],
        )
    shared = {
        key: len(ids & {_marks(cell).grade_id for cell in original.cells} - {""})
        for key, original in originals.items()
    }
    assignment = max(shared, key=shared.get)
    if not shared[assignment]:
        return Grade(
            name,
            wrong=[
                f"{path.name} has no cell of any assignment ({', '.join(originals)}); was it made"
                " from the students' version?"
            ],
        )
    cells = [_marks(cell) for cell in originals[assignment].cells]
    checks = {
        _marks(cell).grade_id: float(_marks(cell).points)
        for cell in originals[assignment].cells
        if _is_check(cell)
    }
    result = Grade(
        name,
        assignment,
        dict.fromkeys(checks, 0.0),
        sum(checks.values()),
        sum(float(marks.points) for marks in cells if marks.grade and marks.solution),
    )
    outcomes, problem = _run(merged(submission, originals[assignment]), timeout)
    for outcome in outcomes:
        if outcome["check"] and outcome["error"] is None:
            result.points[outcome["check"]] = checks[outcome["check"]]
        elif outcome["error"] is not None:
            result.wrong.append(
                f"{outcome['check'] or 'cell ' + str(outcome['cell'])}: {outcome['error']}"
            )
    result.wrong += [problem] * bool(problem)
    return result


def merged(submission: NotebookNode, original: NotebookNode) -> NotebookNode:
    """A submission with the checks of the original: changed checks are restored, and missing ones
    are appended at the end."""
    notebook, checks = (
        copy.deepcopy(submission),
        {_marks(cell).grade_id: cell for cell in original.cells if _is_check(cell)},
    )
    cells, done = [], set()
    for cell in notebook.cells:
        key = _marks(cell).grade_id
        if key in checks and key not in done:
            cells.append(copy.deepcopy(checks[key]))
            done.add(key)
        elif key not in checks:
            cells.append(cell)
    notebook.cells = cells + [
        copy.deepcopy(cell) for key, cell in checks.items() if key not in done
    ]
    return notebook


def _run(notebook: NotebookNode, timeout: float) -> tuple[list[dict], str]:
    """Run the code cells in a kernel of their own, in an empty folder.

    Args:
        notebook: a submission with the checks of the original.
        timeout: seconds for all cells together; a single cell may take half of it.
    Returns:
        for each cell that was run: its number, the name of its check ("" for other cells), and a
        sentence about what went wrong or None;
        a sentence about what ended the run early, or "".
    """
    paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join(paths)}
    code = [
        (number, cell) for number, cell in enumerate(notebook.cells, 1) if cell.cell_type == "code"
    ]
    outcomes, deadline = [], time.monotonic() + timeout
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        client = NotebookClient(
            notebook,
            kernel_name="python3",
            resources={"metadata": {"path": place}},
            allow_errors=True,  # else an error makes the kernel drop the cells that wait behind it
        )
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with client.setup_kernel(env=environment, **quiet):
            for number, cell in code:
                name = _marks(cell).grade_id if _is_check(cell) else ""
                seconds = min(timeout / 2, deadline - time.monotonic())
                if seconds < 1:
                    return outcomes, f"it was stopped after {timeout:g} seconds, in cell {number}"
                if name:  # whatever the student has made of the name `check`
                    cell.source = f"from miniclip import check\n{cell.source}"
                try:
                    error = _run_cell(client, cell, number, seconds)
                except DeadKernelError:
                    return outcomes, f"its kernel died in cell {number}"
                outcomes.append({"cell": number, "check": name, "error": error})
    return outcomes, ""


def _run_cell(
    client: NotebookClient, cell: NotebookNode, number: int, seconds: float
) -> str | None:
    """Run one cell, and interrupt it if it takes too long.

    Args:
        client: runs the notebook.
        cell: one of its code cells.
        number: the cell's number, from 1.
        seconds: how long it may take; nbclient counts whole seconds.
    Returns:
        a sentence about what went wrong, or None.
    Raises:
        DeadKernelError: if the kernel ended, by a crash or by the student's code.
    """
    client.timeout = int(seconds)
    replies = []
    client.on_cell_executed = lambda execute_reply, **_: replies.append(execute_reply["content"])
    try:
        client.execute_cell(cell, number - 1)
    except CellTimeoutError:
        run_sync(client.km.interrupt_kernel)()
        with contextlib.suppress(RuntimeError):  # a cell that catches the interrupt goes on
            run_sync(client.kc.wait_for_ready)(timeout=2)  # and what it still says is thrown away
        return f"it was stopped after {int(seconds)} seconds"
    if not replies or replies[0]["status"] == "ok":  # an empty cell is not run, and has no reply
        return None
    return _tell(replies[0], cell)


def _tell(reply: dict, cell: NotebookNode) -> str:
    """What went wrong in a cell: the sentence of its check, or the error of the kernel's reply."""
    said = "".join(output.text for output in cell.outputs if output.get("name") == "stdout")
    sentences = [line for line in said.splitlines() if line.startswith("✗")]
    if sentences:
        return sentences[-1].removeprefix("✗").strip()
    if reply["status"] != "error":
        return "it did not run"
    if reply["ename"] == "NotImplementedError":
        return "it is not written yet"
    return f"{reply['ename']}: {' '.join(reply['evalue'].split())[:200]}"
