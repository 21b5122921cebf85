# SPDX-License-Identifier: GPL-3.0-or-later
"""A prepared library, read: its prompts by split, and the shapes that they stand for."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import BadRequest
from core.library import format as library_format
from core.library.format import Library, Prompt
from core.library.prepare import prepared_file
from core.library.report import height_m
from core.library.shape import FORMAT, Shape, read_facts


@dataclass
class PreparedFolder:
    """`library`: what people wrote. `missing`: shapes that prompts name and that are not prepared, or could not be.

    Shapes are read from disk when they are asked for; `shape` keeps none.
    """

    library: Library
    facts: dict[str, dict] = field(repr=False)  # of each prepared shape
    missing: list[str]

    @staticmethod
    def open(folder: Path) -> "PreparedFolder":
        """Raises BadRequest when the library cannot be read, or nothing of it was prepared."""
        library, findings = library_format.read(folder)
        if fatal := [str(f) for f in findings if f.level == "fatal"]:
            raise BadRequest(f"{folder} is no library that can be read.", " ".join(fatal), "Correct this; check lists all that is wrong.")
        if not library.shapes:
            raise BadRequest(f"{folder} names no asset.", "No row of prompts.csv has a shape.", "Name assets in the column shape.")
        facts = {shape: read_facts(prepared_file(folder, shape)) for shape in library.shapes}
        ready = {shape: f for shape, f in facts.items() if f.get("key")}
        missing = [shape for shape in facts if shape not in ready]
        if not ready:
            remedy = f"Prepare it first: blender --command latte3d library prepare {folder}"
            raise BadRequest(f"{folder} is not prepared.", "No shape of it is.", remedy)
        return PreparedFolder(library, ready, missing)

    def prompts(self, split: str) -> list[Prompt]:
        """Prompts of a split that can be used: those of prepared shapes, and those that have none."""
        return [p for p in self.library.prompts if p.split == split and (not p.shape or p.shape in self.facts)]

    @property
    def fingerprint(self) -> str:
        """The library's name, and eight digits that change with what can be learnt from it."""
        rows = [[p.text, p.shape, p.weight, p.height_m, self.facts[p.shape]["key"] if p.shape else ""] for p in self.prompts("train")]
        digest = hashlib.sha256(json.dumps([rows, self.library.units]).encode()).hexdigest()
        return f"{self.library.name or self.library.folder.name} ({digest[:8]})"

    @property
    def shapes(self) -> list[str]:
        return list(self.facts)

    def shape(self, name: str) -> Shape:
        """Raises BadRequest when its file is damaged."""
        try:
            return Shape.load(prepared_file(self.library.folder, name))
        except Exception as error:
            raise BadRequest(f"The prepared shape of {name} cannot be read.", str(error), "Prepare the library again.") from error

    def picture(self, name: str) -> Path:
        """A PNG, left half as Blender shows it, right half as it was prepared."""
        return prepared_file(self.library.folder, name, ".png")

    def height_m(self, name: str) -> float | None:
        """Real height in metres; None where the library's heights mean nothing."""
        return height_m(self.library, name, self.facts[name])


__all__ = ["FORMAT", "PreparedFolder", "Prompt", "Shape"]
