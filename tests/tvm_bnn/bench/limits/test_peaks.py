import shutil
import subprocess
import time
from pathlib import Path

import pytest

from schedules.errors import UserError
from schedules.machines import host
from schedules.machines.link import compile_program, link_triple
from tvm_bnn.bench.limits import loop_library, peaks
from tvm_bnn.bench.limits.work import repeated, seconds


def test_every_loop_that_runs_here_computes_what_it_should_at_a_plausible_rate():
    found = peaks.compute_peaks()
    assert {"binary", "float32"} <= {peak.quantity for peak in found}
    for peak in found:
        work = peak.work()
        rate = work.amount / min(seconds(work.call) for _ in range(3)) / 1e9
        assert 0.1 < rate < 20_000, f"{peak.name}: {rate} GMAC/s"


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler on the system")
def test_the_systems_compiler_makes_the_same_loops(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    loop_library.load_loops.cache_clear()
    names = [peak.name for peak in peaks.compute_peaks("system")]
    assert names == [peak.name for peak in peaks.compute_peaks()]
    loop_library.load_loops.cache_clear()


def test_each_instruction_set_of_this_machine_has_a_binary_and_a_float_peak():
    for isa in host.isas():
        for quantity in ("binary", "float32"):
            assert peaks.best_peak(quantity, isa.name).isa == isa.name


def test_a_missing_peak_is_one_line():
    with pytest.raises(UserError, match="this CPU executes no binary loop for z80") as caught:
        peaks.best_peak("binary", "z80")
    assert "\n" not in str(caught.value)


def test_a_loop_with_a_wrong_checksum_is_refused(monkeypatch):
    rows = loop_library.compute_rows(loop_library.load_loops())
    wrong = loop_library.ComputeRow.from_buffer_copy(rows[0])
    wrong.expected = rows[-1].expected
    monkeypatch.setattr(peaks, "compute_rows", lambda _library: [wrong])
    with pytest.raises(RuntimeError, match="computed"):
        peaks.compute_peaks()


def test_two_threads_do_twice_the_work_of_a_call():
    done = []

    def run(rounds):
        done.append(rounds)
        time.sleep(rounds * 1e-5)

    work = repeated([run] * 2, 3.0)
    done.clear()
    work.call()
    assert work.amount == 3.0 * sum(done)
    assert len(done) == 2


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_loops_compile_without_warnings_and_are_right(machine, tmp_path):
    program = tmp_path / "check"
    sources = [*loop_library.library_sources(), loop_library.CHECK]
    compile_program(sources, program, link_triple(machine), [], [])
    command = [str(program)]
    if machine != host.machine():
        emulator = shutil.which(f"qemu-{machine}") or shutil.which(f"qemu-{machine}-static")
        sysroot = Path(f"/usr/{machine}-linux-gnu")
        if emulator is None or not sysroot.exists():
            pytest.skip(f"no emulator for {machine} on this machine")
        command = [emulator, "-cpu", "max", "-L", str(sysroot), *command]
    flags = ["asimd", "asimddp"] if machine == "aarch64" else sorted(host.flags())
    finished = subprocess.run([*command, *flags], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    names = finished.stdout.splitlines()
    assert all(line.startswith("right: ") for line in names)
    assert ("NEON eor, cnt, uadalp" in finished.stdout) == (machine == "aarch64")
