# SPDX-License-Identifier: GPL-3.0-or-later
"""`generate --prompts LIST --out FOLDER|FILE.blend`: a list of prompts becomes an asset library. See docs/asset-libraries.md."""

import argparse
import contextlib
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import bpy

from . import catalogues, files, machine
from .bulk import farm, listing, prompt_list, shelf
from .bulk.prompt_list import Entry
from .client.engine import EngineFault, Launch
from .client.job import Fault
from .populate import assets, job
from .populate.job import Want
from .populate_commands import peak_mb
from .running import Output

UNUSED = ("resolution", "texture_size", "triangles")  # of generate: a list says how fine its objects are by their quality alone


class Refused(Exception):
    """A request that makes no sense or cannot be begun; nothing was made."""


class Run:
    """One list."""

    def __init__(self, options: argparse.Namespace, output: Output):
        self.options, self.output, self.begun = options, output, time.perf_counter()
        self.facts: dict = {}
        self.result: dict = {"made": 0, "there": 0, "failed": [], "device": ""}
        self.said, self.last_reason = 0.0, ""
        self.folder_of_model, self.model = machine.folder_or_id(options.model)
        self.model = self.model or machine.id_of(self.folder_of_model)

    def make(self) -> int:
        """Do it all; returns the exit status. Raises Refused before any work."""
        if self.options.listing and (why := listing.fault()):
            raise Refused(f"{why} Leave --listing out, and run there: blender -c asset_listing generate {self.options.out}")
        out, library, kept_in = self._places()
        everything = self._list()
        wanted = job.shard(everything, self.options.shard)
        numbers = self._catalogues(library, everything)
        alone = out.suffix.lower() == ".blend"
        self._open(out if alone and out.exists() else None)
        have = assets.in_file() if alone else {}
        entries = [entry for entry in wanted if entry.want not in have]
        kept = job.Job(kept_in) if alone else shelf.Shelf(kept_in, library)
        there = len(wanted) - len(entries) + (0 if alone else sum(map(kept.has_filed, entries)))
        self.result |= {"library": str(out), "there": there}
        self.output.say(f"{len(wanted):,} objects for {out}; {len(wanted) - there:,} are to be made")
        try:
            self._make(kept, entries, numbers)
            if alone and not self.options.shard:
                self._save(out, shelf.collect(kept, entries, numbers, lambda done: self._tell("building", done, len(entries))))
        finally:
            self._report(kept, entries)
        if not kept.failed and not self.options.shard:
            kept.remove()
        if self.options.listing:
            self.output.say(f"Listing {out} for the web")
            listing.write(library, self.options.author)
        return int(bool(kept.failed))

    def _places(self) -> tuple[Path, Path, Path]:
        """What to write, the library's folder, and the job's. Raises Refused where nothing can be written there."""
        out, part = Path(self.options.out).expanduser().resolve(), self.options.shard
        library, own = out, out / (f".generate-{part[0]}-{part[1]}" if part else ".generate")
        if out.suffix.lower() == ".blend":
            library, own = out.parent, out.with_name(f".{out.stem}.generate")
        kept_in = Path(self.options.job).expanduser().resolve() if self.options.job else own
        try:
            for folder in (library, kept_in):
                folder.mkdir(parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            reason = f"{error.filename or library}: {error.strerror or error}"
            raise Refused(f"Nothing can be written to {reason}. Name another folder.") from error
        return out, library, kept_in

    def _list(self) -> list[Entry]:
        """The objects of the list, each with its catalogue."""
        options, path = self.options, Path(self.options.prompt_list).expanduser()
        if given := [name for name in UNUSED if getattr(options, name) is not None]:
            raise Refused(f"--{given[0].replace('_', '-')} is not for lists: name a --detail, or a quality for each prompt.")
        quality, catalogue = options.detail or "standard", catalogues.tidy(options.catalogue)
        defaults = prompt_list.Defaults(options.seed, quality, self.model, catalogue, options.licence, options.author)
        try:
            found = prompt_list.read(path, defaults)
        except OSError as error:
            raise Refused(f"The list {path} cannot be read: {error.strerror or error}.") from error
        except prompt_list.ListError as error:
            raise Refused(str(error)) from error
        for note in found.notes:
            self.output.say(f"latte3d: {note}")
        groups = machine.groups(self.folder_of_model)
        return [one if one.catalogue else replace(one, catalogue=shelf.catalogue_of(one.want.prompt, groups)) for one in found.entries]

    def _catalogues(self, library: Path, entries: list[Entry]) -> dict[str, str]:
        """The numbers of all catalogues of the list, whichever part of it is made here: machines that fill a folder agree on them."""
        try:
            return catalogues.ensure(library, [entry.catalogue for entry in entries])
        except (ValueError, OSError) as error:
            raise Refused(str(error)) from error

    def _open(self, there: Path | None) -> None:
        """The library's file, where it is one and there already, else an empty scene."""
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)  # unlike factory settings, this leaves preferences alone
        if there:
            try:
                bpy.ops.wm.open_mainfile(filepath=str(there), load_ui=False, use_scripts=False)
            except RuntimeError as error:
                raise Refused(f"Blender cannot open {there}: {str(error).strip().removeprefix('Error: ')}") from error

    def _make(self, kept: job.Job, entries: list[Entry], numbers: dict[str, str]) -> None:
        """Make what is missing, and put each object into its place as soon as it is there."""
        entry_of, filing = {entry.want: entry for entry in entries}, isinstance(kept, shelf.Shelf)

        def file(want: Want) -> bool:
            entry = entry_of[want]
            try:
                return not filing or kept.file(entry, numbers.get(entry.catalogue, ""))
            except ValueError as error:
                kept.drop(want, str(error))
                self._fail(want, str(error))
                return False

        def take(want: Want, fault: Fault | None) -> None:
            if fault:
                self._fail(want, str(fault))
            else:
                self.result["made"] += file(want)

        for want in entry_of if filing else ():  # what an earlier run had made when it was ended
            self.result["made"] += file(want)
        progress, say, wants = lambda far: self._tell("objects", far.done, far.total, far.left_s), self.output.say, list(entry_of)
        if self.options.ray:
            options = ["--ray", self.options.ray, "--cores", str(self.options.worker_cores), *["--strict"] * self.options.strict]
            farm.make(kept, wants, self._launch(kept), options, self.output, self.facts, take=take, progress=progress)
            return
        strict, launch = self.options.strict, lambda: self._launch(kept)
        for want, fault in job.make(kept, wants, launch, say, self.facts, strict=strict, progress=progress):
            take(want, fault)

    def _launch(self, kept: job.Job) -> Launch:
        log, device = kept.folder / "engine.log", self.options.device or ""
        return machine.launch(python=self.options.engine, model=self.folder_of_model, device=device, log=log)

    def _save(self, out: Path, made: list[bpy.types.Object]) -> None:
        """Write the one file."""
        if made:
            with files.written(out) as partial:
                bpy.ops.wm.save_as_mainfile(filepath=str(partial), copy=True, compress=True)
        self.result["made"] = len(made)

    def _report(self, kept: job.Job, entries: list[Entry]) -> None:
        """What has become of all, however it ended."""
        seconds = time.perf_counter() - self.begun
        failed = [{"prompt": want.prompt, "seed": want.seed, "reason": reason} for want, reason in kept.failed.items()]
        self.result |= {"failed": failed, "device": "", **self.facts, "seconds": round(seconds, 2)}
        self.result |= {"peak_mb": peak_mb(), "engine_peak_mb": peak_mb(children=True)}
        self.output.say(f"{self.result['made']:,} made in {seconds:.1f} s, {len(failed):,} failed: {self.result['library']}")
        with contextlib.suppress(OSError):  # of a full disk something else tells
            kept.write_state([entry.want for entry in entries])

    def _tell(self, stage: str, done: int, total: int, left_s: float | None = None) -> None:
        """How far it is, twice a second at most."""
        now = time.perf_counter()
        if now - self.said < 0.5 and done < total:
            return
        self.said = now
        self.output.event(event="progress", stage=stage, done=done, total=total, eta_s=None if left_s is None else round(left_s, 1))
        if not self.output.as_json:
            self.output.line(f"{stage}: {done:,} of {total:,}" + (f", about {left_s:.0f} s left" if left_s else ""))

    def _fail(self, want: Want, reason: str) -> None:
        """Print why something was not made, once where many share the reason."""
        if reason != self.last_reason:
            self.output.say(f"latte3d: {want.prompt[:80]!r}, seed {want.seed}: {reason}")
        self.last_reason = reason


def main(options: argparse.Namespace, out: TextIO) -> int:
    """Make an asset library. Returns 0: all is there; 1: something failed; 2: nothing was begun; 130: stopped."""
    output, status, run = Output(out, as_json=options.json), 1, None
    try:
        run = Run(options, output)
        status = run.make()
    except Refused as error:
        print(*(f"latte3d: {line}" for line in str(error).splitlines()), sep="\n", file=sys.stderr)
        return 2
    except EngineFault as error:
        output.say(f"latte3d: {error}")
        return 2
    except (OSError, RuntimeError) as error:
        output.say(f"latte3d: {error} What is finished stays, and the same command goes on with the rest.")
    except KeyboardInterrupt:
        output.say("latte3d: Stopped. What is finished stays, and the same command goes on with the rest.")
        status = 130
    if options.json and run:
        output.line(json.dumps(run.result))
    return status or int(bool(output.lost))
