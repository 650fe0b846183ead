"""What sessions and killed servers leave: folders are swept at the next start, processes end with the session."""

import os
import signal
import subprocess
import time

import psutil
import pytest

from rpc.boards.board_server import board_server
from rpc.measuring.device_measurement import open_board
from rpc.tracking import tracker_client
from rpc.tracking.local_tracker import wait_for_devices
from schedules.errors import UserError
from schedules.machines import host
from schedules.machines.link import link_triple, linker

PREFIX = "tvm_bnn_session_"
KILLS = 5


@pytest.fixture(scope="module", params=["tvm", "libbnn"])
def server_folder(request):
    return board_server(host.machine(), request.param)


def sessions(folder):
    return sorted(path.name for path in folder.glob(f"{PREFIX}*"))


def open_session(tracker):
    return open_board(tracker_client.request(tracker, "board", 20), 60)


def test_folders_of_killed_servers_are_swept_at_the_next_start(tracker, offer, tmp_path):
    for _ in range(KILLS):
        server = offer("board")
        board = open_session(tracker)
        assert len(sessions(tmp_path)) == 1, "what the one before left is gone"
        server.kill()
        server.wait()
        board.close()
        assert len(sessions(tmp_path)) == 1
    offer("board")
    assert sessions(tmp_path) == []


def test_a_sweep_leaves_the_folders_of_living_sessions_and_what_is_not_a_session_s(tracker, offer, tmp_path):
    offer("board")
    (tmp_path / "tvm_bnn_other").mkdir()
    (tmp_path / f"{PREFIX}file").write_text("no folder")
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path / "tvm_bnn_other")
    (tmp_path / f"{PREFIX}dead").mkdir()
    (tmp_path / f"{PREFIX}dead" / "left").write_text("by a killed one")
    with open_session(tracker) as board:
        before = sessions(tmp_path)
        offer("other")
        assert sorted({*before} - {*sessions(tmp_path)}) == [f"{PREFIX}dead"]
        assert (tmp_path / "tvm_bnn_other").is_dir()
        assert board.read("/proc/loadavg")


def test_a_folder_may_be_named_from_here(tracker, server_folder, tmp_path):
    (tmp_path / "below").mkdir()
    words = [str(server_folder / "board_server"), "--key", "board", "--tracker", str(tracker), "--folder", "below"]
    with subprocess.Popen(words, cwd=tmp_path) as server:
        try:
            wait_for_devices(tracker, ["board"])
            with open_session(tracker) as board:
                assert len(sessions(tmp_path / "below")) == 1
                assert board.read("/proc/loadavg")
        finally:
            server.kill()


def test_a_folder_that_is_none_is_refused(server_folder):
    words = [str(server_folder / "board_server"), "--key", "board", "--tracker", "127.0.0.1:1", "--folder", "nowhere"]
    finished = subprocess.run(words, capture_output=True, text=True, check=False, timeout=20)
    assert finished.returncode == 1
    assert "the folder 'nowhere': No such file or directory" in finished.stderr


RUNAWAY = r"""
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor)) static void run_away(void) {
  for (int depth = 0; depth < 3; ++depth) {
    if (fork() != 0) continue;
    setsid();
    if (fork() != 0) _exit(0);
    char name[4096];
    snprintf(name, sizeof(name), "%s/%d", getenv("RUNAWAY"), (int)getpid());
    fclose(fopen(name, "w"));
    for (;;) pause();
  }
}
"""


def test_processes_that_leave_their_session_end_with_it(tracker, offer, tmp_path):
    (tmp_path / "runaway.c").write_text(RUNAWAY)
    (tmp_path / "pids").mkdir()
    library = tmp_path / "runaway.so"
    linker(link_triple(host.machine()))(str(library), [str(tmp_path / "runaway.c")])
    server = offer("board", environment={**os.environ, "RUNAWAY": str(tmp_path / "pids")})
    with open_session(tracker) as board:
        if board.facts.bnn_format:
            pytest.skip("libbnn loads no library that is not sealed")
        with pytest.raises(UserError, match="no function 'vm_load_executable'"):
            board.load("runaway.so", library.read_bytes())
        deadline = time.monotonic() + 20
        while len(list((tmp_path / "pids").iterdir())) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        pids = [int(path.name) for path in (tmp_path / "pids").iterdir()]
        assert len(pids) >= 3
        assert all(psutil.pid_exists(pid) for pid in pids)
    wait_for_devices(tracker, ["board"])
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert server.poll() is None
    assert psutil.Process(server.pid).children() == []
    server.send_signal(signal.SIGTERM)
    assert server.wait(10) == 0
