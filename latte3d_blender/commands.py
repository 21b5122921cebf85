# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: prompts in, a .blend, a .glb and a picture of each object out.

`blender --command latte3d generate "a red mushroom" --out DIR`, or with Blender as a Python module:
`python -m latte3d_blender.commands generate "a red mushroom" --out DIR`.
"""

import argparse
import json
import os
import re
import sys
import tempfile
import time
import unicodedata
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TextIO

import bpy

from . import machine, meshes, placement, render
from .engine import Engine, EngineFault, Fault, Job, Launch, check_prompt


def slug(prompt: str) -> str:
    """Return a file name for a prompt: lower-case ASCII words and hyphens, at most 60 characters."""
    plain = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].strip("-") or "object"


def names_and_seeds(prompts: list[str], seed: int) -> tuple[list[str], list[int]]:
    """Give each prompt its own file name and seed: a prompt that comes again takes the next seed."""
    names, seeds = [], []
    for index, prompt in enumerate(prompts):
        seeds.append(seed + prompts[:index].count(prompt))
        name = slug(prompt)
        if name in names:
            name = f"{name}-{seeds[-1]}"
        number = 2
        while name in names:
            name, number = f"{slug(prompt)}-{seeds[-1]}-{number}", number + 1
        names.append(name)
    return names, seeds


@contextmanager
def written(path: Path):
    """Give a temporary name beside `path`, renamed to it at the end: nothing half-written stays."""
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def run_job(launch: Launch, prompts: list[str], seeds: list[int], settings: dict, say) -> tuple[Job, Engine]:
    """Start an engine, run one job, end the engine. Raises EngineFault."""
    engine = Engine()
    try:
        engine.start(launch)
        job, stage = engine.submit(prompts, seeds, settings), ""
        if engine.fault:
            raise EngineFault(engine.fault)
        say(f"Starting the engine ({launch.python})")
        while not job.over:
            engine.poll(wait_s=0.2)
            if job.stage != stage:
                if not stage:
                    device = engine.hello.get("device_name") or engine.hello.get("device")
                    say(f"Engine ready after {engine.cold_start_s:.1f} s on {device}")
                stage = job.stage
        if job.fault:
            raise EngineFault(job.fault)
        return job, engine
    finally:
        engine.stop()


def save_object(item: dict, settings: dict, stem: Path) -> tuple[dict, bpy.types.Object]:
    """Write `stem`.glb and `stem`.blend; return the summary of the object, and the object itself in the open scene."""
    glb, blend = stem.with_suffix(".glb"), stem.with_suffix(".blend")
    with written(glb) as partial:
        partial.write_bytes(item["arrays"]["glb"].tobytes())
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)  # unlike factory settings, this leaves preferences alone
    begun = time.perf_counter()
    made = meshes.build_object(item, settings)
    placement.generated_collection(bpy.context).objects.link(made)
    placement.select_only(bpy.context, [made])
    timings = dict(item["timings_ms"], insert=1000 * (time.perf_counter() - begun))
    meshes.write_timings(made, timings)
    for screen in bpy.data.screens:
        for area in screen.areas:
            if area.type == "VIEW_3D":
                area.spaces.active.shading.type = "MATERIAL"
    with written(blend) as partial:
        bpy.ops.wm.save_as_mainfile(filepath=str(partial), copy=True, compress=True)
    summary = {
        "prompt": item["prompt"],
        "seed": item["seed"],
        "blend": str(blend),
        "glb": str(glb),
        "png": "",
        "triangles": len(item["arrays"]["triangles"]),
        "timings_ms": {stage: round(ms, 2) for stage, ms in timings.items()},
    }
    return summary, made


def generate(options: argparse.Namespace, say) -> dict:
    """Run the `generate` command; return what `--json` prints. Raises EngineFault and OSError."""
    for prompt in options.prompts:
        if fault := check_prompt(prompt):
            raise EngineFault(fault)
    names, seeds = names_and_seeds(options.prompts, options.seed)
    if not 0 <= min(seeds) <= max(seeds) < 2**31:  # what Blender's own field and custom properties hold
        raise EngineFault(
            Fault("The seed is out of range.", f"It is {options.seed}.", "Choose one from 0 to 2,147,483,647.", "bad_request")
        )
    out = Path(options.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    settings = {"resolution": options.resolution, "texture_size": options.texture_size, "triangles": options.triangles}
    with tempfile.TemporaryDirectory(prefix="latte3d-") as folder:
        launch = machine.launch(python=options.engine, model=options.model, device=options.device, log=Path(folder) / "engine.log")
        job, engine = run_job(launch, options.prompts, seeds, {**settings, "glb": True}, say)
    objects = []
    for name, item in zip(names, job.objects, strict=True):
        summary, made = save_object(item, settings, out / name)
        for note in item.get("notes") or []:
            say(f"{item['prompt']!r}: {note}")
        stages = "  ".join(f"{stage} {ms:.0f}" for stage, ms in summary["timings_ms"].items())
        total = sum(summary["timings_ms"].values())
        say(f"{item['prompt']!r}, seed {item['seed']}: {summary['triangles']:,} triangles, {total:.0f} ms ({stages})")
        if not options.no_picture:
            picture, begun = (out / name).with_suffix(".png"), time.perf_counter()
            with written(picture) as partial:
                render.studio_shot([made], partial, size=options.picture_size)
            summary["png"] = str(picture)
            say(f"  photographed in {time.perf_counter() - begun:.1f} s")
        say(f"  {out / name}.blend  .glb" + ("" if options.no_picture else "  .png"))
        objects.append(summary)
    return {"objects": objects, "device": engine.hello.get("device", "")}


def parser() -> argparse.ArgumentParser:
    """The command line's arguments."""
    top = argparse.ArgumentParser(prog="latte3d", description="From a text prompt to a textured mesh.")
    commands = top.add_subparsers(dest="command", required=True)
    make = commands.add_parser(
        "generate", help="make one object per prompt", description="Make one object per prompt: .blend, .glb and .png."
    )
    make.add_argument("prompts", nargs="+", metavar="PROMPT", help='what to make, as in "a red mushroom with white spots"')
    make.add_argument("--out", default="out", metavar="DIR", help="where the files go (default: out)")
    make.add_argument("--seed", type=int, default=0, help="another seed is another object of the same description (default: 0)")
    make.add_argument("--resolution", type=int, default=128, help="cells per side of the grid that the surface is made from (default: 128)")
    make.add_argument("--texture-size", type=int, default=1024, help="pixels per side of each image (default: 1024)")
    make.add_argument("--triangles", type=int, help="reduce each mesh to about this many triangles")
    make.add_argument("--device", default="", help="auto, cpu or cuda (default: as in the preferences, else auto)")
    make.add_argument(
        "--model", default="", metavar="FOLDER", help="a trained model (default: as in the preferences, else the starter model)"
    )
    make.add_argument(
        "--engine", default="", metavar="PYTHON", help="the engine's Python (default: as in the preferences, else what Set Up made)"
    )
    make.add_argument("--picture-size", type=int, default=640, help="pixels per side of the .png (default: 640)")
    make.add_argument("--no-picture", action="store_true", help="do not render the .png")
    make.add_argument("--json", action="store_true", help="print a last line for machines")
    return top


def main(argv: list[str], out: TextIO | None = None) -> int:
    """Run one command and write to `out`; return the exit status: 0, 1 for what went wrong, 2 for a request that makes no sense."""
    out = out or sys.stdout
    try:
        with redirect_stdout(out):
            options = parser().parse_args(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2

    def say(text: str) -> None:
        print(text, file=out, flush=True)

    try:
        result = generate(options, say)
    except EngineFault as error:
        print(f"latte3d: {error}", file=sys.stderr)
        return 2 if error.fault.kind == "bad_request" else 1
    except (OSError, RuntimeError, ValueError) as error:
        print(f"latte3d: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("latte3d: Cancelled.", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(result), file=out, flush=True)
    return 0


def command(argv: list[str]) -> int:
    """The entry point of a process of its own: what Blender prints to stdout is dropped, what we say stays."""
    sys.stdout.flush()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return main(argv, out)


if __name__ == "__main__":
    sys.exit(command(sys.argv[1:]))
