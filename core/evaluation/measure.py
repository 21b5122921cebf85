# SPDX-License-Identifier: GPL-3.0-or-later
"""One prompt: make its mesh, and measure it against its exact object of the same style."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from core.errors import EmptySurface
from core.evaluation import metrics, probes, renders
from core.frame import style_of
from core.library.prompt import Prompt
from core.library.starter.objects import ExactObjects
from core.library.starter.parser import parse
from core.limits import Detail, choose_detail
from core.mesh import TexturedMesh, encode_image
from core.surface.textured import textured_mesh

Maker = Callable[..., list[TexturedMesh]]  # a Latte3DPipeline, or ExactMaker


@dataclass(frozen=True)
class Measured:
    """row: all figures of one prompt. mesh: None where the object came out empty. made, exact: their pictures [views, S, S, 3] u8."""

    row: dict
    mesh: TexturedMesh | None
    made: np.ndarray
    exact: np.ndarray


def measure(make: Maker, prompt: Prompt, number: int, detail: str = "full", **sizes: int | None) -> Measured:
    """`sizes` as `core.limits.choose_detail` takes them. An object that came out empty counts with the worst ones."""
    z, rng = style_of([prompt.seed]), torch.Generator().manual_seed(number)
    exact = ExactObjects([prompt.description], z)
    row, shown = {"prompt": prompt.text, "seed": prompt.seed, "kind": prompt.description.kind}, renders.exact_views(exact)
    try:
        (mesh,) = make([prompt.text], seeds=prompt.seed, detail=detail, **sizes)
    except EmptySurface as error:  # any other error is not the model's fault
        print(f"{prompt.text}: {error}", file=sys.stderr)
        mesh, made = None, renders.empty_views()
        row |= {"iou": 0.0, "f_score_1": 0.0, "f_score_2": 0.0, "normal_consistency": 0.0, "base_color_error": 1.0, "kind_found": ""}
        row |= {"chamfer": 0.5, "roughness_error": 1.0, "metallic_error": 1.0, "height_error": 1.0}
        row |= {"sound": False, "probes": probes.of_no_mesh(prompt.description)}
    else:
        made = renders.mesh_views(mesh)
        row |= figures(mesh, prompt, exact, rng, choose_detail(detail, **sizes))
    return Measured(row | renders.likeness(made, shown), mesh, made, shown)


def figures(mesh: TexturedMesh, prompt: Prompt, exact: ExactObjects, rng: torch.Generator, sizes: Detail) -> dict:
    """What is measured on the mesh itself."""
    row: dict = {"triangles": len(mesh.triangles), "generation_ms": sum(mesh.timings_ms.values())}
    row |= {"iou": metrics.volume_iou(mesh, exact, rng), "kind_found": metrics.kind_found(mesh, prompt.description, exact.z, rng)}
    samples = metrics.sample_surface(mesh, exact, rng)
    row |= metrics.surface_measures(mesh, exact, samples, rng) | metrics.health(mesh, exact, sizes)
    row["height_error"] = abs(mesh.height_m / float(exact.height_m[0]) - 1)
    row["probes"] = probes.probe(mesh, prompt.description, exact.z, samples, rng)
    return row


def strip(measured: Measured) -> bytes:
    """All views in one JPEG: generated above, exact below."""
    return encode_image(np.concatenate([np.concatenate(list(views), 1) for views in (measured.made, measured.exact)]))


class ExactMaker:
    """Makes the exact objects themselves, walked through the surface stages: the most that any generator can score."""

    model_id = "exact"
    kinds = None  # all

    def __call__(self, prompts: list[str], *, seeds: int, detail: str = "full", **given: int | None) -> list[TexturedMesh]:
        meshes, sizes = [], choose_detail(detail, **given)
        for prompt in prompts:
            exact = ExactObjects([parse(prompt)], style_of([seeds]))
            distance, look = lambda p, exact=exact: exact.sdf(p[None])[0], lambda p, exact=exact: exact.appearance(p[None])[0]
            facts = {"prompt": prompt, "seed": seeds, "model": self.model_id, "detail": detail}
            meshes.append(textured_mesh(distance, look, sizes, height_m=float(exact.height_m[0]), **facts))
        return meshes
