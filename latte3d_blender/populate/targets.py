# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the scene for a layout: the ground, what stands already, and what masks need. Everything in metres; nothing is changed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy
import numpy as np

from ..scene.placement import meters
from . import masks, placing
from .layout import Ground
from .recipe import Layer, Recipe
from .surface import Surface, joined

SOLID = ("MESH", "CURVE", "SURFACE", "META", "FONT")  # types that have, or can have, faces
FAR = 1e9  # metres


class SceneError(ValueError):
    """What a recipe asks of the scene is not there, or is of no use; nothing was changed."""


def objects_of(names: tuple[str, ...], use: str) -> list[bpy.types.Object]:
    """The objects of this scene that names stand for, a collection's with those below it; each once. Raises SceneError."""
    scene, found = bpy.context.scene, {}
    collections = {one.name: one for one in scene.collection.children_recursive}
    for name in names:
        if name in scene.objects:
            found[scene.objects[name]] = None
        elif name in collections:
            found.update(dict.fromkeys(collections[name].all_objects))
        else:
            known = ", ".join(f"“{one.name}”" for one in list(scene.objects)[:6]) or "none at all"
            raise SceneError(f"The scene has no object or collection “{name}” {use}. Its first objects are: {known}.")
    return list(found)


@contextmanager
def evaluated(item: bpy.types.Object, graph: bpy.types.Depsgraph) -> Iterator[bpy.types.Mesh | None]:
    """The mesh of an object with all its modifiers; None where it has none."""
    final = item.evaluated_get(graph)
    try:
        mesh = final.to_mesh()
    except RuntimeError:  # a type without geometry
        mesh = None
    try:
        yield mesh
    finally:
        if mesh is not None:
            final.to_mesh_clear()


def vertices_of(mesh: bpy.types.Mesh) -> np.ndarray:
    """Positions [V, 3] in the object's frame."""
    flat = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", flat)
    return flat.reshape(-1, 3).astype(np.float64)


def edges_of(mesh: bpy.types.Mesh) -> np.ndarray:
    """Vertex pairs [E, 2]."""
    flat = np.empty(2 * len(mesh.edges), np.int32)
    mesh.edges.foreach_get("vertices", flat)
    return flat.reshape(-1, 2)


def shape_of(final: bpy.types.Object) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [V, 3] and edges [E, 2] of an evaluated object, in its frame; none where it has no faces."""
    mesh = final.to_mesh()
    try:
        if mesh is None or not len(mesh.polygons):
            return np.zeros((0, 3)), np.zeros((0, 2), np.int32)
        return vertices_of(mesh), edges_of(mesh)
    finally:
        final.to_mesh_clear()


def in_world(item: bpy.types.Object, points: np.ndarray, unit_m: float) -> np.ndarray:
    """Points [V, 3] of an object's frame in the world, metres."""
    matrix = np.array([tuple(row) for row in item.matrix_world], np.float64)
    turned = points[:, :1] * matrix[:3, 0] + points[:, 1:2] * matrix[:3, 1] + points[:, 2:] * matrix[:3, 2]
    return (turned + matrix[:3, 3]) * unit_m


def surface_of(item: bpy.types.Object, number: int, values: set[str], unit_m: float) -> Surface | None:
    """The faces of an object in the world; None where it has none. A mirrored object's faces look outwards as they are seen."""
    with evaluated(item, bpy.context.evaluated_depsgraph_get()) as mesh:
        if mesh is None or not len(mesh.polygons):
            return None
        mesh.calc_loop_triangles()
        count = len(mesh.loop_triangles)
        vertices, loops = np.empty(3 * count, np.int32), np.empty(3 * count, np.int32)
        mesh.loop_triangles.foreach_get("vertices", vertices)
        mesh.loop_triangles.foreach_get("loops", loops)
        vertices, loops = vertices.reshape(-1, 3), loops.reshape(-1, 3)
        if item.matrix_world.determinant() < 0:
            vertices, loops = vertices[:, ::-1], loops[:, ::-1]
        corners = in_world(item, vertices_of(mesh), unit_m)[vertices]
        uvs = None
        if mesh.uv_layers.active:
            flat = np.empty(2 * len(mesh.loops), np.float32)
            mesh.uv_layers.active.uv.foreach_get("vector", flat)
            uvs = flat.reshape(-1, 2).astype(np.float64)[loops]
        found = {name: value for name in sorted(values) if (value := _values(item, mesh, name, vertices, loops)) is not None}
        return Surface(corners, np.full(count, number), found, uvs)


def _values(item: bpy.types.Object, mesh: bpy.types.Mesh, name: str, vertices: np.ndarray, loops: np.ndarray) -> np.ndarray | None:
    """A vertex group's weights or an attribute's values (a colour's mean) at the corners of triangles [T, 3]; None: there is no such."""
    group = item.vertex_groups.get(name)
    if group is not None:
        weights = np.zeros(len(mesh.vertices))
        for vertex in mesh.vertices:
            for membership in vertex.groups:
                if membership.group == group.index:
                    weights[vertex.index] = membership.weight
        return weights[vertices]
    attribute = mesh.attributes.get(name)
    kinds = {"FLOAT": ("value", 1), "INT": ("value", 1), "BOOLEAN": ("value", 1), "FLOAT_COLOR": ("color", 4), "BYTE_COLOR": ("color", 4)}
    if attribute is None or attribute.data_type not in kinds or attribute.domain not in ("POINT", "CORNER"):
        return None
    part, width = kinds[attribute.data_type]
    stored = {"INT": np.int32, "BOOLEAN": bool}.get(attribute.data_type, np.float32)
    flat = np.empty(width * len(attribute.data), stored)
    attribute.data.foreach_get(part, flat)
    values = flat.reshape(-1, width).astype(np.float64)[:, :3]
    values = values[:, 0] if width == 1 else (values[:, 0] + values[:, 1] + values[:, 2]) / 3
    return values[vertices if attribute.domain == "POINT" else loops]


def ground(layer: Layer, names: tuple[str, ...], unit_m: float) -> Ground:
    """What a layer stands on. Raises SceneError where that is nothing."""
    wanted = {name for mask in layer.masks if mask.kind in ("vertex_group", "attribute") for name in mask.names}
    found = objects_of(names, f"for the layer “{layer.name}” to stand on")
    parts = [part for number, item in enumerate(found) if (part := surface_of(item, number, wanted, unit_m)) is not None]
    shown = ", ".join(f"“{name}”" for name in names)
    if not parts:
        raise SceneError(f"{shown} has no faces for the layer “{layer.name}” to stand on. Name a mesh, or a curve that is filled.")
    surface = joined(parts)
    if surface.total <= 0:
        raise SceneError(f"The faces of {shown} have no area: the layer “{layer.name}” cannot stand on it. Look at its scale.")
    if lacking := wanted - surface.values.keys():
        raise SceneError(f"{shown} has no vertex group or attribute “{min(lacking)}”, which the layer “{layer.name}” asks for.")
    return Ground(surface, placing.caster(surface))


def scenery(recipe: Recipe, unit_m: float) -> masks.Scenery:
    """What the masks need of the scene. Raises SceneError for what is not there."""
    found = masks.Scenery()
    for layer in recipe.layers:
        for mask in layer.masks:
            use = f"for a mask of the layer “{layer.name}”"
            if mask.kind == "image":
                found.images[mask.names[0]] = _image(mask.names[0], use)
            elif mask.kind == "inside":
                found.inside[mask.names] = _inside(objects_of(mask.names, use), use, unit_m)
            elif mask.kind == "curves":
                found.distances["curves", mask.names] = _curve_distance(objects_of(mask.names, use), use, unit_m)
            elif mask.kind == "objects":
                found.distances["objects", mask.names] = _object_distance(objects_of(mask.names, use), unit_m)
    return found


def _image(name: str, use: str) -> np.ndarray:
    """An image of the file by its name, or else one on the disk: [H, W] from 0 to 1."""
    image, opened = bpy.data.images.get(name), None
    if image is None:
        path = Path(bpy.path.abspath(name)).expanduser()
        if not path.is_file():
            raise SceneError(f"There is no image “{name}” {use}: neither in this file nor on the disk.")
        image = opened = bpy.data.images.load(str(path))
    try:
        width, height = image.size
        if not width * height:
            raise SceneError(f"The image “{name}” {use} cannot be read.")
        flat = np.empty(width * height * 4, np.float32)
        image.pixels.foreach_get(flat)
        return flat.reshape(height, width, 4)[..., :3].astype(np.float64).mean(2)
    finally:
        if opened:
            bpy.data.images.remove(opened)


def _lines(items: list[bpy.types.Object], use: str, unit_m: float) -> list[np.ndarray]:
    """The lines [M, 3] of curves, as they are drawn, in the world."""
    graph, lines = bpy.context.evaluated_depsgraph_get(), []
    for item in items:
        with evaluated(item, graph) as mesh:
            if mesh is None or not len(mesh.edges):
                raise SceneError(f"“{item.name}” {use} has no line: name a curve, or a mesh with edges.")
            points, edges = in_world(item, vertices_of(mesh), unit_m), edges_of(mesh)
        lines += [points[edge] for edge in edges]
    return lines


def _curve_distance(items: list[bpy.types.Object], use: str, unit_m: float) -> masks.Distance:
    """How far points are from the nearest of lines: as triangles without width, so that Blender's own search finds it."""
    lines = np.array(_lines(items, use, unit_m))
    corners = np.concatenate([lines, lines[:, 1:]], 1)
    return _to_surface([corners])


def _object_distance(items: list[bpy.types.Object], unit_m: float) -> masks.Distance:
    """How far points are from the surfaces of objects; of what has no faces, from its origin."""
    parts = []
    for number, item in enumerate(items):
        part = surface_of(item, number, set(), unit_m)
        origin = np.array(item.matrix_world.translation) * unit_m
        parts.append(part.corners if part is not None else np.tile(origin, (1, 3, 1)))
    return _to_surface(parts)


def _to_surface(parts: list[np.ndarray]) -> masks.Distance:
    tree = placing.tree_of(np.concatenate(parts) if parts else np.zeros((0, 3, 3)))

    def distance(places: np.ndarray) -> np.ndarray:
        found = [tree.find_nearest(place)[3] for place in places.tolist()]
        return np.array([FAR if one is None else one for one in found])

    return distance


def _inside(items: list[bpy.types.Object], use: str, unit_m: float):
    """Whether points are within closed lines, seen from above."""
    lines = [line[:, :2] for line in _lines(items, use, unit_m)]
    starts, ends = np.array([line[0] for line in lines]), np.array([line[1] for line in lines])

    def inside(places: np.ndarray) -> np.ndarray:
        return masks.within(starts, ends, places)

    return inside


def unit_metres() -> float:
    """Metres in a unit of the scene."""
    return meters(bpy.context.scene)
