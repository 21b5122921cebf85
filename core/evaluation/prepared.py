# SPDX-License-Identifier: GPL-3.0-or-later
"""The prepared shapes themselves, walked through the surface stages: the most that a model of their library can score."""

from collections.abc import Callable

import numpy as np
import torch
from scipy.spatial import cKDTree

from core.library.folder import PreparedFolder, Shape
from core.library.portrait import UNKNOWN
from core.limits import choose_detail
from core.mesh import TexturedMesh
from core.surface.textured import textured_mesh


class PreparedMaker:
    """Makes of each prompt the shape that it stands for, from the grid of 65³ distances that was prepared: parts thinner than its cells
    come out with holes. `shape_of`: the name of a prompt's shape."""

    model_id = "exact"

    def __init__(self, prepared: PreparedFolder, shape_of: Callable[[str], str]):
        self.prepared, self.shape_of = prepared, shape_of

    def __call__(self, prompts: list[str], *, seeds: int = 0, detail: str = "standard", **given: int | None) -> list[TexturedMesh]:
        meshes, sizes = [], choose_detail(detail, **given)
        for prompt in prompts:
            name = self.shape_of(prompt)
            shape, facts = self.prepared.shape(name), {"prompt": prompt, "seed": seeds, "model": self.model_id, "detail": detail}
            height_m = self.prepared.height_m(name) or 1.0
            meshes.append(textured_mesh(*fields_of(shape), sizes, height_m=height_m, keep_volume=0.0, **facts))
        return meshes


def fields_of(shape: Shape) -> tuple[Callable, Callable]:
    """Distance [N, 3] -> [N] and look [N, 3] -> [N, 5] of a prepared shape, on tensors."""
    known = len(shape.surface) > 0
    tree = cKDTree(shape.surface if known else np.zeros((1, 3)))
    looks = shape.look.astype(np.float32) / 255 if known else np.array([[*UNKNOWN, 0.8, 0.0]], np.float32)

    def distance(points: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(shape.distance(points.numpy()))

    def look(points: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(looks[tree.query(points.numpy())[1]])

    return distance, look
