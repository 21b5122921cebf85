# SPDX-License-Identifier: GPL-3.0-or-later
"""A studio photograph of generated objects: seamless backdrop, three soft lights, a camera that frames them from the front."""

import math
from pathlib import Path

import bpy
import numpy as np
from mathutils import Euler, Matrix, Vector

AZIMUTH, ELEVATION, LENS_MM, FILL = math.radians(32), math.radians(20), 70.0, 0.80  # FILL: the object's share of the picture
BACKDROP = (0.42, 0.45, 0.49)  # linear; a cool light grey against which every colour of wood, metal and paint stands out


def _points(objects: list[bpy.types.Object]) -> np.ndarray:
    """World positions [N,3] of all vertices."""
    parts = []
    for item in objects:
        points = np.empty(len(item.data.vertices) * 3, np.float32)
        item.data.attributes["position"].data.foreach_get("vector", points)
        matrix = np.array(Matrix.LocRotScale(item.location, item.rotation_euler, item.scale))
        parts.append(points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3])
    return np.concatenate(parts)


def _camera(scene: bpy.types.Scene, points: np.ndarray) -> bpy.types.Object:
    """Add a camera at the distance and the aim at which `points` fill the picture."""
    camera = bpy.data.cameras.new("Studio")
    camera.lens, camera.sensor_width = LENS_MM, 36.0
    turn = Euler((math.pi / 2 - ELEVATION, 0, AZIMUTH))
    axes = np.array(turn.to_matrix()).T  # rows: right, up, backwards
    local, slope = points @ axes.T, FILL * 18.0 / LENS_MM
    aim, distance = (local.max(0) + local.min(0)) / 2, 0.0
    for _ in range(8):  # the nearer parts look larger, so distance and aim depend on each other
        side = local - aim
        distance = float(np.max(np.abs(side[:, :2]) / slope + side[:, 2:3]))
        seen = side[:, :2] / (distance - side[:, 2:3])
        aim[:2] += (seen.max(0) + seen.min(0)) / 2 * distance
    item = bpy.data.objects.new("Studio", camera)
    item.rotation_euler, item.location = turn, Vector(axes.T @ (aim + np.array((0, 0, distance))))
    camera.clip_start, camera.clip_end = distance / 100, distance * 100
    scene.collection.objects.link(item)
    scene.camera = item
    return item


def _light(
    scene: bpy.types.Scene, center: Vector, azimuth: float, elevation: float, distance: float, size: float, power: float, color: tuple
) -> None:
    """Add an area light that looks at `center`; angles in degrees, azimuth 0 is the front and grows to the right."""
    light = bpy.data.lights.new("Studio", "AREA")
    light.energy, light.size, light.color = power * distance * distance, size * distance, color
    a, e = math.radians(azimuth), math.radians(elevation)
    way = Vector((math.sin(a) * math.cos(e), -math.cos(a) * math.cos(e), math.sin(e)))
    item = bpy.data.objects.new("Studio", light)
    item.location, item.rotation_euler = center + way * distance, way.to_track_quat("Z", "Y").to_euler()
    scene.collection.objects.link(item)


def _backdrop(scene: bpy.types.Scene, low: Vector, radius: float) -> None:
    """Add a floor that bends up into a wall, square to the camera."""
    depth, bend, width = 3.2 * radius, 2.5 * radius, 40 * radius
    arc = [(depth + bend * math.sin(t), bend - bend * math.cos(t)) for t in np.linspace(0, math.pi / 2, 24)]
    profile = [(-30 * radius, 0.0), *arc, (depth + bend, 30 * radius)]
    vertices = [(x, y, z) for y, z in profile for x in (-width, width)]
    faces = [(i, i + 1, i + 3, i + 2) for i in range(0, len(vertices) - 2, 2)]
    mesh = bpy.data.meshes.new("Studio")
    mesh.from_pydata(vertices, [], faces)
    mesh.shade_smooth()
    material = bpy.data.materials.new("Studio")
    if bpy.app.version < (5, 0, 0):
        material.use_nodes = True
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value, shader.inputs["Roughness"].default_value = (*BACKDROP, 1.0), 0.9
    mesh.materials.append(material)
    item = bpy.data.objects.new("Studio", mesh)
    item.location, item.rotation_euler = low, (0, 0, AZIMUTH)
    scene.collection.objects.link(item)


def _scene(objects: list[bpy.types.Object]) -> bpy.types.Scene:
    """Make the studio around objects that already have their place."""
    scene = bpy.data.scenes.new("Studio")
    for item in objects:
        scene.collection.objects.link(item)
    points = _points(objects)
    low, high = points.min(0), points.max(0)
    center, radius = Vector((low + high) / 2), float(np.linalg.norm(high - low)) / 2
    base = Vector((center.x, center.y, float(low[2])))
    _backdrop(scene, base, radius)
    _camera(scene, points)
    turn = math.degrees(AZIMUTH)
    _light(scene, center, turn - 48, 48, 5 * radius, 0.55, 11.0, (1.0, 0.96, 0.90))  # key, from the left
    _light(scene, center, turn + 62, 22, 5 * radius, 0.80, 2.5, (0.90, 0.95, 1.0))  # fill, from the right
    _light(scene, center, turn + 155, 42, 5 * radius, 0.45, 9.0, (1.0, 1.0, 1.0))  # rim, from behind
    world = bpy.data.worlds.new("Studio")
    if bpy.app.version < (5, 0, 0):
        world.use_nodes = True
    background = next(node for node in world.node_tree.nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value, background.inputs["Strength"].default_value = (0.85, 0.92, 1.0, 1.0), 0.25
    scene.world = world
    scene.view_settings.view_transform, scene.view_settings.look = "Standard", "None"  # prompts name colours: show them as they are
    return scene


def _see_through(objects: list[bpy.types.Object]) -> bool:
    """Whether light passes through one of them."""
    materials = {slot.material for item in objects for slot in item.material_slots if slot.material and slot.material.node_tree}
    shaders = [node for material in materials for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED"]
    return any(shader.inputs["Transmission Weight"].default_value > 0 for shader in shaders)


def _choose_engine(scene: bpy.types.Scene, samples: int, bounces: int) -> None:
    """Cycles on the CPU; where this Blender was built without it, whatever it has."""
    try:
        scene.render.engine = "CYCLES"
    except TypeError:
        return
    scene.cycles.device, scene.cycles.samples, scene.cycles.max_bounces = "CPU", samples, bounces
    scene.cycles.use_adaptive_sampling, scene.cycles.adaptive_threshold = True, 0.05
    scene.cycles.use_light_tree, scene.cycles.use_denoising = False, True
    scene.cycles.denoising_prefilter = "FAST"


def _discard(scene: bpy.types.Scene, kept: list[bpy.types.Object]) -> None:
    """Remove the studio and all that was made for it: everything in its scene but the objects that it was made around."""
    for item in set(scene.collection.objects) - set(kept):
        data = item.data
        bpy.data.objects.remove(item)
        materials = list(getattr(data, "materials", ()))
        bpy.data.batch_remove([data, *materials])
    bpy.data.worlds.remove(scene.world)
    bpy.data.scenes.remove(scene)


def studio_shot(objects: list[bpy.types.Object], path: Path, *, size: int = 640, samples: int = 5) -> None:
    """Render a square PNG of `size` pixels to `path`. The objects stay where they are; raises RuntimeError when rendering fails."""
    scene = _scene(objects)
    try:
        _choose_engine(scene, samples, 12 if _see_through(objects) else 2)  # through both walls of a glass are four
        render = scene.render
        render.resolution_x = render.resolution_y = size
        render.resolution_percentage = 100
        render.image_settings.file_format, render.image_settings.color_mode = "PNG", "RGB"
        render.filepath = str(path)
        try:
            bpy.ops.render.render(write_still=True, scene=scene.name)
        except RuntimeError as error:
            if "enois" not in str(error):
                raise
            # some builds come without a denoiser
            scene.cycles.use_denoising, scene.cycles.samples = False, 4 * samples
            bpy.ops.render.render(write_still=True, scene=scene.name)
    finally:
        _discard(scene, objects)
