# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a windowed Blender: an artist refines an object that was just made, stops that, goes on, and undoes what came of it.

refine.py -- OUT ENGINE_PYTHON PRIOR [STEPS] writes pictures and report.json to the folder OUT. PRIOR: the folder of a multi-view prior.
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bpy
import steps

OUT, PYTHON, PRIOR, *COUNT = sys.argv[sys.argv.index("--") + 1 :]
OUT, COUNT = Path(OUT), int(COUNT[0]) if COUNT else 40
REPORT: dict = {"version": bpy.app.version_string, "slowest_ms": 0.0}
os.environ["OMP_NUM_THREADS"] = "1"  # of the command, which has Blender's picture beside it


def made() -> list[list]:
    """Objects that were made here: name, whether refined, place, vertices."""
    found = [item for item in bpy.data.objects if "latte3d_prompt" in item]
    return [[item.name, bool(item.get("latte3d_planes")), list(item.location), len(item.data.vertices)] for item in found]


def watch(refining) -> None:
    """Report the longest that the timer of Refine takes, in processor time."""
    step = refining.step

    def timed():
        begun = time.thread_time()
        pause = step()
        REPORT["slowest_ms"] = max(REPORT["slowest_ms"], 1000 * (time.thread_time() - begun))
        return pause

    refining.step = timed


def main():
    chosen, session, refining = steps.preferences(), steps.addon("session"), steps.addon("refining")
    chosen.engine_python, chosen.prior_multiview = PYTHON, PRIOR
    steps.addon("library_session").work_folder = lambda name: OUT / "work" / name  # the user folder of this Blender is removed with it
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    bpy.ops.ed.undo_push(message="Start")
    watch(refining)
    yield from steps.show_tab()
    yield from steps.until(lambda: session.SESSION.engine.state == "READY", 300.0)
    bpy.context.scene.latte3d.prompt, bpy.context.scene.latte3d.seed = "a red mushroom with white spots", 3
    with steps.override():
        bpy.ops.latte3d.generate("INVOKE_DEFAULT")
    yield from steps.until(made, 120.0)
    yield 2.0
    REPORT["made"] = made()
    steps.picture(OUT / "1-made.png")
    for part in (asked, stopped, resumed, undone, preferences):
        yield from part(refining.STATE)


def asked(state):
    """The popup, confirmed by Return."""
    yield from steps.hover_viewport()
    with steps.override():
        bpy.ops.latte3d.refine("INVOKE_DEFAULT", steps=COUNT)
    yield 1.0
    steps.picture(OUT / "2-asked.png")
    yield from steps.key("RET")
    yield from steps.until(lambda: state.work, 20.0)


def stopped(state):
    yield from steps.until(lambda: state.work.done >= 3 or state.work.over, 400.0)
    yield 1.0
    REPORT["running"] = [state.work.text, state.work.total]
    with steps.override():
        begun = time.perf_counter()
        bpy.ops.latte3d.stop_refining()
        REPORT["stop_ms"] = 1000 * (time.perf_counter() - begun)
    yield from steps.until(lambda: state.work.over, 200.0)
    yield 1.0
    steps.picture(OUT / "3-stopped.png")
    REPORT["stopped"] = [state.work.resumable, str(state.work.fault or ""), bool(state.work.picture), made() == REPORT["made"]]


def resumed(state):
    """On from there, to its end; the object changes in its place."""
    with steps.override():
        bpy.ops.latte3d.resume_refining()
    yield from steps.until(lambda: state.work.total, 300.0)
    REPORT["from"] = state.work.done
    yield from steps.until(lambda: state.work is None or state.work.picture or state.work.done >= COUNT // 2, 300.0)
    yield 1.5
    steps.picture(OUT / "4-refining.png")
    yield from steps.until(lambda: state.work is None or state.fault or state.work.fault, 600.0)
    yield from steps.until(lambda: made() and made()[0][1], 60.0)
    yield 2.0
    steps.picture(OUT / "5-refined.png")
    REPORT["refined"], REPORT["fault"] = made(), str(state.fault or "")


def undone(state):
    """One undo step, and back."""
    yield from steps.hover_viewport()
    yield from steps.key("Z", ctrl=True)
    yield 1.0
    REPORT["undone"] = made()
    yield from steps.key("Z", ctrl=True, shift=True)
    yield 1.0
    REPORT["redone"] = made()


def preferences(state):
    """The preferences with the priors."""
    refine = steps.addon("panels.refine")
    draw = refine.draw_priors

    class Open:
        """A layout whose fold is open."""

        def __init__(self, layout):
            self.layout = layout

        def panel(self, name, **options):
            return self.layout.panel(f"{name}_open", default_closed=False)

    refine.draw_priors = lambda layout, context, chosen: draw(Open(layout), context, chosen)
    steps.preferences().prior_depth = str(OUT)
    with steps.override():
        bpy.ops.preferences.addon_show(module=next(key for key, _ in bpy.context.preferences.addons.items() if key.endswith(".latte3d")))
    yield 2.0
    window = bpy.context.window_manager.windows[-1]
    place = {"x": window.width // 2 + 100, "y": window.height // 2}
    for event in ["MOUSEMOVE"] * 2 + ["WHEELDOWNMOUSE"] * 30:
        window.event_simulate(type=event, value="NOTHING" if event == "MOUSEMOVE" else "PRESS", **place)
        yield 0.05
    yield 1.0
    steps.picture(OUT / "6-preferences.png")
    REPORT["wrong"] = state.wrong


steps.run(main(), REPORT, OUT / "report.json")
