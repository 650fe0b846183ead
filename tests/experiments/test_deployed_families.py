"""Every model of the acceptance set, deployed: it answers with the artifact's bytes, or is refused by name."""

import pytest

from experiments.families.catalog import FAMILIES
from schedules.errors import UserError
from tvm_bnn.compiler import compile_model


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_deployed_family_answers_as_its_artifact_does(family, tmp_path):
    options = {"output": tmp_path / "model.so", "deploy": tmp_path / "deployed", "verify": False}
    try:
        compiled = compile_model(family.build(), family.inputs(), **options)
    except UserError as error:
        if "has no binary layer" not in str(error):
            raise
        pytest.skip("refused by the compiler: no binary layer")
    assert compiled.report.deployed.checked.startswith("the same bytes as the artifact's")
