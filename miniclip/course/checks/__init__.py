"""Checks that teach: `check("hw1.info_nce", my_function)` tries a function on small hidden cases
and answers in a sentence. They serve homework and the exercises of notebooks.

`judging.py` holds how a function is judged, `hw1.py` to `hw6.py` what is asked in each assignment
of `notebooks/homework`, and `notebooks.py` what the exercises at the ends of notebooks ask.
"""

from __future__ import annotations

from collections.abc import Callable

from miniclip.course.checks.hw1 import HW1
from miniclip.course.checks.hw2 import HW2
from miniclip.course.checks.hw3 import HW3
from miniclip.course.checks.hw4 import HW4
from miniclip.course.checks.hw5 import HW5
from miniclip.course.checks.hw6 import HW6
from miniclip.course.checks.judging import (
    SECONDS,
    Check,
    Feedback,
    NotWritten,
    Verdict,
    call_with_limit,
    compare_results,
    require_signature,
)
from miniclip.course.checks.notebooks import NOTEBOOKS

__all__ = ["CHECKS", "SECONDS", "Check", "Feedback", "NotWritten", "Verdict", "check", "judge"]


def check(name: str, given: Callable, seconds: float = SECONDS) -> bool:
    """Try a student's function on hidden cases and print in a sentence what is right or wrong.

    The solution is never shown.

    Args:
        name: of the check, such as "hw1.info_nce".
        given: the student's function itself, not the result of a call.
        seconds: how long one call may take.
    Returns:
        whether it passed.
    Raises:
        ValueError: if there is no such check.
    """
    verdict = judge(name, given, seconds)
    print(verdict)
    return verdict.right


def judge(name: str, given: Callable, seconds: float = SECONDS) -> Verdict:
    """Like `check`, but return the verdict instead of printing it."""
    if name not in CHECKS:
        raise ValueError(f"there is no check {name!r}; there are {', '.join(CHECKS)}")
    task = CHECKS[name]
    try:
        require_signature(task, given)
        call = lambda *arguments: call_with_limit(given, arguments, seconds)
        task.look(call) if task.look else compare_results(task, call)
    except Feedback as feedback:
        return Verdict(False, f"{name}: {feedback}")
    return Verdict(True, f"{name}: {task.form} gives {task.gives}, on every case that was tried.")


CHECKS: dict[str, Check] = HW1 | HW2 | HW3 | HW4 | HW5 | HW6 | NOTEBOOKS
