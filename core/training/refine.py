# SPDX-License-Identifier: GPL-3.0-or-later
"""Test-time refinement: the stages' objectives on one prompt, from what the model makes of it at once (the paper's section 4.3).

The object's own planes learn, the networks stand still; the planes are kept in a file, so that the object can be made again.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import BadRequest, Cancelled, EmptySurface
from core.guidance.sds import Guidance, Text
from core.limits import check_prompt
from core.networks.generator import Fields
from core.networks.refined import Refined, check_planes
from core.pipeline import Latte3DPipeline
from core.rendering.deferred import Surface
from core.training.checkpoint import Checkpoint
from core.training.options import option
from core.training.refine_start import PLAIN, Start
from core.training.run import Run, Tell, accelerator_on
from core.training.stage import Stage, StageSettings
from core.training.stages.distilling import Drawn, VolumeSettings, suited
from core.training.stages.geometry import GeometryBatch, GeometrySettings, volume_losses
from core.training.stages.texture import Teacher, TextureBatch, TextureSettings, surface_losses
from core.training.subjects import Subjects
from core.training.views import check_cells, surface_of

STALE = 20  # steps after which a surface is made anew, where its shape learns


@dataclass(frozen=True)
class RefineSettings(StageSettings):
    """Settings of a refinement."""

    minutes: float | None = None
    steps: int | None = option(600, "number of steps", above=0)
    batch: int = 1
    rate: float = option(0.01, "learning rate", above=0)
    views: int = option(4, "pictures of the object in a step; where a multi-view prior teaches, as many as that wants", above=0)
    size: int = option(256, "pixels of a picture, a side", above=0)
    cells: int = option(128, "cells a side of the grid that the surface is made on", least=16)
    rays: VolumeSettings = field(default_factory=VolumeSettings, metadata={"prefix": "rays-"})
    warmup: int = 10
    weight_decay: float = 0.0
    clip: float = 100.0


def refine(
    pipeline: Latte3DPipeline,
    prompt: str,
    *,
    multiview: tuple[Guidance, Text] | None = None,
    depth: tuple[Guidance, Text] | None = None,
    settings: RefineSettings = RefineSettings(),
    seed: int = 0,
    start: Start = PLAIN,
    progress: Callable[[str, int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    tell: Tell | None = None,
    preview: Callable[[Refined], None] | None = None,
    checkpoint: Path | None = None,
) -> Refined:
    """Refine what the model makes of a prompt: its texture by a depth prior (stage 2), its shape too by a multi-view prior (stage 1); each
    with the text [1, L, C] that it has read.

    start: what shaped the object beside its prompt and seed.
    progress("refine", done, total) is told of each step, cancelled() asked before it; tell gets the events of a Run; preview the object so
    far, at each checkpoint. checkpoint: a file that a broken refinement is resumed from, with the same arguments; it is left behind.
    Raises BadRequest, Cancelled, or EmptySurface where the model makes nothing.
    """
    if multiview is None and depth is None:
        raise BadRequest("Nothing teaches this refinement.", "", "Give a depth prior, a multi-view prior, or both.")
    check_cells(settings.cells)
    first = amortised(pipeline, check_prompt(prompt), seed, start)
    facts = {"model": pipeline.model_id, "prompt": prompt, "seed": seed, "steps": settings.steps} | start.facts
    stage = Refinement(settings, pipeline, first, prompt, multiview, depth, progress, cancelled)
    with tempfile.TemporaryDirectory() as home:
        state = Checkpoint(checkpoint or Path(home) / "refine.checkpoint.safetensors", facts | {"taught": stage.taught})
        keep = preview and (lambda parts, done: preview(Refined(stage.fields(), facts | {"steps": done["steps"]})))
        if not Run(stage, accelerator_on(pipeline.device.type), state, 0.5, keep, None, tell or (lambda event: None)).go():
            raise Cancelled
    return Refined(stage.fields(), facts)


@torch.no_grad()
def amortised(pipeline: Latte3DPipeline, prompt: str, seed: int, start: Start = PLAIN) -> Fields:
    """What the model makes of a prompt in one pass, or what `start` has of an earlier refinement; T's planes doubled, where it has no
    upsampler."""
    if start.planes is not None:
        check_planes(start.planes, pipeline.generator.config)
        return start.planes.to(pipeline.device)
    condition = pipeline.condition(pipeline.tokens(pipeline.read(prompt)), seed, start.style, start.blend)
    cloud = None if start.cloud is None else start.cloud[None].to(pipeline.device)
    fields = pipeline.generator.made(*condition, cloud, pipeline.alpha(cloud, start.adherence))
    texture = fields.texture.float()
    if pipeline.generator.upsampler is None:
        fine = F.interpolate(texture.flatten(0, 1), scale_factor=2, mode="bilinear", align_corners=True)  # as points read them
        texture = fine.unflatten(0, (-1, 3))
    return Fields(fields.geometry.float(), texture, fields.condition.float(), fields.height_m.float())


class Planes(nn.Module):
    """What of an object learns."""

    def __init__(self, fields: Fields, shape: bool):
        super().__init__()
        self.texture = nn.Parameter(fields.texture.clone())
        self.geometry = nn.Parameter(fields.geometry.clone(), requires_grad=shape)


class Refinement(Stage):
    """One object's planes, by the objectives of stage 2 and, with a multi-view prior, of stage 1."""

    name, shown = "refine", ("guidance", "volume", "eikonal")

    def __init__(
        self, settings: RefineSettings, pipeline: Latte3DPipeline, start: Fields, prompt: str, multiview: tuple[Guidance, Text] | None,
        depth: tuple[Guidance, Text] | None, progress: Callable | None, cancelled: Callable[[], bool] | None,
    ):  # fmt: skip
        self.settings, self.start, self.multiview, self.progress, self.cancelled = settings, start, multiview, progress, cancelled
        self.generator = pipeline.generator.requires_grad_(False)
        self.depth = None if depth is None else Teacher(depth[0], OneText(depth[1]))
        self.taught = [name for name, prior in (("multiview", multiview), ("depth", depth)) if prior]
        self.planes = Planes(start, multiview is not None)
        own = {"size": settings.size, "alpha": 0.0, "rays": settings.rays}
        plain = GeometrySettings()
        views = (multiview and multiview[0].views) or settings.views
        self.volume = replace(plain, viewpoints=replace(plain.viewpoints, views=views), sharpness=(200.0, 300.0), **own)
        self.volume = suited(self.volume, multiview[0]) if multiview else self.volume
        self.surface_settings = TextureSettings(size=settings.size, cells=settings.cells)
        self.surface_settings = suited(self.surface_settings, depth[0]) if depth else self.surface_settings
        self.near = replace(self.surface_settings.viewpoints, views=settings.views)
        nothing = torch.zeros(1, 1, 6, device=start.condition.device)
        one = torch.zeros(1, dtype=torch.bool, device=start.condition.device)
        subject = Subjects([prompt], nothing, one, nothing[:, 0], nothing, lambda points: points[..., 0], one)
        self.drawn = Drawn(subject, None, nothing[:, 0, 0], ~one, None)
        self._surface: tuple[int, Surface | None] = (-STALE, None)

    def parts(self) -> dict[str, nn.Module]:
        return {"planes": self.planes}

    def fields(self) -> Fields:
        return Fields(self.planes.geometry, self.planes.texture, self.start.condition, self.start.height_m)

    def batch(self, step: int, share: float) -> tuple[int, float]:
        if self.cancelled is not None and self.cancelled():
            raise Cancelled
        if self.progress is not None:
            self.progress("refine", step, self.settings.steps)
        return step, share

    def losses(self, at: tuple[int, float]) -> dict[str, Tensor]:
        (step, share), losses, g = at, {}, self.generator
        rng = torch.Generator().manual_seed(step)
        zero = self.start.condition.new_zeros(1)
        if self.multiview:
            views = self.volume.viewpoints.draw(1, rng).to(zero.device)
            batch = GeometryBatch(self.drawn, zero, zero, views, share, lambda: rng, 1.0)
            found = volume_losses(self.volume, g, self.fields(), self.multiview[0], OneText(self.multiview[1]), batch)
            losses |= {"volume": found["guidance"], "eikonal": found["eikonal"], "total": found["total"]}
        if self.depth:
            views = self.near.draw(1, rng).to(zero.device)
            batch = TextureBatch(self.drawn, zero, views, share, lambda: rng)
            found = surface_losses(self.surface_settings, g, [self._now(step)], self.planes.texture, self.start.condition, [self.depth],
                                   batch)  # fmt: skip
            losses |= {"guidance": found["guidance"], "total": losses.get("total", 0) + found["total"]}
        return losses

    def _now(self, step: int) -> Surface:
        """The surface, a few steps old where the shape learns. Raises EmptySurface."""
        if self._surface[1] is None or (self.multiview and step - self._surface[0] >= STALE):
            fields = self.fields()
            still = Fields(*(getattr(fields, name).detach() for name in vars(fields)))
            self._surface = step, surface_of(self.generator, still, self.surface_settings.cells)
        if self._surface[1] is None:
            raise EmptySurface
        return self._surface[1]


class OneText:
    """The text of the only prompt."""

    def __init__(self, text: Text):
        self.text = text

    def batch(self, prompts: Sequence[str]) -> Text:
        return self.text
