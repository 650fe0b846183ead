"""What a user chooses about a compilation, next to the model."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from relay_passes import pipeline
from relay_passes.simplify.settle_sign_zero import SignZero
from schedules.errors import UserError
from schedules.files.whole_file import check_folder, check_writable
from schedules.machines.link import Toolchain
from schedules.machines.target import Target
from schedules.tuned.tuning_log import existing
from tvm_bnn.compile.float_layers import FloatLayers, packing
from tvm_bnn.verifying.samples import Samples


@dataclasses.dataclass(frozen=True)
class Choices:
    """The arguments of :func:`tvm_bnn.compile.compiler.compile_model`, which explains them."""

    target: Target
    output: Path | None
    samples: Samples | None
    sign_zero: SignZero
    float_layers: FloatLayers
    log: Path | None
    verify: bool
    accept_unverified: bool
    toolchain: Toolchain
    dump_ir: Path | None
    deploy: Path | None
    profile: bool

    def check(self) -> None:
        """Refuse what cannot be done, before a model is read.

        Raises
        ------
        UserError
            If the target cannot compute what is chosen, this machine cannot time it, the log is not there, or what
            shall be written cannot be.
        """
        if self.profile and not self.target.runs_here:
            raise UserError(
                f"profile: this machine cannot run what is compiled for '{self.target.name}'; times are measured "
                "natively"
            )
        packing(self.target, self.float_layers)
        existing(self.log)
        if self.output is not None:
            check_writable(self.output, "artifact")
        for folder in (self.deploy, self.dump_ir):
            if folder is not None:
                check_folder(folder)

    @property
    def simplification(self) -> list[pipeline.Pass]:
        """The passes to the simplified float graph."""
        return pipeline.simplify(self.sign_zero)

    @property
    def binarization(self) -> list[pipeline.Pass]:
        """The passes from there to packed IR."""
        return pipeline.canonicalize() + packing(self.target, self.float_layers)
