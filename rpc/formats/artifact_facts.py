"""What has to be known of an artifact to run it on a device: read from its manifest, without what made it."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from pathlib import Path

import msgspec

from schedules.errors import UserError
from schedules.files.whole_file import read_whole

_MANIFEST = "manifest.json"
_MOST_MANIFEST = 1 << 24
#: Code reaches its constants within 2 GB.
_MOST_BYTES = (1 << 31) - 1


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
    data = read_whole(path, "artifact", _MOST_BYTES)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as zipped, zipped.open(_MANIFEST) as file:
            text = file.read(_MOST_MANIFEST + 1)
        if len(text) > _MOST_MANIFEST:
            raise UserError(f"artifact '{path}': its manifest is larger than {_MOST_MANIFEST >> 20} MiB")
        facts = msgspec.json.decode(text, type=ArtifactFacts)
    except UserError:
        raise
    except (zipfile.BadZipFile, KeyError, EOFError, OSError, RuntimeError, ValueError, zlib.error) as error:
        raise UserError(f"artifact '{path}' has no manifest that can be read ({error}); compile it again") from None
    library = data[: max(facts.library_bytes, 0)]
    if hashlib.sha256(library).hexdigest() != facts.library_sha256:
        raise UserError(
            f"artifact '{path}' is damaged: its library does not match the manifest's hash; compile it again"
        )
    return Artifact(path, facts, library)
