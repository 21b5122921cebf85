# SPDX-License-Identifier: GPL-3.0-or-later
"""The things that the engine's models know, and their pictures. The timer loads them; draw() only looks them up."""

import bpy.utils.previews

from ..client.engine import Engine
from ..timer import moment_of

_hello: dict = {}  # what an engine has said last: while it starts again, that is still shown
_things: dict[str, dict[str, dict]] = {}  # of each model, and of all under "": name -> {"name", "group", "example", "picture"}
_pictures: bpy.utils.previews.ImagePreviewCollection | None = None  # by their paths
_waiting: dict[str, None] = {}  # the paths of those that are still to be loaded, in their order


def show(engine: Engine) -> bool:
    """Take in what an engine has said since the last call, and load some of its pictures: all at once would hold Blender up. Returns
    whether there is something new to see."""
    global _hello, _pictures
    if engine.hello and engine.hello is not _hello:
        clear()
        _hello, _pictures = engine.hello, bpy.utils.previews.new()
        for model in ("", *engine.models):
            _things[model] = {thing["name"]: thing for thing in engine.things(model)}
            _waiting.update(dict.fromkeys(filter(None, (thing.get("picture") for thing in _things[model].values()))))
    some = bool(_waiting)
    for path in moment_of(list(_waiting)):
        del _waiting[path]
        picture = _pictures.load(path, path, "IMAGE")
        picture.image_size[:]  # reads the file now, not when it is drawn; one that is not there has size 0
    return some


def wanted() -> bool:
    """Whether there are pictures to load."""
    return bool(_waiting)


def things(model: str = "") -> dict[str, dict]:
    """What a model knows, by name; without one, or with one that is not there, what all know."""
    return _things.get(model) or _things.get("", {})


def has_picture(name: str, model: str = "") -> bool:
    """Whether there is a picture of a thing that could be read."""
    path = things(model).get(name, {}).get("picture")
    return bool(path) and _pictures is not None and path in _pictures and _pictures[path].image_size[0] > 0


def icon(name: str, model: str = "") -> int:
    """The icon of a thing's picture; 0 where there is none."""
    return _pictures[things(model)[name]["picture"]].icon_id if has_picture(name, model) else 0


def example(name: str, model: str = "") -> str:
    """A prompt for a thing."""
    return things(model).get(name, {}).get("example") or f"a {name}"


def groups(model: str = "") -> dict[str, list[dict]]:
    """The things under their headings, in the model's order."""
    sorted_out: dict[str, list[dict]] = {}
    for thing in things(model).values():
        sorted_out.setdefault(thing.get("group", ""), []).append(thing)
    return sorted_out


def clear() -> None:
    """Give the pictures back."""
    global _hello, _pictures
    if _pictures is not None:
        bpy.utils.previews.remove(_pictures)
    _hello, _pictures = {}, None
    _things.clear()
    _waiting.clear()
