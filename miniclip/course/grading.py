"""Homework for teachers: students' versions are made from the solutions, and a folder of
submissions is graded into a CSV file.

Notebooks carry nbgrader's metadata, so nbgrader can be used as well. A submission runs with the
student's code and the solution's own checks, in a process of its own with a time limit. That
protects the teacher from mistakes, not from malice: submissions are run as they are, so run them
where nothing can be lost. See `notebooks/README.md`.
"""

from __future__ import annotations

import _thread
import copy
import csv
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import nbformat
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
    """Run the code cells in a process of their own. Returns the result of each cell, and what
    happened to the process."""
    code = [
        {
            "cell": number,
            "check": _marks(cell).grade_id if _is_check(cell) else "",
            "source": cell.source,
        }
        for number, cell in enumerate(notebook.cells, 1)
        if cell.cell_type == "code"
    ]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        task, report = Path(place) / "task.json", Path(place) / "report.jsonl"
        task.write_text(json.dumps({"cells": code, "seconds": timeout / 2}), encoding="utf-8")
        report.touch()
        paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {
            "MPLBACKEND": "Agg",
            "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONIOENCODING": "utf-8",
        }
        options = {"start_new_session": True} if os.name == "posix" else {}
        with open(Path(place) / "said.txt", "wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "miniclip.course.grading", str(task), str(report)],
                cwd=place,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                **options,
            )
            try:
                problem = (
                    ""
                    if process.wait(timeout) == 0
                    else f"the process ended with code {process.returncode}"
                )
            except subprocess.TimeoutExpired:
                problem = f"it was stopped after {timeout:g} seconds"
            finally:
                _end(process)
        outcomes = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
    if problem and len(outcomes) < len(code):
        problem += f", in cell {code[len(outcomes)]['cell']}"
    return outcomes, problem


def _end(process: subprocess.Popen) -> None:
    """End a process, and everything it started where the system has process groups."""
    if os.name == "posix":
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.kill()
    process.wait()


@contextmanager
def _limit(seconds: float):
    """Interrupt the main thread after some seconds, as Ctrl-C does. On Windows that waits until a
    call of the operating system returns."""
    # A shell that starts programs in the background makes them ignore Ctrl-C; undo that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(
        seconds,
        (
            partial(os.kill, os.getpid(), signal.SIGINT)
            if os.name == "posix"
            else _thread.interrupt_main
        ),
    )
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def work(task: Path, report: Path) -> None:
    """Run each cell of a submission, and write its result down at once; this is what the process of
    a submission does."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    from miniclip.course.exercises import check

    plan, shell = (
        json.loads(task.read_text(encoding="utf-8")),
        InteractiveShell.instance(colors="NoColor"),
    )
    for cell in plan["cells"]:
        if cell["check"]:
            shell.user_ns["check"] = check  # whatever the student has made of it
        said, error = "", None
        try:
            with capture_output() as captured, _limit(plan["seconds"]):
                outcome = shell.run_cell(cell["source"])
            said, error = captured.stdout, outcome.error_before_exec or outcome.error_in_exec
        except (
            BaseException
        ) as raised:  # SystemExit from a student's code, or the limit between two cells
            error = raised
        with open(report, "a", encoding="utf-8") as file:
            file.write(
                json.dumps(
                    {
                        "cell": cell["cell"],
                        "check": cell["check"],
                        "error": None if error is None else _tell(error, said, plan["seconds"]),
                    }
                )
                + "\n"
            )


def _tell(error: BaseException, said: str, seconds: float) -> str:
    """What went wrong in a cell: the sentence of its check, or the error."""
    sentences = [line for line in said.splitlines() if line.startswith("✗")]
    if isinstance(error, KeyboardInterrupt):
        return f"it was stopped after {seconds:g} seconds"
    if sentences:
        return sentences[-1].removeprefix("✗").strip()
    return (
        "it is not written yet"
        if isinstance(error, NotImplementedError)
        else f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    )


if __name__ == "__main__":
    work(Path(sys.argv[1]), Path(sys.argv[2]))
    sys.stdout.flush()
    os._exit(0)  # threads that never end must not keep the process
