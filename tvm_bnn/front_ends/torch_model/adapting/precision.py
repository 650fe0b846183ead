"""Programs of half or double precision, turned into the float32 programs that they stand for.

Kernels compute in float32. A float16 or bfloat16 number is a float32 number, so the parameters keep the values that
they were rounded to; what changes is that nothing is rounded in between. Of float64 parameters and inputs the nearest
float32 is taken.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.fx import GraphModule

from schedules.errors import UserError
from tvm_bnn.front_ends.first_line import first_line
from tvm_bnn.front_ends.torch_model.adapting.retrace import examples_of, replace_examples, retraced, user_inputs

_HALF = frozenset({torch.float16, torch.bfloat16})
#: Where wrap_with_autocast(device, dtype, enabled, ...) says whether it is on.
_AUTOCAST_ENABLED = 2


def in_float32(program: ExportedProgram) -> tuple[ExportedProgram, tuple[str, ...]]:
    """Return the program in float32, and what a report should say about that.

    A program with half-precision numbers anywhere is converted, so mixed precision is too. float64 is converted where
    parameters or inputs have it: a float32 model may take a step in float64 on purpose, and keeps it.

    Parameters
    ----------
    program
        Changed in place where it has to be, down to the tensors' places in its state dict, but not the tensors.

    Raises
    ------
    UserError
        If the program reads the bits of a number that would change its type.
    """
    given = _given_types(program)
    replaced = (_HALF & (given | _computed_types(program.graph_module))) | ({torch.float64} & given)
    if not replaced:
        return program, ()
    for graph_module in _graph_modules(program.graph_module):
        _refuse_reading_bits(graph_module, replaced)
    _convert_tensors(program, replaced)
    for graph_module in _graph_modules(program.graph_module):
        _convert_nodes(graph_module, replaced)
    try:
        converted = retraced(program)
    except Exception as error:
        raise UserError(
            f"the model has {_names(replaced)} numbers and cannot be converted to float32: {first_line(error)}; export "
            "model.float()"
        ) from error
    _drop_casts_to_itself(converted.graph_module)
    return converted, (
        f"in PyTorch, the model has {_names(replaced)} numbers; it is computed, and compared with PyTorch, in float32",
    )


def stored_bytes(program: ExportedProgram) -> int:
    """Return the size of all parameters and buffers in the types that they have."""
    return sum(tensor.numel() * tensor.element_size() for tensor in program.state_dict.values())


def _names(dtypes: frozenset[torch.dtype]) -> str:
    return " and ".join(sorted(str(dtype).removeprefix("torch.") for dtype in dtypes))


def _given_types(program: ExportedProgram) -> frozenset[torch.dtype]:
    """Return the types of the parameters and inputs."""
    parameters = (
        program.state_dict[spec.target]
        for spec in program.graph_signature.input_specs
        if spec.kind is InputKind.PARAMETER and spec.target in program.state_dict
    )
    inputs = (node.meta.get("val") for node in user_inputs(program))
    return frozenset(value.dtype for value in (*parameters, *inputs) if isinstance(value, torch.Tensor))


def _computed_types(root: GraphModule) -> frozenset[torch.dtype]:
    """Return the types of everything that is computed."""
    values = (node.meta.get("val") for module in _graph_modules(root) for node in module.graph.nodes)
    return frozenset(value.dtype for value in values if isinstance(value, torch.Tensor))


def _graph_modules(root: GraphModule) -> list[GraphModule]:
    return [module for module in root.modules() if isinstance(module, GraphModule)]


def _convert_tensors(program: ExportedProgram, replaced: frozenset[torch.dtype]) -> None:
    for stored in (program.state_dict, program.constants):
        for name, value in stored.items():
            if isinstance(value, torch.Tensor) and value.dtype in replaced:
                converted = value.detach().float()
                is_parameter = isinstance(value, torch.nn.Parameter)
                stored[name] = torch.nn.Parameter(converted, value.requires_grad) if is_parameter else converted
    for node in program.graph.nodes:
        value = node.meta.get("val")
        if node.op == "placeholder" and isinstance(value, torch.Tensor) and value.dtype in replaced:
            node.meta["val"] = value.float()
    replace_examples(
        program,
        [
            example.float() if isinstance(example, torch.Tensor) and example.dtype in replaced else example
            for example in examples_of(program)
        ],
    )


def _convert_nodes(module: GraphModule, replaced: frozenset[torch.dtype]) -> None:
    """Let nodes that name a type name float32."""

    def converted(argument: Any) -> Any:
        return torch.float32 if isinstance(argument, torch.dtype) and argument in replaced else argument

    for node in list(module.graph.nodes):
        if node.op != "call_function":
            continue
        if node.target is torch.ops.aten._assert_tensor_metadata.default:
            module.graph.erase_node(node)
            continue
        if getattr(node.target, "__name__", "") == "wrap_with_autocast":
            arguments = list(node.args)
            arguments[_AUTOCAST_ENABLED] = False
            node.args = tuple(arguments)
        node.args = tuple(map(converted, node.args))
        node.kwargs = {name: converted(argument) for name, argument in node.kwargs.items()}
    module.recompile()


def _refuse_reading_bits(module: GraphModule, replaced: frozenset[torch.dtype]) -> None:
    for node in module.graph.nodes:
        if node.target is torch.ops.aten.view.dtype and replaced & {node.args[0].meta["val"].dtype, node.args[1]}:
            raise UserError(
                f"'{node.name}' reads the bits of a {_names(replaced)} number (view(dtype)); models are computed in "
                "float32, whose bits are others"
            )


def _drop_casts_to_itself(module: GraphModule) -> None:
    """Remove what was a change of type: as long as it insists on float32, the graph cannot run in float64."""
    output = module.graph.output_node()
    for node in list(module.graph.nodes):
        if node.target is not torch.ops.aten._to_copy.default or set(node.kwargs) != {"dtype"} or output in node.users:
            continue
        source = node.args[0]
        if source.meta["val"].dtype == node.kwargs["dtype"]:
            node.replace_all_uses_with(source)
            module.graph.erase_node(node)
    module.recompile()
