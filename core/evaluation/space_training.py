# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m core evaluate-space`: train the space of R-precision on renders of exact objects; the same command resumes it.

Half a second a step on one core: 3,000 steps take some 25 minutes.
"""

import argparse
import json
import random
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.errors import BadRequest
from core.evaluation.renders import AZIMUTHS, exact_pictures
from core.evaluation.space import SEEN, STORED, Space, contrastive_loss, meaning, text_means
from core.files import replace_file
from core.library.grammar import sample_prompt
from core.library.objects import Description, ExactObjects
from core.library.splits import trained_kinds
from core.style import STYLE_SIZE
from core.text import TextEncoder

KINDS = trained_kinds()
BLOCK = 16  # objects of one kind, pictured together
CAPACITY = 240  # blocks kept: 47 MB
PER_BLOCK = 8  # rows of one block in a batch: its hard negatives, objects of the same kind
REUSE = 8  # steps that see a picture before it leaves, on average
REPORT = 20  # steps


@dataclass
class Block:
    """pictures [BLOCK, S, S, 3] u8, means [BLOCK, W] of the prompts' tokens, and what the prompts mean."""

    pictures: Tensor
    means: Tensor
    meanings: list[Description]


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m core evaluate-space", description=__doc__)
    parser.add_argument("--out", type=Path, default=STORED, help="the space's file (fp16); what a resumption needs lies beside it")
    parser.add_argument("--steps", type=int, default=3000, help="length of the whole run")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint-minutes", type=float, default=2.0)
    a = parser.parse_args(argv)
    if a.steps <= 0 or a.batch not in range(PER_BLOCK, PER_BLOCK * len(KINDS) + 1, PER_BLOCK):
        raise BadRequest(f"--steps must be more than 0, and --batch a multiple of {PER_BLOCK} up to {PER_BLOCK * len(KINDS)}.")
    train(a.out, a.steps, a.batch, a.rate, a.seed, a.checkpoint_minutes)
    print(f"The space is in {a.out}.")
    return 0


def train(out: Path, steps: int, batch: int, rate: float, seed: int, checkpoint_minutes: float) -> None:
    """Train up to `steps`, from where the checkpoint beside `out` stands."""
    encoder = TextEncoder()
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(seed)
        space = Space(encoder.width)
    optimizer = torch.optim.AdamW(space.parameters(), rate, betas=(0.9, 0.98), weight_decay=0.02)
    checkpoint = out.with_suffix(".checkpoint.safetensors")
    done = _resume(checkpoint, space, optimizer) if checkpoint.exists() else 0
    bank, saved, begun = Bank(encoder, seed), time.monotonic(), time.monotonic()
    seen: deque[tuple[float, float]] = deque(maxlen=REPORT)
    for step in range(done, steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 50, 0.02 + 1.2 * (1 - step / steps))  # warm-up, level, and a slope down to nothing
        loss, right = contrastive_loss(space, *bank.batch(step, batch))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        seen.append((float(loss.detach()), float(right)))
        if (step + 1) % REPORT == 0 or step + 1 == steps:
            mean_loss, share = (sum(column) / len(seen) for column in zip(*seen, strict=True))
            text = f"step {step + 1}/{steps}  loss {mean_loss:.3f}  R@1 of {batch} {share:.3f}  {time.monotonic() - begun:.0f} s"
            print(text, file=sys.stderr, flush=True)
        if step + 1 == steps or time.monotonic() - saved > 60 * checkpoint_minutes:
            _save(checkpoint, space, optimizer, step + 1)
            saved = time.monotonic()
    half = {name: value.detach().half().contiguous() for name, value in space.state_dict().items()}
    about = json.dumps({"split": "train", "steps": steps, "batch": batch, "rate": rate, "seed": seed})
    replace_file(out, lambda name: save_file(half, name, {"training": about}))


class Bank:
    """A ring of pictured blocks; `batch(step, size)` depends on the seed and on the step alone."""

    def __init__(self, encoder: TextEncoder, seed: int):
        self.encoder, self.seed, self.made = encoder, seed, 0
        self.blocks: deque[Block] = deque(maxlen=max(CAPACITY, len(KINDS)))

    def batch(self, step: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """pictures [N, S, S, 3], means [N, W], and which pairs mean the same [N, N]."""
        wanted = len(KINDS) + step * size // (BLOCK * REUSE)
        self.made = max(self.made, wanted - self.blocks.maxlen)  # a resumed run makes only the blocks that are still in the ring
        while self.made < wanted:
            self.blocks.append(make_block(self.made, self.encoder, self.seed))
            self.made += 1
        rng = random.Random(f"{self.seed}/step/{step}")
        chosen = [(block, rng.sample(range(BLOCK), PER_BLOCK)) for block in rng.sample(list(self.blocks), size // PER_BLOCK)]
        pictures = torch.cat([block.pictures[rows] for block, rows in chosen])
        means = torch.cat([block.means[rows] for block, rows in chosen])
        names = [block.meanings[row] for block, rows in chosen for row in rows]
        return pictures, means, torch.tensor([[a == b for b in names] for a in names])


@torch.no_grad()
def make_block(number: int, encoder: TextEncoder, seed: int) -> Block:
    """Objects of kind number `number` modulo their count, all from the train split, each seen from one of the measured sides."""
    rng, kinds = random.Random(f"{seed}/space/{number}"), KINDS
    drawn = (sample_prompt(rng, [kinds[number % len(kinds)]]) for _ in range(BLOCK))
    descriptions, prompts = map(list, zip(*drawn, strict=True))
    z = torch.randn(BLOCK, STYLE_SIZE, generator=torch.Generator().manual_seed(rng.getrandbits(62)))
    pictures = exact_pictures(ExactObjects(descriptions, z), rng.randrange(len(AZIMUTHS)), SEEN)
    means = text_means(encoder, prompts)
    return Block(torch.from_numpy(pictures), means, [meaning(d) for d in descriptions])


def _save(path: Path, space: Space, optimizer: torch.optim.Optimizer, step: int) -> None:
    state = {f"space.{name}": value for name, value in space.state_dict().items()}
    for i, moments in optimizer.state_dict()["state"].items():
        state |= {f"optimizer.{i}.{name}": torch.as_tensor(value) for name, value in moments.items()}
    state["step"] = torch.tensor(step)
    replace_file(path, lambda name: save_file({k: v.detach().clone().contiguous() for k, v in state.items()}, name))


def _resume(path: Path, space: Space, optimizer: torch.optim.Optimizer) -> int:
    """Take up a checkpoint; the step it stands at. Raises BadRequest when it cannot be."""
    try:
        state = load_file(path)
        space.load_state_dict({k.removeprefix("space."): v for k, v in state.items() if k.startswith("space.")})
        moments: dict[int, dict] = {}
        for key in (k for k in state if k.startswith("optimizer.")):
            _, i, name = key.split(".")
            moments.setdefault(int(i), {})[name] = state[key]
        optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
        return int(state["step"])
    except (OSError, SafetensorError, RuntimeError, KeyError, ValueError) as error:
        raise BadRequest(f"{path} cannot be resumed.", str(error).splitlines()[-1].strip(), "Remove it, or name another --out.") from error
