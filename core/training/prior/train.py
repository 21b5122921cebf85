# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m core train-prior LIBRARY --out DIR [--depth]`: a small diffusion prior of one's own library; the same command resumes it.

DIR is a folder in the layout of diffusers, which --multiview or, of one made with --depth, --depth of `core train` and `core refine` take.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from PIL import Image, ImageDraw

from core.errors import BadRequest
from core.files import replace_file
from core.guidance.convert import write_json
from core.guidance.folder import read_config, signal_of
from core.guidance.prior import read_viewpoints
from core.guidance.prompts import SentenceText
from core.language.encoder import TextEncoder
from core.library.folder import PreparedFolder
from core.library.folder_source import FolderSource
from core.library.source import Sampling, Source
from core.library.starter.source import StarterSource
from core.library.starter.splits import trained_kinds
from core.networks.pointnet import fibonacci_sphere
from core.rendering.shading import to_bytes
from core.training.checkpoint import Checkpoint
from core.training.cli import tell
from core.training.options import add_flags, from_flags
from core.training.prior.album import Album
from core.training.prior.denoising import Denoising
from core.training.prior.folder import begin_as, controlnet, sample, unet, write_folder
from core.training.prior.settings import PriorSettings
from core.training.run import Run, Tell, accelerator_on
from core.training.settings import STARTER
from core.training.subjects import drawing_of

CHECKPOINT, START = "checkpoint/prior.safetensors", "checkpoint/start.json"
POINTS = 2048  # of the clouds, whose box holds an object
SHOWN, DENOISED = 6, 30  # prompts on a picture of samples, and steps that each takes


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m core train-prior", description=__doc__)
    parser.add_argument("library", help=f'"{STARTER}", or the folder of a prepared library')
    parser.add_argument("--out", type=Path, required=True, help="the prior's folder; what it holds is resumed")
    parser.add_argument("--depth", action="store_true", help="a prior of single pictures that is led by their depth, for texture")
    parser.add_argument("--json", action="store_true", help="print progress and the result as JSON, an object a line")
    add_flags(parser, PriorSettings)
    a = parser.parse_args(argv)
    settings = from_flags(PriorSettings, a, out=a.out, library=a.library, depth=a.depth)
    finished, facts = train_prior(settings, tell if a.json else None)
    result = {"prior": str(settings.out.absolute()), "finished": finished, **facts}
    text = f"The prior is in {settings.out}." if finished else f"Stopped; the prior so far is in {settings.out}. The same command goes on."
    print(json.dumps(result) if a.json else text, flush=True)
    return 0 if finished else 130


def train_prior(settings: PriorSettings, tell: Tell | None = None) -> tuple[bool, dict]:
    """Train, resuming what `settings.out` holds. Returns whether it is finished, and steps and hours. Raises BadRequest."""
    settings.check()
    if (known := read_viewpoints(settings.out)) and known.views != settings.views:
        cause = f"It sees {known.views} views of an object together, not {settings.views}."
        raise BadRequest(f"The prior in {settings.out} cannot be resumed.", cause, f"Give --views {known.views}, or another folder.")
    accelerator = accelerator_on(settings.device)
    if accelerator.num_processes > 1:
        raise BadRequest("A prior learns in one process.", f"There are {accelerator.num_processes}.", "Start it without a launcher.")
    encoder = TextEncoder(device=accelerator.device)
    source = source_of(settings, encoder)
    drawing = drawing_of(source, encoder, fibonacci_sphere(POINTS).to(encoder.device), settings.seed, settings.prompts)
    name = " ".join((source.name, *settings.kinds))
    start = start_of(settings)
    album = Album(
        settings.out / "album", drawing, name, settings.viewpoints, settings.size, settings.seed, start and start / "album"
    )  # fmt: skip
    text = SentenceText(encoder)
    with torch.random.fork_rng(devices=[]):  # the first weights follow from the seed
        torch.default_generator.manual_seed(settings.seed)  # the CPU's alone, as in CaptionTask
        parts = {"unet": unet(settings.size, settings.channels, encoder.width, cameras=not settings.depth)}
        if start and not (settings.out / CHECKPOINT).exists():
            begin_as(parts["unet"], start)
        if settings.depth:
            parts["controlnet"] = controlnet(parts["unet"], alike=start is not None)
    write_folder({}, settings.out, encoder, settings.viewpoints)
    if not (settings.out / CHECKPOINT).exists():
        write_json({"from": start and str(start.resolve())}, settings.out / START)
    stage = Denoising(settings.learning, parts, album, text, signal_of(settings.out)[0], settings.seed, settings.blocks)
    identity = {"library": name, "depth": settings.depth, "size": settings.size, "widths": settings.widths, "seed": settings.seed}
    facts: dict = {}

    def keep(kept: dict, told: dict) -> Path:
        parameters = sum(p.numel() for part in kept.values() for p in part.parameters())
        facts.update({"steps": told["steps"], "hours": told["hours"], "parameters": parameters})
        write_folder(kept, settings.out, encoder, settings.viewpoints)
        path = settings.out / "previews" / f"{told['steps']:06}.png"
        write_samples(kept, album, text, path)
        if tell:
            tell({"event": "preview", "picture": str(path.absolute())})
        return path

    checkpoint = Checkpoint(settings.out / CHECKPOINT, identity)
    run = Run(stage, accelerator, checkpoint, settings.checkpoint_minutes, keep, settings.out / "tensorboard", tell)
    return run.go(), facts


def start_of(settings: PriorSettings) -> Path | None:
    """The prior to begin from. Raises BadRequest where `settings.out` holds one that was begun from another."""
    start, said = settings.start_from and Path(settings.start_from).expanduser(), settings.out / START
    if start and (settings.out / CHECKPOINT).exists() and said.is_file():
        before = read_config(settings.out, ".", START).get("from")
        if before != str(start.resolve()):
            remedy = f"Give --from {before}, or leave it out" if before else "Leave --from out"
            cause = f"It was begun from {before or 'nothing'}, not from {start}."
            raise BadRequest(f"The prior in {settings.out} cannot be resumed.", cause, f"{remedy}, or name another --out.")
    return start


def source_of(settings: PriorSettings, encoder: TextEncoder) -> Source:
    """What a prior learns from. Raises BadRequest where a folder is not prepared, or has no shape."""
    if settings.library == STARTER:
        return StarterSource(settings.kinds or trained_kinds(), encoder, Sampling(), settings.seed, encoder.device)
    folder = PreparedFolder.open(Path(settings.library))
    if not any(prompt.shape for prompt in folder.prompts("train")):
        remedy = "Name shapes in prompts.csv, and prepare the library."
        raise BadRequest(f"{settings.library} has no prompt with a shape to learn from.", "", remedy)
    return FolderSource(folder, encoder, Sampling(), settings.seed, encoder.device)


def write_samples(parts: dict, album: Album, text: SentenceText, path: Path) -> None:
    """A PNG: for some prompts, above an exact object, below what the prior makes of the prompt, from the same sides."""
    shots = album.read([(i, 3 * i) for i in range(SHOWN)])
    size, (objects, views) = shots.images.shape[-1], shots.images.shape[:2]
    lead = shots.cameras
    if "controlnet" in parts:
        from core.guidance.depth import depth_hint

        lead = depth_hint(shots.depth.flatten(0, 1), size).unflatten(0, (objects, views))
    made = sample(parts, text(shots.prompts), text([""]), lead, steps=DENOISED)
    zoom, line = max(1, 96 // size), 14
    rows = torch.stack((shots.images, made), 1)  # [B, 2, V, 3, S, S]
    tiles = rows.permute(0, 1, 4, 2, 5, 3).reshape(objects, 2 * size, views * size, 3)
    width, height = views * size * zoom, 2 * size * zoom + line
    sheet = Image.new("RGB", (2 * width, -(-objects // 2) * height), "white")
    for i, tile in enumerate(tiles):
        left, top = i % 2 * width, i // 2 * height
        picture = Image.fromarray(to_bytes(tile).numpy()).resize((width, height - line), Image.Resampling.NEAREST)
        sheet.paste(picture, (left, top))
        ImageDraw.Draw(sheet).text((left + 2, top + height - line), shots.prompts[i], fill="black")
    replace_file(path, lambda name: sheet.save(name, format="PNG"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
