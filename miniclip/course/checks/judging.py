"""How a student's function is judged: call it within a time limit, compare what it gives, and
say in a sentence what is wrong.

A `Check` holds a right function and the usual wrong ones. If the student's results are those of a
wrong one, the hint is for just that mistake; otherwise the sentence says what was expected for
which input. It also tells of functions that never end, raise, or change their inputs.
"""

from __future__ import annotations

import copy
import inspect
import linecache
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

import numpy as np
from torch import Tensor

SECONDS = 10.0  # how long one call of a student's function may take


class Feedback(Exception):
    """Something is not right; the message is the sentence that the student reads."""


class TooLong(BaseException):
    """Ends a student's function that does not end. `except Exception` does not catch it."""


class NotWritten(Feedback):
    """The function still raises NotImplementedError, so there is nothing to judge yet."""


@dataclass(frozen=True)
class Verdict:
    """Whether a function is right, and the sentence that the student reads."""

    right: bool
    sentence: str

    def __str__(self) -> str:
        return f"{'✓' if self.right else '✗'}  {self.sentence}"


@dataclass(frozen=True)
class Check:
    """One function that students write.

    Args:
        form: how it is called, such as "info_nce(images, texts, temperature)".
        gives: what it returns, in words.
        right: a right function; None if `look` judges instead.
        cases: makes the hidden inputs, a tuple of arguments by the name of the case; the first is
            the smallest.
        mistakes: usual wrong functions by the hint that helps. The hint is given if the student's
            results equal those of the wrong function in every case.
        also: other functions that are accepted as right.
        look: judges a function by what it does instead of by comparing results. It is given a
            function that calls the student's, and raises `Feedback`.
        hint: for a wrong result that is none of the usual ones.
    """

    form: str
    gives: str
    right: Callable | None = None
    cases: Callable[[], dict[str, tuple]] | None = None
    mistakes: Mapping[str, Sequence[Callable]] = field(default_factory=dict)
    also: tuple[Callable, ...] = ()
    look: Callable[[Callable], None] | None = None
    hint: str = "work the small input out on paper, and print each step of yours"

    @property
    def names(self) -> list[str]:
        """The names of the function's arguments."""
        return self.form[self.form.index("(") + 1 : -1].split(", ")


def require_signature(task: Check, given) -> None:
    """Raise `Feedback` if something is not a function with the right number of arguments."""
    if not callable(given):
        raise Feedback(
            f"expected the function itself, such as {task.form.partition('(')[0]} without brackets"
            f" behind it, and got {describe(given)}."
        )
    try:
        signature = inspect.signature(given)
    except (TypeError, ValueError):  # some built-in functions tell nothing of themselves
        return
    try:
        signature.bind(*task.names)
    except TypeError:
        raise Feedback(
            f"it is called as {task.form}, so it takes {len(task.names)} arguments in that order;"
            f" yours takes {signature}."
        ) from None


def call_with_limit(function: Callable, arguments: tuple, seconds: float):
    """Call a student's function, and raise `Feedback` if it raises or takes too long.

    A function that runs in another process (the grader's `RemoteFunction`) sees to its time
    itself, and has a method `try_out` for this.
    """
    if hasattr(function, "try_out"):
        result, error = _outcome(function.try_out, arguments)
    else:
        result, error = _watched(function, arguments, seconds)
    if isinstance(error, TooLong):
        raise Feedback(
            f"it had not answered after {seconds:g} seconds. Hint: is there a loop that never ends,"
            " or one over single numbers that a matrix product could replace?"
        )
    if isinstance(error, Feedback):
        raise error
    if isinstance(error, NotImplementedError):
        raise NotWritten(
            "it is not written yet: replace `raise NotImplementedError()` by your code."
        )
    if error is not None:
        raise Feedback(
            f"it raised {type(error).__name__}:"
            f" {' '.join(str(error).split())[:200] or 'without a word'}{_where(function, error)}."
        )
    return result


def _outcome(function: Callable, arguments: tuple) -> tuple[object, BaseException | None]:
    """What a function returns, or raises."""
    try:
        return function(*arguments), None
    except BaseException as error:  # a student's code may raise anything, SystemExit too
        return None, error


def _watched(
    function: Callable, arguments: tuple, seconds: float
) -> tuple[object, BaseException | None]:
    """The outcome of a function that is ended when its time is over.

    It runs in a thread of its own: unlike a signal, that works in every notebook and on every
    system. A thread cannot be ended from outside, but it can look at the clock before each line
    of the student's code, and so end itself.
    """
    answers: list = []
    deadline = time.monotonic() + seconds

    def watch(frame: FrameType, event: str, argument: object):
        """Python calls this before each line, see `sys.settrace`."""
        if time.monotonic() > deadline:
            raise TooLong
        # A library's own lines are not watched: that would slow them down.
        return watch if frame.f_code.co_filename == file else None

    def work() -> None:
        sys.settrace(watch)
        answers.append(_outcome(function, arguments))
        sys.settrace(None)

    file = getattr(getattr(function, "__code__", None), "co_filename", None)
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds + 0.5)
    return answers[0] if answers else (None, TooLong())


def _where(function: Callable, error: BaseException) -> str:
    """The line of the student's code that raised an error, if it is known."""
    file = getattr(getattr(function, "__code__", None), "co_filename", None)
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    text = linecache.getline(lines[-1].filename, lines[-1].lineno).strip() if lines else ""
    return f", in the line `{text}`" if text else ""


def as_plain(value):
    """A result in plain types: numbers as arrays of float64, so that tensors, arrays and Python
    numbers can be compared with each other."""
    if isinstance(value, Tensor):
        return value.detach().cpu().double().numpy()
    if isinstance(value, Mapping):
        return {key: as_plain(one) for key, one in value.items()}
    if value is None or isinstance(value, str):
        return value
    is_list = isinstance(value, (list, tuple))
    try:
        return np.asarray([as_plain(one) for one in value] if is_list else value, dtype=float)
    except (TypeError, ValueError):  # not numbers
        if is_list:
            return [as_plain(one) for one in value]
        return value.tolist() if isinstance(value, np.ndarray) else value


def agree(a, b) -> bool:
    """Whether two plain values agree; NaN agrees with NaN."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.shape == b.shape and np.allclose(a, b, rtol=1e-3, atol=1e-5, equal_nan=True)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(agree(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(agree, a, b))
    return type(a) is type(b) and not isinstance(a, np.ndarray) and a == b


def describe(value) -> str:
    """A value in few words: small arrays with their numbers, larger ones by their shape."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {describe(one)}" for key, one in value.items()) + "}"
    if isinstance(value, (list, tuple)) and (
        len(value) > 8 or any(isinstance(one, (np.ndarray, Tensor, str, tuple)) for one in value)
    ):
        return "[" + ", ".join(map(describe, value[:8])) + (", ...]" if len(value) > 8 else "]")
    plain = as_plain(value)
    if isinstance(plain, np.ndarray):
        if plain.size > 12:
            return f"numbers of shape {plain.shape}"
        return str(np.round(plain, 3).tolist()).replace(".0,", ",").replace(".0]", "]")
    if value is None or isinstance(value, (str, bool)):
        return repr(value)
    return "a function" if callable(value) else str(value)[:60]


def _results(cases: dict[str, tuple], function: Callable) -> dict:
    """What a function gives in each case, in plain types."""
    return {
        name: as_plain(function(*copy.deepcopy(arguments))) for name, arguments in cases.items()
    }


def compare_results(task: Check, call: Callable) -> None:
    """Compare a student's results with those of the right function, and then of the wrong ones.

    Args:
        task: what was asked for.
        call: calls the student's function, see `call_with_limit`.
    Raises:
        Feedback: if the results are not right, or if the function changes its arguments.
    """
    cases = task.cases()
    given, changed = _given_results(task, cases, call)
    right = _results(cases, task.right)
    accepted = any(
        all(agree(given[name], expected[name]) for name in cases)
        for expected in (right, *(_results(cases, also) for also in task.also))
    )
    if accepted and changed:
        raise Feedback(
            f"the result is right, but afterwards {' and '.join(dict.fromkeys(changed))} is no"
            " longer what it was. Hint: operations in place (x /= ..., x[i] = ..., x.add_())"
            " change what the caller still needs; make something new instead."
        )
    if accepted:
        return
    name = next((name for name in cases if not agree(given[name], right[name])), next(iter(cases)))
    if hint := _hint_for(task, cases, given):
        raise Feedback(
            f"{_inputs(task, name, cases[name])} expected {describe(right[name])}, yours"
            f" gives {describe(given[name])}. Hint: {hint}."
        )
    raise Feedback(_difference(task, name, cases[name], given[name], right[name]))


def _given_results(task: Check, cases: dict[str, tuple], call: Callable) -> tuple[dict, list[str]]:
    """What the student's function gives in each case, and which arguments it changed in place."""
    given, changed = {}, []
    for case, arguments in cases.items():
        passed = copy.deepcopy(arguments)
        try:
            given[case] = as_plain(call(*passed))
        except NotWritten:
            raise
        except Feedback as feedback:
            raise Feedback(
                f"{feedback} That was with {_inputs(task, case, arguments)[:-1]}."
            ) from None
        changed += [
            name
            for name, after, before in zip(task.names, passed, arguments)
            if not callable(after) and not agree(as_plain(after), as_plain(before))
        ]
    return given, changed


def _hint_for(task: Check, cases: dict[str, tuple], given: dict) -> str | None:
    """The hint of the first wrong function that gives the student's results in every case."""
    for hint, functions in task.mistakes.items():
        for function in functions:
            wrong = _results(cases, function)
            if all(agree(given[name], wrong[name]) for name in cases):
                return hint
    return None


def _inputs(task: Check, name: str, arguments: tuple) -> str:
    """The name of a case and its arguments, as a sentence begins with them."""
    return (
        f"{name},"
        f" {', '.join(f'{key} = {describe(value)}' for key, value in zip(task.names, arguments))}:"
    )


def _difference(task: Check, name: str, arguments: tuple, given, right) -> str:
    """Say how a result differs from the right one: in its type, its shape or its numbers."""
    start = f"{_inputs(task, name, arguments)} expected {describe(right)}, {task.gives}; "
    if given is None:
        return start + "yours gives None. Hint: does every path end in a `return`?"
    if type(given) is not type(right):
        return (
            start
            + f"yours gives {describe(given)}, which is something else. Hint: see in the text what"
            f" {task.form} is to give."
        )
    if isinstance(right, np.ndarray) and given.shape != right.shape:
        return (
            start
            + f"yours has the shape {given.shape} in the place of {right.shape}. Hint: write the"
            " shape behind each of your lines as a comment, and look for the first that"
            " surprises you."
        )
    if isinstance(right, dict) and given.keys() != right.keys():
        return start + f"yours has the keys {list(given)} in the place of {list(right)}."
    if isinstance(right, np.ndarray) and not np.isfinite(given).all():
        return (
            start
            + f"yours gives {describe(given)}. Hint: look for a division by zero, the logarithm of"
            " zero, or the exponential of something large."
        )
    return start + f"yours gives {describe(given)}. Hint: {task.hint}."
