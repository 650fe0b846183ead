"""Artifacts that several tests read, compiled once for the session."""

import pytest

from tvm_bnn.compile.compiler import compile_model
from tvm_bnn.verifying.sample_files import digits_samples
from tvm_bnn.zoo.digits import DIGITS


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """The embedded network compiled for this machine, verified on its test split."""
    path = tmp_path_factory.mktemp("digits") / "digits.so"
    return compile_model(DIGITS, output=path, samples=digits_samples())
