# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipe of a population as the panel shows it, saved with the scene. populate/form.py makes JSON of it and back.

Lengths are the scene's, as everywhere in Blender; the recipe's are metres.
"""

import math

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from . import population_session
from .properties import DETAILS

SEED_MOST, COUNT_MOST = 2**31 - 1, 2_000_000
OBJECT, COLLECTION, PROMPT = "OBJECT", "COLLECTION", "PROMPT"
SOURCES = [(OBJECT, "Object", "One object", "OBJECT_DATA", 0), (COLLECTION, "Collection", "All objects of it", "OUTLINER_COLLECTION", 1)]
THINGS = [
    (PROMPT, "Prompt", "Objects that are made of a description", "SHADERFX", 0),
    (OBJECT, "Object", "An object that is there already", "OBJECT_DATA", 1),
    (COLLECTION, "Collection", "Each object of a collection", "OUTLINER_COLLECTION", 2),
]
MASKS = [
    ("slope", "Slope", "Degrees from level", "IPO_LINEAR", 0),
    ("height", "Height", "Height above zero", "EMPTY_SINGLE_ARROW", 1),
    ("noise", "Noise", "Patches that cover a share of the ground", "TEXTURE", 2),
    ("layer", "Other Layer", "Distance to the objects of a layer above this one: near is attraction, away is repulsion", "RENDERLAYERS", 3),
    ("objects", "Objects", "Distance to the surfaces of objects", "OBJECT_DATA", 4),
    ("curves", "Curves", "Distance to the lines of curves, such as a path", "CURVE_DATA", 5),
    ("inside", "Inside Curves", "Within closed curves, seen from above", "CURVE_BEZCIRCLE", 6),
    ("vertex_group", "Vertex Group", "The weight of a vertex group", "GROUP_VERTEX", 7),
    ("attribute", "Attribute", "An attribute, such as a painted colour", "COLOR", 8),
    ("image", "Image", "The brightness of an image", "IMAGE_DATA", 9),
    ("grid", "Grid", "Distance to the crossings of a grid: rows of things", "GRID", 10),
    ("border", "Border", "Distance to the sides of the ground's bounding box", "MESH_PLANE", 11),
]
AMOUNTS = [
    ("COUNT", "Count", "So many objects"),
    ("DENSITY", "Density", "Objects a square metre of what the masks leave"),
    ("EACH", "For Each", "Objects for each one of the layer on which they stand, or which they face"),
    ("THINGS", "By Thing", "As many as each thing says"),
]
QUALITIES = [("RECIPE", "As the Population", "What the whole population has"), *DETAILS]


def _changed(self, context) -> None:
    population_session.recipe_changed()


def _renamed(self, context) -> None:
    """Masks and layers that name this one go on doing so."""
    population_session.recipe_changed()
    layers = self.id_data.latte3d_population.layers
    if self.was and self.was != self.name and self.was not in [layer.name for layer in layers]:
        for layer in layers:
            for name in ("on", "face"):
                if getattr(layer, name) == self.was:
                    setattr(layer, name, self.name)
            for mask in layer.masks:
                if mask.kind == "layer" and mask.source == self.was:
                    mask.source = self.name
    self.was = self.name


def _is_mesh_or_curve(self, item: bpy.types.Object) -> bool:
    return item.type in ("MESH", "CURVE", "SURFACE", "META", "FONT")


def number(name: str, about: str, default: float = 0.0, low: float = 0.0, high: float = 1e6, **more):
    return FloatProperty(name=name, description=about, default=default, min=low, max=high, update=_changed, **more)


def whole(name: str, about: str, default: int = 0, low: int = 0, high: int = COUNT_MOST):
    return IntProperty(name=name, description=about, default=default, min=low, max=high, update=_changed)


def pair(name: str, about: str, default: tuple, low: float, high: float, **more):
    return FloatVectorProperty(name=name, description=about, size=2, default=default, min=low, max=high, update=_changed, **more)


def flag(name: str, about: str, default: bool = False):
    return BoolProperty(name=name, description=about, default=default, update=_changed)


def text(name: str, about: str, **more):
    return StringProperty(name=name, description=about, update=_changed, **more)


def choice(name: str, about: str, items: list, default: str):
    return EnumProperty(name=name, description=about, items=items, default=default, update=_changed)


LENGTH, HEIGHT = {"unit": "LENGTH", "precision": 3}, (0.001, 10_000.0)


class LATTE3D_PG_named(bpy.types.PropertyGroup):
    """An object or a collection; `source`: its name, where this scene has none of that name."""

    kind: choice("Kind", "What it is", SOURCES, OBJECT)
    object: PointerProperty(name="Object", type=bpy.types.Object, update=_changed)
    collection: PointerProperty(name="Collection", type=bpy.types.Collection, update=_changed)
    source: text("Name", "The name of what this scene does not have")


class LATTE3D_PG_thing(bpy.types.PropertyGroup):
    """One sort of object of a layer."""

    kind: choice("Kind", "What is placed", THINGS, PROMPT)
    prompt: text("Prompt", "What it is. Alternatives in braces make a prompt of each: a {red|brown} mushroom", maxlen=512)
    object: PointerProperty(name="Object", type=bpy.types.Object, poll=_is_mesh_or_curve, update=_changed)
    collection: PointerProperty(name="Collection", type=bpy.types.Collection, update=_changed)
    source: text("Name", "Its name in another file, or that of what this scene does not have")
    file: text("File", "The .blend that has it", subtype="FILE_PATH")
    variants: whole("Variants", "How many different ones are made of each prompt", 1, 1, 10_000)
    share: number("Share", "Share of the layer's objects, beside the other things", 1.0)
    use_count: flag("Own Count", "So many of it, whatever its share")
    count: whole("Count", "So many of it", 10)
    seed: whole("Seed", "The seed of the first variant", 0, 0, SEED_MOST)
    use_height: flag("Own Height", "Another height than the layer's")
    height: pair("Height", "From the smallest to the largest", (0.5, 1.0), *HEIGHT, **LENGTH)
    quality: choice("Quality", "How fine it is made", QUALITIES, "RECIPE")


class LATTE3D_PG_mask(bpy.types.PropertyGroup):
    """Where a layer may stand."""

    kind: choice("Kind", "What the range is about", MASKS, "slope")
    use_range: flag("Range", "Full weight within a range, instead of the value as the weight")
    low: number("From", "Full weight from here", 0.0, -1e6)
    high: number("To", "Full weight up to here", 30.0, -1e6)
    no_low: flag("No Lower Limit", "From anywhere")
    no_high: flag("No Upper Limit", "To anywhere")
    falloff: number("Falloff", "Beyond the range the weight falls to nothing over so much")
    invert: flag("Invert", "Everywhere but there")
    strength: number("Strength", "0: as if the mask were not there", 1.0, 0.0, 1.0, subtype="FACTOR")
    names: CollectionProperty(type=LATTE3D_PG_named)
    source: text("Name", "The vertex group, the attribute, the image or the layer")
    size: number("Size", "About how wide the patches are", 5.0, 0.001, **LENGTH)
    cover: number("Cover", "The share of the ground that they cover", 0.5, 0.0, 1.0, subtype="FACTOR")
    spacing: pair("Spacing", "From line to line along X and Y; 0: no lines across that way", (2.0, 2.0), 0.0, 1e6, **LENGTH)
    seed: whole("Seed", "Another seed is another pattern", 0, 0, SEED_MOST)
    uv: flag("By UVs", "By the ground's UVs instead of from above over its box")


class LATTE3D_PG_layer(bpy.types.PropertyGroup):
    """Objects that follow the same rules; `name` is the layer's."""

    name: StringProperty(name="Name", update=_renamed)
    was: StringProperty(options={"HIDDEN"})  # its name before the last change
    about: text("Note", "A note for people")
    things: CollectionProperty(type=LATTE3D_PG_thing)
    thing: IntProperty(options={"HIDDEN"})  # the active one
    amount: choice("Amount", "How many there are", AMOUNTS, "COUNT")
    count: whole("Count", "How many objects", 100)
    density: number("Density", "Objects a square metre of what the masks leave", 0.1, 0.0, 1e6, precision=3)
    each: number("For Each", "Objects for each one of the layer on which they stand, or which they face", 1.0, 0.0, 1000.0, precision=2)
    fill: flag("Fill Up", "As many as find a place, up to that amount; nothing is said of the others")
    use_height: flag("Height", "A range of heights; without it, prompts get the height that the model predicts")
    height: pair("Height", "From the smallest to the largest", (0.5, 1.0), *HEIGHT, **LENGTH)
    quality: choice("Quality", "How fine its objects are made", QUALITIES, "RECIPE")
    model: text("Model", "The id of a model; empty: as the population")
    targets: CollectionProperty(type=LATTE3D_PG_named)
    on: text("Stand On", "A layer above this one, on whose objects this one stands instead of on the ground")
    face: text("Face", "A layer above this one, to whose nearest object the fronts look")
    distance: number("Distance", "At least so far between two centres of this layer", **LENGTH)
    gap: number("Gap", "At least so far between its objects and all others", 0.0, -1.0, **LENGTH)
    align: number("Align", "0: upright, 1: square to the surface", 0.0, 0.0, 1.0, subtype="FACTOR")
    scale: pair("Scale", "Factor from the smallest to the largest", (1.0, 1.0), 0.001, 1000.0)
    turn: pair("Turn", "About its own vertical", (-math.pi, math.pi), -2 * math.pi, 2 * math.pi, unit="ROTATION")
    tilt: number("Tilt", "How far it may lean", 0.0, 0.0, math.pi / 2, unit="ROTATION")
    tint: number("Tint", "How far colours may differ", 0.0, 0.0, 1.0, subtype="FACTOR")
    sink: number("Sink", "Share of the height that may be below the surface on slopes", 0.25, 0.01, 1.0, subtype="FACTOR")
    bury: number("Bury", "Share of the height that goes into the ground in any case", 0.0, 0.0, 0.95, subtype="FACTOR")
    settle: number("Settle", "So far they fall and come to rest where physics lets them; 0: they stand where they are put", **LENGTH)
    clumps: whole("Clumps", "So many groups; 0: none", 0, 0, 100_000)
    clump_radius: number("Radius", "How far a clump reaches", 2.0, 0.001, **LENGTH)
    seed: whole("Seed", "Another one rolls this layer again", 0, 0, SEED_MOST)
    masks: CollectionProperty(type=LATTE3D_PG_mask)
    mask: IntProperty(options={"HIDDEN"})  # the active one


class LATTE3D_PG_population(bpy.types.PropertyGroup):
    """The whole recipe; `name` is the population's."""

    name: StringProperty(name="Name", description="What the population is called", default="Population", update=_changed)
    about: text("Note", "A note for people")
    layers: CollectionProperty(type=LATTE3D_PG_layer)
    layer: IntProperty(options={"HIDDEN"})  # the active one
    targets: CollectionProperty(type=LATTE3D_PG_named)
    avoid: CollectionProperty(type=LATTE3D_PG_named)
    seed: whole("Seed", "Another seed is another layout", 0, 0, SEED_MOST)
    quality: choice("Quality", "How fine objects are made", DETAILS, "draft")
    model: text("Model", "The id of a model; empty: for each prompt the one that knows it best")
    use_cap: flag("Limit", "At most so many objects; all layers shrink alike")
    cap: whole("Limit", "At most so many objects; all layers shrink alike", 5000, 1)
    output: EnumProperty(
        name="As",
        items=[
            ("POINTS", "Instances", "Points that geometry nodes show as objects: fast, however many there are"),
            ("OBJECTS", "Objects", "Plain objects that share their meshes: to edit by hand and to export"),
        ],
    )
    collection: PointerProperty(
        name="Population", description="The population that Populate replaces; empty: it makes a new one", type=bpy.types.Collection,
        poll=lambda self, one: "latte3d_recipe" in one,
    )  # fmt: skip


CLASSES = (LATTE3D_PG_named, LATTE3D_PG_thing, LATTE3D_PG_mask, LATTE3D_PG_layer, LATTE3D_PG_population)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.latte3d_population = PointerProperty(type=LATTE3D_PG_population)


def unregister() -> None:
    del bpy.types.Scene.latte3d_population
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
