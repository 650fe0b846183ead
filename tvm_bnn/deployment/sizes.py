"""What a deployed model takes: on disk, to be shipped, and in memory."""

from __future__ import annotations

import msgspec


class Deployed(msgspec.Struct, frozen=True):
    """What lies in a deployed model's folder, in bytes, all stripped of symbols.

    Parameters
    ----------
    folder, model, example
        The folder; the model's file and the example program in it.
    model_bytes, constant_bytes
        Of the model's file, and of the constants in it; the rest is code.
    runtime_bytes
        Of ``libbnn.so``: all that the model needs at run time, next to libc and libm.
    memory_bytes
        That a loaded model takes for its tensors, next to its file's bytes.
    needs
        Features that a CPU must have.
    checked
        How the deployed model was held against the artifact, or why it was not.
    """

    folder: str
    model: str
    example: str
    model_bytes: int
    constant_bytes: int
    runtime_bytes: int
    memory_bytes: int
    needs: tuple[str, ...]
    checked: str

    @property
    def total_bytes(self) -> int:
        """Bytes to be shipped."""
        return self.model_bytes + self.runtime_bytes
