"""From an exported PyTorch program to a float Relax module."""

from __future__ import annotations

import re
import warnings
import zipfile
from pathlib import Path

import torch
import tvm
from torch.export import ExportedProgram
from tvm.relax.frontend.torch import from_exported_program

from relay_passes.analysis.layers import is_layer
from relay_passes.rewrite import MAIN, bindings
from relay_passes.simplify.decompose_norms import fuse_batch_norm
from schedules.errors import UserError
from tvm_bnn.front_ends.first_line import first_line
from tvm_bnn.front_ends.layer_names import with_layer_names
from tvm_bnn.front_ends.source import Imported
from tvm_bnn.front_ends.torch_model.adapting.precision import stored_bytes
from tvm_bnn.front_ends.torch_model.adapting.retrace import user_inputs
from tvm_bnn.front_ends.torch_model.checks.state import without_state
from tvm_bnn.front_ends.torch_model.files.archive import check_archive
from tvm_bnn.front_ends.torch_model.importing.constant_subgraphs import fold_constant_subgraphs
from tvm_bnn.front_ends.torch_model.importing.decompositions import decompositions
from tvm_bnn.front_ends.torch_model.importing.importable import make_importable
from tvm_bnn.front_ends.torch_model.importing.layer_paths import layer_paths, module_path
from tvm_bnn.front_ends.torch_model.importing.mistranslated import refuse_mistranslated
from tvm_bnn.front_ends.torch_model.importing.operators import TRANSLATIONS

_DTYPES = {getattr(torch, name): name for name in ("float32", "int64", "int32", "int16", "int8", "uint8", "bool")}
_MOST_NAMED = 3


def read_program(path: Path, trust: bool = False) -> ExportedProgram:
    """Load a ``.pt2`` file.

    Parameters
    ----------
    path
        The file.
    trust
        Whether reading it may run what is in it.

    Raises
    ------
    UserError
        If it is missing, or not what ``torch.export.save`` writes; or if it could run code and is not trusted.
    """
    if not path.is_file():
        raise UserError(f"model '{path}': no such file")
    if path.suffix == ".py":
        raise UserError(
            f"model '{path}' is Python: name the function or class in it that makes the model, {path}:NAME, and the "
            "shapes of its inputs, --input 1x3x224x224"
        )
    if not zipfile.is_zipfile(path):
        raise UserError(
            f"model '{path}' is not a .pt2 file; write one with torch.export.save(torch.export.export(...))"
        )
    with zipfile.ZipFile(path) as archive:
        if any(re.fullmatch(r"[^/]*/data\.pkl", name) for name in archive.namelist()):
            raise UserError(
                f"model '{path}' is a checkpoint (torch.save), which holds no graph: name the Python that makes "
                f"its module, file.py:NAME --weights {path} --input 1x3x224x224, or export it with torch.export.save"
            )
    if not trust:
        check_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.load(path)
    except Exception as error:
        raise UserError(f"model '{path}' cannot be read by torch {torch.__version__}: {first_line(error)}") from error


def import_program(program: ExportedProgram) -> Imported:
    """Translate an exported program to Relax.

    Raises
    ------
    UserError
        For dynamic shapes, inputs that are neither float32 nor integers, and operators that TVM does not know.
    """
    names, shapes, dtypes = _inputs(program)
    float_bytes = stored_bytes(program)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        decomposed, changed = without_state(_decomposed(program))
        decomposed = fold_constant_subgraphs(make_importable(decomposed))
    _refuse_branches(decomposed)
    refuse_mistranslated(decomposed, _place)
    try:
        module = from_exported_program(
            decomposed,
            run_ep_decomposition=False,
            unwrap_unit_return_tuple=True,
            custom_convert_map=TRANSLATIONS,
        )
    except Exception as error:
        raise UserError(_import_failure(decomposed, error)) from error
    named = fuse_batch_norm(_with_layer_names(module, layer_paths(decomposed)))
    return Imported(named, names, shapes, dtypes, float_bytes, _notes(changed))


def _decomposed(program: ExportedProgram) -> ExportedProgram:
    try:
        decomposed: ExportedProgram = program.run_decompositions(decompositions())
        return decomposed
    except RuntimeError as error:
        mutated = re.search(r"Constant (\S+) is mutated", str(error))
        if mutated is None:
            raise
        raise UserError(
            f"forward changes '{mutated[1]}', which is neither a parameter nor a buffer: write "
            f"self.register_buffer('{mutated[1]}', ...), or compute a new tensor"
        ) from error


def _notes(changed: tuple[str, ...]) -> tuple[str, ...]:
    if not changed:
        return ()
    names = ", ".join(f"'{name}'" for name in changed[:_MOST_NAMED])
    more = f" and {len(changed) - _MOST_NAMED} more" if len(changed) > _MOST_NAMED else ""
    return (f"forward writes to {names}{more}, which no later answer depends on: the compiled model does not",)


def _inputs(
    program: ExportedProgram,
) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...], tuple[str, ...]]:
    nodes = user_inputs(program)
    for node in nodes:
        value = node.meta.get("val")
        if not isinstance(value, torch.Tensor):
            raise UserError(f"input '{node.name}' is a {type(value).__name__}; models take tensors only")
        if not all(isinstance(extent, int) for extent in value.shape):
            raise UserError(f"input '{node.name}' has a dynamic shape {tuple(value.shape)}; export with fixed shapes")
        if value.dtype not in _DTYPES:
            raise UserError(
                f"input '{node.name}' is {value.dtype}; export the model with float32 inputs (model.float())"
            )
    shapes = tuple(tuple(int(extent) for extent in node.meta["val"].shape) for node in nodes)
    dtypes = tuple(_DTYPES[node.meta["val"].dtype] for node in nodes)
    return tuple(node.name for node in nodes), shapes, dtypes


def _refuse_branches(program: ExportedProgram) -> None:
    for node in program.graph.nodes:
        if node.op == "call_function" and str(node.target) in {"cond", "while_loop"}:
            raise UserError(
                f"'{node.name}' in {_place(node)} is data-dependent control flow (torch.{node.target}); only "
                "straight-line models can be compiled: export the branch you need"
            )


def _import_failure(program: ExportedProgram, error: Exception) -> str:
    """Return one line that names the operator that TVM refused and where the model uses it."""
    unsupported = re.findall(r"'([\w.]+)'", str(error)) if "nsupported function type" in str(error) else []
    for node in program.graph.nodes:
        if node.op == "call_function" and getattr(node.target, "__name__", "") in unsupported:
            return (
                f"operator aten.{node.target.__name__} in {_place(node)} cannot be imported by TVM {tvm.__version__}; "
                "express it with other operators"
            )
    return f"TVM {tvm.__version__} cannot import the model: {first_line(error)}"


def _place(node: torch.fx.Node) -> str:
    path = module_path(node)
    return f"module '{path}'" if path else "the model's forward"


def _with_layer_names(module: tvm.IRModule, paths: list[str]) -> tvm.IRModule:
    """Put the module paths into the spans of the layers' calls.

    The importer translates nodes one by one and in order, so the n-th layer of one graph is the n-th of the other.
    """
    function = module[MAIN]
    layers = [binding for binding in bindings(function) if is_layer(binding.value)]
    if len(layers) != len(paths):
        return module
    return with_layer_names(module, dict(zip((binding.var for binding in layers), paths, strict=True)))
