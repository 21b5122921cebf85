# SPDX-License-Identifier: GPL-3.0-or-later
"""A list of prompts as people write it: CSV with a first line that names its columns, or text with a prompt a line. Without bpy.

prompt,seed,name,tags,catalogue,height,quality,model,licence,author,description: all but prompt may be missing or empty.
"""

import csv
import io
import math
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from .. import catalogues
from ..arguments import DETAILS, LIMITS
from ..client.engine import check_prompt
from ..naming import slug
from ..populate.job import Want

COLUMNS = ("prompt", "seed", "name", "tags", "catalogue", "height", "quality", "model", "licence", "author", "description")
ALSO = {"catalog": "catalogue", "license": "licence", "detail": "quality"}
MOST_TOLD = 20  # faults; of the others their number


class ListError(ValueError):
    """A list that cannot be used; its text is all that is wrong with it, a line each."""


@dataclass(frozen=True)
class Defaults:
    """What holds for a row that does not say otherwise."""

    seed: int = 0
    quality: str = "standard"
    model: str = ""
    catalogue: str = ""
    licence: str = ""
    author: str = ""


@dataclass(frozen=True)
class Entry:
    """One object to be made, and what the asset library says of it. height_m 0: as the model predicts; catalogue "": by its thing."""

    want: Want
    name: str = ""
    tags: tuple[str, ...] = ()
    catalogue: str = ""
    height_m: float = 0.0
    licence: str = ""
    author: str = ""
    description: str = ""

    @property
    def stem(self) -> str:
        """The name of its file, which no other object has, on whichever machine it is made."""
        return f"{slug(self.name or self.want.prompt)}-{self.want.key[:10]}"


@dataclass
class List:
    """What was read: objects, each once, and sentences about what is odd but can be used."""

    entries: list[Entry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read(path: Path, defaults: Defaults) -> List:
    """Read a list. Raises ListError with everything that is wrong, by lines, and OSError."""
    text, faults = _text(path.read_bytes(), path.name)
    first = text.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    names = [cell.strip().strip('"').lower() for cell in first.split(separator)]
    found = List()
    if "prompt" in names or path.suffix.lower() in (".csv", ".tsv"):
        if separator == ";":
            found.notes.append(f"{path.name}:1: cells are separated by semicolons, not by commas; they are read all the same.")
        try:
            rows = list(_rows(text, separator))
        except csv.Error as error:
            raise ListError(f"{path.name}: this is not CSV: {error}.") from error
    else:
        lines = enumerate(text.splitlines(), 1)
        rows = [(number, {"prompt": line}, []) for number, line in lines if line.strip() and not line.lstrip().startswith("#")]
    faults += _fill(found, rows, defaults, path.name, separator)
    if not found.entries and not faults:
        faults.append((0, "there is no prompt in it."))
    if faults:
        told = [f"{path.name}:{line}: {message}" if line else f"{path.name}: {message}" for line, message in sorted(faults)]
        more = [f"{path.name}: and {len(told) - MOST_TOLD:,} more."] if len(told) > MOST_TOLD else []
        raise ListError("\n".join(told[:MOST_TOLD] + more))
    return found


def _text(raw: bytes, name: str) -> tuple[str, list[tuple[int, str]]]:
    """A file's text, and what is wrong with its encoding."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise ListError(f"{name}: this is UTF-16. Save it as UTF-8 (in Excel: CSV UTF-8).")
    if b"\0" in raw:
        raise ListError(f"{name}: this is no text. Name a CSV, or a text file with one prompt a line.")
    try:
        return raw.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        fault = (line, f"byte 0x{raw[error.start]:02x} is not UTF-8. Save the file as UTF-8 (in Excel: CSV UTF-8).")
        return raw.decode("cp1252", errors="replace"), [fault]  # what else is wrong is told too


def _rows(text: str, separator: str) -> Iterator[tuple[int, dict[str, str], list[str]]]:
    """Of each row its line, its cells by column, and what is wrong with its form."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    columns = [ALSO.get(name := cell.strip().lower(), name) for cell in next(reader, [])]
    wrong = []
    if "prompt" not in columns:
        wrong.append(f"there is no column “prompt”. The first line says {', '.join(columns) or 'nothing'}.")
    if strange := [name for name in columns if name not in COLUMNS]:
        wrong.append(f"the column “{strange[0]}” is not known; known are {', '.join(COLUMNS)}.")
    if twice := [name for name in columns if columns.count(name) > 1]:
        wrong.append(f"the column “{twice[0]}” comes twice.")
    if wrong:
        yield 1, {}, wrong
        return
    end = reader.line_num
    for cells in reader:
        line, end = end + 1, reader.line_num  # a quoted cell may go over several lines: the first counts
        if not any(cell.strip() for cell in cells):
            continue
        hint = f' Put a text that contains "{separator}" in quotes.' if len(cells) > len(columns) else ""
        form = [] if len(cells) == len(columns) else [f"there are {len(cells)} cells, and {len(columns)} columns.{hint}"]
        yield line, {} if form else dict(zip(columns, cells, strict=True)), form


def _fill(found: List, rows: list, defaults: Defaults, name: str, separator: str) -> list[tuple[int, str]]:
    """Take rows in; returns what is wrong with them. A prompt that comes again without a seed takes the next one."""
    faults, lines, used = [], {}, defaultdict(set)
    for line, cells, form in rows:
        row = {key: " ".join(cell.split()) for key, cell in cells.items()}
        wrong = list(form)
        entry = _entry(row, defaults, wrong, separator) if not form else None
        faults += [(line, message) for message in wrong]
        if wrong or entry is None:
            continue
        want = entry.want
        taken = used[want.prompt, want.model, want.quality]
        if not row.get("seed"):
            seed = next(number for number in range(want.seed, want.seed + len(taken) + 1) if number not in taken)
            want = Want(want.prompt, seed, want.model, want.quality)
            entry = replace(entry, want=want)
        if want in lines:
            found.notes.append(f"{name}:{line}: the same object as in line {lines[want]}; it is made once.")
            continue
        lines[want] = line
        taken.add(want.seed)
        found.entries.append(entry)
    return faults


def _entry(row: dict[str, str], defaults: Defaults, wrong: list[str], separator: str) -> Entry:
    """A row as an entry; what is wrong is added to `wrong`."""
    if fault := check_prompt(row["prompt"]):
        wrong.append(str(fault))
    seed, most = row.get("seed") or str(defaults.seed), LIMITS["seed"][1]
    if not (re.fullmatch(r"[0-9]{1,10}", seed) and int(seed) <= most):
        wrong.append(f"the seed is “{seed}”; it is a whole number from 0 to {most:,}.")
        seed = "0"
    quality = row.get("quality", "").lower() or defaults.quality
    if quality not in DETAILS:
        wrong.append(f"the quality is “{quality}”; it is one of {', '.join(DETAILS)}.")
    height = _height(row.get("height", ""), separator)
    if height is None:
        wrong.append(f"the height is “{row['height']}”; it is a number of metres above 0.")
    want = Want(row["prompt"], int(seed), row.get("model") or defaults.model, quality)
    tags = tuple(dict.fromkeys(tag for cell in re.split(r"[,;|]", row.get("tags", "")) if (tag := cell.strip())))
    catalogue = catalogues.tidy(row.get("catalogue") or defaults.catalogue)
    licence, author = (row.get(key) or getattr(defaults, key) for key in ("licence", "author"))
    return Entry(want, row.get("name", ""), tags, catalogue, height or 0.0, licence, author, row.get("description", ""))


def _height(text: str, separator: str) -> float | None:
    """Metres; 0 for an empty cell, None for what is no height."""
    if not text:
        return 0.0
    try:
        value = float(text.replace(",", ".") if separator != "," else text)
    except ValueError:
        return None
    return value if math.isfinite(value) and 0 < value < 1e6 else None
