# SPDX-License-Identifier: GPL-3.0-or-later
"""The training loop: settings, schedule, checkpoints that resume, and the shipped weights (an exponential moving average)."""

import copy
import json
import math
import platform
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from core.errors import BadRequest
from core.networks.generator import Generator
from core.networks.presets import PRESETS, GeneratorConfig
from core.networks.storage import ModelCard, load_generator, replace_file, save_generator
from core.text import TextEncoder
from core.training.annealing import anneal, dummy_share
from core.training.attributes import AttributeHeads, PromptPool
from core.training.bank import ObjectBank, Sampling
from core.training.reconstruction import LossWeights, Reconstruction


@dataclass(frozen=True)
class TrainingSettings:
    """How a run learns. The schedule spans `minutes` of training time (all resumptions), or `steps` when given, which repeats exactly."""

    out: Path
    preset: str = "starter"
    kinds: tuple[str, ...] = ()
    minutes: float = 60.0
    steps: int | None = None
    batch: int = 8
    prompts: int = 64  # read by the attribute heads in each step
    prompt_pool: int = 4096  # that they are drawn from
    learning_rate: float = 5e-4
    final_rate: float = 0.03  # of the learning rate, at the end of its cosine
    warmup: int = 50
    weight_decay: float = 0.01
    clip: float = 100.0  # four times the usual gradient norm: for spikes only, see docs/experiments
    ema: float = 0.998
    seed: int = 0
    device: str = "auto"
    checkpoint_minutes: float = 4.0
    start_from: Path | None = None  # weights of an earlier model
    weights: LossWeights = field(default_factory=LossWeights)
    sampling: Sampling = field(default_factory=Sampling)


@dataclass
class Progress:
    step: int = 0
    seconds: float = 0.0

    def share(self, settings: TrainingSettings) -> float:
        """0 … 1 of the whole run."""
        done = self.step / settings.steps if settings.steps else self.seconds / (settings.minutes * 60)
        return min(done, 1.0)


def train(settings: TrainingSettings) -> Path:
    """Train, resuming whatever `settings.out` holds, and return the folder of the finished model (fp16, the moving average)."""
    accelerator = Accelerator(cpu=settings.device == "cpu", mixed_precision="bf16" if _has_bf16(settings.device) else "no")
    with torch.random.fork_rng():  # the first weights follow from the seed, and nobody else's random numbers change
        torch.default_generator.manual_seed(settings.seed)
        generator = Generator(_config(settings))
        heads = AttributeHeads(generator.config, settings.kinds)
    if settings.start_from:
        generator.load_state_dict(load_generator(settings.start_from)[0].state_dict())
    average, progress = copy.deepcopy(generator).requires_grad_(False), Progress()
    optimizer = torch.optim.AdamW(
        [*generator.parameters(), *heads.parameters()], settings.learning_rate, betas=(0.9, 0.95), weight_decay=settings.weight_decay
    )
    if (settings.out / "checkpoint" / "progress.json").exists():
        progress = _resume(settings.out / "checkpoint", generator, average, heads, optimizer)
    module, optimizer = accelerator.prepare(Reconstruction(generator, heads, settings.weights), optimizer)
    average.to(accelerator.device)
    encoder = TextEncoder(generator.config.text_encoder, accelerator.device)
    seed = settings.seed * 1009 + accelerator.process_index
    bank = ObjectBank(settings.kinds, encoder, settings.sampling, seed, accelerator.device)
    pool = PromptPool(settings.kinds, encoder, seed, accelerator.device, settings.prompt_pool)
    writer = SummaryWriter(settings.out / "tensorboard") if accelerator.is_main_process else None
    bar = tqdm(total=1000, disable=not accelerator.is_main_process, bar_format="{l_bar}{bar}| {elapsed}<{remaining} {postfix}")
    saved, stop = time.monotonic(), _stop_signal()
    while progress.share(settings) < 1 and not stop:
        begun, share = time.monotonic(), progress.share(settings)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(settings, progress.step, share)
        losses = _step(accelerator, module, optimizer, (bank, pool), progress.step, share, settings)
        progress.step += 1
        _follow(average, generator, min(settings.ema, (1 + progress.step) / (10 + progress.step)))
        progress.seconds += min(time.monotonic() - begun, 60.0)  # a machine that slept did not train
        if accelerator.is_main_process:
            _report(writer, bar, progress, losses, share)
            if time.monotonic() - saved > settings.checkpoint_minutes * 60:
                _checkpoint(settings, generator, average, heads, optimizer, progress)
                saved = time.monotonic()
    if accelerator.is_main_process:
        bar.close()
        _checkpoint(settings, generator, average, heads, optimizer, progress)
    return settings.out


def _stop_signal() -> list[int]:
    """A list that is no longer empty once the run is asked to end (Ctrl-C, SIGTERM): it then stops after a checkpoint."""
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: asked.append(number))
    return asked


def learning_rate(settings: TrainingSettings, step: int, share: float) -> float:
    """Linear warm-up by steps, then a cosine over the whole run."""
    cosine = settings.final_rate + (1 - settings.final_rate) * (1 + math.cos(math.pi * share)) / 2
    return settings.learning_rate * min(1.0, (step + 1) / settings.warmup) * cosine


def _step(
    accelerator: Accelerator, module, optimizer, data: tuple[ObjectBank, PromptPool], step: int, share: float, settings: TrainingSettings
) -> dict:
    batch, prompts = data[0].batch(step, settings.batch), data[1].batch(step, settings.prompts)
    rng = torch.Generator().manual_seed(settings.seed * 7919 + step)
    cloud = anneal(batch.cloud, accelerator.unwrap_model(module).generator.dummy, dummy_share(share), rng)
    z = torch.randn(settings.prompts, batch.z.shape[1], generator=rng).to(batch.z.device)
    with accelerator.autocast():
        losses = module(batch, cloud, prompts, z)
    accelerator.backward(losses["total"])
    losses["gradient"] = accelerator.clip_grad_norm_(module.parameters(), settings.clip)
    optimizer.step()
    optimizer.zero_grad()
    return losses


@torch.no_grad()
def _follow(average: Generator, generator: Generator, decay: float) -> None:
    torch._foreach_lerp_(list(average.parameters()), list(generator.parameters()), 1 - decay)


def _report(writer: SummaryWriter, bar: tqdm, progress: Progress, losses: dict, share: float) -> None:
    if progress.step % 20:
        return
    values = {name: float(value.detach()) for name, value in losses.items()}
    for name, value in values.items():
        writer.add_scalar(name, value, progress.step)
    bar.set_postfix(step=progress.step, **{n: f"{values[n]:.4f}" for n in ("sdf", "color", "iou")})
    bar.update(int(share * 1000) - bar.n)


def _checkpoint(
    settings: TrainingSettings, generator: Generator, average: Generator, heads: AttributeHeads, optimizer, progress: Progress
) -> None:
    """The model so far (the average, fp16) in `out`, and in out/checkpoint all that a resumption needs."""
    folder = settings.out / "checkpoint"
    folder.mkdir(parents=True, exist_ok=True)
    parts = {"model": generator, "average": average, "heads": heads}
    state = {f"{name}.{k}": v for name, part in parts.items() for k, v in part.state_dict().items()}
    for i, moments in optimizer.state_dict()["state"].items():
        state |= {f"optimizer.{i}.{k}": torch.as_tensor(v) for k, v in moments.items()}
    state["progress"] = torch.tensor([progress.step, progress.seconds], dtype=torch.float64)  # in the same file: never out of step with it
    state = {k: v.detach().cpu().clone().contiguous() for k, v in state.items()}
    replace_file(folder / "state.safetensors", lambda path: save_file(state, path))
    replace_file(folder / "progress.json", lambda path: Path(path).write_text(json.dumps(asdict(progress)) + "\n"))
    run = {
        "command": f"python -m core train starter --preset {settings.preset}",
        "steps": progress.step,
        "hours": round(progress.seconds / 3600, 3),
        "batch": settings.batch,
        "seed": settings.seed,
        "hardware": torch.cuda.get_device_name() if next(generator.parameters()).is_cuda else f"{platform.machine()} CPU",
        "torch": torch.__version__,
    }
    save_generator(average, ModelCard(settings.out.name, settings.kinds, run), settings.out)


def _resume(folder: Path, generator: Generator, average: Generator, heads: AttributeHeads, optimizer: torch.optim.Optimizer) -> Progress:
    state = load_file(folder / "state.safetensors")
    for prefix, model in (("model.", generator), ("average.", average), ("heads.", heads)):
        model.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    moments: dict[int, dict] = {}
    for key in (k for k in state if k.startswith("optimizer.")):
        _, i, name = key.split(".")
        moments.setdefault(int(i), {})[name] = state[key]
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    step, seconds = state["progress"].tolist()
    return Progress(int(step), seconds)


def _config(settings: TrainingSettings) -> GeneratorConfig:
    if settings.preset not in PRESETS:
        raise BadRequest(f"There is no preset {settings.preset!r}.", "", f"Choose one of: {', '.join(PRESETS)}.")
    return PRESETS[settings.preset]


def _has_bf16(device: str) -> bool:
    return device != "cpu" and torch.cuda.is_available() and torch.cuda.is_bf16_supported()


def parse_kinds(text: str | None, known: Sequence[str]) -> tuple[str, ...]:
    """Kinds named with commas, all known ones when there is no text."""
    kinds = tuple(k.strip() for k in text.split(",")) if text else tuple(known)
    unknown = [k for k in kinds if k not in known]
    if unknown:
        raise BadRequest(f"Unknown kinds: {', '.join(unknown)}.", "", f"Known are: {', '.join(known)}.")
    return kinds
