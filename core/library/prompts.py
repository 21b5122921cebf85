# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompt libraries on disk: a folder with `library.json`, `prompts.jsonl` (one prompt a line) and, for one's own assets, point clouds.

library.json    {"format": 1, "name": "starter", "frame": {...}, "prompts": 640, "splits": {"train": 500, "unseen": 140}}
prompts.jsonl   {"prompt": "a red mushroom", "split": "train", "seed": 7, "description": {"kind": "mushroom", "color": "red"}}
                {"prompt": "our old well", "split": "train", "seed": 0, "shape": "shapes/well.safetensors"}
shapes/*.safetensors   "points" [N, 3] f32 in the library's frame, optional "normals" [N, 3] f32 and "colors" [N, 3] f32 (sRGB, 0..1)
"""

import hashlib
import json
import os
import random
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path, PurePosixPath

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from core.errors import BadRequest, EngineError
from core.files import replace_file
from core.frame import HALF_EXTENT, SPAN
from core.library.starter.grammar import check, sample_prompt
from core.library.starter.kinds import KINDS
from core.library.starter.objects import Description
from core.library.starter.splits import SPLITS, split_of
from core.limits import MAX_SEED

FORMAT = 1
FRAME = {"up": "+z", "front": "+x", "handedness": "right", "span": SPAN, "height_unit": "metre"}
_FIELDS = tuple(f.name for f in fields(Description))
_KEYS = {"prompt", "split", "seed", "description", "shape"}
_TRIES = 2000  # known prompts in a row before giving up


@dataclass(frozen=True)
class Prompt:
    """One line of a library: what is asked for, and what shows how it should look (a description, a shape, or neither).

    shape: path of a point cloud relative to the library's folder, with forward slashes.
    """

    text: str
    split: str = "train"
    seed: int = 0
    description: Description | None = None
    shape: str | None = None

    def to_json(self) -> str:
        """One line of `prompts.jsonl`, without the newline; what a description leaves open is left out."""
        row: dict[str, object] = {"prompt": self.text, "split": self.split, "seed": self.seed}
        if self.description:
            row["description"] = {k: v for k, v in asdict(self.description).items() if v not in (None, False)}
        if self.shape:
            row["shape"] = self.shape
        return json.dumps(row, ensure_ascii=False)

    @staticmethod
    def from_json(line: str) -> "Prompt":
        """The inverse of `to_json`. Raises ValueError with one sentence that says what is wrong."""
        row = json.loads(line)
        if not isinstance(row, dict) or not isinstance(row.get("prompt"), str) or not row["prompt"].strip():
            raise ValueError('each line is an object with a "prompt" that is not empty')
        if strange := sorted(set(row) - _KEYS):
            raise ValueError(f"unknown key {strange[0]!r}; known are {', '.join(sorted(_KEYS))}")
        split, seed, shape = row.get("split", "train"), row.get("seed", 0), row.get("shape")
        if split not in SPLITS:
            raise ValueError(f"split is {split!r}, not one of {', '.join(SPLITS)}")
        if type(seed) is not int or not 0 <= seed <= MAX_SEED:
            raise ValueError(f"seed is {seed!r}, not a whole number from 0 to {MAX_SEED}")
        if shape is not None and not _inside(shape):
            raise ValueError(f"shape is {shape!r}, not a path inside the library")
        return Prompt(row["prompt"], split, seed, _description(row.get("description")), shape)


def _inside(path: object) -> bool:
    """Whether a relative path stays in its folder, on every system."""
    if not isinstance(path, str) or not path or re.search(r'[\\:\0]', path):
        return False
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts


def _description(row: object) -> Description | None:
    if row is None:
        return None
    if not isinstance(row, dict) or "kind" not in row:
        raise ValueError('a description is an object with a "kind"')
    if strange := sorted(set(row) - set(_FIELDS)):
        raise ValueError(f"unknown key {strange[0]!r} in the description; known are {', '.join(_FIELDS)}")
    if type(row.get("second", False)) is not bool:
        raise ValueError('"second" is true or false')
    if wrong := [k for k, v in row.items() if k != "second" and not isinstance(v, str | None)]:
        raise ValueError(f"{wrong[0]!r} of the description is not text")
    description = Description(**row)
    check(description)
    return description


class StarterPrompts:
    """Distinct prompts of the starter grammar, made anew at each iteration: the same ones for the same arguments.

    split: one of SPLITS, or None for prompts of all of them, each with its own.
    """

    def __init__(self, count: int, split: str | None = "train", seed: int = 0, kinds: Sequence[str] | None = None):
        if count < 1:
            raise BadRequest(f"{count} prompts cannot be made.", "", "Ask for at least one.")
        if split is not None and split not in SPLITS:
            raise BadRequest(f"There is no split {split!r}.", "", f"The splits are {', '.join(SPLITS)}.")
        if strange := [k for k in kinds or () if k not in KINDS]:
            raise BadRequest(f"The starter library has no kind {strange[0]!r}.", "", f"It has {', '.join(sorted(KINDS))}.")
        self.count, self.split, self.seed, self.kinds = count, split, seed, list(kinds) if kinds else None

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Prompt]:
        rng, seen, failures = random.Random(self.seed), set(), 0
        while len(seen) < self.count:
            description, text = sample_prompt(rng, self.kinds, self.split)
            letters = re.sub(r"[^a-z0-9 -]", "", text.lower())  # capitals and full stops do not make another prompt
            key = hashlib.blake2b(letters.encode(), digest_size=8).digest()  # a hundred thousand of these take a few megabytes
            if key in seen:
                failures += 1
                if failures > _TRIES:
                    raise BadRequest(f"The grammar has no {self.count} such prompts, only about {len(seen)}.", "", "Ask for fewer.")
                continue
            seen.add(key)
            failures = 0
            yield Prompt(text, split_of(description, text), rng.randrange(1, 2**31), description)


class PromptLibrary:
    """Prompts with their splits and seeds; iterating gives `Prompt`s in order, as often as wanted.

    Args:
        name: the library's own name.
        prompts: the prompts; anything that can be iterated again and has a length.
        folder: where shapes are read from; None where no prompt has one.
    """

    def __init__(self, name: str, prompts: Sequence[Prompt] | StarterPrompts, folder: Path | None = None):
        self.name = name
        self.folder = folder
        self._prompts = prompts

    def __iter__(self) -> Iterator[Prompt]:
        return iter(self._prompts)

    def __len__(self) -> int:
        return len(self._prompts)

    @classmethod
    def starter(cls, count: int, split: str | None = "train", seed: int = 0, kinds: Sequence[str] | None = None) -> "PromptLibrary":
        """`count` distinct prompts of the starter grammar, made as they are read. split None: both. Raises BadRequest."""
        return cls("starter", StarterPrompts(count, split, seed, kinds))

    @classmethod
    def load(cls, folder: str | os.PathLike) -> "PromptLibrary":
        """Read and check a library. Raises BadRequest naming the file and the line that is wrong."""
        folder = Path(folder)
        head = _read_head(folder / "library.json")
        prompts = list(_read_lines(folder / "prompts.jsonl"))
        if head["prompts"] != len(prompts):
            raise BadRequest(f"{folder / 'prompts.jsonl'} has {len(prompts)} prompts, but library.json says {head['prompts']}.")
        for number, prompt in enumerate(prompts, 1):
            if prompt.shape and not (folder / prompt.shape).is_file():
                raise BadRequest(f"{folder / 'prompts.jsonl'}, line {number}: the shape {prompt.shape} does not exist.")
        return cls(head["name"], prompts, folder)

    def save(self, folder: str | os.PathLike) -> dict:
        """Write the library: beside the folder first, then renamed, so that the folder is never half-written. Returns its `library.json`.

        Raises BadRequest where the folder holds something else, EngineError where it cannot be written.
        """
        folder = Path(os.path.abspath(folder))
        if folder.exists() and not (folder / "library.json").is_file() and (not folder.is_dir() or any(folder.iterdir())):
            raise BadRequest(f"{folder} exists and is no prompt library.", "", "Name a folder that does not exist yet.")
        partial, old = (folder.with_name(f".{folder.name}.{suffix}-{os.getpid()}") for suffix in ("new", "old"))
        try:
            partial.mkdir(parents=True)
            head = self._write(partial)
            if folder.exists():
                os.rename(folder, old)
            os.rename(partial, folder)
        except OSError as error:
            if old.exists() and not folder.exists():
                os.rename(old, folder)
            message = f"The library cannot be written to {folder}."
            raise EngineError("internal", message, f"{error}.", "Make room, or name another folder.") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)
        return head

    def _write(self, folder: Path) -> dict:
        splits, shapes = Counter(), set()
        with open(folder / "prompts.jsonl", "w", encoding="utf-8", newline="\n") as file:
            for prompt in self:
                file.write(prompt.to_json() + "\n")
                splits[prompt.split] += 1
                if prompt.shape:
                    shapes.add(prompt.shape)
        for shape in sorted(shapes):
            if self.folder is None:
                raise BadRequest(f"The prompt's shape {shape} has no folder to be read from.")
            (folder / shape).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.folder / shape, folder / shape)
        head = {"format": FORMAT, "name": self.name, "frame": FRAME, "prompts": splits.total()}
        head["splits"] = {name: splits[name] for name in SPLITS if splits[name]}
        (folder / "library.json").write_text(json.dumps(head, indent=2) + "\n", encoding="utf-8")
        return head

    def cloud(self, prompt: Prompt) -> dict[str, np.ndarray] | None:
        """The point cloud of a prompt's shape, or None where it has none."""
        if prompt.shape is None:
            return None
        if self.folder is None:
            raise BadRequest(f"The prompt's shape {prompt.shape} has no folder to be read from.")
        return read_cloud(self.folder / prompt.shape)


def _read_head(path: Path) -> dict:
    try:
        head = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadRequest(f"{path} does not exist.", "", "Name a folder that holds a prompt library.") from None
    except (OSError, ValueError) as error:
        raise BadRequest(f"{path} cannot be read.", f"{error}.") from error
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise BadRequest(f"{path} is not of format {FORMAT}.", "", "A newer version of LATTE3D may have written it.")
    if head.get("frame") != FRAME:
        raise BadRequest(f"{path}: the frame {head.get('frame')} is not {FRAME}.")
    if not isinstance(head.get("name"), str) or type(head.get("prompts")) is not int:
        raise BadRequest(f'{path} lacks "name" or "prompts".')
    return head


def _read_lines(path: Path) -> Iterable[Prompt]:
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield Prompt.from_json(line.decode("utf-8"))
                except ValueError as error:
                    raise BadRequest(f"{path}, line {number}: {error}.") from error
    except OSError as error:
        raise BadRequest(f"{path} cannot be read.", f"{error}.") from error


def write_cloud(path: str | os.PathLike, points: np.ndarray, **more: np.ndarray) -> None:
    """Store a point cloud [N, 3] with optional normals and colors, atomically. Raises ValueError where shapes are wrong."""
    arrays = {"points": points, **more}
    arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}
    if wrong := _what_is_wrong(arrays):
        raise ValueError(wrong)
    replace_file(Path(path), lambda name: save_file(arrays, name))


def read_cloud(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of a point cloud. Raises BadRequest naming the file and what is wrong with it."""
    try:
        arrays = load_file(path)
    except (OSError, SafetensorError) as error:
        raise BadRequest(f"{path} cannot be read.", f"{error}.") from error
    if wrong := _what_is_wrong(arrays):
        raise BadRequest(f"{path}: {wrong}.")
    return arrays


def _what_is_wrong(arrays: dict[str, np.ndarray]) -> str:
    if strange := sorted(set(arrays) - {"points", "normals", "colors"}):
        return f"unknown array {strange[0]!r}"
    if "points" not in arrays or not len(arrays["points"]):
        return "there are no points"
    for name, array in arrays.items():
        if array.dtype != np.float32 or array.shape != (len(arrays["points"]), 3) or not np.isfinite(array).all():
            return f"{name} is {array.dtype} {list(array.shape)}, not {len(arrays['points'])} rows of three finite float32 numbers"
    return "" if np.abs(arrays["points"]).max() <= HALF_EXTENT else "points lie outside the frame (±0.48)"
