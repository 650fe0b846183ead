import multiprocessing
import os

import pytest

from experiments.grid.alone import alone
from schedules.errors import UserError


def test_a_second_run_in_one_folder_is_refused_and_the_next_is_not(tmp_path):
    with (
        alone(tmp_path / "run"),
        alone(tmp_path / "other"),
        pytest.raises(UserError, match="another run is at work in it"),
        alone(tmp_path / "run"),
    ):
        pytest.fail("two at once")
    with alone(tmp_path / "run"):
        pass


def _die_inside(folder):
    with alone(folder):
        os._exit(1)


def test_a_run_that_was_killed_holds_nothing(tmp_path):
    process = multiprocessing.get_context("fork").Process(target=_die_inside, args=(tmp_path,))
    process.start()
    process.join()
    with alone(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"folder '.*file/run': cannot be written"), alone(tmp_path / "file" / "run"):
        pytest.fail("there is no such folder")
