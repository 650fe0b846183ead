"""A Dask cluster on loopback gives the records of a local run, and a worker that is killed loses its cell only.

Each test is a process of its own: Dask's servers leave threads and warnings behind.
"""

import importlib.util
import subprocess
import sys
import textwrap

import pytest

if importlib.util.find_spec("distributed") is None:
    pytest.skip("Dask is missing: pip install 'tvm-bnn[cluster]'", allow_module_level=True)

PLAN = """
    import os, signal, sys
    from pathlib import Path
    import msgspec
    from experiments.grid.run_grid import run_grid
    from experiments.tracks.plan import Plan, workloads
    from experiments.tracks.result import read
    from experiments.tracks.track import find_track
    from experiments.training.recipe import Recipe

    def plan(folder, algorithms):
        recipe = Recipe(epochs=1, steps=2, batch=16)
        return Plan(folder=str(folder), algorithms=algorithms, workloads=workloads({}, True, ("resnet-20",), False),
                    recipe=recipe, test_samples=16, corruptions=("fog",))

    def records(one):
        return {r.cell: (r.settings, r.outcome.facts, {k: v for k, v in r.outcome.values.items() if "seconds" not in k})
                for r in read(one.results)}
"""


def run(body, folder):
    script = folder / "script.py"
    script.write_text(textwrap.dedent(PLAN) + textwrap.dedent(body))
    return subprocess.run(
        [sys.executable, str(script), str(folder)], capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.slow
def test_two_workers_give_the_records_of_a_local_run(tmp_path):
    body = """
    if __name__ == "__main__":
        folder = Path(sys.argv[1])
        here, there = plan(folder / "here", ("bnn", "xnor")), plan(folder / "there", ("bnn", "xnor"))
        tracks = [find_track("learning"), find_track("robustness")]
        assert run_grid(here, tracks) == 0
        assert run_grid(there, tracks, "local:2") == 0
        assert records(here) == records(there) and len(records(here)) == 6, (records(here), records(there))
        print("same")
    """
    finished = run(body, tmp_path)
    assert finished.stdout.strip().endswith("same"), finished.stderr[-2000:]


@pytest.mark.slow
def test_a_worker_that_is_killed_in_a_cell_loses_that_cell_only(tmp_path):
    body = """
    from experiments.grid import cluster
    from experiments.grid.run_cell import run_cell

    def kill_in_xnor(plan, cell):
        if cell.algorithm == "xnor":
            os.kill(os.getpid(), signal.SIGKILL)
        return run_cell(plan, cell)

    if __name__ == "__main__":
        one = plan(Path(sys.argv[1]) / "run", ("bnn", "xnor", "react"))
        cluster.run_cell = kill_in_xnor
        assert run_grid(one, [find_track("learning")], "local:2") == 1
        found = {r.cell.algorithm: r.failed for r in read(one.results)}
        assert sorted(found) == ["bnn", "float", "react", "xnor"], found
        assert [name for name, failed in found.items() if failed] == ["xnor"], found
        cluster.run_cell = run_cell
        assert run_grid(one, [find_track("learning")], "local:2") == 0
        assert len(read(one.results)) == 5
        print("one lost, then mended")
    """
    finished = run(body, tmp_path)
    assert finished.stdout.strip().endswith("mended"), finished.stderr[-2000:]


def test_a_cluster_of_no_workers_is_refused(tmp_path):
    body = """
    if __name__ == "__main__":
        from schedules.errors import UserError
        try:
            run_grid(plan(Path(sys.argv[1]) / "run", ()), [find_track("learning")], "local:0")
        except UserError as error:
            print(error)
    """
    assert "give local:N with N workers" in run(body, tmp_path).stdout
