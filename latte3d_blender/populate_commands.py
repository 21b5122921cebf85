# SPDX-License-Identifier: GPL-3.0-or-later
"""`populate SCENE.blend --recipe R.json --out OUT.blend`: fills a scene by a recipe, without a window. See docs/population.md."""

import argparse
import json
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import TextIO

import bpy

from . import files, machine
from .arguments import device, part
from .client.engine import EngineFault
from .populate import check, job, recipe, run, targets


def parser() -> argparse.ArgumentParser:
    """The arguments of `populate`."""
    top = argparse.ArgumentParser(prog="latte3d populate", description="Fill a scene with objects by a recipe: docs/population.md")
    add = top.add_argument
    add("scene", metavar="SCENE.blend", help="the scene; it is not changed")
    add("--recipe", required=True, metavar="R.json", help="what to place, and where it may stand")
    add("--out", required=True, metavar="OUT.blend", help="where the filled scene goes")
    add("--render", metavar="PNG", help="render the filled scene through its camera")
    add("--objects", action="store_true", help="plain objects that share their meshes, for export, instead of geometry nodes")
    add(
        "--shard",
        type=part,
        metavar="i/n",
        help="only make the i-th of n parts of the objects into --job; a run without it fills the scene",
    )
    add("--job", metavar="DIR", help="folder for finished objects, until the scene is saved (default: beside OUT.blend)")
    add("--yes", action="store_true", help=f"place more than {recipe.ASK_ABOVE:,} objects")
    add("--check", action="store_true", help=f"look for crossing surfaces in more than {check.MOST:,} objects, too")
    add("--engine", default="", metavar="PYTHON", help="the engine's Python (default: as in the preferences, else what Set Up made)")
    add("--device", type=device, help="auto, cpu, cuda, cuda:N or mps (default: as in the preferences, else auto)")
    add("--json", action="store_true", help="one JSON object a line, the last one the result")
    return top


class Refused(Exception):
    """A request that makes no sense or cannot be begun; nothing was made."""


class Run:
    """One `populate`."""

    def __init__(self, options: argparse.Namespace, out: TextIO):
        self.options, self.out, self.begun = options, out, time.perf_counter()
        self.result: dict = {}
        self.facts: dict = {}
        self.said = 0.0

    def say(self, text: str) -> None:
        if not self.options.json:
            print(text, file=self.out, flush=True)

    def event(self, stage: str, done: int, total: int, left_s: float | None = None) -> None:
        """Tell how far it is, a few times a second at most."""
        now = time.perf_counter()
        if now - self.said < 0.5 and done < total:
            return
        self.said = now
        left = None if left_s is None else round(left_s, 1)
        if self.options.json:
            print(json.dumps({"event": "progress", "stage": stage, "done": done, "total": total, "eta_s": left}), file=self.out, flush=True)
        else:
            self.say(f"{stage}: {done:,} of {total:,}" + (f", about {left:.0f} s left" if left else ""))

    def fill(self) -> int:
        """Do it all; returns the exit status. Raises Refused before any work."""
        wanted = self._recipe()
        out, folder = self._places()
        self._open()
        try:
            chosen = run.plan(wanted, sure=self.options.yes)
        except run.Asks as error:
            raise Refused(f"{error} On the command line: --yes.") from error
        except targets.SceneError as error:
            raise Refused(str(error)) from error
        kept = job.Job(folder)
        self._make(chosen, kept)
        if self.options.shard:
            return int(bool(kept.failed))
        outcome = run.put(chosen, kept, linked=self.options.objects, progress=lambda done, total: self.event("layout", done, total))
        with files.written(out) as partial:
            bpy.ops.wm.save_as_mainfile(filepath=str(partial), copy=True, compress=True)
        self._report(outcome, kept, out)
        if not kept.failed:
            kept.remove()
        if self.options.render:
            self._render(Path(self.options.render).expanduser().resolve(), outcome)
        return int(bool(kept.failed or outcome.notes))

    def _recipe(self) -> recipe.Recipe:
        path = Path(self.options.recipe).expanduser()
        try:
            return recipe.read(path.read_text(encoding="utf-8-sig"), str(path))
        except OSError as error:
            raise Refused(f"The recipe {path} cannot be read: {error.strerror or error}.") from error
        except UnicodeDecodeError as error:
            raise Refused(f"The recipe {path} is no text in UTF-8.") from error
        except recipe.RecipeError as error:
            raise Refused(str(error)) from error

    def _places(self) -> tuple[Path, Path]:
        """The file to write and the job's folder. Raises Refused where nothing can be written there."""
        out = Path(self.options.out).expanduser().resolve()
        if out.suffix.lower() != ".blend":
            raise Refused(f"--out must name a .blend, and {out.name} is none.")
        folder = Path(self.options.job).expanduser().resolve() if self.options.job else out.with_name(f".{out.stem}.populate")
        try:
            for one in (out.parent, folder):
                one.mkdir(parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=one).close()
        except OSError as error:
            raise Refused(f"Nothing can be written to {error.filename or out.parent}: {error.strerror or error}.") from error
        return out, folder

    def _open(self) -> None:
        path = Path(self.options.scene).expanduser().resolve()
        if not path.is_file():
            raise Refused(f"There is no file {path}.")
        try:
            bpy.ops.wm.open_mainfile(filepath=str(path), load_ui=False, use_scripts=False)
        except RuntimeError as error:
            raise Refused(f"Blender cannot open {path}: {str(error).strip().removeprefix('Error: ')}") from error

    def _make(self, chosen: run.Plan, kept: job.Job) -> None:
        """Make what the scene lacks, or this run's part of it."""
        wants = job.shard(chosen.missing, self.options.shard)
        self.say(f"{chosen.total:,} objects of {len(chosen.wants):,} kinds; {len(wants):,} are to be made")

        def launch():
            return machine.launch(python=self.options.engine, device=self.options.device or "", log=kept.folder / "engine.log")

        def progress(far: job.Progress) -> None:
            self.event("objects", far.done, far.total, far.left_s)

        made = run.generate(chosen, wants, kept, launch, self.say, self.facts, progress=progress)
        for want, reason in kept.failed.items():
            print(f"latte3d: {want.prompt[:80]!r}, seed {want.seed}: {reason}", file=sys.stderr)
        failed = [{"prompt": want.prompt, "seed": want.seed, "reason": reason} for want, reason in kept.failed.items()]
        self.result = {"made": made, "failed": failed, "device": self.facts.get("device", "")}

    def _report(self, outcome: run.Outcome, kept: job.Job, out: Path) -> None:
        """The last line, and the same for people."""
        laid, seconds = outcome.layout, time.perf_counter() - self.begun
        self.result |= {"instances": len(laid), "assets": len(outcome.assets.found), "reused": outcome.assets.reused}
        self.result |= {"seconds": round(seconds, 2), "peak_mb": peak_mb(), "layout_sha256": laid.sha256(), "blend": str(out)}
        self.result |= {"notes": outcome.notes, "overlaps": None}
        if len(laid) <= check.MOST or self.options.check:
            self.result["overlaps"] = len(check.crossing(outcome.assets, laid, targets.unit_metres()).crossing)
        for note in outcome.notes:
            print(f"latte3d: {note}", file=sys.stderr)
        self.say(f"{len(laid):,} objects of {len(outcome.assets.found):,} kinds in {seconds:.1f} s: {out}")

    def _render(self, path: Path, outcome: run.Outcome) -> None:
        scene, begun = bpy.context.scene, time.perf_counter()
        if scene.camera is None:
            raise OSError(f"{path} is not rendered: the scene has no camera.")
        scene.render.image_settings.file_format = "PNG"
        with files.written(path) as partial:
            scene.render.filepath = str(partial)
            try:
                bpy.ops.render.render(write_still=True)
            except RuntimeError as error:
                if "enois" not in str(error):
                    raise
                scene.cycles.use_denoising = False  # some builds come without a denoiser
                bpy.ops.render.render(write_still=True)
        self.result |= {"png": str(path), "render_seconds": round(time.perf_counter() - begun, 2)}
        self.say(f"{path}  ({self.result['render_seconds']} s)")


def peak_mb(*, children: bool = False) -> int:
    """The most memory that this process has held, MB, or one of those that it started and that have ended; 0 where the system does not
    say."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    most = resource.getrusage(resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF).ru_maxrss
    return round(most / (1 << 20 if sys.platform == "darwin" else 1 << 10))


def main(argv: list[str], out: TextIO | None = None) -> int:
    """Run `populate` and write to `out`. Returns 0: all stands; 1: something is missing; 2: nothing was begun; 130: stopped."""
    out = out or sys.stdout
    try:
        with redirect_stdout(out):
            options = parser().parse_args(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    task, status = Run(options, out), 1
    try:
        status = task.fill()
    except Refused as error:
        print(f"latte3d: {error}", file=sys.stderr)
        return 2
    except (EngineFault, targets.SceneError, OSError, RuntimeError) as error:
        print(f"latte3d: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("latte3d: Stopped. What was made is kept; the same command goes on with it.", file=sys.stderr)
        status = 130
    if options.json:
        print(json.dumps(task.result), file=out, flush=True)
    return status
