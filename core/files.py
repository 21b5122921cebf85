# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that appear whole or not at all: the one way in which the engine writes."""

import json
import os
import struct
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError

from core.errors import EngineError

CUT = "Only a part of it was written"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def replace_file(path: Path, write: Callable[[str], object]) -> None:
    """Call write(name of a temporary file beside `path`), check what it wrote, then rename that: a full disk or a kill leaves the old file.

    Raises EngineError with the file and the reason when it cannot be written.
    """
    name = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:60]}.", suffix=path.suffix)
        os.close(handle)
        write(name)
        check_whole(Path(name))
        os.chmod(name, 0o644)
        os.replace(name, path)
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise EngineError("internal", f"{path} cannot be written.", f"{reason}.", "Make room, or name another folder.") from error
    finally:
        if name:
            Path(name).unlink(missing_ok=True)


def check_whole(path: Path) -> None:
    """Raise OSError where a file's format shows that something is missing: writers may report success on a full disk."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())  # some disks, most of all those in a network, say only now that they are full
    check = {".png": _png, ".glb": _glb, ".safetensors": _safetensors, ".json": _json}.get(path.suffix.lower())
    try:
        whole = check is None or check(path)
    except (ValueError, KeyError, TypeError, AttributeError, struct.error):
        whole = False
    if not whole:
        raise OSError(CUT)


def _png(path: Path) -> bool:
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


def _glb(path: Path) -> bool:
    """Whether a GLB has the length that its header names."""
    with open(path, "rb") as file:
        magic, _, length = struct.unpack("<4sII", file.read(12))
    return magic == b"glTF" and length == path.stat().st_size


def _safetensors(path: Path) -> bool:
    """Whether the data of a safetensors file end where its header says."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length)) if length <= path.stat().st_size else {}
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    return 8 + length + max(ends, default=0) == path.stat().st_size


def _json(path: Path) -> bool:
    json.loads(path.read_text(encoding="utf-8"))
    return True
