"""Artifacts that several tests read, compiled once for the session."""

import pytest

from tvm_bnn.compile import ZOO
from tvm_bnn.compiler import compile_model
from tvm_bnn.sample_files import digits_samples


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """The embedded network compiled for this machine, verified on its test split."""
    path = tmp_path_factory.mktemp("digits") / "digits.so"
    return compile_model(ZOO / "digits.pt2", output=path, samples=digits_samples())
