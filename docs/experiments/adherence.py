# SPDX-License-Identifier: GPL-3.0-or-later
"""How much should a shape weigh that does not quite fit its prompt? α against the distance of prompt and shape, on exact objects.

    python docs/experiments/adherence.py PRIOR --models ARMS --out FOLDER [PART ...]

Prompts, prior and measures are those of score_distillation.py. Each prompt can be given four shapes: its own; one of its kind in another
proportion and style; one of another kind of its family ("a cat": a penguin); one of another family. Parts:
- signals: what could tell how far a shape is from its prompt, for all pairs: the cosine of the prompt and of the shape's caption, and how
  the outlines of what the prior draws for the prompt, from four sides, overlap with the shape's; against the true IoU.
- given: the arm "lacking" of score_distillation.py (ARMS: its FOLDER) is given these shapes at several α, as a user would.
- arms: the arm "sharp", which has never seen a shape, goes on for equal steps on a library in which a quarter of the shapes lies at each
  distance; each arm with another α.
What is finished stays in FOLDER; the same command goes on where it was interrupted. At the end tables are printed and curves drawn.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from safetensors.torch import load_file, save_file
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from score_distillation import COLORS, NAMES, PROPORTIONS, SIDES, WEIGHTS, Arm, Domain, centres, distance_of, spread, stages

from core.files import replace_file
from core.frame import STYLE_SIZE
from core.guidance.prompts import text_of
from core.language.encoder import TextEncoder
from core.library.starter.grammar import word
from core.library.starter.objects import Description, ExactObjects
from core.networks.generator import Generator
from core.networks.presets import PRESETS
from core.training.checkpoint import Checkpoint
from core.training.fit import meanings
from core.training.prior.album import GROUND, pictures
from core.training.prior.folder import sample
from core.training.run import Run, accelerator_on
from core.training.stages.geometry import Geometry, GeometryBatch
from core.training.subjects import Subjects

LEVELS = ("own", "kind", "family", "other")
TITLES = ("its own", "another of its kind", "of its family", "of another family")
MATES = {"cat": "penguin", "duck": "snowman", "teddy": "robot", "car": "truck", "chair": "stool", "mug": "bucket", "mushroom": "tree",
         "rocket": "airplane"}  # fmt: skip   of the same family each, none of them a kind of the prompts
FAR = 3  # a shape of another family is the mate of the kind so many places on
MOST = 0.9  # of α
ASKED = (0.0, 0.3, 0.6, 0.9, 1.0)  # α that a finished model is given shapes with
ASKED_OF, START = "lacking", "sharp"  # arms of score_distillation.py
ON = {"sharpness": (150.0, 300.0), "anneal_from": 0.0, "warmup": 10}  # for what goes on with a model; half of all looks with the dummy
LOWER = {"t_max": (0.8, 0.5), "t_min": (0.3, 0.02)}
SOME = (0, 4, 7, 10)  # colours of each shape whose prompts are asked there
DRAWN_IN = 15  # steps of DDIM of a prior's picture


@dataclass(frozen=True)
class Weighing:
    """title; fixed: α of all prompts; signal: α follows it; neither: α is drawn, as Geometry does."""

    title: str
    fixed: float | None = None
    signal: str = ""
    more: dict = field(default_factory=dict)  # of GeometrySettings


ARMS = {
    "fixed-9": Weighing("α = 0.9", 0.9),
    "fixed-0": Weighing("α = 0", 0.0),
    "texts": Weighing("α by the texts", signal="texts"),
    "fixed-45": Weighing("α = 0.45", 0.45),
    "drawn": Weighing("α drawn from 0 … 0.9"),
    "outlines": Weighing("α by the prior's outlines", signal="outlines"),
    "texts-1": Weighing("α by the texts, L_reg weighs 1", signal="texts", more={"regularise": 1.0}),
}


class Library(Domain):
    """The prompts, each with a shape at some distance. given [shapes of prompts · levels]: descriptions and styles of all that can be;
    level [prompts]: which distance each is at, by kind and proportion, so that each is a quarter."""

    def __init__(self, encoder: TextEncoder, dummy: Tensor):
        super().__init__(encoder, dummy)
        rng = torch.Generator().manual_seed(5)
        self.given = [self.partner(shape, level) for shape in self.shapes for level in LEVELS]
        styles = torch.randn(len(self.given), STYLE_SIZE, generator=rng)
        styles *= torch.tensor([level == "kind" for _ in self.shapes for level in LEVELS])[:, None]
        self.objects_given = ExactObjects(self.given, styles)
        self.captions = [word(d) for d in self.given]
        parts = [ExactObjects([d], z[None]) for d, z in zip(self.given, styles, strict=True)]
        self.clouds_given = torch.cat([torch.cat(o.sample_surface(len(dummy), torch.Generator().manual_seed(2)), -1) for o in parts])
        self.grids_given = torch.stack([self._grid(o) for o in parts])
        levels = [(NAMES.index(s.kind) + PROPORTIONS.index(s.proportion)) % len(LEVELS) for s in self.shapes]
        self.level = torch.tensor(levels)[self.shape_of]

    @staticmethod
    def partner(shape: Description, level: str) -> Description:
        if level == "own":
            return shape
        if level == "kind":
            return replace(shape, proportion=PROPORTIONS[(PROPORTIONS.index(shape.proportion) + 1) % len(PROPORTIONS)])
        near = shape.kind if level == "family" else NAMES[(NAMES.index(shape.kind) + FAR) % len(NAMES)]
        return Description(MATES[near], proportion=shape.proportion)

    def number(self, rows: Sequence[int], level: int | None = None) -> Tensor:
        """Which of all given shapes prompts have, at their own distance or at this one."""
        return self.shape_of[rows] * len(LEVELS) + (self.level[rows] if level is None else level)

    def subjects(self, rows: Sequence[int]) -> Subjects:
        numbers = self.number(rows)
        return replace(super().subjects(rows), cloud=self.clouds_given[numbers], distance=distance_of(self.grids_given[numbers]))


class Weighed(Geometry):
    """Stage 1 with an α of its own for each prompt."""

    weights: dict[str, float]

    def batch(self, step: int, share: float) -> GeometryBatch:
        batch = super().batch(step, share)
        alpha = torch.tensor([self.weights[prompt] for prompt in batch.drawn.subjects.prompts]) * batch.drawn.subjects.shaped
        return replace(batch, heard=torch.where(batch.drawn.dummy, 0.0, alpha), alpha=alpha)


def main() -> int:
    parts = {"signals": signals, "given": given} | {name: trained(name) for name in ARMS}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prior", type=Path)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(parts)} (all, one after the other)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True, help="folder of the finished arms of score_distillation.py")
    parser.add_argument("--steps", type=int, default=100, help="of four objects, an arm")
    parser.add_argument("--scale", type=float, default=3.0, help="of the guidance")
    parser.set_defaults(seed=0)  # of score_distillation.py
    a = parser.parse_intermixed_args()
    torch.set_num_threads(1)
    a.out.mkdir(parents=True, exist_ok=True)
    encoder = TextEncoder(device="cpu")
    library = Library(encoder, Generator(PRESETS["tiny"]).dummy)
    for name in a.parts or parts:
        if name not in parts:
            parser.error(f"There is no part {name!r}.")
        parts[name](a, library, encoder)
    print(told(a, library, encoder))
    return 0


# -- What could tell how far a shape is from its prompt -------------------------------------------------------------------------------


@torch.no_grad()
def signals(a: argparse.Namespace, library: Library, encoder: TextEncoder) -> None:
    """What takes the prior: of three prompts of each shape, the outlines drawn, laid over those of all given shapes."""
    path = a.out / "outlines.safetensors"
    if path.exists():
        return
    some = [shape * len(COLORS) + color for shape in range(len(library.shapes)) for color in SOME[:3]]
    drawn = outlines_drawn(a, [library.prompts[n] for n in some])  # [72, 4, S, S]
    found = overlap(drawn.flatten(2), outlines_given(library, drawn.shape[-1]).flatten(2)).unflatten(0, (-1, 3)).mean(1)
    replace_file(path, lambda name: save_file({"outlines": found[library.shape_of].contiguous()}, name))


@torch.no_grad()
def signal(name: str, a: argparse.Namespace, library: Library, encoder: TextEncoder) -> Tensor:
    """Of all prompts and all given shapes [288, 96]: "texts", "outlines", or "iou", the truth."""
    if name == "texts":
        return meanings(*encoder(library.prompts)) @ meanings(*encoder(library.captions)).T
    if name == "iou":
        return overlap((library.grids < 0).flatten(2), (library.grids_given < 0).flatten(2))[library.shape_of]
    signals(a, library, encoder)
    return load_file(a.out / "outlines.safetensors")["outlines"]


def outlines_drawn(a: argparse.Namespace, prompts: Sequence[str]) -> Tensor:
    """Where the prior's four pictures of each prompt show something, [N, 4, S, S]"""
    from diffusers import UNet2DConditionModel

    parts, out = {"unet": UNet2DConditionModel.from_pretrained(a.prior / "unet").float().eval()}, []
    text = text_of(a.prior, torch.device("cpu"))
    for i in range(0, len(prompts), 8):
        read = text(prompts[i : i + 8])
        cameras = SIDES.matrices().expand(len(read), -1, -1, -1)
        made = sample(parts, read, text([""]), cameras, steps=DRAWN_IN, scale=a.scale, seed=i)
        out.append((made - GROUND).abs().amax(2) > 0.1)
    return torch.cat(out)


def outlines_given(library: Library, size: int) -> Tensor:
    """Of all given shapes, from the same four sides: [96, 4, S, S]"""
    count = len(library.given)
    nothing = torch.zeros(count, 1)
    of = Subjects([""] * count, nothing, nothing, nothing, library.clouds_given, distance_of(library.grids_given), nothing,
                  lambda points: torch.zeros_like(points))  # fmt: skip
    return (pictures(of, SIDES, size)[0] - GROUND).abs().amax(2) > GROUND / 2


def overlap(a: Tensor, b: Tensor) -> Tensor:
    """Mean over S of the IoU of each of [N, S, K] with each of [M, S, K]: [N, M]"""
    a, b = a.float(), b.float()
    both = torch.einsum("nsk,msk->nms", a, b)
    return (both / (a.sum(2)[:, None] + b.sum(2)[None] - both).clamp(min=1)).mean(2)


def weights_by(score: Tensor, library: Library) -> dict[str, float]:
    """α of each prompt, of a score [288, 96]: none where its shape fits no better than any of the library's does in the mean, most where
    it fits as the best of them, in the mean over prompts. So nothing is asked but the score itself."""
    there = library.number(library.seen).unique()
    known = score[library.seen][:, there]
    low, high = known.mean(), known.amax(1).mean()
    rows = range(len(library.prompts))
    alpha = MOST * ((score[rows, library.number(rows)] - low) / (high - low)).clamp(0, 1)
    return dict(zip(library.prompts, alpha.tolist(), strict=True))


# -- What a finished model makes of shapes that it is given ---------------------------------------------------------------------------


def given(a: argparse.Namespace, library: Library, encoder: TextEncoder) -> None:
    """Some prompts with the shapes of each distance at each α, and with the dummy."""
    path = a.out / "given.json"
    if not path.exists():
        replace_file(path, lambda name: Path(name).write_text(json.dumps(asked(load(a.models / ASKED_OF), library))))


def load(folder: Path) -> Generator:
    generator = Generator(PRESETS["tiny"])
    generator.load_state_dict(load_file(folder / WEIGHTS))
    return generator.eval()


def asked(generator: Generator, library: Library) -> list[dict]:
    rows: list[dict] = []
    for shape in range(len(library.shapes)):
        some = [shape * len(COLORS) + color for color in SOME]
        for level in range(len(LEVELS)):
            for alpha in ASKED:
                rows += followed(generator, library, some, library.number(some, level), [alpha] * len(some))
        rows += followed(generator, library, some, None, [0.0] * len(some))
    return rows


@torch.no_grad()
def followed(generator: Generator, library: Library, some: list[int], numbers: Tensor | None, alpha: Sequence[float]) -> list[dict]:
    """Of prompts with the given shapes of these numbers, None for the dummy. iou, color_error: with what the prompt means; iou_given: with
    the shape; kind: "prompt", "shape", or "none" of both, of the exact object of 16 kinds that fits best."""
    z, y, x = torch.meshgrid(*[centres()] * 3, indexing="ij")
    grid, of = torch.stack((x, y, z), -1).reshape(1, -1, 3), Domain.subjects(library, some)
    cloud = None if numbers is None else library.clouds_given[numbers]
    fields = generator(of.tokens, of.mask, of.z, cloud, torch.tensor(alpha))
    inside = generator.sdf(fields.geometry, fields.condition, grid.expand(len(some), -1, -1)) < 0
    mates = torch.arange(len(library.shapes)) * len(LEVELS) + LEVELS.index("family")
    known = torch.cat((library.grids, library.grids_given[mates], *([] if numbers is None else [library.grids_given[numbers]])))
    kinds = [d.kind for d in (*library.shapes, *(library.given[n] for n in mates))]
    iou = overlap(inside[:, None], (known < 0).flatten(1)[:, None])
    on = library.clouds[library.shape_of[some], :, :3]
    color = generator.texture(fields.texture, fields.condition, on)[..., :3].clamp(0, 1)
    error, rows = (color - of.color(on)).abs().mean((1, 2)), []
    for i, n in enumerate(some):
        d, best = library.descriptions[n], kinds[int(iou[i, : len(kinds)].argmax())]
        row = {"prompt": library.prompts[n], "kind": d.kind, "alpha": round(alpha[i], 3), "iou": float(iou[i, library.shape_of[n]]),
               "color_error": float(error[i]), "seen": "prompt" if best == d.kind else "none"}  # fmt: skip
        if numbers is not None:
            shape = library.given[int(numbers[i])]
            row |= {"level": LEVELS[int(numbers[i]) % len(LEVELS)], "iou_given": float(iou[i, len(kinds) + i])}
            row["seen"] = "prompt" if best == d.kind else "shape" if best == shape.kind else "none"
        rows.append(row)
    return rows


# -- Trainings ------------------------------------------------------------------------------------------------------------------------


def trained(name: str) -> Callable:
    return lambda a, library, encoder: train(name, a, library, encoder)


def train(name: str, a: argparse.Namespace, library: Library, encoder: TextEncoder) -> None:
    """One arm, from the weights of START; measured with the dummy, so that what counts is what was learnt of the prompts."""
    arm, out, accelerator = ARMS[name], a.out / name, accelerator_on("cpu")
    if (out / "rows.json").exists():
        return
    torch.manual_seed(0)
    generator, weights = load(a.models / START).train(), weights_of(arm, a, library, encoder)
    plan = Arm(arm.title, alpha=MOST, reading=False, more=ON | arm.more, distillation=LOWER)

    def weighed(*args, **more) -> Geometry:
        stage = Geometry(*args, **more) if weights is None else Weighed(*args, **more)
        stage.weights = weights
        return stage

    stage = next(stages(plan, a, generator, library, encoder, weighed))
    state = Checkpoint(out / "geometry.checkpoint.safetensors", {"arm": name, "steps": a.steps, "scale": a.scale})
    if not Run(stage, accelerator, state, logs=out / "tensorboard").go():
        sys.exit(130)
    replace_file(out / WEIGHTS, lambda path: save_file({k: v.contiguous() for k, v in generator.state_dict().items()}, path))
    rows, truth = [], signal("iou", a, library, encoder)
    for start in range(0, len(library.prompts), len(COLORS)):
        some = [start + color for color in SOME]
        rows += followed(generator, library, some, None, [0.0] * len(some))
        for n, row in zip(some, rows[-len(some) :], strict=True):
            own = library.number([n])
            row |= {"level": LEVELS[library.level[n]], "shape": int(library.shape_of[n]), "learnt": n in library.seen,
                    "alpha": None if weights is None else weights[row["prompt"]], "iou_of_shape": float(truth[n, own])}  # fmt: skip
    result = {"title": arm.title, "steps": a.steps, "seconds": round(Run(stage, accelerator, state).progress.seconds), "rows": rows}
    replace_file(out / "rows.json", lambda path: Path(path).write_text(json.dumps(result)))


def weights_of(arm: Weighing, a: argparse.Namespace, library: Library, encoder: TextEncoder) -> dict[str, float] | None:
    """α of each prompt; None where it is drawn."""
    if arm.signal:
        return weights_by(signal(arm.signal, a, library, encoder), library)
    return None if arm.fixed is None else dict.fromkeys(library.prompts, arm.fixed)


# -- Tables and curves ----------------------------------------------------------------------------------------------------------------


def told(a: argparse.Namespace, library: Library, encoder: TextEncoder) -> str:
    """Markdown of what is finished; means with 95 % bootstrap intervals."""
    path = a.out / "given.json"
    asked_rows = json.loads(path.read_text()) if path.exists() else []
    arms = {name: json.loads((a.out / name / "rows.json").read_text()) for name in ARMS if (a.out / name / "rows.json").exists()}
    if asked_rows and arms:
        curves(asked_rows, arms, a.out / "adherence.png")
    parts = [signal_table(a, library, encoder), given_table(asked_rows) if asked_rows else "", arm_table(arms) if arms else ""]
    return "\n\n".join(part for part in parts if part)


def signal_table(a: argparse.Namespace, library: Library, encoder: TextEncoder) -> str:
    names = ["iou", "texts"] + ["outlines"] * (a.out / "outlines.safetensors").exists()
    found, rows = {name: signal(name, a, library, encoder) for name in names}, range(len(library.prompts))
    lines = ["| signal | " + " | ".join(TITLES) + " | order as the IoU's |", "|" + "---|" * (len(LEVELS) + 2)]
    pairs = {name: torch.stack([of[rows, library.number(rows, level)] for level in range(len(LEVELS))]) for name, of in found.items()}
    for name, of in pairs.items():
        order = np.corrcoef(ranks(of.flatten()), ranks(pairs["iou"].flatten()))[0, 1]
        cells = [f"{row.mean():.2f} ± {row.std():.2f}" for row in of]
        lines.append(f"| {name} | {' | '.join(cells)} | {order:.2f} |")
    return "\n".join(lines)


def ranks(values: Tensor) -> np.ndarray:
    """Of equal values, their mean place."""
    _, group, count = np.unique(values.numpy(), return_inverse=True, return_counts=True)
    return (count.cumsum() - (count - 1) / 2)[group]


def given_table(rows: list[dict]) -> str:
    head = "| shape given | α | IoU with the prompt's object | with the shape | seen as the prompt's kind | as the shape's | colour error |"
    lines = [head, "|" + "---|" * 7]
    for title, level in ((None, None), *zip(TITLES, LEVELS, strict=True)):
        for alpha in ASKED if level else (0.0,):
            some = [row for row in rows if row.get("level") == level and row["alpha"] == alpha]
            seen = [f"{np.mean([row['seen'] == what for row in some]):.2f}" for what in ("prompt", "shape")]
            cells = [spread([row[name] for row in some if name in row]) for name in ("iou", "iou_given", "color_error")]
            lines.append(f"| {title or 'none: the sphere'} | {alpha} | {cells[0]} | {cells[1]} | {seen[0]} | {seen[1]} | {cells[2]} |")
    return "\n".join(lines)


def arm_table(arms: dict[str, dict]) -> str:
    """IoU by the distance of the library's shape. Differences are paired; in brackets their interval over prompts, and over shapes."""
    lines = ["| arm | " + " | ".join(TITLES) + " | all | against the best fixed α | colour error | kind right |", "|" + "---|" * 9]
    fixed = {name: of for name, of in arms.items() if ARMS[name].fixed is not None}
    best = max(fixed, key=lambda name: np.mean(column(fixed[name]["rows"]))) if fixed else None
    for name, of in arms.items():
        rows = of["rows"]
        cells = [spread(column([row for row in rows if row["level"] == level])) for level in LEVELS] + [spread(column(rows))]
        apart = "" if best is None or name == best else difference(rows, arms[best]["rows"])
        right = np.mean([row["seen"] == "prompt" for row in rows])
        lines.append(f"| {of['title']} | {' | '.join(cells)} | {apart} | {np.mean(column(rows, 'color_error')):.3f} | {right:.2f} |")
    return "\n".join(lines)


def column(rows: list[dict], name: str = "iou") -> list[float]:
    return [row[name] for row in rows]


def difference(rows: list[dict], others: list[dict]) -> str:
    """Of IoUs of the same prompts; prompts of a shape are much alike, so the wider interval, of shapes, counts."""
    apart: dict[int, list[float]] = {}
    for row, other in zip(rows, others, strict=True):
        apart.setdefault(row["shape"], []).append(row["iou"] - other["iou"])
    every = [value for values in apart.values() for value in values]
    whole = spread(every, "+")
    return f"{whole}; shapes: {spread([float(np.mean(v)) for v in apart.values()], '+').split(' ', 1)[1]}"


INK = ((27, 94, 32), (21, 101, 192), (230, 126, 0), (183, 28, 28))  # of the distances
FINE, WIDE, HIGH, LEFT, TOP = 3, 460, 340, 40, 56  # pixels
LOW, UP = 0.2, 0.7  # of the IoUs that are shown


def curves(asked_rows: list[dict], arms: dict[str, dict], path: Path) -> None:
    """A PNG of two panels: what a model does with shapes by α, and what arms learn of them by α. Dots: α by the texts."""
    at = [[[r for r in asked_rows if r.get("level") == level and r["alpha"] == x] for x in ASKED] for level in LEVELS]
    given_at, shape_at = ([[np.mean(column(rows, name)) for rows in line] for line in at] for name in ("iou", "iou_given"))
    fixed = sorted((ARMS[name].fixed, of["rows"]) for name, of in arms.items() if ARMS[name].fixed is not None)
    known = [x for x, _ in fixed]
    learnt = [[np.mean(column([r for r in rows if r["level"] == level])) for _, rows in fixed] for level in LEVELS]
    whole = Image.new("RGB", (2 * WIDE * FINE, HIGH * FINE), "white")
    draw = ImageDraw.Draw(whole)
    axes(draw, 0, "Shapes given to a finished model, by alpha:", "IoU with the prompt's object (thin lines: with the shape)")
    axes(draw, WIDE, "Learnt from a library of mixed distances, by alpha:", "IoU with the prompt's object (dots: alpha by the texts)")
    for ink, *lines in zip(INK, given_at, shape_at, learnt, strict=True):
        for values, at, left, wide in zip(lines, (ASKED, ASKED, known), (0, 0, WIDE), (3, 1, 3), strict=True):
            draw.line([place(left, x, y) for x, y in zip(at, values, strict=True)], fill=ink, width=wide * FINE // 2)
    for ink, level in zip(INK, LEVELS, strict=True):
        for of in (arms[name] for name in arms if name == "texts"):
            rows = [row for row in of["rows"] if row["level"] == level]
            x, y = place(WIDE, np.mean(column(rows, "alpha")), np.mean(column(rows)))
            draw.ellipse((x - 4 * FINE, y - 4 * FINE, x + 4 * FINE, y + 4 * FINE), fill=ink)
    for n, (ink, title) in enumerate(zip(INK, TITLES, strict=True)):
        draw.text(((LEFT + (0, 120, 330, 530)[n]) * FINE, (HIGH - 18) * FINE), "shape: " * (n == 0) + title, fill=ink, font_size=12 * FINE)
    small = whole.resize((2 * WIDE, HIGH), Image.Resampling.LANCZOS)
    replace_file(path, lambda name: small.save(name, format="PNG"))


def place(left: int, x: float, y: float) -> tuple[float, float]:
    """Of α, 0 … 1, and an IoU, in the panel that begins there."""
    return (left + LEFT + x * (WIDE - LEFT - 20)) * FINE, (HIGH - 44 - (y - LOW) / (UP - LOW) * (HIGH - 44 - TOP)) * FINE


def axes(draw: ImageDraw.ImageDraw, left: int, *title: str) -> None:
    for n, line in enumerate(title):
        draw.text(((left + 8) * FINE, (8 + 17 * n) * FINE), line, fill="black", font_size=12 * FINE)
    for iou in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7):
        x, y = place(left, 0, iou)
        draw.line([(x, y), place(left, 1, iou)], fill=(220, 220, 220), width=FINE)
        draw.text((x - 30 * FINE, y - 8 * FINE), f"{iou:.1f}", fill="black", font_size=12 * FINE)
    for alpha in (0, 0.3, 0.6, 0.9):
        x, y = place(left, alpha, LOW)
        draw.text((x - 6 * FINE, y + 3 * FINE), f"{alpha:g}", fill="black", font_size=12 * FINE)


if __name__ == "__main__":
    sys.exit(main())
