# SPDX-License-Identifier: GPL-3.0-or-later
"""Letting things fall and come to rest: Blender's rigid bodies, in a scene of their own that is gone afterwards.

What falls is as its hulls are; the ground and all that stands near stay where they are.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import bpy
import numpy as np
from mathutils import Matrix

from . import layout
from .assets import Assets
from .footprints import SIDES, Footprint
from .placing import PRESS
from .points import near_pairs
from .surface import turned

if TYPE_CHECKING:
    from .run import Plan

MARK = "latte3d_settle"  # of all that is made for it
FRAMES, STILL_M = 72, 0.0005  # at most so many, and what moves less from one to the next has come to rest
CLEAR_M, MARGIN_M = 0.01, 0.001  # how high above the ground it begins, and how far apart surfaces are kept
NEAR_M = 1.0  # beyond what falls: what stands farther away cannot be met
LOST_M = 1.0  # below the ground's lowest point


def settled(chosen: "Plan", found: Assets, made: layout.Layout) -> layout.Layout:
    """Let the objects of layers that settle fall and come to rest."""
    *_, made = settling(chosen, found, made)
    return made


def settling(chosen: "Plan", found: Assets, made: layout.Layout) -> Iterator[layout.Layout]:
    """Let the objects of layers that settle fall; yields the layout now and then, at the end as it has come to rest."""
    fall = np.array([layer.settle for layer in chosen.recipe.layers])[made.layer]
    rows = np.flatnonzero(fall > 0)
    yield made
    if not len(rows):
        return
    clear()
    try:
        scene, items = _stage(chosen, found, made, rows, fall)
        before = None
        for frame in range(1, FRAMES + 1):
            scene.frame_set(frame)
            graph = scene.view_layers[0].depsgraph
            now = np.array([item.evaluated_get(graph).matrix_world for item in items], np.float64)
            if before is not None and np.abs(now[:, :3, 3] - before[:, :3, 3]).max() < STILL_M:
                break
            before = now
            yield made
    finally:
        clear()
    yield _moved(chosen, found, made, rows, now)


def _stage(chosen: "Plan", found: Assets, made: layout.Layout, rows: np.ndarray, fall: np.ndarray) -> tuple:
    """A scene with the ground, what falls and what stands near it; returns it and the objects that fall."""
    scene = bpy.data.scenes.new("Settle")
    scene[MARK] = True
    with bpy.context.temp_override(scene=scene, view_layer=scene.view_layers[0]):
        bpy.ops.rigidbody.world_add()
    world = scene.rigidbody_world
    world.collection = bpy.data.collections.new("Settle")
    world.collection[MARK] = True
    world.point_cache.frame_end = FRAMES
    world.substeps_per_frame, world.solver_iterations = 20, 20
    for ground in {id(one): one for one in chosen.grounds.values()}.values():
        flat = ground.surface.corners.reshape(-1, 3)
        _add(scene, "Ground", _mesh(flat, np.arange(len(flat)).reshape(-1, 3)), Matrix(), "PASSIVE", "MESH")
    bodies = made.bodies
    shapes = [one.footprint for one in found.found]
    meshes = [_hulls(one) for one in shapes]
    reach = np.array([np.abs(one.box).max() for one in shapes])[bodies.asset] * bodies.scale
    near = np.unique(near_pairs(bodies.position[rows], reach[rows] + NEAR_M, bodies.position, reach)[1])
    items, falls = {}, set(rows.tolist())
    for row in np.union1d(near, rows).tolist():
        shape, scale = shapes[bodies.asset[row]], bodies.scale[row]
        bury = chosen.recipe.layers[made.layer[row]].bury
        up = (PRESS + bury) * shape.height * scale + CLEAR_M + fall[row] if row in falls else 0.0
        place = bodies.position[row] + bodies.rotation[row] @ (shape.box.mean(0) * scale + (0.0, 0.0, up))
        matrix = Matrix.Translation(place.tolist()) @ Matrix(bodies.rotation[row].tolist()).to_4x4() @ Matrix.Scale(scale, 4)
        kind, form = ("ACTIVE", "CONVEX_HULL" if len(shape.hulls) == 1 else "MESH") if row in falls else ("PASSIVE", "MESH")
        items[row] = _add(scene, "Thing", meshes[bodies.asset[row]], matrix, kind, form)
    return scene, [items[row] for row in rows.tolist()]


def _hulls(shape: Footprint) -> bpy.types.Mesh:
    """A mesh of an asset's hulls, its middle at the origin: that is where Blender takes its weight to be."""
    side = np.arange(SIDES)
    faces = [*np.stack([side, (side + 1) % SIDES, (side + 1) % SIDES + SIDES, side + SIDES], 1).tolist()]
    faces += [side[::-1].tolist(), (side + SIDES).tolist()]
    points = shape.hulls.reshape(-1, 3) - shape.box.mean(0)
    return _mesh(points, [[n + 2 * SIDES * part for n in face] for part in range(len(shape.hulls)) for face in faces])


def _mesh(points: np.ndarray, faces) -> bpy.types.Mesh:
    mesh = bpy.data.meshes.new("Settle")
    mesh[MARK] = True
    mesh.from_pydata(points, [], faces)
    return mesh


def _add(scene, name: str, mesh: bpy.types.Mesh, matrix: Matrix, kind: str, form: str) -> bpy.types.Object:
    """An object in the scene and among its rigid bodies."""
    item = bpy.data.objects.new(name, mesh)
    item[MARK], item.matrix_world = True, matrix
    scene.collection.objects.link(item)
    scene.rigidbody_world.collection.objects.link(item)  # makes it a rigid body
    body = item.rigid_body
    body.type, body.collision_shape, body.friction, body.restitution = kind, form, 0.8, 0.0
    body.use_margin, body.collision_margin = True, MARGIN_M
    body.linear_damping, body.angular_damping = 0.1, 0.3
    return item


def _moved(chosen: "Plan", found: Assets, made: layout.Layout, rows: np.ndarray, matrices: np.ndarray) -> layout.Layout:
    """The layout with what has fallen where it lies now; what fell off an edge stays where it was."""
    lowest = min(float(ground.surface.box[0, 2]) for ground in chosen.grounds.values())
    lies = np.isfinite(matrices).all((1, 2)) & (matrices[:, 2, 3] > lowest - LOST_M)
    rows, matrices = rows[lies], matrices[lies]
    bodies = replace(made.bodies, position=made.bodies.position.copy(), rotation=made.bodies.rotation.copy())
    turns = matrices[:, :3, :3] / np.linalg.norm(matrices[:, :3, :3], axis=1, keepdims=True)
    middles = np.array([one.footprint.box.mean(0) for one in found.found])[bodies.asset[rows]] * bodies.scale[rows, None]
    bodies.position[rows] = np.round(matrices[:, :3, 3] - turned(turns, middles[:, None])[:, 0], 6)
    bodies.rotation[rows] = turns
    lost = int((~lies).sum())
    notes = [f"{lost:,} objects fell off the ground; they stand where they were."] if lost else []
    return replace(made, bodies=bodies, notes=[*made.notes, *notes])


def clear() -> None:
    """Remove all that was made for it, also what an undo has brought back."""
    for scene in [one for one in bpy.data.scenes if MARK in one]:
        bpy.data.scenes.remove(scene)
    kinds = (bpy.data.objects, bpy.data.collections, bpy.data.meshes)
    for kind in kinds:
        bpy.data.batch_remove([one for one in kind if MARK in one])
