# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's end of the wire: whatever goes in comes out, and whatever else comes in is a ProtocolError."""

import io
import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from core.service.protocol import MAX_DATA, MAX_HEADER, ProtocolError, read_message, write_message

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
RPC = st.dictionaries(st.text(), JSON, max_size=4)
ARRAYS = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=10).filter(lambda name: name != "__metadata__"),
    st_numpy.arrays(
        st.sampled_from([np.float32, np.int32, np.uint8, np.float16, np.int64, np.bool_]), st_numpy.array_shapes(min_dims=0, min_side=0)
    ),
    max_size=4,
)


def blob_of(rpc: dict, arrays: dict | None = None) -> bytes:
    stream = io.BytesIO()
    write_message(stream, rpc, arrays)
    return stream.getvalue()


def framed(header: bytes, data: bytes = b"") -> io.BytesIO:
    return io.BytesIO(struct.pack("<Q", len(header)) + header + data)


@given(st.lists(st.tuples(RPC, ARRAYS), max_size=3))
def test_messages_follow_one_another(messages):
    stream = io.BytesIO(b"".join(blob_of(rpc, arrays) for rpc, arrays in messages))
    for rpc, arrays in messages:
        got_rpc, got_arrays = read_message(stream)
        assert got_rpc == rpc and got_arrays.keys() == arrays.keys()
        for name, array in arrays.items():
            assert got_arrays[name].dtype == array.dtype and got_arrays[name].shape == array.shape
            np.testing.assert_array_equal(got_arrays[name], array)
    assert read_message(stream) is None


@given(RPC, ARRAYS, st.data())
def test_a_message_cut_anywhere_is_an_error(rpc, arrays, data):
    blob = blob_of(rpc, arrays)
    with pytest.raises(ProtocolError, match="bytes are missing"):
        read_message(io.BytesIO(blob[: data.draw(st.integers(1, len(blob) - 1))]))


@given(st.binary(min_size=1, max_size=200))
def test_noise_is_an_error(noise):
    with pytest.raises(ProtocolError):
        while read_message(io.BytesIO(noise)) is not None:
            pass


@given(RPC, ARRAYS, st.data())
def test_a_flipped_byte_never_raises_anything_else(rpc, arrays, data):
    blob = bytearray(blob_of(rpc, arrays))
    blob[data.draw(st.integers(0, len(blob) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        message = read_message(io.BytesIO(blob))
    except ProtocolError:
        return
    assert isinstance(message[0], dict)


class Drip(io.RawIOBase):
    """A pipe that gives one byte at a time."""

    def __init__(self, content: bytes):
        self.stream = io.BytesIO(content)

    def read(self, count: int = -1) -> bytes:
        return self.stream.read(min(count, 1))


def test_short_reads_are_put_together():
    rpc, arrays = read_message(Drip(blob_of({"id": 1}, {"a": np.arange(5, dtype=np.int32)})))
    assert rpc == {"id": 1} and arrays["a"].tolist() == [0, 1, 2, 3, 4]


def test_a_view_is_written_as_what_it_shows():
    transposed = np.arange(6, dtype=np.float32).reshape(2, 3).T
    _, arrays = read_message(io.BytesIO(blob_of({}, {"a": transposed[::-1]})))
    np.testing.assert_array_equal(arrays["a"], transposed[::-1])


@pytest.mark.parametrize("length", [0, 1, MAX_HEADER + 1, 2**63, 2**64 - 1])
def test_absurd_header_lengths(length):
    with pytest.raises(ProtocolError, match="header claims"):
        read_message(io.BytesIO(struct.pack("<Q", length) + b"{}"))


def test_absurd_data_length_is_refused_before_reading():
    header = {"__metadata__": {"rpc": "{}"}, "a": {"dtype": "U8", "shape": [MAX_DATA + 1], "data_offsets": [0, MAX_DATA + 1]}}
    with pytest.raises(ProtocolError, match="data claims"):
        read_message(framed(json.dumps(header).encode()))


@pytest.mark.parametrize(
    "header, sentence",
    [
        (b"no json at all", "header is not JSON"),
        (b"\xff\xfe\xfd", "header is not JSON"),
        (b"[" * 100_000, "header is not JSON"),
        (b"[1, 2]", "not a JSON object"),
        (b"{}", "no JSON-RPC"),
        (b'{"__metadata__": {"other": "x"}}', "no JSON-RPC"),
        (b'{"__metadata__": {"rpc": {"id": 1}}}', "no JSON-RPC"),
        (b'{"__metadata__": {"rpc": "[1]"}}', "not a JSON object"),
        (b'{"__metadata__": {"rpc": "{"}}', "JSON-RPC text is not JSON"),
        (b'{"__metadata__": {"rpc": "{\\"a\\": NaN}"}}', "NaN"),
        (b'{"__metadata__": {"rpc": "{}"}, "a": 5}', "offsets"),
        (b'{"__metadata__": {"rpc": "{}"}, "a": {"dtype": "U8", "shape": [1], "data_offsets": [0, -1]}}', "offsets"),
        (b'{"__metadata__": {"rpc": "{}"}, "a": {"dtype": "U8", "shape": [1], "data_offsets": [0, true]}}', "offsets"),
        (b'{"__metadata__": {"rpc": "{}"}, "a": {"dtype": "U8", "shape": [1], "data_offsets": [0]}}', "offsets"),
        (b'{"__metadata__": {"rpc": "{}"}, "a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 1]}}', "arrays"),
        (b'{"__metadata__": {"rpc": "{}"}, "a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 1]}}', "arrays"),
        (b'{"__metadata__": {"rpc": "{}"}, "a": {"dtype": "F32", "shape": [0], "data_offsets": [1, 1]}}', "arrays"),
    ],
)
def test_malformed_headers_are_named(header, sentence):
    with pytest.raises(ProtocolError, match=sentence):
        read_message(framed(header, b"\0"))


@pytest.mark.parametrize(
    "rpc, arrays",
    [
        ({"a": float("nan")}, {}),
        ({"a": object()}, {}),
        ({"a": "x" * MAX_HEADER}, {}),
        ({}, {"a": np.array(["text"])}),
        ({}, {"a": np.array([object()])}),
    ],
)
def test_what_cannot_be_written_leaves_the_stream_untouched(rpc, arrays):
    stream = io.BytesIO()
    with pytest.raises(ProtocolError):
        write_message(stream, rpc, arrays)
    assert stream.getvalue() == b""
