# SPDX-License-Identifier: GPL-3.0-or-later
"""The things that the engine's model knows, and their pictures. The timer loads them; draw() only looks them up."""

import bpy.utils.previews

from ..client.engine import Engine

things: list[dict] = []  # of the last engine that said hello: {"name", "group", "example", "picture"}
_hello: dict = {}
_pictures: bpy.utils.previews.ImagePreviewCollection | None = None


def show(engine: Engine) -> None:
    """Load what an engine has said since the last call; while it starts again, what was shown before stays."""
    global _hello, _pictures
    if not engine.hello or engine.hello is _hello:
        return
    clear()
    _hello, _pictures = engine.hello, bpy.utils.previews.new()
    things[:] = engine.things
    for thing in things:
        if thing.get("picture") and thing["name"] not in _pictures:
            picture = _pictures.load(thing["name"], thing["picture"], "IMAGE")
            picture.image_size[:]  # reads the file now, not when it is drawn; one that is not there has size 0


def has_picture(name: str) -> bool:
    """Whether there is a picture of a thing that could be read."""
    return _pictures is not None and name in _pictures and _pictures[name].image_size[0] > 0


def icon(name: str) -> int:
    """The icon of a thing's picture; 0 where there is none."""
    return _pictures[name].icon_id if has_picture(name) else 0


def example(name: str) -> str:
    """A prompt for a thing."""
    return next((thing["example"] for thing in things if thing["name"] == name), f"a {name}")


def groups() -> dict[str, list[dict]]:
    """The things under their headings, in the model's order."""
    sorted_out: dict[str, list[dict]] = {}
    for thing in things:
        sorted_out.setdefault(thing.get("group", ""), []).append(thing)
    return sorted_out


def clear() -> None:
    """Give the pictures back."""
    global _hello, _pictures
    if _pictures is not None:
        bpy.utils.previews.remove(_pictures)
    _hello, _pictures = {}, None
    things.clear()
