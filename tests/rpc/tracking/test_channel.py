"""Both ends prove the secret, and nobody in between can say anything."""

import os
import socket
import stat
import struct
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpc.measuring.device_measurement import open_board
from rpc.tracking import lab_secret, tracker_client
from rpc.tracking.channel import SecureChannel
from rpc.tracking.frames import Direction, frame_length
from rpc.tracking.local_tracker import local_tracker, wait_for_devices
from rpc.tracking.shared_secret import agree, read_secret
from rpc.tracking.tracker_client import Address
from rpc.tracking.tracker_protocol import ProtocolError
from schedules.errors import UserError
from tests.rpc.attackers import accepting, exactly, relay

SECRET = b"of this lab"


@pytest.fixture
def secret_file(tmp_path):
    (tmp_path / "secret").write_bytes(SECRET)
    return tmp_path / "secret"


@pytest.fixture
def secure_lab(server_folder, running, secret_file, tmp_path):
    """A tracker and a board that ask for the secret."""
    with (
        local_tracker(secret=secret_file) as tracker,
        running(server_folder, tracker, "board", tmp_path, "--secret-file", str(secret_file), secret=SECRET),
    ):
        yield tracker


@given(st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=5), st.data())
def test_a_frame_that_was_changed_moved_or_repeated_is_refused(contents, data):
    sender, receiver = Direction(b"k" * 32), Direction(b"k" * 32)
    frames = [sender.sealed(content) for content in contents]
    right = data.draw(st.integers(0, len(frames) - 1))
    for frame, content in zip(frames[:right], contents, strict=False):
        assert receiver.opened(frame[4:-32], frame[-32:]) == content
    wrong = bytearray(frames[right])
    if data.draw(st.booleans()):
        wrong[data.draw(st.integers(4, len(wrong) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    else:
        receiver.frames = (receiver.frames + data.draw(st.sampled_from([-1, 1, 7]))) % (1 << 64)
    with pytest.raises(ProtocolError, match="changed on its way"):
        receiver.opened(bytes(wrong[4:-32]), bytes(wrong[-32:]))


@pytest.mark.parametrize("length", [0, 65537, 2**32 - 1])
def test_a_frame_of_a_wrong_length_is_refused(length):
    with pytest.raises(ProtocolError, match=f"a frame of {length} bytes"):
        frame_length(struct.pack("<I", length))


@given(
    st.text(max_size=40), st.text(max_size=40), st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32)
)
def test_an_agreement_is_of_one_hello_and_one_nonce(hello, other, nonce, another):
    one = agree(SECRET, hello, nonce)
    assert len({one.called, one.caller, one.to_called, one.to_caller}) == 4
    assert (agree(SECRET, other, nonce) == one) == (other == hello)
    assert (agree(SECRET, hello, another) == one) == (another == nonce)
    assert agree(SECRET + b"x", hello, nonce) != one


def test_bytes_arrive_in_any_portions():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender, receiver = SecureChannel(ours, b"a" * 32, b"b" * 32), SecureChannel(theirs, b"b" * 32, b"a" * 32)
        data = bytes(range(256)) * 1000
        thread = threading.Thread(target=sender.send, args=(data,))
        thread.start()
        assert b"".join(receiver.receive(count) for count in (1, 70_000, 3, 0, len(data) - 70_004)) == data
        thread.join()


def test_a_proof_that_is_passed_on_is_worth_nothing(secure_lab):
    grant = tracker_client.request(secure_lab, "board", 10, secret=SECRET)
    with relay(grant.address.port) as port:
        other = tracker_client.Grant("board", Address("127.0.0.1", port), grant.match_key)
        with pytest.raises(UserError, match="somebody is in between"):
            open_board(other, 60, SECRET)
    with open_board(grant, 60, SECRET) as board:
        assert board.read("/proc/loadavg")


def test_a_tunnel_with_the_same_port_at_both_ends_is_one(server_folder, running, secret_file, tmp_path):
    """The server listens on another loopback here, as on another machine, and says where clients find it."""
    words = ("--secret-file", str(secret_file), "--host", "127.0.0.2", "--address", "127.0.0.1")
    with (
        local_tracker(secret=secret_file) as tracker,
        running(server_folder, tracker, "board", tmp_path, *words, secret=SECRET),
    ):
        grant = tracker_client.request(tracker, "board", 10, secret=SECRET)
        with (
            relay(grant.address.port, host="127.0.0.2", port=grant.address.port),
            open_board(grant, 60, SECRET) as board,
        ):
            assert board.read("/proc/loadavg")


def test_who_is_in_between_can_change_nothing(secure_lab):
    """A tracker may be behind a tunnel, so that whoever relays is not noticed; it can cut the connection, no more."""

    def flip(direction, data):
        if direction == "out" and len(data) > 200:  # the summary, not the handshake
            return data[:100] + bytes([data[100] ^ 1]) + data[101:]
        return data

    with relay(secure_lab.port) as port:
        assert tracker_client.summary(Address("127.0.0.1", port), SECRET).devices[0].key == "board"
    with relay(secure_lab.port, flip) as port, pytest.raises(UserError, match="a message that was changed on its way"):
        tracker_client.summary(Address("127.0.0.1", port), SECRET)


def read_for_ever(board):
    while True:
        assert board.read("/proc/loadavg")


def test_large_messages_and_the_session_s_end_travel_in_frames(secure_lab):
    with open_board(tracker_client.request(secure_lab, "board", 10, secret=SECRET), 2, SECRET) as board:
        with pytest.raises(UserError, match="loading the model failed"):
            board.load("model.so", bytes(3_000_000))
        # If a question was under way, the end of the connection may overtake the reason.
        with pytest.raises(UserError, match=r"was lost .* \((its time was up|the connection broke)\)"):
            read_for_ever(board)
    wait_for_devices(secure_lab, ["board"], secret=SECRET)


def test_who_does_not_know_the_secret_is_told_nothing(secure_lab):
    for secret in (b"", b"another"):
        with pytest.raises(UserError, match=r"--secret-file names the lab's"):
            tracker_client.summary(secure_lab, secret)


def test_a_tracker_that_only_says_that_it_knows_the_secret_is_refused():
    def serve(connection):
        (_, length) = struct.unpack("<ii", exactly(connection, 8))
        exactly(connection, length)
        connection.sendall(struct.pack("<i", 0x314E4254) + bytes(64))
        assert connection.recv(1) == b""  # our proof is not given to it

    with accepting(serve) as port, pytest.raises(UserError, match="it does not know the lab's secret"):
        tracker_client.summary(Address("127.0.0.1", port), SECRET)


def test_a_tracker_without_a_secret_is_not_believed_by_who_has_one(tracker):
    with pytest.raises(UserError, match="it has no secret, or another one"):
        tracker_client.summary(tracker, SECRET)


@pytest.fixture
def runtime_folder(tmp_path, monkeypatch):
    folder = tmp_path / "runtime"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return folder


def test_a_user_s_secret_is_made_once_and_found_by_all_commands(runtime_folder):
    with pytest.raises(UserError, match=r"does not exist, for no tracker .* --secret-file FILE .* --no-secret"):
        lab_secret.secret_file(None, without=False)
    made = lab_secret.secret_file(None, without=False, make=True)
    assert made == runtime_folder / "tvm_bnn" / "secret"
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.parent.stat().st_mode) == 0o700
    assert len(read_secret(made)) == 64
    before = made.read_bytes()
    assert lab_secret.secret_file(None, without=False, make=True) == made
    assert lab_secret.secret_of(None, without=False) == before.strip()


def test_without_a_runtime_folder_it_is_in_the_temporary_one(runtime_folder, tmp_path):
    runtime_folder.chmod(0o755)
    made = lab_secret.secret_file(None, without=False, make=True)
    assert made == tmp_path / f"tvm_bnn-{os.geteuid()}" / "secret"


@pytest.mark.parametrize("what", ["folder's mode", "file's mode", "folder is a link", "file is a link"])
def test_a_secret_that_others_could_have_made_or_read_is_refused(runtime_folder, tmp_path, what):
    made = lab_secret.secret_file(None, without=False, make=True)
    if what == "folder's mode":
        made.parent.chmod(0o755)
    elif what == "file's mode":
        made.chmod(0o640)
    else:
        moved = made if what == "file is a link" else made.parent
        moved.rename(tmp_path / "elsewhere")
        moved.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is not this user's alone"):
        lab_secret.secret_file(None, without=False)


def test_no_secret_says_what_it_means_and_excludes_a_file(runtime_folder, secret_file, capsys):
    assert lab_secret.secret_of(None, without=True) == b""
    assert "--no-secret: whoever offers a device there is believed" in capsys.readouterr().err
    with pytest.raises(UserError, match="exclude each other"):
        lab_secret.secret_file(secret_file, without=True)


@pytest.mark.parametrize(
    ("content", "complaint"), [(b"", "is empty"), (b" \n", "is empty"), (b"x" * 257, "more than 256")]
)
def test_a_file_that_holds_no_secret_is_refused(tmp_path, content, complaint):
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(UserError, match=complaint):
        read_secret(tmp_path / "secret")
