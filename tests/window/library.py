# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a windowed Blender: a technical director adds objects to a library, checks it, trains on it, and closes Blender meanwhile.

library.py -- OUT ENGINE_PYTHON writes pictures and report.json to the folder OUT; the library and the training's files lie there, too.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bpy
import steps

OUT, PYTHON = Path(sys.argv[sys.argv.index("--") + 1]), sys.argv[sys.argv.index("--") + 2]
LIBRARY, STAND_IN = OUT / "library", Path(__file__).resolve().parent / "stand_in.py"
NEW = bpy.app.version >= (5, 2)  # has a larger field for the prompt
TITLE = (85, 245) if NEW else (85, 217)  # of the sub-panel: pixels from the sidebar's upper left corner
REPORT: dict = {"version": bpy.app.version_string}


def operate(name: str, *how: str, **properties) -> None:
    """Call one of the add-on's operators as from the viewport."""
    with steps.override():
        getattr(bpy.ops.latte3d, name)(*how, **properties)


def main():
    chosen, library = steps.preferences(), steps.addon("library_session")
    chosen.engine_python, chosen.library_folder = PYTHON, str(LIBRARY)
    library.work_folder = lambda name: OUT / "work" / name  # the user folder of this Blender is removed with it
    for number, name in enumerate(("Oak_Chair", "Lamp")):
        bpy.ops.mesh.primitive_monkey_add(location=(3 * number, 3, 0))
        bpy.context.active_object.name = name
    bpy.data.objects["Oak_Chair"].select_set(True)
    bpy.ops.wm.save_as_mainfile(filepath=str(OUT / "scene.blend"))
    bpy.ops.ed.undo_push(message="Start")
    yield from steps.show_tab()
    yield from steps.until(lambda: steps.addon("session").SESSION.engine.state == "READY", 300.0)
    yield 1.0
    yield from steps.click(*TITLE)
    yield from add()
    yield from check(library)
    yield from the_command(library)
    yield from train(library)


def add():
    """The popup; afterwards nothing is changed, and undo goes back to what was before."""

    def state() -> dict:
        return {"objects": sorted(bpy.data.objects.keys()), "scenes": len(bpy.data.scenes), "selected": len(bpy.context.selected_objects)}

    REPORT["before"] = state()
    yield from steps.hover_viewport()
    operate("add_to_library", "INVOKE_DEFAULT")
    yield 1.0
    steps.picture(OUT / "1-add.png")
    yield from steps.key("RET")
    yield 1.5
    REPORT["after"] = state()
    steps.picture(OUT / "2-added.png")
    bpy.data.objects["Lamp"].location.z = 1.0
    bpy.ops.ed.undo_push(message="Move")
    yield from steps.hover_viewport()
    yield from steps.key("Z", ctrl=True)
    yield 1.0
    REPORT["undone"] = state()
    REPORT["lamp"] = bpy.data.objects["Lamp"].location.z


def check(library):
    with open(LIBRARY / "prompts.csv", "a") as file:
        file.write("a table,assets/none.blend,train\n")
    operate("check_library")
    yield from steps.until(lambda: library.STATE.check.over)
    yield 1.5
    steps.picture(OUT / "3-checked.png")
    REPORT["findings"] = [(one["line"], one["message"]) for one in library.STATE.check.findings]
    yield from steps.key("ESC")


def the_command(library):
    """The same in a Blender of its own, as Prepare and Train are started."""
    wish = library.Wish("check", str(LIBRARY))
    work = library.Work.start(wish, library.command(*wish.words()), OUT / "work" / "command", library.environment())
    yield from steps.until(lambda: work.poll() or work.over, 120.0)
    REPORT["command"] = {"status": work.job.status, "result": work.result, "fault": str(work.fault or "")}


def train(library):
    library.command = lambda *words: [sys.executable, str(STAND_IN), str(OUT), *words]
    yield from steps.hover_viewport()
    operate("train", "INVOKE_DEFAULT")
    yield 1.0
    steps.picture(OUT / "4-train.png")
    yield from steps.key("RET")
    yield from steps.until(lambda: library.picture())
    yield 1.5
    steps.picture(OUT / "5-training.png")
    REPORT["running"] = library.STATE.work.job.running
    os.sync()


steps.run(main(), REPORT, OUT / "report.json")
