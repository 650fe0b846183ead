import dataclasses
import json

import numpy as np
import pytest
import tvm
from tvm import te

from schedules.choice import schedule_function
from schedules.kernels.binary.bconv2d import bconv2d
from schedules.kernels.window import Window
from schedules.lowering import stack
from schedules.machines.isa import AVX2, AVX512_VPOPCNTDQ, ISAS, NEON
from schedules.tuned import space
from schedules.tuned.trace import replay, to_json
from schedules.tuned.trace_key import key_of, register_tile
from schedules.tuned.workload import layer_of, normalized, signature, tensors_of, workload_hash


@pytest.mark.parametrize("isa", ISAS, ids=lambda isa: isa.name)
def test_the_default_schedule_is_a_point_of_the_space(convolution, isa):
    function = convolution(isa)
    point = space.default_point(function, isa)
    tvm.ir.assert_structural_equal(point.mod["main"], schedule_function(function, isa)[0])


@pytest.mark.parametrize("isa", ISAS, ids=lambda isa: isa.name)
@pytest.mark.parametrize("batch", [(2, 3), (1,), ()], ids=str)
def test_the_default_schedule_of_a_product_is_a_point_of_the_space(product, batch, isa):
    function = product(isa, batch)
    point = space.default_point(function, isa)
    tvm.ir.assert_structural_equal(point.mod["main"], schedule_function(function, isa)[0])
    assert signature(function, isa).startswith(f"bmatmul/{isa.name} ")


@pytest.mark.parametrize("isa", ISAS, ids=lambda isa: isa.name)
def test_every_design_fits_the_registers_and_divides_the_layer(convolution, isa):
    function = convolution(isa)
    layer = layer_of(function, isa)
    found = space.designs(layer, isa)
    assert len({dataclasses.replace(tile, pixels=0) for tile in found}) == len(found)
    for tile in found:
        assert tile.pixels * tile.vectors + tile.vectors + 2 <= isa.registers
        assert layer.shape[-2] % tile.pixels == 0
        assert layer.shape[-1] % (tile.lanes * tile.vectors * (tile.groups or 1)) == 0
        steps = tile.depth * tile.unroll
        assert layer.depth % steps == 0 or (isa == NEON and steps == layer.depth * layer.columns)


def test_unrolling_the_columns_of_a_shallow_window_is_a_knob_on_neon_only(convolution):
    found = {isa.name: space.designs(layer_of(convolution(isa), isa), isa) for isa in ISAS}
    assert {name for name, tiles in found.items() if any(tile.depth * tile.unroll == 4 * 3 for tile in tiles)} == {
        "neon"
    }
    layer = layer_of(convolution(NEON), NEON)
    assert layer.tile in [dataclasses.replace(tile, pixels=layer.tile.pixels) for tile in found["neon"]]


def test_threads_open_what_they_share(convolution):
    layer = layer_of(convolution(NEON), NEON)
    assert {tile.shared for tile in space.designs(layer, NEON)} == {None}
    assert {tile.shared for tile in space.designs(layer, NEON, threads=2)} == {None, 1}


def test_a_trace_survives_json_and_tells_its_tile(convolution):
    function = convolution(AVX512_VPOPCNTDQ)
    _, choice = schedule_function(function, AVX512_VPOPCNTDQ)
    point = space.default_point(function, AVX512_VPOPCNTDQ)
    trace = json.loads(json.dumps(to_json(point)))
    assert register_tile(trace) == (choice.tile.pixels, choice.tile.vectors)
    again = replay(function, trace)
    tvm.ir.assert_structural_equal(again.mod, point.mod)
    assert key_of(to_json(again)) == key_of(trace)


def test_a_trace_of_another_layer_is_refused(convolution):
    trace = to_json(space.default_point(convolution(AVX2), AVX2))
    trace[0][0][2][0] = "no such block"
    with pytest.raises(ValueError, match="the trace does not fit the function"):
        replay(convolution(AVX2), trace)


@pytest.mark.parametrize("kind", ["convolution", "product", "ragged product"])
def test_whatever_is_drawn_computes_the_same(kind, convolution, product):
    function = convolution(AVX2, size=6, depth=128, channels=64)
    if kind != "convolution":
        function = product(AVX2, others=50 if kind == "ragged product" else 64)
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 1 << 60, shape, np.uint64).astype(dtype) for shape, dtype in tensors_of(function)[:-1]]
    arrays[2:] = [border % 1000 for border in arrays[2:]]

    def run(scheduled):
        library = tvm.compile(scheduled.with_attr("global_symbol", "main"), target="llvm", tir_pipeline=stack.PIPELINE)
        result = tvm.runtime.tensor(np.zeros(*tensors_of(function)[-1]))
        library["main"](*map(tvm.runtime.tensor, arrays), result)
        return result.numpy()

    expected = run(function)
    drawn = space.generate(tvm.s_tir.Schedule(tvm.IRModule({"main": function})), AVX2)
    for schedule in drawn[:: max(1, len(drawn) // 8)]:
        np.testing.assert_array_equal(run(schedule.mod["main"]), expected)


def test_names_and_trained_scalars_do_not_make_another_workload(convolution):
    function = convolution(NEON)
    named = function.with_attr("global_symbol", "fused_layer_3")
    assert workload_hash(normalized(named)) == workload_hash(normalized(function))


def test_a_kernel_has_another_version_on_another_shape_but_not_in_another_process(convolution):
    function = convolution(NEON)
    assert space.kernel_version(function, NEON) == space.kernel_version(convolution(NEON), NEON)
    assert space.kernel_version(function, NEON) != space.kernel_version(convolution(NEON, size=4), NEON)
    assert signature(function, NEON).startswith("bconv2d/neon 1x8x8x4:uint16 8x3x3x4x8:uint16 ")


def test_no_design_loads_a_vector_from_two_groups():
    words = te.placeholder((1, 8, 8, 4), "uint16", name="words")
    weights = te.placeholder((12, 3, 3, 2, 8), "uint16", name="weights")
    border = te.placeholder((3, 3, 96), "int32", name="border")
    grouped = bconv2d(words, weights, border, Window((3, 3), padding=(1, 1, 1, 1)), 96, 2)
    function = te.create_prim_func([words, weights, border, grouped])
    found = space.designs(layer_of(function, NEON), NEON)
    assert {tile.depth for tile in found if 48 % (8 * tile.vectors) == 0} != {1}
    assert {tile.depth for tile in found if 48 % (8 * tile.vectors)} == {1}
    for schedule in space.generate(tvm.s_tir.Schedule(tvm.IRModule({"main": function})), NEON)[::5]:
        tvm.compile(schedule.mod["main"], target="llvm", tir_pipeline=stack.PIPELINE)
