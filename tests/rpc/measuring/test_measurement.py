from rpc.measuring.measurement import SAMPLE_SECONDS, Samples, measure


def test_statistics_are_of_all_samples():
    samples = Samples(tuple(float(value) for value in range(1, 12)), 1)
    assert (samples.median_ns, samples.p10_ns, samples.p90_ns, samples.mad_ns) == (6, 2, 10, 3)


def test_functions_take_turns_and_every_sample_is_kept():
    order = []
    calls = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    measured = measure(calls, repeats=3)
    assert {name: len(samples.samples_ns) for name, samples in measured.items()} == {"a": 3, "b": 3}
    turns = [name for name, previous in zip(order, [None, *order], strict=False) if name != previous]
    # One turn each to warm up, and three to measure.
    assert turns == ["a", "b"] * 4


def test_a_sample_of_a_fast_function_is_many_calls():
    measured = measure({"nothing": lambda: None}, repeats=2)["nothing"]
    assert measured.calls_a_sample > 100
    assert measured.calls_a_sample * measured.median_ns < 100 * SAMPLE_SECONDS * 1e9
