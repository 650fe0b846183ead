"""When one thing may be called faster than another."""

import numpy as np

from rpc.measuring.comparison import Ratio, compare
from rpc.measuring.measurement import Samples


def samples(values):
    return Samples(tuple(float(value) for value in values), 1)


def noisy(median, spread, seed, count=30):
    return samples(np.random.default_rng(seed).normal(median, spread, count))


def test_a_clear_difference_has_a_ratio_and_an_interval():
    found = compare(noisy(100, 2, 0), noisy(150, 2, 1))
    assert isinstance(found, Ratio)
    assert found.low < 1.5 < found.high
    assert found.high - found.low < 0.05


def test_the_same_is_not_compared():
    for seed in range(20):
        assert isinstance(compare(noisy(100, 5, seed), noisy(100, 5, seed + 100)), str)


def test_a_difference_within_both_spreads_is_swallowed():
    found = compare(noisy(100, 10, 0, 1000), noisy(103, 10, 1, 1000))
    assert "no difference beyond the spread" in found


def test_few_rounds_say_nothing():
    assert "it takes 6 rounds" in compare(samples([1] * 5), samples([2] * 5))
    assert "in turns" in compare(samples([1] * 6), samples([2] * 7))


def test_what_slows_both_down_changes_no_ratio():
    drift = np.linspace(1, 3, 20)
    found = compare(samples(100 * drift), samples(300 * drift))
    assert isinstance(found, Ratio)
    assert (round(found.low, 6), round(found.median, 6), round(found.high, 6)) == (3, 3, 3)
