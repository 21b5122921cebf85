# SPDX-License-Identifier: GPL-3.0-or-later
"""The wire to the engine: every message is one safetensors blob that carries a JSON-RPC 2.0 object and numpy arrays.

A blob is an 8-byte little-endian header length, a JSON header and the data. The JSON-RPC object lies in the header's
`__metadata__["rpc"]` as JSON text. Blobs know their own length, so they follow one another on a pipe.
"""

import json
import math
import struct

import numpy as np

HEADER_LIMIT = 1 << 20
DATA_LIMIT = 1 << 30
TYPES = {
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
    "I8": "|i1",
    "I16": "<i2",
    "I32": "<i4",
    "I64": "<i8",
    "U8": "|u1",
    "U16": "<u2",
    "U32": "<u4",
    "U64": "<u8",
    "BOOL": "|b1",
}
NAMES = {np.dtype(code): name for name, code in TYPES.items()}


class ProtocolError(ValueError):
    """What came over the pipe is not a message."""


def encode(rpc: dict, arrays: dict | None = None) -> bytes:
    """Return the blob of one JSON-RPC object and its named arrays."""
    header, parts, offset = {"__metadata__": {"rpc": json.dumps(rpc)}}, [], 0
    for name, array in (arrays or {}).items():
        array = np.asarray(array)
        array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        header[name] = {"dtype": NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        parts.append(array.tobytes())
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > HEADER_LIMIT or offset > DATA_LIMIT:
        raise ProtocolError("The message is larger than the wire allows.")
    return b"".join([struct.pack("<Q", len(text)), text, *parts])


def _take(stream, count: int) -> bytes:
    """Read exactly `count` bytes; raise if the pipe ends before."""
    parts = []
    while count:
        part = stream.read(count)
        if not part:
            raise ProtocolError("The pipe ended in the middle of a message.")
        parts.append(part)
        count -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _layout(header: dict, text: str) -> tuple[dict, dict, int]:
    """Check a header; return the JSON object, the tensors' places and the number of data bytes."""
    rpc = json.loads(header.pop("__metadata__")[text])
    places, end = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        dtype, shape, (first, last) = np.dtype(TYPES[entry["dtype"]]), entry["shape"], entry["data_offsets"]
        if any(type(number) is not int or number < 0 for number in (*shape, first, last)):
            raise ProtocolError(f"The array {name!r} has an impossible shape or place.")
        if first != end or last - first != math.prod(shape) * dtype.itemsize:
            raise ProtocolError(f"The array {name!r} does not lie where the header says.")
        places[name], end = (dtype, shape, first), last
    if not isinstance(rpc, dict) or end > DATA_LIMIT:
        raise ProtocolError("The message has no JSON-RPC object or too much data.")
    return rpc, places, end


def read(stream, start: bytes = b"", text: str = "rpc") -> tuple[dict, dict] | None:
    """Read one message from a binary stream: (JSON-RPC object, arrays), or None where the stream ends between two messages.

    `start` holds bytes of the message that were read before. `text`: under which name the JSON lies, for other files. The arrays
    share one read-only buffer.
    Raises ProtocolError on anything that is not a message.
    """
    if not start and not (start := stream.read(1)):
        return None
    start += _take(stream, 8 - len(start)) if len(start) < 8 else b""
    (length,) = struct.unpack("<Q", start[:8])
    if not 2 <= length <= HEADER_LIMIT:
        raise ProtocolError("What came over the pipe is not a message.")
    try:
        header = json.loads(start[8:] + _take(stream, length - len(start[8:])))
        rpc, places, size = _layout(header, text)
    except ProtocolError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ProtocolError(f"The header of a message is broken: {error}") from error
    data = _take(stream, size)
    return rpc, {name: np.frombuffer(data, dtype, math.prod(shape), first).reshape(shape) for name, (dtype, shape, first) in places.items()}


def skip_text(stream, limit: int = 1 << 16) -> tuple[bytes, bytes]:
    """Read up to the first message: (what came before it and is no message, the first 9 bytes of the message).

    A message starts with a length whose upper five bytes are zero, followed by "{". Remote shells and libraries
    print text before. At the stream's end or after `limit` bytes the second part is empty.
    """
    seen = bytearray()
    while len(seen) < limit:
        byte = stream.read(1)
        if not byte:
            break
        seen += byte
        if byte == b"{" and len(seen) >= 9 and seen[-6:-1] == b"\0\0\0\0\0":
            return bytes(seen[:-9]), bytes(seen[-9:])
    return bytes(seen), b""
