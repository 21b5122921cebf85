# SPDX-License-Identifier: GPL-3.0-or-later
"""What the made-up studio's modeller has at hand: materials, painted images, basic shapes, modifiers, and files of every kind."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix
from numpy import ndarray

SIDE = 128  # pixels of a painted image


@dataclass(frozen=True)
class Asset:
    """`make(path)` builds it in an empty scene, and may write its file itself; `said`: prompts of `split`; `other`: unseen wordings."""

    shape: str
    make: Callable[[Path], bool | None]
    said: tuple[str, ...]
    other: tuple[str, ...]
    split: str


ASSETS: list[Asset] = []


def asset(shape: str, *said: str, other: str = "", split: str = "train"):
    """Says where the function's asset goes and what it is called."""

    def take(make: Callable[[Path], bool | None]):
        ASSETS.append(Asset(shape, make, said, (other,) if other else (), split))
        return make

    return take


# Materials ------------------------------------------------------------------------------------------------------------------------------


def rgb(text: str) -> ndarray:
    """sRGB 0 … 1 of "#rrggbb"."""
    return np.array([int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def linear(text: str) -> tuple[float, float, float, float]:
    c = rgb(text)
    return (*np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4).tolist(), 1.0)


def material(name: str, color: str, roughness: float = 0.6, metallic: float = 0.0) -> bpy.types.Material:
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    shader = made.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = linear(color)
    shader.inputs["Roughness"].default_value, shader.inputs["Metallic"].default_value = roughness, metallic
    return made


def noise(name: str, dark: str, light: str, scale: float = 4.0, stretch=(1, 1, 1)) -> bpy.types.Material:
    """Procedural: a noise between two colours, in the object's own space."""
    made = material(name, dark)
    nodes, links = made.node_tree.nodes, made.node_tree.links
    where, place, grain, ramp = (nodes.new(f"ShaderNode{kind}") for kind in ("TexCoord", "Mapping", "TexNoise", "ValToRGB"))
    place.inputs["Scale"].default_value = stretch
    grain.inputs["Scale"].default_value = scale
    for stop, (at, color) in zip(ramp.color_ramp.elements, ((0.35, dark), (0.65, light)), strict=True):
        stop.position, stop.color = at, linear(color)
    links.new(where.outputs["Object"], place.inputs["Vector"])
    links.new(place.outputs[0], grain.inputs["Vector"])
    links.new(grain.outputs[0], ramp.inputs[0])
    links.new(ramp.outputs["Color"], nodes["Principled BSDF"].inputs["Base Color"])
    return made


def painted(name: str, paint: Callable[[ndarray, ndarray], ndarray], side: int = SIDE) -> bpy.types.Material:
    """A material with an image: `paint(u, v)` gives [side, side, 3 or 4] sRGB, v = 0 below. With an alpha, what lies under ½ is cut out."""
    v, u = np.meshgrid((np.arange(side) + 0.5) / side, (np.arange(side) + 0.5) / side, indexing="ij")
    pixels = paint(u, v)
    image = bpy.data.images.new(name, side, side, alpha=pixels.shape[-1] == 4)
    full = np.ones((side, side, 4), np.float32)
    full[..., : pixels.shape[-1]] = pixels
    image.pixels.foreach_set(full.ravel())
    image.pack()
    made = material(name, "#ffffff", 0.7)
    nodes, links = made.node_tree.nodes, made.node_tree.links
    node = nodes.new("ShaderNodeTexImage")
    node.image = image
    links.new(node.outputs["Color"], nodes["Principled BSDF"].inputs["Base Color"])
    if pixels.shape[-1] == 4:
        cut = nodes.new("ShaderNodeMath")
        cut.operation = "ROUND"
        links.new(node.outputs["Alpha"], cut.inputs[0])
        links.new(cut.outputs[0], nodes["Principled BSDF"].inputs["Alpha"])
    return made


def colored(mesh: bpy.types.Mesh, color: Callable[[ndarray], ndarray]) -> None:
    """A colour attribute: `color(points [V, 3])` gives sRGB [V, 3]."""
    points = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.vertices.foreach_get("co", points.ravel())
    attribute = mesh.color_attributes.new("Color", "BYTE_COLOR", "POINT")
    values = np.ones((len(points), 4), np.float32)
    values[:, :3] = color(points)
    attribute.data.foreach_set("color_srgb", values.ravel())


def by_attribute(name: str = "Color") -> bpy.types.Material:
    made = material("painted corners", "#ffffff", 0.7)
    node = made.node_tree.nodes.new("ShaderNodeVertexColor")
    node.layer_name = name
    made.node_tree.links.new(node.outputs["Color"], made.node_tree.nodes["Principled BSDF"].inputs["Base Color"])
    return made


# Shapes ---------------------------------------------------------------------------------------------------------------------------------


def _made(at, mat, turn=(0, 0, 0), scale=(1, 1, 1), smooth: bool = False) -> bpy.types.Object:
    """What the last operator made, put in its place. `turn` in degrees."""
    item = bpy.context.object
    item.location, item.rotation_euler, item.scale = at, [math.radians(a) for a in turn], scale
    item.data.materials.append(mat)
    if smooth:
        item.data.shade_smooth()
    return item


def box(size, at, mat, turn=(0, 0, 0), bevel: float = 0.0) -> bpy.types.Object:
    """`at`: its centre."""
    bpy.ops.mesh.primitive_cube_add(size=1)
    item = _made(at, mat, turn)
    item.data.transform(Matrix.Diagonal((*size, 1)))
    return modified(item, "BEVEL", width=bevel, segments=2) if bevel else item


def rod(radius: float, height: float, at, mat, top: float | None = None, turn=(0, 0, 0), sides: int = 24) -> bpy.types.Object:
    """A cylinder or, with another radius at the `top`, a cone; `at`: its centre."""
    bpy.ops.mesh.primitive_cone_add(vertices=sides, radius1=radius, radius2=radius if top is None else top, depth=height)
    return _made(at, mat, turn)


def ball(radius: float, at, mat, scale=(1, 1, 1), turn=(0, 0, 0)) -> bpy.types.Object:
    bpy.ops.mesh.primitive_uv_sphere_add(segments=32, ring_count=16, radius=radius)
    return _made(at, mat, turn, scale, smooth=True)


def ring(radius: float, thickness: float, at, mat, turn=(0, 0, 0), scale=(1, 1, 1)) -> bpy.types.Object:
    bpy.ops.mesh.primitive_torus_add(major_radius=radius, minor_radius=thickness, major_segments=48, minor_segments=16)
    return _made(at, mat, turn, scale, smooth=True)


def meshed(name: str, vertices: ndarray, faces: list, mat, uvs: ndarray | None = None) -> bpy.types.Object:
    """`uvs` [V, 2], one a vertex."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(np.asarray(vertices).tolist(), [], faces)
    if uvs is not None:
        layer = mesh.uv_layers.new(name="UVMap")
        order = np.empty(len(mesh.loops), np.int32)
        mesh.loops.foreach_get("vertex_index", order)
        layer.uv.foreach_set("vector", np.asarray(uvs, np.float32)[order].ravel())
    mesh.materials.append(mat)
    item = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(item)
    return item


def sheet(name: str, across: int, along: int, place: Callable[[ndarray, ndarray], tuple], mat) -> bpy.types.Object:
    """An open surface: `place(u, v)` gives x, y, z of a grid of so many cells; u and v, 0 … 1, are its UVs."""
    v, u = np.meshgrid(np.linspace(0, 1, along + 1), np.linspace(0, 1, across + 1), indexing="ij")
    vertices = np.stack([np.broadcast_to(c, u.shape) for c in place(u, v)], -1).reshape(-1, 3)
    row = across + 1
    faces = [(j * row + i, j * row + i + 1, (j + 1) * row + i + 1, (j + 1) * row + i) for j in range(along) for i in range(across)]
    return meshed(name, vertices, faces, mat, np.stack((u, v), -1).reshape(-1, 2))


def lathe(name: str, profile: list[tuple[float, float]], mat, steps: int = 32) -> bpy.types.Object:
    """A profile of (radius, height), turned about z by a Screw modifier."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(r, 0, z) for r, z in profile], [(i, i + 1) for i in range(len(profile) - 1)], [])
    mesh.materials.append(mat)
    item = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(item)
    return modified(item, "SCREW", steps=steps, render_steps=steps, use_merge_vertices=True, use_normal_calculate=True)


# Modifiers ------------------------------------------------------------------------------------------------------------------------------


def modified(item: bpy.types.Object, kind: str, **settings) -> bpy.types.Object:
    made = item.modifiers.new(kind.title(), kind)
    for name, value in settings.items():
        setattr(made, name, value)
    return item


def array(item: bpy.types.Object, count: int, step) -> bpy.types.Object:
    """So many of them, each `step` from the one before."""
    return modified(item, "ARRAY", count=count, use_relative_offset=False, use_constant_offset=True, constant_offset_displace=step)


def around(item: bpy.types.Object, count: int) -> bpy.types.Object:
    """So many of them around the z axis."""
    bpy.context.view_layer.update()
    item.data.transform(item.matrix_world)
    item.matrix_world = Matrix()
    pivot = bpy.data.objects.new("Pivot", None)
    pivot.rotation_euler.z = 2 * math.pi / count
    bpy.context.scene.collection.objects.link(pivot)
    return modified(item, "ARRAY", count=count, use_relative_offset=False, use_object_offset=True, offset_object=pivot)


def mirrored(item: bpy.types.Object) -> bpy.types.Object:
    """The same again on the other side of x = 0."""
    bpy.context.view_layer.update()
    item.data.transform(item.matrix_world)
    item.matrix_world = Matrix()
    return modified(item, "MIRROR")


def scattered(item: bpy.types.Object, piece: bpy.types.Object, density: float, size: float, upright: bool = False) -> None:
    """Geometry nodes: instances of `piece`, which leaves the scene, all over the object."""
    for collection in piece.users_collection:
        collection.objects.unlink(piece)
    group = bpy.data.node_groups.new("Scatter", "GeometryNodeTree")
    group.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    group.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    kinds = ("NodeGroupInput", "NodeGroupOutput", "GeometryNodeDistributePointsOnFaces", "GeometryNodeInstanceOnPoints",
             "GeometryNodeObjectInfo", "GeometryNodeJoinGeometry", "FunctionNodeRandomValue")  # fmt: skip
    start, end, points, instances, info, joined, chance = (group.nodes.new(kind) for kind in kinds)
    points.inputs["Density"].default_value, points.inputs["Seed"].default_value = density, 3
    info.inputs["Object"].default_value, info.inputs["As Instance"].default_value = piece, True
    instances.inputs["Scale"].default_value = (size,) * 3
    chance.data_type = "FLOAT_VECTOR"
    chance.inputs["Max"].default_value = (0.3, 0.3, 2 * math.pi)
    link = group.links.new
    link(start.outputs[0], points.inputs["Mesh"])
    link(points.outputs["Points"], instances.inputs["Points"])
    link(chance.outputs["Value"] if upright else points.outputs["Rotation"], instances.inputs["Rotation"])
    link(info.outputs["Geometry"], instances.inputs["Instance"])
    for geometry in (start.outputs[0], instances.outputs[0]):
        link(geometry, joined.inputs[0])
    link(joined.outputs[0], end.inputs[0])
    modified(item, "NODES", node_group=group)


def collected(name: str, items: list[bpy.types.Object]) -> bpy.types.Collection:
    """The objects as a collection that is not in the scene."""
    collection = bpy.data.collections.new(name)
    for item in items:
        for other in item.users_collection:
            other.objects.unlink(item)
        collection.objects.link(item)
    return collection


def instance(collection: bpy.types.Collection, at, turn=(0, 0, 0), scale=(1, 1, 1)) -> bpy.types.Object:
    item = bpy.data.objects.new(collection.name, None)
    item.instance_type, item.instance_collection = "COLLECTION", collection
    item.location, item.rotation_euler, item.scale = at, [math.radians(a) for a in turn], scale
    bpy.context.scene.collection.objects.link(item)
    return item


# Files ----------------------------------------------------------------------------------------------------------------------------------


def save(path: Path) -> None:
    """Write the scene as the kind of file that the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = str(path)
    match path.suffix:
        case ".blend":
            bpy.ops.wm.save_as_mainfile(filepath=name, copy=True, compress=True)
        case ".glb":
            bpy.ops.export_scene.gltf(filepath=name, export_format="GLB", export_apply=True)
        case ".obj":
            for image in bpy.data.images:
                image.filepath_raw, image.file_format = str(path.with_name(f"{path.stem}_{image.name}.png")), "PNG"
                image.save()
            bpy.ops.wm.obj_export(filepath=name, export_pbr_extensions=True, path_mode="RELATIVE")
        case ".fbx":
            bpy.ops.export_scene.fbx(filepath=name, use_mesh_modifiers=True)
        case ".ply":
            bpy.ops.wm.ply_export(filepath=name, export_colors="SRGB")
        case ".stl":
            bpy.ops.wm.stl_export(filepath=name)
        case ".usd" | ".usdc":
            known = bpy.ops.wm.usd_export.get_rna_type().properties.keys()
            images = {"export_textures_mode": "KEEP"} if "export_textures_mode" in known else {"export_textures": False}  # until 4.2
            bpy.ops.wm.usd_export(filepath=name, evaluation_mode="RENDER", **images)
