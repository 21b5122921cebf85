# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a windowed Blender: an artist lets six variations be made, keeps one, asks for more like it, blends, restyles a ring, finds
all of it in the history, and marks assets.

artist.py -- OUT ENGINE_PYTHON [MODELS] writes pictures and report.json to the folder OUT. MODELS: a folder with a model that knows shapes.
"""

import importlib
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bpy
import steps

OUT, PYTHON, *MODELS = sys.argv[sys.argv.index("--") + 1 :]
OUT = Path(OUT)
NEW = bpy.app.version >= (5, 2)  # has a larger field for the prompt
FIELD = (100, 45)  # in the sidebar: pixels from its upper left corner
REPORT: dict = {"version": bpy.app.version_string, "slow": []}


def generated() -> list[str]:
    return [item.name for item in bpy.data.objects if "latte3d_prompt" in item]


def operate(name: str, *how: str, **properties) -> None:
    """Call one of the add-on's operators as from the viewport."""
    with steps.override():
        getattr(bpy.ops.latte3d, name)(*how, **properties)


def watch_steps(session) -> None:
    """Report what the timer does at once that takes long, in processor time: nothing may hold Blender up."""
    step = session._step

    def timed():
        wall, busy, before = time.perf_counter(), time.thread_time(), len(generated())
        pause = step()
        spent = 1000 * (time.thread_time() - busy)
        if spent > 20:
            REPORT["slow"].append([round(spent), round(1000 * (time.perf_counter() - wall)), len(generated()) - before])
        return pause

    session._step = timed


def main():
    chosen, session = steps.preferences(), steps.addon("session")
    chosen.engine_python, chosen.model_folder = PYTHON, MODELS[0] if MODELS else ""
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    bpy.ops.ed.undo_push(message="Start")
    steps.unfolded_draws()
    watch_steps(session)
    steps.UNFOLDED.update(("latte3d_object", "latte3d_variations"))
    yield from steps.show_tab()
    state = session.SESSION
    yield from steps.until(lambda: state.engine.state in ("READY", "FAILED"), 180)
    REPORT["state"], REPORT["knows"] = state.engine.state, state.engine.knows_adherence()
    yield 1.0
    steps.picture(OUT / "1-folded.png")
    for part in (variations, keep, more, blend, live, pace, click, restyle, history, assets, cancel, another_file):
        yield from part(state)


def variations(state):
    wanted = bpy.context.scene.latte3d
    wanted.prompt, wanted.count = "a red mushroom with white spots", 6
    before = sorted(bpy.data.objects.keys())
    operate("generate")
    yield from steps.until(lambda: len(generated()) >= 3 or state.fault, 60)
    yield 0.2
    steps.picture(OUT / "2-arriving.png")
    REPORT["early"] = bool(state.running)
    yield from steps.quiet(state)
    steps.picture(OUT / "3-variations.png")
    REPORT["six"] = generated()
    yield from steps.hover_viewport()
    for shift, name in ((False, "undone"), (True, "redone")):
        yield from steps.key("Z", ctrl=True, shift=shift)
        yield 2.0
        REPORT[name] = [generated(), sorted(bpy.data.objects.keys()) == before]
        steps.picture(OUT / f"4-{name}.png")


def keep(state):
    numbers = list(state.batch.results)
    operate("reject_variation", number=numbers[3])
    operate("keep_variation", number=numbers[1])
    yield 1.0
    steps.picture(OUT / "5-ticked.png")
    operate("remove_others")
    yield 1.0
    REPORT["kept"] = generated()
    steps.picture(OUT / "6-kept.png")


def more(state):
    bpy.context.scene.latte3d.count = 4
    operate("more_like_this", number=next(iter(state.batch.kept)))
    yield from steps.quiet(state)
    REPORT["more"] = len(generated())
    steps.picture(OUT / "7-more.png")


def blend(state):
    for name in generated():
        bpy.data.objects.remove(bpy.data.objects[name])
    state.batch = None
    wanted = bpy.context.scene.latte3d
    wanted.count, wanted.use_blend, wanted.blend_prompt, wanted.blend = 1, True, "a blue lamp", 0.5
    steps.UNFOLDED.add("latte3d_shape")
    operate("generate")
    yield from steps.quiet(state)
    REPORT["blend"] = bpy.context.view_layer.objects.active.get("latte3d_blend")
    steps.picture(OUT / "8-blend.png")
    wanted.use_blend = False


def live(state):
    """A draft follows the seed; kept, it is one undo step, which leaves no draft behind."""
    follows, wanted = steps.addon("live").LIVE, bpy.context.scene.latte3d
    before = sorted(bpy.data.objects.keys())
    wanted.prompt, wanted.seed = "a blue car", 3
    bpy.ops.ed.undo_push(message="Prompt")
    operate("live")
    yield from steps.until(lambda: follows.shown, 60)
    yield 1.0
    steps.picture(OUT / "9-live.png")
    yield from delays(follows, wanted)
    yield from steps.click(*FIELD)
    yield from steps.key("A", ctrl=True)
    for word in ("a green", " car"):  # letter by letter, and seen before the field is left
        yield from steps.write(word)
        yield 0.3
    yield from steps.until(lambda: follows.shown.prompt == "a green car", 60)
    REPORT["typed"] = follows.shown.prompt
    steps.picture(OUT / "9-typed.png")
    yield from steps.key("RET", ctrl=NEW)  # a field of several lines keeps plain Enter for itself
    yield 0.5
    bpy.ops.ed.undo_push(message="A step while the draft is there")
    operate("keep_live")
    yield from steps.quiet(state)
    kept = sorted(set(bpy.data.objects.keys()) - set(before))
    REPORT["live_kept"] = [len(kept), bpy.data.objects[kept[0]]["latte3d_seed"], bpy.data.objects[kept[0]].get("latte3d_live")]
    yield from steps.hover_viewport()
    yield from steps.key("Z", ctrl=True)
    yield 1.5
    REPORT["live_undone"] = sorted(bpy.data.objects.keys()) == before
    steps.picture(OUT / "9-live-undone.png")


def delays(follows, wanted):
    """Ten seeds: milliseconds from the change to the object, from there to the end of the viewport's next drawing, and of the engine."""
    module, shown, drawn, told = steps.addon("live"), [], [], []
    show = module.show_in
    module.show_in = lambda context: (show(context), shown.append(time.perf_counter()))
    handler = bpy.types.SpaceView3D.draw_handler_add(lambda: drawn.append(time.perf_counter()), (), "WINDOW", "POST_PIXEL")
    for wanted.seed in range(4, 14):
        changed, seed = time.perf_counter(), wanted.seed
        yield from steps.until(lambda seed=seed: follows.shown.seed == seed and drawn and drawn[-1] > shown[-1], 30)
        picture = next(moment for moment in drawn if moment > shown[-1])
        spans = (shown[-1] - changed, picture - shown[-1], sum(follows.shown.fields["timings_ms"].values()) / 1000)
        told.append([round(1000 * span) for span in spans])
    module.show_in = show
    bpy.types.SpaceView3D.draw_handler_remove(handler, "WINDOW")
    REPORT["live_ms"] = told


def pace(state):
    """What Live's delays are held against: Smart UV Project on the full mushroom in the same run."""
    wanted = bpy.context.scene.latte3d
    before, measured = (wanted.prompt, wanted.detail), importlib.import_module(f"{steps.addon('session').__package__}.benchmark")
    wanted.prompt, wanted.detail = "a red mushroom with white spots", "full"
    operate("generate")
    yield from steps.quiet(state)
    made = bpy.context.view_layer.objects.active
    with steps.override():
        REPORT["smart_uv_ms"] = [round(measured.smart_uv_ms(made)) for _ in range(5)]
    bpy.data.objects.remove(made)
    wanted.prompt, wanted.detail = before
    bpy.ops.ed.undo_push(message="As before")
    yield 0.5


def click(state):
    """One click in the view: an object on what is there."""
    operate("generate_here", "INVOKE_DEFAULT")
    yield 0.5
    yield from steps.hover_viewport()
    steps.picture(OUT / "9-where.png")
    for value in ("PRESS", "RELEASE"):
        steps.window().event_simulate(type="LEFTMOUSE", value=value, **steps.MOUSE)
        yield 0.2
    yield from steps.quiet(state)
    REPORT["clicked"] = list(bpy.context.view_layer.objects.active.location)
    steps.picture(OUT / "9-clicked.png")


def restyle(state):
    if not REPORT["knows"]:
        return
    for item in list(bpy.data.objects):
        if item.type == "MESH":
            bpy.data.objects.remove(item)
    bpy.ops.mesh.primitive_torus_add(major_radius=0.6, minor_radius=0.22, location=(0, 0, 0.22))
    bpy.ops.object.shade_smooth()
    bpy.ops.ed.undo_push(message="Ring")
    wanted = bpy.context.scene.latte3d
    wanted.prompt, wanted.seed, wanted.adherence = "a cake", 0, 0.6
    yield 0.5
    steps.picture(OUT / "9-shape.png")
    operate("restyle")
    yield from steps.quiet(state)
    made = bpy.context.view_layer.objects.active
    REPORT["restyled"] = [made.get("latte3d_prompt"), made.get("latte3d_adherence"), len(generated())]
    steps.picture(OUT / "10-restyled.png")
    yield from steps.hover_viewport()
    yield from steps.key("Z", ctrl=True)
    yield 1.5
    REPORT["restyle_undone"] = [len(generated()), "Torus" in bpy.data.objects]
    yield from steps.key("Z", ctrl=True, shift=True)
    yield 1.5


def history(state):
    steps.UNFOLDED.discard("latte3d_shape")
    steps.UNFOLDED.discard("latte3d_object")
    steps.UNFOLDED.add("latte3d_history")
    log = steps.addon("kept").history()
    log.finish()
    chosen = bpy.context.window_manager.latte3d
    for item in bpy.context.selected_objects:
        item.select_set(False)
    bpy.context.view_layer.objects.active = None
    chosen.history_key = log.find("mushroom")[0].key
    for area in steps.window().screen.areas:
        area.tag_redraw()
    yield 2.0
    steps.picture(OUT / "11-history.png")
    before = len(generated())
    bpy.context.scene.cursor.location = (2, 0, 0)
    operate("place_history", key=chosen.history_key)
    yield from steps.quiet(state)
    REPORT["placed"] = len(generated()) - before
    REPORT["history"] = [len(log.entries), log.size]
    steps.picture(OUT / "12-placed-again.png")
    yield from steps.hover_viewport()
    yield from steps.key("Z", ctrl=True)
    yield 1.5
    REPORT["placing_undone"] = len(generated()) - before


def assets(state):
    bpy.ops.wm.save_as_mainfile(filepath=str(OUT / "scene.blend"))
    for item in bpy.data.objects:
        item.select_set("latte3d_prompt" in item)
        if item.select_get():
            bpy.context.view_layer.objects.active = item
    steps.UNFOLDED.discard("latte3d_history")
    steps.UNFOLDED.add("latte3d_object")
    yield from steps.hover_viewport()
    operate("mark_assets", "INVOKE_DEFAULT")
    yield 1.0
    steps.picture(OUT / "13-asset-dialog.png")
    yield from steps.key("ESC")
    yield 0.5
    operate("mark_assets", tags="props", licence="CC0-1.0", author="Me", catalogue="Props/Toys")
    REPORT["assets"] = [item.name for item in bpy.data.objects if item.asset_data]
    area, _ = steps.viewport()
    area.ui_type = "ASSETS"
    yield 1.0
    area.spaces.active.params.asset_library_reference = "LOCAL"
    yield 3.0
    steps.picture(OUT / "14-assets.png")
    area.ui_type = "VIEW_3D"
    yield 1.0
    with steps.override():
        bpy.ops.latte3d.export_selected("INVOKE_DEFAULT", format="GLB")
    yield 1.0
    REPORT["exported"] = [path.name for path in OUT.glob("*.glb")]


def cancel(state):
    """Cancel when the first of eight is there, and a little later: between two objects, and while one is made."""
    wanted = bpy.context.scene.latte3d
    wanted.prompt, wanted.count = "a wooden barrel", 8
    for later in (0.01, 0.1, 0.2):
        before, wanted.seed = len(generated()), wanted.seed + 50
        operate("generate")
        yield from steps.until(lambda: state.batch and state.batch.names, 60)
        yield later
        begun = time.perf_counter()
        operate("cancel")
        while state.running:
            yield 0.01
        REPORT.setdefault("cancel_ms", []).append(round(1000 * (time.perf_counter() - begun)))
        yield from steps.quiet(state)
        REPORT.setdefault("made_before_cancel", []).append(len(generated()) - before)
    wanted.count = 1


def another_file(state):
    """Loading a file while variations are made leaves neither a job nor an error."""
    bpy.context.scene.latte3d.prompt, bpy.context.scene.latte3d.count = "a wooden barrel", 8
    operate("generate")
    yield from steps.until(lambda: state.batch and state.batch.names, 60)
    bpy.ops.wm.open_mainfile(filepath=str(OUT / "scene.blend"))
    yield 3.0
    REPORT["after_load"] = [bool(state.running), bool(state.batch), str(state.fault or "")]
    steps.picture(OUT / "15-loaded.png")


steps.run(main(), REPORT, OUT / "report.json")
