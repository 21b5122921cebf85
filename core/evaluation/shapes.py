# SPDX-License-Identifier: GPL-3.0-or-later
"""Finished textured meshes measured against the prepared shapes of a folder library.

Every prompt's typical object (seed 0) is held against its shape, and against all others of the library: a shape is right when it has the
highest IoU × (1 − colour error) among all prepared ones. Where a prompt stands for several shapes, the best of them counts.
"""

import argparse
import random
import shlex
import sys
import time
from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from core.device import machine_name
from core.errors import BadRequest, EmptySurface
from core.evaluation import shapes_report, sheet
from core.evaluation.captions import text_figures
from core.evaluation.gallery import Finished, Gallery, ious, look_errors, score
from core.evaluation.measure import Maker
from core.evaluation.prepared import PreparedMaker
from core.evaluation.rows import Progress, row_file
from core.evaluation.summary import interval
from core.files import replace_file
from core.language.encoder import TextEncoder
from core.library.folder import PreparedFolder, Prompt
from core.mesh import TexturedMesh
from core.pipeline import Latte3DPipeline

SEED_PROMPTS = 20  # on which the objects of different seeds are compared
SEED_POINTS = 32_768
WORST = 10  # prompts that the result names
MEANS = ("iou", "base_color_error", "roughness_error", "metallic_error", "height_error", "shape_top1", "shape_top5", "seed_iou")
EMPTY = {"iou": 0.0, "base_color_error": 1.0, "roughness_error": 1.0, "metallic_error": 1.0, "score": 0.0}


@dataclass(frozen=True)
class Request:
    """One text of a split, and the shapes that it stands for, wherever in the library it stands."""

    text: str
    shapes: tuple[str, ...]


def evaluate(a: argparse.Namespace, argv: list[str]) -> dict:
    """All figures. `a`: the command's options; `argv`: as they were written. Raises BadRequest for what cannot be measured."""
    begun = time.monotonic()
    check_options(a)
    prepared = PreparedFolder.open(Path(a.library))
    if prepared.missing:
        print(f"Not prepared, and left out: {', '.join(prepared.missing[:8])}{' …' if len(prepared.missing) > 8 else ''}", file=sys.stderr)
    requests = requests_of(prepared, a.split)
    meant = {request.text: set(request.shapes) for request in requests}
    if str(a.model) == "exact":
        make = PreparedMaker(prepared, {request.text: request.shapes[0] for request in requests}.__getitem__)
    else:
        make = Latte3DPipeline.from_pretrained(a.model, a.device)
    chosen = spread(requests, a.count, a.seed)
    rows, pictures = measure_all(make, prepared, chosen, a)
    encoder = getattr(make, "text", None) or TextEncoder()
    train = [p for p in prepared.prompts("train") if p.shape]
    result = {"library": prepared.library.name, **summary(rows, a.split, len(prepared.shapes))}
    result |= text_figures(encoder, {request.text: meant[request.text] for request in chosen}, train)
    worst = sorted(rows, key=lambda row: row["iou"])[:WORST]
    result["worst"] = [{"prompt": r["prompt"], "iou": round(r["iou"], 4), "shape": r["shape"], "found": r["found"]} for r in worst]
    result["minutes"] = round((time.monotonic() - begun) / 60, 1)
    if a.sheet:
        result["sheets"] = [str(path) for path in sheet.write(a.sheet, sheet.one_a_shape(rows, pictures))]
    if a.report:
        facts = {"model": make.model_id, "machine": machine_name(), "command": f"python -m core evaluate {shlex.join(argv)}"}
        shapes_report.write(a.report, result, rows, pictures, facts)
    return result


def check_options(a: argparse.Namespace) -> None:
    """Raises BadRequest for options that cannot be."""
    if a.seeds < 0 or a.seeds == 1:
        raise BadRequest(f"{a.seeds} seeds cannot be compared.", "", "Give --seeds 2 or more, or leave it out.")
    if a.count is not None and a.count < 1:
        raise BadRequest(f"{a.count} prompts cannot be measured.", "", "Give --count 1 or more, or leave it out.")
    if a.sheet and a.sheet.suffix.lower() != ".png":
        raise BadRequest(f"The sheet {a.sheet} is no PNG.", "", f"Name it {a.sheet.with_suffix('.png')}.")


def requests_of(prepared: PreparedFolder, split: str) -> list[Request]:
    """Each text of a split once, in the order of the file. Raises BadRequest where there is none that can be measured."""
    said = [p for name in ("train", "paraphrases", "unseen") for p in prepared.prompts(name) if p.shape]
    shapes: dict[str, dict[str, None]] = {}
    for prompt in said:
        shapes.setdefault(_folded(prompt), {})[prompt.shape] = None
    own = {_folded(prompt): prompt.text for prompt in reversed(said) if prompt.split == split}
    if not own:
        cause = "Only prompts of prepared shapes can be measured."
        counts = ", ".join(f"{name} has {n}" for name, n in Counter(prompt.split for prompt in said).items())
        raise BadRequest(f"{prepared.library.folder} has no prompt in {split}.", cause, f"Choose another split: {counts}.")
    return [Request(text, tuple(shapes[key])) for key, text in reversed(own.items())]


def _folded(prompt: Prompt) -> str:
    return prompt.text.lower()


def spread(requests: list[Request], count: int | None, seed: int) -> list[Request]:
    """`count` of them, of as many shapes as there can be, in their order."""
    if count is None or count >= len(requests):
        return requests
    order, seen, turn = random.Random(seed).sample(range(len(requests)), len(requests)), Counter(), {}
    for i in order:
        turn[i] = seen[requests[i].shapes]
        seen[requests[i].shapes] += 1
    return [requests[i] for i in sorted(sorted(order, key=turn.get)[:count])]


def measure_all(make: Maker, prepared: PreparedFolder, requests: list[Request], a: argparse.Namespace) -> tuple[list[dict], list]:
    """Every prompt's row, and its pictures where a sheet or a report needs them."""
    gallery, sizes = Gallery(prepared), {"detail": a.detail, "resolution": a.resolution, "texture_size": a.texture_size}
    compared = set(np.linspace(0, len(requests) - 1, min(SEED_PROMPTS, len(requests))).astype(int)) if a.seeds else set()
    rows, pictures, tell = [], [], Progress(len(requests), a.json)
    with row_file(a.rows) as write:
        for i, request in enumerate(requests):
            mesh = made(make, request.text, 0, sizes)
            row = {"prompt": request.text, **measure(mesh, request, gallery, prepared)}
            if i in compared:
                row |= seed_figures(make, request.text, a.seeds, sizes)
            write(row)
            rows.append(row)
            pictures.append(sheet.draw(mesh, prepared.picture(row["shape"]), both_sides=bool(a.report)) if a.sheet or a.report else None)
            if a.glb and mesh:
                glb = mesh.to_glb()
                replace_file(a.glb / f"{i + 1:04}.glb", lambda name, glb=glb: Path(name).write_bytes(glb))
            tell(f"iou {row['iou']:.3f} {'right' if row['shape_top1'] else 'wrong'}  {request.text}")
    return rows, pictures


def made(make: Maker, text: str, seed: int, sizes: dict) -> TexturedMesh | None:
    """None where the object came out empty; any other error is not the model's fault."""
    try:
        (mesh,) = make([text], seeds=seed, **sizes)
    except EmptySurface as error:
        print(f"{text}: {error}", file=sys.stderr)
        return None
    return mesh


def measure(mesh: TexturedMesh | None, request: Request, gallery: Gallery, prepared: PreparedFolder) -> dict:
    """The figures of one prompt. Those of the look are left out where it is not known, that of the height where heights mean nothing."""
    if mesh is None:
        return {"shape": request.shapes[0], **EMPTY, "shape_top1": False, "shape_top5": False, "found": "", "right": len(request.shapes)}
    finished, targets = Finished(mesh), [gallery.target(name) for name in request.shapes]
    found = zip(ious(finished, targets), look_errors(finished, targets), request.shapes, strict=True)
    own, iou, error, name = max(((score(iou, error), iou, error, name) for iou, error, name in found), key=lambda one: one[0])
    rivals = gallery.rivals(finished, set(request.shapes), own)
    row = {"shape": name, "iou": iou, "score": own, "right": len(request.shapes)}
    if not np.isnan(error[0]):
        look = {"base_color_error": error[:3].mean(), "roughness_error": error[3], "metallic_error": error[4]}
        row |= {key: float(value) for key, value in look.items()}
    if height_m := prepared.height_m(name):
        row["height_error"] = abs(mesh.height_m / height_m - 1)
    row |= {"shape_top1": not rivals, "shape_top5": len(rivals) < 5, "found": rivals[0][1] if rivals else name}
    return row | {"triangles": len(mesh.triangles), "generation_ms": sum(mesh.timings_ms.values())}


def seed_figures(make: Maker, text: str, count: int, sizes: dict) -> dict:
    """seed_iou: mean IoU of each two objects of the seeds 1 … count; nothing where fewer than two came out."""
    meshes = [mesh for seed in range(1, count + 1) if (mesh := made(make, text, seed, sizes))]
    if len(meshes) < 2:
        return {}
    finished = [Finished(mesh) for mesh in meshes]
    low, high = np.min([f.low for f in finished], 0), np.max([f.high for f in finished], 0)
    points = np.random.default_rng(0).uniform(low, high, (SEED_POINTS, 3))
    within = [f.inside(points) for f in finished]
    return {"seed_iou": float(np.mean([(a & b).sum() / max((a | b).sum(), 1) for a, b in combinations(within, 2)]))}


def summary(rows: list[dict], split: str, shapes: int) -> dict:
    """Means over prompts with their 95 % intervals; of each figure over the prompts that have it."""
    out: dict = {"split": split, "prompts": len(rows), "shapes": shapes, "base_color_error": None}  # None: no look is known
    for name in MEANS:
        if values := [float(row[name]) for row in rows if name in row]:
            out |= {name: round(float(np.mean(values)), 4), f"{name}_95": interval(values)}
    times = [row["generation_ms"] for row in rows if "generation_ms" in row]
    out["chance_top1"] = round(float(np.mean([row["right"] for row in rows])) / shapes, 4)
    return out | {"empty": len(rows) - len(times), "generation_ms": round(float(np.median(times)), 1) if times else None}
