"""What people with ONNX files are told if those cannot be compiled."""

import gc
import importlib.util

import numpy as np
import pytest

from schedules.errors import UserError
from tvm_bnn.compile.compiler import compile_model

onnx = pytest.importorskip("onnx", reason="the extra 'onnx' is not installed")
pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402


def complaint_of(path):
    with pytest.raises(UserError) as caught:
        compile_model(path, output=path.parent / "net.so")
    assert "\n" not in str(caught.value)
    assert not (path.parent / "net.so").exists()
    return str(caught.value)


def saved(tmp_path, *nodes, shape=(1, 8), dtype=TensorProto.FLOAT, opset=17, weights=(), rank=2, **options):
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * rank)],
        [numpy_helper.from_array(np.asarray(values, np.float32), name) for name, values in dict(weights).items()],
    )
    domains = {node.domain for node in nodes} - {""}
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "net.onnx", **options)
    return tmp_path / "net.onnx"


SIGN = helper.make_node("Sign", ["x"], ["y"], name="sign")


def test_files_that_are_no_models(tmp_path):
    path = tmp_path / "net.onnx"
    assert "no such file" in complaint_of(path)
    for content in (b"", b"hello", b"PK\x03\x04 a zip archive", bytes(range(256)) * 10):
        path.write_bytes(content)
        assert "is no ONNX file" in complaint_of(path), content


def test_a_damaged_file(tmp_path):
    path = saved(tmp_path, helper.make_node("MatMul", ["x", "w"], ["y"]), weights={"w": np.ones((8, 4))})
    path.write_bytes(path.read_bytes()[:-60])
    assert "net.onnx' is no" in complaint_of(path)


def test_external_data_that_is_missing_or_too_short(tmp_path):
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    external = {"save_as_external_data": True, "location": "net.weights", "size_threshold": 0}
    path = saved(tmp_path, node, weights={"w": np.ones((8, 4))}, **external)
    (tmp_path / "net.weights").write_bytes(b"1234")
    assert "net.onnx'" in complaint_of(path)
    (tmp_path / "net.weights").unlink()
    assert "the weight 'w' lies in 'net.weights', which is not beside the model" in complaint_of(path)


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "sub/../../secret", "link"])
def test_external_data_outside_of_the_models_folder_is_refused(tmp_path, location):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(128))
    (folder / "link").symlink_to(tmp_path / "secret")
    path = saved(folder, helper.make_node("MatMul", ["x", "w"], ["y"]), weights={"w": np.ones((8, 4))})
    model = onnx.load(path)
    (tensor,) = model.graph.initializer
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    path.write_bytes(model.SerializeToString())
    assert "outside of the model's folder" in complaint_of(path)


def test_inputs_that_no_machine_could_hold_are_refused_at_once(tmp_path):
    assert "has shape 1099511627776x8; at most" in complaint_of(saved(tmp_path, SIGN, shape=(1 << 40, 8)))
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    path = saved(tmp_path, node, shape=("n", 8), weights={"w": np.ones((8, 4))})
    with pytest.raises(UserError, match="at most 268435456 values are possible"):
        compile_model(path, batch=1 << 40, output=tmp_path / "net.so")


@pytest.mark.parametrize("count", [1_500, 20_001])
def test_chains_that_are_too_long_are_refused_in_a_line(tmp_path, count):
    signs = [helper.make_node("Sign", [f"v{i}" if i else "x"], [f"v{i + 1}"]) for i in range(count)]
    product = helper.make_node("MatMul", [f"v{count}", "w"], ["y"])
    text = complaint_of(saved(tmp_path, *signs, product, weights={"w": np.ones((8, 4))}))
    assert "one behind the other" in text if count < 20_000 else "has 20002 nodes; at most 20000" in text
    gc.collect()  # TVM warns where a builder is left alone, whenever that is noticed


@pytest.mark.parametrize(("opset", "age"), [(6, "too old"), (27, "too new"), (99, "too new")])
def test_opsets_out_of_range(tmp_path, opset, age):
    text = complaint_of(saved(tmp_path, SIGN, opset=opset))
    assert f"of ONNX opset {opset}, which is {age}: export it with an opset from 7 to 26" in text


def test_invalid_graphs(tmp_path):
    assert "is no valid ONNX model" in complaint_of(saved(tmp_path, helper.make_node("Sign", ["z"], ["y"])))
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="product")
    assert "shapes do not fit" in complaint_of(saved(tmp_path, node, weights={"w": np.ones((7, 4))}))


def test_dynamic_shapes_and_types_that_are_refused_by_name(tmp_path):
    text = complaint_of(saved(tmp_path, SIGN, shape=("batch", "length")))
    assert "input 'x' has a dynamic shape: dimension 1 is 'length'" in text
    assert "dimension 2 is '?'" in complaint_of(saved(tmp_path, SIGN, shape=(1, 3, None)))
    assert "is no valid ONNX model" in complaint_of(saved(tmp_path, SIGN, shape=None))
    assert "input 'x' is float16" in complaint_of(saved(tmp_path, SIGN, dtype=TensorProto.FLOAT16))


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (helper.make_node("Det", ["x"], ["y"], name="here"), "operator Det in node 'here' cannot be imported by TVM"),
        (
            helper.make_node("MultiThreshold", ["x", "x"], ["y"], name="here", domain="finn.custom_op.general"),
            "operator finn.custom_op.general.MultiThreshold in node 'here' cannot be imported",
        ),
        (
            helper.make_node("Einsum", ["x", "x"], ["y"], name="here", equation="ij,ij->i"),
            "Einsum in node 'here' is known",
        ),
        (
            helper.make_node("BatchNormalization", ["x", *"wwww"], ["y", "m", "v"], name="here", training_mode=1),
            "BatchNormalization in node 'here' cannot be imported by TVM 0.27.0.post1: it is in training mode",
        ),
    ],
    ids=lambda value: getattr(value, "op_type", ""),
)
def test_operators_that_are_refused_by_name(tmp_path, node, text, capfd):
    shape = (3, 3) if node.op_type == "Det" else (1, 8)
    assert text in complaint_of(saved(tmp_path, node, shape=shape, weights={"w": np.ones(8)}))
    gc.collect()
    printed = capfd.readouterr()
    assert not printed.out, "standard output is for the report"
    assert "Warning" not in printed.err


def test_operators_that_tvm_mistranslates_are_found_out(tmp_path, monkeypatch):
    from tvm import relax

    from tvm_bnn.front_ends.onnx_model import importer as onnx_importer

    monkeypatch.setitem(onnx_importer._CONVERTERS, "Sign", lambda _, inputs, __: relax.op.reshape(inputs[0], (8, 1)))
    text = complaint_of(saved(tmp_path, SIGN))
    assert "operator Sign in node 'sign' is mistranslated by TVM" in text
    assert "to float32 (8, 1) from float32 (1, 8)" in text


def test_control_flow(tmp_path):
    branch = helper.make_graph(
        [helper.make_node("Sign", ["x"], ["z"])],
        "branch",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 8])],
    )
    asked = helper.make_node("ReduceMax", ["x"], ["m"], keepdims=0)
    truth = helper.make_node("Cast", ["m"], ["c"], to=TensorProto.BOOL)
    node = helper.make_node("If", ["c"], ["y"], name="choice", then_branch=branch, else_branch=branch)
    assert "node 'choice' is data-dependent control flow (If)" in complaint_of(saved(tmp_path, asked, truth, node))


def test_without_onnx_the_message_says_what_to_install(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name.startswith("onnx") else find(name))
    text = complaint_of(tmp_path / "net.onnx")
    assert text.endswith("': onnx, onnxruntime are not installed: pip install 'tvm-bnn[onnx]'")
