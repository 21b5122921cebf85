# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pictures of objects that were made, from their files. The timer loads them; draw() only looks them up, and says what it misses."""

from pathlib import Path

import bpy.utils.previews

from ..timer import moment_of

MOST = 400  # that stay in memory
_pictures: bpy.utils.previews.ImagePreviewCollection | None = None
_missing: dict[str, Path] = {}


def missed() -> None:
    """Called when draw() lacks a picture whose file is there; the session puts its own in this place."""


def icon(path: Path) -> int | None:
    """The icon of a picture; None as long as it is not loaded."""
    name = str(path)
    if _pictures is not None and name in _pictures:
        return _pictures[name].icon_id
    _missing[name] = path
    if path.is_file():
        missed()
    return None


def wanted() -> bool:
    """Whether there is one to load: that a panel has missed, and whose file is there by now."""
    return any(path.is_file() for path in _missing.values())


def load() -> bool:
    """Load some of those that were missed; whether there were any."""
    global _pictures
    found = [(name, path) for name, path in _missing.items() if path.is_file()]
    if found and _pictures is not None and len(_pictures) >= MOST:
        bpy.utils.previews.remove(_pictures)
        _pictures = None
    if found and _pictures is None:
        _pictures = bpy.utils.previews.new()
    for name, _ in moment_of(found):
        _missing.pop(name, None)
        if name not in _pictures:
            picture = _pictures.load(name, name, "IMAGE")
            picture.image_size[:]  # reads the file now, not when it is drawn
    if len(_missing) > MOST:
        _missing.clear()
    return bool(found)


def clear() -> None:
    """Give the pictures back."""
    global _pictures
    if _pictures is not None:
        bpy.utils.previews.remove(_pictures)
    _pictures = None
    _missing.clear()
