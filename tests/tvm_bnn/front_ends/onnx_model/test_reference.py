"""The reference that ONNX models are held against, and its yardstick in float64."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the extra 'onnx' is not installed")
pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from tvm_bnn.front_ends.onnx_model.reference import OnnxReference  # noqa: E402

SHAPE = (2, 4, 7, 9)


def reference_of(*nodes, opset=17, sign_zero="exact", **weights):
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 4)],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return OnnxReference(model, sign_zero)


def node(operator, *inputs, output="y", **attributes):
    return helper.make_node(operator, ["x", *inputs], [output], **attributes)


RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal(SHAPE).astype(np.float32)
FILTERS = RANDOM.standard_normal((6, 2, 3, 2)).astype(np.float32)
VECTOR = RANDOM.uniform(0.1, 1, 6).astype(np.float32)
POOLED = {"kernel_shape": [3, 2], "strides": [2, 1]}


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Conv", "filters", "vector", group=2, pads=[1, 0, 2, 1], strides=[2, 1], dilations=[1, 2])],
        [node("MaxPool", **POOLED, pads=[1, 0, 2, 1])],
        [node("AveragePool", **POOLED)],
        [node("AveragePool", **POOLED, pads=[1, 0, 2, 1], count_include_pad=1)],
        [node("GlobalAveragePool")],
        [node("BatchNormalization", *["four"] * 4)],
        [node("Cast", output="i", to=TensorProto.INT32), helper.make_node("Cast", ["i"], ["y"], to=TensorProto.FLOAT)],
        *(
            [node(operator)]
            for operator in ("Abs", "Ceil", "Exp", "Floor", "HardSwish", "Identity", "LeakyRelu", "Neg")
        ),
        *([node(operator)] for operator in ("Relu", "Round", "Sigmoid", "Sign", "Tanh")),
        [node("Transpose", perm=[0, 2, 3, 1])],
        *([node(operator, "one")] for operator in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "PRelu")),
        [node("Clip", "", "one")],
        [node("Abs", output="a"), helper.make_node("Sqrt", ["a"], ["y"])],
        [node("LessOrEqual", "one", output="c"), helper.make_node("Where", ["c", "x", "one"], ["y"])],
    ],
    ids=lambda nodes: nodes[0].op_type,
)
@pytest.mark.parametrize("opset", [13, 17, 26])
def test_float64_says_what_onnx_runtime_says(nodes, opset):
    if nodes[0].op_type == "HardSwish" and opset == 13:
        pytest.skip("HardSwish came with opset 14")
    one = np.array(0.7, np.float32)
    reference = reference_of(*nodes, opset=opset, filters=FILTERS, vector=VECTOR, four=VECTOR[:4], one=one)
    double = reference.run_double([[X]])
    assert double is not None
    assert double[0][0].dtype == np.float64
    np.testing.assert_allclose(double[0][0], reference.run([X])[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "unsure",
    [
        node("Softplus"),
        node("MaxPool", **POOLED, ceil_mode=1),
        node("MaxPool", kernel_shape=[2, 2], auto_pad="SAME_LOWER"),
        node("AveragePool", **POOLED, pads=[1, 0, 1, 0]),
    ],
    ids=lambda node: node.op_type,
)
def test_there_is_no_yardstick_that_could_be_wrong(unsure):
    assert reference_of(unsure).run_double([[X]]) is None


def test_zeros_are_counted_at_signs_of_activations_only():
    reference = reference_of(
        helper.make_node("Sign", ["w"], ["s"]), node("Mul", "s", output="m"), helper.make_node("Sign", ["m"], ["y"]),
        w=np.zeros(9, np.float32),
    )  # fmt: skip
    reference.run([X])
    reference.run([X])
    assert reference.zero_signs == (2 * X.size, 2 * X.size)
    assert reference.examples is None
    assert reference.name == "ONNX Runtime"


def test_the_lent_function_runs_the_model():
    with reference_of(node("Sign")).bound([X]) as run:
        np.testing.assert_array_equal(run()[0], np.sign(X))


@pytest.mark.parametrize(("sign_zero", "of_zero"), [("exact", 0), ("plus", 1), ("minus", -1)])
def test_the_sign_of_zero_is_what_the_user_says(sign_zero, of_zero):
    x = np.where(X > 0.5, 0, X).astype(np.float32)
    reference = reference_of(node("Sign"), sign_zero=sign_zero)
    expected = np.where(x == 0, of_zero, np.sign(x))
    np.testing.assert_array_equal(reference.run([x])[0], expected)
    assert reference.zero_signs == ((x == 0).sum(), x.size)
    np.testing.assert_array_equal(reference.run_double([[x]])[0][0], expected)
