# SPDX-License-Identifier: GPL-3.0-or-later
"""The one command: wrong use is told at once, a failed installation says why, the zip is what Blender accepts."""

import hashlib
import importlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
import zipfile
from pathlib import Path

import pytest

import build
from core import __version__, install

ROOT = Path(build.__file__).parent
posix = pytest.mark.skipif(sys.platform == "win32", reason="uses a shell and signals")


def call(*arguments: str, root: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(root / "build.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, timeout=300)


def test_there_is_one_version():
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text())
    assert manifest["version"] == __version__ and f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_every_requirement_is_pinned_once():
    blenders = ("blender", *(f"blender-{version}" for version in build.MORE_BLENDERS))
    for files in (["engine", "text-encoder", "train", "dev", "ray", "constraints"], *([name] for name in blenders)):
        lines = [line for name in files for line in (install.REQUIREMENTS / f"{name}.txt").read_text().splitlines()]
        pins = [line for line in lines if line and not line.startswith("#")]
        assert all(pin.count("==") == 1 for pin in pins)
        names = [pin.split("==")[0].lower().replace("_", "-") for pin in pins]
        assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "arguments, status, words",
    [
        ([], 2, "usage"),
        (["paint"], 2, "usage"),
        (["--help"], 0, "generate"),
        (["generate"], 2, "PROMPT"),
        (["generate", "a chair", "--seed", "x"], 2, "--seed"),
        (["test", "engines"], 2, "engines"),
    ],
)
def test_wrong_use_is_told_before_anything_is_made(arguments, status, words):
    done = call(*arguments)
    assert done.returncode == status and words in done.stdout + done.stderr


def test_generate_passes_on_all_that_the_addon_understands(monkeypatch):
    """The options are the add-on's own; a prompt behind "--" takes none of them for its neighbour."""
    for name in ("engine_python", "blender_python"):
        monkeypatch.setattr(build, name, lambda *more: Path("python"))
    commands: list[list] = []
    monkeypatch.setattr(build, "run", lambda command: commands.append(command) or 0)
    arguments = ["--picture-size", "64", "--no-picture", "--detail", "draft", "--strict", "--", "a chair", "--a table"]
    assert build.generate(arguments) == 0
    assert commands[0][2:] == ["latte3d_blender", "generate", "--engine", Path("python"), *arguments]


@pytest.fixture
def checkout(tmp_path) -> Path:
    """What build.py itself needs of the checkout, without any environment."""
    folder = tmp_path / "checkout"
    (folder / "core").mkdir(parents=True)
    shutil.copy(ROOT / "build.py", folder)
    shutil.copytree(ROOT / "core" / "requirements", folder / "core" / "requirements")
    shutil.copytree(ROOT / "latte3d_blender", folder / "latte3d_blender", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__.py", "environment.py", "install.py"):
        shutil.copy(ROOT / "core" / name, folder / "core")
    return folder


def test_a_failed_installation_says_why_and_how_to_retry(checkout, tmp_path):
    done = call("generate", "a red chair", root=checkout, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path), PIP_CONFIG_FILE=os.devnull)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "numpy" in done.stderr or "torch==" in done.stderr
    assert done.stderr.rstrip().endswith('to retry: python3 build.py generate "a red chair"')
    assert not (checkout / ".venv" / install.STAMP).exists()


@pytest.mark.parametrize(
    "arguments, status, words",
    [
        (["--help"], 0, "suggest"),
        (["prepare", "--help"], 0, "--workers"),
        (["prepare", "nowhere"], 2, "there is no folder nowhere"),
        (["suggest", ".", "--output", "x"], 2, "--output"),
        (["prepare", ".", "--workers", "0"], 2, "number of workers"),
        (["check", "."], 2, "library.toml"),
    ],
)
def test_a_library_is_looked_at_before_anything_is_downloaded(checkout, tmp_path, arguments, status, words):
    """In a checkout without environments, and without a way to the packages."""
    (checkout / "core" / "library").mkdir()
    shutil.copy(ROOT / "core" / "library" / "format.py", checkout / "core" / "library")
    done = call("library", *arguments, root=checkout, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path), PIP_CONFIG_FILE=os.devnull)
    assert done.returncode == status and words in done.stdout + done.stderr
    assert not (checkout / ".venv").exists() and not (checkout / ".venv-blender").exists()


def test_a_library_is_prepared_with_the_checkouts_engine(monkeypatch, tmp_path):
    for name in ("engine_python", "blender_python"):
        monkeypatch.setattr(build, name, lambda *more, name=name, wheels="": Path(f"{name}{more}{wheels}"))
    commands: list[list] = []
    monkeypatch.setattr(build, "run", lambda command: commands.append(command) or 0)
    arguments = ["--workers", "3", "--", str(tmp_path)]
    assert build.library(["prepare", *arguments]) == 0 and build.library(["prepare", "--engine", "mine", *arguments]) == 0
    start = [Path("blender_python()"), "-m", "latte3d_blender", "library", "prepare", "--engine"]
    assert commands == [[*start, Path("engine_python('train.txt',)"), *arguments], [*start, "mine", *arguments]]


def test_training_and_measuring_go_through_blender(monkeypatch, tmp_path):
    """With the checkout's engine and all options as they are; a wrong one is told before anything is made."""
    for name in ("engine_python", "blender_python"):
        monkeypatch.setattr(build, name, lambda *more, name=name, wheels="": Path(f"{name}{more}{wheels}"))
    commands: list[list] = []
    monkeypatch.setattr(build, "run", lambda command: commands.append(command) or 0)
    wheels = ["--offline", str(tmp_path)]
    calls = [["train", "starter", "--out", "m", "--reading-steps", "3"], ["train", str(tmp_path), *wheels], ["evaluate", "m", "--fid"]]
    for command, *words in calls:
        assert build.COMMANDS[command](words) == 0
    engines = [Path(f"engine_python('train.txt',){text}") for text in ("", tmp_path, "")]
    start = [Path("blender_python()"), "-m", "latte3d_blender"]
    assert commands == [[*start, name, "--engine", engine, *more] for (name, *more), engine in zip(calls, engines, strict=True)]
    for command in (["train", "nowhere"], ["train"], ["evaluate", "m", "nowhere"], ["train", "starter", "--workers", "0"]):
        with pytest.raises(SystemExit) as refused:
            build.COMMANDS[command[0]](command[1:])
        assert refused.value.code == 2


def processes(folder: Path) -> list[str]:
    """The command lines of the processes that have to do with a folder."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return [line for line in lines if str(folder) in line]


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_request_to_end_leaves_no_orphan(checkout, number):
    """While the environment is made, and while pip waits for an index that never answers: both end at once, and it can go on."""
    with socket.create_server(("127.0.0.1", 0)) as index:
        index.settimeout(120)
        variables = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
        variables |= {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": f"http://127.0.0.1:{index.getsockname()[1]}/simple"}
        for moment in ("making", "pip") if number == signal.SIGTERM else ("making",):
            command = [sys.executable, str(checkout / "build.py"), "generate", "a chair"]
            process = subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True)
            if moment == "making":
                while len(processes(checkout)) < 2:
                    time.sleep(0.02)
                time.sleep(0.5)
            else:
                connection, _ = index.accept()
            process.send_signal(number)
            _, said = process.communicate(timeout=60)
            assert process.returncode == 130 and "the same command goes on where this one ended" in said and "Traceback" not in said
            end = time.monotonic() + 2
            while processes(checkout) and time.monotonic() < end:
                time.sleep(0.05)
            assert not processes(checkout)
    connection.close() if number == signal.SIGTERM else None


CHILD = """
import signal, sys, time
def stop(*_):
    print("tidied up", flush=True)
    sys.exit(130)
signal.signal(signal.SIGTERM, stop)
print("at work", flush=True)
time.sleep(60)
"""


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_command_at_work_is_told_and_waited_for(number):
    """And nothing is said of going on, where nothing does."""
    program = "import build, sys; build.COMMANDS['engine'] = lambda argv: build.run([sys.executable, '-c', argv[0]]); "
    program += "build.terminal.prepare(); sys.exit(build.main(['engine', sys.argv[1]]))"
    process = subprocess.Popen([sys.executable, "-c", program, CHILD], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "at work\n"
    process.send_signal(number)
    out, said = process.communicate(timeout=20)
    assert process.returncode == 130 and out == "tidied up\n" and said == ""


@posix
def test_a_command_that_the_system_ended_is_explained(capfd):
    """A segmentation fault, as where memory is scarce, has no words of its own."""
    code = "import os, resource, signal; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); os.kill(os.getpid(), signal.SIGSEGV)"
    assert build.run([sys.executable, "-c", code]) == 128 + signal.SIGSEGV
    said = capfd.readouterr().err
    assert "signal 11" in said and "memory" in said


needs_engine = pytest.mark.skipif(not install.installed(build.ENGINE), reason="needs .venv")


@needs_engine
def test_modules_in_the_working_folder_are_not_ours(tmp_path):
    """A project with a package named core, and modules named as Python's own."""
    for name in ("random.py", "json.py", "core/__init__.py", "core/__main__.py", "latte3d_blender/__init__.py", "sitecustomize.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("raise SystemExit('the wrong one')")
    command = [sys.executable, str(ROOT / "build.py"), "engine", "--help"]
    for more in ({}, {"PYTHONPATH": ""}, {"PYTHONHOME": "", "PYTHONSTARTUP": str(tmp_path / "random.py")}):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ | more, timeout=60)
        assert done.returncode == 0 and "benchmark" in done.stdout, done.stderr


@needs_engine
@posix
@pytest.mark.parametrize("closing", [">&-", "| true", "| head -n 1", "2>&- <&- >&-"])
@pytest.mark.parametrize("command", ["--help", "engine --help", "generate --help"])
def test_output_that_nobody_takes_is_no_error(command, closing):
    script = f"'{sys.executable}' '{ROOT}/build.py' {command} {closing}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == ""


@needs_engine
@pytest.mark.parametrize("encoding", ["cp437", "cp850", "latin-1", "ascii"])
def test_every_encoding_of_the_output(encoding):
    for command in (["--help"], ["engine", "--help"], ["generate", "--help"]):
        done = subprocess.run(
            [sys.executable, str(ROOT / "build.py"), *command],
            capture_output=True,
            env=os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
            timeout=60,
        )
        assert done.returncode == 0 and b"Traceback" not in done.stderr and "usage" in done.stdout.decode(encoding)


def test_blender_is_not_put_where_it_takes_the_path_for_a_variable(tmp_path, monkeypatch):
    for name in ("a$HOME", "%TEMP%"):
        monkeypatch.setattr(build, "BLENDER", tmp_path / name / ".venv-blender")
        with pytest.raises(install.InstallError, match="Move or rename the folder"):
            build.blender_python()


def test_a_damaged_environment_is_mended_without_being_asked(tmp_path, monkeypatch, capsys):
    """A package that has lost files, and one that is gone; a whole one is left alone."""
    target, asked = tmp_path / "environment", []
    package = target / "lib" / "python3.11" / "site-packages" / "tiny-1.0.dist-info"
    if sys.platform == "win32":
        package = target / "Lib" / "site-packages" / "tiny-1.0.dist-info"
    package.mkdir(parents=True)
    (package.parent / "tiny.py").write_text("x = 1\n")
    (package / "RECORD").write_text("tiny.py,sha256=0,6\ntiny-1.0.dist-info/RECORD,,\n")
    install.environment_python(target).parent.mkdir(exist_ok=True)
    install.environment_python(target).touch()
    install.write_stamp(target, {"dev.txt": install.fingerprint("dev.txt")})
    monkeypatch.setattr(install, "install", lambda *arguments, **options: asked.append(arguments))
    build.environment(target, ("dev.txt",), (sys.version_info[:2],))
    assert not asked
    (package.parent / "tiny.py").write_text("x")
    build.environment(target, ("dev.txt",), (sys.version_info[:2],))
    assert len(asked) == 1 and "tiny-1.0" in capsys.readouterr().err
    shutil.rmtree(package)
    build.environment(target, ("dev.txt",), (sys.version_info[:2],))
    assert len(asked) == 2


def test_both_programs_treat_the_terminal_alike():
    """They share no code, so each has this file."""
    assert (ROOT / "core" / "terminal.py").read_bytes() == (ROOT / "latte3d_blender" / "terminal.py").read_bytes()


def test_a_home_folder_behind_an_equals_sign(monkeypatch, tmp_path):
    """A shell leaves the ~ of --out=~/x alone."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    main = importlib.import_module("core.__main__")
    assert main.own_path("--out=~/x") == f"--out={tmp_path}/x" and build.own_path("~/x") == tmp_path / "x"
    assert [main.own_path(word) for word in ("~x", "--out=a~", "a cube", "--a", "")] == ["~x", "--out=a~", "a cube", "--a", ""]


def test_nothing_is_done_twice(tmp_path, monkeypatch):
    target = tmp_path / "environment"
    install.environment_python(target).parent.mkdir(parents=True)
    install.environment_python(target).touch()
    install.write_stamp(target, {"dev.txt": install.fingerprint("dev.txt")})
    monkeypatch.setattr(install, "install", lambda *arguments, **options: pytest.fail("it installed again"))
    assert build.environment(target, ("dev.txt",), build.ENGINE_PYTHONS) == install.environment_python(target)


@pytest.mark.skipif(not install.installed(build.BLENDER), reason="needs .venv-blender")
def test_the_zip_holds_both_programs_and_nothing_else(tmp_path):
    (tmp_path / "latte3d-0.0.9.zip").write_bytes(b"an earlier version")
    assert build.package(["--out", str(tmp_path), "--repository"]) == 0
    (listed,) = json.loads((tmp_path / "index.json").read_text())["data"]
    digest = hashlib.sha256((tmp_path / listed["archive_url"]).read_bytes()).hexdigest()
    assert (listed["version"], listed["archive_hash"]) == (__version__, f"sha256:{digest}")
    with zipfile.ZipFile(tmp_path / f"latte3d-{__version__}.zip") as archive:
        names = archive.namelist()
    engine = {"core/install.py", "core/service/worker.py", "core/requirements/engine.txt"}
    assert {"blender_manifest.toml", "LICENSE", "__init__.py", *engine} <= set(names)
    model = "core/weights/starter"
    kinds = json.loads((ROOT / model / "config.json").read_text())["kinds"]
    assert {f"{model}/pictures/{kind}.png" for kind in kinds} <= set(names)
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests") or "/." in name or name.endswith(".whl")]


def test_the_engine_knows_its_commands(capsys):
    main = importlib.import_module("core.__main__").main
    assert main([]) == 2 and main(["paint"]) == 2 and main(["--help"]) == 0
    assert {"benchmark", "prepare"} <= set(re.findall(r"\w+", capsys.readouterr().out))


# Which suites run where -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "named, set_up, suites",
    [
        ([], False, ["style", "engine", "blender"]),
        ([], True, ["style", "engine", "blender", "window"]),
        (["blender", "style"], True, ["style", "blender"]),
        (["blender-5.2"], True, ["blender-5.2"]),
        (["all"], False, ["style", "engine", "blender", "blender-4.2", "blender-5.0", "blender-5.2"]),
        (["all"], True, ["style", "engine", "blender", "blender-4.2", "blender-5.0", "blender-5.2", "window"]),
        (["window"], False, ["window"]),
    ],
)
def test_one_blender_is_the_default_and_all_are_every_one(monkeypatch, named, set_up, suites):
    monkeypatch.setattr(build, "window_is_set_up", lambda: set_up)
    assert build.suites(named, window=False) == suites


@pytest.fixture
def commands(monkeypatch, tmp_path) -> list[list]:
    """What build.py would run, without any environment or window of this machine."""
    ran: list[list] = []
    monkeypatch.setattr(build, "engine_python", lambda *more: Path("engine"))
    monkeypatch.setattr(build, "run", lambda command: ran.append(command) or 0)
    monkeypatch.setenv("BLENDER_WINDOW_DIR", str(tmp_path))
    return ran


@posix
def test_a_python_of_pyenvs_that_is_not_the_chosen_one_is_found(monkeypatch, tmp_path):
    other = tmp_path / "versions" / "9.9.1" / "bin" / "python9.9"
    other.parent.mkdir(parents=True)
    other.write_text(f"#!/bin/sh\necho '(9, 9)|{other}'\n")
    other.chmod(0o755)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert build.find_python(((9, 8), (9, 9))) == str(other)


def test_a_window_that_is_named_and_cannot_be_opened_is_a_failure(commands, monkeypatch, capsys):
    monkeypatch.setattr(build, "blender_python", lambda version="": Path("blender"))
    assert build.test(["window"]) == 1 and build.test(["style", "--window"]) == 1
    told = capsys.readouterr()
    assert "No Blender window can be opened" in told.err and "setup sid" in told.err and "window       FAILED" in told.out
    assert [command[2] for command in commands] == ["ruff"]
    commands.clear()
    assert build.test(["style", "blender"]) == 0 and len(commands) == 2


def test_all_passes_over_a_blender_that_this_machine_has_no_python_for(commands, monkeypatch, capsys):
    """Named by itself, it is a failure."""

    def python(version=""):
        if version == "5.2":
            raise install.InstallError("There is no Python 3.13 on this machine.")
        return Path(f"blender{version}")

    monkeypatch.setattr(build, "blender_python", python)
    assert build.test(["all"]) == 0
    assert "blender-5.2  passed over: There is no Python 3.13 on this machine." in capsys.readouterr().out
    assert [str(command[0]) for command in commands] == ["engine", "engine", "blender", "blender4.2", "blender5.0"]
    with pytest.raises(install.InstallError):
        build.test(["blender-5.2"])


@pytest.mark.parametrize("version", build.MORE_BLENDERS)
def test_each_blender_has_an_environment_and_pins_of_its_own(monkeypatch, version):
    made: list[tuple] = []
    monkeypatch.setattr(build, "environment", lambda *arguments: made.append(arguments))
    build.blender_python(version)
    target, names, pythons = made[0]
    assert target == build.ROOT / f".venv-blender-{version}" and len(pythons) == 1
    pin = (install.REQUIREMENTS / names[0]).read_text().split("bpy==")[1].split()[0]
    assert pin.startswith(version) and "-c" not in install.requirement_options(names[0])
