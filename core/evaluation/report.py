# SPDX-License-Identifier: GPL-3.0-or-later
"""One page that shows an evaluation: all tables with their intervals, and pictures of the best, the median and the worst of each kind."""

import base64
from collections import defaultdict
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from core.evaluation.summary import values_of
from core.files import replace_file

WORST = 0.05  # share of all prompts on the sheet of the worst
# Figure of the summary: (what it is called, whether more is better, its explanation)
MEASURES = {
    "iou": ("IoU", True, "volume in both over volume in either, in the exact object's box"),
    "f_score_1": ("F-score at 1 %", True, "surface found and surface right within 1 % of the object's diagonal"),
    "f_score_2": ("F-score at 2 %", True, "the same within 2 %"),
    "chamfer": ("Chamfer distance", False, "mean distance of the surfaces, both ways; objects are 0.96 long"),
    "normal_consistency": ("Normal consistency", True, "mean |cosine| of the normals at nearest points, both ways"),
    "base_color_error": ("Base colour error", False, "mean |Δ| sRGB at the exact surface"),
    "roughness_error": ("Roughness error", False, "mean |Δ| at the exact surface"),
    "metallic_error": ("Metallic error", False, "mean |Δ| at the exact surface"),
    "psnr": ("PSNR of renders, dB", True, "four views at 128², same rays and shading on both sides"),
    "ssim": ("SSIM of renders", True, "the same pictures"),
    "height_error": ("Height error", False, "relative, in metres"),
    "kind_accuracy": ("Kind recognised", True, "whose exact object, of all kinds, overlaps most"),
    "sound": ("Closed, manifold, oriented", True, "share of meshes"),
    "pieces_as_exact": ("As many pieces as the exact object", True, "share of meshes"),
    "uv_in_range": ("UVs within the image", True, "share of meshes"),
}
PROBES = {
    "color": "colour", "material": "material", "pattern": "pattern", "pattern_color": "colour of the pattern", "proportion": "proportion",
    "second": "second part, where named", "no_second": "no second part, where not named", "second_color": "colour of the second part",
    "size": "size",
}  # fmt: skip
BY_KIND = ("iou", "f_score_1", "f_score_2", "base_color_error", "psnr", "ssim", "kind_accuracy")
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #23262b; background: #fafafa; max-width: 1180px; margin: 0 auto; padding: 32px 20px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 40px 0 6px; } h3 { font-size: 16px; margin: 24px 0 6px; }
p { margin: 4px 0 10px; color: #565c66; max-width: 860px; } code { font-size: 13px; }
table { border-collapse: collapse; background: #fff; border: 1px solid #e2e4e8; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 14px; text-align: right; border-bottom: 1px solid #eceef1; } th { font-weight: 600; background: #f3f4f6; }
th:first-child, td:first-child, .note { text-align: left; }
td:not(.note, :first-child) { white-space: nowrap; } .note { color: #6b717b; font-size: 13px; }
.cards { display: grid; grid-template-columns: repeat(3, 1fr); gap: 14px; }
figure { margin: 0; background: #fff; border: 1px solid #e2e4e8; border-radius: 6px; overflow: hidden; }
figure img { width: 100%; display: block; } figcaption { padding: 6px 10px 9px; font-size: 13px; color: #565c66; }
figcaption b { color: #23262b; font-weight: 600; } .tag { float: right; color: #8a9099; } .wrong { color: #b03a2e; }
@media (max-width: 800px) { .cards { grid-template-columns: 1fr; } }
"""


@dataclass(frozen=True)
class Report:
    """summary: what `core.evaluation.summary` made of `rows`; strips: a JPEG for each row; facts: how it was measured."""

    summary: dict
    rows: list[dict]
    strips: list[bytes]
    facts: dict[str, str]


def write_report(folder: Path, report: Report) -> None:
    """Write FOLDER/index.html, whole in itself."""
    page = "\n".join((head(report), measures_table(report.summary), probes_table(report.summary), r_precision_table(report.summary),
                      worst_sheet(report), kinds_table(report), kinds_pictures(report), "</body></html>"))  # fmt: skip
    replace_file(folder / "index.html", lambda name: Path(name).write_text(page, encoding="utf-8"))


def head(report: Report) -> str:
    s, facts = report.summary, report.facts
    title = escape(f"{facts.get('model', 'model')} · {s['split']}")
    how = (
        f"{escape(facts.get('machine', ''))}, {escape(facts.get('minutes', '?'))} minutes. <code>{escape(facts.get('command', ''))}</code>"
    )
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{STYLE}</style></head><body>
<h1>{title}</h1>
<p>{s["prompts"]} prompts of {s["kinds"]} kinds, measured on finished textured meshes against the exact objects of the same prompts
and style numbers. {how}</p>"""


def measures_table(s: dict) -> str:
    """Every mean with its interval."""
    rows = [
        (f"{name} {'↑' if more else '↓'}", figure(s[key]), span(s[f"{key}_95"]), note)
        for key, (name, more, note) in MEASURES.items() if key in s
    ]  # fmt: skip
    rows += [("Texels with two owners ↓", str(s["uv_overlaps"]), "", "in all images together")]
    rows += [("Seconds to generate", f"{s['generation_ms'] / 1000:.2f}", "", "median")] if s["generation_ms"] else []
    rows += [(name, figure(s[key]), "", "torchmetrics") for key, name in (("clip_score", "CLIP score ↑"), ("fid", "FID ↓")) if key in s]
    note = "Means over prompts; intervals are 95 % bootstrap intervals over prompts."
    return f"<h2>Measures</h2><p>{note}</p>" + table(("", "mean", "95 %", ""), rows)


def probes_table(s: dict) -> str:
    """Accuracy per attribute, beside chance."""
    rows = [
        (PROBES.get(name, name), percent(p["accuracy"]), span(p["accuracy_95"], percent), percent(p["chance"]), str(p["prompts"]))
        for name, p in s["probes"].items()
    ]
    note = ("Is what was named so? Exact objects with every value of the attribute, and with none, are held against the mesh; "
            "the closest counts. A pattern counts where it lies as the exact object's does.")  # fmt: skip
    return f"<h2>Attributes</h2><p>{note}</p>" + table(("attribute", "right", "95 %", "chance", "prompts"), rows)


def r_precision_table(s: dict) -> str:
    found = s["r_precision_own_space"]
    if found is None:
        return "<h2>R-precision (own space)</h2><p>Not measured: its space has not been trained.</p>"
    rows = [
        ("generated", percent(found["r_at_1"]), span(found["r_at_1_95"], percent)),
        ("exact objects, the ceiling", percent(found["exact_objects"]), span(found["exact_objects_95"], percent)),
        ("chance", percent(found["chance"]), ""),
    ]
    note = (f"How often the object's own prompt is the nearest of {found['pool']} different ones to its renders, in a space trained on "
            "exact renders of the train split only. It is no CLIP score.")  # fmt: skip
    return f"<h2>R-precision (own space)</h2><p>{note}</p>" + table(("renders of", "R@1", "95 %"), rows)


def worst_sheet(report: Report) -> str:
    """The worst of all prompts, worst first."""
    order = ranked(report.rows)
    some = order[: max(1, round(WORST * len(order)))]
    note = f"The lowest PSNR of renders among all {len(order)}; generated above, exact below."
    cards = "".join(card(report, i, "") for i in some)
    return f'<h2>The worst {100 * WORST:.0f} %</h2><p>{note}</p><div class="cards">{cards}</div>'


def kinds_table(report: Report) -> str:
    rows = []
    for kind, places in by_kind(report.rows).items():
        own = [report.rows[i] for i in places]
        means = [values_of(own, key) for key in BY_KIND]
        rows.append((kind, str(len(own)), *(figure(float(np.mean(v))) if v else "–" for v in means)))
    names = [MEASURES[key][0] for key in BY_KIND]
    return "<h2>Kinds</h2>" + table(("kind", "prompts", *names), rows)


def kinds_pictures(report: Report) -> str:
    """Best, median and worst of each kind."""
    out = ["<h2>Best, median and worst of each kind</h2><p>By the PSNR of renders; generated above, exact below.</p>"]
    for kind, places in by_kind(report.rows).items():
        order = [places[i] for i in ranked([report.rows[i] for i in places])]  # worst first
        chosen = {order[-1]: "best", order[len(order) // 2]: "median", order[0]: "worst"}
        if len(chosen) < 3:
            chosen = {i: "" for i in reversed(order)}
        cards = "".join(card(report, i, tag) for i, tag in chosen.items())
        out.append(f'<h3>{escape(kind)}</h3><div class="cards">{cards}</div>')
    return "\n".join(out)


def card(report: Report, i: int, tag: str) -> str:
    """One prompt: its pictures, figures, and what the probes found wrong."""
    row = report.rows[i]
    wrong = [f"{PROBES.get(name, name).split(',')[0]}: {in_words(p['named'])} → {in_words(p['found'])}" for name, p in row["probes"].items()
             if p["named"] != p["found"]]  # fmt: skip
    if row["kind_found"] != row["kind"]:
        wrong.insert(0, f"kind: {row['kind']} → {in_words(row['kind_found'])}")
    image = base64.b64encode(report.strips[i]).decode()
    found = f'<br><span class="wrong">{escape("; ".join(wrong))}</span>' if wrong else ""
    figures = f"PSNR {row['psnr']:.1f} · IoU {row['iou']:.3f} · colour error {row['base_color_error']:.3f} · seed {row['seed']}"
    return (f'<figure><img alt="{escape(row["prompt"])}" src="data:image/jpeg;base64,{image}"><figcaption><span class="tag">{tag}</span>'
            f"<b>{escape(row['prompt'])}</b><br>{figures}{found}</figcaption></figure>")  # fmt: skip


def ranked(rows: list[dict]) -> list[int]:
    """Places of rows, the worst first."""
    return sorted(range(len(rows)), key=lambda i: rows[i]["psnr"])


def by_kind(rows: list[dict]) -> dict[str, list[int]]:
    """Places of each kind's rows, kinds by the alphabet."""
    places = defaultdict(list)
    for i, row in enumerate(rows):
        places[row["kind"]].append(i)
    return dict(sorted(places.items()))


def table(titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Cells after the last title-less column are notes."""
    cells = ["".join(f"<th>{escape(t)}</th>" for t in titles)]
    for row in rows:
        cells.append("".join(f"<td{' class=note' if i and not titles[i] else ''}>{escape(c)}</td>" for i, c in enumerate(row)))
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in cells) + "</table>"


def figure(value: float) -> str:
    return f"{value:.2f}" if value >= 2 else f"{value:.3f}" if value >= 0.0995 else f"{value:.4f}"


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def span(bounds: list[float], write=figure) -> str:
    return " – ".join(write(b) for b in bounds)


def in_words(value: str | bool | None) -> str:
    """A probe's value in words."""
    words = {None: "not named", "": "nothing", True: "there", False: "not there"}
    return words[value] if value in words else str(value)
