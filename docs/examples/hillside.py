# SPDX-License-Identifier: GPL-3.0-or-later
"""The empty landscape of the population example: hills, a pond, a path, light and a camera, in a .blend.

    .venv-blender/bin/python docs/examples/hillside.py TERRAIN.blend

Its heights are rounded to millimetres and stored as a mesh, so that every Blender lays out the same on it.
"""

import sys
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector

SIZE, CELLS = 64.0, 192  # metres along a side, and squares
WATER = 0.0  # height of the pond
PATH = [(1.5, -31), (2.0, -24), (4.5, -17), (3.0, -10), (-1.5, -4), (-1.0, 2), (4.0, 6), (8.5, 9), (9.5, 13), (6.5, 16), (7.5, 19)]
POND, VILLAGE, KNOLL = (-9.5, -11.5), (0.0, 4.5), (8.0, 20.0)
GRASS, MEADOW, EARTH, SAND, STONE = (0.10, 0.20, 0.035), (0.22, 0.30, 0.06), (0.36, 0.25, 0.14), (0.50, 0.42, 0.27), (0.28, 0.26, 0.23)


def smooth(low: float, high: float, value: np.ndarray) -> np.ndarray:
    """0 below, 1 above, smooth between."""
    share = np.clip((value - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)


def waves(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Gentle unevenness, -1 to 1."""
    parts = ((0.31, 0.17, 0.4, 1.0), (-0.22, 0.41, 2.1, 0.8), (0.63, 0.52, 4.0, 0.35), (-0.85, 0.7, 1.3, 0.22))
    return sum(size * np.sin(a * x + b * y + c) for a, b, c, size in parts) / 2.37


def line_points(count: int = 400) -> np.ndarray:
    """The path, seen from above, as a smooth line [count, 2] through PATH (Catmull-Rom)."""
    points = np.array([PATH[0], *PATH, PATH[-1]], float)
    at = np.linspace(0, len(PATH) - 1 - 1e-9, count)
    i, t = at.astype(int), (at % 1)[:, None]
    a, b, c, d = (points[i + k] for k in range(4))
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)


def hills(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Heights in metres before there are a village, a path and a pond."""
    z = 0.9 + 7.5 * smooth(-14, 26, y) + 0.8 * waves(x, y)
    z = z + 3.6 * np.exp(-((x - KNOLL[0]) ** 2 + (y - KNOLL[1]) ** 2) / 40) + 3.2 * np.exp(-((x + 19) ** 2 + (y - 14) ** 2) / 90)
    return z + 1.6 * smooth(9, 24, x) * smooth(-26, -4, y) + 1.2 * smooth(-18, -28, x)


def heights(x: np.ndarray, y: np.ndarray, way: np.ndarray) -> np.ndarray:
    """Heights in metres. `way`: distance to the path."""
    z = hills(x, y)
    flat = 1 - smooth(4.5, 10, np.hypot((x - VILLAGE[0]) * 0.8, y - VILLAGE[1]))
    z = z + flat * (hills(np.array(VILLAGE[0]), np.array(VILLAGE[1])) - z) * 0.85
    top = 1 - smooth(2.2, 5, np.hypot(x - KNOLL[0], y - KNOLL[1]))
    z = z + top * (hills(np.array(KNOLL[0]), np.array(KNOLL[1])) - z) * 0.9
    z = z - 0.16 * (1 - smooth(0.5, 1.5, way))
    hollow = 1 - smooth(4.5, 9.5, np.hypot((x - POND[0]) * 0.85, (y - POND[1]) * 1.15))
    return np.round(z + hollow * (-1.1 - z), 3)


def colors(x, y, z, slope, way) -> np.ndarray:
    """Linear colours [..., 3] of the ground."""
    mixed = smooth(-0.4, 0.5, waves(1.7 * x + 3, 1.7 * y))[..., None]
    found = np.array(GRASS) * (1 - mixed) + np.array(MEADOW) * mixed
    for share, color in (
        (0.5 * smooth(0.8, 1.2, slope), STONE),
        (1 - smooth(0.15, 0.55, z - WATER), SAND),
        (1 - smooth(0.7, 1.25, way + 0.25 * waves(4 * x, 4 * y)), EARTH),
    ):
        found = found * (1 - share[..., None]) + np.array(color) * share[..., None]
    return found


def terrain() -> bpy.types.Object:
    """The ground with its colours and the weight of the path."""
    axis = np.linspace(-SIZE / 2, SIZE / 2, CELLS + 1)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    line = line_points()
    way = np.sqrt(((np.stack([x, y], -1)[..., None, :] - line) ** 2).sum(-1).min(-1))
    z = heights(x, y, way)
    slope = np.hypot(*np.gradient(z, axis[1] - axis[0]))
    number = np.arange((CELLS + 1) ** 2).reshape(CELLS + 1, -1)
    faces = np.stack([number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]], -1).reshape(-1, 4)
    mesh = bpy.data.meshes.new("Terrain")
    mesh.from_pydata(np.stack([x, y, z], -1).reshape(-1, 3).tolist(), [], faces.tolist())
    mesh.shade_smooth()
    painted = np.concatenate([colors(x, y, z, slope, way), np.ones((*x.shape, 1))], -1).astype(np.float32)
    mesh.color_attributes.new("Ground", "FLOAT_COLOR", "POINT").data.foreach_set("color", painted.ravel())
    item = bpy.data.objects.new("Terrain", mesh)
    mesh.materials.append(material("Ground", attribute="Ground", roughness=0.95))
    return item


def material(name: str, *, attribute: str = "", color=(1, 1, 1), roughness: float = 0.5) -> bpy.types.Material:
    """A Principled material, coloured by an attribute or evenly."""
    made = bpy.data.materials.new(name)
    if bpy.app.version < (5, 0, 0):
        made.use_nodes = True
    shader = next(node for node in made.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value, shader.inputs["Roughness"].default_value = (*color, 1), roughness
    if attribute:
        source = made.node_tree.nodes.new("ShaderNodeAttribute")
        source.attribute_name = attribute
        made.node_tree.links.new(source.outputs["Color"], shader.inputs["Base Color"])
    made.diffuse_color = (*color, 1)
    return made


def water() -> bpy.types.Object:
    """The pond's surface."""
    mesh = bpy.data.meshes.new("Water")
    turns = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    ring = [(POND[0] + 9.5 * np.cos(t), POND[1] + 8.0 * np.sin(t), WATER) for t in turns]
    mesh.from_pydata(ring, [], [tuple(range(48))])
    mesh.materials.append(material("Water", color=(0.02, 0.12, 0.15), roughness=0.06))
    return bpy.data.objects.new("Water", mesh)


def path() -> bpy.types.Object:
    """The path as a curve, for masks."""
    curve = bpy.data.curves.new("Path", "CURVE")
    curve.dimensions = "3D"
    line = line_points(60)
    spline = curve.splines.new("POLY")
    spline.points.add(len(line) - 1)
    far = np.zeros(len(line))
    heights_there = heights(line[:, 0], line[:, 1], far)
    spline.points.foreach_set("co", np.column_stack([line, heights_there, np.ones(len(line))]).astype(np.float32).ravel())
    return bpy.data.objects.new("Path", curve)


def light(scene: bpy.types.Scene) -> None:
    """A low sun from the left and a clear sky."""
    sun = bpy.data.lights.new("Sun", "SUN")
    sun.energy, sun.angle, sun.color = 4.8, 0.02, (1.0, 0.87, 0.68)
    item = bpy.data.objects.new("Sun", sun)
    item.rotation_euler = Vector((-0.75, -0.42, 0.62)).to_track_quat("Z", "Y").to_euler()
    scene.collection.objects.link(item)
    world = scene.world = bpy.data.worlds.new("Sky")
    if bpy.app.version < (5, 0, 0):
        world.use_nodes = True
    tree = world.node_tree
    background = next(node for node in tree.nodes if node.type == "BACKGROUND")
    where, split, ramp = (tree.nodes.new(f"ShaderNode{kind}") for kind in ("TexCoord", "SeparateXYZ", "ValToRGB"))
    tree.links.new(where.outputs["Generated"], split.inputs[0])
    tree.links.new(split.outputs["Z"], ramp.inputs[0])
    tree.links.new(ramp.outputs[0], background.inputs["Color"])
    ramp.color_ramp.elements[0].color, ramp.color_ramp.elements[0].position = (0.86, 0.88, 0.90, 1), 0.0
    ramp.color_ramp.elements[1].color, ramp.color_ramp.elements[1].position = (0.08, 0.30, 0.80, 1), 0.40
    ramp.color_ramp.elements.new(0.10).color = (0.48, 0.72, 0.95, 1)
    background.inputs["Strength"].default_value = 0.75


def camera(scene: bpy.types.Scene) -> None:
    data = bpy.data.cameras.new("Camera")
    data.lens = 37
    item = bpy.data.objects.new("Camera", data)
    item.location = (-2.0, -38.0, 11.0)
    item.rotation_euler = (Vector((0.2, 2.0, 4.6)) - item.location).to_track_quat("-Z", "Y").to_euler()
    scene.collection.objects.link(item)
    scene.camera = item


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    for item in (terrain(), water(), path()):
        scene.collection.objects.link(item)
    light(scene)
    camera(scene)
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples, scene.cycles.max_bounces = "CPU", 48, 4
    scene.cycles.use_adaptive_sampling, scene.cycles.adaptive_threshold, scene.cycles.use_denoising = True, 0.04, True
    scene.render.resolution_x, scene.render.resolution_y = 1280, 720
    scene.view_settings.view_transform, scene.view_settings.look = "AgX", "AgX - Medium High Contrast"
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(sys.argv[1]).resolve()), compress=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
