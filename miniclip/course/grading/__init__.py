"""Homework for teachers: students' versions are made from the solutions, and a folder of
submissions is graded into a CSV file.

Only the cells that students were to write come from a submission; they run in a process of their
own (`student.py`), with a copy of the package that holds neither checks nor solutions. Everything
else is the original, and runs here: what the checks need of the student is fetched as data, and
functions are called over a pipe (`session.py`). What that cannot prevent is in
`notebooks/README.md`.
"""

from __future__ import annotations

import ast
import contextlib
import csv
import io
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

from miniclip.course.checks import cases
from miniclip.course.checks.judging import TooLong
from miniclip.course.grading.notebooks import (
    HOMEWORK,
    is_check,
    marks_of,
    student_version,
    write_students,
)
from miniclip.course.grading.session import (
    MEMORY,
    PACKAGE,
    Ended,
    Session,
    copy_package,
    fingerprint,
)
from miniclip.course.speed_run import SpeedRun

__all__ = [
    "HOMEWORK",
    "Grade",
    "grade",
    "student_version",
    "write_csv",
    "write_leaderboard",
    "write_students",
]


@dataclass
class Grade:
    """A graded submission: the student, the assignment, the points of each check, the points that a
    reader has to give, sentences about what went wrong, and the result of an entry to the speed
    run."""

    name: str
    assignment: str = ""
    points: dict[str, float] = field(default_factory=dict)
    of: float = 0.0
    to_read: float = 0.0
    wrong: list[str] = field(default_factory=list)
    record: SpeedRun | None = None

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
    isolate: bool = False,
    memory: float = MEMORY,
) -> list[Grade]:
    """Grade a folder of submissions. A submission that is broken, never ends or crashes does not
    stop the others.

    Args:
        folder: holds notebooks, or a folder of notebooks for each student.
        out: CSV file to write, with a row for each submission and a column for each check; with
            entries to the speed run, also `leaderboard.csv` beside it.
        timeout: seconds for a whole submission; a single cell may take half of it.
        solutions: folder of the assignments with their solutions; by default those of this project.
        progress: print a line for each submission.
        isolate: run students' code in a sandbox (bubblewrap, on Linux) that has no network, can
            write to nothing but an empty folder, and sees neither solutions, nor checks, nor what
            others have handed in.
        memory: gigabytes that a student's process may use; what needs more fails there. Only
            Linux keeps to it.
    Returns:
        a `Grade` for each submission, ordered by name.
    Raises:
        FileNotFoundError: if the folder, notebooks in it, or a solution is missing.
        RuntimeError: if a submission has changed this package or the solutions.
        OSError: if students' code is to be isolated and cannot be.
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
    grades, before = [], fingerprint(PACKAGE, solutions)
    hidden = [PACKAGE, HOMEWORK, solutions, folder] if isolate else None
    with tempfile.TemporaryDirectory() as place, _secret_cases():
        package = copy_package(Path(place))
        copied = fingerprint(package)
        for path in found:
            name = path.parent.relative_to(folder).as_posix()
            name = path.stem if path.parent == folder else name
            start = partial(Session, package, timeout, memory, hidden)
            grades.append(_grade_one(name, path, originals, start))
            if out is not None:  # what there is so far, whatever comes
                write_csv(grades, out)
            if fingerprint(package) != copied:  # the next one gets a new copy
                copy_package(package)
            if fingerprint(PACKAGE, solutions) != before:
                raise RuntimeError(
                    f"while {name} was graded, files of the package or of the solutions changed;"
                    " install it again before you go on, and look at that submission; the grades up"
                    " to it are kept"
                )
            if progress:
                print(
                    f"{name}: {grades[-1].assignment or 'no assignment'}, {grades[-1].total:g} of"
                    f" {grades[-1].of:g}",
                    *grades[-1].wrong[:1],
                    sep="; ",
                )
    if out is not None:
        write_leaderboard(grades, Path(out).with_name("leaderboard.csv"))
    return grades


@contextlib.contextmanager
def _secret_cases() -> Iterator[None]:
    """Hidden inputs of the checks that nobody can know before."""
    cases.SECRET = secrets.randbits(31) + 1
    try:
        yield
    finally:
        cases.SECRET = 0


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


def write_leaderboard(grades: list[Grade], out: str | Path) -> None:
    """Write the entries to the speed run, the best first, each with the mean of its trainings and
    an interval over their seeds. Without entries nothing is written."""
    entries = [one for one in grades if one.record is not None]
    if not entries:
        return
    with open(out, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["place", "name", "accuracy", "low", "high", "pictures", "operations each"])
        for place, one in enumerate(sorted(entries, key=lambda one: -one.record.accuracy), 1):
            found, (low, high) = one.record, one.record.interval
            shares = [f"{share:.4f}" for share in (found.accuracy, low, high)]
            table.writerow([place, one.name, *shares, found.pictures, round(found.operations)])


def _grade_one(
    name: str,
    path: Path,
    originals: dict[str, NotebookNode],
    start: Callable[[], Session],
) -> Grade:
    """Grade one submission; whatever is wrong with it becomes a sentence."""
    try:
        submission = nbformat.read(path, as_version=4)
        written = {
            marks_of(cell).grade_id: cell.source
            for cell in reversed(submission.cells)  # of two with the same name the first counts
            if cell.cell_type == "code"
        }
        ids = {marks_of(cell).grade_id for cell in submission.cells}
    except Exception as error:  # whatever a broken file makes nbformat raise
        reason = " ".join(str(error).split())[:150]
        return Grade(name, wrong=[f"{path.name} cannot be read as a notebook: {reason}"])
    shared = {
        key: len(ids & {marks_of(cell).grade_id for cell in original.cells} - {""})
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
    original = originals[assignment]
    marks = [marks_of(cell) for cell in original.cells]
    points = {
        marks_of(cell).grade_id: float(marks_of(cell).points)
        for cell in original.cells
        if is_check(cell)
    }
    result = Grade(
        name,
        assignment,
        dict.fromkeys(points, 0.0),
        sum(points.values()),
        sum(float(one.points) for one in marks if one.grade and one.solution),
    )
    try:
        with start() as session, _in_empty_folder():
            run = _Run(original, written, session)
            run.all()
    except Ended as reason:  # before it was ready
        result.wrong.append(f"it could not be graded: {reason}")
        return result
    result.points |= {check: points[check] for check in run.passed}
    result.wrong += run.wrong
    if isinstance(record := run.space.get("record"), SpeedRun):
        result.record = record
    return result


@contextlib.contextmanager
def _in_empty_folder() -> Iterator[None]:
    """Run the originals where they can leave nothing behind."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        os.chdir(place)
        try:
            yield
        finally:
            os.chdir(before)


class _Run:
    """One submission, from the first cell of the assignment to the last.

    Cells that were to be written run in the student's process, checks run here, and all others in
    both, unless the metadata of the original says otherwise: `"miniclip": {"run": "here"}` (or
    "nowhere", for what only shows something), with `"gives": ["path"]` for what the student's
    process is given of it, and `"forbidden": [...]` for names that a solution must not use.

    Args:
        original: the assignment with its solution.
        written: the sources of the submission's cells by grade_id.
        session: the student's process.

    Attributes:
        passed: checks that gave their points.
        wrong: sentences about what went wrong.
    """

    def __init__(self, original: NotebookNode, written: dict[str, str], session: Session):
        self.code = [
            (number, cell)
            for number, cell in enumerate(original.cells, 1)
            if cell.cell_type == "code"
        ]
        self.written, self.session = written, session
        self.space: dict = {"__name__": "__main__"}
        self.passed, self.wrong = [], []
        ours = [cell.source for _, cell in self.code if not self._is_theirs(cell)]
        self.wanted = set().union(*(_names(source, ast.Load) for source in ours))

    @staticmethod
    def _is_theirs(cell: NotebookNode) -> bool:
        """Whether students were to write a cell."""
        return bool(marks_of(cell).solution)

    def all(self) -> None:
        """Run all cells; the end of the student's process ends it."""
        number = 0
        try:
            forbidden = [_options(cell).get("forbidden", []) for _, cell in self.code]
            self.session.forbid(sorted(set().union(*forbidden)))
            for number, cell in self.code:
                self._one(number, cell)
        except Ended as reason:
            self.wrong.append(f"{reason}, in cell {number}")

    def _one(self, number: int, cell: NotebookNode) -> None:
        """Run a cell, and say what went wrong.

        Raises:
            Ended: if the student's process is no more.
        """
        where = marks_of(cell).grade_id if is_check(cell) else f"cell {number}"
        try:
            if self._is_theirs(cell):
                self._theirs(cell)
            elif is_check(cell):
                self._here(cell.source)
                self.passed.append(where)
            else:
                self._both(cell)
        except (Ended, KeyboardInterrupt):
            raise
        except BaseException as error:  # a student's code may raise anything
            self.wrong.append(f"{where}: {_tell(error)}")

    def _theirs(self, cell: NotebookNode) -> None:
        """Run a cell of the student's, and fetch what others need of it."""
        source = self.written.get(marks_of(cell).grade_id)
        if source is None:
            raise LookupError("it is not in the submission")
        forbidden = _options(cell).get("forbidden", [])
        if used := _uses(source, forbidden):
            raise LookupError(f"it uses {used}, which this assignment does not allow")
        try:
            self.session.run(source)
        finally:
            names = _names(cell.source, ast.Store) & self.wanted
            found, problems = self.session.values(sorted(names))
            self.space |= found
            self.wrong += [f"{name}: {problem}" for name, problem in problems.items()]

    def _both(self, cell: NotebookNode) -> None:
        """Run a cell of the original here and in the student's process, at the same time."""
        options = _options(cell)
        where = options.get("run", "both")
        if where == "nowhere":
            return
        if where == "both":
            self.session.begin("run", cell.source)
        try:
            self._here(cell.source)
        finally:
            self.session.settle()  # an error that it has there, it has here as well
        if gives := options.get("gives"):
            self.session.give({name: self.space[name] for name in gives})

    def _here(self, source: str) -> None:
        """Run a cell of the original in this process."""
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said):
                exec(compile(source, "<assignment>", "exec"), self.space)
        except BaseException as error:
            sentences = [line for line in said.getvalue().splitlines() if line.startswith("✗")]
            if sentences:
                error.sentence = sentences[-1].removeprefix("✗").strip()
            raise


def _options(cell: NotebookNode) -> dict:
    """How the grader treats a cell of the original, see `_Run`."""
    return cell.metadata.get("miniclip", {})


def _tell(error: BaseException) -> str:
    """What went wrong in a cell, as a sentence."""
    if sentence := getattr(error, "sentence", ""):
        return sentence
    if isinstance(error, NotImplementedError):
        return "it is not written yet"
    if isinstance(error, (LookupError, TooLong)) and type(error) in (LookupError, TooLong):
        return str(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _names(source: str, kind: type) -> set[str]:
    """The names that the source of a cell reads (`ast.Load`) or makes (`ast.Store`)."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, kind):
            found.add(node.id)
        if kind is ast.Store and isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
    return found


def _uses(source: str, forbidden: list[str]) -> str:
    """The first of the forbidden names that a source takes from a module or writes as a string, or
    "". A name of its own, such as a function that is to be written, may be one of them."""
    if not forbidden:
        return ""
    try:
        tree = ast.parse(TransformerManager().transform_cell(source))  # without magics (%%time)
    except SyntaxError:  # then it does not run either
        return ""
    for node in ast.walk(tree):
        for name in _taken(node):
            if name in forbidden or name == "*":
                return "import *" if name == "*" else name
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "run_cell_magic":
            inside = node.args[-1]
            if isinstance(inside, ast.Constant) and (name := _uses(str(inside.value), forbidden)):
                return name
    return ""


def _taken(node: ast.AST) -> list[str]:
    """The names that a part of a program takes from elsewhere, or may look up by a string."""
    if isinstance(node, ast.Attribute):
        return [node.attr]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        parts = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
        return [name for part in parts for name in part.split(".")]
    return []
