# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a windowed Blender: type a prompt, click Generate, look at the object, undo it, bring it back.

generate.py -- OUT ENGINE_PYTHON [MODEL] writes pictures and report.json to the folder OUT.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bpy
import steps

OUT, PYTHON, *MODEL = sys.argv[sys.argv.index("--") + 1 :]
OUT = Path(OUT)
PROMPT = "a red mushroom with white spots"
FIELD, BUTTON = ((120, 45), (120, 103)) if bpy.app.version < (5, 2) else ((120, 45), (120, 131))  # in the sidebar; 5.2 has a larger field
REPORT: dict = {"version": bpy.app.version_string}


def generated() -> list[str]:
    return [item.name for item in bpy.data.objects if "latte3d_prompt" in item]


def texture() -> dict:
    """What the object's texture holds: packed bytes, size, mean and deviation of its pixels."""
    item = bpy.data.objects[generated()[0]]
    image = next(node.image for node in item.active_material.node_tree.nodes if node.label == "Base Color")
    pixels = image.pixels[:]
    return {"packed": image.packed_file.size, "size": list(image.size), "mean": [sum(pixels[c::4]) / (len(pixels) / 4) for c in range(3)]}


def main():
    chosen = steps.preferences()
    chosen.engine_python, chosen.model_folder = PYTHON, MODEL[0] if MODEL else ""
    bpy.ops.object.select_all(action="SELECT")
    bpy.ops.object.delete()
    bpy.ops.ed.undo_push(message="Empty scene")
    REPORT["before"] = len(bpy.data.objects)
    yield from steps.show_tab()
    steps.picture(OUT / "1-starting.png")
    session = steps.addon("jobs").SESSION
    yield from steps.until(lambda: session.engine.state in ("READY", "FAILED"), 120)
    REPORT["state"], REPORT["cold_start_s"] = session.engine.state, session.engine.cold_start_s
    yield from steps.click(*FIELD)
    yield from steps.write(PROMPT)
    yield 0.5
    steps.picture(OUT / "2-typed.png")
    yield from steps.key("RET", ctrl=bpy.app.version >= (5, 2))  # a field of several lines keeps plain Enter for itself
    REPORT["prompt"] = bpy.context.scene.latte3d.prompt
    yield 0.5
    steps.picture(OUT / "3-ready.png")
    yield from steps.click(*BUTTON)
    began = time.monotonic()
    while not generated() and time.monotonic() - began < 60 and not session.fault:
        if session.running and session.running.stage not in ("", "text") and "progress" not in REPORT:
            REPORT["progress"] = session.running.stage
            steps.picture(OUT / "4-progress.png")
        yield 0.05
    REPORT["generated"], REPORT["last"] = generated(), session.last
    REPORT["fault"] = str(session.fault or "")
    if generated():
        yield from look_and_undo()


def look_and_undo():
    item = bpy.data.objects[generated()[0]]
    REPORT["active"], REPORT["selected"] = bpy.context.view_layer.objects.active == item, item.select_get()
    REPORT["dimensions"], REPORT["location"] = list(item.dimensions), list(item.location)
    REPORT["low"] = min(corner[2] for corner in item.bound_box)
    REPORT["texture"] = texture()
    area, _ = steps.viewport()
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=steps.window(), area=area, region=region):
        bpy.ops.view3d.view_selected()
    yield 1.5
    steps.picture(OUT / "5-object.png")
    yield from steps.hover_viewport()
    for shift, name in ((False, "undone"), (True, "redone")):
        yield from steps.key("Z", ctrl=True, shift=shift)
        yield 2.0
        REPORT[name] = {"generated": generated(), "objects": len(bpy.data.objects)}
        steps.picture(OUT / f"6-{name}.png")
    REPORT["redone"]["texture"] = texture()


steps.run(main(), REPORT, OUT / "report.json")
