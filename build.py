#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one command: makes what is missing, then generates, tests, packages or trains. Needs nothing but Python ≥ 3.11.

    python3 build.py generate "a red mushroom with white spots" --out out
    python3 build.py test

The first run makes two environments beside this file: .venv (the engine, with PyTorch) and .venv-blender (Blender as a module).
"""

import argparse
import os
import re
import shutil
import signal
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
from latte3d_blender import arguments, terminal  # noqa: E402
from latte3d_blender.files import written  # noqa: E402

ENGINE = ROOT / ".venv"
BLENDER = ROOT / ".venv-blender"
ENGINE_PYTHONS = ((3, 11), (3, 12), (3, 13), (3, 14))
BLENDER_PYTHONS = ((3, 11),)  # the bpy of blender.txt exists for this one alone
MORE_BLENDERS = {"4.2": (3, 11), "5.0": (3, 11), "5.2": (3, 13)}  # versions that `test all` tries, too, and the Python of each bpy
SHIPPED_MODELS = ("starter", "kaykit")  # in the extension's zip
SUITES = ("style", "engine", "blender", *(f"blender-{version}" for version in MORE_BLENDERS), "window")


# The two environments -----------------------------------------------------------------------------------------------------------


def engine_python(*more: str, wheels: str = "") -> Path:
    """The engine's Python, with the packages of engine.txt and of `more` requirement files; made first if need be (from a folder of
    `wheels` alone, where one is named)."""
    return environment(ENGINE, (*install.ENGINE, *more), ENGINE_PYTHONS, wheels=own_path(wheels).resolve() if wheels else None)


def blender_python(version: str = "") -> Path:
    """The Python that has Blender as a module, one of MORE_BLENDERS where a version is named; made first if need be."""
    if re.search(r"\$|%\w+%", str(BLENDER)):
        cause = f"In {BLENDER} it takes what looks like a variable for one, and finds no colours."
        raise install.InstallError("Blender cannot run in a folder with a $ in its name.", cause, "Move or rename the folder.")
    if version:
        return environment(BLENDER.with_name(f"{BLENDER.name}-{version}"), (f"blender-{version}.txt",), (MORE_BLENDERS[version],))
    return environment(BLENDER, ("blender.txt",), BLENDER_PYTHONS)


def environment(
    target: Path, names: tuple[str, ...], versions: tuple[tuple[int, int], ...], *, thorough: bool = False, wheels: Path | None = None
) -> Path:
    """Bring one environment to its pinned versions, and mend it where files are gone or cut. Returns its Python."""
    have = install.installed(target)
    lacking = any(have.get(name) != install.fingerprint(name) for name in names)
    hurt = install.damaged(target, thorough=thorough) if have else []
    if hurt:
        print(f"{target} is damaged, and is mended: {', '.join(path.name.removesuffix('.dist-info') for path in hurt)}", file=sys.stderr)
    if lacking and target == ENGINE and install.plan(target, names)["disk_mb"]:
        print(install.plan(target, names)["text"], file=sys.stderr)
    if lacking or hurt:
        try:
            python = find_python(versions)
            install.install(target, names, report=install.print_event, python=python, wheels=wheels, thorough=thorough)
        except KeyboardInterrupt as stop:
            raise Resumable(*stop.args) from stop
    return install.environment_python(target)


def find_python(versions: tuple[tuple[int, int], ...]) -> str:
    """A Python of one of these versions: this one if it fits, else the first that runs, on the path or of pyenv's."""
    if sys.version_info[:2] in versions:
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for major, minor in versions:
        launchers = [[f"python{major}.{minor}"], ["py", f"-{major}.{minor}"]]
        launchers += [[str(path)] for path in sorted(pyenv.glob(f"{major}.{minor}.*/bin/python{major}.{minor}"))]
        for launcher in launchers:
            found = install.quiet([*launcher, "-I", "-c", "import sys; print(sys.version_info[:2], sys.executable, sep='|')"])
            version, _, executable = found.stdout.strip().partition("|")
            if found.returncode == 0 and version == f"({major}, {minor})":
                return executable
    wanted = " or ".join(f"{major}.{minor}" for major, minor in versions)
    raise install.InstallError(
        f"There is no Python {wanted} on this machine.", f"This one is {sys.version.split()[0]}.", f"Install Python {wanted}."
    )


class Resumable(KeyboardInterrupt):
    """A request to end that came while an environment was made: the next run goes on with it."""


class CommandStopped(KeyboardInterrupt):
    """A request to end that the running command has heeded and reported."""


def run(command: list[str | Path], **more: str) -> int:
    """Run a command in the caller's folder; it sees this checkout's modules, and none that happen to lie in that folder or a user's own.

    `more`: variables of its environment. Returns its exit status. Raises CommandStopped once the command has ended on request.
    """
    astray = ("PYTHONHOME", "PYTHONSTARTUP", "PYTHONPLATLIBDIR", "PYTHONINSPECT", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
    environment = {key: value for key, value in os.environ.items() if key not in astray} | more
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", "PYTHONNOUSERSITE": "1"}
    process = subprocess.Popen([str(part) for part in command], env=environment)
    try:
        status = process.wait()
    except KeyboardInterrupt as stop:
        end(process, patience_s=10.0 if stop.args in ((), (signal.SIGINT,)) else 0.0)
        raise CommandStopped from stop
    if status < 0 or status >= 0xC0000000:  # a signal; on Windows an exception's number
        name = f"signal {-status}" if status < 0 else f"exception {status:#x}"
        cause = "It may have run out of memory: close other programs, or lift the limit (ulimit -v)."
        print(f"error: {Path(command[0])} was ended by {name}. {cause}", file=sys.stderr)
    return status if status >= 0 else 128 - status


def end(process: subprocess.Popen, patience_s: float) -> None:
    """Wait until a command has ended: of itself within `patience_s` (a terminal sends Ctrl-C to both of us), else by a signal."""
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.terminate()
    process.wait()  # training writes what it has learned, and the engine's end is seconds away


# The commands -------------------------------------------------------------------------------------------------------------------


def generate(argv: list[str]) -> int:
    """make textured objects from prompts: .blend, .glb and .png each, or an asset library from a list"""
    parser = argparse.ArgumentParser(prog="build.py generate", description=generate.__doc__)
    arguments.add_generate(parser)
    options = parser.parse_args(argv)  # wrong options are refused before any download; the add-on parses for itself
    if wrong := arguments.wrong_generate(options):
        parser.error(wrong)
    engine = engine_python(*["ray.txt"] * bool(options.ray))
    return run([blender_python(), "-m", "latte3d_blender", "generate", "--engine", engine, *argv])


def test(argv: list[str]) -> int:
    """run the tests: style, engine, blender, and window where there is one; all: on every Blender (options after -- go to pytest)"""
    parser = argparse.ArgumentParser(prog="build.py test", description=test.__doc__)
    help_suites = f"one or more of {', '.join(SUITES)}; or all of them (default: style, engine, blender, and window where it is set up)"
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=help_suites)
    parser.add_argument("--window", action="store_true", help="drive real Blender windows, too, and fail where none can be opened")
    ours, pytest_options = (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])
    options = parser.parse_args(ours)
    if unknown := set(options.suites) - {*SUITES, "all"}:
        parser.error(f"unknown suite {unknown.pop()!r}; there are {', '.join(SUITES)} and all")
    wanted = suites(options.suites, options.window)
    engine, results = engine_python("train.txt", "dev.txt"), []
    blender_python()
    for name in wanted:
        print(f"== {name}", flush=True)
        begun = time.monotonic()
        said = run_suite(name, engine, pytest_options, must="all" not in options.suites or name in options.suites)
        results.append((name, said, time.monotonic() - begun))
    for name, said, seconds in results:
        print(f"{name:<11}  {said}  {seconds:.0f} s")
    return int(any(said.startswith("FAILED") for _, said, _ in results))


def suites(named: list[str], window: bool) -> list[str]:
    """What a call of `test` runs, in its order."""
    default = {"style", "engine", "blender"}
    chosen = set(SUITES) - {"window"} if "all" in named else set(named) or default
    if window or "window" in named or (window_is_set_up() and (not named or "all" in named)):
        chosen = chosen | {"window"}
    return [name for name in SUITES if name in chosen]


def run_suite(name: str, engine: Path, pytest_options: list[str], *, must: bool) -> str:
    """Run one suite; returns how that went. must: it is a failure where it cannot run here; else it is passed over."""
    if name == "window" and not window_is_set_up():
        opener = ROOT / "tests" / "window" / "blender_window" / "blender_window"
        cause = f"No Blender is set up for it. On Debian, as root: {opener} setup trixie (Blender 4.3), {opener} setup sid (5.2)."
        print(f"error: No Blender window can be opened here. {cause}", file=sys.stderr)
        return "FAILED (no window can be opened)"
    python = engine
    if name.startswith("blender"):
        try:
            python = blender_python(name.partition("-")[2])
        except install.InstallError as error:
            if must:
                raise
            print(error, file=sys.stderr)
            return f"passed over: {error.message}"
    where = {
        "engine": [ROOT / "tests", f"--ignore={ROOT / 'tests/blender'}", f"--ignore={ROOT / 'tests/window'}"],
        "window": [ROOT / "tests" / "window"],
    }
    command = ["ruff", "check", ROOT] if name == "style" else ["pytest", *where.get(name, [ROOT / "tests" / "blender"]), *pytest_options]
    status = run([python, "-m", *command])
    return "passed" if status == 0 else f"FAILED (exit status {status})"


def window_is_set_up() -> bool:
    """Whether this machine has the chroots in which tests/window opens real Blender windows."""
    base = Path(os.environ.get("BLENDER_WINDOW_DIR") or Path.home() / ".cache" / "blender-window")
    return any((ROOT / "tests" / "window").glob("test_*.py")) and any(base.glob("*/.blender"))


def package(argv: list[str]) -> int:
    """make and validate the extension's zip in dist/"""
    parser = argparse.ArgumentParser(prog="build.py package", description=package.__doc__)
    parser.add_argument("--out", type=own_path, default=ROOT / "dist", help="folder for the zip (default: dist)")
    help_repository = "make the folder a repository, for any web server or disk, that Blender installs and updates from"
    parser.add_argument("--repository", action="store_true", help=help_repository)
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
        with written(options.out / made.name) as partial:
            shutil.copyfile(made, partial)
    result = options.out / made.name
    print(f"{result}  {result.stat().st_size / 1e6:.1f} MB")
    if not options.repository:
        return 0
    for older in set(options.out.glob("latte3d-*.zip")) - {result}:
        older.unlink()  # Blender offers one version of an extension
    return run([python, extension_tool, "server-generate", "--repo-dir", options.out, "--html"])


def blender_tools() -> tuple[Path, Path]:
    """Blender's own extension tool and its list of tags, out of the bpy package."""
    for tool in BLENDER.glob("[Ll]ib/**/bl_pkg/cli/blender_ext.py"):
        return tool, tool.parents[4] / "scripts" / "modules" / "_bpy_internal" / "extensions" / "tags.py"
    raise install.InstallError("Blender's extension tool was not found.", str(BLENDER), f"Delete {BLENDER} and try again.")


def own_path(text: str) -> Path:
    """A type for argparse: a path, of a person's own too (a shell leaves the ~ of --out=~/x alone)."""
    return Path(text).expanduser()


def stage(folder: Path) -> None:
    """Lay the extension out as the zip has it: the add-on's files at the root, the engine's source in core/."""
    # space*: what R-precision is measured in, with packages that an artist's engine does not have
    leave_out = shutil.ignore_patterns("__pycache__", "*.py[co]", ".*", "*.partial", "*.log", "*.blend1", "space*.safetensors")
    shutil.copytree(ROOT / "latte3d_blender", folder, ignore=leave_out)
    weights = ROOT / "core" / "weights"
    other_models = {path.name for path in weights.glob("*") if path.name not in SHIPPED_MODELS}
    shutil.copytree(
        ROOT / "core", folder / "core", ignore=lambda at, names: leave_out(at, names) | (other_models if Path(at) == weights else set())
    )
    for name in ("blender_manifest.toml", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)


def library(argv: list[str]) -> int:
    """check or prepare a prompt library of your own, or propose its prompts (docs/prompt-libraries.md)"""
    options = arguments.library_parser("build.py library").parse_args(argv)  # before any download, as in generate
    if options.command == "check":  # needs neither environment
        return run([sys.executable, ROOT / "core" / "library" / "format.py", options.folder, *["--json"] * options.json])
    return through_blender(["library", options.command], options, argv[1:])


def train(argv: list[str]) -> int:
    """train a model on a library of your own, which is prepared first where it lacks, or on the starter library"""
    options, _ = arguments.train_parser("build.py train").parse_known_args(argv)
    return through_blender(["train"], options, argv)


def evaluate(argv: list[str]) -> int:
    """measure a model on a library of your own, or on the starter library"""
    options, _ = arguments.evaluate_parser("build.py evaluate").parse_known_args(argv)
    return through_blender(["evaluate"], options, argv)


def through_blender(command: list[str], options: argparse.Namespace, argv: list[str]) -> int:
    """Run a command of the add-on's with the engine of this checkout, which has what training needs; or with the one that is named."""
    engine = [] if options.engine else ["--engine", engine_python("train.txt", wheels=options.offline or "")]
    return run([blender_python(), "-m", "latte3d_blender", *command, *engine, *argv])


def engine(argv: list[str]) -> int:
    """run an engine command: benchmark, pictures, … (the same as python -m core in .venv)"""
    return run([engine_python("train.txt"), "-m", "core", *argv])


def example(argv: list[str]) -> int:
    """an example from beginning to end: "studio" trains on a made-up studio's assets, "hillside" fills a landscape"""
    parser = argparse.ArgumentParser(prog="build.py example", description=example.__doc__)
    about = "studio: 40 assets, prepared and trained on; hillside: a village of 2,000 objects (docs/population.md)"
    parser.add_argument("name", choices=("studio", "hillside"), help=about)
    parser.add_argument("options", nargs=argparse.REMAINDER, help="the example's own: build.py example NAME --help")
    asked = parser.parse_args(argv)
    script = ROOT / "docs" / "examples" / f"{asked.name}.py"
    if asked.name == "hillside":
        return hillside(script, asked.options)
    if {"-h", "--help"} & set(asked.options):
        return run([sys.executable, script, *asked.options])
    return run([blender_python(), script, "--engine", engine_python("train.txt"), *asked.options])


def hillside(script: Path, options: list[str]) -> int:
    """Make the empty landscape, and fill it by the recipe beside its script."""
    if {"-h", "--help"} & set(options):
        return populate(options)
    with tempfile.TemporaryDirectory() as folder:
        scene = Path(folder) / "terrain.blend"
        return run([blender_python(), script, scene]) or populate([str(scene), "--recipe", str(script.with_suffix(".json")), *options])


def populate(argv: list[str]) -> int:
    """fill a scene with objects by a recipe (docs/population.md)"""
    engine = [] if {"-h", "--help"} & set(argv) else ["--engine", engine_python()]
    return run([blender_python(), "-m", "latte3d_blender", "populate", *engine, *argv])


def wheels(argv: list[str]) -> int:
    """collect the engine's packages in a folder, to install from on machines like this one without a network"""
    parser = argparse.ArgumentParser(prog="build.py wheels", description=wheels.__doc__)
    parser.add_argument("folder", type=own_path)
    help_python = "the Python to install on, as 3.13; Blender 4.2 to 5.0 bring 3.11, later ones 3.13 (default: the engine's here)"
    parser.add_argument("--python", metavar="VERSION", help=help_python)
    options = parser.parse_args(argv)
    python = engine_python()
    download = [python, "-m", "pip", "download", "-d", options.folder]
    download += ["--python-version", options.python, "--only-binary=:all:"] if options.python else []
    pip = install.pip_environment([str(python), "-I", "-m", "pip"])
    way = {key: value for key, value in pip.items() if key.startswith("PIP_")}
    for name in (*install.ENGINE, "train.txt"):
        if status := run([*download, *install.source_options(name, None), *install.requirement_options(name)], **way):
            return status
    return run([*download, "--no-deps", "-c", install.CONSTRAINTS, "pip"], **way)


def repair(argv: list[str]) -> int:
    """look through both environments for files that are gone, cut or changed, and mend them"""
    argparse.ArgumentParser(prog="build.py repair", description=repair.__doc__).parse_args(argv)
    for target, names, versions in ((ENGINE, install.ENGINE, ENGINE_PYTHONS), (BLENDER, ("blender.txt",), BLENDER_PYTHONS)):
        environment(target, names, versions, thorough=True)
        print(f"{target} is whole.")
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "generate": generate,
    "test": test,
    "package": package,
    "library": library,
    "train": train,
    "evaluate": evaluate,
    "engine": engine,
    "wheels": wheels,
    "populate": populate,
    "example": example,
    "repair": repair,
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
    except CommandStopped:
        return 130
    except Resumable:
        print("\nstopped; the same command goes on where this one ended.", file=sys.stderr)
        return 130
    except KeyboardInterrupt:
        print("\nstopped.", file=sys.stderr)
        return 130
    except (OSError, RuntimeError) as error:  # RuntimeError: the ~ of a user who is not there
        reason = str(error)
    quoted = " ".join(f'"{part}"' if " " in part else part for part in argv)
    print(f"\nerror: {reason}\nto retry: python3 build.py {quoted}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    terminal.prepare()
    sys.exit(main(sys.argv[1:]))
