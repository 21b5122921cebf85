# SPDX-License-Identifier: GPL-3.0-or-later
"""Exact pictures of a library's objects, taken once and kept on disk: what a prior learns from.

Block number n is a function of the library, the seed and n alone; it is traced from the objects' own distances and colours, without light,
in front of the grey that distillation uses.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from core.files import replace_file
from core.library.source import BLOCK
from core.rendering.cameras import Viewpoints, Views
from core.rendering.trace import trace
from core.training.subjects import Drawing, Subjects

GROUND = 0.5  # of DistillationSettings
FINER = 2  # rays a side of a pixel
PLAIN = 0.7  # brightness of what nothing is known of
FORMAT = 1


@dataclass
class Shots:
    """V pictures of each of B objects. images [B, V, 3, S, S] of 0 … 1; depth [B, V, 1, S, S]: along the camera's axis, 0 where there is
    nothing; cameras [B, V, 4, 4]: to the world."""

    prompts: list[str]
    images: Tensor
    depth: Tensor
    cameras: Tensor


class Album:
    """Blocks of shots in a folder, each made when it is first asked for. name: what is drawn from; another library's blocks are remade.
    other: the folder of another album, whose blocks are taken where they are the same."""

    def __init__(
        self, folder: Path, drawing: Drawing, name: str, viewpoints: Viewpoints, size: int, seed: int, other: Path | None = None
    ):  # fmt: skip
        self.other, self.folder, self.drawing, self.viewpoints, self.size, self.seed = other, folder, drawing, viewpoints, size, seed
        told = json.dumps([FORMAT, name, repr(viewpoints), size, seed, len(drawing.prompts)])
        self.mark = hashlib.sha256(told.encode()).hexdigest()[:16]
        self._open: dict[int, safe_open] = {}
        self._prompts: dict[int, list[str]] = {}

    def ensure(self, number: int) -> None:
        """Have a block on disk."""
        if number in self._open:
            return
        path = self.folder / f"{number:06d}.safetensors"
        if self._mark_of(path) != self.mark and self.other and self._mark_of(self.other / path.name) == self.mark:
            replace_file(path, lambda name: shutil.copyfile(self.other / path.name, name))
        if self._mark_of(path) != self.mark:
            shots = self.take(number)
            tensors = {"images": (shots.images * 255).round().to(torch.uint8), "depth": shots.depth.half(), "cameras": shots.cameras}
            facts = {"mark": self.mark, "prompts": json.dumps(shots.prompts)}
            replace_file(path, lambda name: save_file({k: v.contiguous().cpu() for k, v in tensors.items()}, name, facts))
        self._open[number] = safe_open(path, "pt")
        self._prompts[number] = json.loads(self._open[number].metadata()["prompts"])

    def read(self, places: Sequence[tuple[int, int]]) -> Shots:
        """Objects by block and row; rows are counted around."""
        prompts, images, depth, cameras = [], [], [], []
        for number, row in places:
            self.ensure(number)
            file, texts = self._open[number], self._prompts[number]
            row %= len(texts)
            prompts.append(texts[row])
            for name, all in (("images", images), ("depth", depth), ("cameras", cameras)):
                all.append(file.get_slice(name)[row])
        return Shots(prompts, torch.stack(images).float() / 255, torch.stack(depth).float(), torch.stack(cameras))

    def take(self, number: int) -> Shots:
        """The pictures of a block of objects. Those of a block have the same cameras; prompts without a shape are passed over."""
        rng = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        subjects, again = self.drawing.draw(number, range(number * BLOCK, (number + 1) * BLOCK)), 0
        while not subjects.shaped.any():  # a library of few shapes
            again += 1
            first = (1 << 40) + (number * 1000 + again) * BLOCK
            subjects = self.drawing.draw(number, range(first, first + BLOCK))
        views = self.viewpoints.draw(1, rng)
        images, depth = pictures(subjects, views, self.size)
        rows = subjects.shaped.nonzero()[:, 0].tolist()
        cameras = views.matrices().expand(len(rows), -1, -1, -1)
        return Shots([subjects.prompts[i] for i in rows], images[rows], depth[rows], cameras)

    def _mark_of(self, path: Path) -> str:
        try:
            with safe_open(path, "pt") as file:
                return (file.metadata() or {}).get("mark", "")
        except (OSError, SafetensorError):
            return ""


@torch.no_grad()
def pictures(subjects: Subjects, views: Views, size: int) -> tuple[Tensor, Tensor]:
    """Unlit pictures [B, V, 3, S, S] and depths [B, V, 1, S, S] of B subjects, by the same V views [1, V] of each."""
    device, side, count = subjects.cloud.device, FINER * size, views.azimuth.shape[1]
    half = subjects.cloud[..., :3].abs().amax(1) + 0.01
    origin, direction = (rays.to(device).flatten(1, 3) for rays in views.rays(side))
    points, hit = trace(subjects.distance, half, origin, direction)
    seen = hit.any(0).nonzero()[:, 0]  # colours are dear: only rays that hit some object
    color = torch.full_like(points, GROUND)
    some = subjects.color(points[:, seen]).nan_to_num(PLAIN)
    color[:, seen] = torch.where(hit[:, seen, None], some, color[:, seen])
    backward = views.axes()[..., 2].to(device).repeat_interleave(side * side, 1)  # [1, V · side², 3]
    depth = torch.where(hit, ((origin - points) * backward).sum(-1), 0.0)

    def coarse(values: Tensor) -> Tensor:  # [B, V · side², C] -> [B, V, S, S, C, FINER²]
        return values.unflatten(1, (count, size, FINER, size, FINER)).permute(0, 1, 2, 4, 6, 3, 5).flatten(-2)

    cover, far = coarse(hit[..., None].float()), coarse(depth[..., None])
    near = far.sum(-1) / cover.sum(-1).clamp(min=1)
    return coarse(color).mean(-1).movedim(-1, 2), torch.where(cover.mean(-1) >= 0.5, near, 0.0).movedim(-1, 2)
