# SPDX-License-Identifier: GPL-3.0-or-later
"""The diffusion priors of a training: what it will take is said first, the prompts are encoded, then a prior is loaded by its stage."""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from accelerate import Accelerator

from core.errors import BadRequest
from core.guidance.depth import DepthGuidance, ImageGuidance
from core.guidance.estimate import Cost, Plan, Prior, plan_training
from core.guidance.folder import go_offline, pick_dtype
from core.guidance.multiview import MultiviewGuidance, views_of
from core.guidance.prior import PriorGuidance
from core.guidance.prompts import EmbeddingCache
from core.networks.generator import Generator
from core.training.material import Material
from core.training.run import Tell
from core.training.settings import DISTILLED, NAMES_TOLD, TrainSettings, prior_folder, prior_of
from core.training.stages.distilling import DistillationSettings
from core.training.stages.texture import Teacher
from core.training.subjects import Drawing, Place, drawing_of

KINDS: dict[str, type[PriorGuidance]] = {"multiview": MultiviewGuidance, "image": ImageGuidance, "depth": DepthGuidance}
EMBEDDINGS = "embeddings"  # folder in the model's: prompts as priors read them
TRAINED, KEPT = 16, 4  # bytes a weight: with its gradient and two moments; of the moving average
POINT = 24  # numbers alive for each unit of a decoder's width at a point of a ray, forward and backward


class Priors:
    """Of the stages to come. What it makes ready when it is made: the plan, told; the prompts' embeddings, in the run's folder."""

    def __init__(
        self, settings: TrainSettings, accelerator: Accelerator, learnt: Material, generator: Generator, stages: Sequence[str],
        tell: Tell | None,
    ):  # fmt: skip
        self.settings, self.accelerator, self.learnt, self.generator, self.tell = settings, accelerator, learnt, generator, tell
        self.seed, self.place = settings.seed, Place(accelerator.process_index, accelerator.num_processes)
        self._texts: dict[str, EmbeddingCache] = {}
        if not (coming := [stage for stage in stages if stage in DISTILLED]):
            return
        go_offline()
        self.device, self.dtype = accelerator.device, pick_dtype(settings.prior_dtype, accelerator.device)
        self.needed = dict.fromkeys(prior_of(settings, stage) for stage in coming)
        if "texture" in coming and settings.texture.multiview:
            self.needed["multiview"] = None
        if "geometry" in coming and settings.geometry.alpha_by == "texts":
            self._check_names()
        folders = {name: prior_folder(settings, name) for name in self.needed}
        for stage in coming:
            self._say(stage, plan_of(settings, stage, folders, generator, self.device, self.dtype))
        for name, folder in folders.items():
            self._encode(name, folder, coming)

    def drawing(self, stage: str) -> Drawing:
        own: DistillationSettings = getattr(self.settings, stage)
        encoder, dummy = self.learnt.encoder, self.generator.dummy.to(self.learnt.encoder.device)
        return drawing_of(self.learnt.source, encoder, dummy, self.seed, own.prompts)

    def _check_names(self) -> None:
        """Raise BadRequest where no name of a folder's assets tells how well it fits a prompt: α would be the same for all."""
        drawing = self.drawing("geometry")
        if silent := getattr(drawing, "own", drawing).names.silent:
            remedy = "Leave it out: α is drawn by chance then. Or give the assets names that say what they are."
            raise BadRequest(NAMES_TOLD, silent, remedy)

    def for_geometry(self) -> tuple[PriorGuidance, EmbeddingCache]:
        return self._load(prior_of(self.settings, "geometry"), "geometry")

    def for_texture(self) -> list[Teacher]:
        """The depth prior, and the multi-view one where it weighs something."""
        controlnet = {"controlnet": self.settings.controlnet} if self.settings.controlnet else {}
        teachers = [Teacher(*self._load("depth", "texture", **controlnet))]
        if weight := self.settings.texture.multiview:
            teachers.append(Teacher(*self._load("multiview", "texture"), weight))
        return teachers

    def _load(self, name: str, stage: str, **more) -> tuple[PriorGuidance, EmbeddingCache]:
        kind = KINDS[name]
        how = getattr(self.settings, stage).distillation(kind.usual)
        where, once = getattr(self.settings, name), self.settings.prior_at_once
        return kind.load(where, self.device, self.dtype, settings=how, at_once=once, **more), self._texts[name]

    def _encode(self, name: str, folder: Path, stages: Sequence[str]) -> None:
        """Each process reads what the first one has written."""
        prompts = list(dict.fromkeys(text for stage in stages for text in self.drawing(stage).prompts))
        for turn in (True, False):
            if self.accelerator.is_main_process == turn:
                where = self.settings.out / EMBEDDINGS
                self._texts[name] = EmbeddingCache.build(where, folder, prompts, self.device, self.dtype, report=self._encoded)
            self.accelerator.wait_for_everyone()

    def _encoded(self, done: int, total: int) -> None:
        if self.tell:
            self.tell({"event": "progress", "stage": "prompts", "done": done, "total": total, "eta_s": None, "losses": {}})

    def _say(self, stage: str, plan: Plan) -> None:
        if not self.accelerator.is_main_process:
            return
        text = f"The stage {stage} takes {plan}."
        if self.tell:
            self.tell({"event": "plan", "stage": stage, "memory_mb": round(plan.memory / 1e6), "hours": plan.hours, "text": text})
        else:
            print(text, file=sys.stderr, flush=True)


def plan_of(
    settings: TrainSettings, stage: str, folders: dict[str, Path], generator: Generator, device: torch.device, dtype: torch.dtype
) -> Plan:
    """What a stage will take: its priors, counted; the generator and its pictures, estimated."""
    own: DistillationSettings = getattr(settings, stage)
    weights = sum(p.numel() for p in generator.parameters())
    hidden, config = generator.config.decoder_hidden, generator.config
    planes = 6 * 3 * sum(c * (config.resolution >> level) ** 2 for level, c in enumerate(config.channels)) * 4
    if stage == "geometry":
        views = settings.geometry.viewpoints.views if settings.image else views_of(folders["multiview"])
        points, held = views * own.size**2 * (own.rays.coarse + own.rays.fine), own.rays.at_once
    else:
        views = views_of(folders["multiview"]) if settings.texture.multiview else settings.texture.views
        points, held = views * own.size**2 // 3, settings.texture.points
    working = planes + 4 * POINT * hidden * min(points, held)
    operations = 12.0 * points * hidden * (config.plane_channels + hidden) + 50.0 * weights
    wanted = [prior_of(settings, stage), *(["multiview"] if stage == "texture" and settings.texture.multiview else [])]
    more = {"controlnet": settings.controlnet} if settings.controlnet else {}
    priors = [Prior(KINDS[name], folders[name], views, own.size, more if name == "depth" else {}) for name in wanted]
    return plan_training(
        priors, batch=own.batch, steps=own.steps or 0, device=device, dtype=dtype, at_once=settings.prior_at_once,
        own=Cost((TRAINED + KEPT) * weights, int(working), operations),
    )  # fmt: skip
