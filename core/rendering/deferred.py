# SPDX-License-Identifier: GPL-3.0-or-later
"""Views of surfaces, differentiable in their look: rasterise the mesh, ask the look at the points that are seen, shade, soften the edges.

The paper's second stage renders so: the geometry stands still, and no point that nobody sees costs anything.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from core.rendering.antialias import antialias
from core.rendering.cameras import Views
from core.rendering.raster import Fragments, interpolate, rasterize
from core.surface.creases import corner_normals
from core.surface.topology import half_edge_twins

FARTHEST = 0.2  # brightness of the farthest surface in a depth hint: clearly apart from the background's 0
Shading = Callable[[Tensor, Tensor, Tensor], Tensor]  # look [N, C], normals [N, 3], unit directions from the camera [N, 3] -> sRGB [N, 3]


@dataclass(frozen=True)
class Surface:
    """A mesh as pictures need it. vertices [V, 3], triangles [F, 3] i64, twins: opposite half-edges [F, 3] i64, normals: unit [N, 3], and
    which of them each corner has, fans [F, 3] i64."""

    vertices: Tensor
    triangles: Tensor
    twins: Tensor
    normals: Tensor
    fans: Tensor

    @classmethod
    def of(
        cls, vertices: np.ndarray, triangles: np.ndarray, sharp: np.ndarray | tuple = (), device: torch.device | str = "cpu"
    ) -> "Surface":
        """A mesh as `core.surface.meshing.make_surface` gives it."""
        fans, normals = corner_normals(vertices, triangles, sharp)
        arrays = (vertices, triangles.astype(np.int64), half_edge_twins(triangles), normals, fans.astype(np.int64))
        return cls(*(torch.from_numpy(np.ascontiguousarray(a)).to(device) for a in arrays))


@dataclass(frozen=True)
class Pictures:
    """V views of B objects, [B, V, H, W, …]: sRGB colour in front of the background and the covered share 0..1, both with soft edges;
    depth along the camera's axis and unit normals of what pixels' centres see, 0 where they see nothing."""

    color: Tensor
    mask: Tensor
    depth: Tensor
    normal: Tensor


def base_color(look: Tensor, normal: Tensor, direction: Tensor) -> Tensor:
    """No light at all."""
    return look[..., :3]


def render_surfaces(
    surfaces: Sequence[Surface],
    look: Callable[[Tensor], Tensor],
    views: Views,
    size: tuple[int, int],
    *,
    background: Tensor,
    shading: Shading = base_color,
    backend: str = "auto",
    at_once: int = 1 << 18,
) -> Pictures:
    """Pictures of B objects' surfaces by a look of points [B, N, 3] -> [B, N, C], of which `shading` makes colours.

    background: [3], or anything that spreads to [B, V, H, W, 3]. backend: as `core.rendering.raster.rasterizer`. at_once: points that the
    look is asked at together; with gradients, of more than that the look is computed twice. The colours are differentiable in whatever
    the look is made of.
    """
    clips, directions = [views.clip(surface.vertices)[i] for i, surface in enumerate(surfaces)], views.rays(*size)[1]
    frames = [_frame(surface, clip, size, backend) for surface, clip in zip(surfaces, clips, strict=True)]
    looks = _asked(look, [points for _, points, _ in frames], at_once)
    precise = torch.promote_types(looks[0].dtype, torch.float32)
    grounds = background.to(directions.device, precise).expand(directions.shape)
    parts = []
    for i, (surface, (found, _, normal)) in enumerate(zip(surfaces, frames, strict=True)):
        shaded = shading(looks[i], normal, directions[i][found.seen])
        color = grounds[i].index_put(found.seen.nonzero(as_tuple=True), shaded.to(grounds))
        soft = antialias(torch.cat((color, found.seen.to(precise)[..., None]), -1), found, clips[i], surface.triangles, surface.twins)
        normals = torch.zeros_like(directions[i]).index_put((found.seen,), normal)
        parts.append((soft[..., :3], soft[..., 3], found.depth, normals))
    return Pictures(*(torch.stack(part) for part in zip(*parts, strict=True)))


@torch.no_grad()
def _frame(surface: Surface, clip: Tensor, size: tuple[int, int], backend: str) -> tuple[Fragments, Tensor, Tensor]:
    """What views [V, vertices, 4] see of a surface, and the points and unit normals [N, 3] of the pixels that see something, in order."""
    found = rasterize(clip, surface.triangles, size, backend)
    points = interpolate(surface.vertices, surface.triangles, found)[found.seen]
    normals = interpolate(surface.normals, surface.fans, found)[found.seen]
    return found, points, torch.nn.functional.normalize(normals, dim=-1)


def _asked(look: Callable[[Tensor], Tensor], points: Sequence[Tensor], at_once: int) -> list[Tensor]:
    """The look at points [N, 3] of each object: [N, C] each. Objects with fewer points than another ask at the origin to fill the rows."""
    rows = torch.nn.utils.rnn.pad_sequence(list(points), batch_first=True)  # [B, most, 3]
    pieces = rows.split(max(1, at_once // len(rows)), 1)
    again = len(pieces) > 1 and torch.is_grad_enabled()
    looks = torch.cat([checkpoint(look, piece, use_reentrant=False) if again else look(piece) for piece in pieces], 1)
    return [looks[i, : len(p)] for i, p in enumerate(points)]


def depth_hint(depth: Tensor, seen: Tensor) -> Tensor:
    """What a depth ControlNet reads of depths [..., H, W], where something is seen [..., H, W] bool: [..., H, W, 3] of 0..1.

    Each picture's nearest point is 1, its farthest FARTHEST, the background 0; in between the brightness goes with 1 / depth, as that of
    the pictures (MiDaS's) that the ControlNets were trained on. Without gradients.
    """
    seen, near = seen.detach().bool(), torch.where(seen.bool(), 1 / depth.detach().clamp(min=1e-6), 0.0)
    most = near.amax((-2, -1), keepdim=True)
    least = torch.where(seen, near, torch.inf).amin((-2, -1), keepdim=True)
    flat = most - least < 1e-6
    bright = torch.where(flat, 1.0, (near - least) / torch.where(flat, 1.0, most - least))
    hint = torch.where(seen, FARTHEST + (1 - FARTHEST) * bright, 0.0)
    return hint[..., None].expand(*hint.shape, 3)
