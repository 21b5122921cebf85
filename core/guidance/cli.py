# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m core guidance check DIR`: load a diffusion prior, run one step of it, and say what it is, what it needs and how fast it is."""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch

from core.device import pick_device
from core.errors import BadRequest, EngineError
from core.guidance.depth import DepthGuidance, ImageGuidance
from core.guidance.estimate import Prior, plan_training
from core.guidance.folder import KINDS, find_folder, go_offline, kind_of, pick_dtype
from core.guidance.multiview import MultiviewGuidance, views_of
from core.guidance.prior import PriorGuidance
from core.guidance.prompts import can_read, negative_of, text_of
from core.guidance.sds import Text

PROMPT = "a wooden chair"
DTYPES = ("auto", "float32", "bfloat16", "float16")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m core guidance", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser("check", help="load a prior, run one denoising step, print what it is and needs")
    check.set_defaults(run=_check)
    plan = commands.add_parser("plan", help="say what a training with a prior will need; loads no weights")
    plan.add_argument("--steps", type=int, default=50_000, help="of the training (50000)")
    plan.add_argument("--at-once", type=int, default=0, help="objects that the prior sees at once (0: all of the batch)")
    plan.set_defaults(run=_plan)
    for command in (check, plan):
        command.add_argument("prior", metavar="DIR", help="a folder in the layout of diffusers, or a hub id")
        command.add_argument("--controlnet", help="a folder with a depth ControlNet (default: controlnet/ in DIR, where there is one)")
        command.add_argument("--device", default="auto", help="auto, cpu, cuda …")
        command.add_argument("--dtype", default="auto", choices=DTYPES, help="number format (auto: half of the bits on a GPU)")
        command.add_argument("--batch", type=int, default=1 if command is check else 8, help="objects a step")
        command.add_argument("--download", action="store_true", help="fetch a hub id that is not on this machine")
        command.add_argument("--json", action="store_true", help="print JSON")
    return (a := parser.parse_args(argv)).run(a)


def _check(a: argparse.Namespace) -> int:
    guidance, folder = _load(a)
    result = check_prior(guidance, folder, _natural(a.batch, "objects"))
    print(json.dumps(result) if a.json else "\n".join(f"{name:20} {_shown(value)}" for name, value in result.items()))
    return 0


def _plan(a: argparse.Namespace) -> int:
    kind, folder, more = _kind(a)
    device = pick_device(a.device)
    views = views_of(folder) if kind is MultiviewGuidance else 1
    prior = Prior(kind, folder, views, 256 if views > 1 else 512, more)
    steps, batch = _natural(a.steps, "steps"), _natural(a.batch, "objects")
    plan = plan_training([prior], batch=batch, steps=steps, device=device, dtype=pick_dtype(a.dtype, device), at_once=max(a.at_once, 0))
    text = f"{a.prior}, {batch} objects a step, {steps} steps on {device}, the prior alone: {plan}."
    print(json.dumps(asdict(plan) | {"fits": plan.fits}) if a.json else text)
    return 0


def _load(a: argparse.Namespace) -> tuple[PriorGuidance, Path]:
    kind, folder, more = _kind(a)
    device = pick_device(a.device)
    return kind.load(folder, device, pick_dtype(a.dtype, device), **more), folder


def _kind(a: argparse.Namespace) -> tuple[type[PriorGuidance], Path, dict]:
    """The kind of guidance that a folder is for, the folder, and what its `load` wants beside."""
    if not a.download:
        go_offline()
    folder = find_folder(a.prior, download=a.download)
    found = kind_of(folder)
    if found == "multiview":
        if a.controlnet:
            raise BadRequest(f"{a.prior} is a multi-view prior.", "A ControlNet goes with a prior of single pictures.", "Leave it out.")
        return MultiviewGuidance, folder, {}
    if a.controlnet:
        return DepthGuidance, folder, {"controlnet": Path(a.controlnet).expanduser()}
    return (DepthGuidance if found == "depth" else ImageGuidance), folder, {}


def check_prior(guidance: PriorGuidance, folder: Path, objects: int = 1) -> dict:
    """One denoising step and one distillation step of a prior with random pictures. Raises EngineError where it gives no numbers."""
    device, views, sizes = guidance.device, guidance.views or 1, guidance.sizes
    text, read = _read(guidance, folder, objects)
    cameras = example_cameras(objects, views)
    generator = torch.Generator().manual_seed(0)
    noisy = torch.randn(objects * views, sizes.channels, sizes.size, sizes.size, generator=generator).to(device)
    times = torch.full((objects * views,), len(guidance.signal) // 2, device=device)
    images = torch.rand(objects * views, 3, sizes.image, sizes.image, generator=generator).to(device).requires_grad_()
    depth = torch.ones(objects * views, 1, sizes.image, sizes.image, device=device)
    with torch.no_grad():
        denoise_ms, (noise, _) = _timed(device, lambda: guidance.predict(noisy, times, text, cameras, depth))

    def distil() -> torch.Tensor:
        loss, _ = guidance.loss(images, text, cameras, 0.5, generator=generator, depth=depth)
        return torch.autograd.grad(loss, images)[0]

    distil_ms, gradient = _timed(device, distil)
    if not (noise.isfinite().all() and gradient.isfinite().all()):
        raise EngineError(
            "internal", f"The prior in {folder} gives no numbers.", f"In {guidance.dtype}.", "Try --dtype float32 or bfloat16."
        )
    kind = {MultiviewGuidance: "multiview", DepthGuidance: "depth"}.get(type(guidance), "image")
    parameters = {name: sum(p.numel() for p in module.parameters()) for name, module in guidance.modules().items()}
    return {
        "folder": str(folder), "kind": kind, "is": KINDS[kind], "predicts": guidance.predicts, "views": views,
        "image": [3, sizes.image, sizes.image], "latents": [sizes.channels, sizes.size, sizes.size], "text": [*text.prompt.shape[1:]],
        "text_encoder": read, "parameters": parameters, "noise": [*noise.shape],
        "dtype": str(guidance.dtype).removeprefix("torch."), "device": str(device),
        "memory_mb": round(_memory(device) / 2**20), "denoise_ms": round(denoise_ms, 1), "distil_ms": round(distil_ms, 1),
    }  # fmt: skip


def _read(guidance: PriorGuidance, folder: Path, objects: int) -> tuple[Text, str]:
    """The embeddings of a prompt, by the prior's own encoder where the folder has all of it, else random ones; and which."""
    if can_read(folder):
        prompt, negative = text_of(folder, guidance.device, guidance.dtype)([PROMPT, negative_of(folder)]).split(1)
        return Text(prompt.repeat(objects, 1, 1), negative), f"reads {PROMPT!r}"
    made = torch.randn(2, objects, 77, guidance.sizes.text, generator=torch.Generator().manual_seed(0))
    return Text(made[0], made[1]), "missing: random embeddings stand in for a prompt"


def example_cameras(objects: int, views: int) -> torch.Tensor:
    """Camera-to-world [B, V, 4, 4] on a level circle, the first one on +x."""
    angles = torch.arange(views) * (2 * torch.pi / views)
    zero, one = torch.zeros(views), torch.ones(views)
    columns = [
        torch.stack([-angles.sin(), angles.cos(), zero], -1),  # right
        torch.stack([zero, zero, one], -1),  # up
        torch.stack([angles.cos(), angles.sin(), zero], -1),  # backward
    ]
    matrices = torch.eye(4).repeat(views, 1, 1)
    matrices[:, :3, :3], matrices[:, :3, 3] = torch.stack(columns, -1), 2 * columns[2]
    return matrices.repeat(objects, 1, 1, 1)


def _timed(device: torch.device, work) -> tuple[float, object]:
    """Milliseconds of the second call, and what it gave; the first one warms up, on a GPU."""

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    if device.type == "cuda":
        work()
    wait()
    begun = time.perf_counter()
    out = work()
    wait()
    return 1000 * (time.perf_counter() - begun), out


def _memory(device: torch.device) -> int:
    """The most bytes that this process has had: on the GPU, or of the machine's memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _natural(number: int, what: str) -> int:
    if number < 1:
        raise BadRequest(f"{number} {what} are none.", "", "Give 1 or more.")
    return number


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {count / 1e6:.2f} M" for name, count in value.items())
    return " × ".join(map(str, value)) if isinstance(value, list) else str(value)
