# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things would stand, before any of them is made: boxes in their place, in a colour for each layer."""

from collections.abc import Iterator
from dataclasses import replace

import bpy
import numpy as np
from mathutils import Vector

from . import footprints, scatter
from .assets import Asset, Assets, given, in_file, own_matrix, wants_of
from .layout import Layout, Option
from .recipe import Layer, Recipe, Thing
from .run import Plan

MARK = "latte3d_preview"  # of the collection and of all that is made for it
GUESS_M, SLENDER = 1.0, 0.6  # height of what nobody has said a height of, and its width as a share of that
EDGES = np.array([(0, 1), (2, 3), (4, 5), (6, 7), (0, 2), (1, 3), (4, 6), (5, 7), (0, 4), (1, 5), (2, 6), (3, 7)])
COLOURS = (
    (0.16, 0.45, 0.18), (0.75, 0.35, 0.10), (0.20, 0.40, 0.75), (0.70, 0.60, 0.15),
    (0.55, 0.25, 0.60), (0.15, 0.55, 0.55), (0.65, 0.20, 0.25), (0.45, 0.45, 0.45),
)  # fmt: skip


def stand_ins(chosen: Plan) -> Assets:
    """Boxes in place of a recipe's objects, as footprints alone: as large as what is there already, or as the recipe says, or a guess."""
    found, known, numbers = Assets(), in_file(), {}
    for layer in chosen.recipe.layers:
        options = found.options[layer.name] = []
        for thing in layer.things:
            low, high = _room(chosen, layer, thing, known)
            key = (layer.name, *(round(x, 3) for x in (*low, *high)))
            if key not in numbers:
                numbers[key] = len(found.found)
                corners = np.where(scatter.SIGNS > 0, np.array(high), np.array(low)) * chosen.unit_m
                found.found.append(Asset(None, footprints.footprint(corners, EDGES)))
            options.append(Option(numbers[key], thing.share, thing.count, thing.height or layer.height))
    return found


def _room(chosen: Plan, layer: Layer, thing: Thing, known: dict) -> tuple[Vector, Vector]:
    """The lowest and the highest corner of what a thing stands for, in units of the scene."""
    if thing.prompt:
        item = next((known[want] for want in wants_of(chosen.recipe, layer, thing) if want in known), None)
    else:
        item = None if thing.file else given(layer, thing, Assets())[0]
    if item is None:
        half, high = GUESS_M * SLENDER / 2 / chosen.unit_m, GUESS_M / chosen.unit_m
        return Vector((-half, -half, 0.0)), Vector((half, half, high))
    low, high = scatter.extent(item)
    matrix = own_matrix(item)
    corners = [matrix @ Vector((x, y, z)) for x in (low.x, high.x) for y in (low.y, high.y) for z in (low.z, high.z)]
    return tuple(Vector(pick(corner[axis] for corner in corners) for axis in range(3)) for pick in (min, max))


def building(recipe: Recipe, found: Assets, made: Layout, unit_m: float) -> Iterator[bpy.types.Collection]:
    """Make the collection of a preview, as scatter.building does."""
    numbers = {option.asset: number for number, layer in enumerate(recipe.layers) for option in found.options[layer.name]}
    items = [_box(one.footprint.box / unit_m, number, _paint(numbers[number])) for number, one in enumerate(found.found)]
    boxes = replace(found, found=[Asset(item, one.footprint) for item, one in zip(items, found.found, strict=True)], made=items)
    layers = tuple(replace(layer, tint=0.0) for layer in recipe.layers)
    plain = replace(recipe, name=f"{recipe.name} Preview", layers=layers)
    for top in scatter.building(plain, boxes, made, unit_m):
        top.pop("latte3d_recipe", None)
        top[MARK] = True
        yield top


def _box(box: np.ndarray, number: int, paint: bpy.types.Material) -> bpy.types.Object:
    low, high = box
    mesh = bpy.data.meshes.new("Preview")
    mesh.from_pydata(np.where(scatter.SIGNS > 0, high, low).tolist(), [], scatter.QUADS)
    mesh.materials.append(paint)
    return bpy.data.objects.new(f"Preview {number}", mesh)


def _paint(layer: int) -> bpy.types.Material:
    """The colour of a layer."""
    name = f"Preview {layer % len(COLOURS) + 1}"
    made = next((one for one in bpy.data.materials if one.get(MARK) == name), None)
    if made is None:
        made = bpy.data.materials.new(name)
        made[MARK], made.diffuse_color = name, (*COLOURS[layer % len(COLOURS)], 1.0)
    return made


def previews() -> list[bpy.types.Collection]:
    """The previews in the scene."""
    return [one for one in bpy.context.scene.collection.children_recursive if MARK in one]


def clear() -> bool:
    """Remove all previews of the scene; returns whether there were any."""
    found = previews()
    for top in found:
        scatter.clear(top)
    bpy.data.batch_remove([one for one in bpy.data.materials if MARK in one and not one.users])
    return bool(found)
