# SPDX-License-Identifier: GPL-3.0-or-later
"""From the engine's arrays to a Blender mesh and object, straight through the attribute interface.

The engine's frame: Z up, front towards +X, no unit. Blender's: Z up, front towards -Y, metres, origin at the centre of the base.
"""

import json
import tomllib
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path

import bpy
import numpy as np

from ..client.job import Result
from . import materials

NAME_LENGTH = 40  # characters of a prompt in a data-block's name
NAME_BYTES = 63 - 4  # what every supported Blender keeps of a name in UTF-8, less the ".001" that it may append
ATTRIBUTES = {"use_edge_sharp": ("sharp_edge",), "use_seam": ("uv_seam", ".uv_seam")}  # by the version of Blender
MISFIT = "The engine sent a mesh that does not fit together."


@cache
def version() -> str:
    """The add-on's version, as its manifest says."""
    here = Path(__file__).resolve().parents[1]
    for folder in (here, here.parent):
        if (folder / "blender_manifest.toml").is_file():
            return tomllib.loads((folder / "blender_manifest.toml").read_text("utf-8"))["version"]
    return "0"


def to_blender(vertices: np.ndarray, height: float) -> np.ndarray:
    """Turn vertices [V,3] of the engine's frame into Blender's, as high as `height` says, with the origin at the centre of the base."""
    turned = np.stack([vertices[:, 1], -vertices[:, 0], vertices[:, 2]], 1).astype(np.float32)
    low, high = turned.min(0), turned.max(0)
    base = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]], np.float32)
    return (turned - base) * np.float32(height / max(high[2] - low[2], 1e-6))


def build_mesh(name: str, vertices: np.ndarray, triangles: np.ndarray, uvs: np.ndarray) -> bpy.types.Mesh:
    """Make a mesh of vertices [V,3], triangles [F,3] and UVs per corner [F,3,2]; smooth shading. Raises ValueError for what is none."""
    corners = np.ascontiguousarray(triangles, np.int32).ravel()
    if corners.size == 0 or corners.min() < 0 or corners.max() >= len(vertices) or uvs.shape != (len(triangles), 3, 2):
        raise ValueError(MISFIT)
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(vertices))
    mesh.loops.add(len(corners))
    mesh.polygons.add(len(triangles))
    mesh.attributes["position"].data.foreach_set("vector", np.ascontiguousarray(vertices, np.float32).ravel())
    mesh.attributes[".corner_vert"].data.foreach_set("value", corners)
    mesh.polygons.foreach_set("loop_start", np.arange(0, len(corners), 3, dtype=np.int32))
    layer = mesh.uv_layers.new(name="UVMap", do_init=False)
    layer.uv.foreach_set("vector", np.ascontiguousarray(uvs, np.float32).ravel())
    mesh.update(calc_edges=True)
    mesh.shade_smooth()
    return mesh


def mark_edges(mesh: bpy.types.Mesh, **marks: np.ndarray | None) -> None:
    """Mark edges, given as vertex pairs [E,2]: `use_edge_sharp`, `use_seam`. Pairs that are no edge are ignored; none may be given."""
    marks = {name: pairs for name, pairs in marks.items() if pairs is not None and len(pairs)}
    if not marks:
        return
    count, ends = len(mesh.vertices), np.empty((len(mesh.edges), 2), np.int32)
    mesh.attributes[".edge_verts"].data.foreach_get("value", ends.ravel())
    for name, pairs in marks.items():
        if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.min() < 0 or pairs.max() >= count:
            raise ValueError(MISFIT)
        touched = np.zeros(count, bool)
        touched[pairs] = True
        found = np.flatnonzero(touched[ends[:, 0]] & touched[ends[:, 1]])  # few are left to be looked up
        wanted, edges = np.sort(_keys(pairs, count)), _keys(ends[found], count)
        marked = np.zeros(len(ends), bool)
        marked[found] = wanted[np.minimum(np.searchsorted(wanted, edges), len(wanted) - 1)] == edges
        setattr(mesh.edges[0], name, True)  # makes the attribute; to fill it directly takes a hundredth of the time
        next(mesh.attributes[one] for one in ATTRIBUTES[name] if one in mesh.attributes).data.foreach_set("value", marked)


def _keys(pairs: np.ndarray, count: int) -> np.ndarray:
    """One number [E] for each pair [E,2] of `count` vertices, whichever comes first."""
    first, second = pairs[:, 0].astype(np.int64), pairs[:, 1]
    return np.minimum(first, second) * count + np.maximum(first, second)


def short_name(prompt: str, seed: int, suffix: str = "", length: int = NAME_LENGTH) -> str:
    """A data-block's name: the start of the prompt in its own script, cut at a word's end, the seed where it is not 0, and a suffix.

    It is short enough that no version of Blender cuts it, in the middle of a character or before the seed.
    """
    plain = (" " if unicodedata.category(sign) in ("Cc", "Zl", "Zp") else sign for sign in unicodedata.normalize("NFC", prompt))
    kept = "".join(sign for sign in plain if sign in "\u200c\u200d" or unicodedata.category(sign) not in ("Cf", "Cs", "Cn"))
    words, end = " ".join(kept.split()) or "Object", (f" {seed}" if seed else "") + suffix
    room = NAME_BYTES - len(end.encode())
    length = min(len(words), length)
    while len(words[:length].encode()) > room:
        length -= 1
    if length < len(words):
        while length > 1 and (_continues(words[length]) or words[length - 1] == "\u200d"):
            length -= 1
        cut = words[: length + 1].rsplit(" ", 1)[0]
        words = cut if len(cut) <= length and len(cut) > length // 2 else words[:length]
    return words.strip() + end


def _continues(sign: str) -> bool:
    """Whether a character belongs to the one before it: an accent, a vowel sign, a part of a picture."""
    return unicodedata.category(sign)[0] == "M" or sign == "\u200d" or "\U0001f3fb" <= sign <= "\U0001f3ff"


@contextmanager
def all_or_nothing() -> Iterator[None]:
    """Whatever data-blocks are made inside are removed again when it fails."""
    kinds = [getattr(bpy.data, name) for name in ("objects", "meshes", "materials", "images", "collections")]
    before = {block.session_uid for kind in kinds for block in kind}
    try:
        yield
    except Exception:
        bpy.data.batch_remove([block for kind in kinds for block in kind if block.session_uid not in before])
        raise


def build_object(result: Result, *, height_m: float = 0.0, unit_m: float = 1.0, smooth: bool = True) -> bpy.types.Object:
    """Build an object that the engine has made, linked to no collection yet.

    `height_m`: 0 takes the height that the model predicts. `unit_m`: metres in a unit of the scene. What an earlier object of the same
    request has and nobody changed is shared: images and material, and the mesh where height and shading are the same. The object carries
    where it comes from as custom properties. Raises ValueError for a result that makes no object.
    """
    fields, arrays, key = result.fields, result.arrays, result.key
    height_m = height_m or fields["height_m"]
    name = partial(short_name, result.prompt, result.seed)
    vertices = to_blender(arrays["vertices"], height_m / unit_m)
    material = next((one for one in _made(bpy.data.materials, key) if materials.is_still(one, result)), None)
    if material is None:
        material = materials.textured_material(result, name)
        material["latte3d_key"] = key
    mesh = next((one for one in _made(bpy.data.meshes, key) if _is_still(one, vertices, arrays, material, smooth)), None)
    if mesh is None:
        mesh = build_mesh(name(), vertices, arrays["triangles"], arrays["uvs"])
        if not smooth:
            mesh.shade_flat()
        mark_edges(mesh, use_edge_sharp=arrays.get("sharp"), use_seam=arrays.get("seams"))
        mesh.materials.append(material)
        mesh["latte3d_key"] = key
    made = bpy.data.objects.new(name(), mesh)
    if fields.get("color"):
        made.color = material.diffuse_color
    _write_origin(made, result, height_m, [round(float(one) * unit_m, 6) for one in np.ptp(vertices, axis=0)])
    return made


def _write_origin(made: bpy.types.Object, result: Result, height_m: float, size_m: list[float]) -> None:
    """Write where an object comes from into its custom properties (`origin.of` reads them)."""
    notes = result.fields.get("notes")
    made["latte3d_prompt"], made["latte3d_seed"], made["latte3d_model"] = result.prompt, result.seed, result.fields["model"]
    if result.style is not None:
        made["latte3d_style"] = [float(number) for number in result.style]
    for name, value in (result.guide.facts if result.guide else {}).items():
        made[f"latte3d_{name}"] = json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value
    made["latte3d_settings"] = json.dumps({**result.settings, "height_m": height_m, "size_m": size_m})
    made["latte3d_version"] = version()
    made["latte3d_familiar"] = bool(result.fields.get("familiar", True))
    made["latte3d_notes"] = json.dumps(notes if isinstance(notes, list) else [], ensure_ascii=False)
    write_timings(made, result.fields["timings_ms"])


def _made(kind, key: str) -> list[bpy.types.ID]:
    """The data-blocks of this file that were made of what `key` stands for."""
    return [one for one in kind if one.get("latte3d_key") == key and not (one.library or one.override_library)]


def _is_still(mesh: bpy.types.Mesh, vertices: np.ndarray, arrays: dict, material: bpy.types.Material, smooth: bool) -> bool:
    """Whether a mesh is what an answer makes, at this size, with this material and shading: nobody has changed it since."""
    triangles, uvs = arrays["triangles"], arrays["uvs"]
    if mesh.is_editmode or mesh.shape_keys or list(mesh.materials) != [material] or len(mesh.uv_layers) != 1:
        return False
    if (len(mesh.vertices), len(mesh.polygons), len(mesh.loops)) != (len(vertices), len(triangles), 3 * len(triangles)):
        return False

    def same(data, name: str, wanted: np.ndarray) -> bool:
        found = np.empty(wanted.size, wanted.dtype)
        data.foreach_get(name, found)
        return np.array_equal(found, wanted.ravel())

    return (
        same(mesh.attributes["position"].data, "vector", vertices.astype(np.float32))
        and same(mesh.attributes[".corner_vert"].data, "value", triangles.astype(np.int32))
        and same(mesh.uv_layers[0].uv, "vector", uvs.astype(np.float32))
        and same(mesh.polygons, "use_smooth", np.full(len(triangles), smooth))
    )


def write_timings(made: bpy.types.Object, timings_ms: dict[str, float]) -> None:
    """Write what each stage took into the object's custom property."""
    made["latte3d_timings_ms"] = json.dumps({stage: round(ms, 2) for stage, ms in timings_ms.items()})
