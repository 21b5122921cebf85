# SPDX-License-Identifier: GPL-3.0-or-later
"""The house: which room may import which, at the top of a file or later; how long functions and files may be."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Room of core/ -> the rooms that it may import. "base": what stands at core/'s root and imports no room; "library": folders of
# prompts and assets, and the contract of sources; "starter": the starter library and the commands on both.
BASE = {"base"}
MADE_OF = {
    "base": set(),
    "language": BASE,
    "networks": BASE,
    "surface": BASE | {"mesh"},
    "mesh": BASE | {"surface"},
    "outcome": BASE | {"mesh"},
    "pipeline": BASE | {"language", "networks", "surface", "mesh", "outcome"},
    "service": BASE | {"language", "networks", "mesh", "outcome", "pipeline", "rendering"},
    "rendering": BASE | {"surface", "mesh"},
    "guidance": BASE | {"language", "rendering"},
    "library": BASE | {"language"},
    "starter": BASE | {"language", "library", "rendering"},
}
MAY_IMPORT = MADE_OF | {"training": {*MADE_OF, "evaluation"} - {"service"}, "evaluation": {*MADE_OF, "training"} - {"service"}}
MAY_IMPORT |= {"bulk": BASE | {"outcome", "service"}}
INFERENCE = ("pipeline", "service", "language", "networks", "surface", "mesh", "outcome", "rendering")


def modules(package: str) -> dict[str, Path]:
    """The package's modules by dotted name."""
    paths = sorted((ROOT / package).rglob("*.py"))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


MODULES = modules("core") | modules("latte3d_blender")


def imports(name: str) -> Iterator[str]:
    """All that a module imports, anywhere in it: modules of ours by their names, others' as they are written."""
    package = name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield f"{origin}.{alias.name}" if f"{origin}.{alias.name}" in MODULES else origin


IMPORTS = {name: set(imports(name)) for name in MODULES}


def room_of(name: str) -> str:
    parts = name.split(".")[1:]
    if parts[:1] == ["library"]:
        return "starter" if parts[1:2] in (["starter"], ["cli"]) else "library"
    return parts[0] if parts and parts[0] in MAY_IMPORT else "base"


def reached(starts: list[str]) -> set[str]:
    """All that is imported when modules are, with what their packages import; of the add-on's own package, which registers it, nothing."""
    seen, left = set(), list(starts)
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in MODULES:
            package = name.rpartition(".")[0]
            left += [*IMPORTS[name], *([package] if "." in package else [])]
    return seen


CORE = [name for name in MODULES if name.startswith("core")]
ADDON = [name for name in MODULES if name.startswith("latte3d_blender")]


def roots(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def test_imports_are_found_wherever_they_stand() -> None:
    assert "core.surface.bake" in IMPORTS["core.mesh"] and "core.library.starter.kinds" in IMPORTS["core.library.starter.splits"]  # late
    assert "latte3d_blender.client.protocol" in IMPORTS["latte3d_blender.client.engine"]
    assert "core.surface.atlas" in reached(["core.pipeline"]) and len(CORE) > 80 and len(ADDON) > 30


def test_the_two_programs_share_no_code() -> None:
    """The installer, which Blender's Python runs out of core/, is found by its path, and needs the standard library alone."""
    assert [name for name in CORE if roots(IMPORTS[name]) & {"bpy", "latte3d_blender"}] == []
    assert [name for name in ADDON if roots(IMPORTS[name]) & {"torch", "core"}] == []
    for name in ("core.environment", "core.install"):
        assert roots(reached([name])) - {"core"} <= sys.stdlib_module_names
        assert {other for other in reached([name]) if other.startswith("core.")} <= {"core.environment", "core.install"}
    by_name = [name for name in MODULES if name != "core.language.encoder" and "importlib" in roots(IMPORTS[name])]
    assert by_name == ["core.__main__", "latte3d_blender.client.installer"], "imports that this test cannot see"


def test_the_client_knows_nothing_of_blender() -> None:
    client = [name for name in ADDON if name.startswith("latte3d_blender.client")]
    assert client and "bpy" not in roots(reached(client))


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_each_room_imports_those_that_it_may(room) -> None:
    own = [name for name in CORE if room_of(name) == room]
    strange = [
        f"{name} imports {other}"
        for name in own
        for other in IMPORTS[name]
        if other.startswith("core") and room_of(other) not in MAY_IMPORT[room] | {room}
    ]
    assert strange == []


def test_making_objects_needs_neither_libraries_nor_training() -> None:
    """Whatever is imported on the way, packages included."""
    found = reached([name for name in CORE if room_of(name) in INFERENCE])
    assert {room_of(name) for name in found if name.startswith("core")} <= {"base", *INFERENCE}


def test_functions_and_files_are_short() -> None:
    long = []
    for path in (ROOT / "build.py", *(path for folder in ("core", "latte3d_blender", "docs") for path in (ROOT / folder).rglob("*.py"))):
        text = path.read_text(encoding="utf-8")
        functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        long += [f"{path.name}: {f.name}" for f in functions if f.end_lineno - f.lineno >= 60]
        long += [path.name] if len(text.splitlines()) > 500 else []
    assert long == []
