import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.script import relax as R

from relay_passes import dialect, pipeline
from relay_passes.rewrite import bindings
from schedules.errors import UserError
from schedules.machines.isa import ISAS


def identity():
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((2, 2), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            y = builder.emit_output(builder.emit(relax.op.negative(x)))
        builder.emit_func_output(y)
    return builder.get()


def test_the_observer_sees_every_pass_in_order():
    seen = []
    pipeline.run(identity(), pipeline.simplify(), lambda applied: seen.append(applied.name))
    assert seen == [step.name for step in pipeline.simplify()]


def test_a_pass_that_fails_is_named():
    def broken(_module):
        raise KeyError("oops")

    with pytest.raises(RuntimeError, match="pass broken failed"):
        pipeline.run(identity(), [pipeline.Pass("broken", broken)])


def test_a_fault_of_the_model_keeps_its_own_message():
    def refuse(_module):
        raise UserError("layer 'x': no")

    with pytest.raises(UserError, match=r"^layer 'x': no$"):
        pipeline.run(identity(), [pipeline.Pass("refuse", refuse)])


@pytest.mark.parametrize("isa", ISAS, ids=lambda isa: isa.name)
def test_a_graph_without_layers_goes_through_unharmed(isa):
    passes = pipeline.simplify() + pipeline.canonicalize() + pipeline.pack(isa) + pipeline.lower_to(isa)
    module = pipeline.run(identity(), passes)
    executable = relax.build(module, target="llvm")
    x = np.array([[1, -2], [0, 4]], np.float32)
    result = relax.VirtualMachine(executable, tvm.cpu())["main"](tvm.runtime.tensor(x))
    np.testing.assert_array_equal(result.numpy(), -x)


def test_a_branch_is_refused_by_name():
    @R.function
    def main(x: R.Tensor((2,), "float32"), c: R.Tensor((), "bool")) -> R.Tensor((2,), "float32"):
        if c:
            y = R.negative(x)
        else:
            y = R.abs(x)
        return y

    with pytest.raises(UserError, match="'y' branches on data"):
        bindings(main)


def test_the_dialect_survives_printing_and_parsing():
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((1, 64), "float32"))
    tau, flip = (
        relax.Var("tau", relax.TensorType((64,), "float32")),
        relax.Var("flip", relax.TensorType((2,), "uint32")),
    )
    with builder.function("main", [x, tau, flip]):
        with builder.dataflow():
            y = builder.emit_output(builder.emit(dialect.pack(x, tau, flip, 32)))
        builder.emit_func_output(y)
    module = builder.get()
    tvm.ir.assert_structural_equal(tvm.script.from_source(module.script()), module)


def test_a_dialect_operator_infers_shape_and_dtype():
    x = relax.Var("x", relax.TensorType((2, 9, 9, 5), "float32"))
    weight = relax.Var("w", relax.TensorType((7, 3, 3, 5), "float32"))
    window = dialect.Window((3, 3), (2, 2), (1, 1, 1, 1))
    made = relax.BlockBuilder().normalize(dialect.conv2d(x, weight, window, 1))
    assert dialect.shape_of(made) == (2, 5, 5, 7)
    assert dialect.dtype_of(made) == "int32"
