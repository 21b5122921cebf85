# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model trained on a folder's library says of itself at the end: its quality, measured on some prompts, and a page for people."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from core.evaluation.gallery import Gallery
from core.evaluation.shapes import made, measure, requests_of, spread, summary
from core.files import replace_file
from core.library.folder import PreparedFolder
from core.networks.storage import ModelCard, read_card, save_card
from core.pipeline import Latte3DPipeline

MEASURED = 40  # prompts of a split
FIGURES = ("prompts", "iou", "base_color_error", "shape_top1", "shape_top5")
SPLITS = {"train": "prompts that it learnt", "paraphrases": "other wordings of what it learnt", "unseen": "things that it never saw"}


def finish_card(folder: Path, library: Path, device: str, tell: Callable[[dict], None] | None) -> None:
    """Measure the model in `folder` on some prompts of each split, and write the figures into config.json and README.md."""
    pipeline, prepared = Latte3DPipeline.from_pretrained(folder, device), PreparedFolder.open(library)
    gallery, quality = Gallery(prepared), {}
    splits = [split for split in SPLITS if any(prompt.shape for prompt in prepared.prompts(split))]
    chosen = {split: spread(requests_of(prepared, split), MEASURED, 0) for split in splits}
    done, total = 0, sum(map(len, chosen.values()))
    for split, requests in chosen.items():
        rows = []
        for request in requests:
            rows.append({"prompt": request.text, **measure(made(pipeline, request.text, 0, {}), request, gallery, prepared)})
            done += 1
            if tell:
                tell({"event": "progress", "stage": "evaluate", "done": done, "total": total, "eta_s": None})
        figures = summary(rows, split, len(prepared.shapes))
        quality[split] = {name: figures[name] for name in FIGURES if figures.get(name) is not None}
    sizes, card = read_card(folder)
    card = replace(card, training=card.training | {"quality": quality})
    save_card(card, sizes, folder)
    text = page(card)
    replace_file(folder / "README.md", lambda name: Path(name).write_text(text, encoding="utf-8"))


def page(card: ModelCard) -> str:
    """The card as Markdown."""
    facts, library = card.training, card.training["library"]
    hours = facts["hours"] + facts.get("hours_before", 0.0)
    kinds = f"; of the starter library: {', '.join(card.kinds)}" if card.kinds else ""
    height = "metres, learnt" if library["heights"] else "not known: an object stands one metre on its longest side"
    rows = [
        ("trained on", f"{library['name']}: {library['prompts']} prompts of {library['shapes']} shapes{kinds}"),
        ("author and licence of the assets", f"{library['author'] or 'not said'}; {library['licence'] or 'not said'}"),
        ("heights", height),
        ("hours", f"{hours:.2f} in all, {facts['hours']:.2f} in the last run ({facts['steps']} steps, batch {facts['batch']}"
                  f", processes {facts['processes']}); before it, those of the models that it starts from"),
        ("hardware", f"{facts['hardware']}, torch {facts['torch']}"),
        ("command", f"`{facts['command']}`"),
    ]  # fmt: skip
    lines = [f"# {card.id}", "", "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows), ""]
    lines += ["| Measured | prompts | IoU | colour error | right shape | among five |", "|---|---|---|---|---|---|"]
    for split, own in facts["quality"].items():
        told = [f"{own[name]:.3f}" if name in own else "–" for name in FIGURES[1:]]
        lines.append(f"| {SPLITS[split]} | {own['prompts']} | {' | '.join(told)} |")
    examples = ", ".join(f"“{thing.example}”" for thing in card.things[:12])
    return "\n".join([*lines, "", f"It makes, for example: {examples}.", ""])
