import numpy as np
import pytest
from tvm import relax

from relay_passes import pipeline
from relay_passes.canonicalize.sink_reshape import sink_reshape
from relay_passes.rewrite import bindings, op_name
from schedules.machines import host
from schedules.tuned.workload import layer_of

RNG = np.random.default_rng(0)
ROWS, CHANNELS = (2, 6), 40


def numbers(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def per_channel(*leading):
    return relax.const(numbers(*leading, CHANNELS))


def module_of(tail, binary=False, shape=(*ROWS, CHANNELS)):
    """``tail(reshape(matmul(reshape(x), w)), y)``, as PyTorch exports a linear layer of three axes."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((*ROWS, 16), "float32"))
    y = relax.Var("y", relax.TensorType(shape, "float32"))
    weight = np.sign(numbers(16, CHANNELS)) if binary else numbers(16, CHANNELS)
    with builder.function("main", [x, y]):
        with builder.dataflow():
            is_positive = builder.emit(relax.op.greater(x, relax.const(0.0)))
            signs = builder.emit(relax.op.where(is_positive, relax.const(1.0), relax.const(-1.0)))
            flat = builder.emit(relax.op.reshape(signs if binary else x, (12, 16)))
            product = builder.emit(relax.op.matmul(flat, relax.const(weight)))
            made = tail(builder, builder.emit(relax.op.reshape(product, shape)), y)
            result = builder.emit_output(made)
        builder.emit_func_output(result)
    return builder.get()


def epilogue(builder, value, y):
    scaled = builder.emit(relax.op.multiply(value, per_channel()))
    shifted = builder.emit(relax.op.add(scaled, per_channel(1, 1)))
    halved = builder.emit(relax.op.multiply(shifted, relax.const(0.5)))
    return builder.emit(relax.op.add(builder.emit(relax.op.nn.gelu(halved)), y))


def reshaped_back(builder, value, _y):
    back = builder.emit(relax.op.reshape(builder.emit(relax.op.nn.relu(value)), (12, CHANNELS)))
    return builder.emit(relax.op.nn.softmax(back))


def twice(builder, value, y):
    """The sum of two layers' results, of which one is reshaped twice."""
    flat = builder.emit(relax.op.reshape(y, (12, CHANNELS)))
    other = builder.emit(relax.op.matmul(flat, relax.const(numbers(CHANNELS, CHANNELS))))
    other = builder.emit(relax.op.reshape(builder.emit(relax.op.reshape(other, (3, 4, CHANNELS))), (*ROWS, CHANNELS)))
    return builder.emit(relax.op.add(builder.emit(relax.op.exp(other)), value))


def per_row(builder, value, _y):
    return builder.emit(relax.op.multiply(value, relax.const(numbers(1, 6, 1))))


def broadcast(builder, value, _y):
    return builder.emit(relax.op.add(value, relax.const(numbers(5, 2, 6, CHANNELS))))


def split_channels(builder, value, _y):
    heads = builder.emit(relax.op.reshape(value, (2, 6, 4, 10)))
    return builder.emit(relax.op.multiply(heads, relax.const(numbers(10))))


def operators(module):
    """Return their names, without those of the input's signs, which not all modules use."""
    names = (op_name(binding.value) for binding in bindings(module["main"]))
    return [name.removeprefix("relax.") for name in names if name not in {None, "relax.greater", "relax.where"}]


def check(before, after, evaluate, shape=(*ROWS, CHANNELS)):
    inputs = numbers(*ROWS, 16), numbers(*shape)
    np.testing.assert_array_equal(evaluate(after, *inputs), evaluate(before, *inputs))


def test_an_epilogue_follows_its_layer(evaluate):
    before = module_of(epilogue)
    after = sink_reshape(before)
    shown = ["reshape", "matmul", "multiply", "add", "multiply", "nn.gelu", "reshape", "add", "reshape"]
    assert operators(after) == shown
    check(before, after, evaluate)


@pytest.mark.parametrize(("tail", "left"), [(reshaped_back, 1), (twice, 3)])
def test_what_is_reshaped_back_was_never_reshaped(tail, left, evaluate):
    before = module_of(tail)
    after = sink_reshape(before)
    assert operators(after).count("reshape") == left
    check(before, after, evaluate)


@pytest.mark.parametrize("tail", [per_row, broadcast, split_channels])
def test_what_reads_other_axes_stays(tail, evaluate):
    before = module_of(tail)
    after = sink_reshape(before)
    assert operators(after) == operators(before)
    check(before, after, evaluate)


def test_channels_that_are_torn_apart_stay(evaluate):
    before = module_of(lambda builder, value, y: builder.emit(relax.op.add(value, y)), shape=(12, 4, 10))
    after = sink_reshape(before)
    assert operators(after) == operators(before)
    check(before, after, evaluate, (12, 4, 10))


@pytest.mark.parametrize("isa", host.isas(), ids=lambda isa: isa.name)
def test_a_linear_layer_of_three_axes_and_its_epilogue_are_one_kernel(isa, evaluate):
    before = module_of(epilogue, binary=True)
    passes = pipeline.simplify() + pipeline.canonicalize() + pipeline.pack(isa) + pipeline.unscheduled()
    after = pipeline.run(before, passes)
    functions = [function for name, function in after.functions.items() if str(name) != 'I.GlobalVar("main")']
    (kernel,) = [function for function in functions if layer_of(function, isa) is not None]
    assert "erf" in kernel.script()
    scheduled = pipeline.run(after, pipeline.scheduled(isa))
    inputs = numbers(*ROWS, 16), numbers(*ROWS, CHANNELS)
    np.testing.assert_allclose(evaluate(scheduled, *inputs), evaluate(before, *inputs), rtol=1e-5, atol=1e-5)
