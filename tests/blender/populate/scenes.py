# SPDX-License-Identifier: GPL-3.0-or-later
"""Grounds, objects and recipes for the tests of population."""

import json

import bpy
import numpy as np

from latte3d_blender.populate import recipe


def mesh_object(name: str, vertices, faces) -> bpy.types.Object:
    """A mesh in the scene."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(np.asarray(vertices, float).tolist(), [], [tuple(map(int, face)) for face in faces])
    made = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(made)
    bpy.context.view_layer.update()
    return made


def terrain(size: float = 40.0, cells: int = 60, height: float = 3.0, name: str = "Terrain") -> bpy.types.Object:
    """Hills, of squares whose widths differ by a factor of thirty."""
    axis = np.linspace(-1, 1, cells + 1)
    axis = np.sign(axis) * np.abs(axis) ** 2 * size / 2
    x, y = np.meshgrid(axis, axis, indexing="ij")
    z = np.round(height * np.sin(x / 6) * np.cos(y / 7), 3)  # the same on every machine
    n = np.arange((cells + 1) ** 2).reshape(cells + 1, -1)
    faces = np.stack([n[:-1, :-1], n[1:, :-1], n[1:, 1:], n[:-1, 1:]], -1).reshape(-1, 4)
    return mesh_object(name, np.stack([x, y, z], -1).reshape(-1, 3), faces)


def prism(name: str, sides: int = 12, radius: float = 0.3, height: float = 0.5, top: float = 1.0, stretch: float = 1.0) -> bpy.types.Object:
    """A prism that stands on its origin; `top`: the upper end's width in parts of the lower one's. In no collection of the scene."""
    turns = 2 * np.pi * np.arange(sides) / sides
    ring = np.round(np.stack([np.cos(turns) * stretch, np.sin(turns), np.zeros(sides)], 1) * radius, 4)
    vertices = np.concatenate([ring, ring * top + (0, 0, height)])
    i = np.arange(sides)
    faces = [*np.stack([i, (i + 1) % sides, (i + 1) % sides + sides, i + sides], 1), i[::-1], i + sides]
    made = mesh_object(name, vertices, faces)
    bpy.context.scene.collection.objects.unlink(made)
    return made


def written(**layers) -> recipe.Recipe:
    """A recipe of layers on “Terrain”: written(Rocks={"things": […], "count": 9})."""
    top = {"target": "Terrain", "seed": 5, "layers": [{"name": name, **rules} for name, rules in layers.items()]}
    return recipe.read(json.dumps(top))
