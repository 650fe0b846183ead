import dataclasses
import json

import numpy as np
import pytest
import tvm
from tvm import relax

from relay_passes import dialect, pipeline
from relay_passes.lower.lower import lower
from schedules.choice import schedule_function, schedule_layer
from schedules.kernels.window import Window
from schedules.lowering import stack
from schedules.machines.isa import AVX512_VPOPCNTDQ, ISAS, NEON
from schedules.tuned import space
from schedules.tuned.trace import replay, to_json
from schedules.tuned.trace_key import register_tile
from schedules.tuned.workload import layer_of

RNG = np.random.default_rng(0)
SIGNS = np.array([-1, 1], np.float32)
POINT, SAME, HALF = Window((1, 1)), Window((3, 3), padding=(1, 1, 1, 1)), Window((3, 3), (2, 2), (1, 1, 1, 1))
# (height, width, channels in, channels out, window, groups)
LAYERS = [
    (8, 12, 64, 64, SAME, 1),
    (6, 14, 32, 32, POINT, 1),
    (4, 4, 64, 128, SAME, 2),
    (10, 6, 100, 64, SAME, 1),
    # Enough to do for several threads.
    (28, 28, 64, 64, SAME, 1),
]


def halves(shape):
    """Numbers whose sums are exact in any order."""
    return RNG.integers(-8, 9, shape).astype(np.float32) / 2


def module_of(shape, packs=True, also_kept=False, dilation=1):
    """A binary layer with an epilogue; the mean of its result, and a layer of stride two on the result's signs."""
    height, width, depth, channels, window, groups = shape
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((2, height, width, depth), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            weight = relax.const(RNG.choice(SIGNS, (channels, *window.kernel, depth // groups)))
            dot = builder.emit(dialect.conv2d(builder.emit(dialect.sign(x)), weight, window, groups=groups))
            real = builder.emit(relax.op.astype(dot, "float32"))
            scaled = builder.emit(relax.op.multiply(real, relax.const(halves(channels))))
            # Of another shape in every pixel, so that the bits are no comparison of the dot product.
            value = builder.emit(relax.op.add(scaled, builder.emit(relax.op.max(x, [3], keepdims=True))))
            total = builder.emit(relax.op.nn.avg_pool2d(value, [2, 2], [2, 2], dilation=[dilation] * 2, layout="NHWC"))
            if packs:
                ahead = relax.const(RNG.choice(SIGNS, (channels, 3, 3, channels)))
                next_dot = builder.emit(dialect.conv2d(builder.emit(dialect.sign(value)), ahead, HALF, 1))
                total = builder.emit(relax.op.add(builder.emit(relax.op.astype(next_dot, "float32")), total))
            if also_kept:
                total = builder.emit(relax.op.add(total, builder.emit(relax.op.max(value, [1, 2], keepdims=True))))
            y = builder.emit_output(total)
        builder.emit_func_output(y)
    return builder.get()


def unscheduled(shape, isa, **options):
    return pipeline.run(module_of(shape, **options), pipeline.pack(isa) + pipeline.unscheduled())


def pooled_layers(module, isa):
    """Return the functions of layers with the pool in them, by their names."""
    functions = [(name, found) for name, found in module.functions.items() if isinstance(found, tvm.tirx.PrimFunc)]
    layers = [(name, found, layer_of(found, isa)) for name, found in functions]
    return [(name, found) for name, found, layer in layers if layer is not None and layer.is_pooled]


def pooled_layer(module, isa):
    ((_, found),) = pooled_layers(module, isa)
    return found


def with_schedule(module, isa, schedule):
    """Return the module with a schedule of the layer that pools."""
    ((name, _),) = pooled_layers(module, isa)
    changed = module.clone()
    changed[name] = schedule.mod["main"].with_attr("tirx.is_scheduled", True)
    return changed


def run(module, x):
    executable = relax.build(module, target="llvm", tir_pipeline=stack.PIPELINE)
    machine = relax.VirtualMachine(executable, tvm.cpu())
    return machine["main"](tvm.runtime.tensor(x)).numpy()


@pytest.mark.parametrize("isa", ISAS, ids=lambda isa: isa.name)
@pytest.mark.parametrize("shape", LAYERS, ids=str)
@pytest.mark.parametrize("packs", [True, False], ids=["packed", "pooled only"])
def test_means_and_bits_are_those_of_the_layer_on_its_own(isa, shape, packs):
    before = module_of(shape, packs)
    x = halves((2, *shape[:3])) + 0.25
    expected = run(lower(before), x)
    fused = pipeline.run(before, pipeline.pack(isa) + pipeline.unscheduled())
    assert len(pooled_layers(fused, isa)) == 1
    np.testing.assert_array_equal(run(pipeline.run(fused, pipeline.scheduled(isa)), x), expected)


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((7, 8, 64, 64, SAME, 1), {"packs": False}),
        ((8, 8, 64, 100, SAME, 1), {}),
        (LAYERS[0], {"also_kept": True}),
        (LAYERS[0], {"packs": False, "dilation": 2}),
    ],
    ids=["odd rows", "ragged", "read elsewhere", "dilated"],
)
def test_other_results_are_written_and_pooled_behind_the_layer(shape, options):
    assert pooled_layers(unscheduled(shape, AVX512_VPOPCNTDQ, **options), AVX512_VPOPCNTDQ) == []


@pytest.mark.parametrize("isa", ISAS, ids=lambda isa: isa.name)
@pytest.mark.parametrize("shape", LAYERS, ids=str)
def test_the_default_schedule_is_a_point_of_a_space_whose_designs_fit(isa, shape):
    function = pooled_layer(unscheduled(shape, isa), isa)
    point = space.default_point(function, isa)
    scheduled, choice = schedule_function(function, isa)
    tvm.ir.assert_structural_equal(point.mod["main"], scheduled)
    layer = layer_of(function, isa)
    assert layer.shape[1:3] == (shape[0] // 2, shape[1] // 2)
    for tile in space.designs(layer, isa):
        assert (2 * tile.pixels + 1) * tile.vectors + 2 <= isa.registers
        assert layer.shape[-2] % tile.pixels == 0
    trace = json.loads(json.dumps(to_json(point)))
    assert register_tile(trace) == (choice.tile.pixels, choice.tile.vectors)
    tvm.ir.assert_structural_equal(replay(function, trace).mod, point.mod)


def test_a_large_layer_has_its_rows_shared_out_to_threads():
    isa = AVX512_VPOPCNTDQ
    is_shared = {}
    for shape in (LAYERS[1], LAYERS[-1]):
        scheduled, _ = schedule_function(pooled_layer(unscheduled(shape, isa), isa), isa)
        is_shared[shape[0]] = "T.parallel" in scheduled.script()
    assert is_shared == {6: False, 28: True}


@pytest.mark.parametrize("isa", [AVX512_VPOPCNTDQ, NEON], ids=lambda isa: isa.name)
def test_whatever_is_drawn_computes_the_same(isa):
    module = unscheduled(LAYERS[0], isa)
    function = pooled_layer(module, isa)
    x = halves((2, *LAYERS[0][:3])) + 0.25
    expected = run(module, x)
    drawn = space.generate(tvm.s_tir.Schedule(tvm.IRModule({"main": function})), isa)
    assert {tile.rows for tile in space.designs(layer_of(function, isa), isa)} == {None, 2}
    for schedule in drawn[:: max(1, len(drawn) // 6)]:
        np.testing.assert_array_equal(run(with_schedule(module, isa, schedule), x), expected)


def test_rows_in_blocks_compute_the_same():
    isa = AVX512_VPOPCNTDQ
    module = unscheduled(LAYERS[0], isa)
    function = pooled_layer(module, isa)
    layer = layer_of(function, isa)
    x = halves((2, *LAYERS[0][:3])) + 0.25
    expected = run(module, x)
    for rows in (None, 1, 2, 4):
        schedule = tvm.s_tir.Schedule(tvm.IRModule({"main": function}))
        schedule_layer(schedule, layer, dataclasses.replace(layer.tile, rows=rows), isa)
        np.testing.assert_array_equal(run(with_schedule(module, isa, schedule), x), expected)
