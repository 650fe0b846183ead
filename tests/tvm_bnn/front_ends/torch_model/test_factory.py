"""Models that a Python file makes, with the weights of a checkpoint."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import tvm_bnn
from schedules.errors import UserError
from tvm_bnn.compile import command as compile  # noqa: A004  (the command is called that)
from tvm_bnn.compile.compiler import compile_model
from tvm_bnn.front_ends.example_input import ExampleInput
from tvm_bnn.front_ends.torch_model.factory import Factory, _importable, named_model
from tvm_bnn.zoo.digits import DIGITS

ROOT = Path(__file__).parents[4]
NET = """
import torch
from torch import nn
from {signs} import sign

print("loading")

class Net(nn.Module):
    def __init__(self, wide=8):
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, 40 * wide).reshape(wide, 40))
        self.norm = nn.BatchNorm1d(wide)

    def forward(self, x):
        print("running")
        return self.norm(nn.functional.linear(sign(x), sign(self.weight)))

class Embeds(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(10, 40)
        self.net = Net()

    def forward(self, tokens):
        return self.net(self.table(tokens))

class Demanding(Net):
    def __init__(self, width):
        super().__init__(width)

shared = Net()
number = 7

def make():
    from {signs} import sign  # the folder is still there when the function runs
    return Net()

def half():
    return Net().half()

def share():
    return shared

def fail():
    raise RuntimeError("no weights today")

def leave():
    raise SystemExit(3)

def nothing():
    return None
"""


@pytest.fixture
def net(tmp_path):
    """A file that imports a neighbour, whose name no other test uses."""
    signs = f"signs_{tmp_path.name}"
    (tmp_path / f"{signs}.py").write_text("import torch\nsign = torch.sign\n")
    path = tmp_path / "net.py"
    path.write_text(NET.replace("{signs}", signs))
    return path


def factory(net, name, weights=None, *inputs):
    return named_model(Path(f"{net}:{name}"), weights, inputs or ("2x40",))


def complaint_of(function, *arguments, **options):
    with pytest.raises(UserError) as caught:
        function(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def compiled(model, tmp_path):
    return compile_model(model, output=tmp_path / "model.so", verify=False)


def trained(net, tmp_path):
    """The file's network with other weights than it is made with, and a checkpoint of them."""
    with _importable(net.parent):
        module = factory(net, "Net")._made()
    torch.manual_seed(0)
    for value in module.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.5 if value.dim() == 1 else torch.randn_like(value))
    torch.save(module.state_dict(), tmp_path / "weights.pth")
    return module.eval(), tmp_path / "weights.pth"


def test_a_checkpoint_compiles_with_the_class_that_it_belongs_to(net, tmp_path, capsys):
    module, weights = trained(net, tmp_path)
    capsys.readouterr()
    output = tmp_path / "net.so"
    arguments = [f"{net}:Net", "--weights", str(weights), "--input", "2x40", "-o", str(output), "--format", "json"]
    assert compile.main(arguments) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("{")
    assert "loading" in captured.err
    assert "running" in captured.err
    x = torch.randn(2, 40)
    model = tvm_bnn.load(output)
    with torch.no_grad():
        torch.testing.assert_close(model(x), module(x), rtol=1e-4, atol=1e-4)
    assert model.manifest.model == "Net"
    assert len(model.manifest.model_sha256) == 64


@pytest.mark.parametrize("name", ["Net", "make", "share", "shared"])
def test_without_a_checkpoint_the_weights_are_the_factorys(net, tmp_path, name):
    report = compiled(factory(net, name), tmp_path).report
    assert [row.binary for row in report.layers] == [True]
    assert report.model == name


def test_a_dotted_module_is_found_from_the_working_directory(net, tmp_path):
    package = tmp_path / "of_the_user"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "layers.py").write_text("import torch\nsign = torch.sign\n")
    (package / "net.py").write_text(NET.replace("from {signs}", "from .layers"))
    command = [
        sys.executable,
        "-c",
        "import sys, tvm_bnn.command_line.cli; sys.path.remove(''); sys.exit(tvm_bnn.command_line.cli.main())",
    ]
    arguments = ["compile", "of_the_user.net:Net", "--input", "1x40", "--no-verify"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    finished = subprocess.run(
        [*command, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert (tmp_path / "Net.native.so").exists()
    assert "relative import" in complaint_of(factory(package / "net.py", "Net").capture)
    assert "package.module:NAME" in complaint_of(factory(package / "net.py", "Net").capture)


@pytest.mark.parametrize("name", ["Net", "fail"])
def test_loading_leaves_the_search_path_as_it_was(net, name):
    net.write_text(net.read_text() + "\nimport sys\nsys.path.append('/somewhere')\n")
    before = list(sys.path)
    if name == "fail":
        complaint_of(factory(net, name).capture)
    else:
        factory(net, name).capture()
    assert sys.path == before


def test_a_module_that_the_factory_shares_keeps_its_weights(net, tmp_path):
    _, weights = trained(net, tmp_path)
    factory(net, "share", weights).capture()
    shared = sys.modules["tvm_bnn_given_net"].shared
    assert torch.equal(shared.weight.detach(), torch.linspace(-1, 1, 320).reshape(8, 40))
    assert shared.training


def test_integer_inputs_ask_for_inputs_to_verify_on(net, tmp_path):
    model = factory(net, "Embeds", None, "3:int64")
    text = complaint_of(compile_model, model, output=tmp_path / "model.so")
    assert "input 'tokens' is int64: its range is not known" in text
    np.save(tmp_path / "tokens.npy", np.arange(9))
    arguments = ["--inputs", str(tmp_path / "tokens.npy"), "-o", str(tmp_path / "model.so")]
    assert compile.main([f"{net}:Embeds", "--input", "3:int64", *arguments]) == 0


def test_inputs_have_the_models_precision_unless_told_otherwise(net, tmp_path):
    report = compiled(factory(net, "half"), tmp_path).report
    assert "float16" in report.notes[0]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("Nett", "no 'Nett' there; it has Net, Embeds, Demanding, make, half, share, fail, leave"),
        ("number", "is a int; name a function or a class"),
        ("Demanding", "takes arguments, Demanding(width); name a function that needs none"),
        ("nothing", "returned a NoneType; it has to return a torch.nn.Module"),
        ("fail", "net.py:45: RuntimeError: no weights today"),
        ("leave", "SystemExit: 3"),
    ],
)
def test_names_that_make_no_model(net, name, complaint):
    assert complaint in complaint_of(factory(net, name).capture)


def test_files_that_do_not_load(tmp_path):
    assert "no such file" in complaint_of(factory(tmp_path / "absent.py", "Net").capture)
    (tmp_path / "broken.py").write_text("def f(:\n")
    assert f"{tmp_path}/broken.py:1: SyntaxError" in complaint_of(factory(tmp_path / "broken.py", "f").capture)
    (tmp_path / "lost.py").write_text("x = 1\nimport no_such_package\n")
    assert "lost.py:2: ModuleNotFoundError" in complaint_of(factory(tmp_path / "lost.py", "f").capture)
    assert "ModuleNotFoundError" in complaint_of(factory("no_such.package", "f").capture)


def test_what_is_missing_on_the_command_line_is_named(net, tmp_path):
    assert "--input 1x3x224x224, one for each" in complaint_of(Factory(str(net), "Net").capture)
    assert f"{net}:NAME" in complaint_of(compile_model, net)
    for arguments, option in (((tmp_path / "w.pth", ()), "--weights"), ((None, ("1x40",)), "--input")):
        assert f"{option} goes with file.py:NAME" in complaint_of(named_model, DIGITS, *arguments)
    assert "Net does not run on inputs of shape 2x40, 2x40: Net.forward() takes" in complaint_of(
        factory(net, "Net", None, "2x40", "2x40").capture
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1x3x224x224", ExampleInput((1, 3, 224, 224))),
        ("5", ExampleInput((5,))),
        ("1x128:int64", ExampleInput((1, 128), "int64")),
    ],
)
def test_shapes_are_read(text, expected):
    assert ExampleInput.parse(text) == expected


@pytest.mark.parametrize("text", ["", "1x", "0x3", "1,3", "1X3", "-1x3", "1x3:", "axb"])
def test_what_is_no_shape_is_refused(text):
    assert "is no shape; write 1x3x224x224" in complaint_of(ExampleInput.parse, text)


def test_an_unknown_type_is_refused_with_those_that_are_known():
    assert "'complex64' is not known; it is one of float32" in complaint_of(ExampleInput.parse, "1x3:complex64")


def test_example_inputs_are_the_same_every_time():
    first, second = (ExampleInput((2, 3)).tensor(torch.float32, torch.Generator().manual_seed(0)) for _ in range(2))
    assert torch.equal(first, second)
    assert ExampleInput((2,), "int64").tensor(torch.float32, torch.Generator()).tolist() == [0, 0]
