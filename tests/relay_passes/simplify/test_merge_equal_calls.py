import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.script import relax as R

from relay_passes import pipeline
from relay_passes.analysis.layers import layers_of
from relay_passes.rewrite import bindings, op_name
from relay_passes.simplify.merge_equal_calls import merge_equal_calls
from schedules.machines.isa import ISAS

RNG = np.random.default_rng(0)
WEIGHTS = [RNG.choice(np.array([-1, 1], np.float32), (64, 32)) for _ in range(3)]


def body_of(function):
    return tvm.IRModule({"main": function.with_attr("global_symbol", "main")})


def operators(module):
    return [op_name(binding.value) for binding in bindings(module["main"])]


def branches(weights=WEIGHTS, shifts=(0.25, 0.25, 0.25)):
    """The sum of linear layers, each of which shifts and binarizes the input for itself, as queries and keys do."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((5, 64), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            total = None
            for number, (weight, shift) in enumerate(zip(weights, shifts, strict=True)):
                shifted = builder.emit(relax.op.add(x, relax.const(np.full(64, shift, np.float32))))
                is_on = builder.emit(relax.op.greater_equal(shifted, relax.const(0.0)))
                signs = builder.emit(relax.op.where(is_on, relax.const(1.0), relax.const(-1.0)))
                layer = relax.op.matmul(signs, relax.const(weight))
                span = tvm.ir.Span(tvm.ir.SourceName(f"layer{number}"), 1, 1, 1, 1)
                made = builder.emit(relax.Call(layer.op, layer.args, layer.attrs, layer.ty_args, span))
                total = made if total is None else builder.emit(relax.op.add(total, made))
            y = builder.emit_output(total)
        builder.emit_func_output(y)
    return builder.get()


def test_equal_calls_on_one_tensor_become_one(expect):
    @R.function
    def before(x: R.Tensor((4, 6), "float32")) -> R.Tensor((4, 6), "float32"):
        with R.dataflow():
            a = R.clip(x, R.prim_value(-1.0), R.prim_value(1.0))
            b = R.clip(x, R.prim_value(-1.0), R.prim_value(1.0))
            c = R.exp(a)
            d = R.exp(b)
            y = R.add(c, d)
            R.output(y)
        return y

    @R.function
    def expected(x: R.Tensor((4, 6), "float32")) -> R.Tensor((4, 6), "float32"):
        with R.dataflow():
            a = R.clip(x, R.prim_value(-1.0), R.prim_value(1.0))
            c = R.exp(a)
            y = R.add(c, c)
            R.output(y)
        return y

    expect(merge_equal_calls, body_of(before), body_of(expected))


def test_calls_that_differ_in_an_operand_a_number_or_an_attribute_stay(expect):
    @R.function
    def main(x: R.Tensor((4, 4), "float32")) -> R.Tensor((4, 1), "float32"):
        with R.dataflow():
            a = R.clip(x, R.prim_value(-1.0), R.prim_value(1.0))
            b = R.clip(x, R.prim_value(-1.0), R.prim_value(2.0))
            c = R.subtract(a, b)
            d = R.subtract(b, a)
            e = R.sum(c, axis=[0])
            f = R.sum(d, axis=[1], keepdims=True)
            g = R.sum(d, axis=[1])
            i = R.add(e, g)
            h = R.add(i, f)
            y = R.sum(h, axis=[1], keepdims=True)
            R.output(y)
        return y

    module = body_of(main)
    expect(merge_equal_calls, module, module)


def test_constants_are_compared_by_their_bytes():
    names = operators(merge_equal_calls(branches()))
    assert names.count("relax.where") == 1
    names = operators(merge_equal_calls(branches(shifts=(0.25, 0.25, 0.5))))
    assert names.count("relax.where") == 2
    # The sum of -0 and 0 is 0, that of -0 and -0 is not.
    names = operators(merge_equal_calls(branches(shifts=(0.0, -0.0, 0.0))))
    assert names.count("relax.where") == 2


def test_every_layer_stays_and_keeps_its_name():
    module = branches(weights=[WEIGHTS[0]] * 3)
    merged = merge_equal_calls(module)
    names = [layer.name for layer in layers_of(module)]
    assert names == ["layer0", "layer1", "layer2"]
    assert [layer.name for layer in layers_of(merged)] == names


@pytest.mark.parametrize("isa", ISAS, ids=lambda isa: isa.name)
def test_three_layers_pack_their_common_input_once(isa, evaluate):
    module = branches()
    simplified = pipeline.run(module, pipeline.simplify())
    packed = pipeline.run(simplified, pipeline.canonicalize() + pipeline.pack(isa))
    assert operators(packed).count("relax.bnn.pack") == 1
    assert operators(packed).count("relax.bnn.packed_dense") == 3
    x = RNG.standard_normal((5, 64)).astype(np.float32)
    expected = np.where(x + np.float32(0.25) >= 0, 1, -1) @ sum(WEIGHTS)
    np.testing.assert_array_equal(evaluate(packed, x), expected)
