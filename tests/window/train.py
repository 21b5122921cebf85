# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a windowed Blender: a technical director trains a model on three objects for a minute, and an object is made with it.

train.py -- OUT ENGINE_PYTHON writes pictures and report.json to the folder OUT; the library and the model lie there, too.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bpy
import steps

OUT, PYTHON = Path(sys.argv[sys.argv.index("--") + 1]), sys.argv[sys.argv.index("--") + 2]
NEW = bpy.app.version >= (5, 2)  # has a larger field for the prompt
TITLE = (85, 245) if NEW else (85, 217)  # of the sub-panel: pixels from the sidebar's upper left corner
REPORT: dict = {"version": bpy.app.version_string}
os.environ["OMP_NUM_THREADS"] = "1"  # of the training, which has Blender's picture beside it


def main():
    chosen, library = steps.preferences(), steps.addon("library_session")
    chosen.engine_python, chosen.library_folder = PYTHON, str(OUT / "library")
    library.work_folder = lambda name: OUT / "work" / name  # the user folder of this Blender is removed with it
    objects()
    yield from steps.show_tab()
    session = steps.addon("session").SESSION
    yield from steps.until(lambda: session.engine.state == "READY", 300.0)
    yield from steps.click(*TITLE)
    with steps.override():
        bpy.ops.latte3d.add_to_library("EXEC_DEFAULT", folder=chosen.library_folder, title="Props")
        bpy.ops.latte3d.train("EXEC_DEFAULT", minutes=1)
    yield from steps.until(library.picture, 400.0)
    yield 1.5
    steps.picture(OUT / "1-training.png")
    yield from steps.until(lambda: library.STATE.work.over, 600.0)
    yield 1.5
    steps.picture(OUT / "2-trained.png")
    REPORT["status"], REPORT["result"] = library.STATE.work.job.status, library.STATE.work.result
    yield from use(session)


def objects():
    """A monkey, a ring and a crate, all of them selected, each of its own colour."""
    bpy.ops.object.select_all(action="DESELECT")
    makers = bpy.ops.mesh
    things = {"Monkey": makers.primitive_monkey_add, "Ring": makers.primitive_torus_add, "Crate": makers.primitive_cube_add}
    for number, (name, make) in enumerate(things.items()):
        make(location=(3 * number - 3, 4, 1))
        item = bpy.context.active_object
        item.name, material = name, bpy.data.materials.new(name)
        material.use_nodes = True
        color = [0.8 if channel == number else 0.05 for channel in range(3)]
        material.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = (*color, 1.0)
        item.data.materials.append(material)
    for name in things:
        bpy.data.objects[name].select_set(True)


def use(session):
    """Choose the new model by its button, and ask it for what it has learnt."""
    model = Path(REPORT["result"]["model"]).name
    with steps.override():
        bpy.ops.latte3d.use_model(model=model)
    bpy.context.scene.latte3d.prompt = "a ring"
    yield 1.0
    with steps.override():
        bpy.ops.latte3d.generate("INVOKE_DEFAULT")
    yield from steps.until(lambda: "latte3d_prompt" in (bpy.context.view_layer.objects.active or {}), 120.0)
    yield 1.5
    steps.picture(OUT / "3-made.png")
    made = bpy.context.view_layer.objects.active
    REPORT["made"] = [made["latte3d_model"], made["latte3d_prompt"], list(made.dimensions)]


steps.run(main(), REPORT, OUT / "report.json")
