"""What a package says of itself holds: one version, files that it reads at run time, extras that its messages name."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import tvm_bnn

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


def test_the_version_stands_in_one_place():
    assert "version" not in PROJECT["project"]
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "tvm_bnn/version.py"
    assert f"## {tvm_bnn.__version__}" in (ROOT / "CHANGELOG.md").read_text()
    assert "\nversion:" not in (ROOT / "CITATION.cff").read_text()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_is_typed(package):
    assert (ROOT / package / "py.typed").is_file()


def test_extras_that_messages_and_pages_name_exist():
    extras = PROJECT["project"]["optional-dependencies"]
    texts = [path.read_text() for folder in (*PACKAGES, "docs") for path in (ROOT / folder).rglob("*.[pm][yd]")]
    named = {name for text in texts for group in re.findall(r"tvm-bnn\[([\w,]+)\]", text) for name in group.split(",")}
    assert named
    assert named <= extras.keys()


def test_what_development_installs_is_pinned():
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    for requirements in PROJECT["project"]["optional-dependencies"].values():
        for requirement in requirements:
            assert re.match(r"[\w.-]+", requirement)[0].lower() in pinned, (
                f"{requirement} has no line in constraints.txt"
            )


def test_the_citation_can_be_read():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert citation["license"] == PROJECT["project"]["license"]
    assert citation["authors"]


def test_the_wheel_has_everything_that_is_read_at_run_time(tmp_path):
    pytest.importorskip("hatchling", reason="hatchling is not installed; 'python -m build' fetches it")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and path.name != ".lock" and "__pycache__" not in path.parts:
                assert str(path.relative_to(ROOT)) in packed
    assert any(name.endswith("licenses/LICENSE") for name in packed)
