# SPDX-License-Identifier: GPL-3.0-or-later
"""Between a recipe's JSON and what the panel shows of it (population_properties.py): nothing of a recipe is lost on either way."""

import json
import math
from collections.abc import Iterator
from dataclasses import MISSING, fields

import bpy

from .recipe import NAMED, Layer, Mask, Recipe, Thing

METRES, DEGREES, PLAIN = "metres", "degrees", ""
# a property's name, and what it counts; its default is the dataclass's
LAYER = {
    "distance": METRES, "gap": METRES, "align": PLAIN, "scale": PLAIN, "turn": DEGREES, "tilt": DEGREES, "tint": PLAIN, "sink": PLAIN,
    "bury": PLAIN, "settle": METRES, "fill": PLAIN, "on": PLAIN, "face": PLAIN, "model": PLAIN, "seed": PLAIN,
}  # fmt: skip
THING = {"share": PLAIN, "variants": PLAIN, "seed": PLAIN}
MASK = {"invert": PLAIN, "strength": PLAIN, "size": METRES, "cover": PLAIN, "spacing": METRES, "seed": PLAIN}
TOP = {"seed": PLAIN, "model": PLAIN}
OF_LENGTH = ("height", "objects", "curves", "layer", "grid", "border")  # masks whose range is one of lengths
WEIGHTS = ("vertex_group", "attribute", "image", "noise", "inside")  # masks that are a weight themselves


def defaults(kind: type) -> dict:
    return {field.name: field.default for field in fields(kind) if field.default is not MISSING}


DEFAULTS = {kind: defaults(kind) for kind in (Layer, Thing, Mask, Recipe)}


class Form:
    """Fills properties from JSON values and reads them, in a scene whose unit is so many metres."""

    def __init__(self, unit_m: float = 1.0):
        self.factor = {METRES: unit_m, DEGREES: 180 / math.pi, PLAIN: 1}

    def shown(self, value, kind: str):
        """A value of the recipe as a property has it."""
        if isinstance(value, list | tuple):
            return [self.shown(one, kind) for one in value]
        return value if isinstance(value, str | bool) or kind == PLAIN else value / self.factor[kind]

    def said(self, value, kind: str):
        """A property's value as the recipe says it; properties have 7 digits."""
        if isinstance(value, str | bool | int):
            return value
        if not isinstance(value, float):
            return [self.said(one, kind) for one in value]
        short = float(f"{value * self.factor[kind]:.6g}")
        return int(short) if short == int(short) else short

    # From JSON ------------------------------------------------------------------------------------------------------------------------

    def fill(self, made, value: dict, *, keep_targets: bool = False) -> None:
        """Show a recipe that recipe.read has found to be right. `keep_targets`: where the recipe's targets are not there, what the panel
        names stays."""
        made.name, made.about = value.get("name", "Population"), str(value.get("about", ""))
        self._simple(made, value, TOP, Recipe)
        made.quality = value.get("quality", DEFAULTS[Recipe]["quality"])
        made.use_cap = value.get("cap") is not None
        made.cap = value.get("cap") or 5000
        names = _list(value.get("target"))
        if not (keep_targets and len(made.targets) and not all(map(known, names))):
            _fill_names(made.targets, names)
        _fill_names(made.avoid, _list(value.get("avoid")))
        made.layers.clear()
        for number, layer in enumerate(value["layers"]):
            self.fill_layer(made.layers.add(), {"name": f"Layer {number + 1}", **layer})
        made.layer = 0

    def fill_layer(self, made, value: dict) -> None:
        made.name, made.about = value["name"], str(value.get("about", ""))
        self._simple(made, value, LAYER, Layer)
        made.amount = next((name.upper() for name in ("count", "density", "each") if name in value), "THINGS")
        made.count, made.density, made.each = value.get("count", 100), value.get("density", 0.1), value.get("each", 1.0)
        self._heights(made, value)
        made.quality = value.get("quality") or "RECIPE"
        _fill_names(made.targets, _list(value.get("target")))
        clumps = value.get("clumps", {})
        made.clumps, made.clump_radius = clumps.get("count", 0), self.shown(clumps.get("radius", 2.0), METRES)
        made.things.clear()
        for thing in value["things"]:
            self._fill_thing(made.things.add(), {"prompt": thing} if isinstance(thing, str) else thing)
        made.masks.clear()
        for mask in value.get("masks", ()):
            self._fill_mask(made.masks.add(), mask)
        made.thing = made.mask = 0

    def _simple(self, made, value: dict, names: dict[str, str], kind: type) -> None:
        for name, counts in names.items():
            found = value.get(name, DEFAULTS[kind][name])
            if isinstance(DEFAULTS[kind][name], tuple) and isinstance(found, int | float):
                found = [found, found]
            setattr(made, name, self.shown(found, counts))

    def _heights(self, made, value: dict) -> None:
        height = value.get("height")
        made.use_height = height is not None
        if height is not None:
            made.height = self.shown(height if isinstance(height, list) else [height, height], METRES)

    def _fill_thing(self, made, value: dict) -> None:
        self._simple(made, value, THING, Thing)
        made.use_count, made.count = value.get("count") is not None, value.get("count") or 0
        self._heights(made, value)
        made.quality, made.file = value.get("quality") or "RECIPE", value.get("file", "")
        made.kind = next((one.upper() for one in ("object", "collection") if one in value), "PROMPT")
        made.prompt = value.get("prompt", "")
        if made.kind != "PROMPT":
            _point(made, value[made.kind.lower()], here=not made.file)

    def _fill_mask(self, made, value: dict) -> None:
        made.kind = kind = value["kind"]
        self._simple(made, value, MASK, Mask)
        counts = METRES if kind in OF_LENGTH else PLAIN
        limits = value.get("range")
        made.use_range = limits is not None
        if limits is not None:
            low, high = limits if isinstance(limits, list) else (limits, limits)
            made.no_low, made.no_high = low is None, high is None
            made.low, made.high = (0.0 if end is None else self.shown(end, counts) for end in (low, high))
        made.falloff = self.shown(value.get("falloff", 0.0), counts)
        made.uv = value.get("projection") == "uv"
        names = _list(value.get(NAMED.get(kind, "layer")))
        if NAMED.get(kind) == "names":
            _fill_names(made.names, names)
        else:
            made.source = names[0] if names else ""

    # To JSON --------------------------------------------------------------------------------------------------------------------------

    def text(self, made) -> str:
        """The recipe as JSON."""
        return json.dumps(self.value(made), indent=1, ensure_ascii=False)

    def value(self, made) -> dict:
        value = {"name": made.name.strip() or "Population"}
        value |= {"about": made.about} if made.about else {}
        value |= {"target": list(names_of(made.targets)), "quality": made.quality}
        value |= self._said(made, TOP, Recipe)
        value |= {"cap": made.cap} if made.use_cap else {}
        value |= {"avoid": list(names_of(made.avoid))} if len(made.avoid) else {}
        return value | {"layers": [self.layer(layer) for layer in made.layers]}

    def layer(self, made) -> dict:
        value = {"name": made.name.strip()}
        value |= {"about": made.about} if made.about else {}
        value["things"] = [self._thing(thing) for thing in made.things]
        if made.amount != "THINGS":
            value[made.amount.lower()] = self.said(getattr(made, made.amount.lower()), PLAIN)
        value |= self._said_height(made)
        value |= {"quality": made.quality} if made.quality != "RECIPE" else {}
        value |= {"target": list(names_of(made.targets))} if len(made.targets) else {}
        value |= self._said(made, LAYER, Layer)
        value |= {"clumps": {"count": made.clumps, "radius": self.said(made.clump_radius, METRES)}} if made.clumps else {}
        return value | ({"masks": [self._mask(mask) for mask in made.masks]} if len(made.masks) else {})

    def _said(self, made, names: dict[str, str], kind: type) -> dict:
        """What is not as it is by default."""
        said = {name: self.said(getattr(made, name), counts) for name, counts in names.items()}
        return {name: value for name, value in said.items() if value != _as_json(DEFAULTS[kind][name])}

    def _said_height(self, made) -> dict:
        return {"height": self.said(made.height, METRES)} if made.use_height else {}

    def _thing(self, made) -> dict | str:
        if made.kind == "PROMPT":
            value = {"prompt": made.prompt.strip()}
        else:
            value = {made.kind.lower(): named(made)}
            value |= {"file": made.file} if made.file else {}
        value |= {"count": made.count} if made.use_count else {}
        value |= self._said(made, THING, Thing) | self._said_height(made)
        value |= {"quality": made.quality} if made.quality != "RECIPE" else {}
        return value["prompt"] if list(value) == ["prompt"] else value

    def _mask(self, made) -> dict:
        kind, counts = made.kind, METRES if made.kind in OF_LENGTH else PLAIN
        value = {"kind": kind}
        if NAMED.get(kind) == "names":
            value["names"] = list(names_of(made.names))
        elif kind in NAMED or kind == "layer":
            value[NAMED.get(kind, "layer")] = made.source
        if made.use_range or kind not in WEIGHTS:
            ends = ((made.no_low, made.low), (made.no_high, made.high))
            value["range"] = [None if no else self.said(end, counts) for no, end in ends]
        value |= {"falloff": self.said(made.falloff, counts)} if made.falloff else {}
        value |= {"projection": "uv"} if made.uv else {}
        value |= self._said(made, MASK, Mask)
        return value | ({"spacing": self.said(made.spacing, METRES)} if kind == "grid" else {})


def _as_json(value):
    return list(value) if isinstance(value, tuple) else value


def _list(value) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


# Objects and collections by name --------------------------------------------------------------------------------------------------------


def known(name: str) -> bool:
    """Whether the scene has an object or a collection of this name."""
    scene = bpy.context.scene
    return name in scene.objects or any(one.name == name for one in scene.collection.children_recursive)


def _point(made, name: str, *, here: bool = True) -> None:
    """Let properties name an object or a collection by a pointer, or by its name where this file does not have it."""
    made.source = name
    if here:
        made.object = bpy.data.objects.get(name) if made.kind == "OBJECT" else None
        made.collection = bpy.data.collections.get(name) if made.kind == "COLLECTION" else None


def _fill_names(made, names: list[str]) -> None:
    made.clear()
    for name in names:
        one = made.add()
        one.kind = "OBJECT" if name in bpy.context.scene.objects or name not in bpy.data.collections else "COLLECTION"
        _point(one, name)


def named(made) -> str:
    """The name of what properties point to."""
    one = made.object if made.kind == "OBJECT" else made.collection
    return one.name if one is not None else made.source


def names_of(made) -> Iterator[str]:
    return filter(None, map(named, made))
