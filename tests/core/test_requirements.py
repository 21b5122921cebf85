# SPDX-License-Identifier: GPL-3.0-or-later
"""Every package that the engine imports is pinned in the file of those who need it, and an artist installs none that nothing imports."""

import ast
import re
import sys
from pathlib import Path

CORE = Path(__file__).resolve().parents[2] / "core"
PACKAGES = {"PIL": "pillow", "skimage": "scikit-image", "igl": "libigl", "warp": "warp-lang"}  # where the import has another name
NOT_TO_GENERATE = ("training", "evaluation", "library", "guidance", "rendering", "bulk")  # folders of core
AT_HAND = {"torchmetrics", "nvdiffrast"}  # evaluation/standard.py, rendering/raster_nvdiffrast.py: for who has them


def imported(*, generating: bool) -> set[str]:
    """The packages that the source of core imports, anywhere in a file; `generating`: without those folders that generating never loads."""
    names = set()
    for path in CORE.rglob("*.py"):
        if generating and path.relative_to(CORE).parts[0] in NOT_TO_GENERATE:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.partition(".")[0])
    return {PACKAGES.get(name, name) for name in names - sys.stdlib_module_names - {"core"}}


def pinned(*files: str) -> set[str]:
    """The packages that requirement files pin."""
    text = "\n".join((CORE / "requirements" / file).read_text(encoding="utf-8") for file in files)
    return set(re.findall(r"^([\w-]+)==", text, re.MULTILINE))


def test_an_artist_installs_what_generating_imports_and_nothing_else() -> None:
    assert imported(generating=True) == pinned("engine.txt")


def test_what_training_and_measuring_import_is_pinned() -> None:
    assert imported(generating=False) - AT_HAND <= pinned("engine.txt", "train.txt", "dev.txt", "ray.txt")


def test_each_version_stands_once() -> None:
    files = ("engine.txt", "train.txt", "dev.txt", "ray.txt", "constraints.txt")
    assert sum(len(pinned(file)) for file in files) == len(pinned(*files))
