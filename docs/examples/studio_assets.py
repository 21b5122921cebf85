# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the prompt library of a made-up studio: 40 assets in seven formats, with all that real libraries are full of.

    python docs/examples/studio_assets.py FOLDER        (a Python that has Blender as a module, bpy)

writes library.toml, prompts.csv and the assets; a folder that is there stays as it is.
"""

import csv
import io
import os
import shutil
import sys
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).resolve().parent))

import studio_indoors  # noqa: F401
import studio_outdoors  # noqa: F401
from studio_tools import ASSETS, save

TOML = 'name = "Made-up Studio"\nlicence = "CC0-1.0"\nauthor = "docs/examples/studio_assets.py"\nfront = "-y"\nunits = 1.0\n'


def prompts() -> str:
    """prompts.csv."""
    text = io.StringIO()
    rows = [(p, a.shape, a.split) for a in ASSETS for p in a.said] + [
        (p, a.shape, "paraphrases") for a in ASSETS if a.split == "train" for p in a.other
    ]
    csv.writer(text, lineterminator="\n").writerows([("prompt", "shape", "split"), *rows])
    return text.getvalue()


def build(folder: Path) -> int:
    """Write the library if it is not there. Returns how many assets it has."""
    if folder.exists():
        return len(ASSETS)
    partial = folder.with_name(f"{folder.name}.partial")  # renamed at the end: never half a library
    shutil.rmtree(partial, ignore_errors=True)
    for one in sorted(ASSETS, key=lambda a: ":" not in a.shape):  # what others link comes first
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
        path = partial / one.shape.partition(":")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        if not one.make(path):
            save(path)
    (partial / "prompts.csv").write_text(prompts(), encoding="utf-8")
    (partial / "library.toml").write_text(TOML, encoding="utf-8")
    partial.rename(folder)
    return len(ASSETS)


if __name__ == "__main__":
    print(build(Path(sys.argv[1])), flush=True)
    os._exit(0)  # as a Python module, Blender 4.2 may crash as it ends after a USD export
