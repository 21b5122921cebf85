# SPDX-License-Identifier: GPL-3.0-or-later
"""From a folder of assets to a prepared library: Blender exports each asset, the engine makes its shape, a report tells what became of it.

A shape's key is the hash of its asset, the asset's images and other files, and the settings: what did not change is skipped, and a run that
was killed goes on where it stopped, with the same result bit for bit.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from core.errors import BadRequest, EngineError
from core.files import replace_file
from core.library import format as library_format
from core.library.format import PREPARED, Library, split_shape
from core.library.lanes import Worker, only_one
from core.library.shape import Settings, read_facts

TIMEOUT_S = 900.0  # for one asset in one program
ENGINE = [sys.executable, "-m", "core.library.shape"]
ROOT = str(Path(__file__).resolve().parents[2])
ONE_THREAD = {"OMP_NUM_THREADS": "1", "IGL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # there is a lane for each core
UNCUT = "is see-through; it is taken as solid"  # said of materials before images' alphas cut faces out: such a shape is made anew
Report = Callable[[dict], None]


@dataclass
class Done:
    """What a preparation ends with. `rejected`: (asset, or file:line of a row that is left out; reason)."""

    prepared: int = 0
    rejected: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0

    def to_json(self) -> dict:
        rejected = [{"asset": asset, "reason": reason} for asset, reason in self.rejected]
        return {"prepared": self.prepared, "rejected": rejected, "seconds": round(self.seconds, 1)}


def prepare(folder: Path, blender: Sequence[str], workers: int, report: Report, settings: Settings | None = None) -> Done:
    """Prepare what the library's prompts name. Raises BadRequest when the library cannot be read, EngineError when the disk is full.

    Args:
        blender: the command that starts Blender's side (latte3d_blender/library.py, `main`).
        workers: how many assets at a time, each in a Blender and an engine process of its own.
        report: receives {"event": "progress", "stage", "done", "total", "eta_s", "asset"}.
    """
    begun, settings = time.monotonic(), settings or Settings()
    library, findings = library_format.read(folder)
    if fatal := [f for f in findings if f.level == "fatal"]:
        raise BadRequest(f"{folder} cannot be prepared.", " ".join(map(str, fatal)), "Correct this; check lists all that is wrong.")
    with only_one(folder / PREPARED):
        run = Run(library, list(blender), settings, report)
        run.go(library.shapes, workers)
        rejected = {shape: reason for shape, reason in run.rejected.items()}
        # rows that are left out; of a file that cannot even be opened, the file
        rejected |= {f.shape or f"{f.file}:{f.line}": f.message for f in findings if f.shape or f.level == "error"}
        done = Done(len(library.shapes) - len(run.rejected), sorted(rejected.items()), time.monotonic() - begun)
        from core.library.report import write_report

        write_report(library, done)
    return done


def prepared_file(folder: Path, shape: str, ending: str = ".safetensors") -> Path:
    """Where a shape's prepared file lies, whether it is there or not."""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", shape).strip("-")[:60]
    kind = "pictures" if ending == ".png" else "shapes"
    return folder / PREPARED / kind / f"{slug}-{hashlib.sha256(shape.encode()).hexdigest()[:8]}{ending}"


class Run:
    """One preparation: shapes are handed out to lanes, each with two worker processes."""

    def __init__(self, library: Library, blender: list[str], settings: Settings, report: Report):
        self.library, self.blender, self.settings, self.report = library, blender, settings, report
        self.rejected: dict[str, str] = {}
        self._hashes: dict[Path, str] = {}
        self._workers: list[Worker] = []
        self._lock = threading.Lock()
        self._fatal: str | None = None

    def go(self, shapes: list[str], workers: int) -> None:
        """Make what is missing or has changed; drop what no prompt names any more. Raises EngineError."""
        home = self.library.folder / PREPARED
        for name in ("shapes", "pictures"):
            (home / name).mkdir(parents=True, exist_ok=True)
        for old in home.glob("tmp-*"):
            shutil.rmtree(old, ignore_errors=True)
        self._drop_others(shapes)
        todo = [shape for shape in shapes if not self._current(shape)]
        self._total, self._finished, self._begun, self._made = len(shapes), len(shapes) - len(todo), time.monotonic(), 0
        self._todo = iter(todo)
        self.report(self._progress("", None))
        with (
            tempfile.TemporaryDirectory(dir=home, prefix="tmp-", ignore_cleanup_errors=True) as scratch,
            open(home / "prepare.log", "ab") as log,
        ):
            places = [Path(scratch) / f"{i}.safetensors" for i in range(min(workers, len(todo)))]
            for _ in places:
                self._workers.append(Worker("Blender", self.blender, log))
                own = {"PYTHONPATH": ROOT, "PYTHONSAFEPATH": "1"}
                self._workers.append(Worker("The engine", ENGINE, log, os.environ | ONE_THREAD | own))
            pairs = zip(self._workers[::2], self._workers[1::2], places, strict=True)
            lanes = [threading.Thread(target=self._lane, args=(*pair, log)) for pair in pairs]
            for lane in lanes:
                lane.start()
            try:
                while not self._fatal and any(lane.is_alive() for lane in lanes):
                    time.sleep(0.05)
            finally:
                if any(lane.is_alive() for lane in lanes):
                    self._fatal = self._fatal or "Stopped."
                    for worker in self._workers:
                        worker.stop()
                for lane in lanes:
                    lane.join()
        if self._fatal:
            raise EngineError("internal", self._fatal, "", "What was prepared is kept; the same command goes on.")

    def _progress(self, shape: str, left: float | None) -> dict:
        return {"event": "progress", "stage": "prepare", "done": self._finished, "total": self._total, "eta_s": left, "asset": shape}

    def _lane(self, blender: Worker, engine: Worker, scratch: Path, log) -> None:
        try:
            while not self._fatal:
                with self._lock:
                    shape = next(self._todo, None)
                if shape is None:
                    break
                reason = self._make(shape, blender, engine, scratch)
                if self._fatal:  # the reason may be that the programs were killed
                    break
                with self._lock:
                    self._tell(shape, reason)
        except Exception as error:  # a thread's error would be lost
            self._fatal = self._fatal or f"{type(error).__name__}: {error}."
            log.write(traceback.format_exc().encode())
        finally:
            blender.end()
            engine.end()

    def _tell(self, shape: str, reason: str) -> None:
        if reason:
            self.rejected[shape] = reason
        self._finished, self._made = self._finished + 1, self._made + 1
        left = (self._total - self._finished) * (time.monotonic() - self._begun) / self._made
        self.report(self._progress(shape, round(left, 1)) | ({"rejected": reason} if reason else {}))

    def _make(self, shape: str, blender: Worker, engine: Worker, scratch: Path) -> str:
        """Returns why it could not be used, or ""."""
        folder = self.library.folder
        path, part = split_shape(shape)
        request = {"asset": str((folder / path).resolve()), "part": part, "front": self.library.front}
        answer = blender.ask(request | {"picture": self.settings.picture, "out": str(scratch)}, TIMEOUT_S)
        files = {self._relative(file): self._hash(Path(file)) for file in answer.get("files") or [request["asset"]]}
        key = self._key(shape, files)
        if answer["ok"]:
            out, picture = (str(prepared_file(folder, shape, ending)) for ending in (".safetensors", ".png"))
            request = {"export": str(scratch), "out": out, "picture": picture, "key": key, "settings": asdict(self.settings)}
            answer = engine.ask(request | {"about": {"shape": shape, "files": files}}, TIMEOUT_S)
        scratch.unlink(missing_ok=True)
        if answer.get("fatal"):
            self._fatal = self._fatal or answer["reason"]
        if answer["ok"]:
            prepared_file(folder, shape, ".json").unlink(missing_ok=True)
            return ""
        if not answer.get("fatal") and not answer.get("transient"):
            self._remember(shape, {"shape": shape, "key": key, "files": files, "reason": answer["reason"]})
        return answer["reason"]

    # What is there already --------------------------------------------------------------------------------------------------------

    def _current(self, shape: str) -> bool:
        """Whether a shape was prepared, or rejected, from the same files with the same settings."""
        facts = read_facts(prepared_file(self.library.folder, shape))
        if facts and prepared_file(self.library.folder, shape, ".png").is_file():
            return self._same(shape, facts)
        try:
            record = json.loads(prepared_file(self.library.folder, shape, ".json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        if self._same(shape, record):
            self.rejected[shape] = record["reason"]
            return True
        return False

    def _same(self, shape: str, record: dict) -> bool:
        if any(UNCUT in note for note in record.get("notes", ())):
            return False
        files = {name: self._hash(self.library.folder / name) for name in record.get("files", {})}
        return bool(files) and record.get("key") == self._key(shape, files)

    def _remember(self, shape: str, record: dict) -> None:
        for ending in (".safetensors", ".png"):
            prepared_file(self.library.folder, shape, ending).unlink(missing_ok=True)
        text = json.dumps(record, indent=1, sort_keys=True)
        replace_file(prepared_file(self.library.folder, shape, ".json"), lambda name: Path(name).write_text(text, encoding="utf-8"))

    def _drop_others(self, shapes: list[str]) -> None:
        """Remove what no prompt names any more, and what a killed run left half-written."""
        folder = self.library.folder
        kept = {prepared_file(folder, shape, ending) for shape in shapes for ending in (".safetensors", ".png", ".json")}
        for name in ("shapes", "pictures"):
            for file in (folder / PREPARED / name).iterdir():
                if file not in kept:
                    file.unlink(missing_ok=True)

    def _key(self, shape: str, files: dict[str, str]) -> str:
        _, part = split_shape(shape)
        told = [asdict(self.settings), self.library.front, part, sorted(files.items())]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def _hash(self, file: Path) -> str:
        """Of a file's content; "" where there is none, so that it is noticed when it comes."""
        file = file.resolve()
        if file not in self._hashes:
            value = ""
            with contextlib.suppress(OSError), open(file, "rb") as opened:
                value = hashlib.file_digest(opened, "sha256").hexdigest()
            self._hashes[file] = value
        return self._hashes[file]

    def _relative(self, file: str) -> str:
        """Relative to the library's folder, with forward slashes: a library may move."""
        try:
            return Path(os.path.relpath(file, self.library.folder.resolve())).as_posix()
        except ValueError:  # another drive
            return Path(file).as_posix()
