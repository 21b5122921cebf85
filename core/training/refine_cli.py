# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m core refine MODEL PROMPT --depth DIR --out FILE.glb`: make one object better by a diffusion prior; the same command resumes.

Beside the mesh lies FILE.planes.safetensors: with --planes, the object is made again from it, in any detail, without a prior.
"""

import argparse
import json
import re
import sys
import time
from pathlib import Path

from core.errors import BadRequest, Cancelled
from core.limits import DETAILS
from core.training.options import add_flags, check_limits, from_flags


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m core refine", description=__doc__)
    parser.add_argument("model", type=Path, help="folder of a trained model")
    parser.add_argument("prompt", nargs="?", help="what to make")
    parser.add_argument("--out", type=Path, required=True, help="the mesh, a .glb")
    parser.add_argument("--depth", help="folder of a prior with a depth ControlNet: teaches the texture")
    parser.add_argument("--controlnet", type=Path, help="folder of the ControlNet, where it is not in that of --depth")
    parser.add_argument("--multiview", help="folder of a multi-view prior: teaches shape and texture")
    parser.add_argument("--planes", type=Path, help="make an object again from the planes that a refinement has kept")
    parser.add_argument("--seed", type=int, default=0, help="of the object (0: the typical one)")
    about = "what shaped the object beside: a message of the wire with style, blend, adherence and the array cloud, or earlier planes"
    parser.add_argument("--start", type=Path, help=about)
    parser.add_argument("--detail", default="standard", choices=tuple(DETAILS))
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda …")
    parser.add_argument(
        "--prior-dtype", default="auto", choices=("auto", "float32", "bfloat16", "float16"), help="the priors' number format"
    )
    parser.add_argument("--json", action="store_true", help="print progress and the result as JSON, an object a line")
    from core.training.refine import RefineSettings

    add_flags(parser, RefineSettings)
    a = parser.parse_args(argv)
    settings = from_flags(RefineSettings, a)
    check_limits(settings)
    if a.out.suffix.lower() != ".glb":
        raise BadRequest(f"{a.out} is no .glb.", "", "Give --out a name that ends in .glb.")
    if bool(a.planes) == bool(a.prompt):
        raise BadRequest("What to make is not clear.", "", "Give a prompt to refine, or --planes to make an object again.")
    from core.files import replace_file
    from core.networks.refined import Refined
    from core.pipeline import Latte3DPipeline

    pipeline = Latte3DPipeline.from_pretrained(a.model, a.device)
    try:
        refined = Refined.load(a.planes, pipeline.model_id, pipeline.device) if a.planes else _refined(a, settings, pipeline)
    except Cancelled:
        print("Stopped; the same command goes on from here.", file=sys.stderr)
        return 130
    data = mesh_of(refined, pipeline, a.detail).to_glb()
    replace_file(a.out, lambda name: Path(name).write_bytes(data))
    checkpoint_of(a.out).unlink(missing_ok=True)
    result = {"mesh": str(a.out.absolute()), "planes": str((a.planes or planes_of(a.out)).absolute()), **refined.facts}
    print(json.dumps(result) if a.json else f"{a.out}; its planes are in {result['planes']}.", flush=True)
    return 0


def mesh_of(refined, pipeline, detail: str):
    """A refined object as a mesh. Raises EmptySurface."""
    return pipeline([refined.facts["prompt"]], seeds=refined.facts["seed"], planes=refined.fields, detail=detail)[0]


def planes_of(out: Path) -> Path:
    from core.networks.refined import SUFFIX

    return out.with_suffix(SUFFIX)


def checkpoint_of(out: Path) -> Path:
    return out.with_suffix(".checkpoint.safetensors")


def previews_of(out: Path) -> set[Path]:
    """Pictures of an object on its way: one name a step, so that a new one is not taken for the one before."""
    return {path for path in out.parent.glob("*.png") if re.fullmatch(re.escape(out.stem) + r"\.preview-\d{6,}\.png", path.name)}


def _refined(a: argparse.Namespace, settings, pipeline):
    """Refine, with progress, pictures on the way, and the planes kept."""
    from core.guidance.depth import DepthGuidance
    from core.guidance.folder import find_folder, go_offline, pick_dtype
    from core.guidance.multiview import MultiviewGuidance
    from core.guidance.prompts import negative_of, text_of
    from core.guidance.sds import Text
    from core.limits import check_prompt
    from core.training.refine import refine
    from core.training.refine_start import Start

    go_offline()
    start = Start.load(a.start) if a.start else Start()
    prompt, dtype = check_prompt(a.prompt), pick_dtype(a.prior_dtype, pipeline.device)

    def prior(kind, name: str, **more):
        folder = find_folder(name)
        texts = [prompt, negative_of(folder)]
        text = Text(*text_of(folder, pipeline.device, dtype)(texts).split(1))  # the encoder goes before the prior comes
        return kind.load(folder, pipeline.device, dtype, **more), text

    taught = {}
    if a.multiview:
        taught["multiview"] = prior(MultiviewGuidance, a.multiview)
    if a.depth:
        taught["depth"] = prior(DepthGuidance, a.depth, **({"controlnet": a.controlnet} if a.controlnet else {}))

    begun: list[tuple[float, int]] = []

    def progress(stage: str, done: int, total: int) -> None:
        """Each step is told: one may take a minute."""
        begun[:] = begun or [(time.monotonic(), done)]
        since, first = begun[0]
        left = (time.monotonic() - since) / (done - first) * (total - done) if done > first else None
        tell({"event": "progress", "stage": stage, "done": done, "total": total, "eta_s": left and round(left, 1)})

    def tell(event: dict) -> None:
        if a.json:
            print(json.dumps(event), flush=True)
        else:
            print(f"{event['stage']}: {event['done']:.0f} of {event['total']:.0f} steps", file=sys.stderr, flush=True)

    def preview(so_far) -> None:
        path = a.out.with_suffix(f".preview-{so_far.facts['steps']:06}.png")
        picture(so_far, pipeline, path)
        for earlier in previews_of(a.out) - {path}:
            earlier.unlink(missing_ok=True)
        if a.json and path.exists():
            print(json.dumps({"event": "preview", "picture": str(path.absolute())}), flush=True)

    refined = refine(
        pipeline, prompt, settings=settings, seed=a.seed, start=start, progress=progress if a.json else None, tell=tell, preview=preview,
        checkpoint=checkpoint_of(a.out), **taught,
    )  # fmt: skip
    refined.save(planes_of(a.out))
    return refined


def picture(refined, pipeline, path: Path, side: int = 256) -> None:
    """A PNG of an object so far, on nothing; none where it has no surface."""
    from core.errors import EmptySurface
    from core.files import replace_file
    from core.rendering.mesh_pictures import draw, encode

    try:
        png = encode(draw(mesh_of(refined, pipeline, "draft"), side, 2))
    except EmptySurface:
        return
    replace_file(path, lambda name: Path(name).write_bytes(png))
