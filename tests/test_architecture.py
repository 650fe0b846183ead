"""Imports point one way: schedules <- relay_passes <- tvm_bnn <- experiments; rpc uses schedules only."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "schedules": {"schedules"},
    "rpc": {"rpc", "schedules"},
    "relay_passes": {"relay_passes", "schedules"},
    "tvm_bnn": {"tvm_bnn", "relay_passes", "schedules", "rpc"},
    "experiments": {"experiments", "tvm_bnn", "relay_passes", "schedules", "rpc"},
}
FILES = [path for package in MAY_IMPORT for path in sorted((ROOT / package).rglob("*.py"))]


def imported_packages(source: str) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names.add(node.module)
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_what_lies_below_it(path):
    package = path.relative_to(ROOT).parts[0]
    upward = (imported_packages(path.read_text()) & MAY_IMPORT.keys()) - MAY_IMPORT[package]
    assert not upward, f"{path.relative_to(ROOT)} imports {sorted(upward)}, which {package} may not"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_confuses_tvm_rpc_with_our_rpc(path):
    assert "from tvm import rpc" not in path.read_text()


def test_the_walk_sees_imports_inside_functions():
    assert imported_packages("def f():\n    from tvm_bnn.runtime import load\n    import rpc.server") == {
        "tvm_bnn",
        "rpc",
    }


def test_test_folders_are_no_packages():
    assert not list((ROOT / "tests").rglob("__init__.py"))
