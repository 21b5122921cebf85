# SPDX-License-Identifier: GPL-3.0-or-later
"""Check, Prepare, Train and Refine as the panel shows them: what their lines of JSON say, put together. Without bpy.

Beside the job's own files its folder keeps what it was started with (about.json), so that it can be found again and resumed.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from . import supervisor
from .job import Fault
from .long_job import LongJob
from .process import log_tail

ABOUT = "about.json"
CHECK, PREPARE, TRAIN, REFINE = "check", "prepare", "train", "refine"
NAMES = {CHECK: "Check", PREPARE: "Prepare", TRAIN: "Training", REFINE: "Refine"}
RUNNING = {PREPARE: "Prepare is running", TRAIN: "Training is running"}
FAILED = {CHECK: "Check failed.", PREPARE: "Prepare failed.", TRAIN: "Training failed.", REFINE: "Refine failed."}
STAGES = {
    "install": "Installing packages",
    "check": "Checking the library",
    "begin": "Starting to learn",
    "prepare": "Preparing assets",
    "reading": "Learning to read the prompts",
    "reconstruction": "Learning shapes and colours",
    "geometry": "Learning shapes",
    "texture": "Learning textures",
    "pictures": "Drawing what it can make",
    "refine": "Refining",
    "evaluate": "Measuring",
}  # as the command names them, and as people read them
START, MADE = "start.safetensors", "object.planes.safetensors"  # of Refine: what it begins from, and what it ends with
STOPPED = 130  # the exit status of what was asked to end


@dataclass(frozen=True)
class Wish:
    """What is to be done. `start`: the model to go on from, "starter", "none" or a folder; `out`: the model's folder, "" the usual one;
    `anyway`: also where memory or disk seem too small."""

    kind: str
    library: str
    minutes: int = 0
    start: str = "starter"
    out: str = ""
    anyway: bool = False

    def words(self) -> list[str]:
        """The command after `latte3d`."""
        anyway = ["--yes"] * self.anyway
        if self.kind != TRAIN:
            return ["library", self.kind, self.library, "--json", *anyway]
        words = ["train", self.library, "--json", "--minutes", str(self.minutes), "--from", self.start]
        return words + (["--out", self.out] if self.out else []) + anyway


@dataclass(frozen=True)
class RefineWish:
    """An object that shall become better, and by what. object, key: its name and what stands for it (job.Result.key), by which it is found
    again; multiview, depth, controlnet: folders of priors, "" without; guided: whether anything but prompt and seed shaped it."""

    prompt: str
    seed: int
    model: str
    steps: int
    object: str
    key: str
    multiview: str = ""
    depth: str = ""
    controlnet: str = ""
    guided: bool = False
    kind = REFINE

    @property
    def name(self) -> str:
        """Of its folder: whoever wishes the same of the same object goes on there."""
        asked = [self.prompt, self.seed, self.model, self.steps, self.key, self.multiview, self.depth, self.controlnet]
        return hashlib.sha1(json.dumps(asked).encode(), usedforsecurity=False).hexdigest()[:16]

    def words(self, folder: Path, model: Path, *more: str) -> list[str]:
        """The command after `latte3d`, with more options. model: its folder, which not every Blender finds by the id."""
        given = {"multiview": self.multiview, "depth": self.depth, "controlnet": self.controlnet}
        given |= {"start": str(folder / START)} if self.guided else {}
        options = {"out": folder / "object.glb", "seed": self.seed, "steps": self.steps, "detail": "draft"} | given
        options = [f"--{name}={value}" for name, value in options.items() if value != ""]
        return ["refine", "--json", *options, *more, "--", str(model), self.prompt]  # a prompt may begin with a dash


@dataclass(eq=False)
class Work:
    """One run of a command, in whichever Blender it was started."""

    job: LongJob
    wish: Wish | RefineWish
    own: bool = True  # started or resumed by this Blender
    stage: str = ""
    done: float = 0.0
    total: float = 0.0
    eta_s: float | None = None
    heard: float = 0.0  # when progress was last told
    asset: str = ""
    picture: str = ""  # the newest preview
    plan: str = ""  # what it takes
    refusal: str = ""  # why it was not begun, where the artist may insist
    findings: list[dict] = field(default_factory=list)  # level, file, line, message
    result: dict = field(default_factory=dict)
    over: bool = False
    fault: Fault | None = None
    changed: int = 0  # grows with all that the panel shows

    @classmethod
    def start(cls, wish: Wish | RefineWish, command: list[str], folder: Path, environment: Mapping[str, str]) -> "Work":
        """Raises EngineFault."""
        job = LongJob.start(command, folder, environment)
        supervisor.write(folder / ABOUT, asdict(wish))
        return cls(job, wish)

    @classmethod
    def attach(cls, folder: Path, kind: type = Wish) -> "Work | None":
        """What was started in a folder by an earlier Blender, running or stopped, for a wish of this kind; None where there is none, or it
        is not known what for."""
        job, about = LongJob.attach(folder), supervisor.read(folder / ABOUT)
        try:
            work = cls(job, kind(**about), own=False) if job else None
        except TypeError:  # another version's
            return None
        if work:
            work.poll()
        return work

    @property
    def kind(self) -> str:
        return self.wish.kind

    @property
    def library(self) -> str:
        return self.wish.library

    @property
    def stopping(self) -> bool:
        return not self.over and self.job.cancelled

    @property
    def finished(self) -> bool:
        """Whether it came to its end; not everything may have been right."""
        return self.over and not self.fault and bool(self.result) and self.result.get("finished", True)

    @property
    def resumable(self) -> bool:
        """Whether it can go on where it stopped or failed."""
        return self.over and not self.finished and self.kind != CHECK

    @property
    def factor(self) -> float:
        return min(max(self.done / self.total, 0.0), 1.0) if self.total > 0 else 0.0

    def poll(self) -> None:
        """Read what it has said, and find out whether it has ended."""
        ended = not self.over and not self.job.running  # before reading: what it has said last is not missed
        for event in self.job.poll():
            self._take(event)
        if ended:
            self.over = True
            self.fault = self._why()
            self.changed += 1

    def _take(self, event: dict) -> None:
        self.changed += 1
        kind = event.get("event")
        if kind in ("progress", "install"):
            self.stage = str(event.get("text") or event.get("stage") or self.stage)
            self.asset = str(event.get("asset") or "")
            self.done, self.total = _number(event.get("done")), _number(event.get("total"))
            self.eta_s = event["eta_s"] if isinstance(event.get("eta_s"), int | float) else None
            self.heard = time.monotonic()
        elif kind == "preview":
            self.picture = str(event.get("picture", ""))
        elif kind == "plan":
            self.plan, self.refusal = str(event.get("text", "")), str(event.get("refusal") or "")
        elif kind == "finding":
            self.findings.append({key: event.get(key, default) for key, default in _FINDING.items()})
        elif kind == "error":
            self.result = {"error": event}
        elif kind in (None, "prepared"):
            if kind is None:
                self.result = event
            else:
                self._next("Starting to learn")
            rejected = event.get("rejected")
            for one in rejected if isinstance(rejected, list) else ():
                if isinstance(one, dict):
                    about = {"file": str(one.get("asset", "")), "message": str(one.get("reason", ""))}
                    self.findings.append({**_FINDING, **about, "level": "error"})

    def _next(self, stage: str) -> None:
        """A stage of which nobody tells how far it is."""
        self.stage, self.asset, self.done, self.total, self.eta_s = stage, "", 0.0, 0.0, None

    def _why(self) -> Fault | None:
        """Why it failed; None where it did not, or was stopped."""
        status, name = self.job.status, NAMES[self.kind]
        if self.job.cancelled or status in (0, STOPPED) or (status is None and not self.result):
            return None
        if self.result and "error" not in self.result and self.kind in (CHECK, PREPARE) and status in (1, 2):  # unusable assets
            return None
        said = self.result.get("error")
        if isinstance(said, dict):
            return Fault(f"{name}: {said.get('message', '')}", str(said.get("cause", "")), str(said.get("remedy", "")), "library")
        if self.refusal and status == 2:
            return Fault(self.refusal, self.plan, "Make room, or go on all the same.", "library")
        last = log_tail(self.job.log, 1).removeprefix("latte3d: ").removeprefix("error: ")
        if "No module named" in last:
            remedy = "Install what core/requirements/train.txt lists into it, or let Set Up make an engine of its own."
            return Fault(f"{name} needs packages that the engine's Python lacks.", last.partition(". ")[0] + ".", remedy, "library")
        if status == 2 and last:  # wrong input is told in whole sentences
            return Fault(last, "", "", "library")
        return Fault(FAILED[self.kind], last or f"It ended with status {status}.", "", "library")

    # What the panel says ----------------------------------------------------------------------------------------------------------------

    @property
    def text(self) -> str:
        """What it does, in words."""
        if self.stopping:
            return "Stopping…"
        if self.stage == "reconstruction" and self.factor == 1.0:
            return "Writing and measuring the model"
        return STAGES.get(self.stage, self.stage) or "Starting…"

    @property
    def amount(self) -> str:
        """How far it is, and how long it takes: "41 % · 12 min left"; of what is counted in things, "120 of 506 · 3 min left"."""
        parts = []
        if self.total > 0:
            parts.append(f"{self.done:.0f} of {self.total:.0f}" if self.asset else f"{100 * self.factor:.0f} %")
        if self.eta_s and not self.stopping:
            parts.append(f"{duration(self.eta_s - (time.monotonic() - self.heard))} left")
        return " · ".join(parts)


_FINDING = {"level": "warning", "file": "", "line": 0, "message": ""}


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def duration(seconds: float) -> str:
    """ "40 s", "12 min", "1 h 05 min"."""
    if seconds < 90:
        return f"{max(5 * round(seconds / 5), 5)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def model_id(folder: Path) -> str:
    """What the engine calls the model in a folder; "" where there is none."""
    try:
        said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(said.get("id") or folder.name) if isinstance(said, dict) else ""
