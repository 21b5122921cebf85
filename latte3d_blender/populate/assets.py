# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects that a population repeats: made of prompts, found in the scene, or appended from a file; each once, with its footprint."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

from ..scene import meshes, origin
from . import footprints
from .job import Job, Want
from .layout import Option
from .recipe import Layer, Recipe, Thing
from .targets import SceneError, edges_of, evaluated, objects_of, vertices_of


@dataclass(frozen=True)
class Asset:
    """One object to be repeated: `item` stays as it is (None: it is not built yet). Its footprint is in metres, with its own rotation and
    scale."""

    item: bpy.types.Object | None
    footprint: footprints.Footprint


@dataclass
class Assets:
    """All of them, and which the layers take."""

    found: list[Asset] = field(default_factory=list)
    options: dict[str, list[Option]] = field(default_factory=dict)
    made: list[bpy.types.Object] = field(default_factory=list)  # by this run, in no collection yet
    reused: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def shapes(self) -> footprints.Shapes:
        return footprints.Shapes.of([one.footprint for one in self.found])


def wants(recipe: Recipe) -> list[Want]:
    """The distinct objects that a recipe's prompts stand for, in order."""
    found = {}
    for layer in recipe.layers:
        for thing in layer.things:
            found.update(dict.fromkeys(wants_of(recipe, layer, thing)))
    return list(found)


def wants_of(recipe: Recipe, layer: Layer, thing: Thing) -> list[Want]:
    """The objects that one thing stands for, one for each seed; none where it is no prompt."""
    if not thing.prompt:
        return []
    model, quality = recipe.model_of(layer), recipe.quality_of(layer, thing)
    return [Want(thing.prompt, thing.seed + number, model, quality) for number in range(thing.variants)]


def in_file() -> dict[Want, bpy.types.Object]:
    """The objects of this file that were made of prompts, by what would make them again; also those of no model in particular."""
    found = {}
    for item in bpy.data.objects:
        about = origin.of(item)
        if about is None or not about.plain or item.library or item.override_library or item.modifiers or not item.data.polygons:
            continue
        if "latte3d_live" in item:  # a draft, which may be gone the next moment
            continue
        others = [about.settings.get(name) for name in ("resolution", "texture_size", "triangles")]
        if not any(others) and tuple(item.scale) == (1.0, 1.0, 1.0):
            for model in (about.model, ""):
                found.setdefault(Want(about.prompt, about.seed, model, about.detail), item)
    return found


def collect(recipe: Recipe, job: Job, unit_m: float) -> Assets:
    """All objects of a recipe: what `gather` gathers."""
    *_, assets = gather(recipe, job, unit_m)
    return assets


def gather(recipe: Recipe, job: Job, unit_m: float) -> Iterator[Assets]:
    """Collect all objects of a recipe; yields after each, so that one can do something else meanwhile, and at the end. What the file has is
    reused; the rest is built from the job's folder; what is in neither is left out with a note. Raises SceneError where there is nothing at
    all."""
    assets, known, numbers = Assets(), in_file(), {}
    for layer in recipe.layers:
        options = assets.options[layer.name] = []
        for thing in layer.things:
            items = _made(recipe, layer, thing, job, known, assets, unit_m) if thing.prompt else given(layer, thing, assets)
            for place, item in enumerate(items):
                if item.name_full not in numbers:
                    numbers[item.name_full] = len(assets.found)
                    assets.found.append(Asset(item, footprint_of(item, unit_m)))
                    yield assets
                share, count = thing.share / len(items), thing.count
                part = None if count is None else count * (place + 1) // len(items) - count * place // len(items)
                options.append(Option(numbers[item.name_full], share, part, thing.height or layer.height))
        if not options:
            assets.notes.append(f"The layer “{layer.name}” has no objects: none of its prompts could be made.")
    if not assets.found:
        raise SceneError("There is nothing to place: none of the recipe's objects could be made.")
    yield assets


def _made(recipe, layer, thing, job: Job, known: dict, assets: Assets, unit_m: float) -> list[bpy.types.Object]:
    """The objects of a prompt, one for each seed that was made."""
    items = []
    for want in wants_of(recipe, layer, thing):
        item = known.get(want)
        if item is not None:
            assets.reused += item not in assets.made
        elif result := job.read(want):
            with meshes.all_or_nothing():
                item = known[want] = meshes.build_object(result, unit_m=unit_m)
            assets.made.append(item)
        if item is not None:
            items.append(item)
    return items


def given(layer: Layer, thing: Thing, assets: Assets) -> list[bpy.types.Object]:
    """Objects that are there already, or in another file."""
    use = f"for the layer “{layer.name}” to use"
    if thing.file:
        items = _appended(thing, use, assets)
    elif thing.object:
        items = objects_of((thing.object,), use) if thing.object in bpy.context.scene.objects else _asset(thing.object, use)
    else:
        items = objects_of((thing.collection,), use)
    solid = [item for item in items if item.type in ("MESH", "CURVE", "SURFACE", "META", "FONT")]
    if not solid:
        raise SceneError(f"“{thing.object or thing.collection}” has no object with a surface {use}.")
    return sorted(solid, key=lambda item: item.name_full)


def discard(assets: Assets) -> None:
    """Take back what was made for a population that nobody wants any more."""
    items = [item for item in assets.made if not item.users_collection]
    data = {item.data for item in items if item.data}
    paints = {paint for one in data for paint in getattr(one, "materials", ()) if paint}
    nodes = [node for paint in paints if paint.node_tree for node in paint.node_tree.nodes]
    images = {node.image for node in nodes if node.type == "TEX_IMAGE" and node.image}
    bpy.data.batch_remove(items)
    for blocks in (data, paints, images):
        bpy.data.batch_remove([one for one in blocks if not one.users])


def _asset(name: str, use: str) -> list[bpy.types.Object]:
    """An object of this file that is in no scene, such as a marked asset."""
    if name not in bpy.data.objects:
        raise SceneError(f"This file has no object “{name}” {use}.")
    return [bpy.data.objects[name]]


def _appended(thing: Thing, use: str, assets: Assets) -> list[bpy.types.Object]:
    """Append an object or a collection from a .blend. Raises SceneError."""
    path = Path(bpy.path.abspath(thing.file)).expanduser()
    try:
        with bpy.data.libraries.load(str(path), link=False) as (there, here):
            kind, name = ("objects", thing.object) if thing.object else ("collections", thing.collection)
            if name not in getattr(there, kind):
                raise SceneError(f"{path} has no {kind[:-1]} “{name}” {use}.")
            setattr(here, kind, [name])
    except OSError as error:
        raise SceneError(f"{path} cannot be read {use}: {error}") from error
    items = list(here.objects) if thing.object else list(here.collections[0].all_objects)
    assets.made += items
    return items


def _is_shown(item: bpy.types.Object) -> bool:
    """Whether the scene evaluates an object."""
    return bpy.context.view_layer.objects.get(item.name) == item


def own_matrix(item: bpy.types.Object) -> Matrix:
    """The rotation and scale that an object has, parents included, without its place."""
    whole = item.matrix_world if _is_shown(item) else item.matrix_basis
    return whole.to_3x3().to_4x4()


def footprint_of(item: bpy.types.Object, unit_m: float) -> footprints.Footprint:
    """The footprint of an object in metres, turned and scaled as it is, about its own origin. Raises SceneError."""
    matrix = np.array([tuple(row) for row in own_matrix(item)], np.float64)[:3, :3] * unit_m
    if _is_shown(item):
        with evaluated(item, bpy.context.evaluated_depsgraph_get()) as mesh:
            points, edges = (vertices_of(mesh), edges_of(mesh)) if mesh else (np.zeros((0, 3)), np.zeros((0, 2), np.int64))
    elif item.type == "MESH":
        points, edges = vertices_of(item.data), edges_of(item.data)
    else:
        raise SceneError(f"“{item.name}” is in no scene, so that its surface is not known. Link it to the scene, or make it a mesh.")
    try:
        return footprints.footprint(points[:, :1] * matrix[:, 0] + points[:, 1:2] * matrix[:, 1] + points[:, 2:] * matrix[:, 2], edges)
    except ValueError as error:
        raise SceneError(f"“{item.name}” cannot be placed: {error}.") from error
