# SPDX-License-Identifier: GPL-3.0-or-later
"""Adds to a prompt library, as docs/prompt-libraries.md describes it: library.toml, rows of prompts.csv, names of assets. Without bpy.

What stands in a file stays as it is, byte for byte; a file is replaced as a whole or not at all.
"""

import csv
import filecmp
import glob
import hashlib
import io
import itertools
import json
import os
import re
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

from .client.job import EngineFault, Fault
from .naming import slug

SETTINGS, PROMPTS, ASSETS, TEXTURES = "library.toml", "prompts.csv", "assets", "textures"
ADDED = ".added.json"  # asset -> a hash of the object that it was made from: the same object, added again, replaces its own asset alone
COLUMNS = ("prompt", "shape", "split")  # the others of prompts.csv may be missing
HEADER = ",".join(COLUMNS) + "\n"
SPLITS = ("train", "paraphrases", "unseen")
PROMPT_LIMIT = 512
WORDLESS = re.compile(
    r"(mesh|cube|cylinder|sphere|uv|ico|icosphere|cone|torus|plane|circle|grid|object|group|node|root|scene|collection|default|geometry|"
    r"empty|model|untitled|armature|rig|curve|grp|geo|low|high|lod|poly|final|new|v|copy|export|main|sm|sk|asset)"
)


@dataclass(frozen=True)
class Row:
    """A row of prompts.csv. shape: the asset's path in the library; height_m: 0 leaves it to the asset."""

    prompt: str
    shape: str
    split: str = "train"
    height_m: float = 0.0


def fault(message: str, cause: str = "", remedy: str = "") -> EngineFault:
    return EngineFault(Fault(message, cause, remedy, "library"))


def prompt_of(name: str) -> str:
    """A prompt from what an artist called a thing: "Oak_Chair.001" is an oak chair; nothing where the name says nothing."""
    apart = re.sub(r"(?<=[^\W\d_A-Z])(?=[A-Z])", " ", name)
    words = [word for word in re.split(r"[\W\d_]+", apart.lower()) if len(word) > 1 and not WORDLESS.fullmatch(word)]
    return f"{'an' if words[0][0] in 'aeiou' else 'a'} {' '.join(words)}" if words else ""


# library.toml ---------------------------------------------------------------------------------------------------------------------------


def settings(folder: Path) -> dict | None:
    """What library.toml says; None where there is none. Raises EngineFault where it cannot be read."""
    try:
        return tomllib.loads((folder / SETTINGS).read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise fault(f"{folder / SETTINGS} cannot be read.", f"{error}.", "Correct it in a text editor; nothing was changed.") from error


def create(folder: Path, name: str, licence: str, author: str, units: float) -> None:
    """Make a library in a folder that has none; units: metres of one unit of the scene. A prompts.csv that is there stays. Raises
    EngineFault."""
    lines = {"name": name or folder.name, "licence": licence, "author": author, "front": "-y"}
    text = "".join(f"{key} = {json.dumps(value.strip(), ensure_ascii=False)}\n" for key, value in lines.items() if value.strip())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / PROMPTS).exists():
            replace(folder / PROMPTS, HEADER.encode())
    except OSError as error:
        raise fault(f"{folder} cannot be made a library.", f"{error.strerror or error}.", "Choose another folder.") from error
    replace(folder / SETTINGS, f"{text}units = {units:g}\n".encode())


def replace(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all. Raises EngineFault."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        cause = f"{error.strerror or error}."
        raise fault(f"{path} cannot be written.", cause, "Close it in other programs, make room, or choose another folder.") from error
    finally:
        partial.unlink(missing_ok=True)


# prompts.csv ----------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Prompts:
    """A prompts.csv as it is: its text, its columns, what separates them, and its rows as {column: cell}."""

    path: Path
    text: str
    columns: list[str]
    separator: str
    rows: list[dict[str, str]]

    @classmethod
    def read(cls, folder: Path) -> "Prompts":
        """Raises EngineFault, with what to do, where nothing can be added to it."""
        path = folder / PROMPTS
        kept = "Nothing was changed."
        try:
            raw = path.read_bytes()
            if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
                raise fault(f"{path} is UTF-16.", kept, "Save it as UTF-8 (in Excel: CSV UTF-8).")
            text = raw.decode()
        except FileNotFoundError:
            text = HEADER
        except UnicodeDecodeError as error:
            line = raw[: error.start].count(b"\n") + 1
            raise fault(f"{path} is not UTF-8 (line {line}).", kept, "Save it as UTF-8 (in Excel: CSV UTF-8).") from error
        except OSError as error:
            raise fault(f"{path} cannot be read.", f"{error.strerror or error}.", "Close it in other programs.") from error
        separator = max(",;\t", key=text.split("\n", 1)[0].count)
        try:
            first, *rows = _cells(text, separator) or [[]]
        except csv.Error as error:
            raise fault(f"{path} is not CSV: {error}.", kept, "Correct it: Check says where.") from error
        columns = [name.strip().lower() for name in first]
        if missing := [name for name in COLUMNS if name not in columns]:
            raise fault(f"{path} has no column {', '.join(missing)}.", kept, f"Let its first line begin with {','.join(COLUMNS)}.")
        whole = [{name: cell.strip() for name, cell in zip(columns, row, strict=False)} for row in rows if any(row)]
        return cls(path, text, columns, separator, whole)

    def holds(self, row: Row) -> bool:
        """Whether this prompt of this shape stands in it."""
        return any(old.get("prompt", "").lower() == row.prompt.lower() and old.get("shape") == row.shape for old in self.rows)

    def with_rows(self, rows: list[Row]) -> str:
        """The text as it is, and the rows after it that it does not hold. Raises EngineFault where it does not end as a CSV."""
        end = "\r\n" if "\r\n" in self.text else "\n"
        more = io.StringIO(newline="")
        writer = csv.DictWriter(more, self.columns, delimiter=self.separator, lineterminator=end, extrasaction="ignore")
        new = [row for row in rows if not self.holds(row)]
        for row in new:
            height = f"{row.height_m:.4g}" if row.height_m else ""
            height = height.replace(".", ",") if self.separator == ";" else height  # as Excel writes it where cells are parted so
            writer.writerow({"prompt": row.prompt, "shape": row.shape, "split": row.split, "height": height})
        text = self.text + (end if new and not self.text.endswith("\n") else "") + more.getvalue()
        written = [[row.prompt, row.shape] for row in new]
        at = [self.columns.index(name) for name in ("prompt", "shape")]
        if new and [[cells[i] for i in at] for cells in _cells(text, self.separator)[-len(new) :] if len(cells) > max(at)] != written:
            raise fault(f"{self.path} ends within a quoted cell.", "Nothing was changed.", "Close its quotes: Check says where.")
        return text


def _cells(text: str, separator: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=separator))


def append(folder: Path, rows: list[Row]) -> None:
    """Add rows to prompts.csv. Raises EngineFault; then it is as it was."""
    prompts = Prompts.read(folder)
    replace(prompts.path, prompts.with_rows(rows).encode())


# Assets ---------------------------------------------------------------------------------------------------------------------------------


def asset_for(folder: Path, name: str, identity: str, taken: set[str]) -> str:
    """The path in the library for a thing: its own, if it was added before, else one that no file and none of `taken` has."""
    own = [asset for asset, by in _added(folder).items() if identity and by == hashed(identity) and asset not in taken]
    if own:
        return own[0]
    plain = slug(name)
    for stem in itertools.chain([plain], (f"{plain}-{number}" for number in itertools.count(2))):
        asset = f"{ASSETS}/{stem}.blend"
        if asset not in taken and not os.path.lexists(folder / asset):
            return asset


def remember(folder: Path, identities: dict[str, str]) -> None:
    """Write down which asset was made from what: {asset: identity}. Raises EngineFault."""
    added = _added(folder) | {asset: hashed(identity) for asset, identity in identities.items() if identity}
    replace(folder / ADDED, (json.dumps(added, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())


def hashed(identity: str) -> str:
    """A library is given to others: what a person's folders are called is not written into it."""
    return hashlib.sha256(identity.encode(errors="surrogatepass")).hexdigest()[:16]


def _added(folder: Path) -> dict[str, str]:
    try:
        said = json.loads((folder / ADDED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def take_texture(folder: Path, path: Path) -> tuple[Path, list[Path]]:
    """Copy an image (with <UDIM> in its name: all its tiles) beside the assets, unless the library has it. Returns its path there, and
    the files that were made. Raises OSError."""
    if path.resolve().is_relative_to(folder.resolve()):
        return path, []
    sources = sorted(map(Path, glob.glob(glob.escape(str(path)).replace("<UDIM>", "[0-9]" * 4)))) if "<UDIM>" in path.name else [path]
    textures = folder / ASSETS / TEXTURES
    textures.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        name = path.name if number == 1 else f"{number}-{path.name}"
        targets = {source: textures / name.replace("<UDIM>", source.stem[-4:]) for source in sources}
        there = [target for target in targets.values() if target.exists()]
        if all(filecmp.cmp(source, target, shallow=False) for source, target in targets.items() if target in there):
            break
    made = []
    for source, target in targets.items():
        if target not in there:
            partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
            try:
                shutil.copyfile(source, partial)
                os.replace(partial, target)
            finally:
                partial.unlink(missing_ok=True)
            made.append(target)
    return textures / name, made
