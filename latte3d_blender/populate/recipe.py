# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipe: what a scene is filled with, and where it may stand. JSON in, frozen dataclasses out; knows nothing of bpy.

Lengths are metres, angles degrees. `docs/population.md` describes every field.
"""

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from ..arguments import DETAILS, LIMITS
from ..client.engine import check_prompt
from .entries import Entry, Notes, RecipeError

__all__ = ["Layer", "Mask", "Recipe", "RecipeError", "Thing", "read"]

ASK_ABOVE = 100_000  # objects: more are made only when somebody has said so
MOST = 2_000_000  # objects in one scene
FAR = 1e6  # metres
ALTERNATIVES = 4096  # prompts that one template may stand for
MASKS = ("slope", "height", "vertex_group", "attribute", "image", "noise", "objects", "curves", "inside", "layer", "grid", "border")
NAMED = {"vertex_group": "name", "attribute": "name", "image": "file", "objects": "names", "curves": "names", "inside": "names"}
BRACES = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Mask:
    """Where a layer may stand: a weight from 0 to 1 at each point of the surface. Masks of a layer multiply."""

    kind: str  # one of MASKS
    range: tuple[float, float] | None = None  # of degrees, metres of height or of distance; None: what it measures is the weight itself
    falloff: float = 0.0  # beyond the range the weight falls to 0 over so much
    invert: bool = False
    strength: float = 1.0  # 0: as if the mask were not there
    names: tuple[str, ...] = ()  # of objects, collections, curves; of a vertex group or an attribute; an image's file; a layer
    size: float = 5.0  # metres: of the noise's patches
    spacing: tuple[float, float] = (2.0, 2.0)  # metres between the lines of a grid along X and Y; 0: no lines across that way
    cover: float = 0.5  # the share of the ground that the noise leaves
    seed: int = 0
    projection: str = "top"  # of an image: from above over the target's bounding box, or by its UVs


@dataclass(frozen=True)
class Thing:
    """One sort of object of a layer: a prompt with a number of seeds, or something that is there already."""

    prompt: str = ""
    object: str = ""  # an object's name
    collection: str = ""  # a collection's: each of its objects is one more variant
    file: str = ""  # .blend from which the object or the collection is appended
    share: float = 1.0  # of the layer's objects, beside the other things
    count: int | None = None  # so many, whatever the shares
    variants: int = 1  # seeds
    seed: int = 0  # the first of them
    height: tuple[float, float] | None = None  # metres; else the layer's, else what the model predicts
    quality: str = ""  # else the layer's


@dataclass(frozen=True)
class Layer:
    """Objects that follow the same rules."""

    name: str
    things: tuple[Thing, ...]
    count: int | None = None
    density: float | None = None  # objects a square metre of what the masks leave
    each: float | None = None  # objects for each one that is wanted of the layer on which this one stands, or which it faces
    fill: bool = False  # as many as find a place, up to that
    height: tuple[float, float] | None = None
    quality: str = ""
    model: str = ""
    targets: tuple[str, ...] = ()  # else the recipe's
    distance: float = 0.0  # at least so far between two centres of the layer
    gap: float = 0.0  # between its footprints and any others
    masks: tuple[Mask, ...] = ()
    scale: tuple[float, float] = (1.0, 1.0)
    turn: tuple[float, float] = (-180.0, 180.0)  # about the object's own vertical
    tilt: float = 0.0  # at most, away from it
    tint: float = 0.0  # how far colours may differ, 0 to 1
    align: float = 0.0  # 0: upright, 1: square to the surface
    clumps: int = 0  # 0: none; else so many groups
    clump_radius: float = 2.0
    sink: float = 0.25  # share of the height that may be below the surface
    settle: float = 0.0  # metres: so far they fall, and come to rest where physics lets them; 0: they stand where they are put
    bury: float = 0.0  # share of the height that goes into the ground in any case
    seed: int = 0  # another one rolls this layer again
    on: str = ""  # a layer before this one, on whose objects this one stands instead of on a target
    face: str = ""  # a layer before this one, to whose nearest object fronts look


@dataclass(frozen=True)
class Recipe:
    """All layers, in the order in which they are laid out: each makes room for those before it."""

    name: str
    layers: tuple[Layer, ...]
    targets: tuple[str, ...]
    seed: int = 0
    cap: int | None = None
    model: str = ""
    quality: str = "standard"
    avoid: tuple[str, ...] = ()  # objects and collections that stand already
    text: str = field(default="", compare=False, repr=False)  # as it was written

    def amounts(self, by_density: Callable[[Layer], int]) -> dict[str, int]:
        """How many objects each layer wants, before the cap."""
        found: dict[str, int] = {}
        for layer in self.layers:
            if layer.count is not None:
                total = layer.count
            elif layer.each is not None:
                total = round(layer.each * found.get(layer.on or layer.face, 0))
            else:
                total = by_density(layer) if layer.density else 0
            found[layer.name] = max(total, sum(thing.count or 0 for thing in layer.things))
        return found

    def quality_of(self, layer: Layer, thing: Thing) -> str:
        return thing.quality or layer.quality or self.quality

    def model_of(self, layer: Layer) -> str:
        return layer.model or self.model

    def targets_of(self, layer: Layer) -> tuple[str, ...]:
        return () if layer.on else layer.targets or self.targets


def alternatives(template: str) -> list[str]:
    """The prompts that a template stands for: "a {red|blue} {box|mug}" is four. Raises ValueError."""
    parts = BRACES.split(template)
    if any("{" in part or "}" in part for part in parts):
        raise ValueError("has a brace without its other one; alternatives are written {red|blue}")
    choices = [[one.strip() for one in part.split("|")] if index % 2 else [part] for index, part in enumerate(parts)]
    number = 1
    for some in choices:
        number *= len(some)
    if number > ALTERNATIVES:
        raise ValueError(f"stands for {number:,} prompts; at most {ALTERNATIVES:,} are allowed")
    return list(dict.fromkeys(" ".join("".join(one).split()) for one in itertools.product(*choices)))


def read(text: str, name: str = "The recipe") -> Recipe:
    """The recipe of a JSON text. Raises RecipeError with all that is wrong with it."""
    notes = Notes(text)
    try:
        top = Entry(notes.value(), (), notes)
    except RecipeError as error:
        raise RecipeError(error.faults, name) from error
    layers = _layers(top, notes)
    recipe = Recipe(
        name=top.text("name", "Population"),
        layers=layers,
        targets=top.texts("target"),
        seed=top.number("seed", 0, *LIMITS["seed"], whole=True),
        cap=top.number("cap", None, 1, MOST, whole=True),
        model=top.text("model"),
        quality=top.choice("quality", "standard", DETAILS),
        avoid=top.texts("avoid"),
        text=text,
    )
    top.take("about")  # for people
    top.end()
    if not recipe.targets and any(not (layer.targets or layer.on) for layer in layers):
        notes.add((), "“target” is missing: name the objects on which things shall stand")
    if notes.found:
        raise RecipeError(notes.sentences(), name)
    return recipe


def _layers(top: Entry, notes: Notes) -> tuple[Layer, ...]:
    items = top.list("layers")
    if "layers" not in top or (not items and isinstance(top.value.get("layers"), list)):
        notes.add(("layers",), "a recipe needs “layers”, at least one")
    found: list[Layer] = []
    for path, value in items:
        layer = _layer(Entry(value, path, notes), f"Layer {len(found) + 1}", [one.name for one in found])
        if layer.name in [one.name for one in found]:
            notes.add((*path, "name"), f"there is another layer “{layer.name}”")
        found.append(layer)
    return tuple(found)


def _layer(entry: Entry, name: str, before: list[str]) -> Layer:
    name = entry.text("name", name)
    things = [thing for path, value in entry.list("things") for thing in _things(value, path, entry.notes)]
    if not things:
        entry.notes.add(entry.path, "a layer needs “things”: prompts, objects or collections")
    count, density = entry.number("count", None, 0, MOST, whole=True), entry.number("density", None, 0.0, 1e6)
    each = entry.number("each", None, 0.0, 1000.0)
    given = [name for name, value in (("count", count), ("density", density), ("each", each)) if value is not None]
    if len(given) > 1:
        entry.wrong(given[1], f"there is a {given[0]} as well; only one of them can hold")
    if not given and any(thing.count is None for thing in things):
        entry.notes.add(entry.path, "a layer needs a “count” or a “density”")
    clump = Entry(entry.take("clumps", {}), (*entry.path, "clumps"), entry.notes)
    made = Layer(
        name=name,
        things=tuple(things),
        count=count,
        density=density,
        each=each,
        fill=entry.flag("fill"),
        height=entry.pair("height", None, 0.001, 10_000.0),
        quality=entry.choice("quality", "", ("", *DETAILS)),
        model=entry.text("model"),
        targets=entry.texts("target"),
        distance=entry.number("distance", 0.0, 0.0, FAR),
        gap=entry.number("gap", 0.0, -1.0, FAR),
        masks=tuple(_mask(Entry(value, path, entry.notes), before) for path, value in entry.list("masks")),
        scale=entry.pair("scale", (1.0, 1.0), 0.001, 1000.0),
        turn=entry.pair("turn", (-180.0, 180.0), -360.0, 360.0),
        tilt=entry.number("tilt", 0.0, 0.0, 90.0),
        tint=entry.number("tint", 0.0, 0.0, 1.0),
        align=entry.number("align", 0.0, 0.0, 1.0),
        clumps=clump.number("count", 0, 0, 100_000, whole=True),
        clump_radius=clump.number("radius", 2.0, 0.001, FAR),
        sink=entry.number("sink", 0.25, 0.01, 1.0),
        settle=entry.number("settle", 0.0, 0.0, 100.0),
        bury=entry.number("bury", 0.0, 0.0, 0.95),
        seed=entry.number("seed", 0, *LIMITS["seed"], whole=True),
        on=_earlier(entry, "on", before),
        face=_earlier(entry, "face", before),
    )
    if made.on and density is not None:
        entry.wrong("density", "a layer that stands on another needs a “count” or “each” instead")
    if each is not None and not (made.on or made.face):
        entry.wrong("each", "there is no “on” or “face” that says of which layer")
    entry.take("about")
    clump.end()
    entry.end()
    return made


def _earlier(entry: Entry, name: str, before: list[str]) -> str:
    """The name of a layer before this one; "" where there is none."""
    wanted = entry.text(name)
    if wanted and wanted not in before:
        entry.wrong(name, f"there is no layer “{wanted}” before this one")
    return wanted


def _things(value, path, notes: Notes) -> list[Thing]:
    """The things that one item of a layer stands for: a text is a prompt, an object says more of it."""
    entry = Entry({"prompt": value} if isinstance(value, str) else value, path, notes)
    prompts = [""]
    if "prompt" in entry:
        prompts = _prompts(entry.text("prompt"), (*path, "prompt"), notes)
    named = {name: entry.text(name) for name in ("object", "collection", "file")}
    sources = sum(1 for one in ("prompt", "object", "collection") if one in entry)
    if sources != 1 and isinstance(value, dict | str):
        notes.add(path, "must have exactly one of “prompt”, “object” and “collection”")
    if named["file"] and "prompt" in entry:
        entry.wrong("file", "only an object or a collection comes from a file")
    share, count = entry.number("share", 1.0, 0.0, 1e6), entry.number("count", None, 0, MOST, whole=True)
    about = {
        "variants": entry.number("variants", 1, 1, 10_000, whole=True),
        "seed": entry.number("seed", 0, *LIMITS["seed"], whole=True),
        "height": entry.pair("height", None, 0.001, 10_000.0),
        "quality": entry.choice("quality", "", ("", *DETAILS)),
    }
    entry.end()
    of = len(prompts)
    each = [None if count is None else count * (i + 1) // of - count * i // of for i in range(of)]
    made = zip(prompts, each, strict=True)
    return [Thing(prompt=prompt, share=share / of, count=some, **named, **about) for prompt, some in made]


def _prompts(template: str, path, notes: Notes) -> list[str]:
    try:
        prompts = alternatives(template)
    except ValueError as error:
        notes.add(path, f"“{template[:60]}” {error}")
        return [template]
    for prompt in prompts:
        if template and (fault := check_prompt(prompt)):
            notes.add(path, str(fault))
            break
    return prompts


def _mask(entry: Entry, before: list[str]) -> Mask:
    kind = entry.choice("kind", "", MASKS)
    limits = {"slope": (0.0, 180.0), "height": (-FAR, FAR)}.get(kind, (0.0, 1.0 if kind in ("vertex_group", "attribute", "image") else FAR))
    if kind in ("slope", "height", "objects", "curves", "layer", "grid", "border") and "range" not in entry:
        entry.notes.add(entry.path, f"a mask of kind “{kind}” needs a “range” [from, to]")
    names = entry.texts(NAMED.get(kind, "layer" if kind == "layer" else "names")) if kind in NAMED or kind == "layer" else ()
    if not names and (kind in NAMED or kind == "layer"):
        entry.notes.add(entry.path, f"a mask of kind “{kind}” needs “{NAMED.get(kind, 'layer')}”")
    if kind == "layer" and names and names[0] not in before:
        entry.wrong("layer", f"there is no layer “{names[0]}” before this one")
    if kind == "grid" and "spacing" not in entry:
        entry.notes.add(entry.path, "a mask of kind “grid” needs a “spacing” [along X, along Y]")
    made = Mask(
        kind=kind,
        range=entry.pair("range", None, *limits, open_ends=True),
        falloff=entry.number("falloff", 0.0, 0.0, FAR),
        invert=entry.flag("invert"),
        strength=entry.number("strength", 1.0, 0.0, 1.0),
        names=names,
        size=entry.number("size", 5.0, 0.001, FAR),
        spacing=entry.pair("spacing", (2.0, 2.0), 0.0, FAR, ordered=False),
        cover=entry.number("cover", 0.5, 0.0, 1.0),
        seed=entry.number("seed", 0, *LIMITS["seed"], whole=True),
        projection=entry.choice("projection", "top", ("top", "uv")),
    )
    entry.end()
    return made
