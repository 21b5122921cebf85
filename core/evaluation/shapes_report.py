# SPDX-License-Identifier: GPL-3.0-or-later
"""One page that shows an evaluation on a folder library: the figures with their intervals, and every prompt's pictures, the worst first."""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from core.evaluation.report import STYLE, figure, percent, span, table
from core.evaluation.sheet import Pictures, figures
from core.files import replace_file
from core.mesh import encode_image

# Figure of the summary: (what it is called, how it is written, its explanation)
MEASURES = {
    "iou": ("IoU ↑", figure, "volume in both over volume in either"),
    "base_color_error": ("Base colour error ↓", figure, "mean |Δ| sRGB from the shape's surface to the nearest texel"),
    "roughness_error": ("Roughness error ↓", figure, "the same"),
    "metallic_error": ("Metallic error ↓", figure, "the same"),
    "height_error": ("Height error ↓", figure, "relative, in metres"),
    "shape_top1": ("Right shape ↑", percent, "highest IoU × (1 − colour error) among all prepared shapes"),
    "shape_top5": ("Right shape among five ↑", percent, ""),
    "seed_iou": ("IoU between seeds ↓", figure, "of two objects of one prompt, on a sample of prompts"),
}
SINGLE = {
    "chance_top1": ("Right shape by chance", percent, ""),
    "text_top1": ("Right shape by captions", percent, "the shape of the nearest train caption, by the frozen text encoder alone"),
    "text_top5": ("Right shape among five by captions", percent, ""),
}
WIDE = ".cards { grid-template-columns: repeat(2, 1fr); } h1 + p { max-width: none; }"


def write(folder: Path, result: dict, rows: Sequence[dict], pictures: Sequence[Pictures], facts: dict[str, str]) -> None:
    """Write FOLDER/index.html, whole in itself. result: what `core.evaluation.shapes` found; facts: model, machine, command."""
    title = escape(f"{facts['model']} · {result['library']} · {result['split']}")
    told = f"{result['prompts']} prompts, each one's typical object held against {result['shapes']} prepared shapes."
    told += f" {escape(facts['machine'])}, {result['minutes']} minutes. <code>{escape(facts['command'])}</code>"
    order = sorted(range(len(rows)), key=lambda i: rows[i]["iou"])
    cards = "\n".join(_card(rows[i], pictures[i]) for i in order)
    page = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{STYLE}{WIDE}</style></head><body>
<h1>{title}</h1>
<p>{told}</p>
{_table(result)}
<h2>All prompts, the worst first</h2>
<p>By IoU. From left: the asset as Blender shows it; as it was prepared; what the model makes of the prompt; that from behind.</p>
<div class="cards">{cards}</div></body></html>"""
    replace_file(folder / "index.html", lambda name: Path(name).write_text(page, encoding="utf-8"))


def _table(result: dict) -> str:
    rows = [
        (title, form(result[key]), span(result[f"{key}_95"], form), note)
        for key, (title, form, note) in MEASURES.items()
        if result.get(key) is not None
    ]
    rows += [(title, form(result[key]), "", note) for key, (title, form, note) in SINGLE.items() if result.get(key) is not None]
    rows += [("Empty surfaces ↓", str(result["empty"]), "", "they count as IoU 0, colour error 1, wrong shape")]
    rows += [("Seconds to generate", f"{result['generation_ms'] / 1000:.2f}", "", "median")] if result["generation_ms"] else []
    note = "Means over prompts; intervals are 95 % bootstrap intervals over prompts."
    return f"<h2>Measures</h2><p>{note}</p>" + table(("", "mean", "95 %", ""), rows)


def _card(row: dict, pictures: Pictures) -> str:
    strip = encode_image(np.concatenate([pictures.asset, pictures.prepared, pictures.made, pictures.behind], 1))
    image, prompt = f"data:image/jpeg;base64,{base64.b64encode(strip).decode()}", escape(row["prompt"])
    wrong = "" if row["shape_top1"] else ' class="wrong"'
    told = f"<b>{prompt}</b><br><span{wrong}>{escape(figures(row))}</span><br>{escape(row['shape'])}"
    return f'<figure><img alt="{prompt}" src="{image}"><figcaption>{told}</figcaption></figure>'
