"""Rooms: every level is small, says what it owns, and imports from the levels below it alone.

``ROOMS`` is the picture: the entries of each folder from top to bottom. A file may import what stands below its own
entry, and within its entry whatever that folder's own list allows; it never imports what stands above.
"""

import ast
import dataclasses
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
#: Files and folders of one level, without ``__init__``, ``__main__`` and files that are not Python.
MOST_ENTRIES = 14
#: Packages from top to bottom; ``rpc`` stands beside ``relay_passes``, and neither imports the other.
MAY_IMPORT = {
    "experiments": {"tvm_bnn", "relay_passes", "rpc", "schedules"},
    "tvm_bnn": {"relay_passes", "rpc", "schedules"},
    "relay_passes": {"schedules"},
    "rpc": {"schedules"},
    "schedules": set(),
}
#: Entries from top to bottom. Of a folder that is not listed, any file may import any other.
ROOMS = {
    "schedules": [
        "tuned",
        "choice",
        "lowering",
        "amx",
        "templates",
        "kernels",
        "machines",
        "files",
        "defects",
        "errors",
    ],
    "schedules/kernels": [
        *("table", "narrow", "floats", "binary", "pool", "convolution", "resize", "reference", "window", "variables"),
    ],
    "relay_passes": [
        *("pipeline", "lower", "pack", "canonicalize", "simplify", "domain_rewriter", "analysis", "dialect", "rewrite"),
    ],
    "relay_passes/analysis": [
        *("images", "layers", "factors", "scales", "value_domain", "per_channel", "domains", "evaluate"),
        *("multiply_add", "weight_planes", "values", "planes", "part_names", "sums"),
    ],
    "rpc": ["commands", "measuring", "sessions", "boards", "tracking", "formats"],
    "tvm_bnn": [
        *("lab", "report", "tune", "bench", "compile", "verifying", "deployment", "front_ends", "artifacts", "zoo"),
        *("command_line", "version"),
    ],
    "tvm_bnn/bench": [
        *("command", "suites", "tables", "peers", "networks", "limits", "options", "records", "workloads", "spread"),
        "machine",
    ],
    "tvm_bnn/compile": [
        *("command", "compiler", "kernel_times", "finishing", "steps", "stages", "reporting", "backend", "choices"),
        *("ir_dump", "refusal", "float_layers", "cpu_features", "versions"),
    ],
    "tvm_bnn/tune": ["command", "comparing", "logs", "searching", "subjects", "runners", "tasks", "durations"],
    "tvm_bnn/front_ends": [
        *("opening", "onnx_model", "torch_model", "source", "layer_names", "module_copy", "example_input"),
        "first_line",
    ],
    "tvm_bnn/front_ends/torch_model": [
        *("factory", "program", "reference", "export", "eager", "checks", "importing", "adapting", "files", "running"),
    ],
    "experiments": [
        *("commands", "report", "grid", "parity", "tracks", "digits", "training", "families"),
        *("complexity", "data", "corruptions", "metrics", "architectures", "binarizers"),
    ],
    "experiments/architectures": [
        *("catalog", "bert", "fsmn", "matting", "point_net", "boxes", "pictures", "architecture", "calibration"),
    ],
    "experiments/binarizers": ["catalog", "gradient_error", "quantization_error", "plain", "parts"],
    "experiments/data": ["catalog", "embedded", "published", "reading", "folder", "dataset"],
    "experiments/training": [
        *("compiled_score", "watch", "loop", "evaluation", "objectives", "key", "job", "optimizing", "features"),
        *("recipe", "real_weights", "checkpoint", "processes"),
    ],
    "experiments/families": ["catalog", "edge_cases", "tasks", "pictures", "quantizers", "building_blocks", "family"],
}
FILES = [path for package in MAY_IMPORT for path in sorted((ROOT / package).rglob("*.py"))]
FOLDERS = sorted({folder for path in FILES for folder in path.relative_to(ROOT).parents if folder != Path(".")})


def name_of(path):
    return str(path.relative_to(ROOT)) if path.is_absolute() else str(path)


@dataclasses.dataclass(frozen=True)
class Import:
    """One import: its line, and the dotted names that it could load."""

    line: int
    names: tuple[str, ...]


def imports(source):
    """Return every import, in functions and under ``TYPE_CHECKING`` too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield Import(node.lineno, tuple(alias.name for alias in node.names))
        elif isinstance(node, ast.ImportFrom):
            # A module that is imported from a package, and a name that is imported from a module, look alike.
            yield Import(node.lineno, tuple(f"{node.module}.{alias.name}" for alias in node.names))


def upward(importer, imported):
    """Return the two rooms between which an import climbs, or None.

    Parameters
    ----------
    importer
        The parts of the importing file's path, without its ending.
    imported
        The parts of a dotted name.
    """
    if imported[0] not in MAY_IMPORT:
        return None
    if importer[0] != imported[0]:
        return None if imported[0] in MAY_IMPORT[importer[0]] else (importer[0], imported[0])
    for depth in range(1, min(len(importer), len(imported))):
        folder = "/".join(importer[:depth])
        if importer[depth] != imported[depth]:
            order = ROOMS.get(folder)
            entries = importer[depth], imported[depth]
            if order is None or not set(entries) <= set(order) or order.index(entries[0]) < order.index(entries[1]):
                return None
            return tuple(f"{folder}/{entry}" for entry in entries)
    return None


def climbs(path, source):
    """Return a line for each import of a file that points up."""
    importer = Path(path).with_suffix("").parts
    if importer[-1] == "__main__":
        return []
    found = []
    for each in imports(source):
        for name in each.names:
            arrow = upward(importer, name.split("."))
            if arrow is not None:
                found.append(f"{path}:{each.line}: {arrow[0]} imports {arrow[1]}, which stands above it")
    return found


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_down(path):
    assert not climbs(name_of(path), path.read_text())


def test_a_late_import_that_climbs_is_found():
    source = "def f():\n    from tvm_bnn.compile.compiler import compile_model\n"
    (line,) = climbs("tvm_bnn/artifacts/runtime.py", source)
    assert line == "tvm_bnn/artifacts/runtime.py:2: tvm_bnn/artifacts imports tvm_bnn/compile, which stands above it"
    assert not climbs("tvm_bnn/lab.py", source)
    assert climbs("rpc/formats/tensor_file.py", "import tvm_bnn.artifacts")
    assert climbs("schedules/kernels/window.py", "from schedules.kernels import table")
    assert not climbs("schedules/kernels/window.py", "from schedules.machines import isa")


def borrowed(source):
    """Return what a file takes, by ``from A import b``, from a file of ours that itself imported it."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        file = (ROOT / node.module.replace(".", "/")).with_suffix(".py")
        if node.module.split(".")[0] in MAY_IMPORT and file.is_file():
            found += [f"{node.module}.{alias.name}" for alias in node.names if alias.name in imported_names(file)]
    return found


@functools.cache
def imported_names(file):
    tree = ast.parse(file.read_text())
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom | ast.Import)]
    names = {alias.asname or alias.name for node in nodes for alias in node.names}
    # A file that wraps something of others says so.
    public = [ast.literal_eval(node.value) for node in tree.body if ast.unparse(node).startswith("__all__ = ")]
    return names - {name for each in public for name in each}


@pytest.mark.parametrize("path", [*FILES, *sorted((ROOT / "tests").rglob("*.py"))], ids=name_of)
def test_code_imports_from_the_file_that_defines(path):
    assert not borrowed(path.read_text())


def test_a_borrowed_name_is_found():
    assert borrowed("from tvm_bnn.compile.compiler import Choices") == ["tvm_bnn.compile.compiler.Choices"]
    assert not borrowed("from tvm_bnn.compile.choices import Choices")


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_a_level_is_small_and_listed(folder):
    entries = {
        entry.stem
        for entry in (ROOT / folder).iterdir()
        if (entry.suffix == ".py" and not entry.stem.startswith("__")) or (entry.is_dir() and list(entry.glob("*.py")))
    }
    assert len(entries) <= MOST_ENTRIES, f"{folder} has {len(entries)} entries: make rooms of them"
    if str(folder) in ROOMS:
        assert sorted(entries) == sorted(ROOMS[str(folder)]), f"{folder}: ROOMS does not list what is there"
    else:
        assert not any((ROOT / folder / entry).is_dir() for entry in entries), f"{folder} has rooms that are not listed"


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_a_room_says_what_it_owns_and_nothing_more(folder):
    tree = ast.parse((ROOT / folder / "__init__.py").read_text())
    assert ast.get_docstring(tree), f"{folder}/__init__.py has no docstring"
    if str(folder) != "tvm_bnn":  # the public face
        assert len(tree.body) == 1, f"{folder}/__init__.py does more than to say what the room owns"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nobody_confuses_tvm_rpc_with_our_rpc(path):
    assert "from tvm import rpc" not in path.read_text()


def test_test_folders_are_no_packages():
    assert not list((ROOT / "tests").rglob("__init__.py"))
