# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a Blender of its own, which may take its time: a mesh of triangles becomes one of quads, by Blender's QuadriFlow.

    blender --background --factory-startup --python quad_program.py -- IN.npz OUT.npz FACES

IN: vertices [V, 3] f32, corners [C] i32 (the vertex of each corner, face by face), starts [F] i32 (each face's first corner). OUT: the
same of the quads; or "fault", a sentence, where there are none.
"""

import os
import sys

import bpy
import numpy as np

NO_SOLID = "Its faces have to enclose a solid, all turned outwards"


def remeshed(given, faces: int) -> dict[str, np.ndarray]:
    """About so many quads over the same surface. Raises RuntimeError with Blender's reason."""
    mesh = bpy.data.meshes.new("Mesh")
    mesh.vertices.add(len(given["vertices"]))
    mesh.loops.add(len(given["corners"]))
    mesh.polygons.add(len(given["starts"]))
    mesh.vertices.foreach_set("co", given["vertices"].ravel())
    mesh.loops.foreach_set("vertex_index", given["corners"])
    mesh.polygons.foreach_set("loop_start", given["starts"])
    mesh.update(calc_edges=True)
    item = bpy.data.objects.new("Mesh", mesh)
    bpy.context.scene.collection.objects.link(item)
    bpy.context.view_layer.objects.active = item
    item.select_set(True)
    if bpy.ops.object.quadriflow_remesh(target_faces=faces) != {"FINISHED"}:
        raise RuntimeError(NO_SOLID)
    mesh, made = item.data, {}
    for name, data, what, kind, width in (
        ("vertices", mesh.vertices, "co", np.float32, 3),
        ("corners", mesh.loops, "vertex_index", np.int32, 1),
        ("starts", mesh.polygons, "loop_start", np.int32, 1),
    ):
        made[name] = np.empty(len(data) * width, kind)
        data.foreach_get(what, made[name])
    made["vertices"] = made["vertices"].reshape(-1, 3)
    if np.array_equal(made["vertices"], given["vertices"]):  # Blender 4.2 says FINISHED where it did nothing
        raise RuntimeError(NO_SOLID)
    return made


def main(source: str, target: str, faces: str) -> None:
    try:
        with np.load(source) as given:
            made = remeshed(given, int(faces))
    except RuntimeError as error:
        made = {"fault": np.array(str(error).strip().removeprefix("Error: "))}
    with open(f"{target}.partial", "wb") as file:
        np.savez(file, **made)
    os.replace(f"{target}.partial", target)


if __name__ == "__main__":
    main(*sys.argv[sys.argv.index("--") + 1 :])
