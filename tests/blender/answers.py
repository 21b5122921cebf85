# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of the engine made by hand, placed through the real operator: tests of placing need no engine's process."""

import bmesh
import bpy
import numpy as np

from latte3d_blender.client.job import Result

QUADS = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (3, 2, 6, 7), (1, 3, 7, 5), (2, 0, 4, 6)]


def answer(prompt: str = "a red cube", seed: int = 0, size=(0.25, 0.25, 0.34), **fields) -> Result:
    """A result: a box of `size` metres in Blender's axes, all of one colour."""
    corners = np.array([(x, y, z) for z in (-1, 1) for y in (-1, 1) for x in (-1, 1)], np.float32)
    width, depth, height = size
    arrays = {
        "vertices": corners * np.float32([depth, width, height]) / np.float32(2 * max(size)),  # the engine's front is +X
        "triangles": np.array([t for a, b, c, d in QUADS for t in ((a, b, c), (a, c, d))], np.int32),
        "uvs": np.tile(np.array([[(0, 0), (1, 0), (1, 1)], [(0, 0), (1, 1), (0, 1)]], np.float32), (6, 1, 1)),
    }
    arrays, style = arrays | fields.pop("arrays", {}), fields.pop("style", None)
    made = {"prompt": prompt, "seed": seed, "model": "test", "height_m": height, "timings_ms": {"text": 1.0}, "detail": "standard"}
    made |= {"color": [0.8, 0.2, 0.1], "roughness": 0.5, "metallic": 0.0, "familiar": True, "notes": []} | fields
    return Result(prompt, seed, {"detail": "standard"}, made, arrays, style)


def finish(addon, result: Result, settings: dict | None = None, location=None) -> int:
    """Let a result be there, as if the engine had sent it; returns its number."""
    jobs, scene = addon("session"), bpy.context.scene
    result.settings = settings or result.settings
    result.place = jobs.Place(scene.session_uid, tuple(location or scene.cursor.location))
    return jobs.keep(result).number


def place(addon, *results: Result, settings: dict | None = None, **properties) -> list[bpy.types.Object]:
    """Place results one after another, at the cursor where no location is given; returns the objects."""
    properties.setdefault("location", tuple(bpy.context.scene.cursor.location))
    made = []
    for result in results:
        number = finish(addon, result, settings)
        assert bpy.ops.latte3d.place_result("EXEC_DEFAULT", True, result=number, **properties) == {"FINISHED"}
        bpy.context.view_layer.update()
        made += bpy.context.selected_objects
    return made


def box(item: bpy.types.Object) -> np.ndarray:
    """The object's bounding box in the world: [2, 3]."""
    corners = np.array([item.matrix_world @ type(item.location)(corner) for corner in item.bound_box])
    return np.stack([corners.min(0), corners.max(0)])


def apart(one: bpy.types.Object, other: bpy.types.Object) -> bool:
    """Whether the two boxes do not overlap."""
    (a, b), (c, d) = box(one), box(other)
    return bool(((b <= c + 1e-5) | (d <= a + 1e-5)).any())


def cube(size: float = 2.0, location=(0, 0, 0), name: str = "Cube", stretch=(1, 1, 1)) -> bpy.types.Object:
    """A cube of Blender's own."""
    shape, mesh = bmesh.new(), bpy.data.meshes.new(name)
    bmesh.ops.create_cube(shape, size=size)
    shape.to_mesh(mesh)
    made = bpy.data.objects.new(name, mesh)
    made.location, made.scale = location, stretch
    bpy.context.scene.collection.objects.link(made)
    bpy.context.view_layer.update()
    return made
