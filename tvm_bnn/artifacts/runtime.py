"""Load an artifact and run it."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from schedules.errors import UserError
from schedules.machines import host
from schedules.machines.amx import REFUSED, TILES, permitted
from schedules.machines.isa import isa_named
from tvm_bnn.artifacts.artifact import Manifest, TensorSpec, read_artifact

Array = npt.NDArray[Any]
_THREADS = "TVM_NUM_THREADS"
#: What this process told TVM.
_settled: dict[str, str] = {}


class Model:
    """A compiled model: call it with NumPy arrays or torch tensors, it answers in kind."""

    def __init__(self, manifest: Manifest, library: Path, threads: int | None = None) -> None:
        """Load the library; it may be deleted afterwards.

        Parameters
        ----------
        manifest
            Of the artifact that the library comes from.
        library
            A shared library on disk, under a name that this process has not loaded before.
        threads
            That large layers are shared out to; one number for all models of a process. None for what the first
            model settled, else for the environment's TVM_NUM_THREADS, else for 1.

        Raises
        ------
        UserError
            If it needs what the system does not give to this process.
        """
        if TILES in manifest.cpu_features and not permitted():
            raise UserError(f"model '{manifest.model}': {REFUSED}")
        _settle_threads(threads)
        import tvm
        from tvm.runtime.vm import VirtualMachine

        self.manifest = manifest
        self._tensor = tvm.runtime.tensor
        self._main = VirtualMachine(tvm.runtime.load_module(str(library)), tvm.cpu())["main"]

    def __call__(self, *inputs: Any) -> Any:
        """Run the model on one batch, or on several, one after the other.

        Parameters
        ----------
        inputs
            One array or tensor for each of ``manifest.inputs``, of that shape and dtype, whatever its strides. Where
            all inputs and outputs have the batch first, and each sample is answered by itself, it may be any multiple
            of the batch that was compiled.

        Returns
        -------
        The output, or a tuple of them, for all samples: torch tensors if an input was one, else arrays.

        Raises
        ------
        UserError
            If the number, a shape or a dtype is wrong, or the inputs hold different numbers of batches, or none.
        """
        specs = self.manifest.inputs
        if len(inputs) != len(specs):
            names = ", ".join(f"'{spec.name}'" for spec in specs)
            raise UserError(f"model '{self.manifest.model}' takes {len(specs)} inputs ({names}), got {len(inputs)}")
        torch = sys.modules.get("torch")
        wants_torch = torch is not None and any(isinstance(value, torch.Tensor) for value in inputs)
        batch = _batch(self.manifest)
        arrays = [_checked(value, spec, batch) for value, spec in zip(inputs, specs, strict=True)]
        if batch is not None and not self.manifest.independent_samples:
            _refuse_other_batches(arrays, specs, batch)
        results = self.run(arrays) if batch is None else self._run_in_pieces(arrays, batch)
        if wants_torch and torch is not None:
            results = [torch.from_numpy(result) for result in results]
        return results[0] if len(results) == 1 else tuple(results)

    def _run_in_pieces(self, inputs: list[Array], batch: int) -> list[Array]:
        """Run batch by batch and put the outputs together."""
        counts = {spec.name: len(value) for value, spec in zip(inputs, self.manifest.inputs, strict=True)}
        if len(set(counts.values())) > 1:
            found = ", ".join(f"'{name}' {count}" for name, count in counts.items())
            raise UserError(f"the inputs hold different numbers of samples ({found}); pass as many for each")
        samples = len(inputs[0])
        if samples == batch:
            return self.run(inputs)
        pieces = [self.run([value[at : at + batch] for value in inputs]) for at in range(0, samples, batch)]
        return [np.concatenate(parts) for parts in zip(*pieces, strict=True)]

    def run(self, inputs: list[Array]) -> list[Array]:
        """Run on arrays that are known to fit; the outputs are the caller's to keep."""
        result = self._main(*(self._tensor(value) for value in inputs))
        tensors = [result] if hasattr(result, "numpy") else list(result)
        return [tensor.numpy() for tensor in tensors]

    def bind(self, inputs: list[Array]) -> Any:
        """Return a function without arguments that runs the model on these inputs: what latency is measured of."""
        tensors = [self._tensor(value) for value in inputs]
        return lambda: self._main(*tensors)


def _settle_threads(threads: int | None) -> None:
    """Tell TVM how many threads to use: it reads the variable once, before the first call."""
    wanted = str(threads) if threads is not None else _settled.get(_THREADS, os.environ.get(_THREADS, "1"))
    if not wanted.isdecimal() or int(wanted) < 1:
        raise UserError(f"threads: '{wanted}'; at least 1 is needed")
    if _settled.setdefault(_THREADS, wanted) != wanted:
        raise UserError(f"threads: {wanted}; another model of this process has settled for {_settled[_THREADS]}")
    os.environ[_THREADS] = wanted


def _batch(manifest: Manifest) -> int | None:
    """Return the first extent that all inputs and outputs share, or None: then nothing says where the samples are."""
    extents = {spec.shape[0] if spec.shape else None for spec in (*manifest.inputs, *manifest.outputs)}
    return extents.pop() if len(extents) == 1 else None


def _checked(value: Any, spec: TensorSpec, batch: int | None) -> Array:
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


def _refuse_other_batches(arrays: list[Array], specs: tuple[TensorSpec, ...], batch: int) -> None:
    """Raise if there are several batches: one after the other, they might have other answers than together."""
    for array, spec in zip(arrays, specs, strict=True):
        if len(array) != batch:
            raise UserError(
                f"input '{spec.name}' has {len(array)} samples; this model's answers to samples depend on each "
                f"other, as far as compilation found out, so it takes {batch} at a time: compile it for {len(array)}"
            )


def _refuse_shape(shape: tuple[int, ...], spec: TensorSpec, batch: int | None) -> None:
    """Raise unless the shape is that of one or more whole batches."""
    if shape[:1] == (0,):
        raise UserError(f"input '{spec.name}' has shape {shape}, which holds no sample; the model takes {spec.shape}")
    if batch is None or len(shape) != len(spec.shape) or shape[1:] != spec.shape[1:]:
        raise UserError(f"input '{spec.name}' has shape {shape}; the model was compiled for {spec.shape}")
    if shape[0] % batch:
        raise UserError(f"input '{spec.name}' has {shape[0]} samples; the model takes a multiple of {batch}, its batch")


def load(path: str | os.PathLike[str], threads: int | None = None) -> Model:
    """Load an artifact.

    Parameters
    ----------
    path
        What the compiler wrote.
    threads
        As :class:`Model` has it.

    Raises
    ------
    UserError
        If it is not an artifact, is damaged, or is for another kind of machine.
    """
    manifest, library = read_artifact(Path(path))
    if manifest.machine != host.machine():
        raise UserError(
            f"artifact '{path}' is for {manifest.machine} ({manifest.target}); this machine is {host.machine()}:"
            " compile with --target native"
        )
    if isa_named(manifest.isa) not in host.isas():
        raise UserError(f"artifact '{path}' needs {manifest.isa}, which this CPU lacks: compile with --target native")
    lacking = [name for name in manifest.cpu_features if name not in host.flags()]
    if lacking:
        raise UserError(
            f"artifact '{path}' needs {', '.join(lacking)}, which this CPU lacks: compile with --target native"
        )
    # A copy under a fresh name: the loader would answer a known name with the library it already has.
    with tempfile.TemporaryDirectory(prefix="tvm_bnn_") as folder:
        copy = Path(folder) / "model.so"
        copy.write_bytes(library)
        # The library is mapped from there, and its constants copied once more.
        del library
        return Model(manifest, copy, threads)
