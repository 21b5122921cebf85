# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a windowed Blender whose engine misbehaves: what the artist sees, whether Cancel works, and whether Blender stays as it is.

troubles.py -- OUT ENGINE_PYTHON [PARTS…] writes pictures and report.json to the folder OUT. The engine reads its fault from the file
OUT/fault as it starts; words in a prompt provoke others (tests/fake_engine.py).
"""

import json
import os
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bpy
import steps

OUT, PYTHON, *ONLY = sys.argv[sys.argv.index("--") + 1 :]
OUT = Path(OUT)
NEW = bpy.app.version >= (5, 2)  # has a larger field for the prompt
FIELD, BUTTON, CANCEL = ((120, 45), (100, 157), (242, 157)) if NEW else ((120, 45), (100, 129), (242, 129))  # from the sidebar's corner
REPORT: dict = {"version": bpy.app.version_string, "told": {}, "cancel_ms": {}, "seconds": {}}
PICTURES = ("memory", "crash", "nowhere")
KINDS = ("objects", "meshes", "materials", "images", "collections")


def generated() -> list[str]:
    return [item.name for item in bpy.data.objects if "latte3d_prompt" in item]


def scene() -> bpy.types.Scene:
    return steps.window().scene


def blocks() -> list[int]:
    return [len(getattr(bpy.data, kind)) for kind in KINDS]


def operate(name: str, *how: str, **properties) -> None:
    """Call one of the add-on's operators as from the viewport."""
    with steps.override():
        getattr(bpy.ops.latte3d, name)(*how, **properties)


def children() -> int:
    """How many processes this one has started that still run."""
    count = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rsplit(")", 1)[1].split()[:2]
            count += int(parent) == os.getpid() and state != "Z"
        except OSError:
            pass
    return count


def fail(fault: str) -> None:
    """How the engine misbehaves from its next start on."""
    (OUT / "fault").write_text(fault)
    state = steps.addon("session").SESSION
    state.engine.stop()
    state.fault = state.question = None
    steps.addon("session").engine_moved()


def typed(prompt: str):
    """Type a prompt over the one that is there."""
    yield from steps.click(*FIELD)
    yield from steps.key("A", ctrl=True)
    yield from steps.write(prompt)
    yield from steps.key("RET", ctrl=NEW)  # a field of several lines keeps plain Enter for itself
    yield 0.3


def ready(state):
    yield from steps.until(lambda: state.engine.state in ("READY", "FAILED"), 60)
    yield 0.3


def over(state, seconds: float = 40.0):
    """Wait until nothing is being made or placed, or something was said."""
    yield 0.2
    yield from steps.until(lambda: not (state.running or state.to_do) or state.hold, seconds)
    yield 0.7


def click_generate(state, prompt: str):
    """Click Generate for a prompt, and wait until the engine has it."""
    scene().latte3d.prompt = prompt
    yield 0.2
    yield from steps.click(*BUTTON)


def ask(state, prompt: str, name: str = ""):
    """Click Generate, and note what was said and whether the file is as it was."""
    before = blocks()
    yield from click_generate(state, prompt)
    yield from over(state)
    REPORT["told"][name or prompt] = [str(state.fault or state.engine.fault or ""), blocks() == before, len(generated())]
    if name in PICTURES:
        steps.picture(OUT / f"{name}.png")


def cancel(state, name: str):
    """Click Cancel; how long until it is heard, and until nothing runs."""
    _, sidebar = steps.viewport()
    yield from steps.move(sidebar.x + CANCEL[0], sidebar.y + sidebar.height - CANCEL[1])
    steps.window().event_simulate(type="LEFTMOUSE", value="PRESS", **steps.MOUSE)
    yield 0.1
    steps.window().event_simulate(type="LEFTMOUSE", value="RELEASE", **steps.MOUSE)
    begun, job, heard = time.perf_counter(), state.running, 0.0
    while state.running is job:
        heard = heard or (time.perf_counter() - begun if job.cancelled_at else 0.0)
        if time.perf_counter() - begun > 30:
            steps.picture(OUT / f"missed-{name}.png")
            raise TimeoutError("Cancel was not heard" if not job.cancelled_at else "the job did not end")
        if heard and name == "hang" and not (OUT / "hang.png").exists():
            yield 0.3  # it is drawn
            steps.picture(OUT / "hang.png")
        yield 0.01
    ended = time.perf_counter() - begun
    REPORT["cancel_ms"].setdefault(name, []).append([round(1000 * (heard or ended)), round(1000 * ended), job.state])
    yield 0.3


def main():
    chosen, filepaths = steps.preferences(), bpy.context.preferences.filepaths
    chosen.engine_python = PYTHON
    filepaths.temporary_directory, filepaths.use_auto_save_temporary_files, filepaths.auto_save_time = str(OUT), True, 1
    REPORT["auto_save_from"] = time.monotonic()
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    bpy.ops.ed.undo_push(message="Start")
    (OUT / "fault").write_text("" if ONLY else "load")
    yield from steps.show_tab()
    state = steps.addon("session").SESSION
    parts = (starts, slow, faults, auto_saved, shapes, variations, live, history, scene_deleted, another_file, disabled)
    for part in [part for part in parts if not ONLY or part.__name__ in ONLY]:
        begun = time.monotonic()
        try:
            yield from part(state)
        except Exception:  # the others are tried all the same
            REPORT.setdefault("errors", {})[part.__name__] = traceback.format_exc()
            steps.picture(OUT / f"error-{part.__name__}.png")
        REPORT["seconds"][part.__name__] = round(time.monotonic() - begun)
        (OUT / "report.json").write_text(json.dumps(REPORT, indent=1))


def starts(state):
    """An engine without its model says so; Try Again, when it is there."""
    yield from ready(state)
    yield 0.7
    steps.picture(OUT / "load.png")
    REPORT["load"] = [state.engine.state, str(state.engine.fault)]
    (OUT / "fault").write_text("garbage")  # a login text before the first message is none
    operate("start_engine")
    yield from ready(state)
    REPORT["again"] = state.engine.state


def slow(state):
    """Cancel ends a slow job at once; the next one is made, undone and made again."""
    fail("")
    yield from ready(state)
    yield from typed("a lasting cube")
    REPORT["typed"] = scene().latte3d.prompt
    for _ in range(3):
        yield from click_generate(state, "a lasting cube")
        yield from steps.until(lambda: state.running and state.running.state == "running", 20)
        yield from cancel(state, "slow")
    REPORT["after_cancel"] = [generated(), str(state.fault or "")]
    yield from ask(state, "a red cube")
    yield from steps.hover_viewport()
    for shift, name in ((False, "undone"), (True, "redone")):
        yield from steps.key("Z", ctrl=True, shift=shift)
        yield 0.7
        REPORT[name] = generated()


def faults(state):
    """Out of memory; a crash, after which the engine starts again by itself, and fails at the second; what is impossible; what is none."""
    fail("oom")
    yield from ready(state)
    yield from ask(state, "a cube", "memory")
    fail("")
    yield from ready(state)
    yield from ask(state, "an explosive cube", "crash")
    yield from ask(state, "an impossible cube", "impossible")
    for lie in ("flat", "nowhere", "foreign", "babbling"):  # tests/blender/test_lies.py has them all
        yield from ask(state, f"a {lie} cube", lie)
    yield from ask(state, "a blue cube")


def auto_saved(state):
    """While the engine hangs, assets are marked, and Blender saves by itself; Cancel is heard at once, and the engine starts anew."""
    yield from click_generate(state, "an endless cube")
    yield from steps.until(lambda: state.running and state.running.state == "running", 20)
    operate("mark_assets", tags="props")
    REPORT["assets"] = [item.name for item in bpy.data.objects if item.asset_data]
    begun = time.time()
    saved = lambda: [path for path in OUT.glob("*autosave*.blend") if path.stat().st_mtime >= begun]  # noqa: E731
    yield from steps.until(saved, 90)
    REPORT["auto_saved"] = [len(saved()), bool(state.running), round(time.time() - begun, 1)]
    yield from cancel(state, "hang")
    yield from ask(state, "a white cube")


def shapes(state):
    """Restyling and blending work, and fail with a sentence."""
    yield from ready(state)
    bpy.ops.mesh.primitive_torus_add(location=(3, 3, 0.3))
    bpy.ops.ed.undo_push(message="Ring")
    wanted, before = scene().latte3d, len(generated())
    wanted.prompt = "a torn cube"
    operate("restyle")
    yield from over(state)
    REPORT["restyle"] = [str(state.fault), len(generated()) - before]
    bpy.context.view_layer.objects.active = bpy.data.objects["Torus"]
    bpy.data.objects["Torus"].select_set(True)
    wanted.prompt = "a cube"
    operate("restyle")
    yield from over(state)
    wanted.use_blend, wanted.blend_prompt = True, "a lamp"
    yield from ask(state, "a grey cube", "blend")
    wanted.use_blend = False
    REPORT["restyle"] += [len(generated()) - before]


def variations(state):
    """Twelve of which the engine makes some before Cancel: these stay, as one step."""
    fail("slow")
    yield from ready(state)
    wanted, before = scene().latte3d, generated()
    wanted.prompt, wanted.count = "a yellow cube", 12
    operate("generate")
    yield from steps.until(lambda: state.batch and len(state.batch.names) >= 2, 40)
    yield from cancel(state, "variations")
    yield from over(state)
    made = [name for name in generated() if name not in before]
    REPORT["variations"] = [len(made)]
    steps.picture(OUT / "variations.png")
    yield from steps.hover_viewport()
    yield from steps.key("Z", ctrl=True)
    yield 1.0
    REPORT["variations"].append(sorted(generated()) == sorted(before))
    scene().latte3d.count = 1  # undo has made another scene of it


def live(state):
    """Live with an engine that is slow, and then crashes: it says so, and Blender goes on."""
    follows, wanted = steps.addon("live").LIVE, scene().latte3d
    wanted.prompt, wanted.count = "a cube", 1
    yield from ready(state)
    operate("live")
    yield from steps.until(lambda: follows.shown, 40)
    for wanted.seed in (5, 6, 7):
        yield 0.1
    yield from steps.until(lambda: follows.shown and follows.shown.seed == 7, 40)
    yield from typed("an explosive cube")
    yield from steps.until(lambda: follows.note or state.engine.fault, 60)
    yield 0.7
    steps.picture(OUT / "live.png")
    REPORT["live"] = [follows.note, str(state.engine.fault or "")]
    operate("live")
    yield 0.5
    REPORT["live"] += [sum("latte3d_live" in item for item in bpy.data.objects)]


def history(state):
    """What was made is placed again though the engine is gone."""
    fail("load")
    yield from ready(state)
    log, before = steps.addon("kept").history(), len(generated())
    log.finish()
    operate("place_history", key=log.entries[0].key)
    yield from over(state)
    REPORT["history"] = [state.engine.state, len(generated()) - before]


def scene_deleted(state):
    """A job whose scene is deleted meanwhile."""
    fail("")
    yield from ready(state)
    with steps.override():
        bpy.ops.scene.new(type="NEW")
    scene().latte3d.prompt = "a cube"
    yield 0.5
    operate("generate")
    with steps.override():
        bpy.ops.scene.delete()
    before = len(generated())
    yield from over(state)
    steps.picture(OUT / "scene-deleted.png")
    REPORT["scene"] = [str(state.fault), len(generated()) - before]


def another_file(state):
    """A file is loaded while a job runs: neither the job nor an error is left."""
    bpy.ops.wm.save_as_mainfile(filepath=str(OUT / "scene.blend"))
    scene().latte3d.prompt = "a lasting cube"
    before = len(generated())
    operate("generate")
    yield from steps.until(lambda: state.running and state.running.state == "running", 20)
    bpy.ops.wm.open_mainfile(filepath=str(OUT / "scene.blend"))
    yield 2.0
    REPORT["file"] = [bool(state.running), str(state.fault or ""), len(generated()) - before]


def disabled(state):
    """The add-on is disabled while a job runs: no process is left; enabled again, it works."""
    scene().latte3d.prompt = "an endless cube"
    operate("generate")
    yield from steps.until(lambda: state.running and state.running.state == "running", 20)
    package, before = next(name for name in bpy.context.preferences.addons.keys() if name.endswith(".latte3d")), children()  # noqa: SIM118
    with steps.override():
        bpy.ops.preferences.addon_disable(module=package)
    REPORT["disabled"] = [before, children()]
    yield 1.0
    steps.picture(OUT / "disabled.png")
    (OUT / "fault").write_text("")
    with steps.override():
        bpy.ops.preferences.addon_enable(module=package)
    steps.preferences().engine_python = PYTHON
    yield 1.0
    scene().latte3d.prompt = "a last cube"
    again = steps.addon("session").SESSION
    with steps.override():
        bpy.ops.latte3d.generate()
    yield from over(again)
    REPORT["enabled"] = [name for name in generated() if "last" in name]


steps.run(main(), REPORT, OUT / "report.json")
