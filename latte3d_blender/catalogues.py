# SPDX-License-Identifier: GPL-3.0-or-later
"""The file in which Blender's Asset Browser finds a library's catalogues. Without bpy: Blender has no way to make some but its window."""

import re
import uuid
from collections.abc import Iterable
from pathlib import Path

from . import files

FILE = "blender_assets.cats.txt"
HEAD = "# This is an Asset Catalog Definition file for Blender.\n\nVERSION 1\n\n"
LINE = re.compile(r"([0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}):([^:]+):?.*")
OURS = uuid.UUID("3d5f4f0e-6f3c-5f0a-9a34-9c2f1f0f7d11")  # all machines give a catalogue of the same path the same id


def tidy(path: str) -> str:
    """A catalogue's path as the file takes it: parts apart by "/", none of them empty, no colon and no line's end."""
    parts = (" ".join(re.sub(r"[:\\\x00-\x1f]", " ", part).split()) for part in path.split("/"))
    return "/".join(filter(None, parts))


def own_id(path: str) -> str:
    """The id of a catalogue that no library has yet."""
    return str(uuid.uuid5(OURS, path))


def read(folder: Path) -> dict[str, str]:
    """The catalogues of a library's folder: path -> id. Nothing where it has no list that can be read."""
    try:
        return _ids((folder / FILE).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError):
        return {}


def ensure(folder: Path, paths: Iterable[str]) -> dict[str, str]:
    """Let a library's folder have catalogues of these paths and those above them; what is there stays as it is. Returns all ids.

    Raises WriteError, and ValueError for a file that is not Blender's.
    """
    file = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = file.read_text(encoding="utf-8-sig") if file.exists() else HEAD
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is no text in UTF-8. Move it away, or name another folder.") from error
    except OSError as error:
        raise files.WriteError(file, error.strerror or str(error)) from error
    have = _ids(text)
    wanted = {path[:end] for path in paths if path for end in [*(slash.start() for slash in re.finditer("/", path)), len(path)]}
    new = {path: own_id(path) for path in wanted if path not in have}
    if new:
        lines = [f"{number}:{path}:{path.replace('/', '-')}\n" for path, number in sorted(new.items())]
        with files.written(file) as partial:
            partial.write_text(text.rstrip("\n") + "\n" + ("\n" if text == HEAD else "") + "".join(lines), encoding="utf-8")
    return have | new


def _ids(text: str) -> dict[str, str]:
    return {found[2].strip(): found[1].lower() for line in text.splitlines() if (found := LINE.fullmatch(line.strip()))}
