# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a windowed Blender, from the factory scene, as a new artist would: see the first object, undo it, make a second one, choose a
detail, be asked before debris, and find the same by the Add menu and by searching.

generate.py -- OUT ENGINE_PYTHON [MODEL] writes pictures and report.json to the folder OUT.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bpy
import steps
from bpy_extras.view3d_utils import location_3d_to_region_2d
from mathutils import Vector

OUT, PYTHON, *MODEL = sys.argv[sys.argv.index("--") + 1 :]
OUT = Path(OUT)
PROMPT, UNKNOWN = "a red mushroom with white spots", "a dragon"
NEW = bpy.app.version >= (5, 2)  # has a larger field for the prompt
FIELD, DETAIL, BUTTON, THING = (  # in the sidebar: pixels from its upper left corner
    ((120, 45), (150, 100), (120, 157), (75, 338)) if NEW else ((120, 45), (150, 73), (120, 129), (75, 310))
)
REPORT: dict = {"version": bpy.app.version_string}


def generated() -> list[str]:
    """The objects that were made here, in the order in which they came."""
    return [item.name for item in bpy.data.objects if "latte3d_prompt" in item]


def texture(name: str) -> dict:
    """What the object's texture holds: packed bytes, size, mean and deviation of its pixels."""
    item = bpy.data.objects[name]
    image = next(node.image for node in item.active_material.node_tree.nodes if node.label == "Base Color")
    pixels = image.pixels[:]
    return {"packed": image.packed_file.size, "size": list(image.size), "mean": [sum(pixels[c::4]) / (len(pixels) / 4) for c in range(3)]}


def box(item: bpy.types.Object) -> list[list[float]]:
    """Its bounding box in the world: the lowest and the highest corner."""
    corners = [item.matrix_world @ Vector(corner) for corner in item.bound_box]
    return [[pick(corner[axis] for corner in corners) for axis in range(3)] for pick in (min, max)]


def seen(item: bpy.types.Object) -> dict:
    """How an object shows in the viewport: its larger extent in pixels, whether all of it is inside, what the eye meets first."""
    area, _ = steps.viewport()
    region, view = next(region for region in area.regions if region.type == "WINDOW"), area.spaces.active.region_3d
    places = [location_3d_to_region_2d(region, view, item.matrix_world @ Vector(corner)) for corner in item.bound_box]
    across, up = ([place[axis] for place in places if place] for axis in (0, 1))
    inside = len(across) == 8 and min(across) >= 0 and max(across) <= region.width and min(up) >= 0 and max(up) <= region.height
    eye, (low, high) = view.view_matrix.inverted().translation, map(Vector, box(item))
    middle = (low + high) / 2
    hit = bpy.context.scene.ray_cast(steps.window().view_layer.depsgraph, eye, middle - eye)
    extent = max(max(across) - min(across), max(up) - min(up)) if across else 0
    return {"pixels": extent, "inside": inside, "meets": hit[4].name if hit[0] else item.name, "box": box(item)}


def made(session, count: int, seconds: float = 60.0):
    """Wait until there are so many objects, and the view has come to rest."""
    end = time.monotonic() + seconds
    while len(generated()) < count and not session.fault:
        if time.monotonic() > end:
            raise TimeoutError(f"{len(generated())} of {count} objects after {seconds} s")
        if session.running and session.running.stage not in ("", "text") and "progress" not in REPORT:
            REPORT["progress"] = session.running.stage
            steps.picture(OUT / "4-progress.png")
        yield 0.05
    REPORT["fault"] = str(session.fault or "")
    yield 1.5


def main():
    chosen = steps.preferences()
    chosen.engine_python, chosen.model_folder = PYTHON, MODEL[0] if MODEL else ""
    REPORT["before"] = sorted(bpy.data.objects.keys())  # the cube that everybody starts with stays
    bpy.ops.ed.undo_push(message="Start")
    yield from steps.show_tab()
    steps.picture(OUT / "1-starting.png")
    session = steps.addon("session").SESSION
    yield from steps.until(lambda: session.engine.state in ("READY", "FAILED"), 120)
    REPORT["state"], REPORT["cold_start_s"] = session.engine.state, session.engine.cold_start_s
    for part in (first_click, undo, second_click, detail, question, add_menu, search, new_seed_here):
        yield from part(session)


def first_click(session):
    yield from steps.click(*FIELD)
    yield from steps.write(PROMPT)
    yield 0.5
    steps.picture(OUT / "2-typed.png")
    yield from steps.key("RET", ctrl=NEW)  # a field of several lines keeps plain Enter for itself
    REPORT["prompt"] = bpy.context.scene.latte3d.prompt
    yield 0.5
    steps.picture(OUT / "3-ready.png")
    yield from steps.click(*BUTTON)
    yield from made(session, 1)
    item = bpy.data.objects[generated()[0]]
    REPORT["generated"], REPORT["total_ms"] = generated(), session.last.total_ms
    REPORT["active"], REPORT["selected"] = bpy.context.view_layer.objects.active == item, item.select_get()
    REPORT["triangles"], REPORT["texture"] = len(item.data.polygons), texture(item.name)
    REPORT["first"], REPORT["cube"] = seen(item), box(bpy.data.objects["Cube"])
    steps.picture(OUT / "5-object.png")


def undo(session):
    yield from steps.hover_viewport()
    for shift, name in ((False, "undone"), (True, "redone")):
        yield from steps.key("Z", ctrl=True, shift=shift)
        yield 2.0
        REPORT[name] = {"generated": generated(), "objects": sorted(bpy.data.objects.keys())}
        steps.picture(OUT / f"6-{name}.png")
    REPORT["redone"]["texture"] = texture(generated()[0])


def second_click(session):
    before = generated()
    yield from steps.click(*BUTTON)
    yield from made(session, 2)
    old, new = bpy.data.objects[before[0]], bpy.context.view_layer.objects.active
    REPORT["second"], REPORT["first_again"] = seen(new), box(old)
    REPORT["shared"] = old.data == new.data and old != new
    steps.picture(OUT / "7-second.png")


def detail(session):
    yield from steps.click(*DETAIL)
    yield 0.5
    steps.picture(OUT / "8-details.png")
    yield from steps.key("D")  # raft
    yield 0.5
    REPORT["detail"] = bpy.context.scene.latte3d.detail
    yield from steps.click(*BUTTON)
    yield from made(session, 3)
    REPORT["draft_triangles"] = len(bpy.context.view_layer.objects.active.data.polygons)
    steps.picture(OUT / "9-draft.png")


def question(session):
    bpy.context.scene.latte3d.prompt = UNKNOWN
    yield 0.5
    yield from steps.click(*BUTTON)
    yield from steps.until(lambda: session.question or session.fault)
    yield 1.0
    steps.picture(OUT / "10-question.png")
    REPORT["question"] = {"things": session.question.things, "generated": len(generated()), "fault": str(session.fault or "")}
    yield from steps.click(*THING)
    yield from made(session, 4)
    REPORT["instead"] = bpy.context.scene.latte3d.prompt
    steps.picture(OUT / "11-instead.png")


def add_menu(session):
    yield from steps.hover_viewport()
    yield from steps.key("A", shift=True)
    yield 0.5
    yield from steps.write("from prompt")  # the menu narrows down to what is typed
    yield 0.5
    steps.picture(OUT / "12-add-menu.png")
    yield from steps.key("RET")
    yield 0.7
    yield from steps.key("A", ctrl=True)
    yield from steps.write("a blue car")
    steps.picture(OUT / "13-popup.png")
    yield from steps.key("RET")
    yield 0.3
    yield from steps.key("RET")
    yield from made(session, 5)
    REPORT["popup"] = bpy.context.view_layer.objects.active["latte3d_prompt"]


def search(session):
    """F3 opens the popup by each of the words that people type."""
    panels, opened = steps.addon("panels.main"), []
    draw = panels.draw_popup
    panels.draw_popup = lambda layout, context: (opened.append(1), draw(layout, context))
    for words in ("generate", "prompt", "text to 3d"):
        opened.clear()
        yield from steps.hover_viewport()
        yield from steps.key("F3")
        yield 0.5
        yield from steps.write(words)
        yield 1.0
        steps.picture(OUT / f"14-search-{words.replace(' ', '-')}.png")
        yield from steps.key("RET")
        yield 0.7
        REPORT.setdefault("searched", {})[words] = bool(opened)
        for _ in range(2):  # out of the field, out of the popup
            yield from steps.key("ESC")
            yield 0.3
    panels.draw_popup = draw


def new_seed_here(session):
    """Another object takes the place of the active one, and one undo step brings that back."""

    def state() -> list:
        item = bpy.context.view_layer.objects.active
        return [item["latte3d_seed"], len(generated()), [round(x, 4) for x in item.location]]

    REPORT["here"] = [state()]
    with steps.override():
        bpy.ops.latte3d.new_seed_here()
    yield from steps.until(lambda: not (session.running or session.to_place))
    yield 1.0
    REPORT["here"].append(state())
    steps.picture(OUT / "15-new-seed-here.png")
    yield from steps.hover_viewport()
    yield from steps.key("Z", ctrl=True)
    yield 1.5
    REPORT["here"].append(state())


steps.run(main(), REPORT, OUT / "report.json")
