"""What --deploy writes: the folder runs here and on an emulated board, is checked, and builds from source."""

import ctypes
import shutil
import subprocess

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import tvm_bnn
from rpc.boards import emulation
from schedules.errors import UserError
from schedules.machines import host
from schedules.machines.target import find_target
from tvm_bnn.artifacts.artifact import read_artifact
from tvm_bnn.compile.compiler import compile_model
from tvm_bnn.deployment.seal import sealed
from tvm_bnn.verifying.deployed import run_example
from tvm_bnn.verifying.sample_files import digits_samples
from tvm_bnn.zoo.digits import DIGITS


def folder_of(compiled):
    return compiled.path.parent / "deployed"


def test_the_folder_is_complete_and_its_sizes_are_right(native):
    deployed, folder = native.report.deployed, folder_of(native)
    for name in ("digits.bnn", "include/bnn.h", "src/bnn.c", "lib/libbnn.so", "example.c", "CMakeLists.txt"):
        assert (folder / name).is_file()
    assert deployed.model_bytes == (folder / "digits.bnn").stat().st_size
    assert deployed.runtime_bytes == (folder / "lib" / "libbnn.so").stat().st_size
    assert deployed.runtime_bytes < 64 * 1024
    assert deployed.total_bytes < native.report.artifact_bytes + 64 * 1024
    assert '"model_bytes"' in (folder / "sizes.json").read_text()


def test_the_example_has_forty_lines(native):
    assert len((folder_of(native) / "example.c").read_text().splitlines()) <= 45


def test_the_example_answers_as_the_artifact_does(native):
    assert native.report.deployed.checked.startswith("the same bytes as the artifact's")
    manifest, _ = read_artifact(native.path)
    images = digits_samples().arrays[0][:50]
    calls = [[image[None]] for image in images]
    outputs = run_example(native.report.deployed, manifest, find_target("native"), calls, threads=2)
    expected = tvm_bnn.load(native.path)(images)
    np.testing.assert_array_equal(np.concatenate([call[0] for call in outputs]), expected)


def test_the_example_runs_on_an_emulated_board(arm):
    missing = emulation.unavailable("aarch64")
    if missing is not None:
        pytest.skip(missing)
    assert arm.report.deployed.checked.startswith("the same bytes as the artifact's")
    assert arm.report.deployed.checked.endswith("under emulation" if host.machine() != "aarch64" else "natively")


def test_threads_change_no_answer(wide):
    manifest, _ = read_artifact(wide.path)
    calls = [[np.random.default_rng(seed).standard_normal((1, 3, 56, 56)).astype(np.float32)] for seed in range(3)]
    target = find_target("native")
    one, three = (run_example(wide.report.deployed, manifest, target, calls, threads) for threads in (1, 3))
    np.testing.assert_array_equal(one, three)


def test_cmake_builds_the_folder(native, tmp_path):
    if shutil.which("cmake") is None or shutil.which("cc") is None:
        pytest.skip("CMake and a C compiler are not installed")
    for command in (["cmake", "-B", str(tmp_path), "-S", str(folder_of(native))], ["cmake", "--build", str(tmp_path)]):
        subprocess.run(command, check=True, capture_output=True)
    image = digits_samples().arrays[0][:1].tobytes()
    command = [str(tmp_path / "example"), str(folder_of(native) / "digits.bnn")]
    assert len(subprocess.run(command, input=image, check=True, capture_output=True).stdout) == 40


def test_the_shared_library_exports_the_api_and_nothing_else(native):
    library = ctypes.CDLL(str(folder_of(native) / "lib" / "libbnn.so"))
    assert library.bnn_abi_version() == 1
    for hidden in ("bnn_fail", "bnn_open_checked", "bnn_sha256", "bnn_crew_start"):
        assert not hasattr(library, hidden)


def loaded(native, path):
    library = ctypes.CDLL(str(folder_of(native) / "lib" / "libbnn.so"))
    library.bnn_last_error.restype = ctypes.c_char_p
    handle = ctypes.c_void_p()
    status = library.bnn_load_version(str(path).encode(), 1, ctypes.byref(handle), 1)
    return status, library.bnn_last_error().decode()


def test_models_loaded_one_after_the_other_are_not_taken_for_each_other(native, wide):
    """The dynamic loader knows a library by its name, and a closed file's number is given to the next."""
    library = ctypes.CDLL(str(folder_of(native) / "lib" / "libbnn.so"))
    library.bnn_name.restype = ctypes.c_char_p
    handles = [ctypes.c_void_p() for _ in range(4)]
    for handle, compiled in zip(handles, (native, wide, native, wide), strict=True):
        path = folder_of(compiled) / compiled.report.deployed.model
        assert library.bnn_load_version(str(path).encode(), 1, ctypes.byref(handle), 1) == 0
    assert [library.bnn_name(handle) for handle in handles] == [b"digits", b"Wide", b"digits", b"Wide"]
    for handle in handles:
        library.bnn_free(handle)


@pytest.mark.parametrize(
    ("changes", "status", "line"),
    [
        ({"format_version": 2}, 4, "has format 2, this libbnn reads 1: deploy it again"),
        ({"machine": "riscv64"}, 5, "is for riscv64, this is"),
        ({"needs": ("unobtainium",)}, 5, "needs instructions that this CPU lacks: unobtainium"),
    ],
)
def test_what_fits_its_hash_and_not_this_machine(native, tmp_path, changes, status, line):
    fields = {"machine": host.machine(), "needs": ()} | changes
    path = tmp_path / "other.bnn"
    path.write_bytes(sealed(b"\x7fELF", **fields))
    assert loaded(native, path)[0] == status
    assert line in loaded(native, path)[1]


def test_a_sealed_file_that_is_no_library(native, tmp_path):
    path = tmp_path / "empty.bnn"
    path.write_bytes(sealed(b"\x7fELF", host.machine(), ()))
    status, line = loaded(native, path)
    assert status == 5
    assert "\n" not in line


class Sorts(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(32, 32, generator=torch.Generator().manual_seed(0)))

    def forward(self, x):
        return F.linear(torch.sign(x), torch.sign(self.weight)).topk(3).values


def test_a_model_that_calls_the_runtime_is_refused_by_name(tmp_path):
    options = {"output": tmp_path / "sorts.so", "deploy": tmp_path / "deployed", "verify": False}
    with pytest.raises(UserError, match=r"deploy: the model calls tvm.contrib.sort.topk of TVM's runtime"):
        compile_model(Sorts(), (torch.randn(1, 32),), **options)
    assert not (tmp_path / "sorts.so").exists()


def test_an_artifact_for_a_32_bit_board_is_a_deployed_model_and_is_executed(tmp_path):
    missing = emulation.no_emulator("armv7l")
    if missing is not None:
        pytest.skip(missing)
    target = '{"kind": "llvm", "mtriple": "armv7l-unknown-linux-gnueabihf", "mcpu": "cortex-a7", "mattr": ["+neon"]}'
    options = {"output": tmp_path / "digits.so", "deploy": tmp_path / "deployed", "samples": digits_samples()}
    report = compile_model(DIGITS, target=target, **options).report
    assert report.parity.agreeing == report.parity.samples == 360
    assert report.deployed.checked == "the same bytes as the artifact's on 3 random inputs, executed under emulation"
    manifest, library = read_artifact(tmp_path / "digits.so")
    assert manifest.bnn_format == 1
    assert library == (tmp_path / "deployed" / report.deployed.model).read_bytes()
    with pytest.raises(UserError, match="armv7l"):
        tvm_bnn.load(tmp_path / "digits.so")
