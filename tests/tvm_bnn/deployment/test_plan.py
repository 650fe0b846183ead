"""Plans: what lies where, which kernels run in which order, and what cannot be planned."""

import numpy as np
import pytest
import tvm
from tvm import relax

from schedules.errors import UserError
from schedules.machines.target import find_target
from tvm_bnn.compile.cpu_features import needed_features
from tvm_bnn.deployment.description import description
from tvm_bnn.deployment.plan import ALIGNMENT, lower_memory, plan_of


def planned(build, *shapes, dtype="float32"):
    builder = relax.BlockBuilder()
    inputs = [relax.Var(f"x{index}", relax.TensorType(shape, dtype)) for index, shape in enumerate(shapes)]
    with builder.function("main", inputs):
        with builder.dataflow():
            result = builder.emit_output(build(builder, *inputs))
        builder.emit_func_output(result)
    return plan_of(lower_memory(builder.get(), tvm.target.Target(find_target("x86-64").tvm)))


def test_inputs_and_outputs_are_in_order():
    plan = planned(lambda b, x, y: b.emit(relax.Tuple([relax.op.add(x, y), relax.op.exp(x)])), (3, 5), (3, 5))
    assert [plan.values[place].shape for place in plan.inputs] == [(3, 5), (3, 5)]
    assert len(plan.outputs) == len(plan.steps) == 2
    assert [plan.outputs[0], plan.outputs[1]] == [plan.steps[0].operands[-1], plan.steps[1].operands[-1]]


def test_a_view_takes_no_bytes_and_no_step():
    table = relax.const(np.ones((3, 2), np.float32))
    plan = planned(lambda b, x: b.emit(relax.op.matmul(b.emit(relax.op.reshape(x, (5, 3))), table)), (3, 5))
    (step,) = plan.steps
    seen = plan.values[step.operands[0]]
    assert (seen.shape, seen.offset) == ((5, 3), plan.values[plan.inputs[0]].offset)


def test_an_input_that_is_an_output():
    plan = planned(lambda b, x: b.emit(relax.Tuple([x, relax.op.exp(x)])), (3, 5))
    assert len(plan.steps) == 1
    assert plan.outputs[0] == plan.inputs[0]


def test_equal_constants_share_their_bytes():
    table = np.arange(20, dtype=np.float32)

    def build(builder, x):
        x = builder.emit(relax.op.matmul(x, relax.const(table.reshape(5, 4))))
        return builder.emit(relax.op.matmul(x, relax.const(table.reshape(4, 5))))

    plan = planned(build, (3, 5))
    constants = [value for value in plan.values if value.home == "constant"]
    assert {value.offset for value in constants} == {0}
    assert plan.constants[:80] == table.tobytes()


def test_every_value_is_aligned_and_inside_its_area():
    plan = planned(lambda b, x, y: b.emit(relax.op.add(b.emit(relax.op.exp(x)), y)), (7,), (7,))
    assert plan.scratch_bytes % ALIGNMENT == 0
    for value in plan.values:
        assert value.offset % ALIGNMENT == 0
        assert value.offset + value.nbytes <= (plan.scratch_bytes if value.home == "scratch" else len(plan.constants))


def test_what_the_virtual_machine_computes_is_refused():
    with pytest.raises(UserError, match="computed by TVM's virtual machine"):
        planned(lambda b, x: b.emit(relax.op.unique(x)), (7,))


def test_names_survive_in_c():
    plan = planned(lambda b, x: b.emit(relax.op.exp(x)), (2,), dtype="float32")
    text = description(plan, 'é "x"\\n', ["a"], ["b"], "constants")
    assert r'.name = "\303\251 \042x\042\134n"' in text
    assert "{0, 8, shape_0, 1, 2, 32, 0}" in text


@pytest.mark.parametrize(
    ("target", "needed", "not_needed"),
    [
        ("rpi4", "asimd", "asimddp"),
        ("rpi5", "asimddp", "sve"),
        ("x86-avx2", "avx2", "avx512f"),
        ("x86-avx512", "avx512_vpopcntdq", "avx512_fp16"),
        ("x86-avx512", "avx512_vnni", "amx_int8"),
        ("x86-amx", "amx_int8", "avx512_fp16"),
    ],
)
def test_a_model_needs_what_its_target_has(target, needed, not_needed):
    features = needed_features(find_target(target))
    assert needed in features
    assert not_needed not in features


def test_the_oldest_x86_needs_nothing_special():
    assert not any("avx" in feature for feature in needed_features(find_target("x86-64")))
