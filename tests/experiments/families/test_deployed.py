"""Every model of the acceptance set, deployed: it answers with the artifact's bytes, or is refused by name."""

import pytest

from experiments.families.catalog import FAMILIES
from schedules.errors import UserError
from tvm_bnn.compile.compiler import compile_model

#: They gather their neighbours by topk, which TVM's runtime sorts for, and a deployed model has none.
CALL_THE_RUNTIME = {"BiPointNet", "PointNet, XNOR"}


def complaint_about(family, folder):
    """Return what the compiler has against deploying a family, or what it says of having checked it."""
    options = {"output": folder / "model.so", "deploy": folder / "deployed", "verify": False}
    try:
        return compile_model(family.build(), family.inputs(), **options).report.deployed.checked
    except UserError as error:
        return str(error)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_deployed_family_answers_as_its_artifact_does(family, tmp_path):
    found = complaint_about(family, tmp_path)
    if family.name in CALL_THE_RUNTIME:
        assert "calls tvm.contrib.sort.topk of TVM's runtime" in found
    elif family.binary_layers or family.plane_layers:
        assert found.startswith("the same bytes as the artifact's")
    else:
        assert "has no binary layer" in found or found.startswith("the same bytes as the artifact's")
