# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a windowed Blender for an hour: rounds of an artist's work, and what is in memory, in the file and on the disk after each.

soak.py -- OUT ENGINE_PYTHON MODELS MINUTES OBJECTS writes samples.jsonl, pictures and report.json to the folder OUT, and makes so many
objects in so many minutes or more; a file OUT/stop ends it after the round. docs/benchmarks/soak.py opens the window and sums the samples
up. Not one of the default tests.
"""

import ctypes
import gc
import json
import os
import random
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bpy
import steps

OUT, PYTHON, MODELS, MINUTES, OBJECTS = sys.argv[sys.argv.index("--") + 1 :]
OUT, MINUTES, OBJECTS = Path(OUT), float(MINUTES), int(OBJECTS)
UNDO_STEPS = 12  # few, so that what they hold is all there after the first round
LEFT = 3  # objects that a round leaves in the scene
FILE = OUT / "soak.blend"
BEGUN = time.monotonic()
CHANCE = random.Random(19)  # every soak does the same
REPORT: dict = {"version": bpy.app.version_string, "rounds": 0, "made": 0, "drafts": 0, "undone": 0, "redone": 0, "loads": 0, "long": []}
DELETED: dict[str, int] = {}  # names of meshes that the artist's own Delete has left without a user -> the round
PROMPTS: list[str] = []


# What there is ----------------------------------------------------------------------------------------------------------------------


def memory(pid: int) -> dict:
    """Megabytes of a process: resident, its share of what is shared, and what no file is behind."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return {}
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines}
    return {"pid": pid} | {name.lower(): round(sizes[name], 1) for name in ("Rss", "Pss", "Anonymous")}


def children() -> list[int]:
    """The processes that this one has started and that still run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, parent = path.read_text().rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue
        if int(parent) == os.getpid():
            found.append(int(path.parent.name))
    return found


def blocks() -> dict[str, int]:
    """How many data-blocks there are of each kind."""
    kinds = [name for name in dir(bpy.data) if isinstance(getattr(bpy.data, name), type(bpy.data.meshes)) and name != "all_ids"]
    return {name: count for name in kinds if (count := len(getattr(bpy.data, name)))}


def made_here(kind: str, block: bpy.types.ID) -> bool:
    """Whether a data-block is one of the add-on's."""
    return bool(block.packed_file) if kind == "images" else "latte3d_prompt" in block or "latte3d_key" in block


def orphans() -> dict[str, list[str]]:
    """What was made here and nothing uses: objects in no scene, meshes, materials, images; what only orphans use is one, too."""
    lost: dict[str, list[str]] = {}
    gone, users = set(), bpy.data.user_map()
    for kind in ("objects", "meshes", "materials", "images"):
        made = [block for block in getattr(bpy.data, kind) if made_here(kind, block)]
        found = [one for one in made if (not one.users_scene if kind == "objects" else users.get(one, set()) <= gone)]
        gone |= set(found)
        lost[kind] = [one.name for one in found]
    return lost


def unexplained(lost: dict[str, list[str]]) -> list[str]:
    """Orphans that are not what the artist's own Delete leaves: Blender keeps those meshes, and what they use, until the file is saved."""
    kept = set(DELETED)
    used = {slot.name for name in kept if (mesh := bpy.data.meshes.get(name)) for slot in mesh.materials if slot}
    trees = [bpy.data.materials[name].node_tree for name in used]
    images = {node.image.name for tree in trees if tree for node in tree.nodes if getattr(node, "image", None)}
    allowed = {"objects": set(), "meshes": kept, "materials": used, "images": images}
    return [f"{kind}: {name}" for kind, names in lost.items() for name in names if name not in allowed[kind]]


def own() -> float:
    """Megabytes that Blender itself has in use for data, as its status bar says."""
    with steps.override():
        said = bpy.context.scene.statistics(bpy.context.view_layer)
    found = re.search(r"Memory: ([\d.,]+) (\w)iB", said)
    return float(found[1].replace(",", "")) * {"K": 1 / 1024, "M": 1, "G": 1024}[found[2]] if found else 0.0


def give_back() -> None:
    """Let the allocator return to the system what it keeps for later: TBB's, where Blender has it, and the C library's."""
    gc.collect()
    names = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "libtbbmalloc.so" in line}
    for name in names:
        ctypes.CDLL(name).scalable_allocation_command(0, None)
    ctypes.CDLL(None).malloc_trim(0)


def files(folder: Path) -> list:
    """How many files a folder holds, and their bytes."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    return [len(sizes), sum(sizes)]


def alive() -> dict[str, int]:
    """How many of the add-on's own objects that hold meshes Python keeps, and pictures of the panel."""
    job, variations = steps.addon("client.job"), steps.addon("variations")
    kinds = {"Result": job.Result, "Job": job.Job, "Batch": variations.Batch}
    tracked, thumbnails = gc.get_objects(), steps.addon("panels.thumbnails")
    pictures = sum(len(loaded or ()) for loaded in (thumbnails._pictures, thumbnails._earlier))
    return {name: sum(type(one) is kind for one in tracked) for name, kind in kinds.items()} | {"pictures": pictures}


def sample(what: str) -> None:
    """Write down what there is."""
    session, kept = steps.addon("session").SESSION, steps.addon("kept")
    process, log, lost = session.engine.process, kept.history(), orphans()
    about = {"t": round(time.monotonic() - BEGUN, 1), "what": what} | {name: REPORT[name] for name in ("rounds", "made", "drafts", "loads")}
    about |= {"blender": memory(os.getpid()), "engine": memory(process.popen.pid) if process else {}, "children": len(children())}
    about |= {"blocks": blocks(), "orphans": {kind: len(names) for kind, names in lost.items()}, "unexplained": unexplained(lost)}
    about |= {"temp": files(Path(bpy.app.tempdir)), "history": [len(log.entries), log.size], "fault": str(session.fault or "")}
    about |= {"results": len(session.results), "threads": len(os.listdir("/proc/self/task")), "open": len(os.listdir("/proc/self/fd"))}
    about |= {"alive": alive(), "own": round(own(), 1)}
    with open(OUT / "samples.jsonl", "a") as out:
        out.write(json.dumps(about) + "\n")


def measure_steps() -> None:
    """Note the longest of each that the add-on does at once on the main thread, and all that takes more than 20 ms of processor time."""
    REPORT["longest"] = {}

    def note(name: str, wall: float, busy: float) -> None:
        spent, waited = 1000 * (time.thread_time() - busy), 1000 * (time.perf_counter() - wall)
        REPORT["longest"][name] = max(REPORT["longest"].get(name, 0.0), round(spent, 1))
        if spent > 20:
            REPORT["long"].append([name, round(spent), round(waited), round(time.monotonic() - BEGUN)])

    def timed(function, name: str):
        def call(*arguments, **named):
            begun = time.perf_counter(), time.thread_time()
            try:
                return function(*arguments, **named)
            finally:
                note(name, *begun)

        return call

    session, placing = steps.addon("session"), steps.addon("scene.placing")
    session._step = timed(session._step, "timer")
    session.collect = timed(session.collect, "timer: hearing the engine")
    session.thumbnails.load = timed(session.thumbnails.load, "timer: loading pictures")
    session.gallery.show = timed(session.gallery.show, "timer: loading the gallery")
    session.look_up = timed(session.look_up, "timer: looking the engine up")
    session.start = timed(session.start, "timer: starting the engine")
    placing.place = timed(placing.place, "timer: placing an object")
    placing.place_batch = timed(placing.place_batch, "timer: placing variations")
    live, panel = steps.addon("live"), steps.addon("panels.main").LATTE3D_PT_main
    live._show, live._remove = timed(live._show, "timer: showing a draft"), timed(live._remove, "removing a draft")
    drawing = timed(panel.draw, "drawing the panel")
    panel.draw = lambda self, context: drawing(self, context)


# What an artist does ----------------------------------------------------------------------------------------------------------------


def wanted():
    return bpy.context.scene.latte3d


def generated() -> list[bpy.types.Object]:
    return [item for item in bpy.context.scene.objects if "latte3d_prompt" in item]


def operate(name: str, *how: str, **properties) -> None:
    """Call one of the add-on's operators as from the viewport."""
    with steps.override():
        getattr(bpy.ops.latte3d, name)(*how, **properties)


def quiet(state, made: int = 0):
    """Wait until nothing is being made or placed; so many objects were."""
    yield 0.2
    yield from steps.until(lambda: not (state.running or state.to_do) or state.fault or state.question, 240)
    if state.fault or state.question:
        raise RuntimeError(f"{state.fault or state.question.fault}")
    REPORT["made"] += made
    yield from pause()


def pause():
    """Think, as long as it takes for the whole to last as long as it shall."""
    due = BEGUN + 60 * MINUTES * REPORT["made"] / OBJECTS
    yield min(max(0.7, due - time.monotonic()), 12.0)


def undo(*, again: bool = True):
    """Ctrl+Z and, again, Ctrl+Shift+Z over the viewport."""
    yield from steps.hover_viewport()
    yield from steps.key("Z", ctrl=True)
    REPORT["undone"] += 1
    yield 0.7
    if again:
        yield from steps.key("Z", ctrl=True, shift=True)
        REPORT["redone"] += 1
        yield 0.7


def choose(model: str = "") -> None:
    """Another prompt and seed, of what a model knows."""
    state = steps.addon("session").SESSION
    known = [thing["example"] for thing in state.engine.things(model)]
    wanted().model, wanted().prompt, wanted().seed = model, CHANCE.choice(known), CHANCE.randrange(1000)
    bpy.context.scene.cursor.location = [CHANCE.uniform(-4, 4), CHANCE.uniform(-4, 4), 0]


def single(state):
    """Generate, undo, redo; a new seed in its place, undone; the same anew."""
    choose()
    wanted().count, wanted().detail = 1, CHANCE.choice(("draft", "standard", "standard", "high"))
    operate("generate")
    yield from quiet(state, 1)
    yield from undo()
    operate("new_seed_here")
    yield from quiet(state, 1)
    yield from undo(again=CHANCE.random() < 0.5)
    with_made(active=True)
    wanted().detail = "standard"
    operate("regenerate")
    yield from quiet(state, 1)


def with_made(*, active: bool) -> None:
    """Select the newest object that was made here."""
    for item in bpy.context.selected_objects:
        item.select_set(False)
    newest = generated()[-1]
    newest.select_set(True)
    if active:
        bpy.context.view_layer.objects.active = newest


def variations(state):
    """Four of a kind: one ticked, one rejected, the rest removed; undone and redone; more like it."""
    choose()
    wanted().count = 4
    operate("generate")
    yield from quiet(state, 4)
    yield from undo()
    numbers = list(state.batch.results)
    operate("reject_variation", number=numbers[3])
    operate("keep_variation", number=numbers[1])
    operate("remove_others")
    yield 0.7
    yield from undo()
    wanted().count = 2
    operate("more_like_this", number=numbers[1])
    yield from quiet(state, 2)
    wanted().count = 1


def live(state):
    """A draft follows seeds and typed words, and is kept; undo takes it away."""
    follows = steps.addon("live").LIVE
    choose()
    operate("live")
    yield from steps.until(lambda: follows.shown, 120)
    for _ in range(3):
        wanted().seed = seed = CHANCE.randrange(1000)
        yield from steps.until(lambda seed=seed: follows.shown and follows.shown.seed == seed, 120)
        REPORT["drafts"] += 1
    yield from undo()  # a draft is no step: this takes an earlier one
    yield from steps.until(lambda: follows.draft, 120)
    operate("keep_live")
    yield from quiet(state, 1)
    yield from undo(again=CHANCE.random() < 0.7)


def history(state):
    """Something made earlier is placed again, and another one's prompt is used."""
    entries = steps.addon("kept").history().entries
    operate("place_history", key=CHANCE.choice(entries).key)
    yield from quiet(state)
    yield from undo()
    operate("use_history", key=CHANCE.choice(entries).key)
    yield 0.5


def models(state):
    """The other model makes one; where it knows shapes, it restyles one."""
    other = list(state.engine.models)[-1]
    choose(other)
    operate("generate")
    yield from quiet(state, 1)
    yield from undo()
    if state.engine.knows_adherence(other):
        choose(other)
        with_made(active=True)
        operate("restyle")
        yield from quiet(state, 1)
        yield from undo()
    wanted().model = ""


def assets(state):
    """What is selected is marked, with pictures, and unmarked."""
    operate("mark_assets", tags="props", licence="CC0-1.0", author="Me")
    yield 0.7
    for item in bpy.context.selected_objects:
        item.asset_clear()
    bpy.ops.ed.undo_push(message="Clear Asset")


def delete(state):
    """Blender's own Delete takes the older ones."""
    operate("close_variations")
    for item in bpy.context.selected_objects:
        item.select_set(False)
    for item in generated()[:-LEFT]:
        item.select_set(True)
        DELETED[item.data.name] = REPORT["rounds"]
    with steps.override():
        bpy.ops.object.delete(use_global=False)
    yield 0.5


def purge(state):
    """Blender's own Purge takes what Delete has left: from here, rounds can be compared."""
    with steps.override():
        bpy.ops.outliner.orphans_purge(do_recursive=True)
    DELETED.clear()
    yield 1.0


def file(state):
    """Save, and load what was saved: now nothing without a user is left."""
    bpy.ops.wm.save_as_mainfile(filepath=str(FILE))
    yield 1.0
    sample("saved")
    bpy.ops.wm.open_mainfile(filepath=str(FILE))
    REPORT["loads"] += 1
    DELETED.clear()
    yield 2.0
    sample("loaded")


def main():
    chosen, session = steps.preferences(), steps.addon("session")
    chosen.engine_python, chosen.model_folder = PYTHON, MODELS
    edit = bpy.context.preferences.edit
    edit.undo_steps, edit.undo_memory_limit = UNDO_STEPS, 0
    bpy.context.preferences.filepaths.use_auto_save_temporary_files = False  # not the folder of other Blenders
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    bpy.ops.ed.undo_push(message="Start")
    measure_steps()
    yield from steps.show_tab()
    state = session.SESSION
    yield from steps.until(lambda: state.engine.state in ("READY", "FAILED"), 120)
    REPORT["models"] = list(state.engine.models)
    sample("begun")
    while REPORT["made"] < OBJECTS and not (OUT / "stop").exists():
        for part in (single, variations, live, history, models, assets, delete):
            yield from part(state)
            if part is not history:
                sample(part.__name__)
        REPORT["rounds"] += 1
        sample("round")
        steps.picture(OUT / f"round-{REPORT['rounds'] % 2}.png")
        yield from purge(state)
        sample("purged")
        if REPORT["rounds"] % 5 == 0:
            yield from file(state)
    give_back()
    sample("given back")
    yield from file(state)
    state.engine.stop()
    yield 2.0
    REPORT["children"] = len(children())
    REPORT["seconds"] = round(time.monotonic() - BEGUN)


steps.run(main(), REPORT, OUT / "report.json")
