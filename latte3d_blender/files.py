# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that appear whole or not at all: the one way in which the add-on and build.py write results. Knows nothing of bpy.

Blender reports success where only the end of a file did not fit, so what was written is checked before it replaces what was there.
"""

import json
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CUT = "only a part of it was written; the disk may be full"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
ZSTD, ZSTD_TABLE, ZSTD_END = b"\x28\xb5\x2f\xfd", 0x184D2A5E, 0x8F92EAB1  # a compressed .blend: frames, and at the end their table


class WriteError(OSError):
    """A file that could not be written; its text names the file and the reason."""

    def __init__(self, path: Path, reason: str):
        super().__init__(f"{path} cannot be written: {reason}. Make room, or name another folder.")


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; what lies there at the end is checked and renamed to `path`. Raises WriteError."""
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield partial
        check_whole(partial)
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:  # RuntimeError: what an operator of Blender's reports
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).strip().removeprefix("Error: ")
        raise WriteError(path, reason.rstrip(".")) from error
    finally:
        partial.unlink(missing_ok=True)


def check_whole(path: Path) -> None:
    """Raise OSError where a .blend, .glb, .png, .zip or .json is not there to its end, or where any file cannot be brought to the disk."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())  # some disks, most of all those in a network, say only now that they are full
    check = {".blend": whole_blend, ".glb": whole_glb, ".png": whole_png, ".zip": whole_zip, ".json": whole_json}.get(path.suffix.lower())
    try:
        whole = check is None or check(path)
    except (struct.error, ValueError, IndexError, zipfile.BadZipFile):
        whole = False
    if not whole:
        raise OSError(CUT)


def whole_blend(path: Path) -> bool:
    """Whether a .blend is complete: its compressed frames fill the file as the table at its end says, or its last block is the end mark."""
    with open(path, "rb") as file:
        start, size = file.read(7), path.stat().st_size
        file.seek(max(0, size - 64))
        tail = file.read()
        if start == b"BLENDER":
            return b"ENDB" in tail
        frames, flags, magic = struct.unpack("<IBI", tail[-9:])
        if not start.startswith(ZSTD) or magic != ZSTD_END:
            return False
        width = 12 if flags & 0x80 else 8  # with a checksum of each frame, or without
        table = 8 + frames * width + 9
        file.seek(max(0, size - table))
        mark, length = struct.unpack("<II", file.read(8))
        entries = struct.iter_unpack("<II" + ("I" if flags & 0x80 else ""), file.read(frames * width))
    return mark == ZSTD_TABLE and length == table - 8 and sum(entry[0] for entry in entries) + table == size


def whole_glb(path: Path) -> bool:
    """Whether a GLB has the length that its header names."""
    with open(path, "rb") as file:
        magic, _, length = struct.unpack("<4sII", file.read(12))
    return magic == b"glTF" and length == path.stat().st_size


def whole_png(path: Path) -> bool:
    """Whether every chunk of a PNG is there and has its checksum, to the end."""
    data, at, kind = path.read_bytes(), len(PNG_SIGNATURE), b""
    if not data.startswith(PNG_SIGNATURE):
        return False
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        (checksum,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(data[at + 4 : at + 8 + length]) != checksum:
            return False
        at += 12 + length
    return at == len(data)


def whole_zip(path: Path) -> bool:
    """Whether every file in a zip has its checksum."""
    with zipfile.ZipFile(path) as archive:
        return archive.testzip() is None


def whole_json(path: Path) -> bool:
    """Whether a JSON file is readable to its end."""
    return json.loads(path.read_text(encoding="utf-8")) is not None


# What a GLB says of itself --------------------------------------------------------------------------------------------------------


def glb_extras(path: Path) -> dict | None:
    """What the first node of a GLB carries as extras; None where the file is not there or is no GLB."""
    try:
        with open(path, "rb") as file:
            magic, _, _, length, kind = struct.unpack("<4sIII4s", file.read(20))
            return json.loads(file.read(length))["nodes"][0]["extras"] if (magic, kind) == (b"glTF", b"JSON") else None
    except (OSError, struct.error, ValueError, KeyError, IndexError, TypeError):
        return None


def with_extras(glb: bytes, **more) -> bytes:
    """The same GLB whose first node carries more extras; bytes that are no GLB come back as they are."""
    try:
        magic, version, _, length, kind = struct.unpack_from("<4sIII4s", glb)
        document = json.loads(glb[20 : 20 + length]) if (magic, kind) == (b"glTF", b"JSON") else {}
        document["nodes"][0].setdefault("extras", {}).update(more)
    except (struct.error, ValueError, KeyError, IndexError, AttributeError):
        return glb
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    rest = glb[20 + length :]
    return struct.pack("<4sIII4s", magic, version, 20 + len(text) + len(rest), len(text), kind) + text + rest
