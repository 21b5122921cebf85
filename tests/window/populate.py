# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a windowed Blender: a layout artist chooses a preset, previews it, populates, cancels, resumes, undoes, converts.

populate.py -- OUT ENGINE_PYTHON [MODEL] writes pictures and report.json to the folder OUT.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bpy
import steps

OUT, PYTHON, *MODEL = sys.argv[sys.argv.index("--") + 1 :]
OUT = Path(OUT)
MAIN, TITLE = (85, 14), (85, 40)  # of the panels: pixels from the sidebar's upper left corner
REPORT: dict = {"version": bpy.app.version_string}


def operate(name: str, *how: str, **properties) -> None:
    """Call one of the add-on's operators as from the viewport."""
    with steps.override():
        getattr(bpy.ops.latte3d, name)(*how, **properties)


def shown() -> dict:
    """How many instances and plain objects stand, and which collections there are."""
    graph = bpy.context.evaluated_depsgraph_get()
    tops = [one.name for one in bpy.context.scene.collection.children if "latte3d_recipe" in one or "latte3d_preview" in one]
    return {"instances": sum(one.is_instance for one in graph.object_instances), "objects": len(bpy.context.scene.objects), "tops": tops}


def ended(state, seconds: float = 240.0):
    """Wait until nothing is on its way; note the longest time that went by between two looks."""
    last = time.monotonic()
    end, longest = last + seconds, 0.0
    while state.work and not state.work.over:
        yield 0.01
        now = time.monotonic()
        longest, last = max(longest, now - last), now
        if now > end:
            raise TimeoutError(f"{state.work.stage} {state.work.done} of {state.work.total}")
    REPORT.setdefault("longest_pause_s", []).append(round(longest, 3))
    REPORT.setdefault("longest_step_s", []).append(round(state.work.longest_s, 3))
    yield 1.5


def main():
    chosen, populating = steps.preferences(), steps.addon("population_session")
    chosen.engine_python, chosen.model_folder = PYTHON, MODEL[0] if MODEL else ""
    populating.library_session.work_folder = lambda name: OUT / "work" / name
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=40, y_subdivisions=40, size=22)
    bpy.context.active_object.name = "Ground"
    area, _ = steps.viewport()
    area.spaces.active.region_3d.view_distance = 22
    bpy.ops.ed.undo_push(message="Start")
    yield from steps.show_tab()
    yield from steps.until(lambda: steps.addon("session").SESSION.engine.state == "READY", 300.0)
    state = populating.STATE
    for part in (preset, preview, populate, cancel, resume, undo, convert):
        yield from part(populating, state)


def preset(populating, state):
    yield from steps.click(*MAIN)  # close what stands above
    steps.picture(OUT / "0-closed.png")
    yield from steps.click(*TITLE)
    yield 0.7
    steps.picture(OUT / "1-empty.png")
    operate("use_recipe", "EXEC_DEFAULT", True, preset="graveyard.json")
    yield from steps.until(lambda: state.looked and not state.changed)
    yield 1.0
    REPORT["ground"] = [one.object.name for one in populating.of(bpy.context.scene).targets]
    REPORT["figures"] = [state.figures.objects, state.figures.kinds, state.figures.missing]
    steps.picture(OUT / "2-preset.png")


def preview(populating, state):
    REPORT["before"] = shown()
    operate("preview_population")
    yield from ended(state)
    REPORT["preview"] = {**shown(), "told": state.result.total if state.result else str(state.fault)}
    steps.picture(OUT / "3-preview.png")


def populate(populating, state):
    operate("populate")
    yield from steps.until(lambda: state.work.total and state.work.done >= 4, 240.0)
    yield 0.5
    steps.picture(OUT / "4-populating.png")


def cancel(populating, state):
    operate("cancel_population")
    yield from steps.until(lambda: state.looked and not state.changed)
    yield 1.0
    REPORT["cancelled"] = {**shown(), "kept": state.figures.kept, "missing": state.figures.missing}
    steps.picture(OUT / "5-cancelled.png")


def resume(populating, state):
    kept = {path.name for path in state.work.kept.folder.glob("*.latte3d")}
    operate("populate")
    yield from ended(state)
    REPORT["resumed"] = {**shown(), "told": state.result.total if state.result else str(state.fault), "kept": len(kept)}
    REPORT["overlaps"], REPORT["failed"] = state.result.overlaps, state.result.failed
    steps.picture(OUT / "6-populated.png")


def undo(populating, state):
    for shift, name in ((False, "undone"), (True, "redone")):
        yield from steps.hover_viewport()
        yield from steps.key("Z", ctrl=True, shift=shift)
        yield 2.0
        REPORT[name] = shown()
    steps.picture(OUT / "7-redone.png")
    REPORT["rerolled"] = []
    populating.of(bpy.context.scene).layer = 3
    operate("reroll_layer")
    yield from ended(state)
    REPORT["rerolled"].append({**shown(), "seed": populating.of(bpy.context.scene).layers[3].seed})
    yield from steps.hover_viewport()
    yield from steps.key("Z", ctrl=True)
    yield 2.0
    REPORT["rerolled"].append({**shown(), "seed": populating.of(bpy.context.scene).layers[3].seed})


def convert(populating, state):
    REPORT["converted"] = []
    steps.addon("populate.scatter").AT_ONCE = 100  # so many as are made between redraws, and removed later
    for _ in range(2):
        operate("convert_population", "EXEC_DEFAULT", True)
        yield from ended(state)
        yield from steps.until(lambda: not state.sweeping)
        REPORT["converted"].append(shown() | {"left": sum("latte3d_gone" in item for item in bpy.data.objects)})
    yield from steps.hover_viewport()
    yield from steps.key("Z", ctrl=True)
    yield 2.0
    REPORT["converted"].append(shown())
    yield from steps.key("Z", ctrl=True, shift=True)
    yield 2.0
    REPORT["converted"].append(shown())
    wanted = populating.of(bpy.context.scene)
    wanted.use_cap, wanted.layers[0].amount, wanted.layers[0].count = False, "COUNT", 250_000
    yield 1.0
    operate("preview_population")
    yield 1.0
    steps.picture(OUT / "8-question.png")
    REPORT["asked"] = not (state.work and not state.work.over)
    yield from steps.key("ESC")
    operate("clear_population", "EXEC_DEFAULT", True)
    yield 1.0
    REPORT["cleared"] = shown()


steps.run(main(), REPORT, OUT / "report.json")
