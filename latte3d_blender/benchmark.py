# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a click takes in Blender: cold start, warm click to object, insertion, and Smart UV Project on the same mesh.

`python -m latte3d_blender.benchmark --engine PYTHON [--model FOLDER] [--device DEVICE] [--rounds N]` prints one line of JSON.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import bpy

from . import machine
from .arguments import DETAILS
from .client.engine import Engine, EngineFault
from .scene import meshes, placement

PROMPT = "a red mushroom with white spots"


def click(engine: Engine, prompt: str, seed: int, settings: dict) -> dict:
    """One click: ask, wait, build and link the object. Returns times in milliseconds and the object. Raises EngineFault."""
    begun = time.perf_counter()
    job = engine.submit([prompt], [seed], settings)
    while not job.over:
        engine.poll(wait_s=0.1)
    if fault := job.fault or next((failure.fault for failure in job.failures), None):
        raise EngineFault(fault)
    (result,), arrived = job.take(), time.perf_counter()
    made = meshes.build_object(result)
    placement.generated_collection(bpy.context).objects.link(made)
    bpy.context.view_layer.update()
    done = time.perf_counter()
    engine_ms = sum(result.fields["timings_ms"].values())
    times = {"insert": 1000 * (done - arrived), "click_to_object": 1000 * (done - begun), "wire": 1000 * (arrived - begun) - engine_ms}
    return {"times": times, "stages": result.fields["timings_ms"], "object": made, "triangles": len(result.arrays["triangles"])}


def smart_uv_ms(made: bpy.types.Object) -> float:
    """Blender's Smart UV Project on the object's mesh, milliseconds."""
    placement.select_only(bpy.context, [made])
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    begun = time.perf_counter()
    bpy.ops.uv.smart_project()
    took = 1000 * (time.perf_counter() - begun)
    bpy.ops.object.mode_set(mode="OBJECT")
    return took


def measure(options: argparse.Namespace) -> dict:
    """All figures, medians over the rounds: stages and the click at Full, the cold click at the default, and the click at each detail,
    taken in turn, so that a machine that slows down slows all of them. Raises EngineFault."""
    sizes = {"resolution": options.resolution, "texture_size": options.texture_size, "triangles": None}
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    engine = Engine()
    with tempfile.TemporaryDirectory(prefix="latte3d-") as folder:
        launch = machine.launch(python=options.engine, model=options.model, device=options.device, log=Path(folder) / "engine.log")
        try:
            engine.start(launch)
            first = click(engine, PROMPT, 0, sizes | {"detail": "standard"})  # queued while the engine starts, as an artist's first is
            for detail in DETAILS:
                click(engine, PROMPT, 0, sizes | {"detail": detail})  # what is done once at each is not the warm click's
            clicks: dict[str, list] = {detail: [] for detail in DETAILS}
            uv = []
            for seed in range(1, options.rounds + 1):
                for detail, made in clicks.items():
                    made.append(click(engine, PROMPT, seed, sizes | {"detail": detail}))
                uv.append(smart_uv_ms(clicks["full"][-1]["object"]))
            device = engine.hello.get("device", "")
        finally:
            engine.stop()
    rounds = clicks["full"]
    times = {f"{name}_ms": round(statistics.median(r["times"][name] for r in rounds), 1) for name in rounds[0]["times"]}
    stages = {name: round(statistics.median(r["stages"][name] for r in rounds), 1) for name in rounds[0]["stages"]}
    return {
        "blender": bpy.app.version_string,
        "device": device,
        "triangles": int(statistics.median(r["triangles"] for r in rounds)),
        "stages_ms": stages,
        **times,
        "details": {name: round(statistics.median(r["times"]["click_to_object"] for r in made), 1) for name, made in clicks.items()},
        "cold_start_ms": round(1000 * engine.cold_start_s, 1),
        "cold_click_ms": round(first["times"]["click_to_object"], 1),
        "smart_uv_ms": round(statistics.median(uv), 1),
    }


def main(argv: list[str]) -> int:
    """Print the figures as one line of JSON; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m latte3d_blender.benchmark", description="Time a click.")
    parser.add_argument("--engine", default="", metavar="PYTHON")
    parser.add_argument("--model", default="", metavar="FOLDER")
    parser.add_argument("--device", default="")
    parser.add_argument("--resolution", type=int, help="in place of each detail's own")
    parser.add_argument("--texture-size", type=int, help="in place of each detail's own")
    parser.add_argument("--rounds", type=int, default=7)
    try:
        print(json.dumps(measure(parser.parse_args(argv))), flush=True)
    except EngineFault as error:
        print(f"latte3d: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
