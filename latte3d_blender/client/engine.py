# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine and its jobs, seen from Blender's side of the wire; knows nothing of bpy.

All happens in `Engine.poll`, which its owner calls: a timer in Blender's window (session.py), a plain loop on the command line (batch.py).
"""

import queue
import re
import subprocess
import sys
import time
from pathlib import Path

from . import protocol
from .job import STAGES, EngineFault, Failure, Fault, Job, Result
from .process import END_PATIENCE_S, Launch, Process, log_tail
from .wording import GLASS, PLAIN

__all__ = ["STAGES", "Engine", "EngineFault", "Fault", "Job", "Launch", "Result"]

NOT_INSTALLED, STOPPED, STARTING, READY, BUSY, FAILED = STATES = ("NOT_INSTALLED", "STOPPED", "STARTING", "READY", "BUSY", "FAILED")
PROTOCOL = 3
NO_MEMORY = re.compile(r"MemoryError|Cannot allocate memory|failed to map segment|[Ii]nsufficient memory|not enough memory|bad_alloc")
PROMPT_LIMIT = 512
CANCEL_PATIENCE_S = 5.0  # after a cancel message was written, or the pipe took no more of what is before it; then it is told to end
START_PATIENCE_S = 180.0  # the first start on a slow disk reads a gigabyte


class Engine:
    """The state machine: at most one process, at most one job at a time, more of them queued."""

    def __init__(self, *, forgiving: bool = False):
        """forgiving: after a crash it stands still with the prompts that it owes, as if these had just been asked for: whoever starts it
        again has them made. After another crash, with nothing made in between, it fails."""
        self.forgiving, self.crashes = forgiving, 0  # one after another
        self.state = NOT_INSTALLED
        self.launch: Launch | None = None
        self.process: Process | None = None
        self.hello: dict = {}
        self._before: dict = {}  # the hello of an earlier start
        self.text = ""  # what the process said before its handshake
        self.fault: Fault | None = None  # why the engine is not running
        self.jobs: list[Job] = []  # the running one first, then the queue
        self.started = 0.0
        self.cold_start_s = 0.0
        self._next_id = 0

    @property
    def job(self) -> Job | None:
        return self.jobs[0] if self.jobs else None

    @property
    def active(self) -> bool:
        """True while there is something to poll for."""
        return self.state in (STARTING, BUSY) or bool(self.jobs) or bool(self.process and self.process.ended)

    @property
    def models(self) -> dict[str, dict]:
        """What the engine has said of the models that it can use, by their ids; those that it prefers first. While it starts again, what
        it said before."""
        said = (self.hello or self._before).get("models", [])
        return {model["id"]: model for model in said if not model.get("fault")}

    @property
    def features(self) -> set[str]:
        """What the engine has said that it can do."""
        return set((self.hello or self._before).get("features", []))

    def knows_adherence(self, model: str = "") -> bool:
        """Whether a model was trained to keep to a given shape; without a model that is there, whether any was."""
        asked = [self.models[model]] if model in self.models else self.models.values()
        return any(one.get("adherence") for one in asked)

    def words(self, model: str = "") -> dict[str, list[list[str]]]:
        """A model's words for colours, materials and patterns; without a model that is there, those of the first that says some. Glass is
        no model's own: the engine knows it."""
        asked = [self.models[model]] if model in self.models else self.models.values()
        words = next((one["words"] for one in asked if one.get("words")), PLAIN)
        materials = words.get("material", [])
        glass = "light" in self.features and not any(GLASS[0] in alike for alike in materials)
        return words | {"material": [*materials, GLASS]} if glass else words

    @property
    def kinds(self) -> list[str]:
        return [kind for model in self.models.values() for kind in model.get("kinds", [])]

    def things(self, model: str = "") -> list[dict]:
        """What a model knows: {"name", "group", "example", "picture"} each; without a model that is there, what all know, each thing once.
        A model that says no more than names gives those."""
        asked = [self.models[model]] if model in self.models else self.models.values()
        found: dict[str, dict] = {}
        for one in asked:
            plain = [kind.replace("_", " ") for kind in one.get("kinds", [])]
            named = [{"name": name, "group": "", "example": f"a {name}", "picture": ""} for name in plain]
            for thing in one.get("things") or named:
                found.setdefault(thing["name"], thing)
        return list(found.values())

    def start(self, launch: Launch) -> None:
        """Start the process; the state tells how that went. Does nothing while one runs. Jobs that wait keep waiting, for this one."""
        if self.process and not self.process.ended:
            return
        if self.process:
            self.poll()  # a job that it left behind fails with its reason
        self._let_go()
        self._before = self.hello or self._before
        self.launch, self.hello, self.text, self.fault = launch, {}, "", None
        self.started = time.perf_counter()
        try:
            self.process = Process(launch)
            self.state = STARTING
        except OSError as error:
            self._fail(
                Fault(
                    "The engine does not start.",
                    f"{error.filename or launch.python}: {error.strerror or error}.",
                    "Set the engine up again.",
                    "broken",
                )
            )

    def stop(self) -> None:
        """End the process, if any, within seconds; jobs end as cancelled."""
        for job in self.jobs:
            job.state = "cancelled"
        self.jobs.clear()
        self._let_go()

    def _let_go(self) -> None:
        if self.process:
            self.process.end(END_PATIENCE_S)
            self.process = None
        if self.state != NOT_INSTALLED:
            self.state = STOPPED

    def submit(
        self, prompts: list[str], seeds: list[int], settings: dict, *, strict: bool = False, styles=None, model: str = "", guide=None,
        picture: int = 0,
    ) -> Job:  # fmt: skip
        """Queue a job; it is sent when the engine is ready. `styles`: for each prompt z [8], or None where its seed draws z. `model`,
        `guide`, `picture`: see Job; a model that must be there stands in the settings instead. Raises EngineFault for a guide that cannot
        be."""
        if guide:
            guide.check()
        self._next_id += 1
        job = Job(self._next_id, list(prompts), list(seeds), dict(settings), strict, styles, model, guide=guide, picture=picture)
        self.jobs.append(job)
        self._send_next()
        return job

    def cancel(self, job: Job) -> None:
        """Ask the engine to drop a job; `poll` insists when it does not answer."""
        if job.over or job.cancelled_at:
            return
        if job.state == "queued":
            job.state = "cancelled"
            self.jobs.remove(job)
            return
        job.cancelled_at = time.perf_counter()
        self.process.send({"jsonrpc": "2.0", "method": "cancel", "params": {"id": job.id}})

    def poll(self, wait_s: float = 0.0) -> None:
        """Work off what the reader thread has delivered; wait up to `wait_s` for the first entry."""
        try:
            while self.process:
                entry = self.process.entries.get(timeout=wait_s) if wait_s else self.process.entries.get_nowait()
                wait_s = 0.0
                if entry[0] == "message":
                    self._take(*entry[1:])
                elif entry[0] == "text":
                    self.text = entry[1]
                else:
                    self._ended(entry[1])
        except queue.Empty:
            pass
        self._patience()

    def _patience(self) -> None:
        """Insist where the process does not answer: end it after a cancel, give up on a start."""
        now = time.perf_counter()
        if self.state == STARTING and now - self.started > START_PATIENCE_S:
            self.process.end(END_PATIENCE_S)
            self._fail(
                Fault("The engine does not answer.", f"It said nothing for {START_PATIENCE_S:.0f} seconds.", "Show its log.", "crashed")
            )
        elif (job := self.job) and job.cancelled_at and now - max(job.cancelled_at, self.process.moved) > CANCEL_PATIENCE_S:
            process = self.process
            if not process.told_to_end:
                process.told_to_end = now
                process.popen.terminate()
            elif now - process.told_to_end > END_PATIENCE_S:
                process.popen.kill()

    def _send_next(self) -> None:
        job = self.job
        if self.state != READY or job is None:
            return
        model = job.model if job.model in self.models else None
        job.asked = [i for i in range(len(job.prompts)) if i not in job.answered]
        prompts, seeds = ([all[i] for i in job.asked] for all in (job.prompts, job.seeds))
        params = {"model": model, "prompts": prompts, "seeds": seeds, "strict": job.strict, **job.settings}
        if job.styles:
            params["styles"] = [job.styles[i] for i in job.asked]
        if job.picture and "pictures" in self.features:
            params["picture"] = job.picture
        arrays, method = (job.guide.arrays, job.guide.method) if job.guide else ({}, "generate")
        if job.guide:
            params |= job.guide.params
            wanted = {"cloud"} & arrays.keys() | {"blend"} & params.keys() | ({"planes"} if job.guide.planes else set()) | {method}
            if missing := wanted - self.features:
                return self._finish("failed", Fault(f"This engine does not know “{missing.pop()}”.", "", "Set it up again.", "bad_request"))
            if job.guide.planes and model is None:
                what = f"The model “{job.model}” is not installed, which alone can make this refined object again."
                return self._finish("failed", Fault(what, "", "Install it.", "bad_request"))
        try:
            self.process.send({"jsonrpc": "2.0", "id": job.id, "method": method, "params": params}, arrays)
        except protocol.ProtocolError as error:
            return self._finish("failed", Fault("The request is too large.", str(error), "Ask for fewer objects at once.", "bad_request"))
        job.state, self.state = "running", BUSY

    def _take(self, rpc: dict, arrays: dict, wire_s: float) -> None:
        try:
            self._message(rpc, arrays, wire_s)
        except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
            self.process.end(END_PATIENCE_S)
            self._fail(
                Fault(
                    "The engine sent something else than the add-on expects.",
                    f"{type(error).__name__}: {error}.",
                    "Set the engine up again.",
                    "broken",
                )
            )

    def _message(self, rpc: dict, arrays: dict, wire_s: float) -> None:
        params, method, job = rpc.get("params") or {}, rpc.get("method"), self.job
        mine = job is not None and job.state == "running"
        if method == "hello":
            self._greet(params)
        elif method in ("progress", "object", "failed", "picture"):
            if mine and params.get("id") == job.id and not job.cancelled_at:  # after a cancel, the artist has said no
                self._hear(job, method, params, arrays, wire_s)
        elif "error" in rpc:
            fault = fault_of(rpc["error"].get("message"), rpc["error"].get("data") or {})
            if mine and rpc.get("id") in (job.id, None):
                self._finish("cancelled" if fault.kind == "cancelled" else "failed", fault)
            elif self.state == STARTING:
                self.fault = fault  # it will end by itself; `_ended` keeps this fault
        elif "result" in rpc and mine and rpc.get("id") == job.id:
            if job.cancelled_at:
                self._finish("cancelled", None)
            elif len(job.answered) < len(job.prompts):
                self._finish("failed", Fault("The engine's answer is incomplete.", "", "Restart the engine."))
            else:
                self._finish("done", None)

    def _hear(self, job: Job, method: str, params: dict, arrays: dict, wire_s: float) -> None:
        """A notification about the running job."""
        if method == "progress":
            return job.advance(params["stage"], params["done"], params["total"])
        index = job.asked[params["index"]]
        if method == "picture":
            return job.show(index, arrays["picture"].tobytes())
        if method == "failed":
            return job.answer(Failure(index, fault_of(params.get("message"), params)))
        fields = params | {"timings_ms": {**(params.get("timings_ms") or {}), "wire": 1000 * wire_s}}
        settings = {name: value for name, value in job.settings.items() if name != "glb"}
        result = Result(params["prompt"], params["seed"], settings, fields, arrays, params.get("style"), index, job.clicked, job.place)
        result.guide = job.guide
        damaged = Fault("The engine's object is incomplete or damaged.", "", "Restart the engine.")
        job.answer(result if result.complete else Failure(index, damaged))

    def _greet(self, params: dict) -> None:
        if params.get("protocol") != PROTOCOL:
            self.process.end()
            return self._fail(
                Fault(
                    "The engine and the add-on do not fit together.",
                    f"It speaks protocol {params.get('protocol')}, not {PROTOCOL}.",
                    "Set the engine up again.",
                    "broken",
                )
            )
        if not params.get("models"):
            self.process.end()
            return self._fail(
                Fault("The engine has no model.", "", "Choose a model folder.", "missing_weights")
            )
        self.hello, self.state, self.fault = params, READY, None
        self.cold_start_s = time.perf_counter() - self.started
        self._send_next()

    def _finish(self, state: str, fault: Fault | None) -> None:
        job = self.jobs.pop(0)
        job.state, job.fault = state, fault
        if state == "done":
            self.crashes = 0
        if self.state == BUSY:
            self.state = READY
        self._send_next()

    def _ended(self, reason: str) -> None:
        """The pipe is closed: the process crashed, was killed, or speaks something else."""
        process, job, starting, known = self.process, self.job, self.state == STARTING, self.fault
        try:
            code = process.popen.wait(0.5)  # a pipe closes a moment before its process is gone
        except subprocess.TimeoutExpired:
            code = None
        process.end(END_PATIENCE_S)
        if job and job.cancelled_at:
            self.process, self.state = None, STOPPED
            return self._finish("cancelled", None)
        if self.forgiving and not starting and not self.crashes:
            return self._stand_still()
        if code is None:
            cause = reason or "It closed its pipe."
        elif code < 0:
            memory = -code in (6, 7, 9, 11)
            cause = f"It was ended by signal {-code}, as where memory runs out." if memory else f"It was ended by signal {-code}."
        else:
            cause = f"{reason} It ended with status {code}.".strip()
        said = self.text if starting and self.text else log_tail(self.launch.log, 1)
        if said:
            cause = f"{cause} Its last words: {said.splitlines()[-1][-200:]}"
        if starting and (NO_MEMORY.search(log_tail(self.launch.log, 20)) or (code or 0) < 0):
            fault = Fault("The engine does not start.", cause, "Close other programs, or give it more memory.", "out_of_memory")
        elif starting:
            fault = Fault("The engine does not start.", cause, "Show its log, or set it up again.", "broken")
        else:
            fault = Fault("The engine has stopped unexpectedly.", cause, "Generate again: it restarts by itself.", "crashed")
        self._fail(known or fault)

    def _stand_still(self) -> None:
        """After a first crash: what was being made is owed again."""
        self.crashes += 1
        self.process, self.state = None, STOPPED
        if self.job:
            self.job.state, self.job.stage = "queued", ""

    def _fail(self, fault: Fault) -> None:
        self.fault, self.state, self.process, self.crashes = fault, FAILED, None, 0
        for job in self.jobs:
            job.state, job.fault = "failed", fault
        self.jobs.clear()


def fault_of(message: str | None, data: dict) -> Fault:
    """What the engine says of an error, for the artist."""
    return Fault(message or "The engine failed.", data.get("cause", ""), data.get("remedy", ""), data.get("kind", "internal"), data)


def environment_python(folder: Path) -> Path:
    """Where a virtual environment in `folder` has its Python."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def source_folder() -> Path | None:
    """The folder that contains `core/`: the extension itself, or the checkout around it."""
    here = Path(__file__).resolve().parents[1]
    return next((folder for folder in (here, here.parent) if (folder / "core" / "__init__.py").is_file()), None)


def find_python(chosen: str, environment: Path | None) -> Path | None:
    """The engine's Python: the chosen one; else that of the environment that Set Up finished; else a checkout's `.venv`."""
    if chosen:
        path = Path(chosen).expanduser().absolute()  # it starts in another folder; not resolved: an environment's Python is a link
        return path if path.is_file() else None
    checkout = Path(__file__).resolve().parents[2]
    folders = [environment, checkout / ".venv" if (checkout / "blender_manifest.toml").is_file() else None]
    return next((path for path in map(environment_python, filter(None, folders)) if path.is_file()), None)


def check_prompt(prompt: str) -> Fault | None:
    """What is wrong with a prompt, as far as that is plain before asking the engine."""
    if not prompt.strip():
        return Fault("The prompt is empty.", "", "Describe one object, as in “a red mushroom with white spots”.", "bad_request")
    if len(prompt) > PROMPT_LIMIT:
        return Fault(
            "The prompt is too long.", f"It has {len(prompt):,} characters; {PROMPT_LIMIT} are allowed.", "Shorten it.", "bad_request"
        )
    return None
