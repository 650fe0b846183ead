"""How long a loaded model lives: libraries are unloaded, forks are answered or refused, copies are loaded again."""

import copy
import hashlib
import multiprocessing
import pickle
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

import tvm_bnn
from schedules.errors import UserError
from tvm_bnn.artifacts.artifact import read_artifact, write_artifact

IMAGE = np.random.default_rng(0).random((1, 1, 8, 8), np.float32)


def mappings():
    return len(Path("/proc/self/maps").read_text().splitlines())


def test_a_thousand_loads_leave_nothing_behind(digits):
    expected = tvm_bnn.load(digits.path)(IMAGE)
    before = mappings()
    for number in range(1000):
        model = tvm_bnn.load(digits.path)
        if number % 100 == 0:
            np.testing.assert_array_equal(model(IMAGE), expected)
    del model
    assert mappings() < before + 50


def test_answers_outlive_their_model(digits):
    with tvm_bnn.load(digits.path) as model:
        answer = model(IMAGE)
        kept = answer.copy()
    del model
    tvm_bnn.load(digits.path)(1 - IMAGE)
    np.testing.assert_array_equal(answer, kept)


def test_a_closed_model_is_refused_in_a_line(digits):
    model = tvm_bnn.load(digits.path)
    model.close()
    model.close()
    with pytest.raises(UserError, match="model 'digits' is closed: load it again"):
        model(IMAGE)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_is_loaded_again_and_lives_by_itself(digits, copied):
    model = tvm_bnn.load(digits.path)
    again = copied(model)
    expected = model(IMAGE)
    model.close()
    np.testing.assert_array_equal(again(IMAGE), expected)


def test_a_copy_of_a_file_that_changed_is_refused(digits, tmp_path):
    path = tmp_path / "digits.so"
    shutil.copy(digits.path, path)
    packed = pickle.dumps(tvm_bnn.load(path))
    manifest, library = read_artifact(path)
    changed = library + b"x"
    facts = {"library_bytes": len(changed), "library_sha256": hashlib.sha256(changed).hexdigest()}
    write_artifact(path, changed, msgspec.structs.replace(manifest, **facts))
    with pytest.raises(UserError, match="has changed since"):
        pickle.loads(packed)
    path.unlink()
    with pytest.raises(UserError, match="no such file"):
        pickle.loads(packed)


def test_a_model_that_came_from_no_file_is_not_copied(digits, tmp_path):
    manifest, library = read_artifact(digits.path)
    (tmp_path / "model.so").write_bytes(library)
    model = tvm_bnn.Model(manifest, tmp_path / "model.so")
    with pytest.raises(UserError, match="has no file to load it from again"):
        copy.deepcopy(model)


def test_a_fork_answers_where_one_thread_does(digits):
    model = tvm_bnn.load(digits.path)
    expected = model(IMAGE)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for answer in pool.map_async(model, [IMAGE] * 4).get(60):
            np.testing.assert_array_equal(answer, expected)
