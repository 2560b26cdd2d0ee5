"""Promises of the doctor: it measures, it says what is missing and what to do, and a script can
read it."""

import json
import time

import pytest

from miniclip.tools import doctor as module
from miniclip.tools.doctor import CLASSES, advice, describe, doctor


@pytest.fixture(scope="module")
def found():
    return doctor(seconds=0.5, show=False)


def test_a_machine_is_described(found, capsys):
    assert json.loads(json.dumps(found)) == found
    assert (
        found["pictures_per_second"] > 1
        and found["speed"] in {name for _, name, _ in CLASSES}
        and found["free_gigabytes"] > 0
    )
    assert (
        found["missing"] == []
        and found["versions"]["torch"]
        and {"photos", "picturebook"} <= set(found["models"])
    )
    said = describe(found)
    assert (
        f"{found['pictures_per_second']:,.0f} training pictures a second" in said
        and found["speed"] in said
        and f"precision {found['precision']}" in said
    )
    assert ("\nto do:" in said) == bool(found["do"])


@pytest.mark.alone
@pytest.mark.slow
def test_the_speed_is_measured_and_not_remembered(monkeypatch):
    """A loss that takes longer makes a slower machine."""
    quick, loss = module.training_rate(0.3), module.info_nce
    monkeypatch.setattr(module, "info_nce", lambda *a: (time.sleep(0.25), loss(*a))[1])
    slow = module.training_rate(0.3)
    assert slow < 64 / 0.25 and slow < quick


@pytest.mark.parametrize(
    "rate, speed", [(5000, "fast"), (350, "as in the README"), (100, "slow"), (10, "very slow")]
)
def test_speed_has_classes(monkeypatch, capsys, rate, speed):
    monkeypatch.setattr(module, "training_rate", lambda seconds: float(rate))
    found = doctor()
    assert found["speed"] == speed and found["first_command_minutes"] == pytest.approx(
        96_000 / rate / 60, abs=0.06
    )
    assert speed in capsys.readouterr().out and bool(found["do"]) >= (rate < 200)
    assert rate != 350 or found["notebook_seconds"] == [12, 64]


@pytest.mark.parametrize(
    "change, words",
    [
        ({"missing": ["ipywidgets"]}, "pip install ipywidgets"),
        (
            {"missing": ["torch", "numpy"]},
            "torch, numpy are missing: pip install -r requirements.txt",
        ),
        ({"python": "3.9.2"}, "Python 3.9.2 is too old"),
        ({"free_gigabytes": 0.4}, "0.4 GB are free"),
        ({"models": []}, "did not come along"),
        ({"device": "cpu", "cores": 16, "threads": 1}, "1 threads of 16 cores"),
        ({"speed": "very slow"}, "do not train in class"),
    ],
)
def test_what_is_wrong_is_told_with_what_to_do(found, change, words):
    well = found | {
        "missing": [],
        "cores": 2,
        "threads": 2,
        "speed": "fast",
        "free_gigabytes": 50.0,
        "models": ["picturebook"],
    }
    assert advice(well) == [] and "nothing to do" in describe(well | {"do": []})
    assert any(words in one for one in advice(well | change))
