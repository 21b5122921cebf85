# SPDX-License-Identifier: GPL-3.0-or-later
"""Soft edges of rasterised pictures, by where the outline crosses the way between two pixels' centres (nvdiffrast: Laine et al. 2020).

Of two neighbours that see different things the nearer one's triangle is followed towards the other pixel, and from it the triangles
beside it, until the surface ends or turns away. What it covers past the middle of the way is the nearer colour's share of the farther
pixel; what it leaves before the middle is the farther colour's share of the nearer one. The pictures are differentiable in their colours
and, through that crossing, in the vertices.
"""

import torch
from torch import Tensor

from core.rendering.raster import NOTHING, Fragments, ahead

JUMP = 0.01  # of the depth: two neighbours on the mesh that differ less see one surface
WALK = 64  # triangles that are followed at most: at an outline many lie in a pixel, all of them foreshortened


def antialias(pictures: Tensor, fragments: Fragments, vertices_clip: Tensor, triangles: Tensor, twins: Tensor) -> Tensor:
    """pictures [B, H, W, C] of one mesh, what they see, its vertices [B, V, 4], triangles [F, 3], and the opposite half-edges [F, 3]
    that `core.surface.topology.half_edge_twins` gives -> [B, H, W, C]"""
    size, flat = pictures.shape[1:3], pictures.flatten(0, 2)
    near, far = (torch.cat(pixels) for pixels in zip(_neighbours(fragments, 1), _neighbours(fragments, 2), strict=True))
    face = fragments.face.flatten()[near].long()
    pair, crossing = _crossings(_on_screen(vertices_clip, *size), triangles.long(), twins, face, near, far, size)
    near, far, past = near[pair], far[pair], (crossing - 0.5)[:, None]
    change = past * (flat[near] - flat[far])  # to the farther pixel where the outline is past the middle, else to the nearer
    return flat.index_add(0, torch.where(past[:, 0] > 0, far, near), change).view_as(pictures)


def _on_screen(clip: Tensor, height: int, width: int) -> Tensor:
    """Columns and rows [B, V, 2], from the picture's upper left corner."""
    w = torch.where(ahead(clip), clip[..., 3], 1.0)
    return torch.stack(((clip[..., 0] / w + 1) * (width / 2), (1 - clip[..., 1] / w) * (height / 2)), -1)


def _neighbours(fragments: Fragments, dim: int) -> tuple[Tensor, Tensor]:
    """Pairs of neighbours along a dimension of [B, H, W] between which an outline can be: numbers of the nearer and the farther pixels."""
    index = torch.arange(fragments.face.numel(), device=fragments.face.device).view_as(fragments.face)
    count = index.shape[dim] - 1
    (face, face_), (depth, depth_), (index, index_) = (
        (t.narrow(dim, 0, count), t.narrow(dim, 1, count)) for t in (fragments.face, fragments.depth, index)
    )
    one = (face == NOTHING) != (face_ == NOTHING)
    both = (face != NOTHING) & (face_ != NOTHING) & ((depth - depth_).abs() > JUMP * torch.minimum(depth, depth_))
    first = torch.where(one, face_ == NOTHING, depth <= depth_)  # the first of the two is the nearer
    pairs = one | both
    return torch.where(first, index, index_)[pairs], torch.where(first, index_, index)[pairs]


def _crossings(
    screen: Tensor, triangles: Tensor, twins: Tensor, face: Tensor, near: Tensor, far: Tensor, size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Where the outline of what the nearer pixels see, faces [N], crosses the way to the farther ones: numbers of the pairs that it does
    cross [M], and the shares of the way, 0..1 [M]."""
    height, width = size
    centre, other = (torch.stack((p % width + 0.5, p // width % height + 0.5), -1).to(screen) for p in (near, far))
    view, way = near // (height * width), other - centre  # a unit along one axis
    pair, found = torch.arange(len(near), device=near.device), []
    for _ in range(WALK):
        corners = screen[view[pair, None], triangles[face]] - centre[pair, None]  # [M, 3, 2]
        along, across = (corners * way[pair, None]).sum(-1), _cross(corners, way[pair, None])
        along_, across_ = along.roll(-1, 1), across.roll(-1, 1)
        crosses = (across < 0) != (across_ < 0)
        reach = along + (along_ - along) * across / torch.where(crosses, across - across_, 1.0)
        share, edge = torch.where(crosses, reach, -torch.inf).max(1)
        turned = _turned(screen, triangles, twins, view[pair], face, edge)
        on_way = (share >= 0) & (share <= 1)
        upright = (across_ - across).abs() >= (along_ - along).abs()  # what leans the other way is the other neighbours' to soften
        here = turned & on_way & upright.gather(1, edge[:, None])[:, 0]
        found.append((pair[here], share[here]))
        go_on = (~turned & on_way).nonzero()[:, 0]
        face, pair = twins[face[go_on], edge[go_on]] // 3, pair[go_on]
        if not len(pair):
            break
    return torch.cat([pair for pair, _ in found]), torch.cat([share for _, share in found])


def _turned(screen: Tensor, triangles: Tensor, twins: Tensor, view: Tensor, face: Tensor, edge: Tensor) -> Tensor:
    """Whether the surface ends at edges [N] of faces [N], or the triangle beyond lies on the same side of them in the picture."""
    start, end, tip = (screen[view, triangles[face, (edge + k) % 3]] for k in range(3))
    twin = twins[face, edge]
    beyond = screen[view, triangles[twin // 3, (twin + 2) % 3]]  # 3 f + k: the corner opposite is (k + 2) % 3, and 3 f does not matter
    side, side_ = (_cross(end - start, p - start) for p in (tip, beyond))
    return (twin < 0) | (side * side_ > 0)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
