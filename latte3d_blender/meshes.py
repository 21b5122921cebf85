# SPDX-License-Identifier: GPL-3.0-or-later
"""From the engine's arrays to a Blender mesh and object, straight through the attribute interface.

The engine's frame: Z up, front towards +X, no unit. Blender's: Z up, front towards -Y, metres, origin at the centre of the base.
"""

import json
import re
import tomllib
from functools import cache
from pathlib import Path

import bpy
import numpy as np

from . import materials

NAME_LENGTH = 40


@cache
def version() -> str:
    """The add-on's version, as its manifest says."""
    here = Path(__file__).resolve().parent
    for folder in (here, here.parent):
        if (folder / "blender_manifest.toml").is_file():
            return tomllib.loads((folder / "blender_manifest.toml").read_text("utf-8"))["version"]
    return "0"


def to_blender(vertices: np.ndarray, height_m: float) -> np.ndarray:
    """Turn vertices [V,3] of the engine's frame into metres [V,3] in Blender's, with the origin at the centre of the base."""
    turned = np.stack([vertices[:, 1], -vertices[:, 0], vertices[:, 2]], 1).astype(np.float32)
    low, high = turned.min(0), turned.max(0)
    base = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]], np.float32)
    return (turned - base) * np.float32(height_m / max(high[2] - low[2], 1e-6))


def build_mesh(name: str, vertices: np.ndarray, triangles: np.ndarray, uvs: np.ndarray) -> bpy.types.Mesh:
    """Make a mesh of vertices [V,3], triangles [F,3] and UVs per corner [F,3,2]; smooth shading."""
    corners = np.ascontiguousarray(triangles, np.int32).ravel()
    if len(triangles) == 0 or corners.min() < 0 or corners.max() >= len(vertices) or uvs.shape != (len(triangles), 3, 2):
        raise ValueError("The engine sent a mesh that does not fit together.")
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


def short_name(prompt: str, seed: int) -> str:
    """A readable data-block name: the start of the prompt, at a word's end, and the seed where it is not 0."""
    words = re.sub(r"[\x00-\x1f\x7f]+", " ", prompt).strip() or "Object"
    if len(words) > NAME_LENGTH:
        words = words[: NAME_LENGTH + 1].rsplit(" ", 1)[0][:NAME_LENGTH]
    return f"{words} {seed}" if seed else words


def build_object(item: dict, settings: dict, *, height_m: float = 0.0) -> bpy.types.Object:
    """Build one object of a job's answer (see engine.Job.objects), linked to no collection yet.

    `height_m`: 0 takes the height that the model predicts. The object carries where it comes from as custom properties.
    """
    arrays, name = item["arrays"], short_name(item["prompt"], item["seed"])
    height_m = height_m or item["height_m"]
    mesh = build_mesh(name, to_blender(arrays["vertices"], height_m), arrays["triangles"], arrays["uvs"])
    material = materials.textured_material(name, arrays["base_color"].tobytes(), arrays["metallic_roughness"].tobytes())
    mesh.materials.append(material)
    made = bpy.data.objects.new(name, mesh)
    made["latte3d_prompt"], made["latte3d_seed"], made["latte3d_model"] = item["prompt"], item["seed"], item["model"]
    made["latte3d_settings"] = json.dumps({**settings, "height_m": height_m})
    made["latte3d_notes"], made["latte3d_familiar"] = json.dumps(item.get("notes") or []), bool(item.get("familiar", True))
    made["latte3d_version"] = version()
    write_timings(made, item["timings_ms"])
    return made


def write_timings(made: bpy.types.Object, timings_ms: dict[str, float]) -> None:
    """Write what each stage took into the object's custom property."""
    made["latte3d_timings_ms"] = json.dumps({stage: round(ms, 2) for stage, ms in timings_ms.items()})
