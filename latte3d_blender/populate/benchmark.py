# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a layout of 20,000 objects takes, beside Smart UV Project on the full mushroom in the same run.

`python -m latte3d_blender.populate.benchmark [--engine PYTHON] [--count N]` prints one line of JSON. The objects are three of the starter
model's; the ground is hills as large as makes the density half of the most that finds places there.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import bpy
import numpy as np

from .. import machine
from ..benchmark import smart_uv_ms
from ..client.engine import EngineFault
from ..scene import meshes, placement
from . import assets, layout, recipe, run, targets
from .job import Job, Want

PROMPTS = ("a gray rock with green moss", "a red mushroom with white spots", "a green bench with brown legs")
FULL = Want(PROMPTS[1], 0, "", "full")


def ground(size: float) -> bpy.types.Object:
    """Hills of 200 × 200 squares, `size` metres wide."""
    axis = np.linspace(-size / 2, size / 2, 201)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    number = np.arange(201 * 201).reshape(201, 201)
    faces = np.stack([number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]], -1).reshape(-1, 4)
    mesh = bpy.data.meshes.new("Ground")
    z = np.round(size / 30 * np.sin(x * 12 / size) * np.cos(y * 10 / size), 3)
    mesh.from_pydata(np.stack([x, y, z], -1).reshape(-1, 3).tolist(), [], faces.tolist())
    made = bpy.data.objects.new("Ground", mesh)
    bpy.context.scene.collection.objects.link(made)
    return made


def lay(count: int, size: float, job: Job) -> tuple[layout.Layout, float]:
    """Lay so many objects out on hills of a size: the layout, and its seconds. The surface is read before."""
    made = ground(size)
    text = {"target": made.name, "quality": "draft", "layers": [{"things": list(PROMPTS), "height": [0.3, 0.4], "count": count}]}
    chosen = run.plan(recipe.read(json.dumps(text)), sure=True)
    found = assets.collect(chosen.recipe, job, chosen.unit_m)
    begun = time.perf_counter()
    laid = layout.lay_out(chosen.recipe, found.options, found.shapes, chosen.grounds, targets.scenery(chosen.recipe, 1.0))
    seconds = time.perf_counter() - begun
    bpy.data.objects.remove(made)
    return laid, seconds


def measure(options: argparse.Namespace, folder: Path) -> dict:
    """All figures. Raises EngineFault."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    job = Job(folder)
    wants = [*(Want(prompt, 0, "", "draft") for prompt in PROMPTS), FULL]

    def launch():
        return machine.launch(python=options.engine, log=folder / "engine.log")

    for _, fault in run.make_objects(job, wants, launch, lambda text: None, {}):
        if fault:
            raise EngineFault(fault)
    mushroom = meshes.build_object(job.read(FULL))
    placement.generated_collection(bpy.context).objects.link(mushroom)
    crowd, _ = lay(4000, 24.0, job)  # more than there is room for
    most = len(crowd) / 24.0**2
    uv_ms = [smart_uv_ms(mushroom) for _ in range(3)]
    laid, seconds = lay(options.count, float((2 * options.count / most) ** 0.5), job)
    uv_ms += [smart_uv_ms(mushroom) for _ in range(3)]
    uv = float(np.median(uv_ms)) / 1000
    return {
        "blender": bpy.app.version_string,
        "instances": len(laid),
        "most_per_m2": round(most, 2),
        "layout_s": round(seconds, 2),
        "smart_uv_s": round(uv, 3),
        "mushroom_triangles": len(mushroom.data.polygons),
        "ratio": round(seconds / uv, 1),
        "layout_sha256": laid.sha256(),
    }


def main(argv: list[str]) -> int:
    """Print the figures as one line of JSON; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m latte3d_blender.populate.benchmark", description="Time a layout.")
    parser.add_argument("--engine", default="", metavar="PYTHON")
    parser.add_argument("--count", type=int, default=20_000)
    options = parser.parse_args(argv)
    try:
        with tempfile.TemporaryDirectory(prefix="latte3d-") as folder:
            print(json.dumps(measure(options, Path(folder))), flush=True)
    except (EngineFault, targets.SceneError) as error:
        print(f"latte3d: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
