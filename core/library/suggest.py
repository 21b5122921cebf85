# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompts proposed for assets that have none: from what the artist called things, the main colours and the proportions."""

import csv
import io
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy import ndarray

from core.errors import BadRequest, EngineError
from core.files import replace_file
from core.library import format as library_format
from core.library.format import PREPARED, split_shape
from core.library.lanes import Worker
from core.library.looks import look_at, to_linear
from core.library.repair import areas_of
from core.library.shape import read_message

COLORS = {
    "white": (0.93, 0.93, 0.92),
    "light grey": (0.75, 0.75, 0.76),
    "grey": (0.5, 0.5, 0.51),
    "dark grey": (0.28, 0.28, 0.29),
    "black": (0.08, 0.08, 0.09),
    "red": (0.8, 0.13, 0.12),
    "dark red": (0.45, 0.08, 0.09),
    "orange": (0.93, 0.5, 0.13),
    "yellow": (0.95, 0.82, 0.2),
    "gold": (0.83, 0.66, 0.27),
    "green": (0.25, 0.6, 0.25),
    "dark green": (0.12, 0.32, 0.17),
    "light green": (0.6, 0.82, 0.45),
    "turquoise": (0.2, 0.7, 0.68),
    "blue": (0.2, 0.4, 0.8),
    "light blue": (0.55, 0.75, 0.93),
    "dark blue": (0.11, 0.17, 0.4),
    "purple": (0.47, 0.25, 0.62),
    "pink": (0.93, 0.6, 0.7),
    "brown": (0.5, 0.31, 0.2),
    "dark brown": (0.29, 0.18, 0.13),
    "beige": (0.86, 0.76, 0.6),
}  # fmt: skip   sRGB
MATERIALS = ("wood", "metal", "glass", "stone", "brick", "leather", "fabric", "plastic", "marble", "silver", "concrete", "paper", "clay")
QUALITIES = (
    "small",
    "medium",
    "large",
    "big",
    "little",
    "tall",
    "thin",
    "thick",
    "long",
    "short",
    "round",
    "oval",
    "square",
    "double",
    "single",
    "standing",
    "hanging",
    "straight",
    "curved",
    "broken",
    "old",
    "new",
    "decorated",
    "cooked",
    "dead",
    "half",
    "stacked",
    "wide",
    "narrow",
    "low",
    "high",
    "open",
    "closed",
    "empty",
    "full",
    "wooden",
    "metal",
)  # fmt: skip   said after the thing in file names, before it in a sentence
SHARES = (0.3, 0.25)  # of the surface that a first and a second colour must cover
WORDLESS = re.compile(
    r"^(mesh|cube|cylinder|sphere|plane|object|group|node|root|scene|collection|default|material|geometry|empty|model|untitled|armature|"
    r"grp|geo|low|high|lod|poly|final|new|v|copy|export|main|sm|sk|asset)$"
)
SAMPLES = 4000
TIMEOUT_S = 300.0


def suggest(folder: Path, blender: Sequence[str], out: Path, report: Callable[[dict], None]) -> dict:
    """Add to the CSV `out` a prompt for each asset of the folder that has none there or in prompts.csv; what stands in it stays as it is.

    Returns the result. Raises BadRequest when `out` is no such CSV, EngineError when Blender does not start or the disk is full.
    """
    library, _ = library_format.read(folder)
    kept = _Csv.read(out)
    named = {split_shape(shape)[0] for shape in (*library.shapes, *kept.shapes)}
    todo = [asset for asset in library.assets() if asset not in named]
    rows, rejected = [], []
    (folder / PREPARED).mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, open(folder / PREPARED / "prepare.log", "ab") as log:
        worker, export = Worker("Blender", list(blender), log), Path(scratch) / "export.safetensors"
        try:
            for number, asset in enumerate(todo, 1):
                request = {"asset": str((folder / asset).resolve()), "part": "", "front": library.front, "picture": 0, "out": str(export)}
                answer = worker.ask(request, TIMEOUT_S)
                if answer.get("fatal"):
                    raise EngineError("internal", answer["reason"], "", f"{out} is as it was.")
                if answer["ok"]:
                    rows.append({"prompt": caption(asset, *read_message(export)), "shape": asset, "split": "train"})
                else:
                    rejected.append({"asset": asset, "reason": answer["reason"]})
                report({"event": "progress", "stage": "suggest", "done": number, "total": len(todo), "eta_s": None, "asset": asset})
        finally:
            worker.end()
    text = kept.with_rows(rows)
    replace_file(out, lambda name: Path(name).write_bytes(text.encode()))
    return {"suggested": len(rows), "rejected": rejected, "out": str(out)}


@dataclass(frozen=True)
class _Csv:
    """A CSV that a person may have edited: its text, its columns, what separates them, and the shapes that it names."""

    text: str
    columns: list[str]
    separator: str
    shapes: list[str]

    @classmethod
    def read(cls, path: Path) -> "_Csv":
        """The file; where there is none, one without rows. Raises BadRequest."""
        try:
            text = path.read_bytes().decode()
        except FileNotFoundError:
            text = "prompt,shape,split\n"
        except UnicodeDecodeError as error:
            raise BadRequest(f"{path} is not UTF-8.", "It is left as it is.", "Save it as UTF-8, or name another file.") from error
        head = text.split("\n", 1)[0]
        separator = max(",;\t", key=head.count)
        try:
            first, *rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=separator)) or [[]]
        except csv.Error as error:
            raise BadRequest(f"{path} is not CSV: {error}.", "It is left as it is.", "Correct it, or name another file.") from error
        columns = [name.strip().lower() for name in first]
        if missing := [name for name in library_format.REQUIRED if name not in columns]:
            remedy = "Correct its first line, or name another file."
            raise BadRequest(f"{path} has no column {', '.join(missing)}.", "It is left as it is.", remedy)
        at = columns.index("shape")
        return cls(text, columns, separator, [row[at].strip() for row in rows if len(row) > at])

    def with_rows(self, rows: list[dict]) -> str:
        """The text as it is, and the rows after it."""
        end = "\r\n" if "\r\n" in self.text else "\n"
        more = io.StringIO(newline="")
        csv.DictWriter(more, self.columns, delimiter=self.separator, lineterminator=end).writerows(rows)
        return self.text + (end if rows and not self.text.endswith("\n") else "") + more.getvalue()


def caption(asset: str, facts: dict, arrays: dict[str, ndarray]) -> str:
    """Article, proportion, colours, name, materials: "a tall red and white lamp post"."""
    name = name_of(asset, facts["names"])
    words = [w for w in proportions(arrays["vertices"]) if w not in name.split()]
    text = " ".join(word for word in (*words, " and ".join(main_colors(facts, arrays)), name) if word)
    materials = [w for name in facts["names"]["materials"] for w in _words(name) if w in MATERIALS and w not in text]
    text += f" of {materials[0]}" if materials else ""
    return f"{'an' if text[0] in 'aeiou' else 'a'} {text}"


def name_of(asset: str, names: dict[str, list[str]]) -> str:
    """The file's words; where they say nothing, those of its objects or collections. "table_medium_A" is a medium table."""
    for source in (Path(asset).stem, *names["objects"][:3], *names["collections"][:2], Path(asset).parent.name):
        words = [w for w in _words(source) if not WORDLESS.match(w) and len(w) > 1]
        if words:
            told = [w for w in words if w not in COLORS] or words
            if things := [w for w in told if w not in QUALITIES]:
                told = [w for w in told if w in QUALITIES] + things
            return " ".join(told)
    return "thing"


def _words(name: str) -> list[str]:
    """ "LampPost_02a.001" is lamp, post."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return [w for w in re.split(r"[^a-z]+", re.sub(r"\d+[a-z]?\b", " ", apart.lower())) if w]


def proportions(vertices: ndarray) -> list[str]:
    """What stands out about a box: tall, flat, long."""
    depth, width, height = np.ptp(vertices, axis=0)
    ground = max(depth, width)
    if height > 2.2 * ground:
        return ["tall"]
    if height < 0.2 * ground and min(depth, width) > 0.35 * ground:
        return ["flat"]
    return ["long"] if ground > 2.5 * max(height, min(depth, width)) else []


def main_colors(facts: dict, arrays: dict[str, ndarray]) -> list[str]:
    """At most two names of colours, that of the largest share first."""
    rng = np.random.default_rng(0)
    area = areas_of(arrays["vertices"][arrays["triangles"]].astype(np.float64))
    rows = rng.choice(len(area), SAMPLES, p=area / area.sum())
    look, known = look_at(facts, arrays, rows, rng.dirichlet((1, 1, 1), SAMPLES))
    if known.mean() < 0.5:
        return []
    table = _opponent(np.array(list(COLORS.values())))
    nearest = np.linalg.norm(_opponent(look[known, :3])[:, None] - table[None], axis=-1).argmin(1)
    counts = Counter(np.array(list(COLORS))[nearest].tolist()).most_common(2)
    return [name for (name, count), share in zip(counts, SHARES, strict=False) if count / known.sum() > share]


def _opponent(srgb: ndarray) -> ndarray:
    """Oklab, in which near colours look alike. [N, 3] -> [N, 3]"""
    to_cone = np.array(((0.4122, 0.5363, 0.0514), (0.2119, 0.6807, 0.1074), (0.0883, 0.2817, 0.63)))
    to_lab = np.array(((0.2105, 0.7936, -0.0041), (1.978, -2.4286, 0.4506), (0.0259, 0.7828, -0.8087)))
    return np.cbrt(to_linear(srgb) @ to_cone.T) @ to_lab.T
