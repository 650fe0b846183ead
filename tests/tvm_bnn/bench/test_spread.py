from rpc.measuring.measurement import Samples
from tvm_bnn.bench.spread import indistinct, is_noisy


def samples(*times):
    return Samples(tuple(map(float, times)), 1)


def test_a_result_is_noisy_if_its_middle_half_spreads_over_a_tenth():
    assert not is_noisy(samples(100, 101, 99, 100, 500))
    assert is_noisy(samples(100, 120, 80, 110, 90))


def test_what_slows_both_down_does_not_hide_a_difference():
    a, b = samples(100, 200, 400, 100, 100), samples(110, 220, 440, 110, 110)
    assert not indistinct(a, b)
    assert not indistinct(b, a)


def test_two_that_win_in_turns_cannot_be_told_apart():
    assert indistinct(samples(100, 110, 100, 110), samples(105, 105, 105, 105))


def test_without_pairs_the_ranges_are_compared():
    assert indistinct(samples(100, 110), samples(105, 120, 130))
    assert not indistinct(samples(100, 101), samples(105, 120, 130))
