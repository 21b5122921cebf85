# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody's own mesh as the engine takes it to be painted, and the look that comes back put on it: UVs, images, a material."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import bpy
import numpy as np
from mathutils import Matrix

from ..client.guide import Guide, check_triangles, hash_of
from ..client.job import Result
from . import materials, origin
from .mesh_data import corners_of, places_of, triangles_of, values
from .meshes import short_name
from .sampling import to_engine

LAYER = "LATTE3D"  # the UV layer of what is painted into new UVs
MOST = 8  # UV layers of a mesh
CHANGED = "Its mesh was changed meanwhile."
EDGE = math.radians(45)  # quads that meet at more are shaded sharp


@dataclass(frozen=True, eq=False)
class Target:
    """A mesh that is being painted. item: the session_uid of its object; loops [F, 3]: the corners of the mesh that make each triangle;
    before: what it is now, as `state` says it; layer: the UV layer that it is painted into; "": new UVs. turn: as `read` takes it; None:
    it was painted in the engine's own frame. remeshed: a mesh that takes the place of the object's own, as quad_program.py writes it.
    note: what the artist should know."""

    item: int
    loops: np.ndarray
    before: str
    layer: str = ""
    turn: int | None = 0
    remeshed: dict[str, np.ndarray] | None = None
    note: str = ""


def reason(item: bpy.types.Object | None) -> str:
    """Why an object cannot be painted; nothing where it can."""
    if item is None or item.type != "MESH":
        return "Select an object with a mesh first"
    if item.library or item.data.library:
        return "This object belongs to another file: make it local first"
    if item.override_library or item.data.override_library:
        return "This object overrides one of another file: make it local first"
    return "" if len(item.data.polygons) else "This object's mesh has no faces"


def lost(item: bpy.types.Object) -> str:
    """What an object would lose with its mesh, and why that is not replaced; nothing where it can be."""
    if item.data.shape_keys:
        return "Its shape keys would be lost: remove them first"
    return "Vertex groups would be lost with its triangles: remove them first" if item.vertex_groups else ""


def read(
    context: bpy.types.Context, item: bpy.types.Object, *, own: bool = False, turn: int = 0
) -> tuple[dict[str, np.ndarray], Target]:
    """An object's mesh as the engine takes it (core/canvas.py), as it stands in the world but for its turn about the vertical; and what
    the answer is put on.

    own: into its active UV layer, else into new UVs. turn: quarters by which its front is turned away from -Y, to the right. Where
    modifiers leave its faces as they are, their shape counts; else only how large they make it. Raises ValueError with a sentence, and
    EngineFault where there is too much of it.
    """
    check_triangles(len(item.data.loops) - 2 * len(item.data.polygons))
    mesh, layer = item.data, item.data.uv_layers.active
    if own and layer is None:
        raise ValueError("It has no UVs. Choose New UVs.")
    if not own and LAYER not in mesh.uv_layers and len(mesh.uv_layers) >= MOST:
        raise ValueError("It has eight UV layers, as many as Blender allows. Remove one, or choose Own UVs.")
    turned = _upright(item, turn)
    corners, (loops, faces) = corners_of(mesh), triangles_of(mesh)
    shaped, shape = _evaluated(context, item, corners)
    places = shape if shaped else places_of(mesh)
    if turned.is_negative:  # a mirrored object's triangles turn over
        loops = loops[:, ::-1]
    arrays = {"vertices": _moved(places, turned), "triangles": corners[0][loops], "faces": faces}
    if not np.isfinite(arrays["vertices"]).all():
        raise ValueError("Its vertices have no finite places.")
    if not shaped and len(shape):
        moved = _moved(shape, turned)
        arrays["box"] = np.stack((moved.min(0), moved.max(0)))
    if own:
        arrays["uvs"] = values(layer.uv, "vector", 2)[loops]
    note = "" if shaped else "Its modifiers change its faces: the mesh below them is painted"
    return arrays, Target(item.session_uid, loops, hash_of(*corners), layer.name if own else "", turn, note=note)


def read_remeshed(item: bpy.types.Object, made: dict[str, np.ndarray], turn: int | None) -> tuple[dict[str, np.ndarray], Target]:
    """A mesh that shall take the place of an object's own, as `read` gives it: it lies in the same box. turn: None for an object that was
    made here, whose mesh stands in the engine's frame as it is. Raises EngineFault as `read` does."""
    check_triangles(len(made["corners"]) - 2 * len(made["starts"]))
    matrix, old, mesh = Matrix() if turn is None else _upright(item, turn), item.data, _mesh_of("Quads", made)
    try:
        loops, faces = triangles_of(mesh)
    finally:
        bpy.data.meshes.remove(mesh)
    loops = loops[:, ::-1] if matrix.is_negative else loops
    own = _moved(places_of(old), matrix)
    arrays = {"vertices": _moved(made["vertices"], matrix), "triangles": made["corners"][loops], "faces": faces}
    arrays["box"] = np.stack((own.min(0), own.max(0)))
    return arrays, Target(item.session_uid, loops, state(old), turn=turn, remeshed=made)


def _mesh_of(name: str, made: dict[str, np.ndarray]) -> bpy.types.Mesh:
    """A mesh of vertices, corners and starts, smooth but for its edges."""
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(made["vertices"]))
    mesh.loops.add(len(made["corners"]))
    mesh.polygons.add(len(made["starts"]))
    mesh.vertices.foreach_set("co", made["vertices"].ravel())
    mesh.loops.foreach_set("vertex_index", made["corners"])
    mesh.polygons.foreach_set("loop_start", made["starts"])
    mesh.update(calc_edges=True)
    mesh.shade_smooth()
    mesh.set_sharp_from_angle(angle=EDGE)
    return mesh


def _upright(item: bpy.types.Object, turn: int) -> Matrix:
    """An object's place in the world without its turn about the vertical, and turned so that its front is the engine's."""
    return Matrix.Rotation(-item.matrix_world.to_euler("XYZ").z - turn * math.pi / 2, 4, "Z") @ item.matrix_world


def state(mesh: bpy.types.Mesh, *, places: bool = True) -> str:
    """A short text that stands for a mesh: its faces, on which a texture's UVs depend, and where its vertices are."""
    return hash_of(*corners_of(mesh), *([places_of(mesh)] if places else []))


def _evaluated(context: bpy.types.Context, item: bpy.types.Object, corners: tuple[np.ndarray, np.ndarray]) -> tuple[bool, np.ndarray]:
    """Whether an object's modifiers leave its faces, which have these corners, as they are, and the places [V, 3] of the vertices that they
    make."""
    if not item.modifiers and not item.data.shape_keys:
        return True, places_of(item.data)
    evaluated = item.evaluated_get(context.evaluated_depsgraph_get())
    mesh = evaluated.to_mesh()
    try:
        return all(map(np.array_equal, corners_of(mesh), corners)), places_of(mesh)
    finally:
        evaluated.to_mesh_clear()


def _moved(places: np.ndarray, matrix: Matrix) -> np.ndarray:
    """Places [V, 3] moved by a matrix, in the engine's axes."""
    axes = to_engine(np.array(matrix)[:3].T)  # where each goes, and the origin
    return (places @ axes[:3] + axes[3]).astype(np.float32)


def find(target: Target) -> bpy.types.Object:
    """The object that is to be painted. Raises ValueError where it is gone, or is another now."""
    item = unchanged(target.item, target.before, replaced=target.remeshed is not None)
    if item.data.is_editmode:  # in another scene's window: Blender would neither take a mesh nor UVs
        why = "Switch to Object Mode first"
        raise ValueError(f"{why}.")
    layers = item.data.uv_layers
    if not (target.layer in layers if target.layer else LAYER in layers or len(layers) < MOST):
        raise ValueError(CHANGED)
    return item


def unchanged(uid: int, before: str, *, replaced: bool = True) -> bpy.types.Object:
    """The object with this session_uid, whose mesh is what it was `before`. replaced: that mesh goes, with all that it has, so that its
    vertices must not have moved. Raises ValueError where it is another now."""
    item = next((item for item in bpy.data.objects if item.session_uid == uid), None)
    if item is None:
        raise ValueError("The object was deleted meanwhile.")
    if item.type != "MESH":
        raise ValueError("The object is no mesh any more.")
    if why := reason(item) or (lost(item) if replaced else ""):
        raise ValueError(f"{why}.")
    if state(item.data, places=replaced) != before:
        raise ValueError(CHANGED)
    return item


def put_on(result: Result) -> bpy.types.Object:
    """Give a mesh the UVs and the look of a result; returns its object. A mesh that other objects use too becomes its own. All its faces
    get the one new material; those that it had stay in the file. Raises ValueError where that cannot be."""
    target: Target = result.place.paints
    item, sent = find(target), result.arrays["uvs"]
    if sent.shape != (*target.loops.shape, 2):
        raise ValueError("The engine sent UVs of another mesh.")
    material = materials.textured_material(result, partial(short_name, result.prompt, result.seed))
    material["latte3d_key"] = result.key
    before = item.data
    if target.remeshed:
        item.data = _mesh_of(before.name, target.remeshed)
        item.data["latte3d_key"] = before.get("latte3d_key", "")  # by which the history knows the object
    elif before.users > 1:
        item.data = before.copy()
    mesh = item.data
    layer = mesh.uv_layers.get(target.layer or LAYER) or mesh.uv_layers.new(name=LAYER, do_init=False)
    if not target.layer:
        uvs = np.zeros((len(mesh.loops), 2), np.float32)
        uvs[target.loops.ravel()] = sent.reshape(-1, 2)
        layer.uv.foreach_set("vector", uvs.ravel())
    layer = mesh.uv_layers[layer.name]
    layer.active = layer.active_render = True
    _only(item, material)
    if target.turn is not None:
        item["latte3d_texture"] = json.dumps(_facts(result, target.turn), ensure_ascii=False)
    if target.remeshed:
        item.color = material.diffuse_color
        for old in filter(None, before.materials):
            if "latte3d_key" not in old and not old.library:
                old.use_fake_user = True  # the artist's own
        origin.forget_unused(before)
        mesh.name = mesh.name.removesuffix(".001")
    mesh.update()
    return item


def _facts(result: Result, turn: int) -> dict:
    """Where a texture comes from, for the object to carry; `about` reads it."""
    blend = {"blend": list(result.guide.blend)} if result.guide and result.guide.blend else {}
    made = {"prompt": result.prompt, "seed": result.seed, "style": result.style, "model": result.fields["model"]}
    return made | {"settings": result.settings, "turn": turn} | blend


def about(item: bpy.types.Object | None) -> dict | None:
    """What the texture of an object that was painted here is made of: prompt, seed, style, model, settings, guide, and turn as `read` takes
    it; None for others, and where somebody has changed it."""
    try:
        found = json.loads(item["latte3d_texture"])
        kinds = {"prompt": str, "seed": int, "model": str, "settings": dict, "turn": int}
        if not all(isinstance(found[name], kind) for name, kind in kinds.items()):
            return None
        return {name: found[name] for name in kinds} | {"style": found.get("style"), "guide": Guide.of(found, {})}
    except (TypeError, KeyError, ValueError, IndexError):
        return None


def _only(item: bpy.types.Object, material: bpy.types.Material) -> None:
    """Let a material be the only one of an object. What it had before stays in the file; what was painted before goes, if nothing else
    uses it."""
    mesh = item.data
    before: Sequence = [slot.material for slot in item.material_slots if slot.material] + [one for one in mesh.materials if one]
    mesh.materials.clear()
    mesh.materials.append(material)
    item.material_slots[0].link = "DATA"
    item.active_material_index = 0
    mesh.polygons.foreach_set("material_index", np.zeros(len(mesh.polygons), np.int32))
    for old in dict.fromkeys(before):
        if old.library or old.users:
            continue
        if "latte3d_key" not in old:
            old.use_fake_user = True
            continue
        images = materials.images(old).values()
        bpy.data.materials.remove(old)
        bpy.data.batch_remove([image for image in images if not image.users])
