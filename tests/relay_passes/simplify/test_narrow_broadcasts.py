import pytest
from tvm import relax

from relay_passes.rewrite import bindings, op_name
from relay_passes.simplify.narrow_broadcasts import narrow_broadcasts

OP = relax.op


def operators_of(make):
    """The operators left of what ``make`` returns for a (4, 1) tensor and a (4, 8) one."""
    builder = relax.BlockBuilder()
    b, x = (relax.Var(name, relax.TensorType(shape, "float32")) for name, shape in (("b", (4, 1)), ("x", (4, 8))))
    with builder.function("main", [b, x]):
        with builder.dataflow():
            y = builder.emit_output(make(builder.emit, b, x))
        builder.emit_func_output(y)
    made = narrow_broadcasts(builder.get())
    relax.analysis.well_formed(made)
    return [op_name(binding.value) for binding in bindings(made["main"]) if op_name(binding.value)]


def interleaved(emit, b):
    wide = emit(OP.broadcast_to(emit(OP.expand_dims(b, 2)), (4, 1, 8)))
    return emit(OP.reshape(wide, (4, 8)))


@pytest.mark.parametrize(
    "repeat",
    [lambda emit, b: emit(OP.broadcast_to(b, (4, 8))), lambda emit, b: emit(OP.tile(b, [1, 8])), interleaved],
    ids=["expand", "repeat", "repeat_interleave"],
)
def test_what_an_elementwise_operator_repeats_by_itself_goes(repeat):
    left = operators_of(lambda emit, b, x: OP.multiply(repeat(emit, b), x))
    assert left[-1] == "relax.multiply"
    assert not {"relax.broadcast_to", "relax.tile"} & set(left)


def test_an_operator_on_a_repeated_value_alone_comes_before_it():
    left = operators_of(lambda emit, b, x: OP.multiply(emit(OP.sqrt(emit(OP.broadcast_to(b, (4, 8))))), x))
    assert left == ["relax.sqrt", "relax.multiply"]


def test_a_repetition_that_the_result_needs_stays():
    assert operators_of(lambda emit, b, _x: OP.broadcast_to(b, (4, 8))) == ["relax.broadcast_to"]


def test_repeating_what_is_no_single_number_stays():
    left = operators_of(lambda emit, _b, x: OP.add(emit(OP.tile(x, [1, 2])), emit(OP.tile(x, [1, 2]))))
    assert "relax.tile" in left
