"""ONNX models end to end: compiled, held against ONNX Runtime, and every layer's verdict."""

import numpy as np
import pytest
import torch
from torch import nn

from schedules.errors import UserError
from tvm_bnn import load
from tvm_bnn.compile.compiler import compile_model
from tvm_bnn.verifying.samples import Samples

onnx = pytest.importorskip("onnx", reason="the extra 'onnx' is not installed")
pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402


class Net:
    """A graph that is written down node by node; every method returns the name of a value."""

    def __init__(self, *shape, opset=17, dtype=TensorProto.FLOAT):
        self.nodes, self.weights, self.opset = [], [], opset
        self.inputs = [helper.make_tensor_value_info("x", dtype, shape)]
        self.random = np.random.default_rng(0)

    def constant(self, values, name=None):
        name = name or f"constant{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def weight(self, *shape, name=None):
        return self.constant(self.random.standard_normal(shape).astype(np.float32), name)

    def op(self, operator, *inputs, domain="", name=None, **attributes):
        outputs = [f"value{len(self.nodes)}"]
        self.nodes.append(helper.make_node(operator, inputs, outputs, domain=domain, name=name, **attributes))
        return outputs[0]

    def batch_norm(self, x, channels):
        shape = (self.random.uniform(-1, 1, channels), *self.random.standard_normal((2, channels)))
        variance = self.random.uniform(0.5, 2, channels)
        operands = [self.constant(values.astype(np.float32)) for values in (*shape, variance)]
        return self.op("BatchNormalization", x, *operands)

    def model(self, output, rank=None):
        rank = rank or len(self.inputs[0].type.tensor_type.shape.dim)
        made = [helper.make_tensor_value_info(output, TensorProto.FLOAT, [None] * rank)]
        graph = helper.make_graph(self.nodes, "net", self.inputs, made, self.weights)
        domains = {node.domain for node in self.nodes} - {""}
        opsets = [helper.make_opsetid("", self.opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)

    def save(self, path, output, rank=None):
        onnx.save(self.model(output, rank), path / "net.onnx")
        return path / "net.onnx"


def report_of(path, **options):
    """Compile and verify; every sample must agree, not only most."""
    report = compile_model(path, output=path.with_suffix(".so"), **options).report
    assert report.parity.framework == "ONNX Runtime"
    assert report.parity.agreeing == report.parity.samples
    assert report.parity.yardstick_agreeing in {None, report.parity.samples}
    return report


def verdicts(report):
    return {row.name: row.binary for row in report.layers}


def complaint_of(path, **options):
    with pytest.raises(UserError) as caught:
        compile_model(path, output=path.with_suffix(".so"), **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("opset", [9, 11, 13, 17, 18, 21, 23, 26])
def test_signs_convolutions_and_batch_norms_of_every_opset(tmp_path, opset):
    net = Net("batch", 3, 8, 8, opset=opset)
    stem = net.op("Conv", "x", net.weight(16, 3, 3, 3, name="stem.weight"), pads=[1] * 4)
    body = net.batch_norm(stem, 16)
    for name in ("layers.0", "layers.1"):
        signs = net.op("Sign", net.weight(16, 16, 3, 3, name=f"{name}.weight"))
        conv = net.op("Conv", net.op("Sign", body), signs, pads=[1] * 4, name=f"/{name}/Conv")
        body = net.op("Add", net.batch_norm(conv, 16), body)
    flat = net.op("Flatten", net.op("GlobalAveragePool", body))
    head = net.op("Gemm", flat, net.weight(5, 16, name="head.weight"), net.weight(5), transB=1)
    report = report_of(net.save(tmp_path, head, rank=2))
    assert verdicts(report) == {"stem": False, "layers.0": True, "layers.1": True, "head": False}
    assert report.parity.signs == 16 * 2 * 16 * 8 * 8


def where(net, x):
    return net.op("Where", net.op("GreaterOrEqual", x, net.constant(np.float32(0))), *constants(net, 1, -1))


def greater_cast(net, x):
    bits = net.op("Cast", net.op("Greater", x, net.constant(np.float32(0))), to=TensorProto.FLOAT)
    return net.op("Sub", net.op("Mul", bits, *constants(net, 2)), *constants(net, 1))


def integer_cast(net, x):
    bits = net.op("Cast", net.op("GreaterOrEqual", x, net.constant(np.float32(0))), to=TensorProto.INT64)
    signs = net.op("Sub", net.op("Mul", bits, net.constant(np.int64(2))), net.constant(np.int64(1)))
    return net.op("Cast", signs, to=TensorProto.FLOAT)


def not_less(net, x):
    return net.op("Where", net.op("Less", x, net.constant(np.float32(0))), *constants(net, -1, 1))


def clipped_sign(net, x):
    return net.op("Sign", net.op("Clip", x, *constants(net, -1, 1)))


def constants(net, *values):
    return [net.constant(np.float32(value)) for value in values]


@pytest.mark.parametrize("binarize", [where, greater_cast, integer_cast, not_less, clipped_sign])
def test_activations_binarized_in_many_ways(tmp_path, binarize):
    net = Net(2, 40)
    hidden = net.op("MatMul", binarize(net, "x"), net.op("Sign", net.weight(40, 33)))
    out = net.op("MatMul", binarize(net, net.batch_norm(hidden, 33)), net.op("Sign", net.weight(33, 4)))
    report = report_of(net.save(tmp_path, out))
    assert [row.binary for row in report.layers] == [True, True]


@pytest.mark.parametrize(("binarize", "of_zero"), [(where, 1), (not_less, 1), (greater_cast, -1)])
def test_what_a_comparison_makes_of_zero_is_kept(tmp_path, binarize, of_zero):
    import tvm_bnn

    net = Net(1, 40)
    relu = net.op("Relu", "x")
    out = net.op("MatMul", binarize(net, relu), net.constant(np.ones((40, 2), np.float32)))
    report = report_of(net.save(tmp_path, out))
    assert [row.binary for row in report.layers] == [True]
    negative = tvm_bnn.load(tmp_path / "net.so")(-np.ones((1, 40), np.float32))
    assert negative.tolist() == [[40 * of_zero] * 2]


def test_zeros_that_reach_a_sign_are_counted(tmp_path):
    net = Net(1, 40)
    out = net.op("MatMul", net.op("Sign", "x"), net.op("Sign", net.weight(40, 3)))
    x = net.random.standard_normal((20, 40)).astype(np.float32)
    x[0, :3] = 0
    parity = compile_model(
        net.save(tmp_path, out), output=tmp_path / "m.so", samples=Samples((x,), "zeros")
    ).report.parity
    assert (parity.zero_signs, parity.signs) == (3, 800)


DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")


def bipolar(net, x, scale, domain=DOMAINS[0]):
    return net.op("BipolarQuant", x, net.constant(np.asarray(scale, np.float32)), domain=domain)


@pytest.mark.parametrize(("domain", "opset"), [(DOMAINS[0], 17), (DOMAINS[1], 11), (DOMAINS[2], 9)])
def test_bipolar_quantizers_of_brevitas_on_convolutions_and_linear_layers(tmp_path, domain, opset):
    net = Net(1, 3, 8, 8, opset=opset)
    scales = net.random.uniform(0.1, 1, (24, 1, 1, 1))
    weight = bipolar(net, net.weight(24, 3, 3, 3, name="features.0.conv.weight"), scales, domain)
    conv = net.op("Conv", bipolar(net, "x", 0.5, domain), weight, pads=[1] * 4)
    pool = net.op("MaxPool", net.batch_norm(conv, 24), kernel_shape=[2, 2], strides=[2, 2])
    flat = net.op("Flatten", bipolar(net, pool, 1.0, domain))
    gemm = net.op(
        "Gemm", flat, bipolar(net, net.weight(32, 384, name="fc1.weight"), 0.1, domain), net.weight(32), transB=1
    )
    matrix = net.op("Transpose", bipolar(net, net.weight(10, 32, name="fc2.weight"), 0.3, domain), perm=[1, 0])
    out = net.op("MatMul", bipolar(net, net.batch_norm(gemm, 32), 1.0, domain), matrix)
    report = report_of(net.save(tmp_path, out, rank=2))
    assert verdicts(report) == {"features.0.conv": True, "fc1": True, "fc2": True}
    assert report.layers[0].weight_shape == (24, 3, 3, 3)


def test_functions_of_a_model_are_inlined_but_for_the_stubs_of_quantizers(tmp_path):
    net, domain = Net(1, 40), DOMAINS[0]
    signs = net.op("wrapper", "x", *constants(net, 1), domain=domain)
    model = net.model(net.op("MatMul", signs, net.op("Sign", net.weight(40, 3, name="fc.weight"))))
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(domain, 1)]
    bodies = {
        "wrapper": helper.make_node("BipolarQuant", ["x", "scale"], ["y"], domain=domain),
        "BipolarQuant": helper.make_node("Identity", ["x"], ["y"]),
    }
    model.functions.extend(
        helper.make_function(domain, name, ["x", "scale"], ["y"], [body], opsets) for name, body in bodies.items()
    )
    onnx.save(model, tmp_path / "net.onnx")
    assert verdicts(report_of(tmp_path / "net.onnx")) == {"fc": True}


def quant(net, x, bits, scale=0.5, zero=0.0, operator="Quant", rounding_mode="ROUND", **attributes):
    operands = [net.constant(np.float32(value)) for value in (scale, zero, bits)]
    attributes = {"signed": 1, "narrow": 0, **attributes}
    return net.op(operator, x, *operands, domain=DOMAINS[0], rounding_mode=rounding_mode, name="quant", **attributes)


def quantized_layer(tmp_path, activations, weights):
    """Compile sign layer, layer with the given operands: without the first one, the model might be refused."""
    net = Net(1, 40)
    first = net.op("MatMul", net.op("Sign", "x"), net.op("Sign", net.weight(40, 32)), name="first")
    x = activations(net, net.batch_norm(first, 32))
    out = net.op("MatMul", x, weights(net, net.weight(32, 6)), name="second")
    report = report_of(net.save(tmp_path, out))
    assert report.layers[0].binary
    return report.layers[1]


def test_two_bit_activations_run_as_two_bit_planes(tmp_path):
    row = quantized_layer(tmp_path, lambda net, x: quant(net, x, 2), lambda net, w: bipolar(net, w, 0.2))
    assert not row.binary
    assert row.bit_planes == (2, 1)


def test_two_bit_weights_run_as_two_bit_planes(tmp_path):
    row = quantized_layer(tmp_path, lambda net, x: bipolar(net, x, 1), lambda net, w: quant(net, w, 2, narrow=0))
    assert not row.binary
    assert row.bit_planes == (1, 2)


@pytest.mark.parametrize("operator", ["Quant", "IntQuant"])
def test_one_unsigned_bit_and_three_symmetric_values_are_binary(tmp_path, operator):
    for options in ({"bits": 1, "signed": 0}, {"bits": 2, "narrow": 1}):
        row = quantized_layer(
            tmp_path, lambda net, x, o=options: quant(net, x, operator=operator, **o), lambda net, w: bipolar(net, w, 1)
        )
        assert row.binary, options


@pytest.mark.parametrize("mode", ["ROUND", "half_even", "CEIL", "FLOOR"])
@pytest.mark.parametrize("zero", [0.0, 3.0])
def test_quantizers_round_and_shift_as_their_formula_says(mode, zero):
    from tvm_bnn.front_ends.onnx_model.qonnx_operators import rewrite_qonnx
    from tvm_bnn.front_ends.onnx_model.session import session_of

    rounding = {"CEIL": np.ceil, "FLOOR": np.floor}.get(mode, np.round)
    for signed, narrow, low, high in ((1, 0, -4, 3), (1, 1, -3, 3), (0, 0, 0, 7), (0, 1, 0, 6)):
        net = Net(200)
        y = quant(net, "x", 3, 0.3, zero, rounding_mode=mode, signed=signed, narrow=narrow)
        model = net.model(y)
        rewrite_qonnx(model)
        x = np.linspace(-4, 4, 200, dtype=np.float32)
        expected = (rounding(np.clip(x / np.float32(0.3) + zero, low, high)) - zero) * np.float32(0.3)
        np.testing.assert_allclose(session_of(model, optimize=False).run(None, {"x": x})[0], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda net: quant(net, "x", 1), "is signed and 1 bit wide"),
        (lambda net: quant(net, "x", 2.5), "bit width that is no constant positive integer"),
        (lambda net: quant(net, "x", 2, rounding_mode="UP"), "rounds by UP; known are ROUND"),
        (
            lambda net: net.op("Trunc", "x", *constants(net, 1, 0, 8, 4), domain=DOMAINS[0], name="pool"),
            "Trunc in node 'pool' cuts bits off",
        ),
    ],
)
def test_quantizers_that_are_refused(tmp_path, make, text):
    net = Net(1, 8)
    assert text in complaint_of(net.save(tmp_path, make(net)))


def test_grouped_strided_dilated_and_unevenly_padded_convolutions(tmp_path):
    net = Net(1, 24, 11, 9)
    shapes = [
        ((24, 12, 3, 3), {"group": 2, "strides": [2, 1], "pads": [1, 1, 1, 1]}),
        ((24, 1, 3, 3), {"group": 24, "dilations": [2, 2], "pads": [2, 2, 2, 2]}),
        ((40, 24, 3, 2), {"pads": [0, 1, 2, 0]}),
        ((16, 40, 1, 1), {"strides": [2, 2]}),
    ]
    x = "x"
    for shape, attributes in shapes:
        conv = net.op("Conv", where(net, x), net.op("Sign", net.weight(*shape)), net.weight(shape[0]), **attributes)
        x = net.batch_norm(conv, shape[0])
    report = report_of(net.save(tmp_path, x))
    assert [row.binary for row in report.layers] == [True] * 4


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_automatic_padding(tmp_path, mode):
    net = Net(1, 5, 10, 7)
    options = {"auto_pad": mode, "strides": [2, 2]}
    conv = net.op("Conv", where(net, "x"), net.op("Sign", net.weight(16, 5, 4, 3)), kernel_shape=[4, 3], **options)
    pool = net.op(
        "MaxPool", net.op("AveragePool", conv, kernel_shape=[2, 2], auto_pad=mode), kernel_shape=[2, 2], **options
    )
    out = net.op("Conv", where(net, pool), net.op("Sign", net.weight(3, 16, 1, 1)))
    report = report_of(net.save(tmp_path, out))
    assert [row.binary for row in report.layers] == [True, True]


def prelu(net, x):
    return net.op("PRelu", x, net.weight(16, 1, 1))


def scalar_prelu(net, x):
    return net.op("PRelu", x, net.weight(1))


def padded(net, x):
    return net.op("Pad", x, net.constant(np.array([0, 0, 1, 1, 0, 0, 1, 2])), *constants(net, 0))


def padded_by_axes(net, x):
    widths, axes = net.constant(np.array([1, 2, 0, 1])), net.constant(np.array([-2, 3]))
    return net.op("Pad", x, widths, *constants(net, 0), axes)


def extremes(net, x):
    low = net.op("Min", x, net.weight(16, 1, 1), *constants(net, 0.7))
    return net.op("Sum", net.op("Max", low, net.weight(1)), x)


def attention(net, x):
    mean = net.op("ReduceMean", x, net.constant(np.array([2, 3])))
    gates = net.op("Sigmoid", net.op("Conv", mean, net.weight(16, 16, 1, 1)))
    return net.op("Mul", x, gates)


def dropout(net, x):
    return net.op("Dropout", x, *constants(net, 0.3))


def hardswish(net, x):
    return net.op("HardSwish", net.op("LeakyRelu", x, alpha=0.2))


def halves(net, x):
    net.nodes.append(helper.make_node("Split", [x], ["left", "right"], axis=1, num_outputs=2))
    return net.op("Concat", net.op("Relu", "right"), "left", axis=1)


def average(net, x):
    return net.op("AveragePool", x, kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1)


def first_and_last_row(net, x):
    rows = [net.op("Gather", x, net.constant(np.array(row)), axis=2) for row in ([0, -1, 1, 2, 3, -2],)]
    return net.op(
        "Add", rows[0], net.op("Unsqueeze", net.op("Gather", x, net.constant(np.array(-1)), axis=2), axes(net))
    )


def axes(net):
    return net.constant(np.array([2]))


def shuffled(net, x):
    apart = net.op("Reshape", x, net.constant(np.array([0, 4, 4, 6, -1])))
    return net.op("Reshape", net.op("Transpose", apart, perm=[0, 2, 1, 3, 4]), net.constant(np.array([1, 16, 6, 6])))


@pytest.mark.parametrize(
    "between",
    [
        *(prelu, scalar_prelu, padded, padded_by_axes, extremes, attention, dropout, hardswish, halves, average),
        *(first_and_last_row, shuffled),
    ],
)
def test_what_stands_between_binary_layers(tmp_path, between):
    net = Net(1, 8, 6, 6, opset=18)
    first = net.op("Conv", where(net, "x"), net.op("Sign", net.weight(16, 8, 3, 3)), pads=[1] * 4, name="first")
    x = between(net, net.batch_norm(first, 16))
    second = net.op("Conv", net.op("Sign", x), net.op("Sign", net.weight(7, 16, 3, 3)), name="second")
    report = report_of(net.save(tmp_path, net.op("Add", second, net.op("Mul", second, second))))
    assert verdicts(report)["first"]
    assert verdicts(report)["second"]
    assert sum(row.name.startswith("second") for row in report.layers) == 1, "a value that is read twice is made once"


def test_layers_that_run_twice_and_nodes_without_names(tmp_path):
    net = Net(1, 16)
    weight = net.op("Sign", net.weight(16, 16, name="shared.weight"))
    once = net.op("MatMul", net.op("Sign", "x"), weight)
    twice = net.op("MatMul", net.op("Sign", once), weight)
    plain = net.op("MatMul", net.op("Sign", twice), net.op("Sign", net.weight(16, 4)))
    report = report_of(net.save(tmp_path, plain))
    assert [row.name for row in report.layers] == ["shared", "shared#2", "MatMul_7"]


class BinaryConv2d(nn.Conv2d):
    def forward(self, x):
        return self._conv_forward(torch.sign(x), torch.sign(self.weight), self.bias)


class BinaryLinear(nn.Linear):
    def forward(self, x):
        signs = torch.where(x >= 0, 1.0, -1.0)
        return nn.functional.linear(signs, torch.sign(self.weight) * self.weight.abs().mean(), self.bias)


class Exported(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            BinaryConv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.PReLU(16), nn.MaxPool2d(2), nn.Dropout()
        )
        self.shortcut = BinaryConv2d(16, 16, 1, bias=False)
        self.fc = BinaryLinear(16 * 16, 5)

    def forward(self, x):
        x = self.features(x)
        x = nn.functional.hardtanh(x + self.shortcut(x))
        return self.fc(x.view(x.size(0), -1))


@pytest.mark.filterwarnings("ignore:.*legacy TorchScript:DeprecationWarning")
def test_what_the_torchscript_exporter_of_pytorch_writes(tmp_path):
    torch.manual_seed(0)
    options = {"dynamo": False, "input_names": ["image"], "dynamic_axes": {"image": {0: "batch"}}}
    torch.onnx.export(Exported().eval(), (torch.randn(2, 3, 8, 8),), tmp_path / "net.onnx", **options)
    report = report_of(tmp_path / "net.onnx")
    assert verdicts(report) == {"features.0": True, "shortcut": True, "fc": True}


def test_what_the_dynamo_exporter_of_pytorch_writes(tmp_path, capsys):
    pytest.importorskip("onnxscript", reason="PyTorch's exporter needs onnxscript")
    torch.manual_seed(0)
    torch.onnx.export(Exported().eval(), (torch.randn(2, 3, 8, 8),), tmp_path / "net.onnx", dynamo=True, verbose=False)
    report = report_of(tmp_path / "net.onnx")
    assert [row.binary for row in report.layers] == [True, True, True]
    assert [row.name for row in report.layers][1:] == ["shortcut", "fc"]


@pytest.mark.parametrize("ir_version", [3, onnx.IR_VERSION])
def test_old_files_list_their_weights_among_the_inputs(tmp_path, ir_version):
    net = Net("batch", 40, opset=9)
    model = net.model(net.op("MatMul", net.op("Sign", "x"), net.op("Sign", net.weight(40, 3))))
    model.ir_version = ir_version
    model.graph.input.append(helper.make_tensor_value_info(net.weights[0].name, TensorProto.FLOAT, [40, 3]))
    onnx.save(model, tmp_path / "net.onnx")
    assert [row.binary for row in report_of(tmp_path / "net.onnx").layers] == [True]


def test_the_digest_covers_weights_beside_the_file(tmp_path):
    from tvm_bnn.front_ends.onnx_model.file import digest

    net = Net(1, 40)
    model = net.model(net.op("MatMul", net.op("Sign", "x"), net.weight(40, 3)))
    onnx.save(model, tmp_path / "net.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    before = digest(tmp_path / "net.onnx")
    (tmp_path / "weights").write_bytes(bytes(40 * 3 * 4))
    assert digest(tmp_path / "net.onnx") != before


def test_integer_inputs_need_samples(tmp_path):
    net = Net(1, 40, dtype=TensorProto.INT64)
    centred = net.op("Sub", net.op("Cast", "x", to=TensorProto.FLOAT), *constants(net, 127.5))
    out = net.op("MatMul", net.op("Sign", centred), net.op("Sign", net.weight(40, 3)))
    path = net.save(tmp_path, out)
    assert "'x' is int64: its range is not known" in complaint_of(path)
    pixels = net.random.integers(0, 256, (30, 40))
    assert report_of(path, samples=Samples((pixels,), "pixels")).layers[0].binary


def test_a_model_without_binary_layers_is_refused(tmp_path):
    net = Net(1, 8)
    path = net.save(tmp_path, net.op("MatMul", net.op("Sign", "x"), net.weight(8, 4), name="plain"))
    assert "'plain': its weights take more than a few values" in complaint_of(path)


def test_an_open_first_dimension_becomes_the_batch_asked_for(tmp_path):
    net = Net("batch", 8)
    path = net.save(tmp_path, net.op("MatMul", net.op("Sign", "x"), net.op("Sign", net.weight(8, 4))))
    compiled = compile_model(path, batch=3, output=tmp_path / "model.so")
    assert compiled.report.parity.passed
    assert load(compiled.path).manifest.inputs[0].shape == (3, 8)
    with pytest.raises(UserError, match="batch 0: at least one sample is needed"):
        compile_model(path, batch=0, output=tmp_path / "model.so")


def test_a_fixed_batch_is_not_changed(tmp_path):
    net = Net(2, 8)
    path = net.save(tmp_path, net.op("MatMul", net.op("Sign", "x"), net.op("Sign", net.weight(8, 4))))
    with pytest.raises(UserError, match="input 'x' has a batch of 2, not 3"):
        compile_model(path, batch=3, output=tmp_path / "model.so")
