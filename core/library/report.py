# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of every asset: report.json, and one HTML page with a picture and the facts of each."""

import html
import json
from pathlib import Path

from core.files import replace_file
from core.library.format import PREPARED, Library

STYLE = """body{font:14px sans-serif;margin:2em;background:#f4f4f6;color:#222}.n{color:#a33}.a img{width:330px;display:block}
.a{display:inline-block;vertical-align:top;width:330px;margin:6px;background:#fff;border-radius:6px;overflow:hidden;font-size:12px}
.a div{padding:6px 9px}
td{padding:3px 12px 3px 0;vertical-align:top}small{color:#777}"""
FACTS = ("triangles", "closed", "thickened", "hidden", "filled", "turned", "broken", "sign_disagreement", "known", "height", "size",
         "notes", "missing")  # fmt: skip


def write_report(library: Library, done) -> None:
    """Write .prepared/report.json and report.html of what `prepare` did (`done`: prepare.Done)."""
    from core.library.prepare import prepared_file
    from core.library.shape import read_facts

    home = library.folder / PREPARED
    rejected = dict(done.rejected)
    assets = []
    for shape in library.shapes:
        if shape in rejected:
            continue
        facts = read_facts(prepared_file(library.folder, shape))
        picture = prepared_file(library.folder, shape, ".png").relative_to(home).as_posix()
        asset = {"asset": shape, "picture": picture, "height_m": height_m(library, shape, facts), **{k: facts[k] for k in FACTS}}
        assets.append(asset | {"prompts": [p.text for p in library.prompts if p.shape == shape]})
    about = {"name": library.name, "licence": library.licence, "author": library.author}
    report = {**about, **done.to_json(), "assets": assets}
    text = json.dumps(report, indent=1, ensure_ascii=False)
    replace_file(home / "report.json", lambda name: Path(name).write_text(text, encoding="utf-8"))
    page = _page(library, assets, rejected)
    replace_file(home / "report.html", lambda name: Path(name).write_text(page, encoding="utf-8"))


def height_m(library: Library, shape: str, facts: dict) -> float | None:
    """Metres: what prompts.csv says, else the asset's own height in the library's units; None where heights mean nothing."""
    told = next((p.height_m for p in library.prompts if p.shape == shape and p.height_m), None)
    return told or (facts["height"] * library.units if library.units else None)


def _page(library: Library, assets: list[dict], rejected: dict[str, str]) -> str:
    rows = "".join(f"<tr><td>{html.escape(name)}</td><td>{html.escape(reason)}</td></tr>" for name, reason in sorted(rejected.items()))
    not_used = f"<h2>Not used: {len(rejected)}</h2><table>{rows}</table>" if rejected else ""
    licence = html.escape(f"{library.author or 'unknown author'}, {library.licence or 'no licence given'}")
    name = html.escape(library.name)
    told = f"{licence}. {len(assets)} assets prepared: left as Blender shows it, right as it was prepared."
    head = f"<!doctype html><meta charset=utf-8><title>{name}</title><style>{STYLE}</style><h1>{name}</h1><p>{told}</p>"
    return head + not_used + "".join(map(_card, assets)) + "\n"


def _card(asset: dict) -> str:
    """One asset."""
    shares = {"closed": "closed", "thickened": "thickened", "hidden": "hidden", "filled": "closed by us", "turned": "was inside out"}
    facts = [f"{asset['triangles']:,} triangles", *(f"{100 * asset[k]:.0f} % {word}" for k, word in shares.items() if asset[k] > 0.005)]
    size = " × ".join(f"{side:.3g}" for side in asset["size"])
    facts.append(f"size {size}" + (f", {asset['height_m']:.3g} m high" if asset["height_m"] else ""))
    notes = [*asset["notes"], *(f"The image {name} is missing." for name in asset["missing"])]
    if asset["known"] < 0.999:
        notes.append(f"The colour of {100 * (1 - asset['known']):.0f} % of the surface is not known.")
    if asset["sign_disagreement"] > 0.05:
        notes.append(f"Rays disagree about inside and outside at {100 * asset['sign_disagreement']:.0f} % of the points.")
    prompts = "<br>".join(html.escape(f"“{p}”") for p in asset["prompts"][:3])
    told = "".join(f"<br><span class=n>{html.escape(n)}</span>" for n in notes)
    picture = html.escape(asset["picture"])
    name, text = html.escape(asset["asset"]), html.escape("; ".join(facts))
    return f'<div class=a><img loading=lazy src="{picture}"><div><b>{name}</b><br>{prompts}<br><small>{text}</small>{told}</div></div>'
