# SPDX-License-Identifier: GPL-3.0-or-later
"""A small picture of what is in the scene, as Blender shows it: for the report."""

import math
import tempfile
from pathlib import Path

import bpy
import numpy as np
from mathutils import Euler, Vector

AZIMUTH, ELEVATION, FIELD, DISTANCE = 35.0, 20.0, 30.0, 2.6  # degrees from the front; the distance is of a side of 0.96
SAMPLES = 12
GROUND = 0.78  # linear


def picture(center: np.ndarray, size: float, front: float, side: int) -> np.ndarray | None:
    """[side, side, 3] sRGB bytes, first row on top; None where this Blender cannot render.

    center [3], size: of the scene's objects; front: its direction in the plane, radians from +x.
    """
    scene = bpy.context.scene
    for item in scene.objects:
        if item.type == "LIGHT":
            item.hide_render = True
    unit, turn = size / 0.96, front + math.radians(AZIMUTH)
    _camera(scene, Vector(center), DISTANCE * unit, turn)
    _lights(scene, turn)
    try:
        scene.render.engine = "CYCLES"
    except TypeError:
        return None
    cycles, render = scene.cycles, scene.render
    cycles.device, cycles.samples, cycles.max_bounces, cycles.seed = "CPU", SAMPLES, 2, 0
    cycles.use_denoising, cycles.use_adaptive_sampling = False, False
    render.resolution_x = render.resolution_y = side
    render.resolution_percentage, render.use_border, render.film_transparent = 100, False, False
    render.use_compositing = render.use_sequencer = False
    render.image_settings.file_format, render.image_settings.color_mode, render.image_settings.color_depth = "PNG", "RGB", "8"
    scene.view_settings.view_transform, scene.view_settings.look = "Standard", "None"
    scene.view_settings.exposure, scene.view_settings.gamma = 0, 1
    with tempfile.TemporaryDirectory(prefix="latte3d-") as folder:
        render.filepath = str(Path(folder) / "picture.png")
        try:
            bpy.ops.render.render(write_still=True)
        except RuntimeError:
            return None
        image = bpy.data.images.load(render.filepath)
        flat = np.empty(len(image.pixels), np.float32)
        image.pixels.foreach_get(flat)
        bpy.data.images.remove(image)
    return (flat.reshape(side, side, -1)[::-1, :, :3] * 255 + 0.5).astype(np.uint8)


def _camera(scene: bpy.types.Scene, center: Vector, distance: float, turn: float) -> None:
    camera = bpy.data.cameras.new("Picture")
    camera.angle, camera.clip_start, camera.clip_end = math.radians(FIELD), distance / 100, distance * 10
    item = bpy.data.objects.new("Picture", camera)
    item.rotation_euler = Euler((math.radians(90 - ELEVATION), 0, turn + math.pi / 2))
    e = math.radians(ELEVATION)
    item.location = center + distance * Vector((math.cos(turn) * math.cos(e), math.sin(turn) * math.cos(e), math.sin(e)))
    scene.collection.objects.link(item)
    scene.camera = item


def _lights(scene: bpy.types.Scene, turn: float) -> None:
    sun = bpy.data.lights.new("Picture", "SUN")
    sun.energy, sun.angle = 2.6, 0.3
    item = bpy.data.objects.new("Picture", sun)
    item.rotation_euler = Euler((math.radians(42), 0, turn + math.pi / 2 - math.radians(35)))
    scene.collection.objects.link(item)
    world = bpy.data.worlds.new("Picture")
    if bpy.app.version < (5, 0, 0):
        world.use_nodes = True
    background = next(node for node in world.node_tree.nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value = (GROUND, GROUND, GROUND, 1)
    scene.world = world
