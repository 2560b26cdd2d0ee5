"""Promises of the studies: they can be stopped and taken up again, and write down what they
measured."""

import json

import pytest
import torch

import miniclip
from miniclip import World, checkpoint
from miniclip.evaluation import objectives, studies
from miniclip.evaluation.baselines import evaluate_baseline, load_baseline
from miniclip.evaluation.benchmarks import CHOICE_SEED, questions, single_objects
from miniclip.evaluation.shifts import ask_all, shifted
from miniclip.zeroshot import wilson

SHORT = {"seen": 128, "pictures": 64, "tests": 6}
SHORTER = {
    "robustness": {
        "seen": 512,
        "only": ["captions", "labels", "labels of all"],
        "seeds": (0,),
        "rates": (1e-3,),
    },
    "objectives": {"only": ["plain"], "seeds": (0,), "rates": (1e-3,), "rounds": 1},
    "lessons": {
        "only": ["silent", "both colours, against wrong captions"],
        "seeds": (0,),
        "seen": 256,
        "pictures": 256,
    },
    "parts": {"seeds": (0,), "rates": (1e-3,), "tests": 40},
}
PARTS = {"objectives": 4, "robustness": 7, "lessons": 3, "towers": 2, "mistakes": 5, "parts": 4}
MODELS = {
    "objectives": {"contrastive", "bag-of-words", "captioner"},
    "robustness": {"home", "classifier"},
    "lessons": {"plain"},
    "towers": set(),
    "mistakes": set(),
    "parts": set(),
}
# Pictures that the longest training of what ships has seen.
LONG = {"parts": 16_000, "mistakes": 9_600, "robustness": 64_000, "lessons": 11_000}
NO_SHARES = ("seen", "loss", "minutes", "scale", "alike")  # columns that are no accuracies


def rows_of(part: list | dict) -> list[dict]:
    """What was written down along a training, or at its end alone."""
    return part if isinstance(part, list) else [part]


def budget_of(part: str) -> float:
    """The share of a study's pictures that a training sees: "labels | 0.25 | seed 0" has 0.25,
    and what goes before the lessons has four times what a lesson has."""
    if part.startswith("before"):
        return 4.0
    if part.startswith("both colours"):  # three tenths, in whole batches
        return 0.25
    middle = part.split(" | ")[1:2]
    return float(middle[0]) if middle and middle[0][0].isdigit() else 1.0


def test_several_processes_can_write_one_file(tmp_path):
    """Each finds the parts of the other in it, and neither is lost."""
    one, other = (studies.Log(tmp_path / "some.json") for _ in range(2))
    one.part("a", lambda: 1)
    other.part("b", lambda: 2)
    one.part("c", lambda: 3)
    assert json.loads((tmp_path / "some.json").read_text()) == {"a": 1, "b": 2, "c": 3}
    assert [path.name for path in tmp_path.iterdir()] == ["some.json"]


def test_a_part_that_is_there_is_not_measured_again(tmp_path):
    log = studies.Log(tmp_path / "some.json")
    assert log.part("one", lambda: [1]) == [1]
    again = studies.Log(tmp_path / "some.json")
    assert again.part("one", lambda: 1 / 0) == [1]
    with pytest.raises(ZeroDivisionError):
        again.part("two", lambda: 1 / 0)
    assert json.loads((tmp_path / "some.json").read_text()) == {"one": [1]}


@pytest.mark.slow
@pytest.mark.parametrize("name", studies.STUDIES)
def test_a_study_runs_writes_what_ships_part_by_part_and_keeps_its_models(name, tmp_path):
    """In a short form; the second time nothing is left to do."""
    results = tmp_path / "results" / "study.json"
    log = studies.Log(results, tmp_path)
    short = SHORT | SHORTER.get(name, {})
    studies.STUDIES[name](log, **short)
    others = ("about", "overlap")
    trained = [part for part in log.parts if part not in others and not part.endswith("rates")]
    assert len(trained) == PARTS[name] and "about" in log.parts
    shipped = studies.result(name)  # has the same parts with the same columns, from long runs
    assert set(log.parts) <= set(shipped) and (name in SHORTER or len(log.parts) == len(shipped))
    for part in trained:
        rows, long = map(rows_of, (log.parts[part], shipped[part]))
        assert rows[0].keys() == long[0].keys() and len(long) >= (9 if len(rows) > 1 else 1)
        for some in (rows, long):
            assert (seen := [row["seen"] for row in some]) == sorted(seen)
            shares = ({k: v for k, v in row.items() if k not in NO_SHARES} for row in some)
            assert all(0 <= value <= 1 for row in shares for value in row.values())
        budget = budget_of(part)
        assert rows[-1]["seen"] == budget * short["seen"]
        assert long[-1]["seen"] >= budget * LONG.get(name, 20_000)
    models = {path.stem for path in tmp_path.glob("*.safetensors")}
    assert models == MODELS[name]
    for model in models:
        assert (
            checkpoint.read(checkpoint.SHIPPED[model])[0].config.image_size
            == checkpoint.read(tmp_path / f"{model}.safetensors")[0].config.image_size
        )
    before = results.read_text()
    again = studies.Log(results, tmp_path)
    studies.STUDIES[name](again, **short)
    assert results.read_text() == before
    if "classifier" in models:
        twin = load_baseline(tmp_path / "classifier.safetensors", "cpu")
        assert len(twin.labels) == 40 and twin.head.shape[0] == 40
        with pytest.raises(ValueError, match="holds a CLIP and no rival"):
            load_baseline(tmp_path / "home.safetensors", "cpu")
        with pytest.raises(ValueError, match="holds a Classifier, which has learned no text tower"):
            checkpoint.load(tmp_path / "classifier.safetensors", "cpu")


def test_an_unknown_study_is_named():
    with pytest.raises(
        ValueError,
        match="there is no study 'figure 3'; there are objectives, robustness, lessons, towers,"
        " parts, mistakes, real",
    ):
        studies.result("figure 3")


@pytest.mark.slow
def test_the_models_that_ship_score_as_the_study_says():
    """What each training came to, measured again on some of its pictures."""
    sets = {name: data for name, data in shifted(200).items() if name in ("home", "pencil sketch")}
    study = studies.result("robustness")
    for model, part in (
        (checkpoint.load("home", "cpu"), "captions | 1 | seed 0"),
        (load_baseline("classifier", "cpu"), "labels | 0.5 | seed 0"),
    ):
        for name, score in ask_all(model, sets).items():
            low, high = wilson(round(study[part][name] * 200), 200, z=3.3)
            assert low <= score.accuracy <= high, (part, name)


def test_a_contrast_among_few_is_the_mean_over_groups():
    """And with one group it is InfoNCE."""
    torch.manual_seed(0)
    images, texts = (torch.nn.functional.normalize(torch.randn(8, 5), dim=1) for _ in range(2))
    scale = torch.tensor(10.0)
    halves = [
        miniclip.info_nce(images[half], texts[half], scale) for half in (slice(4), slice(4, 8))
    ]
    assert torch.isclose(objectives.among(4)(images, texts, scale), sum(halves) / 2)
    assert torch.isclose(
        objectives.among(8)(images, texts, scale), miniclip.info_nce(images, texts, scale)
    )


def test_the_search_for_a_learning_rate_goes_on_until_the_best_is_inside(tmp_path, monkeypatch):
    """With rates that are the better the nearer they are to 16e-3, and to 1e-3 at last."""
    tried = []

    def train(data, config, recipe, **options):
        tried.append(recipe.lr)
        row = {"seen": 1, "loss": 1.0, "object": 1 / (1 + abs(recipe.lr - best))}
        return None, miniclip.History([row])

    monkeypatch.setattr(objectives, "OBJECTIVES", {"contrast": train})
    monkeypatch.setattr(objectives, "speeds", lambda rounds, pictures: {})
    for best, expected in (
        (16e-3, {1e-3, 2e-3, 4e-3, 8e-3, 16e-3, 32e-3}),
        (2e-3, {1e-3, 2e-3, 4e-3}),
    ):
        tried.clear()
        log = studies.Log(tmp_path / f"{best}.json")
        objectives.compare_objectives(log, pictures=4, tests=2, only=["plain"], seeds=(0, 1))
        assert set(tried) == expected and tried[-2:] == [best, best]
        assert set(log.parts["plain | contrast | rates"]) == {str(lr) for lr in expected}
    with pytest.raises(ValueError, match="no condition 'chatty'; there are plain, 4 words"):
        objectives.compare_objectives(log, only=["chatty"])


def test_where_nothing_is_learned_by_then_the_whole_budget_decides(tmp_path, monkeypatch):
    """About the learning rate."""
    tried = []

    def train(data, config, recipe, seen, **options):
        tried.append((recipe.lr, seen))
        right = 0.5 if (recipe.lr, seen) == (2e-3, 800) else 0.04
        return None, miniclip.History([{"seen": seen, "loss": 1.0, "object": right}])

    monkeypatch.setattr(objectives, "OBJECTIVES", {"contrast": train})
    monkeypatch.setattr(objectives, "speeds", lambda rounds, pictures: {})
    log = studies.Log(tmp_path / "some.json")
    objectives.compare_objectives(log, seen=800, pictures=4, tests=2, only=["plain"], seeds=(0,))
    assert {seen for _, seen in tried[:-4]} == {300} and tried[-4:-1] == [
        (lr, 800) for lr in objectives.LEARNING_RATES
    ]
    assert tried[-1] == (2e-3, 800)
    assert log.parts["plain | contrast | rates"] == {"0.001": 0.04, "0.002": 0.5, "0.004": 0.04}


def test_a_contrast_of_bags_is_kept_and_found_again(tmp_path):
    data = miniclip.data.picturebook(64, 0, 48, World.starter(), progress=False)
    model, _ = objectives.contrast_of_bags(data, "nano", seen=64, device="cpu", progress=False)
    studies.Log(tmp_path / "some.json", tmp_path).keep("bags", model, "some")
    again, texts = load_baseline(tmp_path / "bags.safetensors", "cpu"), ["a dog", "a cat and a dog"]
    with torch.inference_mode():
        for one, other in (
            (model.encode_text(texts), again.encode_text(texts)),
            (model.encode_image(data.images[:4]), again.encode_image(data.images[:4])),
        ):
            assert torch.allclose(one, other, atol=0.01)  # kept in fp16


@pytest.mark.parametrize("name", ["bag-of-words", "captioner"])
def test_the_rivals_that_ship_are_the_trained_ones(name):
    """On a few pictures each names many times as many things as chance, which is 2.5 %."""
    data = single_objects(World.starter(), 60, 48)
    q, model = questions(data)["object"], load_baseline(name, "cpu")
    names = q.names if name == "captioner" else q.labels
    assert (
        evaluate_baseline(
            model,
            data,
            q.targets,
            q.labels,
            names,
            calibrate=single_objects(World.starter(), 40, 48, CHOICE_SEED),
        ).accuracy
        > 0.2
    )
