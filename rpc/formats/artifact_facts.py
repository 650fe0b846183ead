"""What has to be known of an artifact to run it on a device: read from its manifest, without what made it."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import msgspec

from schedules.errors import UserError

_MANIFEST = "manifest.json"
_MOST_MANIFEST = 1 << 24


class Tensor(msgspec.Struct, frozen=True):
    """One input or output."""

    name: str
    shape: tuple[int, ...]
    dtype: str


class Kernel(msgspec.Struct, frozen=True):
    """One call in the compiled graph: whose layer, which function, which kernel and tile."""

    layer: str
    function: str
    choice: str


class ArtifactFacts(msgspec.Struct, frozen=True):
    """The fields of the manifest that matter here; it has others.

    ``bnn_format`` is that of the deployed model that the library is; 0 if TVM's runtime loads it. ``unverified``
    says in which way its answers disagree with its reference's, where its maker accepted that; else it is empty.
    """

    model: str
    target: str
    machine: str
    isa: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    kernels: tuple[Kernel, ...]
    versions: dict[str, str]
    library_bytes: int
    library_sha256: str
    bnn_format: int = 0
    cpu_features: tuple[str, ...] = ()
    unverified: str = ""


class Artifact(msgspec.Struct, frozen=True):
    """An artifact's facts and its library, which is what runs."""

    path: Path
    facts: ArtifactFacts
    library: bytes


def read_artifact(path: Path) -> Artifact:
    """Read an artifact.

    Raises
    ------
    UserError
        If the file is missing, is no artifact, or is damaged.
    """
    if not path.is_file():
        raise UserError(f"artifact '{path}': no such file")
    try:
        with zipfile.ZipFile(path) as zipped:
            if zipped.getinfo(_MANIFEST).file_size > _MOST_MANIFEST:
                raise UserError(f"artifact '{path}': its manifest is larger than {_MOST_MANIFEST >> 20} MiB")
            facts = msgspec.json.decode(zipped.read(_MANIFEST), type=ArtifactFacts)
    except (zipfile.BadZipFile, KeyError, EOFError, OSError, RuntimeError, msgspec.MsgspecError) as error:
        raise UserError(f"artifact '{path}' has no manifest that can be read ({error}); compile it again") from None
    with path.open("rb") as file:
        library = file.read(facts.library_bytes)
    if hashlib.sha256(library).hexdigest() != facts.library_sha256:
        raise UserError(
            f"artifact '{path}' is damaged: its library does not match the manifest's hash; compile it again"
        )
    return Artifact(path, facts, library)
