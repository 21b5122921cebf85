# SPDX-License-Identifier: GPL-3.0-or-later
"""A plain place for each of the population presets, to fill and to render: ground, light and a camera, in a .blend.

    .venv-blender/bin/python docs/examples/presets.py graveyard PLACE.blend
    .venv-blender/bin/python -m latte3d_blender populate PLACE.blend \\
        --recipe latte3d_blender/populate/presets/graveyard.json --out FILLED.blend --render FILLED.png
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from hillside import material, smooth, waves
from mathutils import Vector

CELL = 0.25  # metres between the ground's points


@dataclass(frozen=True)
class Place:
    """What a preset is shown on. Lengths in metres, colours linear."""

    size: tuple[float, float]
    colors: tuple[tuple, tuple]  # of the ground, mixed in patches
    relief: float = 0.0  # how high its hills are
    walls: float = 0.0  # their height; the one towards the camera is left out
    ceiling: bool = False
    wall_color: tuple = (0.3, 0.3, 0.3)
    streets: float = 0.0  # from one to the next along Y; 0: none
    tiles: float = 0.0  # metres along a tile's edge; 0: none
    sun: tuple = (4.5, (-0.75, -0.5, 0.7), (1.0, 0.9, 0.75))  # energy, from where, colour
    sky: tuple = ((0.52, 0.74, 0.95), (0.12, 0.36, 0.80), 0.85)  # horizon, above, strength
    lamps: tuple = ()  # (place, watts, colour) each
    eye: tuple = (0.0, -12.0, 5.0)
    looks_at: tuple = (0.0, 0.0, 1.0)
    lens: float = 35.0


STREET, KERB = (0.10, 0.10, 0.11), (0.42, 0.40, 0.37)
WARM = (1.0, 0.72, 0.42)
PLACES = {
    "forest_floor": Place(
        (26, 26), ((0.05, 0.10, 0.02), (0.13, 0.13, 0.045)), relief=0.9,
        sun=(5.0, (-0.8, -0.3, 0.55), (1.0, 0.88, 0.66)), sky=((0.75, 0.85, 0.80), (0.25, 0.50, 0.65), 0.75),
        eye=(-9.5, -7.5, 1.4), looks_at=(0.0, 0.0, 0.6), lens=29,
    ),
    "dungeon_hall": Place(
        (18, 22), ((0.10, 0.095, 0.10), (0.16, 0.15, 0.145)), walls=3.45, ceiling=True, wall_color=(0.13, 0.125, 0.13), tiles=1.0,
        sun=(0.7, (-0.3, -0.6, 0.8), (0.55, 0.65, 1.0)), sky=((0.05, 0.06, 0.09), (0.03, 0.04, 0.08), 1.0),
        lamps=(
            ((-6.5, -4, 2.6), 600, WARM), ((6.5, -1, 2.6), 600, WARM), ((-5, 7.5, 2.6), 800, WARM), ((0, 2, 3.1), 400, WARM),
            ((5, 9, 2.6), 600, WARM), ((0, -7.5, 3.1), 350, WARM),
        ),
        eye=(0.3, -7.9, 2.5), looks_at=(0.0, 3.0, 0.8), lens=21,
    ),
    "market": Place(
        (24, 22), ((0.34, 0.29, 0.22), (0.42, 0.37, 0.29)), tiles=0.6,
        eye=(1.6, -9.6, 3.4), looks_at=(0.0, 0.5, 0.8), lens=26,
    ),
    "restaurant": Place(
        (12, 10), ((0.20, 0.11, 0.055), (0.24, 0.135, 0.07)), walls=3.2, wall_color=(0.55, 0.46, 0.34), tiles=0.8,
        sun=(1.6, (-0.7, -0.7, 0.8), (1.0, 0.92, 0.8)), sky=((0.75, 0.72, 0.66), (0.6, 0.6, 0.62), 0.7),
        lamps=(((-3, 0, 2.9), 110, WARM), ((3, 0, 2.9), 110, WARM), ((0, 3, 2.9), 110, WARM)),
        eye=(2.6, -8.2, 4.0), looks_at=(0.0, 0.0, 0.6), lens=30,
    ),
    "graveyard": Place(
        (24, 24), ((0.07, 0.12, 0.04), (0.14, 0.15, 0.07)), relief=0.35,
        sun=(6.0, (-0.8, -0.25, 0.4), (1.0, 0.75, 0.48)), sky=((0.80, 0.62, 0.52), (0.20, 0.26, 0.50), 1.0),
        eye=(1.0, -10.2, 3.3), looks_at=(0.0, 0.0, 0.4), lens=30,
    ),
    "town": Place(
        (64, 60), ((0.10, 0.19, 0.045), (0.17, 0.23, 0.06)), relief=0.0, streets=12.0,
        eye=(9.0, -45.0, 19.0), looks_at=(0.0, -6.0, 1.0), lens=36,
    ),
}  # fmt: skip


def ground(place: Place) -> bpy.types.Object:
    """The ground, with its colours."""
    x_axis, y_axis = (np.linspace(-size / 2, size / 2, int(size / CELL) + 1) for size in place.size)
    x, y = np.meshgrid(x_axis, y_axis, indexing="ij")
    z = np.round(place.relief * waves(1.3 * x, 1.3 * y), 3)
    mixed = smooth(-0.5, 0.5, waves(2.1 * x + 3, 2.1 * y))[..., None]
    color = np.array(place.colors[0]) * (1 - mixed) + np.array(place.colors[1]) * mixed
    if place.tiles:
        color = color * (0.86 + 0.14 * ((np.floor(x / place.tiles) + np.floor(y / place.tiles)) % 2))[..., None]
    if place.streets:  # houses stand half a step beside the middle, streets between them
        away = np.abs((y / place.streets) - np.round(y / place.streets)) * place.streets
        for share, paint in ((1 - smooth(2.4, 2.5, away), KERB), (1 - smooth(1.7, 1.8, away), STREET)):
            color = color * (1 - share[..., None]) + np.array(paint) * share[..., None]
    number = np.arange(x.size).reshape(x.shape)
    faces = np.stack([number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]], -1).reshape(-1, 4)
    mesh = bpy.data.meshes.new("Ground")
    mesh.from_pydata(np.stack([x, y, z], -1).reshape(-1, 3).tolist(), [], faces.tolist())
    mesh.shade_smooth()
    painted = np.concatenate([color, np.ones((*x.shape, 1))], -1).astype(np.float32)
    mesh.color_attributes.new("Ground", "FLOAT_COLOR", "POINT").data.foreach_set("color", painted.ravel())
    mesh.materials.append(material("Ground", attribute="Ground", roughness=0.9))
    return bpy.data.objects.new("Ground", mesh)


def walls(place: Place) -> bpy.types.Object:
    """Three walls around the ground, and a ceiling."""
    (w, d), h = (size / 2 for size in place.size), place.walls
    corners = [(-w, -d), (-w, d), (w, d), (w, -d)]
    mesh = bpy.data.meshes.new("Walls")
    vertices = [(x, y, z) for z in (0, h) for x, y in corners]
    mesh.from_pydata(vertices, [], [*((i, i + 1, i + 5, i + 4) for i in range(3)), *([(4, 5, 6, 7)] if place.ceiling else [])])
    mesh.materials.append(material("Walls", color=place.wall_color, roughness=0.9))
    return bpy.data.objects.new("Walls", mesh)


def light(scene: bpy.types.Scene, place: Place) -> None:
    """The sun, lamps and the sky."""
    energy, way, color = place.sun
    sun = bpy.data.lights.new("Sun", "SUN")
    sun.energy, sun.angle, sun.color = energy, 0.03, color
    item = bpy.data.objects.new("Sun", sun)
    item.rotation_euler = Vector(way).to_track_quat("Z", "Y").to_euler()
    scene.collection.objects.link(item)
    for where, watts, color in place.lamps:
        lamp = bpy.data.lights.new("Lamp", "POINT")
        lamp.energy, lamp.color, lamp.shadow_soft_size = watts, color, 0.3
        item = bpy.data.objects.new("Lamp", lamp)
        item.location = where
        scene.collection.objects.link(item)
    horizon, above, strength = place.sky
    world = scene.world = bpy.data.worlds.new("Sky")
    if bpy.app.version < (5, 0, 0):
        world.use_nodes = True
    tree = world.node_tree
    background = next(node for node in tree.nodes if node.type == "BACKGROUND")
    where, split, ramp = (tree.nodes.new(f"ShaderNode{kind}") for kind in ("TexCoord", "SeparateXYZ", "ValToRGB"))
    tree.links.new(where.outputs["Generated"], split.inputs[0])
    tree.links.new(split.outputs["Z"], ramp.inputs[0])
    tree.links.new(ramp.outputs[0], background.inputs["Color"])
    ramp.color_ramp.elements[0].color, ramp.color_ramp.elements[1].color = (*horizon, 1), (*above, 1)
    ramp.color_ramp.elements[1].position = 0.4
    background.inputs["Strength"].default_value = strength


def main() -> int:
    if len(sys.argv) != 3 or sys.argv[1] not in PLACES:
        print(f"{__doc__}\nThere are {', '.join(PLACES)}.")
        return 2
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene, place = bpy.context.scene, PLACES[sys.argv[1]]
    for item in (ground(place), *([walls(place)] if place.walls else [])):
        scene.collection.objects.link(item)
    light(scene, place)
    eye = bpy.data.cameras.new("Camera")
    eye.lens = place.lens
    item = scene.camera = bpy.data.objects.new("Camera", eye)
    item.location = place.eye
    item.rotation_euler = (Vector(place.looks_at) - item.location).to_track_quat("-Z", "Y").to_euler()
    scene.collection.objects.link(item)
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples, scene.cycles.max_bounces = "CPU", 24, 4
    scene.cycles.use_adaptive_sampling, scene.cycles.adaptive_threshold, scene.cycles.use_denoising = True, 0.05, True
    scene.render.resolution_x, scene.render.resolution_y = 800, 450
    scene.view_settings.view_transform, scene.view_settings.look = "AgX", "AgX - Medium High Contrast"
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(sys.argv[2]).resolve()), compress=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
