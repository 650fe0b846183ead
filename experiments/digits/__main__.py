"""``python -m experiments.digits``: train the network for digits; rewrites tvm_bnn/zoo/digits.* in about a minute."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import tyro

from tvm_bnn.command_line.command import finish
from tvm_bnn.command_line.packages import require
from tvm_bnn.zoo.digits import DIGITS


@dataclasses.dataclass(frozen=True)
class Options:
    """Train the network, print the test accuracy and write the model with its test split."""

    epochs: int = 60
    """Passes over the 1,437 training images."""
    seed: int = 0
    """Seeds the split, the initial weights and the order of the batches."""
    output: Path = DIGITS.parent
    """Folder that receives digits.pt2 and digits_test.npz."""
    debug: bool = False
    """Show the traceback of an error."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = tyro.cli(Options, args=arguments, prog="experiments.digits")
    return finish(lambda: _train(options), options.debug)


def _train(options: Options) -> int:
    require("experiments.digits", "tvm-bnn[experiments]", "torch", "sklearn")
    import torch

    from experiments.digits.network import DigitsNet
    from experiments.digits.training import accuracy, fit, load_digits, save

    torch.manual_seed(options.seed)
    train, test = load_digits(options.seed)
    model = DigitsNet()
    fit(model, train, options.epochs, options.seed)
    save(model, test, options.output)
    print(f"test accuracy {accuracy(model, test):.2%} on {len(test.labels)} images")
    return 0


if __name__ == "__main__":
    sys.exit(main())
