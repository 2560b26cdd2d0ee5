"""Checks of answers to exercises, in sentences that teach.

Used at the end of every notebook.
"""

from __future__ import annotations

import math


def answer(question: str, given, expected, tolerance: float = 0.0, hint: str = "") -> None:
    """Say whether an answer is right; the expected one is never shown.

    Args:
        question: what is asked, repeated in the output.
        given: the student's answer; None for none yet.
        expected: the right one: a number, a text, or a set of those.
        tolerance: how far off a number may be.
        hint: said after a wrong answer.
    """
    if given is None:
        print(f"?  {question}")
        return
    if isinstance(expected, (int, float)) and not isinstance(expected, bool):
        try:
            right = math.isclose(float(given), expected, rel_tol=0, abs_tol=tolerance + 1e-9)
        except (TypeError, ValueError):
            print(f"✗  {given!r} is not a number. {question}")
            return
    elif isinstance(expected, str):
        right = str(given).strip().lower() == expected.lower()
    else:
        right = given == expected
    print(f"✓  {question}  {given}" if right else f"✗  not {given}. {question}" + (f"  Hint: {hint}." if hint else ""))
