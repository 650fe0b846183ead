"""A plan as C: the tables that ``c/model.h`` declares, compiled into the model's library beside its kernels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tvm_bnn.deployment.plan import Plan, Value

#: DLPack's codes of the kinds of number; a bool is a byte.
_KINDS = {"int": (0, ""), "uint": (1, ""), "float": (2, ""), "bool": (6, "8")}

_HEAD = """\
#include "model.h"

/* Where kernels look for what they call; those that no kernel calls are not there. */
#define SLOT extern __attribute__((weak, visibility("hidden"))) void *
SLOT __TVMBackendAllocWorkspace;
SLOT __TVMBackendFreeWorkspace;
SLOT __TVMBackendParallelLaunch;

static void (*complain)(const char *, const char **, int32_t);
__attribute__((visibility("hidden"))) void TVMFFIErrorSetRaisedFromCStrParts(const char *kind, const char **parts,
                                                                             int32_t count) {
  complain(kind, parts, count);
}

"""
_CONSTANTS = """\
__asm__(".section .rodata\\n.balign 64\\n.hidden bnn_constants\\n.globl bnn_constants\\n"
        "bnn_constants:\\n.incbin \\"{path}\\"\\n.byte 0\\n.previous\\n");
extern __attribute__((visibility("hidden"))) const unsigned char bnn_constants[];

"""


def description(plan: Plan, name: str, inputs: Sequence[str], outputs: Sequence[str], constants: Path) -> str:
    """Return the C source of a model's description.

    Parameters
    ----------
    plan
        Of the model.
    name, inputs, outputs
        Names of the model and of its tensors.
    constants
        File that holds ``plan.constants`` when the source is compiled.
    """
    functions = sorted({step.function for step in plan.steps})
    parts = [_HEAD, _CONSTANTS.format(path=constants)]
    parts += [f"extern int __tvm_ffi_{f}(void *, const bnn_argument *, int32_t, bnn_argument *);\n" for f in functions]
    parts += [f"static const int64_t shape_{i}[] = {_row(value.shape)};\n" for i, value in enumerate(plan.values)]
    parts += [f"static const uint32_t operands_{i}[] = {_row(step.operands)};\n" for i, step in enumerate(plan.steps)]
    parts += [
        _table("bnn_value", "values", (_value(i, value) for i, value in enumerate(plan.values))),
        _table(
            "bnn_step",
            "steps",
            (
                f"{{__tvm_ffi_{step.function}, {_text(step.function)}, operands_{i}, {len(step.operands)}}}"
                for i, step in enumerate(plan.steps)
            ),
        ),
        _table("uint32_t", "inputs", map(str, plan.inputs)),
        _table("uint32_t", "outputs", map(str, plan.outputs)),
        _table("char *const", "input_names", map(_text, inputs)),
        _table("char *const", "output_names", map(_text, outputs)),
        _whole(plan, name),
    ]
    return "".join(parts)


def _whole(plan: Plan, name: str) -> str:
    return f"""
__attribute__((visibility("default"))) const bnn_description bnn_description_of_model __asm__(BNN_DESCRIPTION) = {{
    .name = {_text(name)},
    .values = values,
    .steps = steps,
    .inputs = inputs,
    .outputs = outputs,
    .input_names = input_names,
    .output_names = output_names,
    .constants = bnn_constants,
    .imports = {{&__TVMBackendAllocWorkspace, &__TVMBackendFreeWorkspace, &__TVMBackendParallelLaunch, &complain}},
    .scratch_bytes = {plan.scratch_bytes},
    .value_count = {len(plan.values)},
    .step_count = {len(plan.steps)},
    .input_count = {len(plan.inputs)},
    .output_count = {len(plan.outputs)},
}};
"""


def _value(index: int, value: Value) -> str:
    kind = value.dtype.rstrip("0123456789")
    code, byte = _KINDS[kind]
    bits = byte or value.dtype.removeprefix(kind)
    constant = int(value.home == "constant")
    return f"{{{value.offset}, {value.nbytes}, shape_{index}, {len(value.shape)}, {code}, {bits}, {constant}}}"


def _table(kind: str, name: str, rows: Iterable[str]) -> str:
    """Return an array's definition; C has none without elements, so an empty one gets a zero."""
    return f"static const {kind} {name}[] = {{\n    " + (",\n    ".join(rows) or "0") + "};\n"


def _row(numbers: Sequence[int]) -> str:
    return "{" + (", ".join(map(str, numbers)) or "0") + "}"


def _text(text: str) -> str:
    """Return a C string; what is not plain ASCII becomes octal escapes of UTF-8, which end after three digits."""
    plain = set(range(0x20, 0x7F)) - set(b'"\\?')
    return '"' + "".join(chr(byte) if byte in plain else f"\\{byte:03o}" for byte in text.encode()) + '"'
