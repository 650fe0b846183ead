"""The native server, on TVM's runtime and on libbnn, against clients that are wrong, hostile, slow, or dead."""

import os
import random
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rpc.boards.board_server import board_server
from rpc.formats.artifact_facts import read_artifact
from rpc.measuring.conditions import conditions
from rpc.measuring.device_measurement import Plan, candidate, measure_on_device, open_board
from rpc.tracking import tracker_client
from rpc.tracking.local_tracker import local_tracker, wait_for_devices
from rpc.tracking.tracker_client import Grant
from schedules.errors import UserError
from schedules.machines import host
from schedules.machines.link import link_triple, linker
from schedules.machines.target import find_target
from tests.rpc.attackers import BOARD_MAGIC, greeting, hostile_greeting

HANDSHAKES = 10_000


@pytest.fixture(scope="module", params=["tvm", "libbnn"])
def runtime(request):
    return request.param


@pytest.fixture(scope="module")
def server_folder(runtime):
    return board_server(host.machine(), runtime)


@pytest.fixture(scope="module")
def model(runtime, artifact, deployed_artifact_for, tmp_path_factory):
    """An artifact that the server runs."""
    if runtime == "tvm":
        return artifact
    return deployed_artifact_for(tmp_path_factory.mktemp("deployed") / "sums.so", find_target("native"))


def say(grant, data):
    with socket.create_connection((grant.address.host, grant.address.port), 5) as connection:
        connection.sendall(data)


def answer(grant, data, count=4):
    with socket.create_connection((grant.address.host, grant.address.port), 10) as connection:
        connection.sendall(data)
        return connection.recv(count, socket.MSG_WAITALL)


def resident_kb(process):
    text = Path(f"/proc/{process.pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0])


def test_ten_thousand_hostile_handshakes_leave_it_serving(tracker, offer):
    server, rng = offer("board"), random.Random(0)
    grant = tracker_client.request(tracker, "board", 10)
    before, descriptors = resident_kb(server), len(os.listdir(f"/proc/{server.pid}/fd"))
    for _ in range(HANDSHAKES):
        say(grant, hostile_greeting(rng, grant.match_key))
    with open_board(fresh_grant(tracker), 60) as board:
        assert board.facts.machine == host.machine()
    assert server.poll() is None
    assert resident_kb(server) < before + 1024
    wait_for_devices(tracker, ["board"])
    assert len(os.listdir(f"/proc/{server.pid}/fd")) <= descriptors + 1


def fresh_grant(tracker):
    """The one before was not used: the server offers itself again after a while."""
    return tracker_client.request(tracker, "board", 20)


def test_it_says_what_runs_models_there(tracker, offer, runtime):
    offer("board")
    (device,) = tracker_client.summary(tracker).devices
    assert device.facts.bnn_format == (1 if runtime == "libbnn" else 0)
    assert bool(device.facts.tvm_version) == (runtime == "tvm")


def test_who_says_nothing_holds_nobody_up(tracker, offer):
    offer("board")
    grant = tracker_client.request(tracker, "board", 10)
    slow = [socket.create_connection((grant.address.host, grant.address.port), 5) for _ in range(100)]
    for number, connection in enumerate(slow):
        connection.sendall(greeting(f"client:{grant.match_key}")[: number % 12])
    with open_board(grant, 60) as board:
        assert board.read("/proc/loadavg")
    for connection in slow:
        connection.close()


def test_a_wrong_key_is_told_so(tracker, offer):
    offer("board")
    grant = tracker_client.request(tracker, "board", 10)
    assert answer(grant, greeting("client:board:0.5")) == struct.pack("<i", BOARD_MAGIC + 2)


def test_a_match_key_serves_once(tracker, offer):
    offer("board")
    grant = tracker_client.request(tracker, "board", 10)
    with open_board(grant, 60):
        assert answer(grant, greeting(f"client:{grant.match_key}")) == struct.pack("<i", BOARD_MAGIC + 2)
    wait_for_devices(tracker, ["board"])
    assert answer(grant, greeting(f"client:{grant.match_key}")) == struct.pack("<i", BOARD_MAGIC + 2)


@pytest.mark.parametrize("length", [10, 64, 100])
def test_with_a_secret_only_who_knows_it_is_served(server_folder, running, tmp_path, length):
    secret = random.Random(length).randbytes(length).hex().encode()
    file = tmp_path / "secret"
    file.write_bytes(secret + b"\n")
    with (
        local_tracker(secret=file) as tracker,
        running(server_folder, tracker, "board", tmp_path, "--secret-file", str(file), secret=secret),
    ):
        (device,) = tracker_client.summary(tracker, secret).devices
        assert device.facts.asks_secret
        grant = tracker_client.request(tracker, "board", 10, secret=secret)
        for wrong in (b"", b"wrong", secret[:-1]):
            with pytest.raises(UserError, match=r"lost while connecting \(it (expects|does not know)"):
                open_board(grant, 60, wrong)
            with pytest.raises(UserError, match=f"tracker {tracker}: it .* --no-secret"):
                tracker_client.summary(tracker, wrong)
        with open_board(grant, 60, secret) as board:
            assert board.facts.asks_secret


def test_uploads_stay_in_a_folder_that_goes_with_the_session(tracker, offer, model, tmp_path):
    offer("board")
    with open_board(tracker_client.request(tracker, "board", 10), 60) as board:
        for name in ("../outside", "/tmp/outside", ".hidden", "", "a/b", "x" * 300):
            with pytest.raises(UserError, match=r"no name for a file|a text of at most"):
                board.load(name, b"x")
        board.load("model.so", read_artifact(model).library)
        (folder,) = tmp_path.glob("tvm_bnn_session_*")
        assert [file.name for file in folder.iterdir()] == ["model.so"]
    wait_for_devices(tracker, ["board"])
    assert not list(tmp_path.glob("tvm_bnn_session_*"))


def test_uploads_beyond_the_limit_are_refused(tracker, offer, tmp_path):
    offer("board", "--upload-bytes", "1000")
    with open_board(tracker_client.request(tracker, "board", 10), 60) as board:
        with pytest.raises(UserError, match="of 1001 bytes would exceed the session's 1000"):
            board.load("model.so", bytes(1001))
        with pytest.raises(UserError, match="loading the model failed"):
            board.load("first.so", bytes(600))
        with pytest.raises(UserError, match="of 600 bytes would exceed the session's 1000"):
            board.load("second.so", bytes(600))


FORBIDDEN = (
    "/etc/passwd",
    "/proc/../etc/passwd",
    "passwd",
    "",
    "/proc/self/root/etc/passwd",
    "/proc/self/environ",
    "/proc/1/environ",
    "/proc/self/cwd/secret",
    "/proc/self/fd/0",
    "/proc/self/mem",
    "/proc/self/status/",
    "/proc/self//status",
    "/proc/loadavg ",
    "/proc/self/../self/status",
    "/sys/devices/system/cpu/cpu/cpufreq/scaling_governor",
    "/sys/devices/system/cpu/cpu0/../cpu0/cpufreq/scaling_governor",
    "/sys/class/thermal/thermal_zone0x/temp",
    "/sys/class/hwmon/hwmon1/power1_input_",
    "/sys/class/hwmon/hwmon1/device/power1_input",
    "/sys/kernel/debug",
    "/proc/loadavg" * 100,
)


def test_only_files_that_describe_the_system_are_read(tracker, offer):
    offer("board")
    with open_board(tracker_client.request(tracker, "board", 10), 60) as board:
        assert "MemTotal" in board.read("/proc/meminfo")
        assert "VmRSS" in board.read("/proc/self/status")
        assert board.read("/sys/devices/system/cpu/cpu99999/cpufreq/scaling_governor") == ""
        assert conditions(board).load is not None
        for path in FORBIDDEN:
            with pytest.raises(UserError, match=r"none of the files .* that a client may read|a text of at most"):
                board.read(path)
        for pattern in (
            "/proc/*",
            "/proc/self/root/*",
            "/sys/class/hwmon/*",
            "/sys/class/thermal/thermal_zone0/temp",
            "",
        ):
            with pytest.raises(UserError, match="none of the patterns"):
                board.find(pattern)


def test_a_session_ends_when_its_time_is_up(tracker, offer):
    offer("board")
    with open_board(tracker_client.request(tracker, "board", 10), 1) as board:
        time.sleep(1.5)
        with pytest.raises(UserError, match="lost"):
            board.read("/proc/loadavg")
    wait_for_devices(tracker, ["board"])


def test_the_server_limits_sessions_that_ask_for_no_limit(tracker, offer):
    offer("board", "--session-seconds", "1")
    with open_board(tracker_client.request(tracker, "board", 10), 0):
        wait_for_devices(tracker, ["board"])


CLIENT = """
import sys, time
from rpc.measuring.device_measurement import open_board
from rpc.tracking import tracker_client
board = open_board(tracker_client.request(tracker_client.parse_address(sys.argv[1]), "board", 10), 600)
print("connected", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_client_that_dies_frees_the_device(tracker, offer, how):
    # One that hangs does so when its time is up.
    offer("board", "--session-seconds", "600" if how == signal.SIGKILL else "2")
    command = [sys.executable, "-c", CLIENT, str(tracker)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout.readline() == "connected\n"
        assert tracker_client.summary(tracker).devices[0].free is False
        client.send_signal(how)
        wait_for_devices(tracker, ["board"], 30)
        client.kill()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_server_that_is_told_to_end_leaves_nothing_behind(tracker, offer, tmp_path, how):
    # The last is what the end of an SSH connection sends.
    server = offer("board")
    with open_board(tracker_client.request(tracker, "board", 10), 60) as board:
        assert len(list(tmp_path.glob("tvm_bnn_session_*"))) == 1
        server.send_signal(how)
        assert server.wait(10) == 0
        assert not list(tmp_path.glob("tvm_bnn_session_*"))
        with pytest.raises(UserError, match="lost"):
            board.read("/proc/loadavg")


def test_a_model_that_crashes_takes_only_its_session(tracker, offer):
    server = offer("board")
    with open_board(tracker_client.request(tracker, "board", 10), 60) as board:
        pids = [int(pid) for pid in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()]
        os.kill(pids[0], signal.SIGSEGV)
        with pytest.raises(UserError, match="lost"):
            board.read("/proc/loadavg")
    wait_for_devices(tracker, ["board"])
    assert server.poll() is None


HOSTILE_SYSTEM = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Somebody sets the clock, back and forth, from 1970 to 2100. */
int clock_gettime(clockid_t clock, struct timespec* now) {
  static long jumps;
  int failed = (int)syscall(SYS_clock_gettime, clock, now);
  if (clock == CLOCK_REALTIME && getenv("WRONG_CLOCK")) now->tv_sec = ++jumps % 2 ? 0 : 4102444800;
  return failed;
}

int gettimeofday(struct timeval* now, void* zone) {
  (void)zone;
  struct timespec fine;
  clock_gettime(CLOCK_REALTIME, &fine);
  *now = (struct timeval){fine.tv_sec, fine.tv_nsec / 1000};
  return 0;
}

/* Files hold nothing any more; sockets and terminals are no disks. */
ssize_t write(int file, const void* data, size_t count) {
  struct stat state;
  if (getenv("FULL_DISK") && fstat(file, &state) == 0 && S_ISREG(state.st_mode)) {
    errno = ENOSPC;
    return -1;
  }
  return syscall(SYS_write, file, data, count);
}
"""


@pytest.fixture(scope="session")
def hostile_system(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "system.c").write_text(HOSTILE_SYSTEM)
    linker(link_triple(host.machine()))(str(folder / "system.so"), [str(folder / "system.c")])
    return lambda variable: {**os.environ, "LD_PRELOAD": str(folder / "system.so"), variable: "1"}


def test_a_clock_that_is_wrong_and_jumps_changes_no_time(tracker, offer, model, hostile_system):
    offer("board", environment=hostile_system("WRONG_CLOCK"))
    (record,) = measure_on_device(tracker, "board", [candidate(model)], Plan(repeats=10))
    assert all(0 < ns < 1e9 for ns in record.samples.samples_ns)
    assert record.date[:4] == time.strftime("%Y", time.gmtime())


def test_a_full_disk_is_said(tracker, offer, hostile_system, tmp_path):
    offer("board", environment=hostile_system("FULL_DISK"))
    with open_board(tracker_client.request(tracker, "board", 10), 60) as board:
        with pytest.raises(UserError, match="upload of 5000 bytes failed: No space left on device"):
            board.load("model.so", bytes(5000))
        (folder,) = tmp_path.glob("tvm_bnn_session_*")
        assert not list(folder.iterdir())
        assert board.read("/proc/loadavg")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--key", "a b", "--tracker", "127.0.0.1:1"], "a key has 1 to 64 letters"),
        (["--key", 'a"', "--tracker", "127.0.0.1:1"], "a key has 1 to 64 letters"),
        (["--key", "board", "--tracker", "nowhere"], "HOST:PORT"),
        (["--key", "board", "--tracker"], "every option takes a value"),
        (["--key", "board", "--tracker", "127.0.0.1:1", "--nonsense", "1"], "no such option"),
        (["--key", "board", "--tracker", "127.0.0.1:1", "--secret-file", "/nowhere"], "the secret cannot be read"),
        (["--key", "board", "--tracker", "127.0.0.1:1", "--host", "192.0.2.1"], "Cannot assign requested address"),
    ],
)
def test_wrong_options_are_refused(server_folder, options, complaint):
    finished = subprocess.run(
        [str(server_folder / "board_server"), *options], capture_output=True, text=True, check=False, timeout=20
    )
    assert finished.returncode in {1, 2}
    assert complaint in finished.stderr


def test_a_grant_of_a_server_that_is_gone_is_a_lost_device(server_folder):
    gone = Grant("board", tracker_client.Address("127.0.0.1", 1), "board:0")
    with pytest.raises(UserError, match="device 'board' was lost while connecting"):
        open_board(gone, 1)
