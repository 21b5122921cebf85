# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a windowed Blender: an artist models a mushroom of a cylinder and half a ball, lets it be painted into new UVs and into its own,
takes that back and has it again; UVs that overlap are refused; an object that was made becomes quads, with its texture.

retexture.py -- OUT ENGINE_PYTHON writes pictures and report.json to the folder OUT.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bmesh
import bpy
import steps

OUT, PYTHON, *_ = sys.argv[sys.argv.index("--") + 1 :]
OUT = Path(OUT)
REPORT: dict = {"version": bpy.app.version_string}


def mushroom() -> bpy.types.Object:
    """Modelled by hand, from primitives; faces with many corners, no UVs worth the name."""
    bpy.ops.mesh.primitive_cylinder_add(vertices=32, radius=0.22, depth=0.8, location=(0, 0, 0.4))
    stem = bpy.context.active_object
    bpy.ops.mesh.primitive_uv_sphere_add(segments=48, ring_count=24, radius=0.7, location=(0, 0, 0.75))
    cap, shape = bpy.context.active_object, bmesh.new()
    shape.from_mesh(cap.data)
    bmesh.ops.delete(shape, geom=[vertex for vertex in shape.verts if vertex.co.z < -0.02], context="VERTS")
    bmesh.ops.holes_fill(shape, edges=shape.edges)
    shape.to_mesh(cap.data)
    shape.free()
    stem.select_set(True)
    bpy.ops.object.join()
    cap.name = "By hand"
    bpy.ops.object.shade_smooth_by_angle()
    return cap


def look(item: bpy.types.Object) -> list:
    """Its UV layers, its materials, the mean of its texture."""
    material = item.active_material
    image = next((node.image for node in material.node_tree.nodes if node.label == "Base Color"), None) if material else None
    pixels = image.pixels[:] if image else []
    mean = [round(sum(pixels[c::4]) / (len(pixels) / 4), 3) for c in range(3)] if image else []
    return [[layer.name for layer in item.data.uv_layers], [slot.name for slot in item.material_slots], mean]


def main():
    session = steps.addon("session")
    steps.preferences().engine_python = PYTHON
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    steps.unfolded_draws()
    steps.UNFOLDED.add("latte3d_shape")
    yield from steps.show_tab()
    state = session.SESSION
    yield from steps.until(lambda: state.engine.state in ("READY", "FAILED"), 180)
    with steps.override():
        item = mushroom()
        bpy.ops.view3d.view_selected()
    steps.preferences().frame_new = False
    wanted = bpy.context.scene.latte3d
    wanted.prompt = "a red mushroom with white spots"
    bpy.ops.ed.undo_push(message="Modelled")
    yield 1.5
    REPORT["before"] = look(item)
    steps.picture(OUT / "1-by-hand.png")
    yield from paint(state)
    REPORT["painted"] = look(bpy.data.objects["By hand"])
    steps.picture(OUT / "2-painted.png")
    yield from steps.hover_viewport()
    for shift, name in ((False, "undone"), (True, "redone")):
        yield from steps.key("Z", ctrl=True, shift=shift)
        yield 2.0
        REPORT[name] = look(bpy.data.objects["By hand"])
        steps.picture(OUT / f"3-{name}.png")
    yield from own_uvs(state)
    yield from refused(state)
    yield from quads(state)


def paint(state):
    begun = time.perf_counter()
    with steps.override():
        bpy.ops.latte3d.retexture()
    REPORT["click_ms"] = round(1000 * (time.perf_counter() - begun))
    yield from steps.quiet(state)


def own_uvs(state):
    """Into UVs that the artist has made."""
    item, wanted = bpy.data.objects["By hand"], bpy.context.scene.latte3d
    wanted.prompt, wanted.retexture_uvs = "a brown mushroom", "OWN"
    item.data.uv_layers.active = item.data.uv_layers[0]
    with steps.override():
        bpy.ops.object.mode_set(mode="EDIT")
        bpy.ops.mesh.select_all(action="SELECT")
        bpy.ops.uv.smart_project(island_margin=0.01)
        bpy.ops.object.mode_set(mode="OBJECT")
    yield from paint(state)
    REPORT["own"] = look(bpy.data.objects["By hand"])
    steps.picture(OUT / "4-own-uvs.png")


def refused(state):
    """A cube as Blender makes it is unwrapped; one whose faces all lie on one another is not painted."""
    item = bpy.data.objects["By hand"]
    for corner in item.data.uv_layers.active.uv:
        corner.vector = corner.vector * 0.5 if corner.vector.x < 0.5 else (corner.vector - type(corner.vector)((0.5, 0))) * 0.5
    before = look(item)
    with steps.override():
        bpy.ops.latte3d.retexture()
    yield from steps.until(lambda: state.fault, 60)
    yield 1.0
    REPORT["refused"] = [str(state.fault), look(item) == before]
    steps.picture(OUT / "5-refused.png")


def quads(state):
    """A second Blender makes them while this one can be used; one undo step brings the triangles back."""
    bpy.data.objects.remove(bpy.data.objects["By hand"])
    wanted, running = bpy.context.scene.latte3d, steps.addon("quads")
    wanted.prompt = "a red mushroom with white spots"
    steps.preferences().frame_new = True
    with steps.override():
        bpy.ops.latte3d.generate()
    yield from steps.quiet(state)
    name = bpy.context.view_layer.objects.active.name
    steps.picture(OUT / "6-triangles.png")
    with steps.override():
        bpy.ops.latte3d.quad_remesh(faces=3000)
    yield from steps.until(lambda: running.RUN is None, 120)
    yield from steps.quiet(state)
    item = bpy.data.objects[name]
    REPORT["quads"] = [sum(len(face.vertices) == 4 for face in item.data.polygons), len(item.data.polygons), look(item)]
    area, _ = steps.viewport()
    area.spaces.active.overlay.show_wireframes = True
    yield 1.0
    steps.picture(OUT / "7-quads.png")
    area.spaces.active.overlay.show_wireframes = False
    yield from steps.hover_viewport()
    yield from steps.key("Z", ctrl=True)
    yield 2.0
    item = bpy.data.objects[name]
    REPORT["triangles_again"] = [sum(len(face.vertices) == 3 for face in item.data.polygons), len(item.data.polygons), look(item)]


steps.run(main(), REPORT, OUT / "report.json")
