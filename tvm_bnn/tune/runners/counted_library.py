"""A layer's library that counts how often each of its basic blocks is executed.

The counters are written into its assembly: a few instructions at the start of every block, which leave registers and
flags as they find them. So the counts are those of the very code that a model of the processor is asked about.
"""

from __future__ import annotations

import dataclasses
import os
import re
import struct
from collections.abc import Sequence
from pathlib import Path

import tvm
from tvm import relax

from relay_passes.rewrite import MAIN
from rpc.boards import emulation
from schedules.lowering import stack
from schedules.machines.link import Toolchain, linker
from schedules.machines.target import Target
from tvm_bnn.tune.runners.operands import Array
from tvm_bnn.tune.tasks import Task

_COUNTS = "TVM_BNN_BLOCK_COUNTS"
_LABEL = re.compile(r"^(\.LBB\d+_\d+|[A-Za-z_][\w.$]*):")
_FUNCTION = re.compile(r"^\s+\.type\s+([\w.$]+),\s*[@%]function")
_SECTION = re.compile(r"^\s+\.(text|section|data|bss)\b\s*(\S*)")
_BRANCH = {
    "x86_64": re.compile(r"^\s+(?:j\w+|ret\w*)\b"),
    "aarch64": re.compile(r"^\s+(?:b|b\.\w+|cbn?z|tbn?z|br|ret)\b"),
}
_COUNT = {
    "x86_64": (
        "\tmovq\t%rax, bnn_spilled(%rip)\n\tmovq\tbnn_counts+{offset}(%rip), %rax\n\tleaq\t1(%rax), %rax\n"
        "\tmovq\t%rax, bnn_counts+{offset}(%rip)\n\tmovq\tbnn_spilled(%rip), %rax"
    ),
    "aarch64": (
        "\tstp\tx16, x17, [sp, #-16]\n\tadrp\tx16, bnn_counts+{offset}\n"
        "\tldr\tx17, [x16, :lo12:bnn_counts+{offset}]\n\tadd\tx17, x17, #1\n"
        "\tstr\tx17, [x16, :lo12:bnn_counts+{offset}]\n\tldp\tx16, x17, [sp, #-16]"
    ),
}
#: When the library is unloaded or the process ends, what was counted is written down.
_WRITER = """
#include <stdio.h>
#include <stdlib.h>
extern unsigned long long bnn_counts[];
extern const unsigned long long bnn_blocks;
__attribute__((destructor)) static void write_counts(void) {
  const char *path = getenv("%s");
  FILE *file = path ? fopen(path, "wb") : NULL;
  if (file) {
    fwrite(bnn_counts, sizeof *bnn_counts, bnn_blocks, file);
    fclose(file);
  }
}
"""


@dataclasses.dataclass(frozen=True)
class Block:
    """Instructions that are executed one after the other, as assembly, and how often."""

    instructions: tuple[str, ...]
    executions: int


def run_counted(
    task: Task, module: tvm.IRModule, target: Target, toolchain: Toolchain, inputs: Sequence[Array], folder: Path
) -> tuple[list[Array], list[Block]]:
    """Run a scheduled layer once, natively or under emulation; return its results and its blocks.

    Raises
    ------
    UserError
        If it cannot be linked, or fails, or the machine cannot be emulated.
    """
    executable = relax.build(
        as_model(task, module),
        target=tvm.target.Target(target.tvm),
        tir_pipeline=stack.PIPELINE,
        exec_mode="compiled",
    )
    (code,) = executable.mod.imports
    blocks, counted = count_blocks(str(code.inspect_source("asm")), target.machine)
    assembly, writer, library = folder / "layer.s", folder / "counts.c", folder / "layer.so"
    assembly.write_text(counted, encoding="utf-8")
    writer.write_text(_WRITER % _COUNTS, encoding="utf-8")
    link = linker(target.link_triple, toolchain)

    def link_counted(output: str, objects: str | Sequence[str], options: Sequence[str] | None = None) -> None:
        given = [objects] if isinstance(objects, str) else list(objects)
        # The first object is the code; what follows are constants and the executable itself.
        link(output, [str(assembly), str(writer), *given[1:]], options)

    link_counted.output_format = "so"  # type: ignore[attr-defined]
    link_counted.get_target_triple = link.get_target_triple  # type: ignore[attr-defined]
    executable.export_library(str(library), fcompile=link_counted)
    counts = folder / "counts"
    os.environ[_COUNTS] = str(counts)
    (results,) = emulation.run(library, target.machine, target.emulated_cpu, [list(inputs)])
    executions = struct.unpack(f"{len(blocks)}Q", counts.read_bytes())
    return results, [Block(tuple(block), count) for block, count in zip(blocks, executions, strict=True)]


def as_model(task: Task, module: tvm.IRModule) -> tvm.IRModule:
    """Return a module whose ``main`` calls a layer's function: an artifact's code."""
    function = module["main"]
    operands, results = function.params[: -task.results], function.params[-task.results :]
    builder = relax.BlockBuilder()
    kernel = builder.add_func(function.with_attr("tirx.is_scheduled", True), "layer")
    inputs = [relax.Var(f"p{index}", _type(tensor)) for index, tensor in enumerate(operands)]
    types = [_type(tensor) for tensor in results]
    with builder.function(MAIN, inputs):
        with builder.dataflow():
            made = builder.emit_output(relax.call_tir(kernel, inputs, out_ty=types[0] if len(types) == 1 else types))
        builder.emit_func_output(made)
    return builder.get()


def _type(tensor: tvm.tirx.Var) -> relax.TensorType:
    return relax.TensorType(tuple(int(extent) for extent in tensor.shape), str(tensor.dtype))


def count_blocks(assembly: str, machine: str) -> tuple[list[list[str]], str]:
    """Return the basic blocks of an assembly file, and the file with a counter at the start of each."""
    blocks: list[list[str]] = []
    counted: list[str] = []
    functions = {found[1] for line in assembly.splitlines() if (found := _FUNCTION.match(line))}
    in_code = starts = False
    for line in assembly.splitlines():
        if section := _SECTION.match(line):
            in_code = section[1] == "text" or section[2].startswith(".text")
            starts = False
        label = _LABEL.match(line) if in_code else None
        if label is not None and (label[1].startswith(".LBB") or label[1] in functions):
            starts = True
        elif in_code and _is_instruction(line):
            if starts:
                counted.append(_COUNT[machine].format(offset=len(blocks) * _COUNTER_BYTES))
                blocks.append([])
                starts = False
            if blocks:
                blocks[-1].append(line)
            if _BRANCH[machine].match(line):
                starts = True
        counted.append(line)
    return blocks, "\n".join((*counted, _storage(len(blocks)), ""))


_COUNTER_BYTES = 8


def _is_instruction(line: str) -> bool:
    return line[:1].isspace() and bool(line.strip()) and not line.strip().startswith((".", "#", "//"))


def _storage(count: int) -> str:
    lines = (
        *("\t.bss", "\t.balign 8", "\t.globl bnn_counts", "\t.hidden bnn_counts"),
        *("bnn_counts:", f"\t.zero {count * _COUNTER_BYTES}", "bnn_spilled:", "\t.zero 8"),
        *("\t.section .rodata", "\t.balign 8", "\t.globl bnn_blocks", "\t.hidden bnn_blocks"),
        *("bnn_blocks:", f"\t.quad {count}"),
    )
    return "\n".join(lines)
