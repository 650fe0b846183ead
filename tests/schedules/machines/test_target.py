import json
import subprocess
import sys

import pytest

from schedules.errors import UserError
from schedules.machines import host
from schedules.machines.isa import AVX2, AVX512_VPOPCNTDQ, NEON, NEON_ARMV7, PORTABLE
from schedules.machines.target import TARGETS, find_target, native


def test_names_are_unique():
    names = [target.name for target in TARGETS]
    assert len(set(names)) == len(names)


def test_arm_means_a_raspberry_pi_4():
    assert find_target("arm").tvm == find_target("rpi4").tvm
    assert find_target("arm").link_triple == "aarch64-linux-gnu.2.27"


def test_native_runs_here():
    target = native()
    assert target.runs_here
    assert target.machine == host.machine()


def flags_of(monkeypatch, *names):
    monkeypatch.setattr(host, "flags", lambda: frozenset(names))
    monkeypatch.setattr(host, "machine", lambda: "x86_64")


AVX512_FLAGS = ("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vpopcntdq", "avx512_vnni")


def test_amx_is_read_from_the_cpus_flags(monkeypatch):
    flags_of(monkeypatch, *AVX512_FLAGS, "amx_tile", "amx_int8", "avx512_bf16")
    target = native()
    assert {"+amx-tile", "+amx-int8"} <= set(target.tvm["mattr"])
    assert target.runs_here
    assert find_target("x86-amx").runs_here


def test_what_is_for_amx_does_not_run_without(monkeypatch):
    flags_of(monkeypatch, *AVX512_FLAGS, "avx512_bf16", "amx_tile")
    assert not find_target("x86-amx").runs_here
    named = '{"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "sapphirerapids"}'
    assert find_target(named).extras == {"amx_tile", "amx_int8"}
    assert not find_target(named).runs_here
    assert find_target("x86-avx512").runs_here


def test_another_architecture_does_not_run_here():
    other = "arm" if host.machine() == "x86_64" else "x86-avx2"
    assert not find_target(other).runs_here


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu sse2 popcnt avx2 fma bmi2", [AVX2, PORTABLE]),
        (
            "avx2 fma bmi2 popcnt avx512f avx512bw avx512dq avx512vl avx512_vnni avx512_vpopcntdq",
            [AVX512_VPOPCNTDQ, AVX2, PORTABLE],
        ),
        ("avx2 fma bmi2 popcnt avx512f avx512bw avx512dq avx512vl", [AVX2, PORTABLE]),
        ("fp asimd evtstrm crc32", [NEON, PORTABLE]),
        ("fpu sse2", [PORTABLE]),
    ],
)
def test_instruction_sets_are_read_from_the_cpus_flags(monkeypatch, flags, expected):
    monkeypatch.setattr(host, "flags", lambda: frozenset(flags.split()))
    assert host.isas() == expected


@pytest.mark.parametrize(
    ("options", "isa", "machine"),
    [
        ({"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a76"}, NEON, "aarch64"),
        ({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "znver5"}, AVX512_VPOPCNTDQ, "x86_64"),
        ({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "haswell"}, AVX2, "x86_64"),
        ({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "skylake-avx512"}, AVX2, "x86_64"),
        ({"kind": "llvm", "mtriple": "armv7l-unknown-linux-gnueabihf", "mcpu": "cortex-a7"}, NEON_ARMV7, "armv7l"),
    ],
)
def test_a_tvm_target_in_json_gets_the_best_instruction_set_it_has(options, isa, machine):
    target = find_target(json.dumps(options))
    assert (target.isa, target.machine) == (isa, machine)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("rpi9", "'rpi9' is not known; '--target list'"),
        ('{"kind": "llvm"', "not valid JSON"),
        ('{"kind": "cuda"}', "only 'llvm'"),
        ('{"kind": "llvm", "mcpu": "pentium99"}', "no processor 'pentium99'"),
        ('{"kind": "llvm", "cpu": "haswell"}', "Unknown config option 'cpu'"),
    ],
)
def test_a_target_that_is_none_gets_one_line(text, complaint):
    with pytest.raises(UserError) as caught:
        find_target(text)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_targets_can_be_listed_without_tvm():
    code = "import sys, schedules.machines.target; assert 'tvm' not in sys.modules and 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
