# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's end of the wire against the engine's, and against what is no message."""

import io
import struct

import numpy as np
import pytest

from core.service import protocol as engine_end
from latte3d_blender.client import protocol

ARRAYS = {
    "0.vertices": np.arange(12, dtype=np.float32).reshape(4, 3),
    "0.base_color": np.frombuffer(b"\x89PNG", np.uint8),
    "empty": np.zeros((0, 3), "<i4"),
}


def same(found: dict) -> None:
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_both_ends():
    stream = io.BytesIO()
    engine_end.write_message(stream, {"id": 1, "text": "größer 🍄"}, ARRAYS)
    engine_end.write_message(stream, {"id": 2})
    stream.seek(0)
    rpc, found = protocol.read(stream)
    assert rpc == {"id": 1, "text": "größer 🍄"}
    same(found)
    assert protocol.read(stream) == ({"id": 2}, {}) and protocol.read(stream) is None
    rpc, found = engine_end.read_message(io.BytesIO(protocol.encode({"id": 3}, ARRAYS)))
    assert rpc == {"id": 3}
    same(found)


@pytest.mark.parametrize("text", [b"", b"Welcome!\n", b"a { b } c\n\x00\x00 {"])
def test_text_before_the_first_message(text):
    stream = io.BytesIO(text + protocol.encode({"method": "hello"}, ARRAYS))
    before, start = protocol.skip_text(stream)
    assert before == text
    assert protocol.read(stream, start)[0] == {"method": "hello"}


def test_broken_messages():
    """Every truncation and every header that lies raises ProtocolError, and nothing else."""
    whole = protocol.encode({"id": 1}, ARRAYS)
    for length in range(1, len(whole)):
        with pytest.raises(protocol.ProtocolError):
            protocol.read(io.BytesIO(whole[:length]))
    meta = '"__metadata__":{"rpc":"{}"}'
    headers = ["[]", "{}", "{" + meta, '{"__metadata__":{"rpc":"[]"}}', "[" * 5000, '{"__metadata__":{"rpc":5}}']
    for entry in (
        '{"dtype":"F32","shape":[1],"data_offsets":[4,8]}',
        '{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}',
        "5",
        "{}",
        '{"dtype":"F9","shape":[1],"data_offsets":[0,4]}',
        '{"dtype":"U8","shape":[2000000000],"data_offsets":[0,2000000000]}',
    ):
        headers.append("{" + meta + ',"a":' + entry + "}")
    for header in headers:
        with pytest.raises(protocol.ProtocolError):
            protocol.read(io.BytesIO(struct.pack("<Q", len(header)) + header.encode() + b"\0" * 64))
