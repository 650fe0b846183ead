"""The overall metrics, on examples that were worked by hand."""

import math

import pytest

from experiments.metrics import overall


def test_om_task_averages_architectures_inside_a_task_and_squares_over_tasks():
    ratios = {"cifar10": [0.8, 1.0], "glue": [0.5]}  # means 0.9 and 0.5
    assert overall.om_task(ratios) == pytest.approx(math.sqrt((0.81 + 0.25) / 2))


def test_om_arch_weighs_the_three_kinds_alike_however_many_architectures_each_has():
    ratios = {"cnn": [0.9, 0.7, 0.8], "transformer": [0.4], "mlp": [0.6, 0.6]}  # means 0.8, 0.4, 0.6
    assert overall.om_arch(ratios) == pytest.approx(math.sqrt((0.64 + 0.16 + 0.36) / 3))


def test_om_arch_is_refused_without_one_of_the_kinds():
    with pytest.raises(ValueError, match="cnn, transformer, mlp; got cnn, mlp"):
        overall.om_arch({"cnn": [1.0], "mlp": [1.0]})


def test_om_robust_is_above_one_if_binarization_loses_less_than_full_precision():
    gaps = {"fog": [(10.0, 5.0), (20.0, 20.0)], "snow": [(6.0, 12.0)]}  # means 1.5 and 0.5
    assert overall.om_robust(gaps) == pytest.approx(math.sqrt((2.25 + 0.25) / 2))


def test_om_robust_refuses_a_corruption_that_does_no_harm():
    with pytest.raises(ValueError, match="'fog' does not lower"):
        overall.om_robust({"fog": [(1.0, 0.0)]})


def test_om_train_takes_times_and_the_spread_over_hyper_parameters():
    seconds = [(10.0, 20.0)]  # 0.5
    accuracies = [([90.0, 92.0], [80.0, 84.0])]  # deviations 1 and 2: 0.5
    assert overall.om_train(seconds, accuracies) == pytest.approx(0.5)


def test_om_train_refuses_a_network_that_always_reaches_the_same():
    with pytest.raises(ValueError, match="does not depend"):
        overall.om_train([(1.0, 1.0)], [([1.0, 2.0], [3.0, 3.0])])


def test_compression_of_a_network_that_is_all_binary_is_the_ratio_itself():
    assert overall.compression(1000, 0, 64) == 64
    assert overall.compression(1000, 1000, 64) == 1


def test_compression_is_held_back_by_what_stays_float():
    assert overall.compression(64, 1, 64) == pytest.approx(64 / (63 / 64 + 1))


def test_compression_of_more_than_all_is_refused():
    with pytest.raises(ValueError, match="between none and all"):
        overall.compression(10, 11, 64)


def test_om_comp_is_the_quadratic_mean_of_both_means():
    assert overall.om_comp([10.0, 20.0], [20.0]) == pytest.approx(math.sqrt((225 + 400) / 2))


def test_om_infer_takes_latency_and_size():
    assert overall.om_infer([(12.0, 3.0), (8.0, 4.0)], [(30.0, 3.0)]) == pytest.approx(math.sqrt((9 + 100) / 2))


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf]])
def test_a_mean_of_nothing_or_of_what_is_no_number_is_refused(values):
    with pytest.raises(ValueError, match="finite numbers"):
        overall.quadratic_mean(values)
