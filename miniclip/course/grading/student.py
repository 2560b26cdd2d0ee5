"""The process in which a student's code runs: `python -m miniclip.course.grading.student BYTES`,
the memory that it may use.

It reads requests from its standard input and answers on its standard output: run a cell, hand
over values, call a function. Nothing in it knows a right answer: it sees a copy of the package
without the checks and the solutions. `session.py` is the other end.
"""

from __future__ import annotations

import _thread
import linecache
import os
import queue
import signal
import struct
import sys
import threading
import traceback
from collections.abc import Callable
from typing import BinaryIO

import numpy as np
import torch
from IPython.core.interactiveshell import InteractiveShell
from torch import Tensor

from miniclip.course.grading.values import (
    CannotCross,
    from_bytes,
    put_together,
    take_apart,
    to_bytes,
)

LARGEST_FILE = 10**9  # bytes
LENGTH = struct.Struct("<Q")  # each message is preceded by its length in bytes


def send(file: BinaryIO, message) -> None:
    """Write a message, plain values, to a file."""
    data = to_bytes(message)
    file.write(LENGTH.pack(len(data)) + data)
    file.flush()


def receive(file: BinaryIO, longest: int | None = None):
    """Read a message from a file.

    Raises:
        EOFError: if there is none any more, or if it has more than `longest` bytes.
    """
    head = file.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    (length,) = LENGTH.unpack(head)
    if longest is not None and length > longest:
        raise EOFError
    data = file.read(length)
    if len(data) < length:
        raise EOFError
    return from_bytes(data)


class Student:
    """Runs cells and calls functions, as it is asked to.

    Args:
        requests, answers: files to read from and to write to.
    """

    def __init__(self, requests: BinaryIO, answers: BinaryIO):
        self.answers = answers
        self.shell = InteractiveShell.instance()
        self.kept: list = []
        self.inbox: queue.Queue = queue.Queue()
        threading.Thread(target=self._read, args=(requests,), daemon=True).start()

    def _read(self, requests: BinaryIO) -> None:
        """Put requests into the inbox, and None at their end. One to interrupt is obeyed at once,
        while the main thread runs a student's code."""
        try:
            while True:
                message = receive(requests)
                if message != ["interrupt"]:
                    self.inbox.put(message)
                elif os.name == "posix":
                    os.kill(os.getpid(), signal.SIGINT)  # wakes up what sleeps, too
                else:
                    _thread.interrupt_main()
        except EOFError:
            self.inbox.put(None)

    def serve(self) -> None:
        """Answer until there is nothing more to read."""
        while True:
            try:
                if (message := self.inbox.get()) is None:
                    return
                self._serve(*message)
            except KeyboardInterrupt:  # it was meant for a cell that had just ended
                continue

    def _serve(self, kind: str, *rest) -> None:
        """Answer one request."""
        try:
            answer = ["ok", getattr(self, f"_{kind}")(*rest)]
        except BaseException as error:  # a student's code may raise anything
            answer = ["error", type(error).__name__, str(error)[:2000], self._line(error)]
        send(self.answers, answer)

    def _run(self, source: str):
        """Run a cell; what it raises goes on from here."""
        done = self.shell.run_cell(source)
        if error := done.error_before_exec or done.error_in_exec:
            raise error

    def _values(self, names: list[str]) -> dict:
        """Those of the variables that there are, and a sentence for each that cannot be had."""
        found, space = {"values": {}, "problems": {}}, self.shell.user_ns
        for name in names:
            if name in space:
                try:
                    found["values"][name] = take_apart(space[name], self._keep)
                except CannotCross as problem:
                    found["problems"][name] = str(problem)
        return found

    def _set(self, values: dict) -> None:
        """Set variables."""
        self.shell.user_ns |= {name: self._put(value) for name, value in values.items()}

    def _call(self, number: int, arguments, named) -> list:
        """Call a function: what it gives, and its arguments as they are afterwards, since it may
        have changed them."""
        arguments, named = self._put(arguments), self._put(named)
        result = self.kept[number](*arguments, **named)
        changeable = (Tensor, np.ndarray, list, dict)
        after = [one if isinstance(one, changeable) else None for one in arguments]
        return [take_apart(result, self._keep), take_apart(after, self._keep)]

    def _gradient(self, number: int, arguments) -> list:
        """A scalar result, and its gradients by the arguments that are tensors of numbers."""
        arguments = [
            one.requires_grad_() if isinstance(one, Tensor) and one.is_floating_point() else one
            for one in self._put(arguments)
        ]
        tensors = [one for one in arguments if isinstance(one, Tensor) and one.requires_grad]
        with torch.enable_grad():
            result = self.kept[number](*arguments)
            if not isinstance(result, Tensor) or result.numel() != 1:
                raise ValueError("a loss is one number, a tensor")
            gradients = torch.autograd.grad(result, tensors, allow_unused=True)
        zeros = [torch.zeros_like(one) for one in tensors]
        return [
            take_apart(result),
            [take_apart(zero if g is None else g) for g, zero in zip(gradients, zeros)],
        ]

    def _forbid(self, names: list[str]) -> None:
        """Make functions of the package that are to be written here raise, wherever they are."""

        def stub(*arguments, **named):
            raise NameError("the package's own function is not allowed here")

        for module in [one for name, one in sys.modules.items() if name.startswith("miniclip")]:
            for name in names:
                if callable(getattr(module, name, None)):
                    setattr(module, name, stub)

    def _keep(self, value: Callable) -> int:
        self.kept.append(value)
        return len(self.kept) - 1

    def _put(self, plain):
        return put_together(plain, self._remote)

    def _remote(self, plain: dict):
        """A stand-in for a function or a model of the other process."""
        ask = lambda what: (
            lambda *arguments, **named: self._ask(plain["of"], what, arguments, named)
        )
        if plain["kind"] == "function":
            return ask("")
        return type("Model", (), {"encode_text": staticmethod(ask("encode_text"))})()

    def _ask(self, number: int, what: str, arguments: tuple, named: dict):
        """Call something of the other process, in the middle of its own request."""
        parts = [take_apart(one, self._keep) for one in (arguments, named)]
        send(self.answers, ["ask", number, what, *parts])
        while (message := self.inbox.get())[0] not in ("answer", "fault"):
            self._serve(*message)  # what is asked there may need a function of here
        if message[0] == "fault":
            raise RuntimeError(message[1])
        return self._put(message[1])

    def _line(self, error: BaseException) -> str:
        """The line of the student's code that raised an error."""
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if "ipykernel_" in frame.filename or "<" in frame.filename]
        return linecache.getline(own[-1].filename, own[-1].lineno).strip() if own else ""


def main() -> None:
    """Serve on copies of the standard files; what the student prints or reads goes nowhere."""
    if os.name == "posix":
        import resource

        memory = int(sys.argv[1])
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))  # macOS does not enforce it
        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    sys.stdin = open(os.devnull)
    # A job in the background of a shell starts with interrupts ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    Student(requests, answers).serve()


if __name__ == "__main__":
    main()
