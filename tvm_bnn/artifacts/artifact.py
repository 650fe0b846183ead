"""The artifact: one file that is a shared library and carries its manifest.

The file starts with the library, as the linker wrote it, and ends with a zip archive that holds ``manifest.json``. The
dynamic loader ignores what follows a library, and zip readers ignore what precedes an archive, so each finds its part.
The archive's comment, the file's last bytes, is the hash of all that precedes it: no file is taken for an artifact
unless all of it is as it was written.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from pathlib import Path
from typing import NoReturn

import msgspec

from schedules.errors import UserError
from schedules.files.whole_file import read_whole, write_atomically

#: Raised when a reader of the old format could misread the new one. 2 added the hash of the whole file, 3
#: whether samples are independent, without which several batches must not run one after the other.
FORMAT_VERSION = 3
_MANIFEST = "manifest.json"
_SEAL = b"sha256:"
_DIGITS = 64
_DTYPES = frozenset(
    ("bool", "float16", "float32", "float64", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))
)
#: Code reaches its constants within 2 GB.
_MOST_BYTES = (1 << 31) - 1
#: A kernel takes some 200 bytes of the manifest: this is room for tens of thousands.
_MOST_MANIFEST = 16 << 20


class TensorSpec(msgspec.Struct, frozen=True):
    """One input or output."""

    name: str
    shape: tuple[int, ...]
    dtype: str


class KernelUse(msgspec.Struct, frozen=True):
    """One call in the compiled graph, in the order of execution: whose, which function, which kernel and tile.

    ``schedule`` is where the tile comes from: ``default``, ``log`` or ``shipped``, the latter perhaps only estimated.
    """

    layer: str
    function: str
    choice: str
    schedule: str = "default"


class Manifest(msgspec.Struct, frozen=True):
    """Everything about an artifact but its code.

    Parameters
    ----------
    format_version
        Of this file.
    model, model_sha256
        The model's name, and the hash of what it was compiled from (empty for a module in memory).
    target, machine, isa, tvm_target
        What it was compiled for; ``machine`` is what ``uname -m`` says there.
    inputs, outputs
        Tensors in order.
    passes, kernels
        How it was compiled.
    versions
        Of the tools, by name.
    float_bytes
        Of the model's parameters and buffers before.
    library_bytes, library_sha256
        Of the library part.
    cpu_features
        That its code may use, as ``/proc/cpuinfo`` names them.
    bnn_format
        0 if the library is for TVM's runtime; else it is a deployed model of that format, for libbnn.
    unverified
        In which way its answers disagree with the reference's, where the user accepts that; else empty.
    independent_samples
        Whether each sample's answer depends on that sample alone, so that several batches may run one after the other.
    """

    format_version: int
    model: str
    model_sha256: str
    target: str
    machine: str
    isa: str
    tvm_target: dict[str, object]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    passes: tuple[str, ...]
    kernels: tuple[KernelUse, ...]
    versions: dict[str, str]
    float_bytes: int
    library_bytes: int
    library_sha256: str
    cpu_features: tuple[str, ...] = ()
    bnn_format: int = 0
    unverified: str = ""
    independent_samples: bool = False


class _Version(msgspec.Struct):
    format_version: int


def sha256(data: bytes | memoryview) -> str:
    """Return the hash that manifests record."""
    return hashlib.sha256(data).hexdigest()


def write_artifact(path: Path, library: bytes, manifest: Manifest) -> int:
    """Write an artifact and return its size in bytes.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        # A fixed date: the same model compiled twice gives the same bytes.
        zipped.writestr(zipfile.ZipInfo(_MANIFEST), msgspec.json.encode(manifest), zipfile.ZIP_DEFLATED)
        zipped.comment = _SEAL + bytes(_DIGITS)
    content = library + archive.getvalue()[:-_DIGITS]
    data = content + sha256(content).encode()
    write_atomically(path, data, "artifact")
    return len(data)


def read_artifact(path: Path) -> tuple[Manifest, bytes]:
    """Return an artifact's manifest and its library.

    Raises
    ------
    UserError
        If the file cannot be read, is no artifact, was cut short or damaged, or comes from another version.
    """
    data = read_whole(path, "artifact", _MOST_BYTES)
    manifest = _decode(path, _manifest_text(path, data))
    library = data[: manifest.library_bytes]
    if sha256(library) != manifest.library_sha256:
        raise UserError(
            f"artifact '{path}' is damaged: its library does not match the manifest's hash; compile it again"
        )
    return manifest, library


def _manifest_text(path: Path, data: bytes) -> bytes:
    """Return the manifest of a file that is an artifact and as it was written."""
    sealed = data[-_DIGITS - len(_SEAL) : -_DIGITS] == _SEAL
    # A view: a copy would double the memory that loading takes.
    if sealed and sha256(memoryview(data)[:-_DIGITS]).encode() != data[-_DIGITS:]:
        raise UserError(f"artifact '{path}' is damaged: it does not match the hash at its end; compile it again")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as zipped:
            text = _read_limited(zipped, path)
    except UserError:
        raise
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, OSError, RuntimeError, zlib.error):
        raise UserError(
            f"artifact '{path}' has no manifest at its end: it is cut short, or was not made by tvm_bnn: compile"
            " it again"
        ) from None
    if not sealed:
        _refuse_unsealed(path, text)
    return text


def _read_limited(archive: zipfile.ZipFile, path: Path) -> bytes:
    """Return the manifest's text, unless it unpacks to more than a manifest may have, whatever its entry says."""
    with archive.open(_MANIFEST) as file:
        text = file.read(_MOST_MANIFEST + 1)
    if len(text) > _MOST_MANIFEST:
        raise UserError(
            f"artifact '{path}' has a manifest of more than {_MOST_MANIFEST >> 20} MiB, which is none of ours"
        )
    return text


def _refuse_unsealed(path: Path, text: bytes) -> NoReturn:
    """Raise for a file without a hash at its end: of another format, or damaged there."""
    _decode(path, text)
    raise UserError(f"artifact '{path}' is damaged: it has no hash at its end; compile it again")


def _check(manifest: Manifest) -> None:
    """Raise ``ValueError`` unless the manifest describes what a model can be."""
    for spec in (*manifest.inputs, *manifest.outputs):
        if spec.dtype not in _DTYPES:
            raise ValueError(f"'{spec.name}' is of type '{spec.dtype}'")
        if any(extent < 0 for extent in spec.shape):
            raise ValueError(f"'{spec.name}' has shape {spec.shape}")
    if not manifest.inputs or not manifest.outputs or manifest.library_bytes < 0:
        raise ValueError("it has no inputs, no outputs or no library")


def _decode(path: Path, text: bytes) -> Manifest:
    try:
        version = msgspec.json.decode(text, type=_Version).format_version
        if version == FORMAT_VERSION:
            manifest = msgspec.json.decode(text, type=Manifest)
            _check(manifest)
            return manifest
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UserError(f"artifact '{path}' has a damaged manifest ({error}); compile it again") from None
    advice = "upgrade tvm_bnn, or compile" if version > FORMAT_VERSION else "compile"
    raise UserError(
        f"artifact '{path}' has format {version}, this tvm_bnn reads {FORMAT_VERSION}: {advice} the model again with"
        " this one"
    )
