"""A client that never serves: what a fake board sends is read as an answer, or not at all."""

import math
import os
import struct
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpc.sessions.session import Board, DeviceLostError
from rpc.sessions.tvm_values import BYTES, INT, TEXT, Handle, Reader, RemoteTensor, dtype_of, encoded
from rpc.tracking.channel import StrangerError
from rpc.tracking.tracker_client import Address, Grant
from schedules.errors import UserError
from tests.rpc.attackers import accepting, exactly, hostile_packet, load_library_call, packet, seeded, welcome

HOSTILE_BOARDS = 300


@pytest.fixture(scope="module")
def constructor(tmp_path_factory):
    """A library whose constructor leaves a file."""
    folder = tmp_path_factory.mktemp("constructor")
    mark, source, library = folder / "mark", folder / "mark.c", folder / "mark.so"
    source.write_text(
        f'#include <stdio.h>\n__attribute__((constructor)) static void run(void) {{ fclose(fopen("{mark}", "w")); }}\n'
    )
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    return library, mark


def connect_to(port):
    return Board(Grant("board", Address("127.0.0.1", port), "board:1"), 5)


def test_a_fake_board_runs_no_code_in_the_client(constructor):
    library, mark = constructor

    def serve(connection):
        welcome(connection)
        connection.sendall(load_library_call(os.fsencode(library)) * 2)

    with accepting(serve) as port, pytest.raises(DeviceLostError, match=r"what is no answer \(packet 9\)"):
        connect_to(port)
    assert not mark.exists()


@pytest.mark.parametrize("code", [-1, 0, 1, 2, 3, 6, 7, 8, 9, 10, 13, 17, 2**31 - 1])
def test_only_answers_are_taken(code):
    def serve(connection):
        welcome(connection)
        connection.sendall(packet(code, struct.pack("<ii", 1, 0)))

    with accepting(serve) as port, pytest.raises(DeviceLostError, match=f"what is no answer .packet {code}.") as caught:
        connect_to(port)
    assert "\n" not in str(caught.value)


def test_hostile_boards_are_lost_in_one_line():
    rng = seeded(20)

    def serve(connection):
        welcome(connection)
        for _ in range(4):
            exactly(connection, 8)
            connection.sendall(hostile_packet(rng))

    lost = []
    with accepting(serve) as port:
        for _ in range(HOSTILE_BOARDS):
            try:
                connect_to(port).close()  # it may happen to answer rightly
            except UserError as error:
                lost.append(str(error))
    assert len(lost) > HOSTILE_BOARDS / 2
    assert all(line.isprintable() for line in lost)


@given(st.binary(max_size=200))
def test_what_is_no_sequence_of_values_is_a_stranger_s(data):
    try:
        values = Reader(data).values()
    except StrangerError:
        return
    assert len(values) <= 16


plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(max_size=100),
    st.builds(lambda number: Handle(4, number), st.integers(0, 2**64 - 1)),
    st.builds(
        RemoteTensor,
        st.integers(0, 2**64 - 1),
        st.sampled_from([np.dtype(name) for name in ("int8", "uint16", "float32", "float64", "bool")]),
        st.lists(st.integers(0, 9), max_size=5).map(tuple),
        st.integers(0, 99),
    ),
)


@given(st.lists(plain, max_size=8))
def test_values_survive_their_encoding(values):
    assert Reader(encoded(values)).values() == values


@given(st.lists(plain, min_size=1, max_size=4), st.data())
def test_a_sequence_that_is_cut_short_is_refused(values, data):
    whole = encoded(values)
    with pytest.raises(StrangerError):
        Reader(whole[: data.draw(st.integers(0, len(whole) - 1))]).values()


@pytest.mark.parametrize("kind", [6, 10, 64, 67, 68, 70, 71, 73, 115])
def test_an_address_is_never_taken_for_a_value(kind):
    """TVM's endpoint takes a function or a module in an answer for one of its own, at the address that was sent."""
    with pytest.raises(StrangerError, match=f"of type {kind}"):
        Reader(struct.pack("<iiQ", 1, kind, 1 << 40)).values()


@pytest.mark.parametrize(("code", "bits", "lanes"), [(2, 7, 1), (4, 16, 1), (0, 32, 4), (9, 8, 1), (0, 0, 1)])
def test_a_dtype_that_numpy_lacks_is_refused(code, bits, lanes):
    with pytest.raises(StrangerError, match="dtype"):
        dtype_of(code, bits, lanes)


def test_a_tensor_s_size_is_that_of_its_elements():
    tensor = RemoteTensor(1, np.dtype("float32"), (2, 3))
    assert tensor.size == 4 * math.prod((2, 3))
    assert (INT, TEXT, BYTES) == (1, 8, 9)
