"""Load an artifact and run it."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from schedules.errors import UserError
from schedules.files.whole_file import reason
from schedules.machines import host
from schedules.machines.amx import REFUSED, TILES, permitted
from schedules.machines.isa import ISAS
from tvm_bnn.artifacts.artifact import Manifest, TensorSpec, read_artifact
from tvm_bnn.artifacts.inputs import batch_of, checked_input
from tvm_bnn.artifacts.threads import claim_threads, settle_threads

Array = npt.NDArray[Any]


class Model:
    """A compiled model: call it with NumPy arrays or torch tensors, it answers in kind.

    Its library is unloaded when nobody refers to it any more, or at once by :meth:`close`, or by the end of a ``with``
    statement. What was answered stays. Pickled and deep-copied, it is loaded again from its file.
    """

    def __init__(
        self, manifest: Manifest, library: Path, threads: int | None = None, artifact: Path | None = None
    ) -> None:
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
        artifact
            The file that the library comes from; None if there is none to load it from again.

        Raises
        ------
        UserError
            If it needs what the system does not give to this process, or the library is none of TVM's.
        """
        if TILES in manifest.cpu_features and not permitted():
            raise UserError(f"model '{manifest.model}': {REFUSED}")
        settle_threads(threads)
        import tvm

        self.manifest = manifest
        self._threads = threads
        self._artifact = None if artifact is None else artifact.absolute()
        self._tensor = tvm.runtime.tensor
        self._loaded: Any = _main_of(library, manifest)

    @property
    def _main(self) -> Any:
        if self._loaded is None:
            raise UserError(f"model '{self.manifest.model}' is closed: load it again")
        claim_threads(self.manifest.model)
        return self._loaded

    def close(self) -> None:
        """Unload the library; the model cannot be run any more."""
        self._loaded = None

    def __enter__(self) -> Self:
        """Return the model, which the end of the statement closes."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the model."""
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Say how to make the model again: from its file, if that still holds the same library."""
        if self._artifact is None:
            raise UserError(f"model '{self.manifest.model}' has no file to load it from again: it cannot be copied")
        return _load_again, (self._artifact, self.manifest.library_sha256, self._threads)

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
        batch = batch_of(self.manifest)
        arrays = [checked_input(value, spec, batch) for value, spec in zip(inputs, specs, strict=True)]
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
        main, tensors = self._main, [self._tensor(value) for value in inputs]
        return lambda: main(*tensors)


def _main_of(library: Path, manifest: Manifest) -> Any:
    """Return the model's function; the library is unloaded with it."""
    import tvm
    import tvm_ffi
    from tvm.runtime.vm import VirtualMachine

    try:
        # tvm.runtime.load_module would keep every library until the process ends.
        return VirtualMachine(tvm_ffi.load_module(str(library), keep_module_alive=False), tvm.cpu())["main"]
    except (RuntimeError, AttributeError, ValueError, KeyError, TypeError) as error:  # whatever TVM raises
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(f"model '{manifest.model}': its library is none that TVM runs ({lines[0]})") from error


def _load_again(path: Path, library_sha256: str, threads: int | None) -> Model:
    model = load(path, threads)
    if model.manifest.library_sha256 != library_sha256:
        raise UserError(f"artifact '{path}' has changed since the model that was pickled or copied was loaded from it")
    return model


def _refuse_other_batches(arrays: list[Array], specs: tuple[TensorSpec, ...], batch: int) -> None:
    """Raise if there are several batches: one after the other, they might have other answers than together."""
    for array, spec in zip(arrays, specs, strict=True):
        if len(array) != batch:
            raise UserError(
                f"input '{spec.name}' has {len(array)} samples; this model's answers to samples depend on each "
                f"other, as far as compilation found out, so it takes {batch} at a time: compile it for {len(array)}"
            )


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
        If it cannot be read, is not an artifact, is damaged, or is for another kind of machine.
    """
    manifest, library = read_artifact(Path(path))
    if manifest.machine != host.machine():
        raise UserError(
            f"artifact '{path}' is for {manifest.machine} ({manifest.target}); this machine is {host.machine()}:"
            " compile with --target native"
        )
    if manifest.isa not in {isa.name for isa in ISAS}:
        raise UserError(f"artifact '{path}' is for '{manifest.isa}', which this tvm_bnn does not know; upgrade tvm_bnn")
    if manifest.isa not in {isa.name for isa in host.isas()}:
        raise UserError(f"artifact '{path}' needs {manifest.isa}, which this CPU lacks: compile with --target native")
    lacking = [name for name in manifest.cpu_features if name not in host.flags()]
    if lacking:
        raise UserError(
            f"artifact '{path}' needs {', '.join(lacking)}, which this CPU lacks: compile with --target native"
        )
    # A copy under a fresh name: the loader would answer a known name with the library it already has.
    try:
        with tempfile.TemporaryDirectory(prefix="tvm_bnn_") as folder:
            copy = Path(folder) / "model.so"
            copy.write_bytes(library)
            # The library is mapped from there, and its constants copied once more.
            del library
            return Model(manifest, copy, threads, Path(path))
    except OSError as error:
        raise UserError(
            f"artifact '{path}': its library cannot be copied to '{tempfile.gettempdir()}' ({reason(error)}); "
            "TMPDIR names another folder"
        ) from None
