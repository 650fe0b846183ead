"""libbnn under gcc's sanitizers: mutants of a model, wrong calls, several threads, forks. ``make fuzz`` runs more.

``MUTANTS`` is their number: some hundreds by default, which take seconds.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MUTANTS = int(os.environ.get("MUTANTS", "300"))
#: What each sanitizer is told: to stop at the first fault, which is then an exit status of its own.
MEMORY = "-fsanitize=address,undefined"
THREADS = "-fsanitize=thread"
FAULT = 99
OPTIONS = {"ASAN_OPTIONS": f"exitcode={FAULT}", "TSAN_OPTIONS": f"exitcode={FAULT} halt_on_error=1"}


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory):
    """A function that compiles a test's C program with libbnn and a sanitizer, and runs it."""
    built = {}

    def build(name, compiled, sanitizer):
        output = tmp_path_factory.mktemp(name) / name
        folder = compiled.path.parent / "deployed"
        options = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", sanitizer, "-fno-sanitize-recover=all"]
        sources = [HERE / f"{name}.c", *(folder / "src").glob("*.c")]
        include = [f"-I{folder / part}" for part in ("include", "src")]
        command = ["gcc", *options, *include, *map(str, sources), "-lpthread", "-ldl", "-o", str(output)]
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
        if "cannot find" in finished.stderr:
            pytest.skip(f"gcc has no library for {sanitizer}")
        assert finished.returncode == 0, finished.stderr
        return output

    def run(name, compiled, sanitizer, *arguments):
        if shutil.which("gcc") is None:
            pytest.skip("gcc is not installed")
        if (name, sanitizer) not in built:
            built[name, sanitizer] = build(name, compiled, sanitizer)
        command = [str(built[name, sanitizer]), *map(str, arguments)]
        finished = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **OPTIONS})
        assert finished.returncode == 0, finished.stderr[-3000:] or finished.returncode
        return finished.stdout.split()

    return run


def model(compiled):
    return compiled.path.parent / "deployed" / compiled.report.deployed.model


@pytest.mark.parametrize("sanitizer", [MEMORY, THREADS])
def test_mutants_of_a_model_are_refused_without_a_fault(native, sanitized, sanitizer, tmp_path):
    damaged, otherwise = map(
        int, sanitized("mutants", native, sanitizer, model(native), tmp_path / "mutant.bnn", MUTANTS)
    )
    assert damaged > 0.98 * MUTANTS
    assert otherwise == 0


@pytest.mark.parametrize("sanitizer", [MEMORY, THREADS])
def test_mutants_with_a_seal_that_fits_are_judged_without_a_fault(native, sanitized, sanitizer, tmp_path):
    refused, loaded = map(
        int, sanitized("resealed", native, sanitizer, model(native), tmp_path / "mutant.bnn", MUTANTS)
    )
    assert refused + loaded == MUTANTS
    assert refused > MUTANTS // 2


@pytest.mark.parametrize("sanitizer", [MEMORY, THREADS])
def test_threads_and_forks_are_without_a_fault(wide, sanitized, sanitizer, tmp_path):
    assert sanitized("together", wide, sanitizer, model(wide), 3, tmp_path / "outputs") == []
    if sanitizer == MEMORY:  # ThreadSanitizer does not follow a program of several threads into its children
        assert sanitized("forks", wide, sanitizer, model(wide), 3) == []


def test_wrong_calls_are_without_a_fault(native, arm, sanitized):
    assert sanitized("refusals", native, MEMORY, model(native), model(arm))
