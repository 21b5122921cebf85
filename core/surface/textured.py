# SPDX-License-Identifier: GPL-3.0-or-later
"""Any shape and look, given as two functions of points, as a textured mesh: extract → atlas → bake → encode."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence

import torch

from core.errors import Cancelled, EmptySurface
from core.limits import Detail
from core.mesh import TexturedMesh, encode_look
from core.surface.atlas import unwrap
from core.surface.bake import Appearance, bake
from core.surface.extract import LOOSE, EmptySurfaceError, ExtractionCancelled, SignedDistance
from core.surface.meshing import Surface, make_surface

STAGES = ("decode", "extract", "atlas", "bake", "encode")
Progress = Callable[[str, int, int], None]  # stage, steps done, steps in all; a step is one stage of one object


class Watch:
    """Times the stages of one object, tells of progress, and stops the work when the user asks."""

    def __init__(
        self,
        stages: Sequence[str] = STAGES,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
        device: torch.device | str = "cpu",
        index: int = 0,
        total: int = 1,
    ):
        """`index` of `total` objects is made, each in all of the `stages`, on `device`, which is waited for at the end of each."""
        self.stages, self.progress, self.cancelled, self.device = list(stages), progress, cancelled, torch.device(device)
        self.before, self.steps = index * len(self.stages), total * len(self.stages)
        self.timings_ms: dict[str, float] = {}

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside as this stage. Raises Cancelled instead of beginning it."""
        if self.cancelled is not None and self.cancelled():
            raise Cancelled
        if self.progress is not None:
            self.progress(name, self.before + self.stages.index(name), self.steps)
        begun = time.perf_counter()
        yield
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.timings_ms[name] = (time.perf_counter() - begun) * 1000


def surface_of(distance: SignedDistance, sizes: Detail, keep_volume: float, watch: Watch) -> Surface:
    """The zero level of `distance`, as fine as `sizes` says."""
    return make_surface(
        distance, resolution=sizes.resolution, triangles=sizes.triangles, device=watch.device, keep_volume=keep_volume,
        cancelled=watch.cancelled, stage=watch.stage,
    )  # fmt: skip


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """What extraction and baking raise, as Cancelled and EngineError."""
    try:
        yield
    except ExtractionCancelled as error:
        raise Cancelled from error
    except EmptySurfaceError as error:
        raise EmptySurface from error


def textured_mesh(
    distance: SignedDistance,
    look: Appearance,
    sizes: Detail,
    *,
    height_m: float,
    keep_volume: float = LOOSE,
    watch: Watch | None = None,
    notes: Sequence[str] = (),
    **facts,
) -> TexturedMesh:
    """The zero level of `distance` (points [N, 3] of the core frame → [N], negative inside), painted with `look` (→ [N, 5]: sRGB
    colour, roughness, metallic, each 0..1), as fine as `sizes` says. Both answer on the device of `watch`.

    keep_volume: share of the volume below which a piece beside the object is dropped. `notes` and `facts` (prompt, seed …) are the
    mesh's own. Raises Cancelled, or EngineError where the surface is empty.
    """
    watch = watch or Watch()
    with plain_errors():
        surface = surface_of(distance, sizes, keep_volume, watch)
        vertices, triangles, coarse = surface.vertices, surface.triangles, sizes.triangles is not None
        with watch.stage("atlas"):
            atlas = unwrap(vertices, triangles, size=sizes.texture_size, coarse=coarse, device=watch.device)
        with watch.stage("bake"):
            images = bake(
                vertices, triangles, atlas.uvs, look, size=sizes.texture_size, atlas=atlas,
                coarse=coarse and sizes.texture_size >= 1024, device=watch.device, cancelled=watch.cancelled,
            )  # fmt: skip
        with watch.stage("encode"):
            images = encode_look(*images, atlas)
    return TexturedMesh(
        vertices, triangles, atlas.uvs, height_m=height_m, timings_ms=watch.timings_ms, sharp=surface.sharp, seams=atlas.seams,
        notes=[*notes, *([surface.note] if surface.note else [])], **images, **facts,
    )  # fmt: skip
