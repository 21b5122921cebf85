# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine's Python environment should hold, and whether it does. Standard library alone: Blender's Python loads this file."""

import base64
import csv
import hashlib
import json
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent / "requirements"
ENGINE = ("engine.txt", "text-encoder.txt")  # what generating needs; train.txt and dev.txt go into the same environment
CONSTRAINTS = REQUIREMENTS / "constraints.txt"
STAMP = "installed.json"


def environment_python(target: Path) -> Path:
    """The Python of the environment in `target`."""
    return target / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def fingerprint(name: str) -> str:
    """A mark that changes with the versions in a requirement file."""
    text = (REQUIREMENTS / name).read_bytes() + (CONSTRAINTS.read_bytes() if not name.startswith("blender") else b"")
    return hashlib.sha256(text.replace(b"\r\n", b"\n")).hexdigest()[:16]


def installed(target: Path) -> dict[str, str]:
    """The requirement files that `target` holds, with their fingerprints; empty when nothing has been finished there."""
    try:
        marks = json.loads((target / STAMP).read_text())["requirements"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return marks if isinstance(marks, dict) and environment_python(target).exists() else {}


def packages_folder(target: Path) -> Path | None:
    """Where the environment in `target` has its packages."""
    return next(iter(target.glob("Lib/site-packages" if sys.platform == "win32" else "lib/python3*/site-packages")), None)


def damaged(target: Path, *, thorough: bool = False) -> list[Path]:
    """The packages (their .dist-info folders) that have lost files since the installation was finished, or whose files were cut.

    A tenth of a second for the engine's 24,000 files. `thorough` compares what the files hold, too: some ten seconds.
    """
    folder = packages_folder(target)
    try:
        known = json.loads((target / STAMP).read_text()).get("packages", [])
    except (OSError, ValueError, AttributeError):
        known = []
    if folder is None:
        return [target / name for name in known]
    here = {path.name: path for path in folder.glob("*.dist-info")}
    return [folder / name for name in known if name not in here] + [path for path in here.values() if not is_whole(path, thorough=thorough)]


def is_whole(package: Path, *, thorough: bool = False) -> bool:
    """Whether all files are there that a package's RECORD lists, none shorter (thorough: none other) than it says."""
    try:
        with open(package / "RECORD", newline="", encoding="utf-8") as record:
            rows = [row for row in csv.reader(record) if len(row) == 3 and row[2] and not row[0].endswith(".pyc")]
        for name, mark, size in rows:
            path = package.parent / name
            if path.stat().st_size < int(size):
                return False
            if thorough and mark.startswith("sha256=") and not name.endswith(".pem"):  # to which people add certificates of their own
                with open(path, "rb") as file:
                    found = base64.urlsafe_b64encode(hashlib.file_digest(file, "sha256").digest()).decode().rstrip("=")
                if found != mark.removeprefix("sha256="):
                    return False
    except (OSError, ValueError, csv.Error):
        return False
    return True
