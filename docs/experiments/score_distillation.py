# SPDX-License-Identifier: GPL-3.0-or-later
"""Score distillation by a small prior of our own, against objects that are known exactly: which of the paper's claims hold here.

    python -m core train-prior starter --kinds cat,duck,teddy,car,chair,mug,mushroom,rocket --size 16 --widths 32,64,128 --out PRIOR
    python docs/experiments/score_distillation.py PRIOR --out FOLDER [ARM ...]

Prompts are 8 kinds in 12 colours (gray is the ground's) and 3 proportions ("a tall red cat"). A quarter of the pairs of a kind and a
colour is not learnt: each of their words is in others. Every arm is a training of the same number of steps from the same random weights;
what is finished stays in FOLDER, the same command goes on where it was interrupted, and at the end prints the table.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from safetensors.torch import load_file, save_file
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.evaluation.summary import interval
from core.files import replace_file
from core.frame import SPAN
from core.guidance.multiview import FlatGuidance, MultiviewGuidance, views_of
from core.guidance.prompts import EmbeddingCache
from core.guidance.sds import Distillation, Guidance
from core.language.encoder import TextEncoder
from core.library.starter.grammar import word
from core.library.starter.objects import Description, ExactObjects
from core.library.starter.palette import COLORS as ALL_COLORS
from core.networks.generator import Generator
from core.networks.pointnet import fibonacci_sphere
from core.networks.presets import PRESETS
from core.rendering.cameras import Camera, Views
from core.rendering.shading import to_bytes
from core.rendering.volume import Sampling
from core.training.captions import CaptionTask
from core.training.checkpoint import Checkpoint
from core.training.losses import LossWeights
from core.training.prior.album import GROUND, pictures
from core.training.run import Run, accelerator_on
from core.training.stages.distilling import VolumeSettings
from core.training.stages.geometry import Geometry, GeometrySettings
from core.training.stages.reading import ReadingSettings, ReadingStage
from core.training.subjects import Distance, Subjects
from core.training.views import fields_of, volume_views

NAMES = ("cat", "duck", "teddy", "car", "chair", "mug", "mushroom", "rocket")
FRONT = ("cat", "duck", "teddy", "car", "chair", "mug")  # kinds whose sides differ
COLORS = tuple(color for color in ALL_COLORS if color != "gray")
PROPORTIONS = (None, "tall", "wide")
CELLS, TURNS = 32, 8  # of the grid that IoUs are counted on; turns about the vertical that the best one is taken of
PICTURES = 16  # that the prior sees in a step: objects by its views of each
LACKING = ("duck", "rocket")  # kinds whose prompts have no shape in some of the arms: a quarter of all prompts
SEEN_AT = 24  # pixels of the pictures that are compared
TOLD = ("iou", "iou_turned", "color_error", "mask_iou", "sides_right", "variety", "kind_right")


@dataclass(frozen=True)
class Arm:
    """title: what is changed; flat: the 2D twin of the prior teaches; alpha: the most; missing: kinds without a shape."""

    title: str
    flat: bool = False
    alpha: float = 0.0
    missing: tuple[str, ...] = ()
    taught: bool = True  # by the prior at all
    reading: bool = True
    more: dict = field(default_factory=dict)  # of GeometrySettings
    distillation: dict = field(default_factory=dict)


ARMS = {
    "3d": Arm("3D-aware, no shapes"),
    "2d": Arm("2D (same prior, views and cameras off), no shapes", flat=True),
    "lacking": Arm("3D-aware, shapes by α, two kinds have none", alpha=0.9, missing=LACKING),
    "lacking-untaught": Arm("shapes alone, two kinds have none", alpha=0.9, missing=LACKING, taught=False),
    "2d-lacking": Arm("2D, shapes by α, two kinds have none", flat=True, alpha=0.9, missing=LACKING),
    "sharp": Arm("3D-aware, no shapes, 1/β from 60 to 300", more={"sharpness": (60.0, 300.0)}),
    "2d-sharp": Arm("2D, no shapes, 1/β from 60 to 300", flat=True, more={"sharpness": (60.0, 300.0)}),
    "sharper": Arm("3D-aware, no shapes, 1/β from 100 to 600", more={"sharpness": (100.0, 600.0)}),
    "finer": Arm("3D-aware, no shapes, 1/β from 100 to 600, 32 + 16 points along a ray",
                 more={"sharpness": (100.0, 600.0), "rays": VolumeSettings(32, 16, 4)}),
    "classic": Arm("3D-aware, no shapes, classic gradient", distillation={"loss": "sds"}),
    "unread": Arm("3D-aware, no shapes, no reading before", reading=False),
}  # fmt: skip


def sides(count: int) -> Views:
    """Cameras around, at equal angles; of four: front, left, back, right of +X."""
    return Views.of([Camera(360.0 * i / count, 15.0, 40.0, 0.62 / math.tan(math.radians(20.0))) for i in range(count)])


SIDES = sides(4)
WEIGHTS = "generator.safetensors"
ALONE = {
    "alone": "each unseen prompt by itself, from the start", "refined": "the amortised model refined on each unseen prompt",
}  # fmt: skip
SPANS = (0, 25, 50, 100)  # steps of one object that each takes


class Domain:
    """All prompts, and those of them that are drawn. missing: kinds without a shape, which show the dummy's cloud [P, 6]; seed: of the
    order in which prompts are drawn."""

    def __init__(self, encoder: TextEncoder, dummy: Tensor, missing: Sequence[str] = (), seed: int = 0):
        self.seed = seed
        self.shapes = [Description(kind, proportion=p) for kind in NAMES for p in PROPORTIONS]
        cells = [(s, c) for s in range(len(self.shapes)) for c in range(len(COLORS))]
        kinds = [NAMES.index(shape.kind) for shape in self.shapes]
        self.shape_of = torch.tensor([s for s, _ in cells])
        self.descriptions = [replace(self.shapes[s], color=COLORS[c]) for s, c in cells]
        self.prompts = [word(d) for d in self.descriptions]
        self.plain = [n for n, d in enumerate(self.descriptions) if d.proportion is None]
        self.unseen = [n for n, (s, c) in enumerate(cells) if (kinds[s] + c) % 4 == 0]
        self.seen = [n for n in range(len(cells)) if n not in self.unseen]
        self.tokens, self.mask = encoder(self.prompts)
        self.shapeless = torch.tensor([d.kind in missing for d in self.descriptions])
        self.objects = ExactObjects(self.descriptions, torch.zeros(len(cells), 8))
        bare = ExactObjects(self.shapes, torch.zeros(len(self.shapes), 8))
        self.dummy = dummy
        self.clouds = torch.cat(bare.sample_surface(len(dummy), torch.Generator().manual_seed(2)), -1)  # [shapes, points, 6]
        self.grids = torch.stack([self._grid(ExactObjects([shape], torch.zeros(1, 8))) for shape in self.shapes])

    @staticmethod
    def _grid(objects: ExactObjects) -> Tensor:
        """Distances [1, N, N, N], x fastest, as a sampler reads them."""
        z, y, x = torch.meshgrid(*[centres()] * 3, indexing="ij")
        points = torch.stack((x, y, z), -1).reshape(1, -1, 3)
        return objects.sdf(points).reshape(1, *x.shape)

    def draw(self, step: int, numbers: Sequence[int]) -> Subjects:
        """Those that are learnt, all as often, each round in another order."""
        rows = []
        for number in numbers:
            turn, place = divmod(number, len(self.seen))
            order = torch.randperm(len(self.seen), generator=torch.Generator().manual_seed(self.seed * 1_000_003 + turn))
            rows.append(self.seen[int(order[place])])
        return self.subjects(rows)

    def subjects(self, rows: Sequence[int]) -> Subjects:
        shapes, objects = self.shape_of[rows], ExactObjects([self.descriptions[n] for n in rows], torch.zeros(len(rows), 8))
        texts, z, shapeless = [self.prompts[n] for n in rows], torch.zeros(len(rows), 8), self.shapeless[rows]
        clouds = torch.where(shapeless[:, None, None], self.dummy, self.clouds[shapes])
        return Subjects(texts, self.tokens[rows], self.mask[rows], z, clouds, distance_of(self.grids[shapes]), ~shapeless,
                        lambda points: objects.appearance(points)[..., :3])  # fmt: skip

    def described(self, prompts: Sequence[str]) -> list[Description]:
        return [self.descriptions[self.prompts.index(prompt)] for prompt in prompts]

    def turned(self) -> Tensor:
        """What is inside of each shape, in each of so many turns about the vertical: [turns, shapes, CELLS³] of 0 and 1."""
        out = []
        for turn in range(TURNS):
            a = torch.tensor(2 * torch.pi * turn / TURNS)
            rotation = torch.tensor([[a.cos(), -a.sin(), 0, 0], [a.sin(), a.cos(), 0, 0], [0, 0, 1, 0]])
            flow = F.affine_grid(rotation.expand(len(self.grids), 3, 4), list(self.grids.shape), align_corners=False)
            out.append((F.grid_sample(self.grids, flow, padding_mode="border", align_corners=False) < 0).float().flatten(1))
        return torch.stack(out)


def distance_of(grids: Tensor) -> Distance:
    """Of points [B, N, 3] to shapes' grids [B, 1, N, N, N]."""

    def distance(points: Tensor) -> Tensor:
        places = (points / (SPAN / 2 + 0.04))[:, None, None]
        return F.grid_sample(grids, places, padding_mode="border", align_corners=False)[:, 0, 0, 0]

    return distance


def centres() -> Tensor:
    """Of cells along a side of the frame."""
    return ((torch.arange(CELLS) + 0.5) / CELLS * 2 - 1) * (SPAN / 2 + 0.04)


class Silent(Guidance):
    """Teaches nothing: what shapes alone come to."""

    def loss(self, images: Tensor, text, cameras: Tensor, share: float, **more) -> tuple[Tensor, dict[str, Tensor]]:
        return images.sum() * 0, {"t": torch.zeros(())}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prior", type=Path)
    parser.add_argument("arms", nargs="*", metavar="ARM", help=f"{', '.join((*ARMS, *ALONE))} (all, one after the other)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=500, help="of 16 pictures, an arm")
    parser.add_argument("--scale", type=float, default=3.0, help="of the guidance")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn; each seed wants a FOLDER of its own")
    parser.add_argument("--first", default="3d", help="the arm that the table's differences are from, also as ../FOLDER/ARM")
    a = parser.parse_intermixed_args()
    torch.set_num_threads(1)
    encoder = TextEncoder(device="cpu")
    exact = exact_pictures(Domain(encoder, fibonacci_sphere(16)), a.out)
    for name in a.arms or (*ARMS, *ALONE):
        if name not in (*ARMS, *ALONE):
            parser.error(f"There is no arm {name!r}.")
        (alone if name in ALONE else run)(name, a, encoder, exact)
    print(table(a.out, a.first))
    return 0


def run(name: str, a: argparse.Namespace, encoder: TextEncoder, exact: Tensor, arm: Arm | None = None, *, made=None, measured=None) -> None:
    """Train one arm, resuming what there is of it, and measure it. arm, made, measured: in place of the name's, `stages`, `measure`."""
    arm, out, accelerator = arm or ARMS[name], a.out / name, accelerator_on("cpu")
    identity = {"arm": name, "steps": a.steps, "scale": a.scale, "seed": a.seed}
    if (out / "rows.json").exists():
        finished = {"seed": 0} | json.loads((out / "rows.json").read_text())
        if any(finished[key] != identity[key] for key in ("steps", "scale", "seed")):
            sys.exit(f"{out} holds this arm with other --steps, --scale or --seed. Choose another --out.")
        return
    torch.manual_seed(a.seed)
    generator = Generator(PRESETS["tiny"])
    domain = Domain(encoder, generator.dummy, arm.missing if arm.alpha else NAMES, a.seed)
    for stage in (made or stages)(arm, a, generator, domain, encoder):
        logs = None if stage.name == "reading" else out / "tensorboard"
        where, of = (a.out, {"seed": a.seed}) if stage.name == "reading" else (out, identity)  # arms have read the same
        state = Checkpoint(where / f"{stage.name}.checkpoint.safetensors", of)
        if not Run(stage, accelerator, state, logs=logs).go():
            sys.exit(130)
    replace_file(out / WEIGHTS, lambda path: save_file({k: v.contiguous() for k, v in generator.state_dict().items()}, path))
    rows = (measured or measure)(generator, domain, exact, out / "sheet.png")
    seconds = Run(stage, accelerator, state).progress.seconds
    text = json.dumps({"title": arm.title, **identity, "seconds": round(seconds), "rows": rows})
    replace_file(out / "rows.json", lambda path: Path(path).write_text(text))


def stages(arm: Arm, a: argparse.Namespace, generator: Generator, domain: Domain, encoder: TextEncoder, kind: type[Geometry] = Geometry):
    """One after another, over the same networks: each is made when the one before has ended. kind: of the one of distillation."""
    if arm.reading:
        captions = [(domain.prompts[n], None) for n in domain.seen]
        task = CaptionTask(captions, encoder, generator.config, a.seed, torch.device("cpu"))
        yield ReadingStage(ReadingSettings(steps=300, batch=64), generator, [task], LossWeights(), 1)
    sees = FlatGuidance if arm.flat else MultiviewGuidance
    how = Distillation(**{"loss": "x0", "scale": a.scale, "rescale": 0.0} | arm.distillation)
    prior = sees.load(a.prior, "cpu", settings=how)
    texts = EmbeddingCache.build(a.out / "texts", a.prior, domain.prompts)
    if not arm.taught:
        silent = Silent(how, prior.signal)
        silent.sizes, silent.views, silent.viewpoints = prior.sizes, prior.views, prior.viewpoints
        prior = silent
    common = {"batch": PICTURES // views_of(a.prior), "steps": a.steps, "rate": 2e-3, "average": 0.0, "size": 16, "slopes": 128}
    common |= {"sharpness": (25.0, 100.0), "rays": VolumeSettings(16, 8, 4)}
    settings = GeometrySettings(**common | {"alpha": arm.alpha} | arm.more)
    yield kind(settings, generator, prior, texts, domain, seed=a.seed)


@torch.no_grad()
def exact_pictures(domain: Domain, out: Path, size: int = SEEN_AT, views: Views = SIDES) -> Tensor:
    """Of the plain prompts, from four sides or so many: [N, V, 3, S, S]"""
    count = views.azimuth.shape[1]
    path = out / (f"exact-{size}.safetensors" if count == 4 else f"exact-{size}-{count}.safetensors")
    if not path.exists():
        parts = [domain.subjects(domain.plain[i : i + len(COLORS)]) for i in range(0, len(domain.plain), len(COLORS))]
        parts = [replace(part, distance=ExactObjects(domain.described(part.prompts), part.z).sdf) for part in parts]
        shots = torch.cat([pictures(part, views, size)[0] for part in parts])
        replace_file(path, lambda name: save_file({"pictures": shots.contiguous()}, name))
    return load_file(path)["pictures"]


def alone(name: str, a: argparse.Namespace, encoder: TextEncoder, exact: Tensor) -> None:
    """One unseen plain prompt of each kind by itself: a row of figures for each, after so many steps as SPANS says."""
    path = a.out / name / "rows.json"
    if path.exists():
        return
    rows: list[dict] = []
    torch.manual_seed(a.seed)
    generator = Generator(PRESETS["tiny"])
    domain = Domain(encoder, generator.dummy, NAMES, a.seed)
    turned, accelerator = domain.turned(), accelerator_on("cpu")
    chosen = [next(n for n in domain.plain if n in domain.unseen and domain.descriptions[n].kind == kind) for kind in NAMES]
    for n in chosen:
        for steps in SPANS:
            torch.manual_seed(a.seed)
            generator = Generator(PRESETS["tiny"])
            if name == "refined":
                generator.load_state_dict(load_file(a.out / "3d" / WEIGHTS))
            domain.seen = [n]
            if steps:
                more = {"steps": steps, "batch": 1, "rate": 5e-4 if name == "refined" else 2e-3, "warmup": 10}
                *_, stage = stages(Arm(name, reading=False, more=more), a, generator, domain, encoder)
                state = Checkpoint(a.out / name / f"{n}-{steps}.safetensors", {"arm": name})
                if not Run(stage, accelerator, state).go():
                    sys.exit(130)
            rows += [row | {"steps": steps} for row in figures(generator, domain, [n], exact, turned)[0]]
    replace_file(path, lambda file: Path(file).write_text(json.dumps({"title": ALONE[name], "scale": a.scale, "rows": rows})))


def measure(generator: Generator, domain: Domain, exact: Tensor, sheet_at: Path) -> list[dict]:
    """A row of figures for each prompt; see `TOLD` and the page beside this script."""
    turned, rows, shown = domain.turned(), [], []
    for start in range(0, len(domain.prompts), len(COLORS)):  # one shape at a time
        some, seen = figures(generator, domain, list(range(start, start + len(COLORS))), exact, turned)
        rows += some
        shown += seen
    sheet(torch.cat(shown), exact, [domain.prompts[n] for n in domain.plain], sheet_at)
    return rows


@torch.no_grad()
def figures(generator: Generator, domain: Domain, some: list[int], exact: Tensor, turned: Tensor) -> tuple[list[dict], list[Tensor]]:
    """Of some prompts; and pictures of them, where they are plain. turned: as `Domain.turned` gives it."""
    rows, unseen = [], set(domain.unseen)
    z, y, x = torch.meshgrid(*[centres()] * 3, indexing="ij")
    grid = torch.stack((x, y, z), -1).reshape(1, -1, 3)
    of = domain.subjects(some)
    fields = generator(of.tokens, of.mask, of.z)
    inside = (generator.sdf(fields.geometry, fields.condition, grid.expand(len(some), -1, -1)) < 0).float()
    together = torch.einsum("bn,tsn->bts", inside, turned)
    iou = together / (inside.sum(1)[:, None, None] + turned.sum(2) - together).clamp(min=1)  # [b, turns, shapes]
    on = domain.clouds[domain.shape_of[some], :, :3]
    color = generator.texture(fields.texture, fields.condition, on)[..., :3].clamp(0, 1)
    error = (color - of.color(on)).abs().mean((1, 2))
    for i, n in enumerate(some):
        own, d = iou[i, :, domain.shape_of[n]], domain.descriptions[n]
        found = domain.shapes[int(iou[i].amax(0).argmax())].kind
        rows.append({
            "prompt": domain.prompts[n], "kind": d.kind, "seen": n not in unseen, "shapeless": bool(domain.shapeless[n]),
            "iou": float(own[0]), "iou_turned": float(own.max()), "color_error": float(error[i]), "kind_right": float(found == d.kind),
        })  # fmt: skip
    if not set(some) <= set(domain.plain):
        return rows, []
    seen, full = pictured(generator, fields)
    for i, n in enumerate(some):
        rows[i] |= compared(seen[i], full[i], exact[domain.plain.index(n)], domain.descriptions[n].kind)
    return rows, [seen]


def pictured(generator: Generator, fields) -> tuple[Tensor, Tensor]:
    """Pictures [B, 4, 3, S, S] from the four sides, and whether there is something [B, 4, S, S]."""
    views, how = Views(*(t.expand(len(fields.condition), -1) for t in vars(SIDES).values())), Sampling(32, 16, 4)
    pixels, _ = volume_views(*fields_of(generator, fields), views, SEEN_AT, 1 / 150, how, torch.Generator().manual_seed(0))
    return pixels.over(GROUND).unflatten(0, (-1, 4)), pixels.opacity > 0.5


def compared(made: Tensor, full: Tensor, exact: Tensor, kind: str) -> dict[str, float]:
    """mask_iou: of the outlines, means over sides. Of kinds that have a front: sides_right, the share of the four pictures that look most
    like the exact object's from there, after the turn by quarters that fits best; variety: how far the four pictures lie from one another,
    as a share of how far the exact object's do. An object with the same face on each side has none."""
    wanted = (exact - GROUND).abs().amax(1) > 0.06
    iou = (full & wanted).sum((1, 2)) / (full | wanted).sum((1, 2)).clamp(min=1)
    told = {"mask_iou": float(iou.mean())}
    if kind in FRONT:
        nearest = (made[:, None] - exact[None]).abs().mean((2, 3, 4)).argmin(1)  # [made, exact] -> [made]
        right = [float((nearest == (torch.arange(4) + turn) % 4).float().mean()) for turn in range(4)]
        apart = [float((p[:, None] - p[None]).abs().mean()) for p in (made, exact)]
        told |= {"sides_right": max(right), "variety": apart[0] / apart[1]}
    return told


def sheet(made: Tensor, exact: Tensor, prompts: Sequence[str], path: Path) -> None:
    """Two prompts of each kind, one of them learnt and one unseen."""
    unseen = [4 - kind % 4 + kind % 3 * 4 for kind in range(len(NAMES))]
    rows = [kind * len(COLORS) + color for kind in range(len(NAMES)) for color in (unseen[kind] - 1, unseen[kind] % len(COLORS))]
    page([(exact[n], made[n], prompts[n]) for n in rows], path)


def page(tiles: Sequence[tuple], path: Path) -> None:
    """A PNG of tiles, each of pictures [4, 3, S, S] from four sides, one above the other, and a prompt: the exact object, what was made."""
    size, line, rows = tiles[0][0].shape[-1], 14, len(tiles[0]) - 1
    zoom = 72 // size
    width, height = 4 * size * zoom, rows * size * zoom + line
    whole = Image.new("RGB", (4 * width, -(-len(tiles) // 4) * height), "white")
    for place, (*seen, prompt) in enumerate(tiles):
        tile = torch.stack(seen).permute(0, 3, 1, 4, 2).reshape(rows * size, 4 * size, 3)
        left, top = place % 4 * width, place // 4 * height
        picture = Image.fromarray(to_bytes(tile).numpy()).resize((width, height - line), Image.Resampling.NEAREST)
        whole.paste(picture, (left, top))
        ImageDraw.Draw(whole).text((left + 2, top + height - line), prompt, fill="black")
    replace_file(path, lambda name: whole.save(name, format="PNG"))


def table(out: Path, first_arm: str = "3d") -> str:
    """Markdown: means over prompts with 95 % bootstrap intervals; the differences are those of the same prompts in the first arm."""
    told = {name: json.loads((out / name / "rows.json").read_text()) for name in (*ARMS, *ALONE) if (out / name / "rows.json").exists()}
    from_ = out / first_arm / "rows.json"
    first = {row["prompt"]: row["iou"] for row in json.loads(from_.read_text())["rows"]} if from_.exists() else {}
    lines = [
        "| arm | prompts | IoU | against the first | IoU, best turn | colour error | Mask-IoU | sides right | variety | kind right |",
        "|" + "---|" * 10,
    ]
    for name, of in told.items():
        for group, rows in groups(name, of["rows"]).items():
            cells = [spread([row[figure] for row in rows if figure in row]) for figure in TOLD]
            apart = [row["iou"] - first[row["prompt"]] for row in rows] if first and name != first_arm and name not in ALONE else []
            cells.insert(1, spread(apart, "+"))
            lines.append(f"| {of['title']} | {group}, {len(rows)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def spread(values: list[float], sign: str = "") -> str:
    """A mean with its interval, or nothing."""
    if not values:
        return ""
    low, high = interval(values)
    text = f"{np.mean(values):{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})" if sign else f"{np.mean(values):.3f} ({low:.3f}–{high:.3f})"
    return text.replace("-", "−")


def groups(name: str, rows: list[dict]) -> dict[str, list[dict]]:
    """Rows that a line of the table is about. In an arm that has no shapes, nobody is without one."""
    if name in ALONE:
        return {f"{steps} steps": [row for row in rows if row["steps"] == steps] for steps in SPANS}
    bare = [row for row in rows if row["shapeless"]]
    if len(bare) == len(rows):
        bare = []
    others = [row for row in rows if row not in bare]
    parts = {
        "seen": [row for row in others if row["seen"]], "unseen": [row for row in others if not row["seen"]],
        "of a kind without a shape": bare,
    }  # fmt: skip
    return {group: some for group, some in parts.items() if some}


if __name__ == "__main__":
    sys.exit(main())
