# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m core evaluate MODEL`: measure finished textured meshes against the exact objects of their prompts, with the same style."""

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

from core.errors import BadRequest, EngineError
from core.evaluation import metrics
from core.files import replace_file
from core.library.objects import ExactObjects
from core.library.parser import parse
from core.library.prompts import Prompt, PromptLibrary
from core.library.splits import SPLITS
from core.mesh import TexturedMesh
from core.pipeline import Latte3DPipeline
from core.style import style_of


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m core evaluate", description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--split", default="unseen", choices=SPLITS, help="see python -m core library --help (unseen)")
    parser.add_argument("--count", type=int, default=200, help="prompts drawn from the split")
    parser.add_argument("--prompts", type=Path, help="a file with one prompt a line, instead of a split")
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--texture-size", type=int, default=1024)
    parser.add_argument("--seed", type=int, default=1, help="draws the prompts and their styles")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rows", type=Path, help="write every prompt's figures to this JSON-lines file")
    parser.add_argument("--glb", type=Path, help="write every mesh to this folder")
    parser.add_argument("--json", action="store_true", help="print the last line as JSON")
    a = parser.parse_args(argv)
    pipeline = Latte3DPipeline.from_pretrained(a.model, a.device)
    kinds = None if a.split == "kinds" else pipeline.kinds  # the held-out kinds are none of the model's
    prompts = read_prompts(a.prompts) if a.prompts else PromptLibrary.starter(a.count, a.split, a.seed, kinds)
    rows = []
    for number, prompt in enumerate(prompts, 1):
        row, mesh = measured(pipeline, prompt, number, a.resolution, a.texture_size)
        rows.append(row)
        print(f"{number}/{len(prompts)} iou {row['iou']:.3f} colour {row['base_color_error']:.3f}  {prompt.text}", file=sys.stderr)
        if a.glb and mesh:
            replace_file(a.glb / f"{number:04}.glb", lambda name, mesh=mesh: Path(name).write_bytes(mesh.to_glb()))
    if a.rows:
        replace_file(a.rows, lambda name: Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows)))
    result = summary(rows, "prompts" if a.prompts else a.split)
    print(json.dumps(result) if a.json else "\n".join(f"{k:24} {v}" for k, v in result.items()))
    return 0


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


def measured(
    pipeline: Latte3DPipeline, prompt: Prompt, number: int, resolution: int, texture_size: int
) -> tuple[dict, TexturedMesh | None]:
    """All figures of one prompt, and its mesh; an object that came out empty counts with the worst ones."""
    z = style_of([prompt.seed])
    exact, rng = ExactObjects([prompt.description], z), torch.Generator().manual_seed(number)
    row = {"prompt": prompt.text, "seed": prompt.seed, "kind": prompt.description.kind}
    try:
        (mesh,) = pipeline([prompt.text], seeds=prompt.seed, resolution=resolution, texture_size=texture_size)
    except EngineError as error:
        if error.code != "internal":  # too little memory says nothing about the model
            raise
        print(f"{prompt.text}: {error}", file=sys.stderr)
        return row | {"iou": 0.0, "f_score_2": 0.0, "base_color_error": 1.0, "kind_found": "", "sound": False}, None
    row |= {"triangles": len(mesh.triangles), "generation_ms": sum(mesh.timings_ms.values())}
    row |= {"iou": metrics.volume_iou(mesh, exact, rng), "kind_found": metrics.kind_found(mesh, prompt.description, z, rng)}
    row |= metrics.surface_measures(mesh, exact, rng) | metrics.health(mesh, exact, resolution)
    row["height_error"] = abs(mesh.height_m / float(exact.height_m[0]) - 1)
    return row, mesh


def summary(rows: list[dict], split: str) -> dict:
    """Means over prompts, 95 % bootstrap intervals of the two main ones, and the worst kind."""
    by_kind = defaultdict(list)
    for row in rows:
        by_kind[row["kind"]].append(row)
    kinds = {k: round(float(np.mean([r["iou"] for r in own])), 4) for k, own in sorted(by_kind.items())}
    worst = min(kinds, key=kinds.get)

    def mean(name: str) -> float:
        return round(float(np.mean([r[name] for r in rows if name in r])), 4)

    return {
        "split": split, "prompts": len(rows), "kinds": len(kinds),
        "iou": mean("iou"), "iou_95": interval([r["iou"] for r in rows]),
        "f_score_2": mean("f_score_2"), "worst_kind": worst, "worst_kind_iou": kinds[worst],
        "base_color_error": mean("base_color_error"), "base_color_error_95": interval([r["base_color_error"] for r in rows]),
        "kind_accuracy": round(float(np.mean([r["kind_found"] == r["kind"] for r in rows])), 4),
        "roughness_error": mean("roughness_error"), "metallic_error": mean("metallic_error"), "chamfer": mean("chamfer"),
        "height_error": mean("height_error"),
        "sound": mean("sound"), "pieces_as_exact": round(float(np.mean([r.get("pieces") == r.get("pieces_exact") for r in rows])), 4),
        "uv_overlaps": sum(r.get("uv_overlaps", 0) for r in rows), "uv_in_range": mean("uv_in_range"),
        "generation_ms": round(float(np.median([r["generation_ms"] for r in rows if "generation_ms" in r])), 1),
        "iou_by_kind": kinds,
    }  # fmt: skip


def interval(values: list[float], draws: int = 2000) -> list[float]:
    """95 % bootstrap interval of the mean."""
    values, rng = np.asarray(values), np.random.default_rng(0)
    means = values[rng.integers(len(values), size=(draws, len(values)))].mean(1)
    return [round(float(q), 4) for q in np.quantile(means, (0.025, 0.975))]
