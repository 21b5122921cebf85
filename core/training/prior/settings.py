# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a prior's training: how its pictures are taken, how large its networks are, how it learns."""

from dataclasses import dataclass, field
from pathlib import Path

from core.errors import BadRequest
from core.library.source import known_kinds
from core.library.starter.splits import trained_kinds
from core.rendering.cameras import Viewpoints
from core.training.options import check_limits, option
from core.training.settings import STARTER
from core.training.stage import StageSettings

SIDES = (16, 32, 48, 64)  # of pictures, in pixels


@dataclass(frozen=True)
class DenoisingSettings(StageSettings):
    """How a prior learns. batch: objects a step, of which each is seen from `views` sides."""

    minutes: float | None = option(240.0, "training time", above=0)
    batch: int = option(8, "objects a step", above=0)
    rate: float = option(4e-4, "learning rate", above=0)
    flat: float = option(0.3, "share of steps whose views are pictures of their own, so that the prior knows single ones too", least=0)
    unprompted: float = option(0.1, "share of objects whose prompt is left out, for classifier-free guidance", least=0)
    reuse: int = option(8, "steps that an object's pictures are read by, on average, before new ones are taken", above=0)
    average: float = 0.995
    clip: float = 1.0
    half: bool = True


@dataclass(frozen=True)
class PriorSettings:
    """A prior's training. library: the starter's name or a prepared folder; out: the folder in the layout of diffusers."""

    out: Path
    library: str
    depth: bool = False
    size: int = option(32, f"pixels of a picture, a side: {', '.join(map(str, SIDES))}", above=0)
    widths: tuple[str, ...] = option(("48", "96", "160"), "channels of the U-Net's levels, finest first")
    kinds: tuple[str, ...] = option((), "the starter's kinds to learn (all but the ones held out for evaluation)")
    views: int = option(4, "views of an object that are seen together", above=1)
    prompts: int = option(4096, "different prompts of the starter library", above=0)
    start_from: Path | None = option(None, "start from this multi-view prior's weights and pictures, with or without --depth", flag="from")
    blocks: int = option(1024, "blocks of 16 objects whose pictures are kept on disk, a third of a megabyte each", above=0)
    seed: int = option(0, "of all that is drawn", least=0)
    device: str = option("auto", "auto, cpu or cuda")
    checkpoint_minutes: float = option(4.0, "between two checkpoints", above=0)
    learning: DenoisingSettings = field(default_factory=DenoisingSettings, metadata={"prefix": ""})

    def check(self) -> None:
        """Raises BadRequest where something cannot be."""
        check_limits(self)
        if self.size not in SIDES:
            raise BadRequest(f"Pictures of {self.size} pixels cannot be learnt.", "", f"Choose one of: {', '.join(map(str, SIDES))}.")
        if len(self.channels) < 2 or any(width % 16 for width in self.channels):
            given = ", ".join(self.widths)
            raise BadRequest(f"The widths {given} make no U-Net.", "", "Give two or more multiples of 16, as 48,96,160.")
        if self.kinds and self.library != STARTER:
            raise BadRequest("--kinds chooses among the starter's things.", "This library is a folder.", "Leave it out.")
        known_kinds(self.kinds, trained_kinds())

    @property
    def viewpoints(self) -> Viewpoints:
        return Viewpoints(self.views, half_side=(0.55, 0.7))  # few pixels: objects fill them

    @property
    def channels(self) -> tuple[int, ...]:
        if not all(width.isdigit() for width in self.widths):
            raise BadRequest(f"The widths {', '.join(self.widths)} are no numbers.", "", "Give two or more multiples of 16, as 48,96,160.")
        return tuple(map(int, self.widths))
