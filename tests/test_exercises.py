"""Promises of the exercises: right answers are praised, wrong ones get a hint, and the right one
is never told."""

import re
from pathlib import Path

import pytest

from miniclip.course.checks import CHECKS
from miniclip.course.exercises import EXERCISES, answer


@pytest.mark.parametrize(
    "name, given, mark",
    [
        ("01.negatives", None, "?"),
        ("01.negatives", 63, "✓"),
        ("01.negatives", "63", "✓"),
        ("01.negatives", 64, "✗"),
        ("01.negatives", "many", "✗"),
        ("01.guesser", 10.4, "✓"),
        ("01.guesser", 10.38, "✗"),
        ("03.none", " Fall. ", "✓"),
        ("03.none", "rise", "✗"),
        ("03.none", 3, "✗"),
        ("01.guesser", float("nan"), "✗"),
    ],
)
def test_an_answer_is_judged(capsys, name, given, mark):
    answer(name, given)
    said = capsys.readouterr().out
    assert said.startswith(mark) and EXERCISES[name].question in said
    if mark == "✗" and given != "many":
        assert EXERCISES[name].hint in said
    if mark != "✓" and not isinstance(EXERCISES[name].right, str):
        assert str(EXERCISES[name].right) not in said.replace(EXERCISES[name].question, "")


@pytest.mark.parametrize("name", EXERCISES)
def test_the_right_answer_is_right_and_another_is_not(capsys, name):
    exercise = EXERCISES[name]
    answer(name, exercise.right)
    answer(
        name,
        "no idea" if isinstance(exercise.right, str) else exercise.right + 1 + exercise.tolerance,
    )
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("✓") and second.startswith("✗")


def test_an_unknown_exercise_is_refused():
    with pytest.raises(ValueError, match="there is no exercise '99.x'; there are 01.guesser"):
        answer("99.x", 1)


def test_the_teachers_guide_has_all_answers(capsys):
    guide = (Path(__file__).parents[1] / "notebooks" / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\d\d\.[\w-]+)` \| (.+?) \|", guide, re.MULTILINE))
    assert rows.keys() == EXERCISES.keys() | {name for name in CHECKS if name[0] != "h"}
    for name in EXERCISES:
        answer(name, rows[name].replace(",", ""))
    assert capsys.readouterr().out.count("✓") == len(EXERCISES)
