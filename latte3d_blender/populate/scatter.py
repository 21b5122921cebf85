# SPDX-License-Identifier: GPL-3.0-or-later
"""A layout in the scene: points that geometry nodes show as objects, or plain objects that share their meshes; and each made of the other.

A population is a collection that carries its recipe. In it are, for each layer, an object with the points or a collection with the
objects, and a collection "… Assets" that no view layer shows, with one object for each asset, its box and its simpler mesh.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Euler, Matrix, Vector

from . import chance, nodes, tint
from .assets import Asset, Assets, own_matrix
from .layout import Layout, euler
from .recipe import Recipe

STEP = 64  # objects made at a time
AT_ONCE = 500  # objects that are removed at once
SIMPLER_FROM = 400  # triangles: below, a simpler mesh saves nothing
SIMPLER = 0.15  # share of the triangles that it keeps
PARTS = {"Assets": "Objects", "Boxes": "Boxes", "Simpler": "Simpler"}  # the modifier's inputs, and the collections that they take
SIGNS = np.array([(x, y, z) for z in (0, 1) for y in (0, 1) for x in (0, 1)], float)
QUADS = ((0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (3, 2, 6, 7), (1, 3, 7, 5), (2, 0, 4, 6))


@dataclass(frozen=True)
class Points:
    """What one layer's points carry, in units of the scene."""

    asset: np.ndarray  # [N]
    position: np.ndarray  # [N, 3]
    rotation: np.ndarray  # [N, 3] Euler angles
    scale: np.ndarray  # [N, 3]
    tint: np.ndarray  # [N, 3]

    @classmethod
    def of(cls, layout: Layout, layer: int, unit_m: float) -> "Points":
        chosen = layout.layer == layer
        bodies = layout.bodies.take(chosen)
        scale = np.repeat(bodies.scale[:, None], 3, 1)
        return cls(bodies.asset, bodies.position / unit_m, euler(bodies.rotation), scale, layout.tint[chosen])


def populations() -> list[bpy.types.Collection]:
    """The populations of the scene."""
    return [one for one in bpy.context.scene.collection.children_recursive if "latte3d_recipe" in one]


def build(recipe: Recipe, assets: Assets, layout: Layout, unit_m: float, *, linked: bool = False) -> bpy.types.Collection:
    """Put a layout into the scene, in a new collection; returns that."""
    *_, top = building(recipe, assets, layout, unit_m, linked=linked)
    show(top)
    return top


def building(
    recipe: Recipe, assets: Assets, layout: Layout, unit_m: float, *, linked: bool = False
) -> Iterator[bpy.types.Collection]:
    """Make the collection of a layout, which `show` puts into the scene; yields it after each step, so that one can do something else
    meanwhile."""
    top = bpy.data.collections.new(recipe.name)
    top["latte3d_recipe"] = recipe.text
    yield top
    own = bpy.data.collections.new(f"{recipe.name} Assets")
    own["latte3d_assets"] = True
    for _ in _fill_assets(own, recipe, assets):
        yield top
    for number, layer in enumerate(recipe.layers):
        points = Points.of(layout, number, unit_m)
        if len(points.asset) and linked:
            for group in objects_of_points(own, layer.name, points):  # noqa: B007
                yield top
            top.children.link(group)
        elif len(points.asset):
            as_scatter(top, own, layer.name, points)
        yield top
    top.children.link(own)
    yield top


def show(top: bpy.types.Collection) -> None:
    """Put a population into the scene; its assets are seen only where points show them."""
    bpy.context.scene.collection.children.link(top)
    own = _own(top)
    for layer in bpy.context.scene.view_layers:
        found = _layer_collection(layer.layer_collection, own)
        if found:
            found.exclude = True


def name_parts(top: bpy.types.Collection, name: str) -> None:
    """Name a population and its parts, when those of that name before are gone."""
    top.name, own = name, _own(top)
    own.name = f"{name} Assets"
    for part in own.children:
        part.name = f"{name} {part['latte3d_part']}"
    for one in (*top.objects, *top.children):
        if "latte3d_layer" in one:
            one.name = one["latte3d_layer"]


def has_points(top: bpy.types.Collection) -> bool:
    """Whether a population has points that geometry nodes show; else it has plain objects."""
    return any("latte3d_layer" in one for one in top.objects)


def clear(top: bpy.types.Collection) -> None:
    """Take a population out of the file, with the assets that nothing else uses."""
    inside = [top, *top.children_recursive]
    items = {item for one in inside for item in one.objects}
    gone = [item for item in items if all(user in inside for user in item.users_collection)]
    data = {item.data for item in gone if item.data}
    bpy.data.batch_remove(inside)
    if not throw_away(gone):
        bpy.data.batch_remove([one for one in data if not one.users])


def throw_away(items: list[bpy.types.Object]) -> bool:
    """Remove objects. With many, Blender takes many seconds for that: in a window they only go out of sight, and `sweep` removes them;
    returns whether it is so."""
    later = len(items) > AT_ONCE and not bpy.app.background
    if not later:
        bpy.data.batch_remove(items)
        return False
    for item in items:
        for collection in item.users_collection:
            collection.objects.unlink(item)
        item["latte3d_gone"] = True
    return True


def sweep(most: int = STEP) -> bool:
    """Remove some of what was thrown away, unless an undo has brought it back; returns whether there may be more."""
    gone = list(itertools.islice((item for item in bpy.data.objects if not item.users and "latte3d_gone" in item), most))
    data = {item.data for item in gone if item.data}
    bpy.data.batch_remove(gone)
    bpy.data.batch_remove([one for one in data if not one.users])
    return len(gone) == most


# Assets ---------------------------------------------------------------------------------------------------------------------------


def _fill_assets(own: bpy.types.Collection, recipe: Recipe, assets: Assets) -> Iterator[None]:
    """Fill the collection of what is repeated; geometry nodes take its objects in the order of their names."""
    tinted = {option.asset for layer in recipe.layers if layer.tint for option in assets.options.get(layer.name, [])}
    parts = {kind: bpy.data.collections.new(f"{recipe.name} {kind}") for kind in PARTS.values()}
    for kind, part in parts.items():
        part["latte3d_part"] = kind
        own.children.link(part)
    cube = _cube()
    for number, asset in enumerate(assets.found):
        item = _asset_object(asset, number, new=asset.item in assets.made, tinted=number in tinted)
        parts["Objects"].objects.link(item)
        parts["Boxes"].objects.link(_box(item, cube))
        parts["Simpler"].objects.link(_simpler(item))
        yield


def _layer_collection(parent: bpy.types.LayerCollection, wanted: bpy.types.Collection) -> bpy.types.LayerCollection | None:
    for child in parent.children:
        if child.collection == wanted:
            return child
        if found := _layer_collection(child, wanted):
            return found
    return None


def _asset_object(asset: Asset, number: int, *, new: bool, tinted: bool) -> bpy.types.Object:
    """The object that stands for an asset: what was made for it, or a copy that shares its data. Its name gives its number."""
    matrix = own_matrix(asset.item)
    item = asset.item if new else asset.item.copy()
    for collection in item.users_collection:
        collection.objects.unlink(item)
    item.parent = None
    item.name = f"{number:05d} {asset.item.name}"
    item.matrix_basis = matrix
    item["latte3d_number"] = number
    if tinted:
        tint.tint_materials(item)
        item[tint.ATTRIBUTE] = (1.0, 1.0, 1.0)
    return item


def _cube() -> bpy.types.Mesh:
    mesh = bpy.data.meshes.new("Box")
    mesh.from_pydata(SIGNS.tolist(), [], QUADS)
    return mesh


def extent(item: bpy.types.Object) -> tuple[Vector, Vector]:
    """The lowest and the highest corner of an object in its own frame, whether it has been evaluated or not."""
    if item.type != "MESH":
        return Vector(item.bound_box[0]), Vector(item.bound_box[6])
    flat = np.empty(3 * len(item.data.vertices), np.float32)
    item.data.vertices.foreach_get("co", flat)
    return Vector(flat.reshape(-1, 3).min(0).tolist()), Vector(flat.reshape(-1, 3).max(0).tolist())


def _box(item: bpy.types.Object, cube: bpy.types.Mesh) -> bpy.types.Object:
    """The bounding box of an asset: all share one mesh."""
    made = bpy.data.objects.new(f"{item.name} Box", cube)
    low, high = extent(item)
    size = Vector(max(length, 1e-6) for length in high - low)
    made.matrix_basis = item.matrix_basis @ Matrix.LocRotScale(low, None, size)
    made.color = item.color
    return made


def _simpler(item: bpy.types.Object) -> bpy.types.Object:
    """A mesh with fewer triangles for the distance; an asset that is simple already stands for itself."""
    made = bpy.data.objects.new(f"{item.name} Simpler", item.data)
    made.matrix_basis = item.matrix_basis
    if item.type == "MESH" and len(item.data.polygons) > SIMPLER_FROM:
        scratch = bpy.data.objects.new("Simpler", item.data)
        modifier = scratch.modifiers.new("Simpler", "DECIMATE")
        modifier.ratio = SIMPLER
        bpy.context.scene.collection.objects.link(scratch)
        bpy.context.view_layer.update()
        graph = bpy.context.evaluated_depsgraph_get()
        made.data = bpy.data.meshes.new_from_object(scratch.evaluated_get(graph), preserve_all_data_layers=True, depsgraph=graph)
        made.data.name = f"{item.data.name} Simpler"
        bpy.data.objects.remove(scratch)
    return made


# Points ---------------------------------------------------------------------------------------------------------------------------


def as_scatter(top: bpy.types.Collection, own: bpy.types.Collection, name: str, points: Points) -> bpy.types.Object:
    """One object whose points geometry nodes show as the assets."""
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(points.asset))
    mesh.attributes["position"].data.foreach_set("vector", np.ascontiguousarray(points.position, np.float32).ravel())
    share = chance.draws(chance.key("share"), np.arange(len(points.asset)))
    for attribute, kind, part, values in (
        ("asset", "INT", "value", points.asset.astype(np.int32)),
        ("rotation", "FLOAT_VECTOR", "vector", points.rotation.astype(np.float32)),
        ("scale", "FLOAT_VECTOR", "vector", points.scale.astype(np.float32)),
        (tint.ATTRIBUTE, "FLOAT_VECTOR", "vector", points.tint.astype(np.float32)),
        ("share", "FLOAT", "value", share.astype(np.float32)),
    ):
        mesh.attributes.new(attribute, kind, "POINT").data.foreach_set(part, np.ascontiguousarray(values).ravel())
    mesh.update()
    item = bpy.data.objects.new(name, mesh)
    item["latte3d_layer"] = name
    modifier = item.modifiers.new("Scatter", "NODES")
    modifier.node_group = nodes.scatter_group()
    kinds = {one["latte3d_part"]: one for one in own.children if "latte3d_part" in one}
    for socket, kind in PARTS.items():
        nodes.set_input(modifier, socket, kinds[kind])
    top.objects.link(item)
    return item


def read_scatter(item: bpy.types.Object) -> Points:
    """The points of such an object."""
    mesh, count = item.data, len(item.data.vertices)

    def values(name: str, part: str, width: int, kind=np.float32) -> np.ndarray:
        flat = np.empty(width * count, kind)
        mesh.attributes[name].data.foreach_get(part, flat)
        return flat.reshape(count, width)

    vectors = {name: values(name, "vector", 3).astype(np.float64) for name in ("position", "rotation", "scale", tint.ATTRIBUTE)}
    return Points(
        values("asset", "value", 1, np.int32)[:, 0], vectors["position"], vectors["rotation"], vectors["scale"], vectors[tint.ATTRIBUTE]
    )


# Objects --------------------------------------------------------------------------------------------------------------------------


def objects_of_points(own: bpy.types.Collection, name: str, points: Points) -> Iterator[bpy.types.Collection]:
    """Make a collection of plain objects that share the assets' data, linked nowhere yet; yields it after every STEP objects."""
    group = bpy.data.collections.new(name)
    group["latte3d_layer"] = name
    yield group
    sources = _objects(own)
    for row in range(len(points.asset)):
        source = sources[int(points.asset[row])]
        item = _copy(source, f"{source.name[6:]}.{row + 1:03d}")
        place = Matrix.LocRotScale(points.position[row].tolist(), Euler(points.rotation[row].tolist()), points.scale[row].tolist())
        item.matrix_basis = place @ source.matrix_basis
        item[tint.ATTRIBUTE] = points.tint[row].tolist()
        group.objects.link(item)
        if row % STEP == STEP - 1:
            yield group


def _copy(source: bpy.types.Object, name: str) -> bpy.types.Object:
    """A copy that shares its data. To copy by Blender's own way takes longer the more copies there are: each needs another name."""
    if source.modifiers or source.constraints or source.animation_data or source.type != "MESH":
        made = source.copy()
        made.name = name
        return made
    made = bpy.data.objects.new(name, source.data)
    for key in source.keys():  # noqa: SIM118 (not a dict)
        made[key] = source[key]
    made.color = source.color
    return made


def _objects(own: bpy.types.Collection) -> dict[int, bpy.types.Object]:
    """The assets by their numbers."""
    return {item["latte3d_number"]: item for part in own.children for item in part.objects if "latte3d_number" in item}


def _own(top: bpy.types.Collection) -> bpy.types.Collection:
    return next(one for one in top.children if "latte3d_assets" in one)


def to_objects(top: bpy.types.Collection) -> int:
    """Turn a population's points into plain objects, for editing by hand and for export; returns how many there are."""
    *_, groups = objects_of(top)
    return become_objects(top, groups)


def objects_of(top: bpy.types.Collection) -> Iterator[list[bpy.types.Collection]]:
    """Make the plain objects of a population's points, in collections that are linked nowhere; yields those now and then."""
    groups: list[bpy.types.Collection] = []
    yield groups
    for item in [one for one in top.objects if "latte3d_layer" in one]:
        points = _moved(read_scatter(item), item.matrix_world)
        for step, group in enumerate(objects_of_points(_own(top), item["latte3d_layer"], points)):
            if not step:
                groups.append(group)
            yield groups


def become_objects(top: bpy.types.Collection, groups: list[bpy.types.Collection]) -> int:
    """Let plain objects take the place of a population's points; returns how many there are."""
    for item in [one for one in top.objects if "latte3d_layer" in one]:
        mesh = item.data
        bpy.data.objects.remove(item)
        bpy.data.meshes.remove(mesh)
    for group in groups:  # last: every link to a shown collection makes Blender look through the scene
        top.children.link(group)
        group.name = group["latte3d_layer"]
    return sum(len(group.objects) for group in groups)


def _moved(points: Points, matrix: Matrix) -> Points:
    """Points of an object that somebody has moved."""
    if matrix == Matrix.Identity(4):
        return points
    rows = zip(points.position.tolist(), points.rotation.tolist(), points.scale.tolist(), strict=True)
    parts = [(matrix @ Matrix.LocRotScale(place, Euler(turn), size)).decompose() for place, turn, size in rows]
    return _from_parts(points.asset, parts, points.tint)


def _from_parts(asset: np.ndarray, parts: list[tuple], tints: np.ndarray) -> Points:
    count = len(parts)
    position, scale = (np.array([part[i] for part in parts]).reshape(count, 3) for i in (0, 2))
    return Points(asset, position, np.array([part[1].to_euler() for part in parts]).reshape(count, 3), scale, tints)


def to_scatter(top: bpy.types.Collection) -> tuple[int, int]:
    """Turn a population's plain objects back into points; returns how many, and how many stay objects because they have become others."""
    own, done, kept = _own(top), 0, 0
    sources = _objects(own)
    for group in [one for one in top.children if "latte3d_layer" in one]:
        same, others = [], []
        for item in group.objects:
            source = sources.get(item.get("latte3d_number"))
            is_same = source is not None and item.data == source.data and len(item.modifiers) == len(source.modifiers)
            (same if is_same else others).append(item)
        if same:
            asset = np.array([item["latte3d_number"] for item in same])
            world = [(item.matrix_world @ sources[item["latte3d_number"]].matrix_basis.inverted()).decompose() for item in same]
            tints = np.array([list(item.get(tint.ATTRIBUTE, (1, 1, 1))) for item in same], float)
            as_scatter(top, own, group["latte3d_layer"], _from_parts(asset, world, tints))
        done, kept = done + len(same), kept + len(others)
        if not others:
            bpy.data.collections.remove(group)
        throw_away(same)
    return done, kept
