# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's process and its jobs, seen from Blender's side of the wire; knows nothing of bpy.

A daemon thread reads messages into a queue. Everything else happens in `Engine.poll`, which its owner calls: a timer in
Blender's window (session.py), a plain loop on the command line (commands.py).
"""

import contextlib
import os
import queue
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import protocol

NOT_INSTALLED, STOPPED, STARTING, READY, BUSY, FAILED = STATES = ("NOT_INSTALLED", "STOPPED", "STARTING", "READY", "BUSY", "FAILED")
STAGES = {
    "text": ("Reading the prompt", 0.02),
    "networks": ("Imagining the shape", 0.35),
    "decode": ("Sampling the shape", 0.3),
    "extract": ("Making the surface", 0.05),
    "atlas": ("Unwrapping", 0.05),
    "bake": ("Painting the texture", 0.2),
    "encode": ("Packing the images", 0.03),
}  # what the artist reads, and the share of the progress bar
PROTOCOL = 2
ASTRAY = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONPLATLIBDIR", "PYTHONINSPECT")  # would lead another Python astray
NO_MEMORY = re.compile(r"MemoryError|Cannot allocate memory|failed to map segment|[Ii]nsufficient memory|not enough memory|bad_alloc")
PROMPT_LIMIT = 512
CANCEL_PATIENCE_S = 5.0  # after a cancel message, before the process is told to end
END_PATIENCE_S = 2.0  # after it was told to end, before it is killed
START_PATIENCE_S = 180.0  # the first start on a slow disk reads a gigabyte


@dataclass(frozen=True)
class Fault:
    """What went wrong, for the artist: one sentence, its cause and a way out (each may be empty but the first)."""

    message: str
    cause: str = ""
    remedy: str = ""
    kind: str = "internal"
    data: dict = field(default_factory=dict, compare=False)  # what else the engine's error says, such as the nearest things

    def __str__(self) -> str:
        return " ".join(part for part in (self.message, self.cause, self.remedy) if part)


class EngineFault(Exception):
    """A fault where it is easier raised than returned."""

    def __init__(self, fault: Fault):
        super().__init__(str(fault))
        self.fault = fault


@dataclass(frozen=True)
class Launch:
    """What it takes to start an engine: its Python, the folder that contains `core/`, a model in place of those that come with it (None:
    these), a device, a log file, and folders in which more models are looked for."""

    python: Path
    source: Path
    model: Path | None
    device: str
    log: Path
    models: tuple[Path, ...] = ()

    @property
    def command(self) -> list[str]:
        alone = ["--model", str(self.model)] if self.model else []
        more = [part for folder in self.models for part in ("--models", str(folder))]
        return [str(self.python), "-m", "core.service.worker", *alone, *more, "--device", self.device]


@dataclass
class Job:
    """One request, from the click to the arrays. `state`: queued, running, done, failed or cancelled."""

    id: int
    prompts: list[str]
    seeds: list[int]
    settings: dict  # detail, resolution, texture_size, triangles, glb
    strict: bool = False  # rather make nothing than what the model does not know
    model: str = ""  # the id of the one that shall make it, where it is there; "": the one that knows the prompt best
    state: str = "queued"
    stage: str = ""
    done: int = 0
    total: int = 0
    objects: list[dict] = field(default_factory=list)  # the worker's answer; each with its "arrays"
    fault: Fault | None = None
    clicked: float = field(default_factory=time.perf_counter)
    cancelled_at: float = 0.0

    @property
    def over(self) -> bool:
        return self.state in ("done", "failed", "cancelled")

    @property
    def factor(self) -> float:
        """Progress from 0 to 1, weighted by what each stage usually takes."""
        if self.stage not in STAGES:
            return 0.0
        before = sum(share for name, (_, share) in STAGES.items() if list(STAGES).index(name) < list(STAGES).index(self.stage))
        return min(before + STAGES[self.stage][1] * self.done / max(self.total, 1), 1.0)

    @property
    def text(self) -> str:
        if self.cancelled_at:
            return "Cancelling…"
        return "Waiting for the engine" if self.state == "queued" else STAGES.get(self.stage, ("Starting",))[0]


class Process:
    """A running engine: one pipe in, one pipe out, and a thread that turns the latter into queue entries.

    Entries: ("message", rpc, arrays, seconds on the wire), ("text", what came before the handshake), ("end", reason).
    """

    def __init__(self, launch: Launch):
        environment = {key: value for key, value in os.environ.items() if key not in ASTRAY}
        environment |= {"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
        environment |= {"PYTHONPATH": str(launch.source), "PYTHONSAFEPATH": "1", "PYTHONNOUSERSITE": "1"}  # its own modules and no others
        launch.log.parent.mkdir(parents=True, exist_ok=True)
        with open(launch.log, "wb") as log:
            self.popen = subprocess.Popen(
                launch.command,
                cwd=launch.source,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        self.entries: queue.SimpleQueue = queue.SimpleQueue()
        self.ended = False
        self.told_to_end = 0.0
        threading.Thread(target=self._read, name="LATTE3D engine reader", daemon=True).start()

    def _read(self) -> None:
        """The reader thread: touches the pipe and the queue, nothing else. Whatever happens, its last entry is the end."""
        reason = ""
        try:
            text, start = protocol.skip_text(self.popen.stdout)
            if text.strip():
                self.entries.put(("text", text.decode(errors="replace").strip()))
            while start or (start := self.popen.stdout.read(1)):
                begun = time.perf_counter()
                rpc, arrays = protocol.read(self.popen.stdout, start)
                self.entries.put(("message", rpc, arrays, time.perf_counter() - begun))
                start = b""
        except Exception as error:  # without its last entry Blender would wait for ever
            reason = str(error)
        self.entries.put(("end", reason))
        self.ended = True

    def send(self, rpc: dict, arrays: dict | None = None) -> None:
        """Write one message; raises OSError when the engine is gone."""
        self.popen.stdin.write(protocol.encode(rpc, arrays))
        self.popen.stdin.flush()

    def end(self, patience_s: float = 0.0) -> None:
        """Tell the process to end, wait up to `patience_s` for that, then kill it."""
        with contextlib.suppress(OSError):
            self.popen.stdin.close()
        if self.popen.poll() is None:
            self.popen.terminate()
            self.told_to_end = self.told_to_end or time.perf_counter()
            try:
                self.popen.wait(patience_s)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                with contextlib.suppress(subprocess.TimeoutExpired):  # a process stuck in a driver must not freeze Blender
                    self.popen.wait(END_PATIENCE_S)


def log_tail(path: Path, lines: int = 6) -> str:
    """Return the last lines of a log file, or nothing."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - 4096))
            return "\n".join(file.read().decode(errors="replace").strip().splitlines()[-lines:])
    except OSError:
        return ""


class Engine:
    """The state machine: at most one process, at most one job at a time, more of them queued."""

    def __init__(self):
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

    def submit(self, prompts: list[str], seeds: list[int], settings: dict, *, strict: bool = False, model: str = "") -> Job:
        """Queue a job; it is sent when the engine is ready. model: see Job; one that must be there stands in the settings instead."""
        self._next_id += 1
        job = Job(self._next_id, list(prompts), list(seeds), dict(settings), strict, model)
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
        with contextlib.suppress(OSError, ValueError):  # the reader thread reports the end
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
        elif (job := self.job) and job.cancelled_at and now - job.cancelled_at > CANCEL_PATIENCE_S:
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
        params = {"model": model, "prompts": job.prompts, "seeds": job.seeds, "strict": job.strict, **job.settings}
        try:
            self.process.send({"jsonrpc": "2.0", "id": job.id, "method": "generate", "params": params})
        except (OSError, ValueError):
            return  # the reader thread reports the end
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
        params = rpc.get("params") or {}
        if rpc.get("method") == "hello":
            self._greet(params)
        elif rpc.get("method") == "progress":
            if self.job and params.get("id") == self.job.id:
                self.job.stage, self.job.done, self.job.total = params["stage"], params["done"], params["total"]
        elif "error" in rpc:
            error = rpc["error"]
            data = error.get("data") or {}
            said = error.get("message", "The engine failed.")
            fault = Fault(said, data.get("cause", ""), data.get("remedy", ""), data.get("kind", "internal"), data)
            if self.job and self.job.state == "running" and rpc.get("id") in (self.job.id, None):
                self._finish("cancelled" if fault.kind == "cancelled" else "failed", fault)
            elif self.state == STARTING:
                self.fault = fault  # it will end by itself; `_ended` keeps this fault
        elif "result" in rpc and self.job and rpc.get("id") == self.job.id:
            self._answer(rpc["result"], arrays, wire_s)

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

    def _answer(self, result: dict, arrays: dict, wire_s: float) -> None:
        job = self.job
        for index, item in enumerate(result["objects"]):
            prefix = f"{index}."
            mine = {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
            timings = dict(item.get("timings_ms") or {}, wire=1000 * wire_s / len(result["objects"]))
            job.objects.append({**item, "timings_ms": timings, "arrays": mine})
        if len(job.objects) != len(job.prompts) or not all(map(complete, job.objects)):
            return self._finish("failed", Fault("The engine's answer is incomplete.", "", "Restart the engine.", "internal"))
        # A result that crossed the cancel message is dropped: the artist has said no.
        self._finish("cancelled" if job.cancelled_at else "done", None)

    def _finish(self, state: str, fault: Fault | None) -> None:
        job = self.jobs.pop(0)
        job.state, job.fault = state, fault
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
        if code is None:
            cause = reason or "It closed its pipe."
        elif code < 0:
            cause = f"It was ended by signal {-code}" + (", as where memory runs out." if -code in (6, 7, 9, 11) else ".")
        else:
            cause = f"{reason} It ended with status {code}.".strip()
        said = self.text if starting and self.text else log_tail(self.launch.log, 1)
        if said:
            cause += f" Its last words: {said.splitlines()[-1][-200:]}"
        if starting and (NO_MEMORY.search(log_tail(self.launch.log, 20)) or (code or 0) < 0):
            fault = Fault("The engine does not start.", cause, "Close other programs, or give it more memory.", "out_of_memory")
        elif starting:
            fault = Fault("The engine does not start.", cause, "Show its log, or set it up again.", "broken")
        else:
            fault = Fault("The engine has stopped unexpectedly.", cause, "Generate again: it restarts by itself.", "crashed")
        self._fail(known or fault)

    def _fail(self, fault: Fault) -> None:
        self.fault, self.state, self.process = fault, FAILED, None
        for job in self.jobs:
            job.state, job.fault = "failed", fault
        self.jobs.clear()


def complete(item: dict) -> bool:
    """Whether an object of the engine's answer has its mesh and a look: an image, or the value that it would be everywhere."""
    arrays = item["arrays"]
    color = "base_color" in arrays or item.get("color") is not None
    surface = "metallic_roughness" in arrays or None not in (item.get("roughness"), item.get("metallic"))
    return {"vertices", "triangles", "uvs"} <= arrays.keys() and color and surface


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
