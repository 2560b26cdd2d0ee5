"""How pytest runs this project: notebooks compared as a person would, slow tests first, one line
a failure.

Both `tests/conftest.py` and `notebooks/conftest.py` register it, so it is there whichever of the
two is asked for.
"""

import os
import re
import tempfile
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

import pytest
from conclusions import CONCLUSIONS, Outputs
from nbval.plugin import IPyNbCell, IPyNbFile, NbCellError, coalesce_streams
from reading import difference

IMAGE = re.compile(
    r"data:image/png;base64,[A-Za-z0-9+/=]+"
)  # pixels depend on fonts; alt texts are compared
# Of a widget what it shows is tested with the widget.
PREVIEW = re.compile(r"<!-- preview -->.*?<!-- end -->", re.DOTALL)
ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
NOISE = re.compile(r"\x1b\[[0-9;]*m")  # colours of a traceback

# Two workers of pytest-xdist share the cores, and what they start inherits this (kernels,
# trainings, the grader).
if WORKERS := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 0)):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // WORKERS)))


LONGEST = "test_grading.py"  # takes a third of all the time, so it has to begin first


def pytest_collection_modifyitems(items):
    """Notebooks are slow tests. Slow files come first, so that no worker is left with one at the
    end.

    Those with a test of speed come after the other slow ones: while such a test waits for the
    cores, its worker has nothing to do.
    """
    for item in items:
        if isinstance(item, (Cell, Conclusion)):
            item.add_marker("slow")
    slow, alone = (
        {item.path for item in items if item.get_closest_marker(mark)} for mark in ("slow", "alone")
    )
    items.sort(
        key=lambda item: (
            item.path.name != LONGEST,
            item.path not in slow,
            item.path in alone,
        )
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """A test of speed (`@pytest.mark.alone`) waits until the other worker has finished its test,
    and holds it up."""
    with _cores(alone=item.get_closest_marker("alone") is not None):
        return (yield)


@contextmanager
def _cores(alone: bool):
    """Share the cores with the other workers, or have them alone."""
    try:
        import fcntl
    except ImportError:  # Windows has no such locks: there the others go on
        yield
        return
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    with open(Path(tempfile.gettempdir(), f"miniclip-tests-{run}.lock"), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


def pytest_terminal_summary(terminalreporter):
    """One line a failure, whole and without a traceback (`--tb=short` adds those)."""
    for report in terminalreporter.getreports("failed") + terminalreporter.getreports("error"):
        crash = getattr(report.longrepr, "reprcrash", None)
        message = (crash.message if crash else str(report.longrepr)).strip().partition("\n")[0]
        terminalreporter.write_line(f"FAILED {report.nodeid} - {message}")


def pytest_collect_file(file_path, parent):
    """Notebooks of the class; homework is run and graded by `test_grading.py`."""
    if file_path.suffix == ".ipynb" and "homework" not in file_path.parts:
        return Notebook.from_parent(parent, path=file_path)


class Notebook(IPyNbFile):
    """A notebook: nbval runs its cells in one kernel; then what its prose concludes is asked of
    the outputs."""

    def collect(self):
        for cell in super().collect():
            made = {"cell_num": cell.cell_num, "cell": cell.cell, "options": cell.options}
            yield Cell.from_parent(self, name=cell.name, **made)
        for sentence, holds in CONCLUSIONS.get(self.path.stem, {}).items():
            yield Conclusion.from_parent(self, name=f"concludes: {sentence}", holds=holds)

    def setup(self):
        super().setup()
        self.outputs = {}  # of the cells that ran, by number


class Cell(IPyNbCell):
    """A code cell, whose outputs read as the saved ones do."""

    def compare_outputs(self, test, ref, skip_compare=None):
        self.parent.outputs[self.cell_num] = coalesce_streams(test)
        mine, saved = readable(test), readable(ref)
        for kind in dict.fromkeys([*saved, *mine]):
            if len(mine[kind]) != len(saved[kind]):
                reason = f"{len(mine[kind])} outputs of kind {kind}, expected {len(saved[kind])}"
            else:
                found = (difference(a, b) for a, b in zip(saved[kind], mine[kind]))
                reason = next(filter(None, found), "")
            if reason:
                self.comparison_traceback = [reason]
                return False
        return True

    def runtest(self):
        super().runtest()
        self.parent.outputs[self.cell_num] = self.test_outputs

    def repr_failure(self, excinfo):
        error = excinfo.value
        if not isinstance(error, NbCellError):
            return super().repr_failure(excinfo)
        lines = NOISE.sub("", error.inner_traceback or str(error)).strip().splitlines()
        return (
            f"{self.parent.path.name}, code cell {self.cell_num}: {lines[-1] if lines else error}"
        )


def readable(outputs) -> dict[str, list[str]]:
    """What a person can read in outputs, by kind: 'stdout', 'text/html' and so on, in order."""
    texts = defaultdict(list)
    for output in outputs:
        if output.output_type == "stream":
            texts[output.name].append(output.text)
        elif output.output_type == "error":
            texts["error"].append(f"{output.ename}: {output.evalue}")
        else:
            for kind, data in output.get("data", {}).items():
                shown = isinstance(data, str) and not kind.startswith("image/")
                text = PREVIEW.sub("PREVIEW", IMAGE.sub("IMAGE", data)) if shown else ""
                texts[kind].append(ADDRESS.sub("ADDRESS", text))
    return texts


class Conclusion(pytest.Item):
    """A sentence of the prose, asked of the outputs of today's run."""

    def __init__(self, *, holds, **options):
        super().__init__(**options)
        self.holds = holds

    def runtest(self):
        if len(self.parent.outputs) < sum(
            isinstance(item, Cell) for item in self.session.items if item.parent is self.parent
        ):
            pytest.skip("some cells did not run")
        outputs = Outputs(self.parent.outputs)
        if not self.holds(outputs):
            raise AssertionError(
                f"does not hold any more; the numbers it was asked of: {outputs.asked}"
            )

    def repr_failure(self, excinfo):
        return f"{self.parent.path.name}, {self.name}: {excinfo.value}"

    def reportinfo(self):
        return self.path, 0, f"{self.parent.path.name}: {self.name}"
