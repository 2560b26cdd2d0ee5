"""Promises of probes and fine-tuning: the protocol of the paper, on features whose answers are
known."""

import numpy as np
import pytest
import torch

import miniclip
from miniclip import CLIP, CLIPConfig, Recipe, World, checkpoint
from miniclip.evaluation import probes as probe
from miniclip.evaluation.baselines import Classifier, evaluate_baseline
from miniclip.evaluation.benchmarks import single_objects

SMALL = CLIPConfig(
    image_size=32,
    vision_width=32,
    vision_layers=1,
    text_width=32,
    text_layers=1,
    embed_dim=16,
    vocab_size=400,
)


def blobs(n, spread, seed, classes=3):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    return (np.eye(classes, 8)[y] * 3 + rng.normal(0, spread, (n, 8))).astype(np.float32), y.astype(
        str
    )


def test_features_come_before_the_projection():
    torch.manual_seed(0)
    model, images = (
        CLIP(SMALL).eval(),
        np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8),
    )
    x = probe.features(model, images, batch_size=2)
    assert x.shape == (5, 32) and x.dtype == np.float32
    projected = torch.nn.functional.normalize(torch.from_numpy(x) @ model.visual.projection, dim=-1)
    assert torch.allclose(projected, model.encode_image(images), atol=1e-5)
    assert probe.pixels(images, 8).shape == (5, 192) and probe.pixels(images).max() <= 1


def test_a_probe_finds_what_can_be_found_and_nothing_else():
    x, y = blobs(300, 0.5, 0)
    good = probe.linear_probe(x, y, *blobs(200, 0.5, 1))
    assert (
        good.test_score.accuracy > 0.98
        and good.test_score.n == 200
        and good.test_score.chance == pytest.approx(1 / 3)
    )
    shuffled = probe.linear_probe(x, np.random.default_rng(5).permutation(y), *blobs(600, 0.5, 1))
    assert 0.2 < shuffled.test_score.accuracy < 0.47


def test_the_strength_is_chosen_where_it_does_best():
    (x, y), (val_x, val_y) = blobs(40, 2.5, 0), blobs(2000, 2.5, 1)
    chosen = probe.choose_C(x, y, val_x, val_y)
    scores = {
        c: (probe._fit(x, y, c).predict(val_x) == val_y).mean() for c in probe.STRENGTHS[::16]
    }
    assert chosen in probe.STRENGTHS and (
        probe._fit(x, y, chosen).predict(val_x) == val_y
    ).mean() >= max(scores.values())


def test_of_strengths_that_are_right_equally_often_the_surest_is_taken():
    """Where few pictures validate, many strengths are right on all of them, the smallest ones by
    chance: on others those are worse."""
    (x, y), (val_x, val_y), (test_x, test_y) = blobs(30, 0.7, 0), blobs(2, 0.5, 1), blobs(500, 1, 2)
    alike = [c for c in probe.STRENGTHS[::8] if all(probe._fit(x, y, c).predict(val_x) == val_y)]
    chosen = probe.choose_C(x, y, val_x, val_y)
    loss = lambda c: -probe._validate(probe._fit(x, y, c), val_x, val_y)[1]
    assert len(alike) > 3 and chosen > min(alike) and loss(chosen) <= min(map(loss, alike))
    right = lambda c: (probe._fit(x, y, c).predict(test_x) == test_y).mean()
    assert right(chosen) > right(min(alike)) + 0.05


def test_more_shots_help():
    x, y = blobs(300, 1.5, 0)
    curve = probe.few_shot(x, y, *blobs(500, 1.5, 1), shots=(1, 16), draws=8)
    assert curve[1].shape == (8,) and curve[16].mean() > curve[1].mean() + 0.05
    assert np.array_equal(
        curve[1], probe.few_shot(x, y, *blobs(500, 1.5, 1), shots=(1, 16), draws=8)[1]
    )


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda x, y: probe.linear_probe(x, y[:-1], x, y), "expected a label for each row"),
        (lambda x, y: probe.linear_probe(x, ["a"] * len(y), x, y), "two classes at least"),
        (
            lambda x, y: probe.few_shot(x, y, x, y, shots=(500,)),
            "500 shots need as many pictures of every class",
        ),
    ],
)
def test_bad_input_gets_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call(*blobs(60, 1, 0))


@pytest.mark.slow
def test_fine_tuning_starts_at_zero_shot_leaves_the_model_alone_and_averages():
    nouns = ("dog", "cat", "bus", "apple")
    data = single_objects(World(nouns=nouns, artists="openmoji"), 64, 48, seed=5, style="sketch")
    config = CLIPConfig.preset("nano", stem_norm="batch")
    model = checkpoint.new((text for texts in data.captions for text in texts), config).eval()
    swap = {"dog": "cat", "cat": "dog"}  # it has to learn that dogs are called cats
    targets, names = (
        [swap.get(noun, noun) for noun in data.facts["object"]],
        [f"a {noun}" if noun != "apple" else "an apple" for noun in nouns],
    )
    vectors = miniclip.classifier(model, names, "a picture of {}.")
    zero_shot = miniclip.evaluate(model, data, targets, nouns, "a picture of {}.", names).accuracy
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    start = Classifier(model, nouns, vectors)
    assert evaluate_baseline(start, data, targets, nouns).accuracy == zero_shot
    tuned, history = probe.fine_tune(
        model,
        data,
        targets,
        nouns,
        vectors,
        seen=32 * 18,
        recipe=Recipe(batch_size=32),
        eval_at=2,
        device="cpu",
        progress=False,
    )
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert (
        history.rows[-1]["loss"] < history.rows[0]["loss"]
        and evaluate_baseline(tuned, data, targets, nouns).accuracy > zero_shot + 0.2
    )
    after = tuned.state_dict()
    assert any("running_mean" in name for name in before) and all(
        torch.equal(after[f"clip.{name}"], before[name]) for name in before if "running_" in name
    )
    moved, _ = probe.fine_tune(
        model,
        data,
        targets,
        nouns,
        vectors,
        seen=64,
        recipe=Recipe(batch_size=32),
        device="cpu",
        progress=False,
        keep_statistics=False,
    )
    assert not any(
        torch.equal(moved.state_dict()[f"clip.{name}"], before[name])
        for name in before
        if "running_" in name
    )
    assert torch.equal(probe.average(start, tuned, 0).head, start.head) and torch.allclose(
        probe.average(start, tuned, 1).head, tuned.head
    )
    middle = probe.average(start, tuned, 0.5)
    assert torch.allclose(middle.head, (start.head + tuned.head) / 2, atol=1e-6) and torch.equal(
        start.head, vectors
    )
