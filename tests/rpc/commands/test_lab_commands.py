"""``python -m rpc``: what the commands say and write."""

import contextlib
import subprocess
import sys

import pytest

from rpc.__main__ import COMMANDS, main
from rpc.boards.board_image import write_board_image
from rpc.commands import serve, tunnel
from rpc.tracking.exposure import is_loopback, warn_if_exposed
from rpc.tracking.tracker_client import Address
from schedules.errors import UserError
from schedules.machines import host

TRACKER = Address("127.0.0.1", 9190)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_comes_without_tvm(name):
    code = f"""
import sys
from rpc.__main__ import main
try:
    main([{name!r}, "--help"])
except SystemExit:
    pass
assert not {{"tvm", "tornado", "numpy"}} & sys.modules.keys(), sorted(sys.modules)
"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "--help" in finished.stdout


def test_a_command_that_is_none_is_refused(capsys):
    assert main(["measur"]) == 2
    assert "usage: python -m rpc COMMAND" in capsys.readouterr().err


def test_an_error_is_one_line(capsys):
    assert main(["devices", "--no-secret", "--tracker", "127.0.0.1:1"]) == 1
    said = capsys.readouterr().err
    assert said.splitlines()[-1].startswith("error: tracker 127.0.0.1:1 cannot be reached")
    assert said.count("\n") == 2  # and what --no-secret means


def test_devices_are_listed(tracker, offer, capsys):
    assert main(["devices", "--no-secret", "--tracker", str(tracker)]) == 0
    assert "no devices" in capsys.readouterr().out
    offer("board")
    assert main(["devices", "--no-secret", "--tracker", str(tracker)]) == 0
    shown = capsys.readouterr().out
    assert "board" in shown
    assert "free" in shown
    assert host.machine() in shown
    assert main(["devices", "--no-secret", "--tracker", str(tracker), "--format", "json"]) == 0
    assert '"key":"board"' in capsys.readouterr().out


def test_a_measurement_is_printed_and_recorded(tracker, offer, artifact, tmp_path, capsys):
    from rpc.measuring.records import DeviceRecord
    from schedules.files.record_file import read

    offer("board")
    words = [
        str(artifact),
        str(artifact),
        "--key",
        "board",
        "--no-secret",
        "--tracker",
        str(tracker),
        "--repeats",
        "8",
        "--profile",
    ]
    assert main(["measure", *words, "--record", str(tmp_path / "lab.jsonl")]) == 0
    shown = capsys.readouterr().out
    assert "5 of 5 samples" in shown
    assert "(median of 8)" in shown
    assert "total" in shown
    records = read(tmp_path / "lab.jsonl", DeviceRecord)
    assert [record.artifact for record in records] == ["sums.so", "sums.so"]
    assert records[0].board.kernel
    assert records[0].board.libc


def test_measure_asks_for_an_artifact(capsys):
    assert main(["measure", "--key", "board"]) == 1
    assert "at least one artifact" in capsys.readouterr().err


def test_an_image_is_small_and_starts(tmp_path):
    target = "native" if host.machine() in {"x86_64", "aarch64"} else "rpi4"
    size = write_board_image(tmp_path / "image", target, "desk", TRACKER, 9091)
    assert size < 10e6
    assert size == sum(file.stat().st_size for file in (tmp_path / "image").iterdir())
    finished = subprocess.run(
        [str(tmp_path / "image" / "start.sh"), "--nonsense", "1"], capture_output=True, text=True, check=False
    )
    assert "no such option" in finished.stderr
    unit = (tmp_path / "image" / "tvm-bnn-board.service").read_text()
    assert "DynamicUser=yes" in unit
    assert "(desk)" in unit


def test_an_image_takes_the_secret_along_for_its_owner_alone(tmp_path):
    (tmp_path / "secret").write_text("of the lab\n")
    write_board_image(tmp_path / "image", "rpi2", "rpi2", TRACKER, 9091, tmp_path / "secret")
    assert (tmp_path / "image" / "secret").read_text() == "of the lab\n"
    assert (tmp_path / "image" / "secret").stat().st_mode & 0o777 == 0o600
    assert '--secret-file "${CREDENTIALS_DIRECTORY:-.}/secret" "$@"' in (tmp_path / "image" / "start.sh").read_text()
    unit = (tmp_path / "image" / "tvm-bnn-board.service").read_text()
    assert "LoadCredential=secret:/opt/tvm_bnn/secret" in unit


@contextlib.contextmanager
def command(*words):
    """Run a command; yields what it says on stderr, line by line."""
    with subprocess.Popen([sys.executable, "-m", "rpc", *words], stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process.stderr
        finally:
            process.terminate()


def test_commands_of_one_user_share_a_secret_without_being_told(tmp_path, monkeypatch, capsys, artifact):
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    with contextlib.ExitStack() as stack:
        said = stack.enter_context(command("tracker", "--port", "0"))
        tracker = f"127.0.0.1:{said.readline().rsplit(':', 1)[1].strip()}"
        said = stack.enter_context(command("serve", "--key", "desk", "--port", "0", "--tracker", tracker))
        while "registered" not in said.readline():
            pass
        assert main(["devices", "--tracker", tracker]) == 0
        assert "asked for" in capsys.readouterr().out
        assert main(["measure", str(artifact), "--key", "desk", "--tracker", tracker, "--repeats", "3"]) == 0
        assert "5 of 5 samples" in capsys.readouterr().out
        assert main(["devices", "--no-secret", "--tracker", tracker]) == 1
        assert "asks for a secret" in capsys.readouterr().err
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "of another user"))
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        assert main(["devices", "--tracker", tracker]) == 1
        assert "--secret-file FILE names that of another lab" in capsys.readouterr().err


def test_an_image_overwrites_nothing(tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(UserError, match="not an empty folder"):
        write_board_image(tmp_path, "rpi4", "rpi4", TRACKER, 9091)


def test_a_tunnel_stays_on_both_loopbacks():
    command = tunnel.ssh_command(tunnel.Options("pi@board", tracker="127.0.0.1:9300", port=9092))
    assert command[-1] == "pi@board"
    assert command[command.index("-R") + 1] == "127.0.0.1:9190:127.0.0.1:9300"
    assert command[command.index("-L") + 1] == "127.0.0.1:9092:127.0.0.1:9092"
    command = tunnel.ssh_command(tunnel.Options("pi@board", start=True))
    assert command[-1] == "~/tvm_bnn/start.sh --port 9091"
    assert command[1] == "-tt"


def test_a_login_is_no_option_of_ssh():
    with pytest.raises(UserError, match="expected USER@BOARD"):
        tunnel.ssh_command(tunnel.Options("-oProxyCommand=x"))


def test_a_server_gets_its_options(tmp_path):
    options = serve.Options(key="desk", upload_mib=1)
    words = serve.server_options(options, "lab:1", tmp_path / "secret")
    pairs = dict(zip(words[::2], words[1::2], strict=True))
    assert pairs["--host"] == "127.0.0.1"
    assert pairs["--upload-bytes"] == str(1 << 20)
    assert pairs["--secret-file"] == str(tmp_path / "secret")


@pytest.mark.parametrize(
    ("address", "safe"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False)]
)
def test_what_others_can_reach_is_warned_of(address, safe, capsys):
    assert is_loopback(address) == safe
    warn_if_exposed("server", address, "it runs what it is sent")
    said = capsys.readouterr().err
    assert (said == "") == safe
    assert safe or "it runs what it is sent" in said
