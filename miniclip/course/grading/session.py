"""The teacher's end of a student's process (`student.py`): start it, ask it, and stop it when it
takes too long.

Whatever comes from there is data and never code. A function of the student becomes a
`RemoteFunction`, which is called here and runs there.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from miniclip.course.checks.judging import SECONDS, TooLong
from miniclip.course.grading.student import receive, send
from miniclip.course.grading.values import CannotCross, put_together, take_apart

PACKAGE = Path(__file__).parents[2]
MEMORY = 6.0  # gigabytes; the homework needs 2
START = 120.0  # seconds that a process may take until it is ready
LONGEST = 500_000_000  # bytes of a message
# What a student's process gets in the place of the checks.
NO_CHECKS = '''"""The checks are made in another process."""

CHECKS = {}


def check(name, given, seconds=0.0):
    """Nothing is checked here."""
    return True
'''


def fingerprint(*places: Path) -> str:
    """A hash of all source and notebooks in some folders."""
    digest = hashlib.sha256()
    for path in sorted(path for place in places for path in place.rglob("*")):
        if path.suffix in (".py", ".ipynb"):
            digest.update(f"{path} ".encode() + path.read_bytes())
    return digest.hexdigest()


def copy_package(place: Path) -> Path:
    """A copy of this package for students' processes, without the checks and what else is the
    teacher's; gives the folder that it is in."""
    shutil.rmtree(place / "miniclip", ignore_errors=True)
    teachers = shutil.ignore_patterns("__pycache__", "checks", "results")
    shutil.copytree(PACKAGE, place / "miniclip", ignore=teachers)
    (place / "miniclip" / "course" / "checks").mkdir()
    (place / "miniclip" / "course" / "checks" / "__init__.py").write_text(NO_CHECKS)
    grading = place / "miniclip" / "course" / "grading"
    for path in grading.glob("*.py"):
        if path.name not in ("student.py", "values.py"):
            path.unlink()
    (grading / "__init__.py").write_text('"""The student\'s part of the grader."""\n')
    return place


def isolation(folder: Path, package: Path, hidden: Sequence[Path]) -> list[str]:
    """The beginning of a command that runs in a sandbox of bubblewrap: without a network, with
    nothing to write to but one folder, and with some folders hidden.

    Raises:
        OSError: if there is no bubblewrap, or if it is not allowed to work here.
    """
    command = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    command += ["--unshare-all", "--die-with-parent"]
    shown = {Path(sys.prefix), Path(sys.base_prefix)}  # Python may lie in a folder that is hidden
    for place in sorted({*shown, Path(tempfile.gettempdir()), *hidden}, key=lambda p: len(p.parts)):
        if place.is_dir():  # the outer ones first: what comes later lies upon them
            where = str(place.resolve())
            command += ["--ro-bind", where, where] if place in shown else ["--tmpfs", where]
    command += ["--ro-bind", str(package), str(package), "--bind", str(folder), str(folder)]
    command += ["--chdir", str(folder)]
    tried = shutil.which("bwrap") and subprocess.run([*command, "true"], capture_output=True)
    if not tried or tried.returncode:
        why = tried.stderr.decode().strip() if tried else "there is no bwrap"
        raise OSError(
            f"students' code cannot be isolated here: {why}. Install bubblewrap (Linux: apt install"
            " bubblewrap), or grade in a container"
        )
    return command


class Ended(Exception):
    """The student's process is no more; the message says why."""


class Session:
    """A student's process, in an empty folder of its own.

    Use it as a context; at its end the process and all that it has started are killed.

    Args:
        package: a folder with a copy of the package, see `copy_package`.
        timeout: seconds for all that it does together, its start left out; a single request may
            take half of it.
        memory: gigabytes that it may use (on Linux).
        hidden: folders that it must not see, by bubblewrap; None for a process that is not
            isolated.
    """

    def __init__(
        self,
        package: Path,
        timeout: float,
        memory: float = MEMORY,
        hidden: Sequence[Path] | None = None,
    ):
        self.package, self.timeout, self.memory, self.hidden = package, timeout, memory, hidden
        self.deadline = float("inf")  # set when the process is ready
        self.waits = False  # whether an answer has not been waited for
        self.over = False  # whether the process has ended
        self.writing = threading.Lock()
        self.kept: list = []  # functions and models of this process that the student's may call
        self.answers: queue.Queue = queue.Queue(maxsize=1000)

    def __enter__(self) -> Session:
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        environment = os.environ | {
            "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": str(self.package),
            "IPYTHONDIR": self.folder.name,
            "HOME": self.folder.name,
        }
        limit = str(int(self.memory * 1e9))
        command = [sys.executable, "-m", "miniclip.course.grading.student", limit]
        if self.hidden is not None:
            command = [*isolation(Path(self.folder.name), self.package, self.hidden), *command]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self.folder.name,
            env=environment,
            start_new_session=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            self.give({})
        except Ended:
            self.__exit__()
            raise
        self.deadline = time.monotonic() + self.timeout
        return self

    def __exit__(self, *error) -> None:
        self.kill()
        self.folder.cleanup()

    def kill(self) -> None:
        """End the process and what it has started."""
        self.over = True
        if os.name == "posix":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()

    def _listen(self) -> None:
        """Put what the process says into the queue, and None at its end."""
        try:
            while True:
                self.answers.put(receive(self.process.stdout, LONGEST))
        except Exception:  # the end, or something that is no message
            self.answers.put(None)

    def _send(self, message) -> None:
        """Write in a thread, since a process that does not read would hold this one up."""

        def write() -> None:
            with self.writing, contextlib.suppress(OSError, ValueError):
                send(self.process.stdin, message)

        threading.Thread(target=write, daemon=True).start()

    def begin(self, *message) -> None:
        """Send a request, after the answer of the one before has come."""
        self.settle()
        self._send(list(message))
        self.waits = True

    def settle(self) -> None:
        """Wait for the answer of a request, if there is one that nobody has waited for. What went
        wrong in it is not told."""
        if self.waits:
            with contextlib.suppress(Exception, TooLong):
                self.end()
        if self.over:
            raise Ended("its process ended")

    def end(self, seconds: float = float("inf")):
        """Wait for the answer of a request, and answer what the student's code asks meanwhile.

        Args:
            seconds: how long to wait at most.
        Raises:
            Ended: if the process ended, or had to be.
            TooLong: if there was no answer in time, and the process could be interrupted.
            Exception: what the student's code raised, under the name that it had there.
        """
        self.waits = False
        is_starting = self.deadline == float("inf")
        most = START if is_starting else self.timeout / 2
        allowed = min(seconds, most, self.deadline - time.monotonic())
        until = time.monotonic() + allowed
        while True:
            try:
                answer = self.answers.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                self._interrupt()
                raise TooLong(f"it was stopped after {max(0, int(allowed))} seconds") from None
            if answer is None:
                self.over = True
                raise Ended("its process ended")
            if answer[0] != "ask":
                break
            start = time.monotonic()
            self._send(self._answer(*answer[1:]))
            spent = time.monotonic() - start  # that was no time of the student's
            until = min(until + spent, self.deadline)
        if answer[0] == "ok":
            return answer[1]
        _, name, text, line = answer
        raise _error(name, text + (f", in the line `{line}`" if line else ""))

    def _interrupt(self) -> None:
        """Interrupt what the process does; if it goes on all the same, kill it."""
        self._send(["interrupt"])
        with contextlib.suppress(queue.Empty):
            if self.answers.get(timeout=2) is not None:
                return
        self.kill()
        raise Ended("it was stopped, and did not end by itself")

    def _answer(self, number: int, what: str, arguments, named) -> list:
        """Call a function or model of this process for the student's."""
        try:
            value = self.kept[number]
            if what not in ("", "encode_text"):
                raise CannotCross(f"{what} cannot be called")
            call = getattr(value, what) if what else value
            given = call(*self._put(arguments), **self._put(named))
            return ["answer", self._apart(given)]
        except Exception as error:
            return ["fault", f"{type(error).__name__}: {error}"]

    def run(self, source: str, seconds: float = float("inf")) -> None:
        """Run a cell there; see `end` for what it raises."""
        self.begin("run", source)
        self.end(seconds)

    def forbid(self, names: list[str]) -> None:
        """Take functions of the package away from the student, since they are to be written."""
        self.begin("forbid", names)
        self.end()

    def values(self, names: list[str]) -> tuple[dict, dict[str, str]]:
        """Variables of the student: those that can be had, and why others cannot."""
        self.begin("values", names)
        answer = self.end()
        found, problems = {}, {}
        for name in names:  # and nothing that was not asked for
            if name in answer["problems"]:
                problems[name] = str(answer["problems"][name])[:200]
            elif name in answer["values"]:
                try:
                    found[name] = self._put(answer["values"][name])
                except Exception as error:  # a scene that cannot be, weights that do not fit
                    problems[name] = f"{name} cannot be used: {error}"
        return found, problems

    def give(self, values: dict) -> None:
        """Set variables there."""
        self.begin("set", {name: self._apart(value) for name, value in values.items()})
        self.end()

    def _keep(self, value) -> int:
        self.kept.append(value)
        return len(self.kept) - 1

    def _apart(self, value):
        return take_apart(value, self._keep, models_stay=True)

    def _put(self, plain):
        return put_together(plain, lambda remote: RemoteFunction(self, remote))

    def call(self, number: int, arguments: tuple, named: dict) -> tuple:
        """Call a function of the student: what it gives, and its arguments as they are then."""
        parts = [self._apart(one) for one in (arguments, named)]
        self.begin("call", number, *parts)
        result, after = self.end(SECONDS)
        return self._put(result), self._put(after)

    def gradient(self, number: int, arguments: tuple) -> tuple[Tensor, list[Tensor]]:
        """A scalar result of a student's function, and its gradients by the tensors that it was
        given."""
        self.begin("gradient", number, self._apart(arguments))
        result, gradients = self.end(SECONDS)
        return result, gradients


def _error(name: str, text: str) -> Exception:
    """An error of the student's process, as one of the same name."""
    if name == "NotImplementedError":
        return NotImplementedError(text)
    return type(name if name.isidentifier() else "Error", (Exception,), {})(text)


def _change(before, after) -> None:
    """Do to an argument what the student's function did to it."""
    if isinstance(before, Tensor) and isinstance(after, Tensor):
        if before.shape == after.shape and not torch.equal(before, after):
            before.data.copy_(after)
    elif isinstance(before, np.ndarray) and isinstance(after, np.ndarray):
        if before.shape == after.shape:
            before[...] = after
    elif isinstance(before, list) and isinstance(after, list):
        before[:] = after
    elif isinstance(before, dict) and isinstance(after, dict):
        before.clear()
        before.update(after)


class RemoteFunction:
    """A function that runs in the student's process.

    Args:
        session: the process.
        plain: what `take_apart` said of it: its number, name and parameters.
    """

    def __init__(self, session: Session, plain: dict):
        self.session, self.number = session, int(plain["of"])
        self.__name__ = str(plain.get("name", "function"))
        if plain.get("parameters") is not None:
            empty = inspect.Parameter.empty
            self.__signature__ = inspect.Signature(
                [
                    inspect.Parameter(name, kind, default=None if optional else empty)
                    for name, kind, optional in plain["parameters"]
                ]
            )

    def __call__(self, *arguments, **named):
        wanted = torch.is_grad_enabled() and any(
            isinstance(one, Tensor) and one.requires_grad for one in arguments
        )
        if wanted and not named:
            return _Through.apply(self, *arguments)
        return self.session.call(self.number, arguments, named)[0]

    def try_out(self, *arguments):
        """Call it with arguments that may be spoilt: what it changes in them changes here, too."""
        result, after = self.session.call(self.number, arguments, {})
        for before, now in zip(arguments, after):
            _change(before, now)
        return result

    def __deepcopy__(self, memo: dict) -> RemoteFunction:
        return self


class _Through(torch.autograd.Function):
    """A student's loss as a step of a computation here: its gradients come from there."""

    @staticmethod
    def forward(ctx, function: RemoteFunction, *arguments) -> Tensor:
        result, gradients = function.session.gradient(function.number, arguments)
        ctx.has = [isinstance(one, Tensor) and one.is_floating_point() for one in arguments]
        ctx.save_for_backward(*gradients)
        return result

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple:
        gradients = iter(ctx.saved_tensors)
        return None, *(grad * next(gradients) if has else None for has in ctx.has)
