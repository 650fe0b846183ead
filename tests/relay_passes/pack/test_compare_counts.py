import numpy as np
import pytest
from tvm import relax

from relay_passes import dialect, pipeline
from relay_passes.pack.compare_counts import compare_counts
from relay_passes.pack.form_thresholds import form_thresholds
from relay_passes.pack.pack_layers import pack_layers
from relay_passes.rewrite import bindings, op_name
from schedules.kernels.window import Window
from schedules.machines import host
from schedules.machines.isa import ISAS

RNG = np.random.default_rng(0)
WINDOWS = [
    Window((3, 3), (1, 1), (1, 1, 1, 1)),
    Window((3, 3), (2, 2), (0, 1, 1, 0)),
    Window((1, 1)),
    Window((5, 3), (1, 1), (2, 1, 2, 1)),
    Window((7, 7), (1, 1), (3, 3, 3, 3), (2, 1)),
]


def two_layers(window, channels, also_reads=False):
    """A binary convolution whose result is compared with thresholds of both signs and directions, and packed."""
    weight = RNG.choice(np.array([-1, 1], np.float32), (channels, *window.kernel, 40))
    scale = RNG.choice(np.array([-1, 1], np.float32), channels) * np.linspace(0.5, 1.5, channels, dtype=np.float32)
    shift = RNG.uniform(-20, 20, channels).astype(np.float32)
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((1, 13, 9, 40), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            dot = builder.emit(dialect.conv2d(builder.emit(dialect.sign(x)), relax.const(weight), window, 1))
            real = builder.emit(relax.op.astype(dot, "float32"))
            scaled = builder.emit(relax.op.add(builder.emit(relax.op.multiply(real, scale_of(scale))), scale_of(shift)))
            identity = relax.const(np.eye(channels, dtype=np.float32).reshape(channels, 1, 1, channels) * 2 - 1)
            after = builder.emit(dialect.conv2d(builder.emit(dialect.sign(scaled)), identity, Window((1, 1)), 1))
            results = [after, scaled] if also_reads else [after]
            y = builder.emit_output(relax.Tuple(results) if also_reads else after)
        builder.emit_func_output(y)
    return builder.get()


def scale_of(values):
    return relax.const(values)


def packed(module, isa):
    return form_thresholds(pack_layers(module, isa))


def operators(module):
    return [op_name(binding.value) for binding in bindings(module["main"])]


@pytest.mark.parametrize("isa", host.isas(), ids=lambda isa: isa.name)
@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("channels", [32, 20])
def test_bits_of_counts_are_bits_of_dot_products(window, isa, channels, evaluate):
    before = packed(two_layers(window, channels), isa)
    after = compare_counts(before)
    assert "relax.bnn.count_conv2d" in operators(after)
    x = RNG.standard_normal((1, 13, 9, 40)).astype(np.float32)
    expected = evaluate(before, x)
    np.testing.assert_array_equal(evaluate(after, x), expected)
    np.testing.assert_array_equal(evaluate(pipeline.run(after, pipeline.lower_to(isa)), x), expected)


def test_a_result_that_others_read_is_computed():
    before = packed(two_layers(WINDOWS[0], 32, also_reads=True), ISAS[0])
    assert operators(compare_counts(before)) == operators(before)


@pytest.mark.parametrize("isa", host.isas(), ids=lambda isa: isa.name)
def test_linear_layers_too(isa, evaluate):
    weight = RNG.choice(np.array([-1, 1], np.float32), (48, 70))
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((3, 70), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            dot = builder.emit(dialect.dense(builder.emit(dialect.sign(x)), relax.const(weight)))
            real = builder.emit(relax.op.astype(dot, "float32"))
            moved = builder.emit(relax.op.subtract(real, scale_of(np.arange(-24, 24, dtype=np.float32))))
            second = dialect.dense(builder.emit(dialect.sign(moved)), relax.const(np.eye(48, dtype=np.float32) * 2 - 1))
            y = builder.emit_output(builder.emit(second))
        builder.emit_func_output(y)
    before = packed(builder.get(), isa)
    after = compare_counts(before)
    assert operators(after).count("relax.bnn.count_dense") == 1
    values = RNG.standard_normal((3, 70)).astype(np.float32)
    np.testing.assert_array_equal(evaluate(after, values), evaluate(before, values))


def attention(rows, others, depth, masked):
    """Signs of the scores of two activations, perhaps masked at run time, times the signs of a third."""
    builder = relax.BlockBuilder()
    shapes = {"a": (2, 3, rows, depth), "b": (2, 3, others, depth), "c": (2, 3, 5, others), "mask": (2, 1, 1, others)}
    inputs = [relax.Var(name, relax.TensorType(shape, "float32")) for name, shape in shapes.items()]
    with builder.function("main", inputs):
        with builder.dataflow():
            a, b, c = (builder.emit(dialect.sign(value)) for value in inputs[:3])
            scores = builder.emit(relax.op.astype(builder.emit(dialect.matmul(a, b)), "float32"))
            scaled = builder.emit(relax.op.divide(scores, relax.const(8.0)))
            moved = builder.emit(relax.op.add(scaled, inputs[3] if masked else relax.const(np.float32(0.3))))
            y = builder.emit_output(builder.emit(dialect.matmul(builder.emit(dialect.sign(moved)), c)))
        builder.emit_func_output(y)
    values = [RNG.standard_normal(shape).astype(np.float32) for shape in shapes.values()]
    return builder.get(), values


@pytest.mark.parametrize("isa", host.isas(), ids=lambda isa: isa.name)
@pytest.mark.parametrize("shape", [(16, 64, 64), (13, 50, 33), (7, 197, 64), (5, 3, 64), (4, 208, 32)], ids=str)
@pytest.mark.parametrize("masked", [False, True])
def test_products_of_activations_too(shape, masked, isa, evaluate):
    module, values = attention(*shape, masked)
    before = packed(module, isa)
    after = compare_counts(before)
    assert operators(after).count("relax.bnn.count_matmul") == (0 if masked else 1)
    a, b, c = (np.where(value >= 0, 1, -1) for value in values[:3])
    moved = (a @ b.swapaxes(-1, -2)).astype(np.float32) / np.float32(8) + (values[3] if masked else np.float32(0.3))
    expected = np.where(moved >= 0, 1, -1) @ c.swapaxes(-1, -2)
    np.testing.assert_array_equal(evaluate(pipeline.run(after, pipeline.lower_to(isa)), *values), expected)


@pytest.mark.parametrize("isa", host.isas(), ids=lambda isa: isa.name)
@pytest.mark.parametrize("others", [3, 64, 197, 208])
def test_rows_that_fill_no_word_are_counted_up_to_one_and_packed_in_the_kernel(others, isa):
    module, _ = attention(8, others, 64, masked=False)
    after = compare_counts(packed(module, isa))
    (counts,) = (b.value for b in bindings(after["main"]) if op_name(b.value) == "relax.bnn.count_matmul")
    rows = dialect.shape_of(counts)[-1]
    assert others <= rows < others + isa.word_bits
    assert rows % isa.word_bits == rows % isa.binary_lanes == 0
    scheduled = pipeline.run(after, pipeline.lower_to(isa))
    (kernel,) = (
        str(function) for name, function in scheduled.functions.items() if "bmm" in str(name) or "count" in str(name)
    )
    assert "pack_words" in kernel


def test_a_product_that_is_packed_in_groups_stays(evaluate):
    isa = host.isas()[0]
    builder = relax.BlockBuilder()
    inputs = [
        relax.Var(name, relax.TensorType(shape, "float32"))
        for name, shape in (("a", (1, 4, 4, 16)), ("b", (1, 4, 24, 16)))
    ]
    weight = RNG.choice(np.array([-1, 1], np.float32), (6, 1, 1, 12))
    with builder.function("main", inputs):
        with builder.dataflow():
            a, b = (builder.emit(dialect.sign(value)) for value in inputs)
            real = builder.emit(relax.op.astype(builder.emit(dialect.matmul(a, b)), "float32"))
            image = builder.emit(dialect.sign(builder.emit(relax.op.add(real, relax.const(np.float32(0.5))))))
            y = builder.emit_output(builder.emit(dialect.conv2d(image, relax.const(weight), Window((1, 1)), 2)))
        builder.emit_func_output(y)
    before = packed(builder.get(), isa)
    after = compare_counts(before)
    assert "relax.bnn.packed_matmul" in operators(after)
    values = [RNG.standard_normal(dialect.shape_of(value)).astype(np.float32) for value in inputs]
    np.testing.assert_array_equal(evaluate(after, *values), evaluate(builder.get(), *values))


def test_modules_without_packing_stay_as_they_are(expect):
    module = pack_layers(two_layers(WINDOWS[2], 32, also_reads=True), ISAS[0])
    expect(compare_counts, module, module)
