"""Compare two outputs of a notebook cell as a person would: words exactly, numbers as numbers.

Another processor adds the same numbers in another order, so a picture at the border between two
classes may change sides. `difference` forgives what follows from that and nothing else. How far a
number may move is told by the words around it:

| printed | example | may move by |
| --- | --- | --- |
| share of n pictures | `92.6% (90.0% to 94.6%) of 500` | 3 pictures, at least 1 point |
| share, n not printed | `probe 60.5%` | 3 of 200 pictures: 1.5 points (printed whole: 2) |
| count out of n | `50 of 70 on the diagonal` | 3, at most a tenth of n; n itself not at all |
| two counts, or a count in brackets | `41 to 14: the first is better` `guitar for violin (3)` | 3 |
| other number with decimals | `loss 0.0133` | 2 %, at least one unit of its last decimal |
| any other whole number | `1,651 tokens`, `row 5` | not at all |
"""

from __future__ import annotations

import re

NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[-+]?\d+)?")
PICTURES = 3  # that may change sides between two processors
UNSAID = 200  # pictures, where the text does not say how many


def difference(expected: str, found: str) -> str:
    """What a person would notice between two texts.

    Args:
        expected: the text that is saved in the notebook.
        found: the text of today's run.
    Returns:
        One sentence about the first difference; empty if there is none.
    """
    ours, theirs = expected.splitlines(), found.splitlines()
    for number, (line, other) in enumerate(zip(ours, theirs), 1):
        if reason := _line_difference(line, other):
            return f"line {number}: {reason}; expected {_short(line)!r}, found {_short(other)!r}"
    if len(ours) != len(theirs):
        longer, word = (ours, "missing") if len(ours) > len(theirs) else (theirs, "too many")
        last = min(len(ours), len(theirs))
        return f"line {last + 1} is {word}: {_short(longer[last])!r}"
    return ""


def _short(line: str, width: int = 160) -> str:
    return line.strip() if len(line.strip()) <= width else line.strip()[:width] + " ..."


def _line_difference(expected: str, found: str) -> str:
    """The reason why a person would call two lines different; empty if they would not."""
    if _words(expected) != _words(found):
        return "other words"
    for a, b in zip(NUMBER.finditer(expected), NUMBER.finditer(found)):
        allowed, unit = tolerance(expected, a)
        if abs(_value(a[0]) - _value(b[0])) > allowed + 1e-9:
            return f"{b[0]}{unit} is more than {allowed:g}{unit and ' points'} from {a[0]}{unit}"
    return ""


def _words(line: str) -> str:
    """A line without its numbers, and without the spaces that depend on how many digits they
    have."""
    return " ".join(re.sub(r"\s*#\s*", " # ", NUMBER.sub("#", line)).split())


def _value(number: str) -> float:
    return float(number.replace(",", ""))


def tolerance(line: str, match: re.Match) -> tuple[float, str]:
    """How far a number may move, by the words around it, and its unit: '%' or ''.

    Args:
        line: the line of text, which may hold several numbers.
        match: where in it the number stands.
    """
    before, after = line[: match.start()], line[match.end() :]
    decimals = len(match[0].partition(".")[2])
    if re.match(r"\s*%", after):
        pictures = re.search(r"%\)? of (\d[\d,]*)", after)
        n = _value(pictures[1]) if pictures else UNSAID
        allowed = max(100 * PICTURES / n, 1.0)
        return (float(round(allowed)) if decimals == 0 and allowed < 2 else allowed), "%"
    if decimals:
        return max(0.02 * abs(_value(match[0])), 10.0**-decimals), ""
    if total := re.match(r" of (\d[\d,]*)", after):
        return min(PICTURES, _value(total[1]) // 10), ""
    of_several = re.match(r" of (these|them)\b| to \d+[;:]", after)
    in_brackets = before.endswith("(") and after.startswith(")")
    second_count = re.search(r"\d to $", before) and after.startswith((";", ":"))
    return (PICTURES if of_several or in_brackets or second_count else 0), ""
