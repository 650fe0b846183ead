"""Write the folder that a program needs to run a model: the model, the runtime in C, an example, how to build them."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

import tvm
from tvm import relax

from rpc.boards.libbnn import CMAKE, EXAMPLE, FOLDER, HEADER, PRIVATE_HEADERS, SOURCES, SYSTEM_LIBRARIES
from schedules.errors import UserError
from schedules.lowering import stack
from schedules.machines.link import Toolchain, compile_program, linker
from schedules.machines.target import Target
from tvm_bnn.artifacts.artifact import Manifest
from tvm_bnn.deployment.description import description
from tvm_bnn.deployment.plan import Plan, lower_memory, plan_of
from tvm_bnn.deployment.seal import sealed
from tvm_bnn.deployment.sizes import Deployed

_COMPILED = ("-std=gnu11", "-O2", "-fvisibility=hidden")
_EXPORTS = "{ global: bnn_description; local: *; };\n"


def deploy(module: tvm.IRModule, manifest: Manifest, target: Target, folder: Path, toolchain: Toolchain) -> Deployed:
    """Write the folder.

    Parameters
    ----------
    module
        The scheduled module.
    manifest
        Of the artifact that was made of it.
    target
        It was scheduled for.
    folder
        An empty one.
    toolchain
        Who compiles and links.

    Raises
    ------
    UserError
        If the model calls into TVM's runtime, or something does not compile.
    """
    plan, library = model_library(module, manifest, target, toolchain)
    needs = manifest.cpu_features
    model = folder / f"{manifest.model}.bnn"
    model.write_bytes(sealed(library, target.machine, needs))
    _copy_sources(folder)
    runtime = folder / "lib" / "libbnn.so"
    runtime.parent.mkdir(exist_ok=True)
    linker(target.link_triple, toolchain)(str(runtime), list(map(str, SOURCES)), [*_COMPILED, *SYSTEM_LIBRARIES])
    example = folder / "example"
    compile_program([EXAMPLE, *SOURCES], example, target.link_triple, [FOLDER], [], toolchain, SYSTEM_LIBRARIES)
    return Deployed(
        folder=str(folder),
        model=model.name,
        example=example.name,
        model_bytes=model.stat().st_size,
        constant_bytes=len(plan.constants),
        runtime_bytes=runtime.stat().st_size,
        memory_bytes=plan.scratch_bytes,
        needs=needs,
        checked="",
    )


def deployed_model(module: tvm.IRModule, manifest: Manifest, target: Target, toolchain: Toolchain) -> bytes:
    """Return a scheduled module as the file that libbnn loads.

    Raises
    ------
    UserError
        As :func:`deploy` does.
    """
    _, library = model_library(module, manifest, target, toolchain)
    return sealed(library, target.machine, manifest.cpu_features)


def model_library(module: tvm.IRModule, manifest: Manifest, target: Target, toolchain: Toolchain) -> tuple[Plan, bytes]:
    """Return a scheduled module's plan, and the library that holds it beside the kernels and constants."""
    tvm_target = tvm.target.Target(target.tvm)
    lowered = lower_memory(module, tvm_target)
    plan = plan_of(lowered)
    with tempfile.TemporaryDirectory(prefix="tvm_bnn_") as temporary:
        work = Path(temporary)
        kernels = work / "kernels.o"
        _build_kernels(lowered, tvm_target, kernels)
        (work / "constants").write_bytes(plan.constants)
        (work / "exports").write_text(_EXPORTS)
        names = [spec.name for spec in manifest.inputs], [spec.name for spec in manifest.outputs]
        source = work / "description.c"
        source.write_text(description(plan, manifest.model, *names, work / "constants"))
        link = linker(target.link_triple, toolchain)
        options = [*_COMPILED, f"-I{FOLDER}", f"-Wl,--version-script={work / 'exports'}"]
        link(str(work / "model.so"), [str(source), str(kernels)], options)
        return plan, (work / "model.so").read_bytes()


def _build_kernels(module: tvm.IRModule, target: tvm.target.Target, path: Path) -> None:
    """Compile a module's kernels to an object file."""
    functions = {
        name: function for name, function in module.functions.items() if not isinstance(function, relax.Function)
    }
    tvm.tirx.build(tvm.IRModule(functions), target=target, pipeline=stack.PIPELINE).write_to_file(str(path))
    called = sorted({name.decode() for name in re.findall(rb"\.tvm_func\.([\w.]+)", path.read_bytes())})
    if called:
        raise UserError(f"deploy: the model calls {', '.join(called)} of TVM's runtime, which a deployed model lacks")


def _copy_sources(folder: Path) -> None:
    for name, files in {"include": (HEADER,), "src": (*SOURCES, *PRIVATE_HEADERS), ".": (EXAMPLE, CMAKE)}.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copyfile(file, folder / name / file.name)
