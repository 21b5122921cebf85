# SPDX-License-Identifier: GPL-3.0-or-later
"""File names for what was made: readable in every script, possible on every system, and never those of another object. Without bpy."""

import itertools
import os
import re
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LENGTH, BYTES = 60, 150  # of a name; file systems take 255 bytes, of which suffixes and temporary names need some
RESERVED = re.compile(r"(con|prn|aux|nul|conin|conout|com\d|lpt\d)", re.ASCII)  # Windows: devices, whatever the suffix
LATIN = re.compile(r"LATIN SMALL (?:LETTER|LIGATURE)(?: DOTLESS)? ([A-Z]{1,2})(?: WITH .*)?")
# that nobody looks for
SMALL_WORDS = frozenset(re.findall(r"\w+", "a an and at by for from in is its of on or that the to with without"))
SPELLINGS = {  # British: American; whoever searches for one finds the other
    "grey": "gray", "colour": "color", "armour": "armor", "centre": "center", "tyre": "tire", "jewell": "jewel", "fibre": "fiber",
    "plough": "plow", "aeroplane": "airplane", "doughnut": "donut", "moustache": "mustache", "mould": "mold", "catalogue": "catalog",
    "licence": "license", "aluminium": "aluminum", "axe": "ax", "theatre": "theater", "pyjama": "pajama", "harbour": "harbor",
}  # fmt: skip
STALE_S = 3600.0  # after which a claim is of a program that was killed


def slug(prompt: str) -> str:
    """Return a file name for a prompt: lower-case words and hyphens. Latin letters lose their marks, other scripts stay as they are."""
    name = ""
    for sign in unicodedata.normalize("NFKC", prompt).casefold():
        kind, latin = unicodedata.category(sign)[0], LATIN.fullmatch(unicodedata.name(sign, ""))
        if latin:
            name += latin[1].lower()
        elif kind == "M" and name[-1:].isascii():
            continue  # an accent of a Latin letter; in other scripts marks are vowels
        else:
            name += sign if kind in "LMN" else "-"
    name = re.sub(r"-+", "-", name).strip("-")[:LENGTH]
    name = name.encode()[:BYTES].decode(errors="ignore").strip("-")
    return f"{name}-object" if RESERVED.fullmatch(name) else name or "object"


def american(text: str) -> str:
    """A text in small letters and in one spelling, for comparing."""
    text = text.casefold()
    for british, other in SPELLINGS.items():
        text = text.replace(british, other)
    return text


def search_words(prompt: str) -> list[str]:
    """The words of a prompt by which somebody would look for what it describes."""
    return [word for word in dict.fromkeys(re.findall(r"[^\W_][\w'’-]*", prompt.lower())) if word not in SMALL_WORDS]


def candidates(prompt: str, seed: int) -> Iterator[str]:
    """Names for an object, the best first: the seed is part of them where it is not 0, or where the name is taken."""
    name = slug(prompt)
    yield from (name,) if seed == 0 else ()
    yield f"{name}-{seed}"
    yield from (f"{name}-{seed}-{number}" for number in itertools.count(2))


@contextmanager
def reserved(folder: Path, prompt: str, seed: int, is_own: Callable[[Path], bool]) -> Iterator[Path]:
    """Give a path without suffix that no other program is given until the end. `is_own(path.glb)`: it may be replaced. Raises OSError."""
    for name in candidates(prompt, seed):
        stem, claim = folder / name, folder / f".{name}.claim"
        if not _claimed(claim):
            continue
        try:
            taken = [file for suffix in (".blend", ".glb", ".png") if os.path.lexists(file := stem.with_suffix(suffix))]
            if not taken or is_own(stem.with_suffix(".glb")):
                yield stem
                return
        finally:
            claim.unlink(missing_ok=True)


def _claimed(claim: Path) -> bool:
    """Whether the claim is ours now: one program alone can make a new file of a name."""
    for _ in range(2):
        try:
            os.close(os.open(claim, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            return True
        except FileExistsError:
            try:
                if time.time() - claim.stat().st_mtime < STALE_S:
                    return False
                claim.unlink(missing_ok=True)
            except FileNotFoundError:  # it has just been given back
                continue
    return False
