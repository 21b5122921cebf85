#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one command: makes what is missing, then generates, tests, packages or trains. Needs nothing but Python ≥ 3.11.

    python3 build.py generate "a red mushroom with white spots" --out out
    python3 build.py test

The first run makes two environments beside this file: .venv (the engine, with PyTorch) and .venv-blender (Blender as a module).
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(f"This needs Python 3.11 or newer; this is {sys.version.split()[0]}. Try: python3.11 {' '.join(sys.argv)}")

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from core import __version__, install  # noqa: E402

ENGINE = ROOT / ".venv"
BLENDER = ROOT / ".venv-blender"
ENGINE_PYTHONS = ((3, 11), (3, 12), (3, 13), (3, 14))
BLENDER_PYTHONS = ((3, 11),)  # the bpy of blender.txt exists for this one alone
SUITES = ("style", "engine", "blender", "window")


# The two environments -----------------------------------------------------------------------------------------------------------


def engine_python(*more: str) -> Path:
    """The engine's Python, with the packages of engine.txt and of `more` requirement files; made first if need be."""
    return environment(ENGINE, (*install.ENGINE, *more), ENGINE_PYTHONS)


def blender_python() -> Path:
    """The Python that has Blender as a module; made first if need be."""
    return environment(BLENDER, ("blender.txt",), BLENDER_PYTHONS)


def environment(target: Path, names: tuple[str, ...], versions: tuple[tuple[int, int], ...]) -> Path:
    """Bring one environment to its pinned versions. Returns its Python."""
    have = install.installed(target)
    if any(have.get(name) != install.fingerprint(name) for name in names):
        if target == ENGINE:
            print(install.plan(target)["text"], file=sys.stderr)
        install.install(target, names, report=install.print_event, python=find_python(versions))
    return install.environment_python(target)


def find_python(versions: tuple[tuple[int, int], ...]) -> str:
    """A Python of one of these versions: this one if it fits, else the first on the path that runs."""
    if sys.version_info[:2] in versions:
        return sys.executable
    for major, minor in versions:
        launchers = [[f"python{major}.{minor}"], ["py", f"-{major}.{minor}"]]
        for launcher in launchers:
            found = install.quiet([*launcher, "-c", "import sys; print(sys.version_info[:2], sys.executable, sep='|')"])
            version, _, executable = found.stdout.strip().partition("|")
            if found.returncode == 0 and version == f"({major}, {minor})":
                return executable
    wanted = " or ".join(f"{major}.{minor}" for major, minor in versions)
    raise install.InstallError(
        f"There is no Python {wanted} on this machine.", f"This one is {sys.version.split()[0]}.", f"Install Python {wanted}."
    )


def run(command: list[str | Path]) -> int:
    """Run a command that sees this checkout's modules, in the caller's folder. Returns its exit status."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONNOUSERSITE": "1"}
    status = subprocess.run([str(part) for part in command], env=environment).returncode
    return status if status >= 0 else 128 - status


# The commands -------------------------------------------------------------------------------------------------------------------


def generate(argv: list[str]) -> int:
    """make textured objects from prompts: .blend, .glb and .png each"""
    parser = argparse.ArgumentParser(prog="build.py generate", description=generate.__doc__)
    parser.add_argument("prompts", nargs="+", metavar="PROMPT", help="what to make; several share one batch")
    parser.add_argument("--out", default="out", help="folder for the files (default: out)")
    parser.add_argument("--seed", type=int, default=0, help="another seed is another object of that description (default: 0)")
    parser.add_argument("--resolution", type=int, default=128, help="cells along the longest side (default: 128)")
    parser.add_argument("--texture-size", type=int, default=1024, help="pixels (default: 1024)")
    parser.add_argument("--triangles", type=int, help="reduce each mesh to about this many triangles")
    parser.add_argument("--picture-size", type=int, default=640, help="pixels per side of the .png (default: 640)")
    parser.add_argument("--no-picture", action="store_true", help="do not render the .png")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: auto)")
    parser.add_argument("--model", help="model folder (default: the embedded one)")
    parser.add_argument("--json", action="store_true", help="a machine-readable last line")
    parser.parse_args(argv)  # a slip is told before anything is downloaded; the add-on parses for itself
    engine = engine_python()
    return run([blender_python(), "-m", "latte3d_blender.commands", "generate", "--engine", engine, *argv])


def test(argv: list[str]) -> int:
    """run the tests: style, engine, blender, and window where there is one (options after -- go to pytest)"""
    parser = argparse.ArgumentParser(prog="build.py test", description=test.__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"one or more of {', '.join(SUITES)} (default: all that can run here)")
    parser.add_argument("--window", action="store_true", help="drive real Blender windows even where they must be set up first")
    ours, pytest_options = (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])
    options = parser.parse_args(ours)
    if unknown := set(options.suites) - set(SUITES):
        parser.error(f"unknown suite {unknown.pop()!r}; there are {', '.join(SUITES)}")
    engine, blender = engine_python("train.txt", "dev.txt"), blender_python()
    commands = {
        "style": [engine, "-m", "ruff", "check", ROOT],
        "engine": [engine, "-m", "pytest", ROOT / "tests", f"--ignore={ROOT / 'tests/blender'}", f"--ignore={ROOT / 'tests/window'}"],
        "blender": [blender, "-m", "pytest", ROOT / "tests" / "blender"],
        "window": [engine, "-m", "pytest", ROOT / "tests" / "window"],
    }
    wanted = options.suites or [name for name in SUITES if name != "window" or options.window or window_is_set_up()]
    results = []
    for name in wanted:
        print(f"== {name}", flush=True)
        begun = time.monotonic()
        status = run([*commands[name], *(pytest_options if "pytest" in commands[name] else [])])
        results.append((name, status, time.monotonic() - begun))
    for name, status, seconds in results:
        print(f"{name:<8} {'passed' if status == 0 else f'FAILED (exit status {status})'}  {seconds:.0f} s")
    return int(any(status for _, status, _ in results))


def window_is_set_up() -> bool:
    """Whether this machine has the chroots in which tests/window opens real Blender windows."""
    base = Path(os.environ.get("BLENDER_WINDOW_DIR") or Path.home() / ".cache" / "blender-window")
    return any((ROOT / "tests" / "window").glob("test_*.py")) and any(base.glob("*/.blender"))


def package(argv: list[str]) -> int:
    """make and validate the extension's zip in dist/"""
    parser = argparse.ArgumentParser(prog="build.py package", description=package.__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder for the zip (default: dist)")
    options = parser.parse_args(argv)
    if not (ROOT / "core" / "weights" / "starter" / "config.json").is_file():
        print("warning: core/weights/starter is missing: without its own model this zip is of no use to an artist", file=sys.stderr)
    python = blender_python()
    extension_tool, tags = blender_tools()
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / "source", Path(folder) / f"latte3d-{__version__}.zip"
        stage(source)
        for command in (["build", "--source-dir", source, "--output-filepath", made], ["validate", made]):
            if status := run([python, extension_tool, *command, "--valid-tags", tags]):
                return status
        options.out.mkdir(parents=True, exist_ok=True)
        partial = options.out / (made.name + ".partial")
        shutil.copyfile(made, partial)
        os.replace(partial, options.out / made.name)
    result = options.out / made.name
    print(f"{result}  {result.stat().st_size / 1e6:.1f} MB")
    return 0


def blender_tools() -> tuple[Path, Path]:
    """Blender's own extension tool and its list of tags, out of the bpy package."""
    for tool in BLENDER.glob("[Ll]ib/**/bl_pkg/cli/blender_ext.py"):
        return tool, tool.parents[4] / "scripts" / "modules" / "_bpy_internal" / "extensions" / "tags.py"
    raise install.InstallError("Blender's extension tool was not found.", str(BLENDER), f"Delete {BLENDER} and try again.")


def stage(folder: Path) -> None:
    """Lay the extension out as the zip has it: the add-on's files at the root, the engine's source in core/."""
    # space*: what R-precision is measured in, with packages that an artist's engine does not have
    leave_out = shutil.ignore_patterns("__pycache__", "*.py[co]", ".*", "*.partial", "*.log", "*.blend1", "space*.safetensors")
    shutil.copytree(ROOT / "latte3d_blender", folder, ignore=leave_out)
    weights = ROOT / "core" / "weights"
    other_models = {path.name for path in weights.glob("*") if path.name != "starter"}
    shutil.copytree(
        ROOT / "core", folder / "core", ignore=lambda at, names: leave_out(at, names) | (other_models if Path(at) == weights else set())
    )
    for name in ("blender_manifest.toml", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)


def train(argv: list[str]) -> int:
    """train a model (options: build.py train --help)"""
    return run([engine_python("train.txt"), "-m", "core", "train", *argv])


def engine(argv: list[str]) -> int:
    """run an engine command: library, evaluate, benchmark, … (the same as python -m core in .venv)"""
    return run([engine_python("train.txt"), "-m", "core", *argv])


def wheels(argv: list[str]) -> int:
    """collect the engine's packages in a folder, to install from on machines like this one without a network"""
    parser = argparse.ArgumentParser(prog="build.py wheels", description=wheels.__doc__)
    parser.add_argument("folder", type=Path)
    help_python = "the Python to install on, as 3.13; Blender 4.2 to 5.0 bring 3.11, later ones 3.13 (default: the engine's here)"
    parser.add_argument("--python", metavar="VERSION", help=help_python)
    options = parser.parse_args(argv)
    python = engine_python()
    download = [python, "-m", "pip", "download", "-d", options.folder]
    download += ["--python-version", options.python, "--only-binary=:all:"] if options.python else []
    for name in install.ENGINE:
        if status := run([*download, *install.source_options(name, None), *install.requirement_options(name)]):
            return status
    return run([*download, "--no-deps", "-c", install.CONSTRAINTS, "pip"])


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "generate": generate,
    "test": test,
    "package": package,
    "train": train,
    "engine": engine,
    "wheels": wheels,
}


def main(argv: list[str]) -> int:
    """Run one command. Returns the exit status: 0 done, 1 failed, 2 wrong usage, 130 stopped."""
    if not argv or argv[0] not in COMMANDS:
        lines = [f"  {name:<10} {function.__doc__}" for name, function in COMMANDS.items()]
        print("usage: python3 build.py COMMAND …   (COMMAND --help says more)", *lines, sep="\n")
        return 0 if argv and argv[0] in ("-h", "--help", "help") else 2
    try:
        return COMMANDS[argv[0]](argv[1:])
    except install.InstallError as error:
        reason = str(error)
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on where this one ended.", file=sys.stderr)
        return 130
    except OSError as error:
        reason = str(error)
    quoted = " ".join(f'"{part}"' if " " in part else part for part in argv)
    print(f"\nerror: {reason}\nto retry: python3 build.py {quoted}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
