"""Every command of README.md and docs/ is executed, page by page, each page in a folder of its own.

A command is a line of a ``console`` block that starts with ``$ ``; a trailing backslash continues it. A ``python``
block whose first line is ``# name.py`` is written to that file first. A block is not run if the line before it is
``<!-- not run: REASON -->``; what cannot be marked so, because GitHub shows the page, is in ``NOT_RUN``.
"""

import dataclasses
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NOT_RUN = {
    r"make( |$)": "continuous integration is make test itself, and make demo is the README's two compilations",
    r"(sudo )?apt-get ": "it installs packages of the system",
    r"pip install ": "it installs packages",
    r"python -m experiments (run|report)": "half an hour; tests/experiments runs the tracks on small grids",
}
#: Minutes each, or of no use without the others: executed with -m slow, together with all others of the page.
HEAVY = (
    r"python -m tvm_bnn\.bench ",
    r"python -m tvm_bnn\.report .*results\.jsonl",
    r"python -m experiments\.families --only ",
    r"python -m tvm_bnn\.compile path/to/net\.py:MyNet",
    r"python -m tvm_bnn\.(tune|lab)",
    r"python -m experiments train react resnet-20 digits",
)
OPTIONAL_PROGRAMS = ("cc", "cmake")
SECONDS = 900
_BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>[^\n]+) -->\n *)?"
    r"(?<![^\n ])(?P<indent> *)```(?P<kind>\w+)\n(?P<body>.*?)^ *```$",
    re.M | re.S,
)


@dataclasses.dataclass(frozen=True)
class Page:
    """What a page has: commands in order, each with the reason why it is not run, or an empty one; and files."""

    commands: tuple[tuple[str, str], ...]
    files: dict[str, str]


def read_page(text):
    commands, files = [], {}
    for block in _BLOCK.finditer(text):
        body = textwrap.dedent(block["body"])
        if block["kind"] == "console":
            commands += [(command, block["reason"] or "") for command in commands_of(body)]
        named = re.match(r"# (\w+\.py)\n", body)
        if block["kind"] == "python" and named:
            files[named[1]] = body
    return Page(tuple(dict.fromkeys(commands)), files)


def commands_of(body):
    joined = body.replace("\\\n", " ")
    return [line[2:] for line in joined.splitlines() if line.startswith("$ ")]


def is_run(command, reason):
    return not reason and not any(re.match(pattern, command) for pattern in NOT_RUN)


def is_heavy(command):
    return any(re.match(pattern, command) for pattern in HEAVY)


def cases():
    for path in PAGES:
        commands = [command for command, reason in read_page(path.read_text()).commands if is_run(command, reason)]
        name = str(path.relative_to(ROOT))
        light = [command for command in commands if not is_heavy(command)]
        if light:
            yield pytest.param(path, light, id=name)
        if len(light) < len(commands):
            yield pytest.param(path, commands, id=f"{name}, at length", marks=pytest.mark.slow)


class MyNet(nn.Module):
    """The network that the README's examples are about."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1, stride=4)
        self.weight = nn.Parameter(torch.randn(16, 16, 3, 3))

    def forward(self, x):
        x = nn.functional.conv2d(torch.sign(self.stem(x)), torch.sign(self.weight), padding=1)
        return x.mean((2, 3))


@pytest.fixture(scope="session")
def example_files(tmp_path_factory):
    """What pages suppose that the reader has: a network, its checkpoint, exported twice, and inputs."""
    folder = tmp_path_factory.mktemp("examples")
    torch.manual_seed(0)
    network, example = MyNet().eval(), torch.randn(1, 3, 224, 224)
    (folder / "path" / "to").mkdir(parents=True)
    source = Path(__file__).read_text()
    body = source[source.index("class MyNet") : source.index('@pytest.fixture(scope="session")')]
    (folder / "path" / "to" / "net.py").write_text(f"import torch\nfrom torch import nn\n\n\n{body}")
    torch.save(network.state_dict(), folder / "checkpoint.pth")
    torch.export.save(torch.export.export(network, (example,)), folder / "net.pt2")
    torch.onnx.export(network, (example,), folder / "net.onnx", verbose=False)
    np.save(folder / "images.npy", np.random.default_rng(0).standard_normal((2, 3, 224, 224)).astype(np.float32))
    return folder


@pytest.mark.parametrize(("path", "commands"), list(cases()))
def test_the_commands_of_a_page(path, commands, example_files, tmp_path):
    for file in example_files.iterdir():
        (shutil.copytree if file.is_dir() else shutil.copy)(file, tmp_path / file.name)
    for name, text in read_page(path.read_text()).files.items():
        (tmp_path / name).write_text(text)
    missing = [program for program in OPTIONAL_PROGRAMS if shutil.which(program) is None]
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    for command in commands:
        if any(re.match(rf"(./)?{program} ", command) for program in missing):
            pytest.skip(f"{command.split()[0]} is not installed, so '{command}' and what follows were not run")
        finished = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert finished.returncode == 0, f"$ {command}\n{finished.stdout[-2000:]}\n{finished.stderr[-2000:]}"


def test_what_is_not_run_says_why():
    for path in PAGES:
        for command, reason in read_page(path.read_text()).commands:
            assert reason != "REASON", command
    commands = [command for path in PAGES for command, _ in read_page(path.read_text()).commands]
    for pattern in (*NOT_RUN, *HEAVY):
        assert any(re.match(pattern, command) for command in commands), f"nothing matches {pattern} any more"


def test_no_command_hides_in_another_kind_of_block():
    for path in PAGES:
        text = path.read_text()
        assert not re.search(r"^```(bash|sh|shell|text)?\n\$ ", text, re.M), (
            f"{path.name}: commands belong in console blocks"
        )
        assert not re.search(r"^ {4,}(\$|python|pip|make) ", text, re.M), (
            f"{path.name}: commands belong in console blocks"
        )


def test_blocks_are_found_as_they_are_meant():
    page = read_page(
        "```console\n$ one \\\n  --two\noutput\n$ three\n```\n\n<!-- not run: it flies -->\n```console\n$ four\n```\n"
        "```python\n# five.py\nprint(5)\n```\n```python\nprint(6)\n```\n"
        "1. In a list:\n\n   ```console\n   $ seven\n   ```\n\n"
        "   <!-- not run: it sinks -->\n   ```console\n   $ eight\n   ```\n"
    )
    assert page.commands == (
        *(("one    --two", ""), ("three", ""), ("four", "it flies")),
        *(("seven", ""), ("eight", "it sinks")),
    )
    assert page.files == {"five.py": "# five.py\nprint(5)\n"}


def test_links_between_pages_lead_somewhere():
    for path in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_the_site_is_built_without_warnings(tmp_path):
    pytest.importorskip("mkdocs", reason="the extra 'docs' is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert (tmp_path / "site" / "index.html").exists()
    for page in (tmp_path / "site").rglob("*.html"):
        assert not re.search(r'(?:src|<link[^>]+href)="(?:https?:)?//', page.read_text()), f"{page} fetches something"
