# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage 2 on the amortised stage 1 of score_distillation.py: what a prior that is led by depth, and the upsampler, do for colours.

    python -m core train-prior starter --depth --from PRIOR … --out DEPTH
    python docs/experiments/stage_two.py PRIOR DEPTH --from FOLDER/sharp --out OTHER [ARM ...]

Every arm begins at the same stage 1, whose shapes stay as they are, and takes the same number of steps; measured beside it is stage 1
as it was. What is finished stays in OTHER, the same command goes on where it was interrupted. `prior` looks at DEPTH itself.
"""

import argparse
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from score_distillation import (
    COLORS,
    NAMES,
    SEEN_AT,
    SIDES,
    WEIGHTS,
    Domain,
    compared,
    exact_pictures,
    groups,
    page,
    sheet,
    spread,
)  # fmt: skip

from core.files import replace_file
from core.guidance.depth import DepthGuidance, depth_hint
from core.guidance.multiview import MultiviewGuidance
from core.guidance.prompts import EmbeddingCache, text_of
from core.guidance.sds import Distillation
from core.language.encoder import TextEncoder
from core.library.starter.objects import ExactObjects
from core.networks.generator import Fields, Generator
from core.networks.pointnet import fibonacci_sphere
from core.networks.presets import PRESETS
from core.rendering.cameras import Views
from core.rendering.deferred import render_surfaces
from core.training.checkpoint import Checkpoint
from core.training.prior.album import GROUND, pictures
from core.training.prior.folder import sample
from core.training.run import Run, accelerator_on
from core.training.stages.texture import Teacher, Texture, TextureSettings
from core.training.views import base_color, surface_of

CELLS = 32  # a side of the grid that surfaces are made on
OTHER = 0.15  # from the colour that most of an object has, to that of a part which has one of its own, mean |Δ| of sRGB
TOLD = ("color_error", "color_made", "parts_error", "picture_error", "color_right", "sides_right", "variety")


@dataclass(frozen=True)
class Arm:
    """title: what is changed; depth, views: weight of the prior that is led by depth, and of the multi-view one; fine: the upsampler;
    scale: of the guidance, as a share of --scale."""

    title: str
    depth: float = 0.0
    views: float = 0.0
    fine: bool = True
    scale: float = 1.0


ARMS = {
    "before": Arm("stage 1 as it is"),
    "depth": Arm("stage 2: led by depth, upsampler", depth=1.0),
    "coarse": Arm("the same without the upsampler", depth=1.0, fine=False),
    "both": Arm("stage 2 with the multi-view prior beside it, weight 1", depth=1.0, views=1.0),
    "mild": Arm("stage 2 with a third of the guidance's scale", depth=1.0, scale=1 / 3),
    "views": Arm("on the same surfaces, the multi-view prior alone", views=1.0),
}
PRIOR = "prior"
LOOKS = (  # at it: scale of the guidance, how many rows the depths are moved by, how much they lead
    ("led", 3.0, 0, 1), ("no lead", 3.0, 0, 0), ("another kind's depth", 3.0, 4, 1),
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prior", type=Path)
    parser.add_argument("depth", type=Path)
    parser.add_argument("arms", nargs="*", metavar="ARM", help=f"{', '.join((PRIOR, *ARMS))} (all, one after the other)")
    parser.add_argument("--from", type=Path, required=True, dest="start", help="the folder of an arm of score_distillation.py")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=200, help="of four objects, an arm")
    parser.add_argument("--scale", type=float, default=3.0, help="of the guidance")
    parser.add_argument("--rate", type=float, default=1e-3)
    a = parser.parse_intermixed_args()
    torch.set_num_threads(1)
    encoder = TextEncoder(device="cpu")
    domain = Domain(encoder, fibonacci_sphere(PRESETS["tiny"].points), NAMES)
    for name in a.arms or (PRIOR, *ARMS):
        if name not in (PRIOR, *ARMS):
            parser.error(f"There is no arm {name!r}.")
        look_at_prior(domain, a) if name == PRIOR else run(name, domain, a)
    print(table(a.out))
    return 0


def run(name: str, domain: Domain, a: argparse.Namespace) -> None:
    """Train one arm, resuming what there is of it, and measure it."""
    arm, out, seconds = ARMS[name], a.out / name, 0.0
    if (out / "rows.json").exists():
        return
    torch.manual_seed(0)
    generator = Generator(PRESETS["tiny"])
    generator.load_state_dict(load_file(a.start / WEIGHTS))
    if arm.depth or arm.views:
        stage = stage_of(arm, domain, generator, a)
        state = Checkpoint(out / "checkpoint.safetensors", {"arm": name, "steps": a.steps, "scale": a.scale, "rate": a.rate})
        learning = Run(stage, accelerator_on("cpu"), state, logs=out / "tensorboard")
        if not learning.go():
            sys.exit(130)
        seconds = learning.progress.seconds
        replace_file(out / WEIGHTS, lambda path: save_file({k: v.contiguous() for k, v in generator.state_dict().items()}, path))
    rows = measure(generator, domain, exact_pictures(domain, a.out), out / "sheet.png")
    text = json.dumps({"title": arm.title, "steps": a.steps, "scale": a.scale, "seconds": round(seconds), "rows": rows})
    replace_file(out / "rows.json", lambda path: Path(path).write_text(text))


def stage_of(arm: Arm, domain: Domain, generator: Generator, a: argparse.Namespace) -> Texture:
    how, teachers = Distillation(loss="x0", scale=a.scale * arm.scale, rescale=0.0), []
    for kind, folder, weight in ((DepthGuidance, a.depth, arm.depth), (MultiviewGuidance, a.prior, arm.views)):
        if weight:
            texts = EmbeddingCache.build(a.out / "texts", folder, domain.prompts)
            teachers.append(Teacher(kind.load(folder, "cpu", settings=how), texts, weight))
    settings = TextureSettings(batch=4, rate=a.rate, size=16, average=0.0, steps=a.steps, views=4, cells=CELLS, real=0.0, warmup=20)
    stage = Texture(settings, generator, teachers, domain, seed=0)
    if not arm.fine:
        generator.upsampler, generator.config = None, replace(generator.config, texture_upsampling=False)
    return stage


@torch.no_grad()
def measure(generator: Generator, domain: Domain, exact: Tensor, sheet_at: Path) -> list[dict]:
    """A row of figures for each prompt; see the page beside this script."""
    rows, shown = [], []
    for start in range(0, len(domain.prompts), len(COLORS)):  # one shape at a time
        some = list(range(start, start + len(COLORS)))
        of = domain.subjects(some)
        fields = generator(of.tokens, of.mask, of.z)
        on = domain.clouds[domain.shape_of[some], :, :3]
        wanted = of.color(on)
        apart = (generator.texture(fields.texture, fields.condition, on)[..., :3] - wanted).abs().mean(-1)  # [b, points]
        own = (wanted - wanted.median(1, keepdim=True).values).abs().mean(-1) > OTHER
        surfaces = [surface_of(generator, fields[i], CELLS) for i in range(len(some))]
        seen = pictured(generator, fields, surfaces)
        for i, n in enumerate(some):
            d, points = domain.descriptions[n], surfaces[i].vertices[None].float()
            made = generator.texture(fields.texture[i : i + 1], fields.condition[i : i + 1], points)[..., :3]
            truth = ExactObjects([d], torch.zeros(1, 8)).appearance(points)[..., :3]
            row = {
                "prompt": domain.prompts[n], "kind": d.kind, "seen": n not in domain.unseen, "shapeless": False,
                "color_error": float(apart[i].mean()), "color_made": float((made - truth).abs().mean()),
            }  # fmt: skip
            if own[i].any():
                row["parts_error"] = float(apart[i][own[i]].mean())
            if n in domain.plain:
                row |= recognised(seen[i], exact, domain.plain.index(n), d.kind)
            rows.append(row)
        if set(some) <= set(domain.plain):
            shown.append(seen)
    sheet(torch.cat(shown), exact, [domain.prompts[n] for n in domain.plain], sheet_at)
    return rows


def pictured(generator: Generator, fields: Fields, surfaces: list) -> Tensor:
    """Pictures [B, 4, 3, S, S] of surfaces from the four sides."""
    views = Views(*(t.expand(len(surfaces), -1) for t in vars(SIDES).values()))
    made = render_surfaces(
        surfaces, lambda points: base_color(generator, fields.texture, fields.condition, points), views, (SEEN_AT, SEEN_AT),
        background=torch.full((3,), GROUND),
    )  # fmt: skip
    return made.color.movedim(-1, 2).float()


def recognised(made: Tensor, exact: Tensor, own: int, kind: str) -> dict[str, float]:
    """Of four pictures [4, 3, S, S]: how far they are from the exact ones, where both show something; whether those of its colour are
    the nearest of its kind's; and what score_distillation.py tells of sides."""
    full, kinds = [(p - GROUND).abs().amax(1) > 0.06 for p in (made, exact[own])], exact.unflatten(0, (len(NAMES), -1))
    both = (full[0] & full[1])[:, None].expand_as(made)
    nearest = (kinds[own // len(COLORS)] - made).abs().mean((1, 2, 3, 4)).argmin()
    told = {"picture_error": float((made - exact[own]).abs()[both].mean()), "color_right": float(nearest == own % len(COLORS))}
    return told | compared(made, full[0], exact[own], kind)


@torch.no_grad()
def look_at_prior(domain: Domain, a: argparse.Namespace, steps: int = 15) -> None:
    """Pictures of four colours of each kind, led by the depth of the exact object; and by that of another kind's."""
    path = a.out / "prior.json"
    if path.exists():
        return
    classes = {"unet": UNet2DConditionModel, "controlnet": ControlNetModel}
    parts = {name: kind.from_pretrained(a.depth / name).float().eval() for name, kind in classes.items()}
    size, text = parts["unet"].config.sample_size, text_of(a.depth, torch.device("cpu"))
    exact = exact_pictures(domain, a.out, size)
    rows = torch.arange(len(exact)).unflatten(0, (len(NAMES), -1))[:, ::3].flatten()  # four colours of each kind
    prompts, depth = [domain.prompts[domain.plain[n]] for n in rows], []
    for n in rows[::4].tolist():  # a shape's colours have one depth
        one = domain.subjects([domain.plain[n]])
        one = replace(one, distance=ExactObjects(domain.described(one.prompts), one.z).sdf)
        depth.append(pictures(one, SIDES, size)[1].repeat_interleave(4, 0))
    depth, read, nothing = torch.cat(depth), text(prompts), text([""])  # [M, 4, 1, S, S]
    lines = {}
    for name, scale, moved, lead in LOOKS:
        given = depth.roll(moved, 0)
        hints = lead * depth_hint(given.flatten(0, 1), size).unflatten(0, (-1, 4))
        made = torch.cat([sample(parts, r, nothing, h, steps=steps, scale=scale, seed=i)
                          for i, (r, h) in enumerate(zip(read.split(8), hints.split(8), strict=True))])  # fmt: skip
        lines[name] = told_of(made, given, exact, rows, rows.roll(moved, 0))
        half = slice(None, None, 2)
        page(list(zip(exact[rows][half], made[half], prompts[half], strict=True)), a.out / f"prior {name}.png")
        print(name, lines[name], flush=True)
    replace_file(path, lambda file: Path(file).write_text(json.dumps(lines, indent=1)))


def told_of(made: Tensor, depth: Tensor, exact: Tensor, own: Tensor, shapes: Tensor) -> dict[str, str]:
    """made, depth: [M, 4, …]; exact: of all plain prompts; own, shapes [M]: the prompt, and the plain prompt whose depth leads."""
    kinds, masks, there = exact.unflatten(0, (len(NAMES), -1)), (made - GROUND).abs().amax(2) > 0.1, depth[:, :, 0] > 0
    iou = (masks & there).sum((1, 2, 3)) / (masks | there).sum((1, 2, 3)).clamp(min=1)
    led = kinds[shapes // len(COLORS)]  # [M, colours, 4, 3, S, S]: the depth's kind in every colour
    color = ((led - made[:, None]).abs().mean((2, 3, 4, 5)).argmin(1) == own % len(COLORS)).float()
    nearest = torch.cdist(made.flatten(1), exact.flatten(1), p=1).argmin(1) // len(COLORS)
    wanted = led[torch.arange(len(own)), own % len(COLORS)]
    error = (made - wanted).abs().mean(2)[there].split(there.sum((1, 2, 3)).tolist())
    figures = {
        "outline": iou, "color": color, "kind of the prompt": (nearest == own // len(COLORS)).float(),
        "kind of the depth": (nearest == shapes // len(COLORS)).float(), "error": torch.stack([e.mean() for e in error]),
    }  # fmt: skip
    return {name: spread(values.tolist()) for name, values in figures.items()}


def table(out: Path) -> str:
    """Markdown: means over prompts with 95 % bootstrap intervals; the differences are those of the same prompts' colour errors, exact
    and made, from stage 1's."""
    told = {name: json.loads((out / name / "rows.json").read_text()) for name in ARMS if (out / name / "rows.json").exists()}
    first = {row["prompt"]: row for row in told.get("before", {"rows": ()})["rows"]}
    lines = ["| arm | prompts | " + " | ".join(TOLD) + " | color_error − before | color_made − before |", "|" + "---|" * (len(TOLD) + 4)]
    for name, of in told.items():
        for group, rows in groups(name, of["rows"]).items():
            cells = [spread([row[figure] for row in rows if figure in row]) for figure in TOLD]
            for figure in ("color_error", "color_made"):
                apart = [row[figure] - first[row["prompt"]][figure] for row in rows] if first and name != "before" else []
                cells.append(spread(apart, "+"))
            lines.append(f"| {of['title']} | {group}, {len(rows)} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
