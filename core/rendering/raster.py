# SPDX-License-Identifier: GPL-3.0-or-later
"""Rasterising: which triangle each pixel sees, and where on it. One interface; who finds the triangles is chosen by the device.

What finds them is exact and has no gradients: plain (numpy), warp (CPU and CUDA), nvdiffrast (CUDA). All else is torch's, once for all
of them: barycentric weights, depth and interpolation, differentiable in vertices and attributes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from core.errors import BadRequest

NOTHING = -1  # the face of a pixel that sees none
STEPS = 256  # of a pixel: where vertices are put before pixels are found, so that every rasteriser finds the same
FARTHEST = 1 << 28  # steps from the picture's corner; what is farther off is put there
BACKENDS = ("auto", "plain", "warp", "nvdiffrast")

# Clip-space vertices [B, V, 4], triangles [F, 3] i32, height, width -> the nearest face of each pixel [B, H, W] i32.
FindFaces = Callable[[Tensor, Tensor, int, int], Tensor]


@dataclass(frozen=True)
class Fragments:
    """What the pixels of B pictures see, rows from the top.

    face [B, H, W] i32: the nearest triangle, or NOTHING. weights [B, H, W, 3]: barycentric, of its corners in space. depth [B, H, W]: of
    that place along the camera's axis, clip space's w. Where nothing is seen, weights and depth are 0.
    """

    face: Tensor
    weights: Tensor
    depth: Tensor

    @property
    def seen(self) -> Tensor:
        """[B, H, W] bool"""
        return self.face != NOTHING


def rasterize(vertices_clip: Tensor, triangles: Tensor, size: tuple[int, int], backend: str = "auto") -> Fragments:
    """Pictures of one mesh: vertices_clip [V, 4] or [B, V, 4] in OpenGL's clip space (x right, y up), triangles [F, 3], size (H, W).

    Both sides of a triangle are seen; a pixel sees what its centre is in, and a centre on an edge is in one of two neighbours only. A
    triangle that reaches behind the camera is left out, and so is what lies before the near plane or behind the far one.
    Raises BadRequest where the backend is not there.
    """
    clip = vertices_clip if vertices_clip.dim() == 3 else vertices_clip[None]
    triangles = triangles.to(clip.device, torch.int32).contiguous()
    face = rasterizer(clip.device, backend)(clip.detach(), triangles, *size) if len(triangles) else _empty(clip, size)
    view, row, column = (face != NOTHING).nonzero(as_tuple=True)
    weights, depth = _weights(clip, triangles, size, view, row, column, face[view, row, column])
    place = (view, row, column)
    full = clip.new_zeros(*face.shape, 3).index_put(place, weights), clip.new_zeros(face.shape).index_put(place, depth)
    return Fragments(face, *full)


def _empty(clip: Tensor, size: tuple[int, int]) -> Tensor:
    return torch.full((len(clip), *size), NOTHING, dtype=torch.int32, device=clip.device)


def _weights(
    clip: Tensor, triangles: Tensor, size: tuple[int, int], view: Tensor, row: Tensor, column: Tensor, face: Tensor
) -> tuple[Tensor, Tensor]:
    """Barycentric weights [N, 3] and depth [N] of pixels on faces [N].

    Seen from the pixel, corners lie at (x - u w, y - v w): the area that it spans with two of them is the weight of the third, in space.
    """
    corners = clip[view[:, None], triangles[face.long()].long()]  # [N, 3, 4]
    u, v = (column + 0.5) / size[1] * 2 - 1, 1 - (row + 0.5) / size[0] * 2
    x, y, w = (corners[..., i] for i in (0, 1, 3))
    x, y = x - u.to(x)[:, None] * w, y - v.to(y)[:, None] * w
    (x1, x2), (y1, y2) = ((t.roll(-1, 1), t.roll(-2, 1)) for t in (x, y))
    area = x1 * y2 - x2 * y1
    area = area * area.detach().sum(1, keepdim=True).sign()
    area = area.clamp(min=0)  # a centre may be outside by the part of a step that its corners were moved
    weights = area / area.sum(1, keepdim=True).clamp(min=1e-30)
    return weights, (weights * w).sum(1)


def interpolate(attributes: Tensor, triangles: Tensor, fragments: Fragments) -> Tensor:
    """Values of the vertices [V, C] or [B, V, C] at what pixels see: [B, H, W, C], 0 where they see nothing."""
    values = attributes if attributes.dim() == 3 else attributes[None]
    place = fragments.seen.nonzero(as_tuple=True)
    view = place[0]
    corners = triangles.to(view.device).long()[fragments.face[place].long()]  # [N, 3]
    at = view if len(values) > 1 else torch.zeros_like(view)
    found = (values[at[:, None], corners] * fragments.weights[place][..., None]).sum(1)
    return found.new_zeros(*fragments.face.shape, values.shape[-1]).index_put(place, found)


def rasterizer(device: torch.device | str, backend: str = "auto") -> FindFaces:
    """What finds triangles on a device. auto: nvdiffrast on CUDA where it is installed, else Warp where it works, else plain.

    Warp's first call compiles its kernel, which takes seconds, once on a machine. Raises BadRequest where a named one cannot be used.
    """
    kind = torch.device(device).type
    if backend not in BACKENDS:
        raise BadRequest(f"There is no rasteriser {backend[:40]!r}.", "", f"Choose one of {', '.join(BACKENDS)}.")
    if backend == "nvdiffrast" and kind != "cuda":
        raise BadRequest("The rasteriser nvdiffrast needs a CUDA device.", f"This is {kind}.", "Choose auto or warp.")
    automatic = {"cuda": ("nvdiffrast", "warp", "plain"), "cpu": ("warp", "plain")}.get(kind, ("plain",))
    for name in automatic if backend == "auto" else (backend,):
        try:
            return _loaded(name)
        except (ImportError, OSError) as error:  # not installed, or no place for what Warp compiles
            if backend != "auto":
                remedy = "Choose auto or plain, or install it (Warp: core/requirements/train.txt)."
                raise BadRequest(f"The rasteriser {name} cannot be used here.", str(error), remedy) from error
    raise AssertionError("plain needs nothing")


def _loaded(name: str) -> FindFaces:
    """Warp and nvdiffrast are imported here and nowhere else: nobody waits for them who does not rasterise."""
    if name == "nvdiffrast":
        from core.rendering import raster_nvdiffrast as module
    elif name == "warp":
        from core.rendering import raster_warp as module
    else:
        from core.rendering import raster_plain as module
    return module.find_faces


def ahead(clip: Tensor) -> Tensor:
    """Which vertices [B, V, 4] are in front of the camera. [B, V] bool"""
    return clip[..., 3] > 1e-9


def snapped(clip: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Vertices [B, V, 4] on the grid of STEPS a pixel: columns and rows [B, V, 2] i32, from the picture's upper left corner, and their
    z / w [B, V] f64, which is infinite for those that are not in front of the camera."""
    clip = clip.double()
    in_front = ahead(clip)
    safe = torch.where(in_front, clip[..., 3], 1.0)
    x = (clip[..., 0] / safe + 1) * (width * STEPS / 2)
    y = (1 - clip[..., 1] / safe) * (height * STEPS / 2)
    place = torch.stack((x, y), -1).nan_to_num(FARTHEST).clamp(-FARTHEST, FARTHEST).round().to(torch.int32)
    z = clip[..., 2] / safe
    return place.contiguous(), torch.where(in_front & z.isfinite(), z, torch.inf).contiguous()
