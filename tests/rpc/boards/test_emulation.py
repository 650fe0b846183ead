"""Artifacts run without Python, here and on emulated boards."""

from pathlib import Path

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R
from tvm.script import tirx as T

from rpc.boards import emulation, runtime_libraries
from schedules.errors import UserError
from schedules.machines import host
from schedules.machines.link import linker
from schedules.machines.target import find_target

MACHINES = ["x86_64", "aarch64"]


def two_results(target, path):
    """``(a, b) -> (a + b, (cast(a), b))`` as a library."""
    builder = relax.BlockBuilder()
    a, b = (relax.Var(name, relax.TensorType((2, 3), "float32")) for name in "ab")
    with builder.function("main", [a, b]):
        with builder.dataflow():
            total = builder.emit(relax.op.add(a, b))
            whole = builder.emit(relax.op.astype(a, "int32"))
            result = builder.emit_output(builder.emit(relax.Tuple([total, relax.Tuple([whole, total])])))
        builder.emit_func_output(result)
    executable = relax.build(builder.get(), target=tvm.target.Target(target.tvm), exec_mode="compiled")
    executable.export_library(str(path), fcompile=linker(target.link_triple))
    return path


@I.ir_module
class DotProduct:
    @T.prim_func(s_tir=True)
    def squares(a: T.Buffer((16,), "uint8"), total: T.Buffer((4,), "int32")):
        with T.sblock("udot"):
            T.reads(a[0:16])
            T.writes(total[0:4])
            total[T.ramp(0, 1, 4)] = T.call_llvm_pure_intrin(
                "int32x4",
                "llvm.aarch64.neon.udot.v4i32.v16i8",
                T.broadcast(T.int32(0), 4),
                a[T.ramp(0, 1, 16)],
                a[T.ramp(0, 1, 16)],
            )

    @R.function
    def main(a: R.Tensor((16,), "uint8")) -> R.Tensor((4,), "int32"):
        cls = DotProduct
        with R.dataflow():
            total = R.call_tir(cls.squares, (a,), out_ty=R.Tensor((4,), "int32"))
            R.output(total)
        return total


def target_of(machine):
    return find_target("arm" if machine == "aarch64" else "x86-64")


@pytest.fixture(params=MACHINES)
def machine(request):
    missing = emulation.prepare(request.param)
    if missing is not None:
        pytest.skip(missing)
    return request.param


def test_calls_with_several_inputs_and_nested_outputs(machine, tmp_path):
    target = target_of(machine)
    library = two_results(target, tmp_path / "model.so")
    rng = np.random.default_rng(0)
    calls = [[rng.normal(0, 9, (2, 3)).astype(np.float32) for _ in range(2)] for _ in range(3)]
    results = emulation.run(library, machine, target.emulated_cpu, calls)
    assert len(results) == 3
    for (a, b), (total, whole, again) in zip(calls, results, strict=True):
        np.testing.assert_array_equal(total, a + b)
        np.testing.assert_array_equal(whole, a.astype(np.int32))
        np.testing.assert_array_equal(again, total)


def test_a_library_that_is_none_fails_in_one_line(machine, tmp_path):
    library = tmp_path / "broken.so"
    library.write_bytes(b"not a library")
    with pytest.raises(UserError, match=r"running 'broken.so' on .* failed: run_model: .+") as caught:
        emulation.run(library, machine, None, [])
    assert "\n" not in str(caught.value)


def test_a_call_that_does_not_fit_fails_in_one_line(machine, tmp_path):
    library = two_results(target_of(machine), tmp_path / "model.so")
    with pytest.raises(UserError, match=r"running 'model\.so'"):
        emulation.run(library, machine, None, [[np.zeros((5, 5), np.float32)] * 2])


@pytest.mark.parametrize("machine", ["aarch64"], indirect=True)
def test_an_emulated_core_refuses_instructions_that_it_lacks(machine, tmp_path):
    target = find_target("rpi5")
    executable = relax.build(DotProduct, target=tvm.target.Target(target.tvm), exec_mode="compiled")
    executable.export_library(str(tmp_path / "udot.so"), fcompile=linker(target.link_triple))
    a = np.arange(16, dtype=np.uint8)
    ((total,),) = emulation.run(tmp_path / "udot.so", machine, "cortex-a76", [[a]])
    np.testing.assert_array_equal(total, (a.astype(int) ** 2).reshape(4, 4).sum(axis=1))
    with pytest.raises(UserError, match=r"on cortex-a72 failed: SIGILL"):
        emulation.run(tmp_path / "udot.so", machine, "cortex-a72", [[a]])


def test_a_missing_emulator_is_named(monkeypatch):
    machine = "aarch64"
    if machine == host.machine():
        pytest.skip("this machine needs no emulator for it")
    monkeypatch.setattr("shutil.which", lambda _program: None)
    missing = emulation.unavailable(machine)
    assert missing is not None
    assert "qemu-user" in missing
    with pytest.raises(UserError, match="qemu-user"):
        emulation.run(Path("x.so"), machine, None, [])


def test_without_network_the_reason_is_told_and_nothing_fails(monkeypatch, tmp_path):
    machine = "aarch64"
    if emulation.unavailable(machine) is not None or machine == host.machine():
        pytest.skip("needs the emulator")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert "pip cannot download" in str(emulation.prepare(machine))


def test_a_machine_without_an_emulator_is_named():
    assert "no emulated riscv64 board" in str(emulation.unavailable("riscv64"))


def test_a_machine_that_tvm_has_no_runtime_for_is_named(monkeypatch):
    monkeypatch.setattr(emulation, "no_emulator", lambda _machine: None)
    assert str(emulation.unavailable("armv7l")).startswith("TVM has no runtime for armv7l")


def test_a_machine_without_wheels_has_no_runtime(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UserError, match="machine 'armv7l': TVM publishes no wheels"):
        runtime_libraries.runtime_libraries("armv7l")


def test_a_folder_that_could_not_be_filled_does_not_appear(tmp_path):
    def fail(folder):
        (folder / "half").touch()
        raise UserError("no network")

    with pytest.raises(UserError, match="no network"):
        runtime_libraries.cached(tmp_path / "cache" / "folder", fail)
    assert not list((tmp_path / "cache").iterdir())


def test_a_folder_is_filled_once(tmp_path):
    made = []
    for _ in range(2):
        runtime_libraries.cached(tmp_path / "folder", lambda folder: made.append(folder) or (folder / "x").touch())
    assert len(made) == 1
    assert (tmp_path / "folder" / "x").exists()
