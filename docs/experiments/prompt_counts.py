# SPDX-License-Identifier: GPL-3.0-or-later
"""How many prompts score distillation by a small prior should learn, and whether a specialist of one family is better at it.

    python docs/experiments/prompt_counts.py PRIOR --out FOLDER [ARM ...] [--plain SD/sharp]

PRIOR is that of score_distillation.py. Prompts are those of the starter library's grammar about the prior's eight kinds: colours,
materials, patterns, second parts, proportions, sizes, in many wordings. A smaller library is the beginning of every larger one; nobody
learns the 320 that all are measured on, whose combinations of attributes are kept from training, the prior's too. No shape is given, and
the style is the typical one (z = 0). --plain: an arm of score_distillation.py, which learnt 216 plain prompts, is measured as well.
What is finished stays in FOLDER, the same command goes on where it was interrupted, and at the end prints the tables.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from score_distillation import NAMES, SEEN_AT, SIDES, WEIGHTS, Domain, figures, page, pictured, spread

from core.files import replace_file
from core.guidance.multiview import MultiviewGuidance
from core.guidance.prompts import EmbeddingCache
from core.guidance.sds import Distillation
from core.language.encoder import TextEncoder
from core.library.prompt import Prompt
from core.library.starter.kinds import KINDS
from core.library.starter.objects import Description, ExactObjects
from core.library.starter.prompts import StarterPrompts
from core.networks.generator import Generator
from core.networks.presets import PRESETS
from core.training.captions import CaptionSettings, CaptionTask
from core.training.checkpoint import Checkpoint
from core.training.losses import LossWeights
from core.training.prior.album import pictures
from core.training.run import Run, accelerator_on
from core.training.stages.distilling import VolumeSettings
from core.training.stages.geometry import Geometry, GeometrySettings
from core.training.stages.reading import ReadingSettings, ReadingStage
from core.training.subjects import Subjects

FAMILY = ("cat", "teddy", "duck")  # animals and toys: the specialist's kinds
SEED = 1  # of the libraries; the prior's own prompts are the first 4,096 of seed 0
BATCH = 4  # objects a step
UNSEEN = 40  # prompts of each kind that all arms are measured on
FIRST, SOME = 100, 128  # of the learnt ones: those that all libraries have, and so many that the arm has looked at
TOLD = ("iou", "iou_turned", "color_error", "kind_right")


@dataclass(frozen=True)
class Arm:
    """count: prompts of the library; share: of the steps; kinds: whose prompts are left in the library."""

    title: str
    count: int
    share: float = 1.0
    kinds: tuple[str, ...] = NAMES


ARMS = {
    "100": Arm("100 prompts", 100),
    "1000": Arm("1,000 prompts", 1000),
    "100-tenth": Arm("100 prompts, a tenth of the steps", 100, 0.1),
    "family-part": Arm("specialist, its share of the steps too", 1000, len(FAMILY) / len(NAMES), FAMILY),
    "10000": Arm("10,000 prompts", 10_000),
    "family": Arm("specialist, its share of 1,000 prompts", 1000, 1.0, FAMILY),
    "101608": Arm("101,608 prompts", 101_608),
}  # fmt: skip
FURTHER = {
    "1000-threefold": Arm("1,000 prompts, three times the steps", 1000, 3.0),
    "10000-threefold": Arm("10,000 prompts, three times the steps", 10_000, 3.0),
    "1000-tenfold": Arm("1,000 prompts, ten times the steps", 1000, 10.0),
}  # only where they are named: 25 minutes of a core and more


PLAIN = "plain"  # kind, colour and proportion in their usual words


class Library(Domain):
    """Prompts that are learnt, and others that are not. measured: numbers of those among all whose exact shapes are held ready."""

    def __init__(self, encoder: TextEncoder, dummy: Tensor, learnt: Sequence[Prompt], unseen: Sequence[Prompt], measured: Sequence[int]):
        all_of_them = [*learnt, *unseen]
        self.encoder, self.dummy, self.plain, self.seed = encoder, dummy, [], 0
        self.prompts, self.descriptions = [p.text for p in all_of_them], [p.description for p in all_of_them]
        self.seen, self.unseen = range(len(learnt)), range(len(learnt), len(all_of_them))
        self.shapeless = torch.ones(len(all_of_them), dtype=torch.bool)
        self.measured = list(measured)
        bare = [bare_of(self.descriptions[n]) for n in self.measured]
        self.shapes = list(dict.fromkeys(bare))
        self.shape_of = torch.full((len(all_of_them),), -1)
        self.shape_of[self.measured] = torch.tensor([self.shapes.index(shape) for shape in bare])
        objects = ExactObjects(self.shapes, torch.zeros(len(self.shapes), 8))
        self.clouds = torch.cat(objects.sample_surface(len(dummy), torch.Generator().manual_seed(2)), -1)  # [shapes, points, 6]
        self.grids = torch.stack([self._grid(ExactObjects([shape], torch.zeros(1, 8))) for shape in self.shapes])

    def subjects(self, rows: Sequence[int]) -> Subjects:
        texts, z = [self.prompts[n] for n in rows], torch.zeros(len(rows), 8)
        objects = ExactObjects([self.descriptions[n] for n in rows], z)
        nobody = torch.zeros(len(rows), dtype=torch.bool)
        return Subjects(texts, *self._read(texts), z, self.dummy.expand(len(rows), -1, -1), objects.sdf, nobody,
                        lambda points: objects.appearance(points)[..., :3])  # fmt: skip

    def _read(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Tokens and mask. Each text is read by itself: the last bits depend on the texts that are read with it, and the encoder keeps
        those of the first time, which is another one after a resumption."""
        tokens = [self.encoder([text])[0][0] for text in texts]
        lengths = torch.tensor([len(row) for row in tokens])
        padded = torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True)
        return padded, torch.arange(padded.shape[1]) < lengths[:, None]


def looked_at(count: int, steps: int) -> list[int]:
    """Which of so many learnt prompts are seen in so many steps, in the order in which `Domain.draw` gives them."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))[: steps * BATCH].tolist()


def bare_of(d: Description) -> Description:
    """What a description says about the shape."""
    return Description(d.kind, proportion=d.proportion, second=d.second and KINDS[d.kind].second.optional, count=d.count)


def unseen_prompts(kinds: Sequence[str] = NAMES) -> list[Prompt]:
    return [prompt for kind in kinds for prompt in StarterPrompts(UNSEEN, "unseen", SEED, [kind])]


def library_of(arm: Arm, steps: int, encoder: TextEncoder, dummy: Tensor) -> tuple[Library, list[int], list[int]]:
    """An arm's library; which of it are among the first that all have, and which of them it looks at, no more than SOME."""
    drawn = enumerate(StarterPrompts(arm.count, "train", SEED, NAMES))
    learnt = [(n, prompt) for n, prompt in drawn if prompt.description.kind in arm.kinds]
    first = [i for i, (n, _) in enumerate(learnt) if n < FIRST]
    looked, unseen = sorted(looked_at(len(learnt), steps)[:SOME]), unseen_prompts(arm.kinds)
    measured = [*dict.fromkeys([*first, *looked]), *range(len(learnt), len(learnt) + len(unseen))]
    return Library(encoder, dummy, [prompt for _, prompt in learnt], unseen, measured), first, looked


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prior", type=Path)
    parser.add_argument("arms", nargs="*", metavar="ARM", help=f"{', '.join(ARMS)} (all of these), {', '.join(FURTHER)}")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=500, help=f"of {BATCH} objects, an arm")
    parser.add_argument("--plain", type=Path, help="the folder of an arm of score_distillation.py")
    a = parser.parse_intermixed_args()
    torch.set_num_threads(1)
    encoder = TextEncoder(device="cpu")
    if a.plain:
        plain(a.plain, a, encoder)
    for name in a.arms or ARMS:
        if name not in ARMS | FURTHER:
            parser.error(f"There is no arm {name!r}.")
        run(name, a, encoder)
    print(table(a.out))
    sheet(a.out, encoder)
    return 0


def run(name: str, a: argparse.Namespace, encoder: TextEncoder) -> None:
    """Train one arm, resuming what there is of it, and measure it."""
    arm, out, accelerator = (ARMS | FURTHER)[name], a.out / name, accelerator_on("cpu")
    if (out / "rows.json").exists():
        return
    begun, steps = time.process_time(), round(a.steps * arm.share)
    torch.manual_seed(0)
    generator = Generator(PRESETS["tiny"])
    library, first, looked = library_of(arm, steps, encoder, generator.dummy)
    for stage in stages(a.prior, a.out / "texts", steps, generator, library):
        state = Checkpoint(out / f"{stage.name}.checkpoint.safetensors", {"arm": name, "steps": steps})
        if not Run(stage, accelerator, state).go():
            sys.exit(130)
    save_weights(generator, out / WEIGHTS)
    taught, turned = time.process_time(), library.turned()
    groups = {"unseen": list(library.unseen), "first": first, "looked at": looked}
    rows = {group: measure(generator, library, some, turned) for group, some in groups.items()}
    told = {
        "title": arm.title, "prompts": len(library.seen), "descriptions": len({library.descriptions[n] for n in library.seen}),
        "steps": steps, "looks": steps * BATCH / len(library.seen),
        "training_s": round(taught - begun), "measuring_s": round(time.process_time() - taught), "rows": rows,
    }  # fmt: skip
    replace_file(out / "rows.json", lambda path: Path(path).write_text(json.dumps(told)))


def plain(arm: Path, a: argparse.Namespace, encoder: TextEncoder) -> None:
    """Measure an arm of score_distillation.py on the prompts that all arms here are measured on."""
    path, made = a.out / PLAIN / "rows.json", json.loads((arm / "rows.json").read_text())
    if path.exists():
        return
    generator, count = Generator(PRESETS["tiny"]), sum(row["seen"] for row in made["rows"])
    generator.load_state_dict(load_file(arm / WEIGHTS))
    library, first, _ = library_of(ARMS["100"], 1, encoder, generator.dummy)
    turned = library.turned()
    rows = {group: measure(generator, library, some, turned) for group, some in (("unseen", library.unseen), ("first", first))}
    told = {"title": f"{count} plain prompts", "prompts": count, "descriptions": count, "steps": made["steps"],
            "looks": made["steps"] * BATCH / count, "rows": rows}  # fmt: skip
    replace_file(path, lambda name: Path(name).write_text(json.dumps(told)))


def stages(prior: Path, texts: Path, steps: int, generator: Generator, library: Library, kind: type[Geometry] = Geometry) -> Iterator:
    """Reading and stage 1 over the same networks: each is made when the one before has ended. texts: a folder for what the prior reads,
    of those prompts alone that the steps look at."""
    captions = [(library.prompts[n], None) for n in library.seen]
    window = CaptionSettings(window=max(len(captions), 1))  # of all captions
    task = CaptionTask(captions, library.encoder, generator.config, 0, torch.device("cpu"), window)
    yield ReadingStage(ReadingSettings(steps=300, batch=64), generator, [task], LossWeights(), 1)
    del task, captions
    library.encoder.forget()  # what it has read in other company
    cache = EmbeddingCache.build(texts, prior, [library.prompts[n] for n in looked_at(len(library.seen), steps)])
    teacher = MultiviewGuidance.load(prior, "cpu", settings=Distillation(loss="x0", scale=3.0, rescale=0.0))
    settings = GeometrySettings(batch=BATCH, rate=2e-3, size=16, average=0.0, steps=steps, slopes=128, alpha=0.0,
                                rays=VolumeSettings(16, 8, 4), warmup=max(1, min(100, steps // 5)))  # fmt: skip
    yield kind(settings, generator, teacher, cache, library, seed=0)


def save_weights(generator: Generator, path: Path) -> None:
    replace_file(path, lambda name: save_file({k: v.contiguous() for k, v in generator.state_dict().items()}, name))


def measure(generator: Generator, library: Library, some: Sequence[int], turned: Tensor) -> list[dict]:
    """A row of figures for each of some prompts; turned: as `Domain.turned` gives it."""
    parts = [list(some[start : start + 16]) for start in range(0, len(some), 16)]
    return [row for part in parts for row in figures(generator, library, part, None, turned)[0]]


def results(out: Path) -> dict[str, dict]:
    return {name: json.loads(path.read_text()) for name in (PLAIN, *ARMS, *FURTHER) if (path := out / name / "rows.json").exists()}


def table(out: Path) -> str:
    """Markdown: means over prompts with 95 % bootstrap intervals; the differences are those of the same prompts in the arm named."""
    told = results(out)
    sections = [
        lines_of({name: of for name, of in told.items() if "family" not in name}, "100", NAMES),
        lines_of({name: told[name] for name in ("1000", "family", "family-part") if name in told}, "1000", FAMILY),
    ]
    return "\n\n".join(sections)


def lines_of(told: dict[str, dict], against: str, kinds: Sequence[str]) -> str:
    """One table, of the prompts about some kinds."""
    apart = f"against {against}"
    head = ["arm", "looks at each", "measured on", "IoU", apart, "IoU, best turn", "colour error", apart, "kind right"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    names = {"unseen": "unseen", "first": "of the first hundred", "looked at": "some that it looked at"}
    for name, of in told.items():
        for group, rows in of["rows"].items():
            rows = [row for row in rows if row["kind"] in kinds]
            if group == "looked at" and of["prompts"] <= FIRST:
                continue  # the same ones again
            cells = [spread([row[figure] for row in rows]) for figure in TOLD]
            for place, figure in ((3, "color_error"), (1, "iou")):
                other = {row["prompt"]: row[figure] for row in told.get(against, {"rows": {group: ()}})["rows"][group]}
                paired = [row[figure] - other[row["prompt"]] for row in rows if row["prompt"] in other]
                cells.insert(place, spread(paired, "+") if name != against and group != "looked at" else "")
            lines.append(f"| {of['title']} | {of['looks']:.2g} | {names[group]}, {len(rows)} | {' | '.join(cells)} |")
    return "\n".join(lines)


@torch.no_grad()
def sheet(out: Path, encoder: TextEncoder, names: Sequence[str] = ("100", "1000", "10000", "101608")) -> None:
    """FOLDER/counts.png: an unseen prompt of each kind; the exact object above, below it what each count made of it."""
    names = [name for name in names if (out / name / WEIGHTS).exists()]
    torch.manual_seed(0)
    generator = Generator(PRESETS["tiny"])
    unseen = unseen_prompts()
    library = Library(encoder, generator.dummy, (), unseen[::UNSEEN], range(len(NAMES)))
    of = library.subjects(library.measured)
    rows = [pictures(replace(of, cloud=library.clouds[library.shape_of]), SIDES, SEEN_AT)[0]]
    for name in names:
        generator.load_state_dict(load_file(out / name / WEIGHTS))
        rows.append(pictured(generator, generator(of.tokens, of.mask, of.z))[0])
    page([(*(row[i] for row in rows), prompt) for i, prompt in enumerate(of.prompts)], out / "counts.png")


if __name__ == "__main__":
    sys.exit(main())
