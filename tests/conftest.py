"""Settings for every test, made before PyTorch is imported; and AMX, for processors that have none."""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Test processes share the cores; PyTorch's own threads would wait for each other most of the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A busy machine is slow, not wrong; and CI finds what it found before, so that a failure is of the change.
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("here"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")
_INSTRUCTIONS = ("ldtilecfg", "tilerelease", "tileloadd64", "tilestored64", "tdpbusd")


class EmulatedTiles:
    """AMX in C: what replaces the instructions in a kernel, and what it saw."""

    def __init__(self, library: ctypes.CDLL) -> None:
        from tvm.target import codegen

        self._library = library
        library.emulated_multiplications.restype = ctypes.c_int64
        self._names = {codegen.llvm_lookup_intrinsic_id(f"llvm.x86.{name}"): name for name in _INSTRUCTIONS}
        self._prefetch = codegen.llvm_lookup_intrinsic_id("llvm.prefetch")

    def faults(self) -> int:
        """Return how many instructions so far would have faulted."""
        return self._library.emulated_faults()

    def multiplications(self) -> int:
        """Return how many tiles have been multiplied so far."""
        return self._library.emulated_multiplications()

    def replace(self, function):
        """Return a scheduled function that calls the emulation where it had an instruction."""
        import tvm
        import tvm_ffi
        from tvm import tirx

        def called(call):
            if str(getattr(call.op, "name", "")) != "tirx.call_llvm_intrin":
                return call
            if int(call.args[0]) == self._prefetch:  # every processor has one
                return call
            # An instruction that is not emulated is a KeyError here.
            return tirx.call_extern("void", f"emulated_{self._names[int(call.args[0])]}", *call.args[1:])

        return tvm_ffi.structural_map(function, (tvm.ir.Call, called))

    def replace_all(self, module):
        """Return a scheduled module whose functions call the emulation."""
        import tvm

        replaced = module.clone()
        for name, function in module.functions.items():
            if isinstance(function, tvm.tirx.PrimFunc):
                replaced[name] = self.replace(function)
        return replaced


@pytest.fixture(scope="session")
def emulated_tiles(tmp_path_factory):
    """Return AMX as a library in this process, where code compiled in memory finds it."""
    library = tmp_path_factory.mktemp("amx") / "emulated_amx.so"
    compiler = ["cc"] if shutil.which("cc") else [sys.executable, "-m", "ziglang", "cc"]
    options = ["-O2", "-Wall", "-Werror", "-shared", "-fPIC"]
    source = Path(__file__).with_name("emulated_amx.c")
    subprocess.run([*compiler, *options, str(source), "-o", str(library)], check=True)
    return EmulatedTiles(ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL))
