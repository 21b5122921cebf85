# SPDX-License-Identifier: GPL-3.0-or-later
"""A prompt library as people write it: `library.toml`, `prompts.csv` and a folder of assets.

On the standard library alone, and a program of its own: the add-on runs it under Blender's Python.

library.toml   name, licence, author; front = "-y" (one of +x -x +y -y, Blender's axes); units = metres a unit, or "none"
prompts.csv    UTF-8; prompt,shape,split[,weight][,height]; shape = path[:object or collection], may be empty;
               split = train, paraphrases or unseen; weight a number above 0; height in metres
"""

import argparse
import csv
import io
import json
import math
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

SETTINGS, PROMPTS, PREPARED = "library.toml", "prompts.csv", ".prepared"
SPLITS = ("train", "paraphrases", "unseen")
FRONTS = ("+x", "-x", "+y", "-y")
ENDINGS = (".blend", ".glb", ".gltf", ".obj", ".fbx", ".ply", ".stl", ".usd", ".usda", ".usdc", ".usdz")
REQUIRED, OPTIONAL = ("prompt", "shape", "split"), ("weight", "height")
PROMPT_LIMIT = 512  # characters
SHAPE = re.compile(rf"^(.*?(?:{'|'.join(map(re.escape, sorted(ENDINGS, key=len, reverse=True)))}))(?::(.+))?$", re.IGNORECASE | re.DOTALL)
KEYS = {"name": str, "licence": str, "author": str, "front": str, "units": (int, float, str)}


@dataclass(frozen=True)
class Finding:
    """Something wrong. `level`: "fatal" (nothing can be read), "error" (this row is left out) or "warning". `line` 0: the whole file."""

    level: str
    file: str
    line: int
    message: str
    shape: str = ""  # the asset that cannot be used because of it

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {'warning: ' if self.level == 'warning' else ''}{self.message}"


@dataclass(frozen=True, slots=True)
class Prompt:
    """One row of prompts.csv. `shape` "": there is none; `height_m` None: the asset's own."""

    text: str
    shape: str
    split: str
    weight: float = 1.0
    height_m: float | None = None
    line: int = 0


@dataclass
class Library:
    """What was read. `units`: metres a unit of the assets; None where heights mean nothing."""

    folder: Path
    name: str = ""
    licence: str = ""
    author: str = ""
    front: str = "-y"
    units: float | None = 1.0
    prompts: list[Prompt] = field(default_factory=list)

    @property
    def shapes(self) -> list[str]:
        """Every shape that a prompt names, once, in the order of the file."""
        return list(dict.fromkeys(p.shape for p in self.prompts if p.shape))

    def assets(self) -> list[str]:
        """Every asset file in the folder, as paths with forward slashes, sorted."""
        found = []
        for at, folders, names in os.walk(self.folder):
            folders[:] = sorted(n for n in folders if not n.startswith("."))
            found += [Path(at, n).relative_to(self.folder).as_posix() for n in names if n.lower().endswith(ENDINGS) and n[0] != "."]
        return sorted(found)


def split_shape(shape: str) -> tuple[str, str]:
    """The path of an asset, and the object or collection in it ("": all of it)."""
    found = SHAPE.match(shape)
    return (found[1], found[2] or "") if found else (shape, "")


def read(folder: Path) -> tuple[Library, list[Finding]]:
    """A library and all that is wrong with it. Rows with an error are left out."""
    library, findings = Library(folder), []
    if not folder.is_dir():
        return library, [Finding("fatal", str(folder), 0, "There is no such folder.")]
    findings += _read_settings(library)
    findings += _read_prompts(library)
    named = {split_shape(s)[0] for s in library.shapes} | {split_shape(f.shape)[0] for f in findings if f.shape}
    if not any(f.level == "fatal" for f in findings) and (spare := [a for a in library.assets() if a not in named]):
        some = ", ".join(spare[:5]) + (", …" if len(spare) > 5 else "")
        message = f"{len(spare)} assets have no prompt and are not used ({some}); suggest proposes some."
        findings.append(Finding("warning", PROMPTS, 0, message))
    return library, findings


# library.toml ---------------------------------------------------------------------------------------------------------------------------


def _read_settings(library: Library) -> list[Finding]:
    try:
        text = (library.folder / SETTINGS).read_bytes().decode("utf-8-sig")
        table = tomllib.loads(text)
    except FileNotFoundError:
        return [Finding("fatal", SETTINGS, 0, 'There is none. Write one: name = "…", licence = "…", front = "-y", units = 1.0')]
    except OSError as error:
        return [Finding("fatal", SETTINGS, 0, f"It cannot be read: {error.strerror}.")]
    except UnicodeDecodeError as error:
        return [Finding("fatal", SETTINGS, _line_of(error), "This is not UTF-8. Save the file as UTF-8.")]
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"line (\d+)", str(error))
        return [Finding("fatal", SETTINGS, int(at[1]) if at else 0, f"This is not TOML: {error}.")]

    findings = []

    def find(level: str, key: str, message: str) -> None:
        lines = [i for i, line in enumerate(text.splitlines(), 1) if re.match(rf"\s*[\"']?{re.escape(key)}\b", line)]
        findings.append(Finding(level, SETTINGS, lines[0] if lines else 0, message))

    for key, value in table.items():
        if key not in KEYS:
            find("warning", key, f"{key} is not known; known are {', '.join(KEYS)}.")
        elif not isinstance(value, KEYS[key]) or isinstance(value, bool):
            find("fatal", key, f"{key} is {value!r}, which is not a {'number or text' if key == 'units' else 'text'}.")
        elif key not in ("front", "units"):
            setattr(library, key, value.strip())
    library.name = library.name or library.folder.resolve().name
    if not library.licence:
        find("warning", "licence", 'There is no licence. Write who may use what is learnt from these assets, as licence = "CC0-1.0".')
    front = table.get("front", library.front)
    if isinstance(front, str) and front.lower() not in FRONTS:
        find("fatal", "front", f"front is {front!r}; it is one of {', '.join(FRONTS)} in Blender's axes.")
    library.front = str(front).lower()
    _units(library, table, find)
    return findings


def _units(library: Library, table: dict, find) -> None:
    units = table.get("units")
    if units is None:
        find("warning", "units", 'There are no units: one unit is taken as one metre. Write units = 1.0, or units = "none".')
    elif units == "none":
        library.units = None
    elif isinstance(units, str) or not math.isfinite(units) or units <= 0:
        meaning = 'the metres of one unit (1.0, 0.01 for centimetres) or "none" where heights mean nothing'
        find("fatal", "units", f"units is {units!r}; it is {meaning}.")
    else:
        library.units = float(units)


# prompts.csv ----------------------------------------------------------------------------------------------------------------------------


def _read_prompts(library: Library) -> list[Finding]:
    try:
        raw = (library.folder / PROMPTS).read_bytes()
    except FileNotFoundError:
        return [Finding("fatal", PROMPTS, 0, "There is none. Its first line is prompt,shape,split; suggest proposes the others.")]
    except OSError as error:
        return [Finding("fatal", PROMPTS, 0, f"It cannot be read: {error.strerror}.")]
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return [Finding("fatal", PROMPTS, 1, "This is UTF-16. Save it as UTF-8 (in Excel: CSV UTF-8).")]
    findings = []
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"Byte 0x{raw[error.start]:02x} is not UTF-8. Save the file as UTF-8 (in Excel: CSV UTF-8)."
        findings.append(Finding("fatal", PROMPTS, _line_of(error), message))
        text = raw.decode("cp1252", errors="replace")  # what else is wrong is told too
    head = text.split("\n", 1)[0]
    separator = max(",;\t", key=head.count)
    if separator != ",":
        findings.append(Finding("warning", PROMPTS, 1, f"Cells are separated by {separator!r}, not by commas; they are read all the same."))
    try:
        return findings + list(_rows(library, text, separator))
    except csv.Error as error:
        return [*findings, Finding("fatal", PROMPTS, 0, f"This is not CSV: {error}.")]


def _rows(library: Library, text: str, separator: str) -> Iterator[Finding]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    columns = [name.strip().lower() for name in next(reader, [])]
    if missing := [name for name in REQUIRED if name not in columns]:
        found = ", ".join(columns) or "nothing"
        yield Finding("fatal", PROMPTS, 1, f"Missing columns: {', '.join(missing)}. The first line says {found}.")
        return
    for name in columns:
        if name not in REQUIRED + OPTIONAL:
            yield Finding("warning", PROMPTS, 1, f"The column {name!r} is not known; known are {', '.join(REQUIRED + OPTIONAL)}.")
    seen: dict[tuple, int] = {}
    faults: dict[str, str] = {}  # of shapes, asked once
    end = reader.line_num
    for cells in reader:
        line, end = end + 1, reader.line_num  # a quoted cell may go over several lines: the first counts
        if not any(cell.strip() for cell in cells):
            continue
        prompt, wrong = _prompt(library, columns, cells, line, separator, faults)
        shape = prompt.shape if prompt else ""
        for message in wrong:
            yield Finding("error", PROMPTS, line, message, shape if message == faults.get(shape) else "")
        if wrong or not prompt:
            continue
        if (key := (prompt.text.lower(), prompt.shape)) in seen:
            yield Finding("warning", PROMPTS, line, f"The same prompt and shape stand in line {seen[key]}.")
        seen.setdefault(key, line)
        library.prompts.append(prompt)
    if not seen:
        yield Finding("fatal", PROMPTS, 0, "There is no row that can be used.")
    for asset, lines in _leaks(library.prompts):
        yield Finding("warning", PROMPTS, lines[1], f"{asset} is in unseen, and was seen: it stands in another split in line {lines[0]}.")


def _prompt(
    library: Library, columns: list[str], cells: list[str], line: int, separator: str, faults: dict[str, str]
) -> tuple[Prompt | None, list[str]]:
    """A row, and what is wrong with it."""
    if len(cells) != len(columns):
        hint = f' Put a text that contains "{separator}" in quotes.' if len(cells) > len(columns) else ""
        return None, [f"There are {len(cells)} cells, and {len(columns)} columns.{hint}"]
    row = {name: cell.strip() for name, cell in zip(columns, cells, strict=True)}
    wrong = []
    text, shape, split = " ".join(row["prompt"].split()), row["shape"], row["split"].lower()
    if not text:
        wrong.append("The prompt is empty.")
    if len(text) > PROMPT_LIMIT:
        wrong.append(f"The prompt has {len(text)} characters; {PROMPT_LIMIT} is the most.")
    if split not in SPLITS:
        wrong.append(f"The split is {row['split']!r}; it is one of {', '.join(SPLITS)}.")
    if shape and shape not in faults:
        faults[shape] = shape_fault(library.folder, shape)
    if shape and faults[shape]:
        wrong.append(faults[shape])
    numbers = {}
    for name, default in (("weight", 1.0), ("height", None)):
        cell = row.get(name, "")
        value = _number(cell.replace(",", ".") if separator != "," else cell) if cell else default
        if cell and value is None:
            wrong.append(f"The {name} is {cell!r}; it is a number above 0.")
        numbers[name] = value
    shape, split = sys.intern(shape), sys.intern(split)  # the same string in all rows: there may be a hundred thousand
    return Prompt(text, shape, split, numbers["weight"] or 1.0, numbers["height"], line), wrong


def shape_fault(folder: Path, shape: str) -> str:
    """Why a shape's file cannot be used; "" when it can. Only files that lie in the folder are opened."""
    path, _ = split_shape(shape)
    if re.match(r"[A-Za-z]:", path) or path.startswith(("/", "\\", "~")):
        return f"{path} is an absolute path; write it relative to the library's folder."
    if "\\" in path:
        return f"{path} has backslashes; write forward slashes."
    if ".." in PurePosixPath(path).parts:
        return f"{path} leaves the library's folder; copy the asset into it."
    if not SHAPE.match(shape):
        return f"{path} is no asset that Blender is asked to open; known are {' '.join(ENDINGS)}."
    file = folder / path
    try:
        if not file.is_file():
            return f"There is no file {path}."
        if not file.resolve().is_relative_to(folder.resolve()):
            return f"{path} is a link that leads out of the library's folder; copy the asset into it."
        with open(file, "rb") as opened:
            return "" if opened.read(1) else f"{path} is an empty file."
    except (OSError, RuntimeError, ValueError) as error:
        return f"{path} cannot be read: {getattr(error, 'strerror', None) or error}."


def _leaks(prompts: list[Prompt]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Shapes that are kept for `unseen` and stand in another split too."""
    seen = {p.shape: p.line for p in reversed(prompts) if p.split != "unseen" and p.shape}
    told = set()
    for p in prompts:
        if p.split == "unseen" and p.shape in seen and p.shape not in told:
            told.add(p.shape)
            yield p.shape, (seen[p.shape], p.line)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def _line_of(error: UnicodeDecodeError) -> int:
    return error.object[: error.start].count(b"\n") + 1


# The command ----------------------------------------------------------------------------------------------------------------------------


def check(folder: Path, as_json: bool) -> int:
    """List everything that is wrong with a library. Returns the exit status: 0 nothing but warnings, 1 errors, 2 nothing can be read."""
    library, findings = read(folder)
    levels = [f.level for f in findings]
    for finding in sorted(findings, key=lambda f: (f.file, f.line)):
        line = {"event": "finding", **{k: getattr(finding, k) for k in ("level", "file", "line", "message", "shape")}}
        print(json.dumps(line) if as_json else finding, flush=True)
    errors, warnings = len(levels) - levels.count("warning"), levels.count("warning")
    result = {"prompts": len(library.prompts), "shapes": len(library.shapes), "errors": errors, "warnings": warnings}
    text = f"{library.name or folder}: {result['prompts']} prompts, {result['shapes']} shapes, {errors} errors, {warnings} warnings"
    print(json.dumps(result) if as_json else text, flush=True)
    return 2 if "fatal" in levels else int(errors > 0)


def main(argv: list[str]) -> int:
    """This file alone, under any Python ≥ 3.11, Blender's too: a library can be checked before there is an engine."""
    parser = argparse.ArgumentParser(description="List all that is wrong with a prompt library.")
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, the last one the result")
    options = parser.parse_args(argv)
    return check(options.folder, options.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
