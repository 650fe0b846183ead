from tvm_bnn.bench.limits.bandwidth import cache_bytes, readings
from tvm_bnn.bench.limits.work import seconds


def test_caches_are_what_the_system_says(tmp_path):
    for index, (kind, level, size) in enumerate([("Data", 1, "48K"), ("Instruction", 1, "32K"), ("Unified", 2, "2M")]):
        folder = tmp_path / f"index{index}"
        folder.mkdir()
        for name, text in (("type", kind), ("level", level), ("size", size)):
            (folder / name).write_text(f"{text}\n")
    assert cache_bytes(tmp_path) == {1: 48 << 10, 2: 2 << 20}


def test_where_the_system_says_nothing_usual_sizes_do(tmp_path):
    assert cache_bytes(tmp_path)[1] == 32 << 10


def test_every_level_is_read_at_a_plausible_rate():
    found = readings()
    assert [reading.level for reading in found][0::3][0] == "L1"
    assert found[-1].level == "DRAM"
    for reading in found:
        rate = reading.work.amount / seconds(reading.work.call) / 1e9
        assert 0.05 < rate < 5_000, f"{reading.level}: {rate} GB/s"
