# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m core evaluate-space`: train the space of R-precision on renders of exact objects; the same command resumes it.

Half a second a step on one core: 3,000 steps take some 25 minutes.
"""

import argparse
import json
import random
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from core.errors import BadRequest
from core.evaluation.renders import CAMERAS, exact_pictures
from core.evaluation.space import SEEN, STORED, Space, contrastive_loss, meaning, text_means
from core.files import replace_file
from core.frame import STYLE_SIZE
from core.language.encoder import TextEncoder
from core.library.source import BLOCK
from core.library.starter.grammar import sample_prompt
from core.library.starter.objects import Description, ExactObjects
from core.library.starter.splits import trained_kinds
from core.training.bank import Ring
from core.training.checkpoint import Checkpoint
from core.training.options import add_flags, check_limits, from_flags, option
from core.training.run import Run, accelerator_on
from core.training.stage import Stage, StageSettings

KINDS = trained_kinds()
CAPACITY = 240  # blocks kept: 47 MB
PER_BLOCK = 8  # rows of one block in a batch: its hard negatives, objects of the same kind
REUSE = 8  # steps that see a picture before it leaves, on average


@dataclass(frozen=True)
class SpaceSettings(StageSettings):
    """How the space is learnt."""

    minutes: float | None = None  # always by steps, so that it repeats exactly
    out: Path = option(STORED, "the space's file (fp16); what a resumption needs lies beside it")
    steps: int | None = option(3000, "length of the whole run", above=0)
    batch: int = option(64, f"pictures a step, a multiple of {PER_BLOCK}", above=0)
    rate: float = option(1e-3, "learning rate", above=0)
    seed: int = option(0, "another seed draws other objects", least=0)
    checkpoint_minutes: float = option(2.0, "minutes between checkpoints", least=0)
    final_rate: float = 0.02
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.02


@dataclass
class Pictures:
    """pictures [N, S, S, 3] u8, means [N, W] of the prompts' tokens, and what the prompts mean."""

    pictures: Tensor
    means: Tensor
    meanings: list[Description]


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m core evaluate-space", description=__doc__)
    add_flags(parser, SpaceSettings)
    settings = from_flags(SpaceSettings, parser.parse_args(argv))
    done = train(settings)
    print(f"The space is in {settings.out}." if done else "Stopped: the same command goes on from here.")
    return 0


def train(settings: SpaceSettings) -> bool:
    """Train the space, from where the checkpoint beside `settings.out` stands, and write its file once it is finished; whether it is."""
    check_limits(settings)
    if settings.batch not in range(PER_BLOCK, PER_BLOCK * len(KINDS) + 1, PER_BLOCK):
        raise BadRequest(f"--batch must be a multiple of {PER_BLOCK} up to {PER_BLOCK * len(KINDS)}.")
    stage = SpaceStage(settings, TextEncoder())
    checkpoint = Checkpoint(settings.out.with_suffix(".checkpoint.safetensors"), {"kinds": KINDS, "batch": settings.batch})
    if not Run(stage, accelerator_on("cpu"), checkpoint, settings.checkpoint_minutes).go():
        return False
    half = {name: value.detach().half().contiguous() for name, value in stage.space.state_dict().items()}
    about = {"split": "train"} | {name: getattr(settings, name) for name in ("steps", "batch", "rate", "seed")}
    replace_file(settings.out, lambda name: save_file(half, name, {"training": json.dumps(about)}))
    return True


class SpaceStage(Stage):
    """Pictures of exact objects are put next to their prompts. `batch(step, …)` depends on the seed and on the step alone."""

    name, shown = "space", ("total", "right")

    def __init__(self, settings: SpaceSettings, encoder: TextEncoder):
        self.settings, self.encoder = settings, encoder
        with torch.random.fork_rng():
            torch.default_generator.manual_seed(settings.seed)
            self.space = Space(encoder.width)
        self._ring = Ring(lambda number: make_block(number, encoder, settings.seed), max(CAPACITY, len(KINDS)))

    def parts(self) -> dict[str, nn.Module]:
        return {"space": self.space}

    def batch(self, step: int, share: float) -> Pictures:
        size, seed = self.settings.batch, self.settings.seed
        blocks, rng = self._ring.up_to(len(KINDS) + step * size // (BLOCK * REUSE)), random.Random(f"{seed}/step/{step}")
        chosen = [(block, rng.sample(range(BLOCK), PER_BLOCK)) for block in rng.sample(list(blocks), size // PER_BLOCK)]
        pictures = torch.cat([block.pictures[rows] for block, rows in chosen])
        means = torch.cat([block.means[rows] for block, rows in chosen])
        return Pictures(pictures, means, [block.meanings[row] for block, rows in chosen for row in rows])

    def losses(self, batch: Pictures) -> dict[str, Tensor]:
        same = torch.tensor([[a == b for b in batch.meanings] for a in batch.meanings])
        loss, right = contrastive_loss(self.space, batch.pictures, batch.means, same)
        return {"total": loss, "right": right}


@torch.no_grad()
def make_block(number: int, encoder: TextEncoder, seed: int) -> Pictures:
    """Objects of kind number `number` modulo their count, all from the train split, each seen from one of the measured sides."""
    rng, kinds = random.Random(f"{seed}/space/{number}"), KINDS
    drawn = (sample_prompt(rng, [kinds[number % len(kinds)]]) for _ in range(BLOCK))
    descriptions, prompts = map(list, zip(*drawn, strict=True))
    z = torch.randn(BLOCK, STYLE_SIZE, generator=torch.Generator().manual_seed(rng.getrandbits(62)))
    pictures = exact_pictures(ExactObjects(descriptions, z), rng.randrange(len(CAMERAS)), SEEN)
    means = text_means(encoder, prompts)
    return Pictures(torch.from_numpy(pictures), means, [meaning(d) for d in descriptions])
