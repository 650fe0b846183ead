import os
import signal
import time

from tvm_bnn.tune.runners.forked import in_child, in_children

#: A child that does little has a result by then, however busy the machine is.
HANGS_S = 10


def test_what_a_child_returns_comes_back_in_order():
    found = in_children([lambda number=number: [number] * 100_000 for number in range(5)], 20, workers=2)
    assert [outcome.value[:1] for outcome in found] == [[number] for number in range(5)]


def test_a_child_that_raises_says_so():
    def fail():
        raise ValueError("first line\nno such tile")

    assert in_child(fail, 20).failure == "ValueError: no such tile"


def test_a_child_that_crashes_costs_its_own_result_only():
    found = in_children([lambda: os.kill(os.getpid(), signal.SIGSEGV), lambda: 7], 20)
    assert [outcome.failure for outcome in found] == ["crashed: SIGSEGV", ""]
    assert found[1].value == 7


def test_a_child_that_hangs_is_killed():
    found = in_children([lambda: time.sleep(1000), lambda: 7], HANGS_S, workers=2)
    assert found[0].failure == f"no result within {HANGS_S:g} s"
    assert found[1].value == 7


def test_a_child_that_just_leaves_has_no_result():
    assert in_child(lambda: os._exit(0), 20).failure == "ended without a result"


def test_children_that_a_child_started_die_with_it(tmp_path):
    def hang():
        process = os.fork()
        if process == 0:
            time.sleep(1000)
        (tmp_path / "process").write_text(str(process))
        time.sleep(1000)

    assert in_child(hang, HANGS_S).value is None
    process = int((tmp_path / "process").read_text())
    for _ in range(3000):
        state = _state(process)
        if state in {"", "Z"}:
            return
        time.sleep(0.02)
    raise AssertionError(f"process {process} is still in state {state}")


def _state(process):
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""
