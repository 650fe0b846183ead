"""A disk that is really full: a file system of a few kB; where none may be mounted, a limit on the size of files."""

import ctypes
import os
import resource

import pytest

from schedules.errors import UserError
from schedules.files.line_file import locked, replace
from schedules.machines.isa import AVX512_VPOPCNTDQ
from schedules.tuned.tuning_log import RECORDS, VERDICTS
from tvm_bnn.tune.runners.forked import in_child
from tvm_bnn.tune.searching.database import entries
from tvm_bnn.tune.searching.session import tune

_NEW_USER, _NEW_MOUNTS, _REMOUNT, _PRIVATE = 0x10000000, 0x00020000, 32, (1 << 18) | 16384
_LIBC = ctypes.CDLL(None, use_errno=True)
_MANY = 400
#: The layer itself and a round or two.
SMALL_KB = 84


@pytest.fixture
def task(make_task):
    """A layer with a space of some hundred schedules, none of which is ever run."""
    return make_task(48, 384, isa=AVX512_VPOPCNTDQ)


def call(function, *arguments):
    if function(*arguments):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def mount_tmpfs(path, kilobytes, flags=0):
    call(_LIBC.mount, b"none", str(path).encode(), b"tmpfs", flags, f"size={kilobytes}k".encode())


def in_own_namespace(path, kilobytes):
    """Put a file system of so many kB at a path, for this process only; it vanishes with it."""
    user, group = os.getuid(), os.getgid()
    call(_LIBC.unshare, _NEW_MOUNTS if user == 0 else _NEW_MOUNTS | _NEW_USER)
    if user != 0:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    call(_LIBC.mount, b"none", b"/", None, _PRIVATE, None)
    mount_tmpfs(path, kilobytes)


def mounted(path, kilobytes, then):
    """Return what a function returns in a process that sees a small file system at a path; skip where none may."""
    path.mkdir(parents=True)

    def work():
        try:
            in_own_namespace(path, kilobytes)
        except OSError as error:
            return "skip", f"no file system may be mounted here: {error}"
        return "done", then()

    outcome = in_child(work, 120)
    assert outcome.value is not None, outcome.failure
    state, found = outcome.value
    if state == "skip":
        pytest.skip(found)
    return found


def tune_until_full(task, runner, plan):
    """Tune with more trials than there is room for; return the rounds that were finished and the error."""
    rounds = []
    try:
        tune([task], runner, type(plan)(plan.target, plan.folder, _MANY), {}, rounds.append, lambda _message: None)
    except UserError as error:
        return [seen.measured for seen in rounds], str(error)
    return [seen.measured for seen in rounds], "it was never full"


def state_of(plan):
    """Return the keys of all measurements, and what there is to complain of."""
    heard = []
    return [entry.key for entry in entries(plan.folder, heard.append)], heard


def test_on_a_full_disk_the_tuner_ends_in_one_line_keeps_all_rounds_and_goes_on_when_there_is_room(
    task, pretended, plan
):
    def fill_and_go_on():
        rounds, error = tune_until_full(task, pretended(), plan)
        full = state_of(plan)
        mount_tmpfs(plan.folder.parent, 4000, _REMOUNT)
        longer = type(plan)(plan.target, plan.folder, sum(rounds) + 32)
        (verdict,) = tune([task], pretended(), longer, {}, lambda _round: None, lambda _message: None)
        return rounds, error, full, state_of(plan), verdict.exact

    found = mounted(plan.folder.parent, SMALL_KB, fill_and_go_on)
    rounds, error, (keys, complaints), (more, complaints_later), exact = found
    assert rounds
    assert "No space left on device; nothing of this round was kept, all before it is" in error
    assert "\n" not in error
    assert len(keys) == sum(rounds)
    assert more[: len(keys)] == keys
    assert len(more) == len(set(more)) == len(keys) + 32
    assert complaints == complaints_later == []
    assert exact


def test_what_cannot_be_replaced_on_a_full_disk_stays_as_it_is(plan):
    path = plan.folder / VERDICTS

    def fill_and_replace():
        with locked(plan.folder):
            replace(path, [b"1", b"2"])
            try:
                replace(path, [b"x" * (1 << 20)])
            except UserError as error:
                return str(error), path.read_bytes(), sorted(os.listdir(plan.folder))
        return "it was never full", b"", []

    error, content, names = mounted(plan.folder.parent, 64, fill_and_replace)
    assert error == f"log '{path}': cannot be written (No space left on device)"
    assert content == b"1\n2\n"
    assert names == [".lock", VERDICTS]


def test_where_files_may_not_grow_the_tuner_ends_in_one_line_and_keeps_all_rounds(task, pretended, plan):
    """Whatever machine this is: the system refuses to write beyond the limit, in the middle of a line."""
    tune([task], pretended(), plan, {}, lambda _round: None, pytest.fail)
    before = (plan.folder / RECORDS).stat().st_size
    kept, _ = state_of(plan)

    def limited():
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        workloads = max(file.stat().st_size for file in plan.folder.iterdir())
        # A round of 16 is 25 kB or so: some of them fit, and the next one is torn.
        resource.setrlimit(resource.RLIMIT_FSIZE, (max(before, workloads) + 40_000, most))
        return tune_until_full(task, pretended(), plan)

    outcome = in_child(limited, 120)
    assert outcome.value is not None, outcome.failure
    rounds, error = outcome.value
    assert "File too large; nothing of this round was kept, all before it is" in error
    keys, complaints = state_of(plan)
    assert keys[: len(kept)] == kept
    assert len(keys) == len(kept) + sum(rounds)
    assert complaints == []
