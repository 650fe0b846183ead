"""What a loaded model takes: arrays and tensors of its shapes and types, whatever their layout, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from schedules.errors import UserError
from tvm_bnn.artifacts.artifact import Manifest, TensorSpec

Array = npt.NDArray[Any]


def batch_of(manifest: Manifest) -> int | None:
    """Return the first extent that all inputs and outputs share, or None: then nothing says where the samples are."""
    extents = {spec.shape[0] if spec.shape else None for spec in (*manifest.inputs, *manifest.outputs)}
    return extents.pop() if len(extents) == 1 else None


def checked_input(value: Any, spec: TensorSpec, batch: int | None) -> Array:
    """Return an input as an array that is contiguous and in the machine's byte order, or say what is wrong with it."""
    array = _from_torch(value, spec) if hasattr(value, "detach") else _from_numpy(value, spec)
    if array.shape != spec.shape:
        _refuse_shape(array.shape, spec, batch)
    # Not ascontiguousarray, which makes a scalar a vector.
    return np.asarray(array, spec.dtype, order="C")


def _from_torch(value: Any, spec: TensorSpec) -> Array:
    if value.device.type != "cpu":
        raise UserError(f"input '{spec.name}' lies on {value.device}; the model runs on the CPU: pass x.cpu()")
    dtype = str(value.dtype).removeprefix("torch.")
    if dtype != spec.dtype:
        advice = "x.float()" if spec.dtype == "float32" else f"x.to(torch.{spec.dtype})"
        raise UserError(f"input '{spec.name}' is {dtype}; the model takes {spec.dtype}: pass {advice}")
    if value.is_sparse or value.is_mkldnn:
        raise UserError(f"input '{spec.name}' is {value.layout}; the model takes dense tensors: pass x.to_dense()")
    return np.asarray(value.detach().resolve_neg().numpy())


def _from_numpy(value: Any, spec: TensorSpec) -> Array:
    try:
        array = np.asarray(value)
    except ValueError:
        raise UserError(f"input '{spec.name}' is no array: its rows differ in length") from None
    if array.dtype.name != spec.dtype:
        advice = f"x.astype('{spec.dtype}')" if hasattr(value, "astype") else f"np.asarray(x, '{spec.dtype}')"
        raise UserError(f"input '{spec.name}' is {array.dtype.name}; the model takes {spec.dtype}: pass {advice}")
    return array


def _refuse_shape(shape: tuple[int, ...], spec: TensorSpec, batch: int | None) -> None:
    """Raise unless the shape is that of one or more whole batches."""
    if shape[:1] == (0,):
        raise UserError(f"input '{spec.name}' has shape {shape}, which holds no sample; the model takes {spec.shape}")
    if batch is None or len(shape) != len(spec.shape) or shape[1:] != spec.shape[1:]:
        raise UserError(f"input '{spec.name}' has shape {shape}; the model was compiled for {spec.shape}")
    if shape[0] % batch:
        raise UserError(f"input '{spec.name}' has {shape[0]} samples; the model takes a multiple of {batch}, its batch")
