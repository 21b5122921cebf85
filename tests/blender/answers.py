# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of the engine made by hand, placed through the real operator: tests of placing need no engine's process."""

import itertools
import time

import bmesh
import bpy
import numpy as np

QUADS = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (3, 2, 6, 7), (1, 3, 7, 5), (2, 0, 4, 6)]
NUMBERS = itertools.count(1000)


def answer(prompt: str = "a red cube", seed: int = 0, size=(0.25, 0.25, 0.34), **fields) -> dict:
    """One object of an answer: a box of `size` metres in Blender's axes, all of one colour."""
    corners = np.array([(x, y, z) for z in (-1, 1) for y in (-1, 1) for x in (-1, 1)], np.float32)
    width, depth, height = size
    arrays = {
        "vertices": corners * np.float32([depth, width, height]) / np.float32(2 * max(size)),  # the engine's front is +X
        "triangles": np.array([t for a, b, c, d in QUADS for t in ((a, b, c), (a, c, d))], np.int32),
        "uvs": np.tile(np.array([[(0, 0), (1, 0), (1, 1)], [(0, 0), (1, 1), (0, 1)]], np.float32), (6, 1, 1)),
    }
    made = {"prompt": prompt, "seed": seed, "model": "test", "height_m": height, "timings_ms": {"text": 1.0}, "detail": "standard"}
    made |= {"color": [0.8, 0.2, 0.1], "roughness": 0.5, "metallic": 0.0, "familiar": True, "notes": []} | fields
    return {**made, "arrays": arrays | fields.get("arrays", {})}


def finish(addon, *items: dict, settings: dict | None = None, location=None) -> int:
    """Let a job be done, as if the engine had answered; returns its number."""
    client, jobs = addon("client.engine"), addon("session")
    number, prompts, seeds = next(NUMBERS), [item["prompt"] for item in items], [item["seed"] for item in items]
    job = client.Job(number, prompts, seeds, settings or {"detail": "standard"}, state="done")
    job.objects.extend(items)
    job.clicked = time.perf_counter()
    scene = bpy.context.scene
    jobs.SESSION.results[number] = job
    jobs.SESSION.places[number] = jobs.Place(scene.session_uid, tuple(location or scene.cursor.location))
    return number


def place(addon, *items: dict, settings: dict | None = None, **properties) -> list[bpy.types.Object]:
    """Place the objects of an answer, at the cursor where no location is given; returns them."""
    number = finish(addon, *items, settings=settings)
    properties.setdefault("location", tuple(bpy.context.scene.cursor.location))
    assert bpy.ops.latte3d.place_result("EXEC_DEFAULT", True, job=number, **properties) == {"FINISHED"}
    bpy.context.view_layer.update()
    return list(bpy.context.selected_objects)


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
