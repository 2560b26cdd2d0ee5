"""Promises of the comparison of outputs: another processor is forgiven, another result is not."""

import re
from pathlib import Path

import nbformat
import pytest
from conclusions import CONCLUSIONS, Outputs
from plugin import readable
from reading import NUMBER, difference

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("0*.ipynb"))
SHARE = "zero-shot: 92.6% (90.0% to 94.6%) of 500, chance 3.3%"
TABLE = (
    "home     CLIP  90% (86% to 92%)   twin  98% (96% to 99%)\n"
    "sketch   CLIP  42% (37% to 47%)   twin  80% (76% to 84%)"
)
RATE = "contrast  18,667 pictures, 1.5x (1.4 to 1.7) those of the bag"
FIGURE = (
    '<img alt="50 of 70 on the diagonal; guitar for violin (3), tomato for orange (3)" src="IMAGE">'
)
WINS = "sentence against word: 41 to 14; the first wins 62% to 84% of the disagreements"
DUEL = "sentence against word: 41 to 14: the first is better"
LOSS = "by hand:   0.0133\nlog 6:     1.7918"


@pytest.mark.parametrize(
    "text, old, new",
    [
        (SHARE, "92.6% (90.0% to 94.6%)", "92.8% (90.2% to 94.8%)"),  # one picture of 500
        (SHARE, "92.6%", "91.6%"),
        (SHARE.replace("500", "36"), "92.6%", "86%"),  # two pictures of 36
        (TABLE, "42% (37% to 47%)", "44% (39% to 49%)"),
        (TABLE, "CLIP  90%", "CLIP   90%"),  # another width of the column
        (TABLE.replace("98%", "99%"), "twin  99%", "twin 100%"),
        (FIGURE, "50 of 70", "47 of 70"),
        (FIGURE, "violin (3)", "violin (5)"),
        (WINS, "41 to 14", "43 to 12"),
        (DUEL, "41 to 14", "43 to 12"),
        (LOSS, "0.0133", "0.0135"),
        (LOSS, "1.7918", "1.8200"),
    ],
)
def test_what_another_processor_may_do_is_forgiven(text, old, new):
    assert old in text and difference(text, text.replace(old, new)) == ""


@pytest.mark.parametrize(
    "text, old, new, reason",
    [
        (SHARE, "92.6%", "88.6%", "88.6% is more than 1 points from 92.6%"),  # four points
        (SHARE, "of 500", "of 400", "400 is more than 0 from 500"),
        (SHARE, "zero-shot", "few-shot", "other words"),
        (TABLE, "42% (", "46% (", "46% is more than 2 points from 42%"),
        (TABLE, "twin  98%", "twin  94%", "more than 2 points"),
        (TABLE, TABLE.splitlines()[0] + "\n", "", "other words"),  # the first line is missing
        (TABLE, "\n" + TABLE.splitlines()[1], "", "line 2 is missing: 'sketch"),
        (TABLE, "84%)", "84%)\nnoise", "line 3 is too many: 'noise'"),
        (TABLE, TABLE, "\n".join(reversed(TABLE.splitlines())), "other words"),  # two rows swapped
        (
            TABLE,
            "CLIP  90% (86% to 92%)   twin  98%",
            "twin  98% (86% to 92%)   CLIP  90%",
            "other words",
        ),
        (
            TABLE,
            "90% (86% to 92%)   twin  98% (96% to 99%)",
            "98% (96% to 99%)   twin  90% (86% to 92%)",
            "points from",
        ),
        (RATE, "18,667", "18,668", "18,668 is more than 0 from 18,667"),
        (RATE, "1.5x", "1.7x", "1.7 is more than 0.1 from 1.5"),
        (FIGURE, "50 of 70", "46 of 70", "46 is more than 3 from 50"),
        (FIGURE, "violin (3)", "violin (7)", "7 is more than 3 from 3"),
        (FIGURE, "guitar", "banana", "other words"),
        (WINS, "41 to 14", "41 to 18", "18 is more than 3 from 14"),
        (DUEL, "41 to 14", "37 to 14", "37 is more than 3 from 41"),
        (DUEL, "first is better", "second is better", "other words"),
        (LOSS, "0.0133", "0.0140", "0.0140 is more than"),
        (LOSS, "0.0133", "-0.0133", "-0.0133 is more than"),
        (LOSS, "0.0133", "nan", "other words"),
        ("loss 4.16", "4.16", "4.26", "4.26 is more than"),
        ("shape (6, 192)", "192", "193", "193 is more than 0"),
        ("6 of 6 rows", "6 of", "5 of", "5 is more than 0 from 6"),
        ("recall@1 97.4%", "recall@1", "recall@5", "5 is more than 0 from 1"),
    ],
)
def test_what_changes_a_result_is_not(text, old, new, reason):
    assert old in text and reason in difference(text, text.replace(old, new, 1))


def outputs():
    """Every saved text of every notebook, with a name."""
    for path in NOTEBOOKS:
        cells = [
            cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"
        ]
        for number, cell in enumerate(cells):
            for kind, texts in readable(cell.outputs).items():
                yield from (
                    (f"{path.stem[:2]} cell {number} {kind}", text)
                    for text in texts
                    if text.strip()
                )


def test_of_all_saved_outputs_no_word_line_or_large_change_goes_unseen():
    """Seeded faults in each of them: a word, a line that is gone or twice, a percentage five
    points off, a number doubled."""
    seeded = 0
    for name, text in outputs():
        assert difference(text, text) == "", name
        lines = text.splitlines()
        faults = [text + "\nmore", re.sub(r"[A-Za-z]{3,}", "other", text, count=1)]
        faults += ["\n".join(lines[:-1])] if lines[-1].strip() else []
        for match in NUMBER.finditer(text):
            value, after = float(match[0].replace(",", "")), text[match.end() :]
            n = re.match(r"%[^%]*(?:%[^%]*){0,2}?\bof (\d+)", after)
            if after.startswith("%") and (n is None or int(n[1]) >= 100):
                faults.append(f"{text[: match.start()]}{value - 5}{after}")
            elif not after.lstrip().startswith("%") and abs(value) >= 7:
                faults.append(f"{text[: match.start()]}{2 * value:.10g}{after}")
        for fault in faults:
            if fault != text:
                seeded += 1
                assert difference(text, fault), (name, text[:200], fault[:200])
    assert seeded > 1000


def test_saved_outputs_say_what_the_prose_concludes():
    assert sorted(CONCLUSIONS) == [path.stem for path in NOTEBOOKS]
    for path in NOTEBOOKS:
        cells = [
            cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"
        ]
        saved = Outputs({number: cell.outputs for number, cell in enumerate(cells)})
        for sentence, holds in CONCLUSIONS[path.stem].items():
            assert holds(saved), (path.stem, sentence, saved.asked[-6:])
        assert len(CONCLUSIONS[path.stem]) >= 5


def test_a_number_that_is_not_there_is_no_conclusion():
    saved = Outputs({0: [nbformat.v4.new_output("stream", text="loss 0.25 of 3\n")]})
    assert saved(0, "loss") == 0.25 and saved(0, "loss", 1) == 3
    with pytest.raises(LookupError, match="code cell 0 does not say 'accuracy'"):
        saved(0, "accuracy")
    with pytest.raises(LookupError, match="has no 3 numbers after 'loss'"):
        saved(0, "loss", 2)
