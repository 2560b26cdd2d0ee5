"""Promises of the exercises: right answers are praised, wrong ones get a hint, and the right one is never told."""

import pytest

from miniclip.homework import answer


@pytest.mark.parametrize("given, expected, options, mark", [
    (None, 3, {}, "?"), (3, 3, {}, "✓"), ("3", 3, {}, "✓"), (3.004, 3, {"tolerance": 0.01}, "✓"), (3.1, 3, {"tolerance": 0.01}, "✗"), ("three", 3, {}, "✗"),
    (" Fall ", "fall", {}, "✓"), ("rise", "fall", {}, "✗"), ({1, 2}, {2, 1}, {}, "✓"), ([1], {1, 2}, {}, "✗"),
])
def test_an_answer_is_judged(capsys, given, expected, options, mark):
    answer("how many?", given, expected, hint="count them", **options)
    said = capsys.readouterr().out
    assert said.startswith(mark) and "how many?" in said
    assert ("Hint: count them." in said) == (mark == "✗" and given != "three")
    if given == "three":
        assert "is not a number" in said
