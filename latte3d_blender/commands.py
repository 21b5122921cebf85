# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: prompts in, a .blend, a .glb and a picture of each object out.

`blender --command latte3d generate "a red mushroom" --out DIR`, or with Blender as a Python module:
`python -m latte3d_blender generate "a red mushroom" --out DIR`.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import TextIO

import bpy

from . import STARTED, arguments, bulk_commands, files, library_commands, machine, naming, populate_commands, terminal, train_commands
from .client import batch
from .client.batch import Say
from .client.job import EngineFault, Fault, Result
from .scene import meshes, placement, studio

REPAIR = "In a checkout, this mends it: python3 build.py repair"


class Refused(Exception):
    """A request that makes no sense or cannot be begun; nothing was made."""


def output_folder(text: str) -> Path:
    """The folder for the files, made if need be. Raises Refused where nothing can be written there."""
    try:
        out = Path(text).expanduser().resolve()
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: the ~ of a user who is not there; ValueError: a NUL
        raise Refused(f"Nothing can be written to {text}: {getattr(error, 'strerror', None) or error}. Name another folder.") from error
    return out


def save_scene(result: Result, path: Path) -> tuple[bpy.types.Object, dict]:
    """Write a .blend that holds one object. Returns the object in the open scene, and the time that each stage took."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)  # unlike factory settings, this leaves preferences alone
    begun = time.perf_counter()
    made = meshes.build_object(result)
    placement.generated_collection(bpy.context).objects.link(made)
    placement.select_only(bpy.context, [made])
    timings = dict(result.fields["timings_ms"], insert=1000 * (time.perf_counter() - begun))
    meshes.write_timings(made, timings)
    for screen in bpy.data.screens:
        for area in screen.areas:
            if area.type == "VIEW_3D":
                area.spaces.active.shading.type = "MATERIAL"
    with files.written(path) as partial:
        bpy.ops.wm.save_as_mainfile(filepath=str(partial), copy=True, compress=True)
        with bpy.data.libraries.load(str(partial)) as (inside, _):  # what Blender itself finds in it
            if made.name not in inside.objects:
                raise OSError(files.CUT)
    return made, timings


def summary(result: Result, stem: Path, timings: dict) -> dict:
    """An object in the last line."""
    fields = result.fields
    notes = fields.get("notes")
    return {
        "prompt": result.prompt,
        "seed": result.seed,
        "model": fields.get("model", ""),
        "blend": f"{stem}.blend",
        "glb": f"{stem}.glb",
        "png": "",
        "triangles": len(result.arrays["triangles"]),
        "familiar": fields.get("familiar", True),
        "read_as": fields.get("read_as") or {},
        "set_aside": fields.get("set_aside") or [],
        "not_understood": fields.get("not_understood") or [],
        "notes": notes if isinstance(notes, list) else [],
        "timings_ms": {stage: round(ms, 2) for stage, ms in timings.items()},
    }


class Run:
    """One `generate`: the objects that were made, those that failed, and the report of both."""

    def __init__(self, options: argparse.Namespace, say: Say, begun: float):
        self.options, self.say, self.begun = options, say, begun
        self.result: dict = {"objects": [], "failed": [], "device": ""}
        self.last_reason = ""

    def make(self) -> None:
        """Do it all. Raises Refused before any work; KeyboardInterrupt passes through, and leaves a result that is complete."""
        try:
            wanted, bad = batch.wishes(self.options.prompts, self.options.seed)
        except EngineFault as error:
            raise Refused(str(error)) from error
        out, asked = output_folder(self.options.out), arguments.details(self.options)
        for wish, fault in bad:
            self.fail(wish, str(fault))
        folder_of_model, model = machine.folder_or_id(self.options.model)
        settings, strict = asked | {"glb": True} | ({"model": model} if model else {}), self.options.strict
        open_wishes = dict.fromkeys(wanted)
        try:
            with tempfile.TemporaryDirectory(prefix="latte3d-") as folder:
                log = Path(folder) / "engine.log"
                device = self.options.device or ""
                launch = machine.launch(python=self.options.engine, model=folder_of_model, device=device, log=log)
                for wish, answer in batch.make(launch, wanted, settings, self.say, self.result, strict=strict):
                    if isinstance(answer, Fault):
                        self.fail(wish, str(answer), answer.kind)
                    else:
                        self.save(wish, answer, out)
                    del open_wishes[wish]
        except EngineFault as error:
            for wish in open_wishes:
                self.fail(wish, str(error), error.fault.kind)
        except KeyboardInterrupt:
            self.result["failed"] += [{"prompt": wish.prompt, "seed": wish.seed, "reason": "Stopped."} for wish in open_wishes]
            raise

    def fail(self, wish: batch.Wish, reason: str, kind: str = "") -> None:
        """Record what was not made and print the reason, once where many share it."""
        self.result["failed"].append({"prompt": wish.prompt, "seed": wish.seed, "reason": reason})
        if reason != self.last_reason:
            print(f"latte3d: {wish.prompt[:80]!r}, seed {wish.seed}: {reason}", file=sys.stderr)
            if kind in ("broken", "not_installed") or "Set the engine up" in reason:
                print(f"latte3d: {REPAIR}", file=sys.stderr)
        self.last_reason = reason

    def save(self, wish: batch.Wish, result: Result, out: Path) -> None:
        """Write an object's files under a name that is no other's. What cannot be written is among what failed."""
        settings = {name: getattr(self.options, name) for name in ("detail", "resolution", "texture_size", "triangles")}
        settings["detail"] = result.fields.get("detail") or settings["detail"] or "standard"
        result.settings = settings
        mine = {"prompt": result.prompt, "seed": result.seed, "model": result.fields["model"], "settings": settings}

        def is_own(glb: Path) -> bool:
            """Whether it is this very object, of an earlier run: a run beside this one keeps what it has made."""
            there = files.glb_extras(glb) or {}
            return all(there.get(key) == value for key, value in mine.items()) and glb.stat().st_mtime < self.begun

        try:
            with naming.reserved(out, wish.prompt, wish.seed, is_own) as stem:
                self.write(result, stem)
        except (OSError, RuntimeError, ValueError) as error:
            self.fail(wish, str(error))

    def write(self, result: Result, stem: Path) -> None:
        """Write `stem`.glb, .blend and .png, and say so. Raises OSError, RuntimeError and ValueError."""
        with files.written(stem.with_suffix(".glb")) as partial:
            partial.write_bytes(files.with_extras(result.arrays["glb"].tobytes(), settings=result.settings))
        made, timings = save_scene(result, stem.with_suffix(".blend"))
        about = summary(result, stem, timings)
        self.result["objects"].append(about)
        stages = "  ".join(f"{stage} {ms:.0f}" for stage, ms in about["timings_ms"].items())
        total = sum(about["timings_ms"].values())
        self.say(f"{result.prompt!r}, seed {result.seed}: {about['triangles']:,} triangles, {total:.0f} ms ({stages})")
        for note in about["notes"]:
            self.say(f"  {note}")
        self.say(f"  {stem}.blend  .glb")
        if not self.options.no_picture:
            picture, begun = stem.with_suffix(".png"), time.perf_counter()
            with files.written(picture) as partial:
                studio.studio_shot([made], partial, size=self.options.picture_size)
            about["png"] = str(picture)
            self.say(f"  {picture}  ({time.perf_counter() - begun:.1f} s)")


def parser() -> argparse.ArgumentParser:
    """The command line's arguments."""
    top = argparse.ArgumentParser(prog="latte3d", description="From a text prompt to a textured mesh.")
    commands = top.add_subparsers(dest="command", required=True)
    about = "Make one object per prompt: .blend, .glb and .png."
    make = commands.add_parser("generate", help="make one object per prompt", description=about)
    arguments.add_generate(make)
    commands.add_parser("library", help="check, prepare and caption a prompt library of your own (library --help says more)")
    commands.add_parser("train", help="train a model on a library of your own (train --help says more)")
    commands.add_parser("evaluate", help="measure a model on a library of your own (evaluate --help says more)")
    commands.add_parser("refine", help="make one object better by diffusion priors (refine --help says more)")
    commands.add_parser("populate", help="fill a scene with objects by a recipe (populate --help says more)")
    help_engine = "the engine's Python (default: as in the preferences, else what Set Up made)"
    make.add_argument("--engine", default="", metavar="PYTHON", help=help_engine)
    return top


def parsed(argv: list[str]) -> argparse.Namespace:
    """The arguments of `generate`."""
    top = parser()
    options = top.parse_args(argv)
    if options.command == "generate" and (wrong := arguments.wrong_generate(options)):
        top.error(wrong)
    return options


class Speaker:
    """Says what happens on a stream; when that takes no more (a full disk behind it), the work goes on."""

    def __init__(self, out: TextIO):
        self.out, self.lost = out, ""

    def __call__(self, text: str) -> None:
        try:
            if not self.lost:
                print(text, file=self.out, flush=True)
        except (OSError, ValueError) as error:
            self.lost = str(error)


def main(argv: list[str], out: TextIO | None = None, begun: float = 0.0) -> int:
    """Run one command and write to `out`. Returns 0: all was made, 1: something failed, 2: nothing was begun, 130: stopped.

    begun: when its program did (0: now): what others have written since then is theirs.
    """
    out = out or sys.stdout
    others = {"library": library_commands.main, "populate": populate_commands.main}
    others |= {name: getattr(train_commands, name) for name in ("train", "evaluate", "refine")}
    if argv and argv[0] in others:
        return others[argv[0]](argv[1:], out)
    try:
        with redirect_stdout(out):
            options = parsed(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    if options.prompt_list:
        return bulk_commands.main(options, out)
    say = Speaker(out)
    run, status = Run(options, say, begun or time.time()), 0
    try:
        run.make()
        status = int(bool(run.result["failed"]))
    except Refused as error:
        print(f"latte3d: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # no folder for temporary files
        print(f"latte3d: {error}", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        made = len(run.result["objects"])
        print(f"latte3d: Stopped. {made} of {made + len(run.result['failed'])} were made.", file=sys.stderr)
        status = 130
    if options.json:
        say(json.dumps(run.result))
    if say.lost:
        print(f"latte3d: The output could not be written: {say.lost}.", file=sys.stderr)
    return status or int(bool(say.lost))


def command(argv: list[str]) -> int:
    """The entry point of a process of its own: what Blender prints to stdout is dropped, what we say stays."""
    terminal.open_streams()
    if sys.stdout:
        sys.stdout.flush()
    out = terminal.steady(os.dup(1), sys.stdout)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    sys.stderr = terminal.steady(2, sys.stderr)
    terminal.end_on_signals()
    return main(argv, out, STARTED)


if __name__ == "__main__":
    sys.exit(command(sys.argv[1:]))
