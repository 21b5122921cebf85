# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m core evaluate MODEL`: measure finished textured meshes against the exact objects of their prompts, with the same style."""

import argparse
import contextlib
import json
import random
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import torch

from core.device import machine_name
from core.errors import BadRequest, EngineError
from core.evaluation.measure import ExactMaker, Maker, measure, strip
from core.evaluation.report import Report, write_report
from core.evaluation.space import STORED, Space, r_precision
from core.evaluation.standard import StandardMeasures
from core.evaluation.summary import summary
from core.files import replace_file
from core.language.encoder import TextEncoder
from core.library import SPLITS
from core.library.prompt import Prompt
from core.library.starter.grammar import sample_prompt
from core.library.starter.objects import Description
from core.library.starter.parser import parse
from core.library.starter.prompts import starter_library
from core.limits import DETAILS
from core.pipeline import Latte3DPipeline

MATCHED = "matched"
DRAWS = 100_000  # for one matched prompt, before it is left out


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m core evaluate", description=__doc__)
    parser.add_argument("model", type=Path, help='a model\'s folder, or "exact": the exact objects, the most that a model can score')
    parser.add_argument("--split", default="unseen", choices=(*SPLITS, MATCHED), help="see python -m core library --help (unseen); "
                        f"{MATCHED}: train prompts that name the same attributes of the same kinds as the unseen ones")  # fmt: skip
    parser.add_argument("--count", type=int, default=200, help="prompts drawn from the split")
    parser.add_argument("--prompts", type=Path, help="a file with one prompt a line, instead of a split")
    parser.add_argument("--detail", default="full", choices=tuple(DETAILS), help="how fine the meshes are (full)")
    parser.add_argument("--resolution", type=int, help="cells along an edge of the grid (the detail's)")
    parser.add_argument("--texture-size", type=int, help="pixels along an edge of the images (the detail's)")
    parser.add_argument("--seed", type=int, default=1, help="draws the prompts and their styles")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rows", type=Path, help="write every prompt's figures to this JSON-lines file, each as soon as it is measured")
    parser.add_argument("--report", type=Path, metavar="FOLDER", help="write a page with all tables and pictures: FOLDER/index.html")
    parser.add_argument("--glb", type=Path, help="write every mesh to this folder")
    parser.add_argument("--space", type=Path, default=STORED, help="the space of R-precision, made by evaluate-space")
    parser.add_argument("--clip", metavar="MODEL", help="also the CLIP score, by torchmetrics: a folder or hub id of a CLIP model")
    parser.add_argument("--fid", action="store_true", help="also the FID, by torchmetrics, against renders of the exact objects")
    parser.add_argument("--json", action="store_true", help="print the last line as JSON")
    a = parser.parse_args(argv)
    begun = time.monotonic()
    space, standard = load_space(a.space), StandardMeasures(a.clip, a.fid)
    make = ExactMaker() if str(a.model) == "exact" else Latte3DPipeline.from_pretrained(a.model, a.device)
    prompts = read_prompts(a.prompts) if a.prompts else draw_prompts(make, a.split, a.count, a.seed)
    rows, strips, embeddings = measure_all(make, prompts, space, standard, a)
    found = None
    if space:
        pool = [(prompt.text, prompt.description) for prompt in prompts]
        found = r_precision(space, TextEncoder(), pool, *(torch.stack(part) for part in zip(*embeddings, strict=True)))
    result = summary(rows, "prompts" if a.prompts else a.split, found) | standard.figures()
    if a.report:
        facts = {"model": make.model_id, "machine": machine_name(), "minutes": f"{(time.monotonic() - begun) / 60:.1f}",
                 "command": f"python -m core evaluate {shlex.join(argv)}"}  # fmt: skip
        write_report(a.report, Report(result, rows, strips, facts))
    print(json.dumps(result) if a.json else "\n".join(f"{k:32} {v}" for k, v in flat(result).items()))
    return 0


def draw_prompts(make: Maker, split: str, count: int, seed: int) -> list[Prompt]:
    """Prompts of a split about the model's kinds, in words that it has learnt; where the words or the kinds are what is held out, any."""
    if split == "kinds":
        return list(starter_library(count, split, seed))
    if split == MATCHED:
        return match(draw_prompts(make, "unseen", count, seed), seed)
    known = None if split == "paraphrases" else getattr(make, "known", None)
    drawn = starter_library(50 * count, split, seed, make.kinds)  # drawn one by one, as far as needed
    return list(islice((prompt for prompt in drawn if known is None or known.vocabulary.knows(prompt.text)), count))


def match(prompts: list[Prompt], seed: int) -> list[Prompt]:
    """For each prompt one of the train split that names the same attributes of the same kind: what is left between the figures of the two
    is the gap between seen and unseen, and not that one of them names more."""
    rng, matched = random.Random(seed), []
    for prompt in prompts:
        wanted = named(prompt.description)
        for _ in range(DRAWS):
            description, text = sample_prompt(rng, [prompt.description.kind])
            if named(description) == wanted:
                matched.append(Prompt(text, "train", rng.randrange(1, 2**31), description))
                break
    return matched


def named(description: Description) -> list[bool]:
    """Whether a description names each attribute, in the order of its fields."""
    return [value not in (None, False) for value in asdict(description).values()]


def flat(result: dict) -> dict:
    """Tables within a table as "outer.inner", for the eye."""
    nested = {f"{k}.{name}": own for k, v in result.items() if isinstance(v, dict) for name, own in v.items()}
    return {k: v for k, v in result.items() if not isinstance(v, dict)} | nested


def measure_all(make: Maker, prompts: list[Prompt], space: Space | None, standard: StandardMeasures, a: argparse.Namespace) -> tuple:
    """Every prompt's row, its pictures in one JPEG, and its embeddings in the space (generated, exact)."""
    rows, strips, embeddings = [], [], []
    with row_file(a.rows) as write:
        for number, prompt in enumerate(prompts, 1):
            measured = measure(make, prompt, number, a.detail, resolution=a.resolution, texture_size=a.texture_size)
            row = measured.row
            write(row)
            rows.append(row)
            strips.append(strip(measured) if a.report else b"")
            if space:
                embeddings.append((space.views(measured.made), space.views(measured.exact)))
            standard.add(prompt.text, measured.made, measured.exact)
            if a.glb and measured.mesh:
                glb = measured.mesh.to_glb()
                replace_file(a.glb / f"{number:04}.glb", lambda name, glb=glb: Path(name).write_bytes(glb))
            line = f"{number}/{len(prompts)} iou {row['iou']:.3f} colour {row['base_color_error']:.3f}  {prompt.text}"
            print(line, file=sys.stderr, flush=True)
    return rows, strips, embeddings


@contextlib.contextmanager
def row_file(path: Path | None) -> Iterator[Callable[[dict], None]]:
    """A function that writes one row, at once: what an interrupted run measured stays. The file is begun anew."""
    if path is None:
        yield lambda row: None
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(path, "w", encoding="utf-8") as file:
            yield lambda row: print(json.dumps(row), file=file, flush=True)
    except OSError as error:  # the error of a full disk does not name the file
        if error.filename or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def load_space(path: Path) -> Space | None:
    """The space of R-precision; None, and a word about it, where the stored one was never trained."""
    if path == STORED and not path.exists():
        print("R-precision is left out: train its space with python -m core evaluate-space", file=sys.stderr)
        return None
    return Space.load(path)


def read_prompts(path: Path) -> list[Prompt]:
    """One prompt a line; seeds count from 1. Raises BadRequest with the line that the grammar does not know."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"The prompts of {path} cannot be read.", str(error), "Give a text file with one prompt a line.") from error
    if not lines:
        raise BadRequest(f"{path} holds no prompt.", "", "Give a text file with one prompt a line.")
    prompts = []
    for number, line in enumerate(lines, 1):
        try:
            prompts.append(Prompt(line, "unseen", number, parse(line)))
        except EngineError as error:
            raise BadRequest(f"Line {number} of {path.name} has no exact object: {line[:80]!r}.", str(error), "") from error
    return prompts
