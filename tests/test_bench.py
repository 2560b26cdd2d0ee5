"""Promises of the benches: they count right and measure what they say; rivals are only timed
where they are installed."""

import pytest
import torch

from miniclip.tools.bench import (
    RIVALS,
    answer_time,
    count_flops,
    data_speed,
    gemm_rate,
    peak_memory,
    sizes,
    speed,
    time_to_learn,
)

pytestmark = pytest.mark.slow


def test_operations_are_counted_as_one_counts_by_hand():
    a, b = torch.randn(30, 50, requires_grad=True), torch.randn(50, 20, requires_grad=True)
    assert (
        count_flops(lambda: (a @ b).sum().backward()) == 3 * 2 * 30 * 50 * 20
    )  # forward, and a product for each gradient


@pytest.mark.alone
@pytest.mark.parametrize("what", ["training", "inference"])
def test_a_bench_gives_rates_that_a_machine_can_reach(what):
    speeds = speed("nano", batch_size=16, rounds=2, what=what, names=("miniclip",))
    assert set(speeds) == {
        "miniclip fp32",
        "miniclip bf16",
        "miniclip fp32, as shipped",
        "miniclip bf16, as shipped",
    }
    for one in speeds.values():
        assert one.images_per_second == pytest.approx(16 / one.seconds)
    if what == "training":
        assert 0.02 < speeds["miniclip fp32"].gemm_share < 1.2 and gemm_rate(256) > 1e9


def test_rivals_have_the_same_sizes():
    pytest.importorskip("open_clip")
    pytest.importorskip("transformers")
    _, plain = sizes("nano")
    parameters = {
        name: sum(weight.numel() for weight in make(plain).parameters())
        for name, make in RIVALS.items()
    }
    assert parameters["open_clip"] == pytest.approx(parameters["miniclip"], rel=0.01)
    assert parameters["transformers"] == pytest.approx(parameters["miniclip"], rel=0.01)


@pytest.mark.alone
def test_learning_is_watched_and_data_keeps_up():
    learned = time_to_learn(minutes=0.05, pictures=300)
    assert (
        learned["rows"][-1]["seen"] >= 64
        and {"object", "color", "place", "unseen"} <= learned["rows"][-1].keys()
    )
    assert learned["drawing"] > 0 and learned["record"] is None  # nothing is learned so soon
    assert 0 < learned["data_share"] < 0.3  # 1 % where nothing else runs


def test_data_and_answers_are_timed():
    rates = data_speed(pictures=60, photos=6)
    assert set(rates) == {"drawn", "packed", "torchvision"} and all(
        5 < rate < 100_000 for rate in rates.values()
    )
    times = answer_time("nano", tries=5)
    assert 0 < times["cached"] < times["uncached"] < 5000


def test_peak_memory_grows_with_the_batch():
    small, large = (peak_memory("miniclip fp32", "nano", batch) for batch in (8, 128))
    if small is None:
        pytest.skip("this system does not tell peak memory")
    assert (
        small < large and 20 < large < 8000
    )  # a small batch may hide behind what the imports took
