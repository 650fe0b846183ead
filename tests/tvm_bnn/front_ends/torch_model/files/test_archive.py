"""Files that would run code while they are read are refused before PyTorch opens them."""

import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.export import Dim

from schedules.errors import UserError
from tvm_bnn.front_ends.torch_model.files.archive import check_archive
from tvm_bnn.front_ends.torch_model.files.expressions import is_arithmetic
from tvm_bnn.front_ends.torch_model.program import read_program
from tvm_bnn.zoo.digits import DIGITS


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 4))

    def forward(self, x):
        return (torch.sign(x) @ torch.sign(self.weight)).reshape(x.shape[0] // 2, -1) + torch.tensor([1.0, 2.0] * 4)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    path = tmp_path_factory.mktemp("pt2") / "net.pt2"
    program = torch.export.export(Net().eval(), (torch.ones(4, 4),), dynamic_shapes={"x": {0: 2 * Dim("n", max=9)}})
    torch.export.save(program, path)
    return path


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, place):
        self.place = str(place)

    def __reduce__(self):
        return os.mkdir, (self.place,)


def changed(source, target, change):
    """Copy an archive; ``change`` takes a member's name and bytes and returns the bytes."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name.split("/", 1)[-1], old.read(name)))
    return target


def refused(path, place):
    with pytest.raises(UserError) as caught:
        read_program(path)
    assert "\n" not in str(caught.value)
    assert not place.exists(), "it ran"
    assert "could run code while it is read" in str(caught.value)
    assert "--trust" in str(caught.value)
    return str(caught.value)


def test_what_is_exported_is_opened(exported):
    for path in (exported, Path(DIGITS)):
        check_archive(path)
    assert read_program(exported).graph is not None


def pickled(place, by_torch):
    if not by_torch:
        return pickle.dumps(Payload(place))
    buffer = io.BytesIO()
    torch.save({"w": Payload(place)}, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("by_torch", [True, False])
@pytest.mark.parametrize("what", ["weights", "constants", "sample_inputs", "object"])
def test_pickled_payloads_are_looked_into(exported, tmp_path, what, by_torch):
    place = tmp_path / "proof"

    def change(name, data):
        if what == "sample_inputs" and name.startswith("data/sample_inputs/"):
            return pickled(place, by_torch)
        if name.startswith(f"data/{what}/") and "config" not in name:
            return pickled(place, by_torch)
        if name.startswith(f"data/{what}/") or (
            what == "object" and name.startswith("data/constants/") and "config" in name
        ):
            config = json.loads(data)
            for entry in config["config"].values():
                entry["use_pickle"] = True
                if what == "object":
                    entry["path_name"] = "opaque_obj_0"
            return json.dumps(config)
        return data

    path = changed(exported, tmp_path / "hostile.pt2", change)
    assert "pickled" in refused(path, place)


def with_graph(exported, tmp_path, old, new):
    def change(name, data):
        if name.startswith("models/"):
            assert old in data.decode()
            return data.decode().replace(old, new, 1)
        return data

    return changed(exported, tmp_path / "hostile.pt2", change)


def test_expressions_that_are_python_are_refused(exported, tmp_path):
    place = tmp_path / "proof"
    text = json.dumps(f"__import__('os').mkdir('{place}')")[1:-1]
    with zipfile.ZipFile(exported) as archive:
        (name,) = [name for name in archive.namelist() if "/models/" in name]
        graph = archive.read(name).decode()
    old = graph.split('"expr_str": "', 1)[1].split('"', 1)[0]
    assert "is no arithmetic" in refused(with_graph(exported, tmp_path, old, text), place)


@pytest.mark.parametrize(
    "target", ["torch.serialization.os.mkdir", "torch.load", "_operator.methodcaller", "torch.ops.load_library"]
)
def test_names_that_are_no_operators_are_refused(exported, tmp_path, target):
    path = with_graph(exported, tmp_path, "torch.ops.aten.sign.default", target)
    assert f"'{target}' is no operator" in refused(path, tmp_path / "proof")


def test_compiled_code_and_doubled_names_are_refused(exported, tmp_path):
    path = changed(exported, tmp_path / "hostile.pt2", lambda _name, data: data)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("net/data/aotinductor/model/x.so", b"code")
    assert "is compiled code" in refused(path, tmp_path / "proof")
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("net/data/aotinductor/model/x.so", b"code")
    with pytest.raises(UserError, match="two files of one name"):
        read_program(path)


def test_who_trusts_a_file_opens_it(exported, tmp_path):
    path = changed(exported, tmp_path / "trusted.pt2", lambda _name, data: data)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("net/data/weights/unused.pt", pickle.dumps(Payload(tmp_path / "proof")))
    refused(path, tmp_path / "proof")
    assert read_program(path, trust=True).graph is not None


numbers = st.integers(0, 99).map(lambda value: f"Integer({value})")
symbols = st.integers(0, 99).map(lambda value: f"Symbol('s{value}', positive=True, integer=True)")
shapes = st.recursive(
    numbers | symbols,
    lambda inner: st.tuples(st.sampled_from(["Mul", "Add", "FloorDiv", "Max", "Mod"]), inner, inner).map(
        lambda parts: f"{parts[0]}({parts[1]}, {parts[2]})"
    ),
    max_leaves=8,
)


@given(
    shapes,
    st.sampled_from(["__import__('os')", "eval('1')", "().__class__", "lambda: 1", "[1 for x in y]", "open('f')"]),
)
def test_arithmetic_is_arithmetic_and_nothing_in_it_may_be_else(shape, code):
    assert is_arithmetic(shape)
    assert not is_arithmetic(shape.replace("Integer(", f"Add({code}, ", 1).replace("Symbol(", f"Add({code}, ", 1))


@pytest.mark.parametrize(
    "text",
    [
        "2*s69",
        "max(1, 4*(L['x'].size()[0] // 2)) == torch.sym_max(2, s0)",
        "s0 + -1 >= u1",
        "L['x'].size()[0] % 2 == 0",
        "1.5",
    ],
)
def test_what_pytorch_writes_is_arithmetic(text):
    assert is_arithmetic(text)


@pytest.mark.parametrize(
    "text",
    ["", "Integer('a b')", "x.y", "x.__class__", "__builtins__", "sympify('1')", "a(1)", None, 1, "-" * 9000 + "1"],
)
def test_anything_else_is_not(text):
    assert not is_arithmetic(text)
