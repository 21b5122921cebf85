# SPDX-License-Identifier: GPL-3.0-or-later
"""Finished textured meshes measured against the exact objects of the starter library's prompts, with the same style."""

import argparse
import random
import shlex
import sys
import time
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import torch

from core.device import machine_name
from core.errors import BadRequest, EngineError
from core.evaluation.measure import ExactMaker, Maker, measure, strip
from core.evaluation.report import Report, write_report
from core.evaluation.rows import row_file
from core.evaluation.space import STORED, Space, r_precision
from core.evaluation.standard import StandardMeasures
from core.evaluation.summary import summary
from core.files import replace_file
from core.language.encoder import TextEncoder
from core.library.prompt import Prompt
from core.library.starter.grammar import sample_prompt
from core.library.starter.objects import Description
from core.library.starter.parser import parse
from core.library.starter.prompts import starter_library
from core.pipeline import Latte3DPipeline

MATCHED = "matched"
DRAWS = 100_000  # for one matched prompt, before it is left out


def evaluate(a: argparse.Namespace, argv: list[str]) -> dict:
    """All figures. `a`: the command's options; `argv`: as they were written."""
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
    return result


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
