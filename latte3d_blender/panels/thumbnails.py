# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pictures of objects that were made, from their files. The timer loads them; draw() only looks them up, and says what it misses."""

from pathlib import Path

import bpy.utils.previews

from ..timer import moment_of

HALF = 80  # of those that stay in memory: more than a panel shows
_pictures: bpy.utils.previews.ImagePreviewCollection | None = None
_earlier: bpy.utils.previews.ImagePreviewCollection | None = None  # those loaded before: Blender lets go of whole collections only
_missing: dict[str, Path] = {}


def missed() -> None:
    """Called when draw() lacks a picture whose file is there; the session puts its own in this place."""


def icon(path: Path) -> int | None:
    """The icon of a picture; None as long as it is not loaded."""
    name = str(path)
    for loaded in (_pictures, _earlier):
        if loaded is not None and name in loaded:
            return loaded[name].icon_id
    _missing[name] = path
    if path.is_file():
        missed()
    return None


def wanted() -> bool:
    """Whether there is one to load: that a panel has missed, and whose file is there by now."""
    return any(path.is_file() for path in _missing.values())


def load() -> bool:
    """Load some of those that were missed; whether there were any."""
    global _pictures, _earlier
    found = [(name, path) for name, path in _missing.items() if path.is_file()]
    if found and _pictures is not None and len(_pictures) >= HALF:
        if _earlier is not None:
            bpy.utils.previews.remove(_earlier)
        _pictures, _earlier = None, _pictures
    if found and _pictures is None:
        _pictures = bpy.utils.previews.new()
    for name, _ in moment_of(found):
        _missing.pop(name, None)
        if name not in _pictures:
            picture = _pictures.load(name, name, "IMAGE")
            picture.image_size[:]  # reads the file now, not when it is drawn
    if len(_missing) > 5 * HALF:
        _missing.clear()
    return bool(found)


def clear() -> None:
    """Give the pictures back."""
    global _pictures, _earlier
    for loaded in (_pictures, _earlier):
        if loaded is not None:
            bpy.utils.previews.remove(loaded)
    _pictures, _earlier = None, None
    _missing.clear()
