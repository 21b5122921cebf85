# SPDX-License-Identifier: GPL-3.0-or-later
"""The training loop: settings, schedule, checkpoints that resume, and the shipped weights (an exponential moving average)."""

import contextlib
import copy
import json
import math
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from accelerate import Accelerator
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from core import familiarity
from core.errors import BadRequest
from core.files import replace_file
from core.machine import machine_name, pick_device
from core.networks.generator import Generator
from core.networks.presets import PRESETS, GeneratorConfig
from core.networks.storage import ModelCard, load_generator, save_generator
from core.text import TextEncoder
from core.training.annealing import anneal, dummy_share
from core.training.attributes import AttributeHeads, PromptPool, reading_losses
from core.training.bank import ObjectBank, Sampling
from core.training.pictures import describe, things_of
from core.training.reconstruction import GeometryPhase, LossWeights, Reconstruction, TexturePhase

PHASES = {"both": Reconstruction, "geometry": GeometryPhase, "texture": TexturePhase, "upsampler": TexturePhase}


@dataclass(frozen=True)
class TrainingSettings:
    """How a run learns. The schedule spans `minutes` of training time (all resumptions), or `steps` when given, which repeats exactly."""

    out: Path
    preset: str = "starter"
    kinds: tuple[str, ...] = ()
    more: tuple[str, ...] = ()  # of them, to be seen once more in a round of all kinds, twice more where named twice
    phase: str = "both"  # "geometry", "texture": G, or T, goes on alone; "upsampler": T does, with planes twice as fine
    minutes: float = 60.0
    steps: int | None = None
    batch: int = 8
    prompts: int = 32  # read by the attribute heads in each step
    prompt_pool: int = 16384  # that they are drawn from
    reading_steps: int = 0  # before the first object, on 256 prompts each
    learning_rate: float = 5e-4
    reader_rate: float = 0.2  # of the learning rate, for condition and paints once they have learnt to read: few objects are noisy teachers
    final_rate: float = 0.03  # of the learning rate, at the end of its cosine
    warmup: int = 50
    weight_decay: float = 0.01
    clip: float = 100.0  # four times the usual gradient norm: for spikes only, see docs/experiments
    ema: float = 0.998
    dummy: tuple[float, float] = (0.4, 0.9)  # share of objects that see the dummy sphere, at the start and once annealed
    seed: int = 0
    device: str = "auto"
    checkpoint_minutes: float = 4.0
    start_from: Path | None = None  # weights of an earlier model
    pictures: bool = True  # of the things that it can make, drawn at the end
    weights: LossWeights = field(default_factory=LossWeights)
    sampling: Sampling = field(default_factory=Sampling)


@dataclass
class Progress:
    step: int = 0
    seconds: float = 0.0
    read: bool = False  # the condition has learnt to read

    def share(self, settings: TrainingSettings) -> float:
        """0 … 1 of the whole run."""
        done = self.step / settings.steps if settings.steps else self.seconds / (settings.minutes * 60)
        return min(done, 1.0)


def train(settings: TrainingSettings) -> Path:
    """Train, resuming whatever `settings.out` holds, and return the folder of the finished model (fp16, the moving average)."""
    check(settings)
    accelerator = Accelerator(cpu=settings.device == "cpu", mixed_precision="bf16" if _has_bf16(settings.device) else "no")
    generator, heads = _networks(settings)
    average, progress = copy.deepcopy(generator).requires_grad_(False), Progress(read=settings.phase != "both")
    learner = PHASES[settings.phase](generator, heads, settings.weights)
    reader = [p for part in generator.readers for p in part.parameters() if p.requires_grad]
    others = [p for p in learner.parameters() if p.requires_grad and p not in set(reader)]
    reader_rate = settings.reader_rate if settings.reading_steps else 1.0
    groups = [{"params": reader, "of_rate": reader_rate}, {"params": others, "of_rate": 1.0}]
    optimizer = torch.optim.AdamW(groups, settings.learning_rate, betas=(0.9, 0.95), weight_decay=settings.weight_decay, fused=True)
    if (settings.out / "checkpoint" / "progress.json").exists():
        progress = _resume(settings, generator, average, heads, optimizer)
    encoder = TextEncoder(generator.config.text_encoder, accelerator.device)
    seed = settings.seed * 1009 + accelerator.process_index
    prompts = settings.prompt_pool if settings.phase == "both" else settings.prompts  # the other phases read nothing new
    pool = PromptPool(settings.kinds, encoder, seed, accelerator.device, prompts, settings.sampling.prompts_per_kind)
    if accelerator.is_main_process and not (settings.out / familiarity.FILE).exists():
        _remember(pool.prompts, settings, encoder)
    with _stop_signal() as stop:
        if not progress.read:
            progress.read = _learn_to_read(accelerator, generator, heads, pool, settings, stop)
            if not progress.read:
                return settings.out  # asked to end before there was anything to keep
            average.load_state_dict(generator.state_dict())
            if accelerator.is_main_process:
                _checkpoint(settings, accelerator, generator, average, heads, optimizer, progress)
        module, optimizer = accelerator.prepare(learner, optimizer)
        average.to(accelerator.device)
        sampling = _enough(settings.sampling, generator.config.points)
        bank = ObjectBank(settings.kinds + settings.more, encoder, sampling, seed, accelerator.device)
        writer = SummaryWriter(settings.out / "tensorboard") if accelerator.is_main_process else None
        bar = tqdm(total=1000, disable=not accelerator.is_main_process, mininterval=_seldom(), miniters=1,
                   bar_format="{l_bar}{bar}| {elapsed}<{remaining} {postfix}")  # fmt: skip
        saved = time.monotonic()
        while not _over(accelerator, settings, progress, stop):
            begun, share = time.monotonic(), progress.share(settings)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(settings, progress.step, share) * group["of_rate"]
            losses = _step(accelerator, module, optimizer, (bank, pool), progress.step, share, settings)
            progress.step += 1
            _follow(average, generator, min(settings.ema, (1 + progress.step) / (10 + progress.step)))
            progress.seconds += min(time.monotonic() - begun, 60.0)  # a machine that slept did not train
            if accelerator.is_main_process:
                _report(writer, bar, progress, losses, share)
                if time.monotonic() - saved > settings.checkpoint_minutes * 60:
                    _checkpoint(settings, accelerator, generator, average, heads, optimizer, progress)
                    saved = time.monotonic()
        if accelerator.is_main_process:
            bar.close()
            writer.close()
            _checkpoint(settings, accelerator, generator, average, heads, optimizer, progress)
    if settings.pictures and accelerator.is_main_process and progress.share(settings) >= 1:  # not where the run was asked to end early
        describe(settings.out, settings.device)
    return settings.out


def _remember(prompts: Sequence[str], settings: TrainingSettings, encoder: TextEncoder) -> None:
    """Keep beside the model what it learns to read; where a phase reads nothing new, what the earlier model has read."""
    if settings.phase != "both":
        before = settings.start_from / familiarity.FILE
        if before.exists():
            replace_file(settings.out / familiarity.FILE, lambda path: shutil.copyfile(before, path))
        return
    familiarity.KnownPrompts.learn(prompts, encoder).save(settings.out)


def _learn_to_read(
    accelerator: Accelerator,
    generator: Generator,
    heads: AttributeHeads,
    pool: PromptPool,
    settings: TrainingSettings,
    stop: list[int],
) -> bool:
    """Prompts without objects: the condition learns what they say in minutes, where a step with objects shows it a handful of them.
    Returns whether it came to its end."""
    parts = [*generator.readers, heads]
    for part in parts:
        part.to(accelerator.device)
    parameters = [p for part in parts for p in part.parameters()]
    optimizer = torch.optim.AdamW(parameters, settings.learning_rate, betas=(0.9, 0.95), weight_decay=settings.weight_decay)
    bar = tqdm(range(settings.reading_steps), disable=not accelerator.is_main_process, desc="reading", mininterval=_seldom(), miniters=1)
    for step in bar:
        if accelerator.reduce(torch.tensor(float(bool(stop)), device=accelerator.device), "sum") > 0:  # all end together, as in _over
            return False
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(settings, step, step / settings.reading_steps)
        losses = reading_losses(generator, heads, pool.batch(step, 256 // accelerator.num_processes))
        settings.weights.total(losses).backward()
        for parameter in parameters:
            parameter.grad = accelerator.reduce(parameter.grad, "mean")
        optimizer.step()
        optimizer.zero_grad()
        bar.set_postfix(refresh=False, **{name: f"{float(value.detach()):.4f}" for name, value in losses.items()})
    return True


def _seldom() -> float:
    """Seconds between lines of progress: a log file keeps every one of them."""
    return 0.1 if sys.stderr.isatty() else 30.0


def check(settings: TrainingSettings) -> None:
    """Raise BadRequest where settings cannot train anything."""
    for name in ("minutes", "batch", "prompts", "prompt_pool", "learning_rate", *(["steps"] if settings.steps is not None else [])):
        if not getattr(settings, name) > 0:
            raise BadRequest(f"The setting {name.replace('_', ' ')} is {getattr(settings, name)}: it must be more than 0.")
    if settings.reading_steps < 0:
        raise BadRequest(f"The setting reading steps is {settings.reading_steps}: it cannot be less than 0.")
    if settings.phase not in PHASES:
        raise BadRequest(f"There is no phase {settings.phase!r}.", "", f"The phases are {', '.join(PHASES)}.")
    if settings.phase != "both" and settings.start_from is None:
        raise BadRequest(f"The {settings.phase} phase needs a model to go on from.", "", "Name its folder with --from.")
    if not settings.kinds:
        raise BadRequest("There are no kinds to learn.")
    pick_device(settings.device)


def _over(accelerator: Accelerator, settings: TrainingSettings, progress: Progress, stop: list[int]) -> bool:
    """Whether the run ends here. All processes decide alike, by the main one's clock and anybody's signal: one that left alone would leave
    the others waiting for its gradients, and clocks that differ would give each another learning rate."""
    asked = bool(stop)
    if accelerator.num_processes > 1:
        facts = [progress.seconds if accelerator.is_main_process else 0.0, float(asked)]
        facts = accelerator.reduce(torch.tensor(facts, dtype=torch.float64, device=accelerator.device), "sum")
        progress.seconds, asked = float(facts[0]), bool(facts[1])
    return asked or progress.share(settings) >= 1


@contextlib.contextmanager
def _stop_signal() -> Iterator[list[int]]:
    """A list that is no longer empty once the run is asked to end (Ctrl-C, SIGTERM, a closed terminal): it stops after a checkpoint."""
    asked: list[int] = []
    numbers = [number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None))]
    numbers = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]  # nohup
    if threading.current_thread() is not threading.main_thread():  # Python's own rule
        numbers = []
    before = {number: signal.signal(number, lambda number, _: asked.append(number)) for number in numbers}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _enough(sampling: Sampling, points: int) -> Sampling:
    """The sampling with clouds at least as large as the PointNet's input."""
    return replace(sampling, cloud_points=max(sampling.cloud_points, points), kept_surface=max(sampling.kept_surface, points))


def learning_rate(settings: TrainingSettings, step: int, share: float) -> float:
    """Linear warm-up by steps, then a cosine over the whole run."""
    cosine = settings.final_rate + (1 - settings.final_rate) * (1 + math.cos(math.pi * share)) / 2
    return settings.learning_rate * min(1.0, (step + 1) / settings.warmup) * cosine


def _step(
    accelerator: Accelerator, module, optimizer, data: tuple[ObjectBank, PromptPool], step: int, share: float, settings: TrainingSettings
) -> dict:
    batch, prompts = data[0].batch(step, settings.batch), data[1].batch(step, settings.prompts)
    rng = torch.Generator().manual_seed(settings.seed * 7919 + step)
    dummies = dummy_share(1.0 if settings.start_from else share, *settings.dummy)  # an earlier model is annealed already
    cloud = anneal(batch.cloud, accelerator.unwrap_model(module).generator.dummy, dummies, rng)
    with accelerator.autocast():
        losses = module(batch, cloud, prompts)
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
    bar.set_postfix(step=progress.step, **{n: f"{values[n]:.4f}" for n in ("sdf", "color", "iou") if n in values})
    bar.update(int(share * 1000) - bar.n)


def _checkpoint(
    settings: TrainingSettings,
    accelerator: Accelerator,
    generator: Generator,
    average: Generator,
    heads: AttributeHeads,
    optimizer,
    progress: Progress,
) -> None:
    """The model so far (the average, fp16) in `out`, and in out/checkpoint all that a resumption needs."""
    folder = settings.out / "checkpoint"
    parts = {"model": generator, "average": average, "heads": heads}
    state = {f"{name}.{k}": v for name, part in parts.items() for k, v in part.state_dict().items()}
    for i, moments in optimizer.state_dict()["state"].items():
        state |= {f"optimizer.{i}.{k}": torch.as_tensor(v) for k, v in moments.items()}
    # In the same file: never out of step with it.
    state["progress"] = torch.tensor([progress.step, progress.seconds, progress.read], dtype=torch.float64)
    state = {k: v.detach().cpu().clone().contiguous() for k, v in state.items()}
    replace_file(folder / "state.safetensors", lambda path: save_file(state, path, {"phase": settings.phase}))
    replace_file(folder / "progress.json", lambda path: Path(path).write_text(json.dumps(asdict(progress)) + "\n"))
    run = {
        "command": _command(settings),
        "steps": progress.step,
        "hours": round(progress.seconds / 3600, 3),
        "batch": settings.batch,
        "processes": accelerator.num_processes,
        "seed": settings.seed,
        "hardware": machine_name(),
        "torch": torch.__version__,
    }
    save_generator(average, ModelCard(settings.out.name, settings.kinds, run, things_of(settings.kinds)), settings.out)


def _command(settings: TrainingSettings) -> str:
    """What begins this run, up to its length and where it is kept."""
    options = {"preset": settings.preset, "phase": settings.phase, "kinds": ",".join(settings.kinds), "more": ",".join(settings.more),
               "from": settings.start_from and settings.start_from.name, "batch": settings.batch, "rate": settings.learning_rate,
               "reading-steps": settings.reading_steps, "seed": settings.seed}  # fmt: skip
    return "python -m core train starter " + " ".join(f"--{name} {value}" for name, value in options.items() if value not in ("", None))


def _resume(
    settings: TrainingSettings, generator: Generator, average: Generator, heads: AttributeHeads, optimizer: torch.optim.Optimizer
) -> Progress:
    """Take up the checkpoint in `settings.out`. Raises BadRequest when it is damaged or of a run with other settings."""
    path = settings.out / "checkpoint" / "state.safetensors"
    try:
        with safe_open(path, "pt") as file:
            phase = (file.metadata() or {}).get("phase", settings.phase)
        if phase != settings.phase:  # another set of weights learnt there: the optimiser's state would be given to the wrong ones
            raise ValueError(f"It is of the phase {phase}, not {settings.phase}.")
        state = load_file(path)
        for prefix, model in (("model.", generator), ("average.", average), ("heads.", heads)):
            model.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
        moments: dict[int, dict] = {}
        for key in (k for k in state if k.startswith("optimizer.")):
            _, i, name = key.split(".")
            moments.setdefault(int(i), {})[name] = state[key]
        optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
        step, seconds, read = state["progress"].tolist()
    except (OSError, SafetensorError, RuntimeError, KeyError, ValueError) as error:
        raise BadRequest(
            f"The run in {settings.out} cannot be resumed.",
            str(error).splitlines()[-1].strip(),
            "Give the preset, phase and kinds that it was begun with, or another folder.",
        ) from error
    return Progress(int(step), seconds, bool(read))


def _networks(settings: TrainingSettings) -> tuple[Generator, AttributeHeads]:
    """New ones, or those of the earlier model. Raises MissingWeights for no model, BadRequest for one that does not fit the settings."""
    start = load_generator(settings.start_from) if settings.start_from else None
    with torch.random.fork_rng():  # the first weights follow from the seed, and nobody else's random numbers change
        torch.default_generator.manual_seed(settings.seed)
        generator = Generator(_config(settings, start[0].config if start else None))
        heads = AttributeHeads(generator.config, settings.kinds)
    if start:
        _take_weights(generator, heads, *start, settings)
    return generator, heads


def _take_weights(generator: Generator, heads: AttributeHeads, model: Generator, card: ModelCard, settings: TrainingSettings) -> None:
    """Start from an earlier model; an upsampler or blocks of G that it does not have start anew, and add nothing to it at first. So do
    the heads, which no model ships with, unless the checkpoint of its run, of the same kinds, is still beside it: new ones would first pull
    at what the condition has learnt. Raises BadRequest when it has other sizes or its checkpoint is damaged."""
    if settings.phase != "both" and tuple(card.kinds) != settings.kinds:
        remedy = "Leave --kinds out; --more names those that are to be seen more often."
        raise BadRequest(f"The phase {settings.phase} goes on with the kinds of its model.", f"They are: {', '.join(card.kinds)}.", remedy)
    try:
        own = {k: v for k, v in generator.state_dict().items() if k.startswith(("upsampler.", "G.blocks."))}
        generator.load_state_dict(own | model.state_dict())
    except RuntimeError as error:
        cause = str(error).splitlines()[-1].strip()
        raise BadRequest(f"The model in {settings.start_from} does not fit the preset {settings.preset}.", cause) from error
    run = settings.start_from / "checkpoint" / "state.safetensors"
    if tuple(card.kinds) != settings.kinds or not run.exists():
        return
    try:
        learnt = {k.removeprefix("heads."): v for k, v in load_file(run).items() if k.startswith("heads.")}
    except (OSError, SafetensorError) as error:
        remedy = f"Its model is whole: delete {run.parent}, and the run starts without it."
        raise BadRequest(f"The checkpoint beside the model in {settings.start_from} is damaged.", str(error), remedy) from error
    if {k: v.shape for k, v in learnt.items()} == {k: v.shape for k, v in heads.state_dict().items()}:  # the grammar may have grown
        heads.load_state_dict(learnt)


def _config(settings: TrainingSettings, earlier: GeneratorConfig | None) -> GeneratorConfig:
    """The preset's sizes; in a phase that goes on, the earlier model's and what that phase adds to them."""
    if settings.preset not in PRESETS:
        raise BadRequest(f"There is no preset {settings.preset!r}.", "", f"Choose one of: {', '.join(PRESETS)}.")
    preset = PRESETS[settings.preset]
    if settings.phase == "both":
        return preset
    added = {"geometry": {"geometry_blocks": preset.geometry_blocks}, "upsampler": {"texture_upsampling": True}}
    return replace(earlier, **added.get(settings.phase, {}))


def _has_bf16(device: str) -> bool:
    """Whether half precision is faster than single: where the processor multiplies it itself, elsewhere it is emulated."""
    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    capabilities = torch.cpu.get_capabilities()
    return capabilities.get("avx512_bf16", False) or capabilities.get("amx_bf16", False)


def parse_kinds(text: str | None, known: Sequence[str]) -> tuple[str, ...]:
    """Kinds named with commas, all known ones when there is no text."""
    kinds = tuple(k.strip() for k in text.split(",")) if text else tuple(known)
    unknown = [k for k in kinds if k not in known]
    if unknown:
        raise BadRequest(f"Unknown kinds: {', '.join(unknown)}.", "", f"Known are: {', '.join(known)}.")
    return kinds
