"""Whether a device can run an artifact: asked before anything is uploaded."""

from __future__ import annotations

from rpc.formats.artifact_facts import Artifact
from rpc.formats.board_facts import BoardFacts
from schedules.errors import UserError
from schedules.machines import host
from schedules.machines.isa import isa_named

#: A library calls its runtime through an interface that may change with the second number of a version.
_TELLING_PARTS = 2
_TELLS_ALL = "x86_64"


def refuse_misfit(artifact: Artifact, board: BoardFacts) -> None:
    """Raise unless a board can run an artifact.

    What the board does not tell, as behind TVM's own server, is not held against it.

    Raises
    ------
    UserError
        If the architecture, the instruction set or the runtime's version is another; both are named.
    """
    facts, name = artifact.facts, artifact.path.name
    if board.machine and board.machine != facts.machine:
        raise UserError(
            f"artifact '{name}' is for {facts.machine} ({facts.target}), the device is {board.machine}"
            f" ({board.model}): compile with a --target of that architecture"
        )
    features = frozenset(board.features.split())
    if features and isa_named(facts.isa) not in host.isas_of(features):
        raise UserError(f"artifact '{name}' needs {facts.isa}, which the device ({board.model}) lacks")
    if board != BoardFacts() and facts.bnn_format != board.bnn_format:
        raise UserError(
            f"artifact '{name}' is for {_runtime(facts.bnn_format)}, the device has {_runtime(board.bnn_format)}:"
            " compile it again, and make the board's image again with 'python -m rpc board-image'"
        )
    lacking = [feature for feature in facts.cpu_features if feature not in features]
    # Boards of other architectures name a few of their features only.
    if features and lacking and facts.machine == _TELLS_ALL:
        raise UserError(f"artifact '{name}' needs {', '.join(lacking)}, which the device ({board.model}) lacks")
    for package, there in (("apache-tvm", board.tvm_version), ("apache-tvm-ffi", board.ffi_version)):
        here = facts.versions.get(package, "")
        if there and _interface(here) != _interface(there):
            raise UserError(
                f"artifact '{name}' was compiled with {package} {here or 'of an unknown version'}, the device runs"
                f" {there}: make its image again with 'python -m rpc board-image', or compile with that version"
            )


def _runtime(bnn_format: int) -> str:
    return f"libbnn of format {bnn_format}" if bnn_format else "TVM's runtime"


def _interface(version: str) -> tuple[str, ...]:
    return tuple(version.split(".")[:_TELLING_PARTS])
