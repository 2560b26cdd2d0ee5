"""Promises of training: it learns, it can be stopped and taken up again, and it says what is
wrong."""

import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial

import numpy as np
import pytest
import torch

import miniclip
from miniclip import CLIPConfig, Recipe, checkpoint, train
from miniclip.data import CaptionedImages, picturebook
from miniclip.training.augmentation import augment, downsample
from miniclip.training.batches import Batches, random_numbers
from miniclip.training.optimizers import (
    Muon,
    make_optimizers,
    orthogonal,
    schedule,
    set_learning_rates,
)

SMALL = CLIPConfig(
    image_size=32,
    vision_width=32,
    vision_layers=1,
    text_width=32,
    text_layers=1,
    embed_dim=32,
    vocab_size=600,
)
RECIPE = Recipe(batch_size=32, crop=0.8, flip=True, jitter=0.2)


@pytest.fixture(scope="module")
def data():
    return picturebook(96, seed=1, size=40)


def run(data, **options):
    return train(
        data,
        SMALL,
        **{
            "seen": 192,
            "recipe": RECIPE,
            "progress": False,
            "device": "cpu",
            "eval_at": 3,
            **options,
        },
    )


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_batch_can_be_learned_by_heart():
    data = picturebook(64, seed=1, size=32)
    single = CaptionedImages(data.images, [texts[:1] for texts in data.captions])
    model, history = run(
        single, seen=64 * 150, recipe=Recipe(batch_size=64, captions_per_image=1), eval_at=5
    )
    losses = history.column("loss")[1]
    assert losses[0] > 2 and losses[-1] < 0.5 < math.log(64)
    recall = miniclip.retrieval.evaluate_retrieval(model, single)
    assert recall.image_to_text[1] > 0.8 and recall.text_to_image[1] > 0.8


@pytest.mark.parametrize(
    "loss",
    ["info_nce", "sigmoid", lambda image, text, scale: -(scale * image * text).sum(1).mean()],
)
def test_both_losses_and_ones_own_train(data, loss):
    model, history = run(data, recipe=Recipe(batch_size=32, loss=loss))
    losses = history.column("loss")[1]
    assert losses[-1] < losses[0] and not model.training


def test_half_precision_learns_about_the_same(data):
    full, half = (run(data, precision=name)[1].column("loss")[1] for name in ("fp32", "bf16"))
    assert half == pytest.approx(full, rel=0.05) and half != full


def test_the_same_seed_gives_the_same_weights_and_another_others(data):
    first, again, other = (
        weights(run(data, recipe=Recipe(batch_size=32, seed=seed))[0]) for seed in (0, 0, 1)
    )
    assert same(first, again) and not same(first, other)


@pytest.mark.parametrize("loss, optimizer", [("info_nce", "muon"), ("sigmoid", "adamw")])
def test_resuming_gives_bit_identical_weights_to_never_having_stopped(
    data, tmp_path, loss, optimizer
):
    recipe = Recipe(batch_size=32, crop=0.8, flip=True, jitter=0.2, loss=loss, optimizer=optimizer)
    whole, history = run(data, recipe=recipe)
    asked = []

    def interrupt(model):
        asked.append(1)
        if len(asked) == 2:
            os.kill(os.getpid(), signal.SIGINT)  # Ctrl-C, somewhere in the middle
        return {}

    out = tmp_path / "run.safetensors"
    half, half_history = run(data, recipe=recipe, eval_fn=interrupt, out=out)
    assert len(half_history.rows) == 2 and not same(weights(half), weights(whole))
    assert same(weights(checkpoint.load(out)), weights(half))  # a usable checkpoint
    resumed, resumed_history = run(data, recipe=recipe, out=out, resume=True)
    assert same(weights(resumed), weights(whole)) and same(
        weights(checkpoint.load(out)), weights(whole)
    )
    assert [row["loss"] for row in resumed_history.rows] == pytest.approx(
        [row["loss"] for row in history.rows]
    )


KILLED = """
import sys
import miniclip, test_train
data = miniclip.data.picturebook(96, seed=1, size=40)
test_train.run(data, seen=32 * 4000, out=sys.argv[1], save_every=0)
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_from_its_last_checkpoint(data, tmp_path):
    out = tmp_path / "run.safetensors"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(
            [os.path.dirname(__file__), os.environ.get("PYTHONPATH", "")]
        ),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), out], env=environment
    )
    deadline = time.monotonic() + 90
    while not out.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.kill()
    process.wait()
    _, training, state = checkpoint.read(out)
    assert 0 < training["step"] < 4000 and state
    run(data, seen=32 * (training["step"] + 3), out=out, resume=True)
    assert checkpoint.read(out)[1]["step"] == training["step"] + 3


def test_a_full_disk_costs_nothing_but_the_checkpoint(data, tmp_path, monkeypatch, capsys):
    """The training goes on and says so; what was saved before stays, and resume goes on from it."""
    out, real, calls = tmp_path / "run.safetensors", checkpoint.save_file, []

    def full(*arguments):
        calls.append(1)
        if len(calls) > 2:
            raise OSError(28, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr(checkpoint, "save_file", full)
    model, _ = run(data, out=out, save_every=0)
    assert (
        "No space left on device; a checkpoint that was there before is still whole"
        in capsys.readouterr().err
    )
    assert same(weights(model), weights(run(data)[0])) and checkpoint.read(out)[1]["step"] == 2
    monkeypatch.setattr(checkpoint, "save_file", real)
    resumed, _ = run(data, out=out, resume=True)
    assert same(weights(resumed), weights(model)) and sorted(
        path.name for path in tmp_path.iterdir()
    ) == ["run.jsonl", "run.safetensors"]


def test_resuming_something_else_is_refused(data, tmp_path):
    out = tmp_path / "run.safetensors"
    run(data, out=out)
    with pytest.raises(ValueError, match="training of .* is complete"):
        run(data, out=out, resume=True)
    for options in ({"recipe": Recipe(batch_size=16)}, {"data": data[:64]}):
        with pytest.raises(
            ValueError, match="on other data, with another recipe or of another size"
        ):
            run(**{"data": data, "out": out, "resume": True, **options})
    with pytest.raises(ValueError, match="needs `out`"):
        run(data, resume=True)


def test_resuming_from_nothing_starts_anew(data, tmp_path):
    model, _ = run(data, out=tmp_path / "new.safetensors", resume=True)
    assert same(weights(model), weights(run(data)[0]))


def test_a_loss_that_is_no_number_stops_with_a_sentence_and_keeps_the_checkpoint(data, tmp_path):
    out, calls = tmp_path / "run.safetensors", []

    def breaks(image, text, scale):
        calls.append(1)
        return miniclip.info_nce(image, text, scale) * (float("nan") if len(calls) == 4 else 1)

    with pytest.raises(
        FloatingPointError,
        match=r"the loss became nan at step 3; the last checkpoint is kept. "
        r"Try a lower learning rate, now 0.001",
    ):
        run(
            data,
            recipe=Recipe(batch_size=32, captions_per_image=1, loss=breaks),
            out=out,
            save_every=0,
        )
    assert all(tensor.isfinite().all() for tensor in checkpoint.load(out).state_dict().values())


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"seen": None}, "give a budget, either minutes or seen"),
        ({"minutes": 1}, "give a budget"),
        ({"seen": 0}, "above zero"),
        (
            {"recipe": Recipe(batch_size=256)},
            "a batch of 256 needs at least as many pictures, there are 96",
        ),
        ({"device": "tpu9"}, "there is no device 'tpu9' here; leave it out to use"),
    ],
)
def test_impossible_wishes_are_refused_with_a_sentence(data, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        run(data, **options)


@pytest.mark.parametrize(
    "values, sentence",
    [
        ({"loss": "triplet"}, "loss is info_nce, sigmoid or a function, not 'triplet'"),
        ({"optimizer": "sgd"}, "optimizer is muon or adamw, not 'sgd'"),
        ({"batch_size": 1}, "a batch_size of 2 or more"),
        ({"captions_per_image": 0}, "captions_per_image of 1 or more"),
        ({"crop": 0}, "crop above 0"),
    ],
)
def test_impossible_recipes_are_refused_with_a_sentence(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        Recipe(**values)


def test_several_captions_of_a_picture_go_into_one_step(data):
    assert not same(
        weights(run(data, recipe=Recipe(batch_size=32, captions_per_image=1))[0]),
        weights(run(data, recipe=Recipe(batch_size=32, captions_per_image=3))[0]),
    )
    batches = Batches(
        data,
        miniclip.Tokenizer.train(sum(data.captions, []), 600),
        SMALL,
        Recipe(batch_size=32, captions_per_image=3),
        torch.device("cpu"),
    )
    images, tokens = batches(5)
    assert (
        images.shape == (32, 3, 32, 32)
        and torch.equal(tokens, batches(5)[1])
        and tokens.shape[0] == 96
        and tokens[:, -1].any()  # trimmed to the longest text
    )
    own = [
        {tuple(row) for row in batches.tokens[start : start + 5, : tokens.shape[1]].tolist()}
        for start in batches.starts[batches.order[32 * (5 % 3) :][:32]]
    ]
    assert all(tuple(tokens[k * 32 + i].tolist()) in own[i] for k in range(3) for i in range(32))


def test_a_trained_model_can_be_trained_further_and_is_left_as_it_is(data, tmp_path):
    """With its own vocabulary; stopped and taken up again as any other training."""
    first, _ = miniclip.train(data, SMALL, seen=320, device="cpu", progress=False)
    before = {name: weight.clone() for name, weight in first.state_dict().items()}
    still = Recipe(lr=0.0, muon_lr=0.0)
    same, _ = miniclip.train(data, first, seen=64, recipe=still, device="cpu", progress=False)
    assert all(torch.equal(a, b) for a, b in zip(first.text.parameters(), same.text.parameters()))
    other = miniclip.data.picturebook(len(data), seed=9, size=40)
    further, _ = miniclip.train(
        other, first, seen=320, out=tmp_path / "further.safetensors", device="cpu", progress=False
    )
    assert further.tokenizer.to_json() == first.tokenizer.to_json()
    assert all(torch.equal(before[name], weight) for name, weight in first.state_dict().items())
    assert not torch.equal(further.visual.projection, first.visual.projection)
    with pytest.raises(ValueError, match="is complete"):
        miniclip.train(
            other,
            first,
            seen=320,
            out=tmp_path / "further.safetensors",
            resume=True,
            device="cpu",
            progress=False,
        )


def test_a_learning_rate_may_be_a_number_or_a_tensor():
    """A recorded step on a GPU reads tensors anew each time; the result is the same."""
    ends = []
    for rate in (0.1, torch.tensor(0.1)):
        torch.manual_seed(0)
        weight = torch.nn.Parameter(torch.randn(6, 4))
        weight.grad = torch.randn(6, 4)
        muon = Muon([weight], lr=rate, weight_decay=0.5)
        muon.param_groups[0]["peak_lr"] = 0.1
        for share in (1.0, 0.25):
            set_learning_rates([muon], share)
            muon.step()
        ends.append((weight.detach(), float(muon.param_groups[0]["lr"])))
    assert torch.allclose(ends[0][0], ends[1][0]) and ends[0][1] == pytest.approx(0.025)
    assert ends[1][1] == pytest.approx(0.025)


@pytest.mark.slow
def test_a_compiled_tower_learns_the_same(data, monkeypatch):
    """Without the code generator, which takes minutes and a C++ compiler: what is traced and run
    again is tested."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    plain, compiled = run(data)[0], run(data, compile=True)[0]
    for (name, a), b in zip(plain.named_parameters(), compiled.parameters()):
        assert torch.allclose(a, b, atol=1e-5), name


def test_a_budget_in_minutes_is_kept(data):
    started = time.perf_counter()
    run(data, seen=None, minutes=0.05)
    assert 2.9 < time.perf_counter() - started < 6


def test_scores_come_along_the_way(data):
    _, history = run(
        data, eval_fn=lambda model: {"object": 0.5, "training": float(model.training)}, eval_at=3
    )
    assert (
        history.column("object") == ([64, 128, 192], [0.5] * 3)
        and history.column("training")[1] == [0.0] * 3
    )
    assert history.column("loss")[0] == [64, 128, 192]
    _, early = run(data, eval_at=(1.0, 0.3))
    assert early.column("loss")[0] == [64, 192]


# ---- the parts


def test_the_learning_rate_rises_falls_and_ends_at_zero():
    rates = [schedule(share, 0.1) for share in np.linspace(0, 1, 101)]
    assert (
        0 < rates[0] < 0.02
        and rates[10] == pytest.approx(1)
        and rates[55] == pytest.approx(0.5)
        and rates[100] == pytest.approx(0, abs=1e-9)
    )
    assert all(a < b for a, b in zip(rates[:10], rates[1:11])) and all(
        a > b for a, b in zip(rates[10:], rates[11:])
    )


def test_without_decay_the_learning_rate_rises_and_stays(data):
    rates = [schedule(share, 0.1, "none") for share in np.linspace(0, 1, 101)]
    assert rates[:11] == [schedule(share, 0.1) for share in np.linspace(0, 0.1, 11)]
    assert set(rates[10:]) == {1.0}
    ends = [run(data, recipe=Recipe(batch_size=64, decay=way))[0] for way in ("cosine", "none")]
    assert not torch.equal(*(model.logit_scale for model in ends))
    with pytest.raises(ValueError, match="decay is cosine or none, not 'linear'"):
        Recipe(decay="linear")


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_every_weight_has_one_optimizer_and_decay_spares_gains_biases_positions_and_the_temperature(
    optimizer,
):
    model = miniclip.CLIP(SMALL)
    names = {weight: name for name, weight in model.named_parameters()}
    groups = [
        group
        for optimizer in make_optimizers(model, Recipe(optimizer=optimizer))
        for group in optimizer.param_groups
    ]
    assert sorted(names[w] for group in groups for w in group["params"]) == sorted(names.values())
    for name, decay in (
        (names[w], group["weight_decay"]) for group in groups for w in group["params"]
    ):
        spared = (
            name.endswith(("bias", "positional_embedding", "logit_scale", "logit_bias"))
            or "ln_" in name
            or model.get_parameter(name).ndim < 2
        )
        assert (decay == 0) == spared, name


def test_adamw_is_the_papers():
    (adamw,) = make_optimizers(miniclip.CLIP(SMALL), Recipe(optimizer="adamw"))
    assert (
        isinstance(adamw, torch.optim.AdamW)
        and adamw.defaults["betas"] == (0.9, 0.98)
        and adamw.defaults["eps"] == 1e-6
    )


@pytest.mark.parametrize("shape", [(20, 20), (8, 50), (50, 8)])
def test_muons_steps_have_singular_values_near_one_and_the_gradients_directions(shape):
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64)
    turned, other = orthogonal(torch.stack([1e-3 * x, torch.randn(shape, dtype=torch.float64)]))
    assert not torch.equal(turned, other)
    u, s, v = torch.linalg.svd(x, full_matrices=False)
    values = torch.diag(u.T @ turned @ v.T)
    assert turned.shape == shape and 0.6 < values[s > 0.05 * s[0]].min() and values.max() < 1.3
    assert (u.T @ turned @ v.T - torch.diag(values)).abs().max() < 1e-6


def test_muon_goes_downhill_and_decays():
    weight = torch.nn.Parameter(torch.randn(6, 4, 3, 3))
    muon, start = Muon([weight], lr=0.1, weight_decay=0.0), weight.detach().square().sum()
    for _ in range(80):
        muon.zero_grad()
        weight.square().sum().backward()
        muon.step()
    assert weight.detach().square().sum() < 0.1 * start
    still = torch.nn.Parameter(torch.ones(3, 3))
    still.grad = torch.zeros(3, 3)
    Muon([still], lr=0.1, weight_decay=0.5).step()
    assert torch.allclose(still, torch.full((3, 3), 0.95))


def test_the_temperature_is_held_at_a_hundred(data):
    model, _ = run(
        data, recipe=Recipe(batch_size=32, lr=1.0, loss=lambda i, t, s: -s), seen=320
    )  # wants it as high as can be
    assert model.logit_scale.exp().item() == pytest.approx(100, rel=1e-4)


def chances(*key):
    return torch.rand(6, 64, generator=random_numbers(*key))


def test_augmentation_crops_mirrors_and_keeps_the_size():
    images = torch.rand(64, 3, 40, 40)
    x = augment(images, 32, Recipe(crop=0.5, flip=True, jitter=0.3), chances(0, "a"))
    assert x.shape == (64, 3, 32, 32) and 0 <= x.min() and x.max() <= 1
    assert torch.equal(
        x, augment(images, 32, Recipe(crop=0.5, flip=True, jitter=0.3), chances(0, "a"))
    )
    assert not torch.equal(
        x, augment(images, 32, Recipe(crop=0.5, flip=True, jitter=0.3), chances(0, "b"))
    )
    ramp = torch.linspace(0, 1, 32).expand(64, 3, 32, 32)  # brighter to the right
    mirrored = (
        (augment(ramp, 32, Recipe(flip=True), chances(1)).diff(dim=3).mean(dim=(1, 2, 3)) < 0)
        .float()
        .mean()
    )
    assert 0.25 < mirrored < 0.75
    assert torch.equal(augment(ramp, 32, Recipe(), chances(1)), ramp)


def test_pictures_are_shrunk_once_and_left_alone_where_they_fit():
    images = np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3), dtype=np.uint8)
    assert (
        downsample(images, 128, 1.0) is images
        and downsample(images, 48, 1.0).shape == (3, 48, 48, 3)
        and downsample(images, 48, 0.5).shape == (3, 55, 55, 3)
    )
    assert np.abs(downsample(images, 64, 1.0).astype(float).mean() - images.mean()) < 2
