# SPDX-License-Identifier: GPL-3.0-or-later
"""The file in which Blender's Asset Browser finds a library's catalogues. Without bpy: Blender has no way to make some but its window."""

import re
import uuid
from collections.abc import Iterable
from pathlib import Path

from .. import files

FILE = "blender_assets.cats.txt"
HEAD = "# This is an Asset Catalog Definition file for Blender.\n\nVERSION 1\n\n"
LINE = re.compile(r"([0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}):([^:]+):?.*")
OURS = uuid.UUID("3d5f4f0e-6f3c-5f0a-9a34-9c2f1f0f7d11")  # all machines give a catalogue of the same path the same number


def ensure(folder: Path, paths: Iterable[str]) -> dict[str, str]:
    """Let a library's folder have catalogues of these paths and those above them; what is there stays as it is. Returns all numbers.

    Raises WriteError, and ValueError for a file that is not Blender's.
    """
    file = folder / FILE
    try:
        text = file.read_text(encoding="utf-8-sig") if file.exists() else HEAD
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is no text in UTF-8. Move it away, or name another folder.") from error
    have = {found[2].strip(): found[1].lower() for line in text.splitlines() if (found := LINE.fullmatch(line.strip()))}
    wanted = {path[:end] for path in paths if path for end in [*(slash.start() for slash in re.finditer("/", path)), len(path)]}
    new = {path: str(uuid.uuid5(OURS, path)) for path in wanted if path not in have}
    if new:
        lines = [f"{number}:{path}:{path.replace('/', '-')}\n" for path, number in sorted(new.items())]
        with files.written(file) as partial:
            partial.write_text(text.rstrip("\n") + "\n" + ("\n" if text == HEAD else "") + "".join(lines), encoding="utf-8")
    return have | new
