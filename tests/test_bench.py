"""Promises of the benches: they count right and measure what they say; rivals are only timed where they are installed."""

import pytest
import torch

from miniclip.bench import count_flops, gemm_rate, peak_memory, training_speed


def test_operations_are_counted_as_one_counts_by_hand():
    a, b = torch.randn(30, 50, requires_grad=True), torch.randn(50, 20, requires_grad=True)
    assert count_flops(lambda: (a @ b).sum().backward()) == 3 * 2 * 30 * 50 * 20  # forward, and a product for each gradient


def test_a_bench_gives_rates_that_a_machine_can_reach():
    speeds = training_speed("nano", batch_size=16, rounds=2, names=("miniclip",), memory=False)
    assert set(speeds) == {"miniclip fp32", "miniclip bf16", "miniclip fp32, as shipped"}
    for speed in speeds.values():
        assert speed.images_per_second == pytest.approx(16 / speed.seconds)
    assert 0.02 < speeds["miniclip fp32"].gemm_share < 1.2 and gemm_rate(256) > 1e9


def test_peak_memory_grows_with_the_batch():
    small, large = (peak_memory("miniclip fp32", "nano", batch) for batch in (8, 128))
    if small is None:
        pytest.skip("this system does not tell peak memory")
    assert small < large and 20 < large < 8000  # a small batch may hide behind what the imports took
