# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's end of the wire: one message = one safetensors blob, JSON-RPC in its metadata, arrays as its tensors.

A blob knows its own length (8 bytes little-endian header length, JSON header, data), so messages follow one another on a pipe.
"""

import json
from typing import Any, BinaryIO

import numpy as np
from safetensors import SafetensorError
from safetensors import numpy as safetensors_numpy

PROTOCOL_VERSION = 3
MAX_HEADER = 1 << 20  # bytes
MAX_DATA = 1 << 30  # bytes
_PIECE = 1 << 22  # bytes per read: a lying length costs at most this much memory


class ProtocolError(Exception):
    """The bytes are no message. What follows on the stream cannot be trusted either."""


def write_message(stream: BinaryIO, rpc: dict[str, Any], arrays: dict[str, np.ndarray] | None = None) -> None:
    """Write one message and flush. Raises ProtocolError, before the first byte, when it would break the limits."""
    tensors = {name: np.asarray(array, order="C") for name, array in (arrays or {}).items()}
    try:
        blob = safetensors_numpy.save(tensors, metadata={"rpc": json.dumps(rpc, allow_nan=False)})
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise ProtocolError(f"This message cannot be written: {error}.") from error
    header = int.from_bytes(blob[:8], "little")
    _check_lengths(header, len(blob) - 8 - header)
    stream.write(blob)
    stream.flush()


def read_message(stream: BinaryIO) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
    """Read one message: (the JSON-RPC object, the arrays by name); None where the stream ends between two messages.

    Raises ProtocolError with one sentence on anything else.
    """
    prefix = _read(stream, 8, may_end=True)
    if prefix is None:
        return None
    header_length = int.from_bytes(prefix, "little")
    _check_lengths(header_length, 0)
    header = _read(stream, header_length)
    entries = _json_object(header, "header")
    data_length = _data_length(entries)
    _check_lengths(header_length, data_length)
    data = _read(stream, data_length)
    metadata = entries.get("__metadata__")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("rpc"), str):
        raise ProtocolError("The message has no JSON-RPC text in its metadata.")
    rpc = _json_object(metadata["rpc"], "JSON-RPC text")
    try:
        return rpc, safetensors_numpy.load(prefix + header + data)
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ProtocolError(f"The message's arrays are malformed: {error}.") from error


def _check_lengths(header: int, data: int) -> None:
    if not 2 <= header <= MAX_HEADER:
        raise ProtocolError(f"The message's header claims {header} bytes; allowed are 2 to {MAX_HEADER}.")
    if data > MAX_DATA:
        raise ProtocolError(f"The message's data claims {data} bytes; allowed are {MAX_DATA}.")


def _data_length(entries: dict[str, Any]) -> int:
    """The number of data bytes that the header announces: the largest end offset."""
    length = 0
    for name, entry in entries.items():
        if name == "__metadata__":
            continue
        offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
        if not isinstance(offsets, list) or len(offsets) != 2 or not all(type(offset) is int and offset >= 0 for offset in offsets):
            raise ProtocolError(f"The message's array {name[:80]!r} has no valid offsets.")
        length = max(length, *offsets)
    return length


def _json_object(text: bytes | str, what: str) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"The message's {what} is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise ProtocolError(f"The message's {what} is not a JSON object.")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not allowed")


def _read(stream: BinaryIO, count: int, may_end: bool = False) -> bytes | None:
    """Exactly `count` bytes; None when `may_end` and the stream ends before the first one."""
    pieces: list[bytes] = []
    missing = count
    while missing:
        piece = stream.read(min(missing, _PIECE))
        if not piece:
            if may_end and missing == count:
                return None
            raise ProtocolError(f"The stream ended in the middle of a message: {missing} of {count} bytes are missing.")
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)
