# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompt libraries on disk: a folder with `library.json`, `prompts.jsonl` (one prompt a line) and, for one's own assets, point clouds.

library.json    {"format": 1, "name": "starter", "frame": {...}, "prompts": 640, "splits": {"train": 500, "unseen": 140}}
prompts.jsonl   {"prompt": "a red mushroom", "split": "train", "seed": 7, "description": {"kind": "mushroom", "color": "red"}}
                {"prompt": "our old well", "split": "train", "seed": 0, "shape": "shapes/well.safetensors"}
shapes/*.safetensors   "points" [N, 3] f32 in the library's frame, optional "normals" [N, 3] f32 and "colors" [N, 3] f32 (sRGB, 0..1)
"""

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from core.errors import BadRequest, EngineError
from core.frame import SPAN
from core.library import SPLITS
from core.library.cloud import read_cloud
from core.limits import MAX_SEED

FORMAT = 1
FRAME = {"up": "+z", "front": "+x", "handedness": "right", "span": SPAN, "height_unit": "metre"}
_KEYS = {"prompt", "split", "seed", "description", "shape"}


@dataclass(frozen=True)
class Prompt:
    """One line of a library: what is asked for, and what shows how it should look (a description, a shape, or neither).

    description: what the source of the prompts makes of it: its own dataclass, or the JSON object that stands in a folder. shape: path of a
    point cloud relative to the library's folder, with forward slashes.
    """

    text: str
    split: str = "train"
    seed: int = 0
    description: object | None = None
    shape: str | None = None

    def to_json(self) -> str:
        """One line of `prompts.jsonl`, without the newline; what a description leaves open is left out."""
        row: dict[str, object] = {"prompt": self.text, "split": self.split, "seed": self.seed}
        if self.description:
            said = asdict(self.description) if is_dataclass(self.description) else self.description
            row["description"] = {k: v for k, v in said.items() if v not in (None, False)}
        if self.shape:
            row["shape"] = self.shape
        return json.dumps(row, ensure_ascii=False)

    @staticmethod
    def from_json(line: str, describe: Callable[[Mapping], object] = dict) -> "Prompt":
        """The inverse of `to_json`. describe: makes the source's description out of a JSON object, or raises ValueError. Raises ValueError
        with one sentence that says what is wrong."""
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
        said = row.get("description")
        if not isinstance(said, dict | None):
            raise ValueError("a description is an object")
        return Prompt(row["prompt"], split, seed, None if said is None else describe(said), shape)


def _inside(path: object) -> bool:
    """Whether a relative path stays in its folder, on every system."""
    if not isinstance(path, str) or not path or re.search(r"[\\:\0]", path):
        return False
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts


class PromptLibrary:
    """Prompts with their splits and seeds; iterating gives `Prompt`s in order, as often as wanted.

    Args:
        name: the library's own name.
        prompts: anything that gives `Prompt`s, can be iterated again and has a length.
        folder: where shapes are read from; None where no prompt has one.
    """

    def __init__(self, name: str, prompts: Sequence[Prompt], folder: Path | None = None):
        self.name = name
        self.folder = folder
        self._prompts = prompts

    def __iter__(self) -> Iterator[Prompt]:
        return iter(self._prompts)

    def __len__(self) -> int:
        return len(self._prompts)

    @classmethod
    def load(cls, folder: str | os.PathLike, describe: Callable[[Mapping], object] = dict) -> "PromptLibrary":
        """Read and check a library. describe: see `Prompt.from_json`. Raises BadRequest naming the file and the line that is wrong."""
        folder = Path(folder)
        head = _read_head(folder / "library.json")
        prompts = list(_read_lines(folder / "prompts.jsonl", describe))
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


def _read_lines(path: Path, describe: Callable[[Mapping], object]) -> Iterable[Prompt]:
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield Prompt.from_json(line.decode("utf-8"), describe)
                except ValueError as error:
                    raise BadRequest(f"{path}, line {number}: {error}.") from error
    except OSError as error:
        raise BadRequest(f"{path} cannot be read.", f"{error}.") from error
