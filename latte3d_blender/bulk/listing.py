# SPDX-License-Identifier: GPL-3.0-or-later
"""What a web server has to offer beside a library's files, so that Blender 5.2 and later open it as a remote library."""

import json
import subprocess
from pathlib import Path

import bpy

from .. import files

META = "_asset-library-meta.json"  # Blender's own name for it; it keeps the one that is there
NEEDED = (5, 2, 0)


def fault() -> str:
    """Why this Blender cannot write a listing; "" where it can."""
    if bpy.app.version < NEEDED or not bpy.app.binary_path:
        have = bpy.app.version_string if bpy.app.binary_path else "Blender as a Python module"
        return f"The listing of a remote library is made by Blender 5.2 or later, and this is {have}."
    return ""


def write(library: Path, owner: str) -> None:
    """Write the listing into the library's folder, with pictures beside the files. Raises OSError with Blender's reason."""
    if not (library / META).exists():
        about = {"api_versions": {}, "name": library.name, "contact": {"name": owner or library.name}}
        with files.written(library / META) as partial:
            partial.write_text(json.dumps(about, indent=1), encoding="utf-8")
    command = [bpy.app.binary_path, "--background", "--factory-startup", "--command", "asset_listing", "generate", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise OSError(f"Blender could not list {library}: {last}.")
