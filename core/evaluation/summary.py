# SPDX-License-Identifier: GPL-3.0-or-later
"""From the figures of single prompts to those of a split: means, their 95 % bootstrap intervals, probes and R-precision."""

from collections import defaultdict

import numpy as np

from core.evaluation.space import RPrecision

MEANS = (
    "iou", "f_score_1", "f_score_2", "chamfer", "normal_consistency", "base_color_error", "roughness_error", "metallic_error", "psnr",
    "ssim", "height_error", "kind_accuracy", "sound", "pieces_as_exact", "uv_in_range",
)  # fmt: skip


def summary(rows: list[dict], split: str, found: RPrecision | None = None) -> dict:
    """Means over prompts with 95 % bootstrap intervals, the worst kind, the probes' accuracies, and R-precision where it was measured."""
    by_kind = defaultdict(list)
    for row in rows:
        by_kind[row["kind"]].append(row)
    kinds = {k: round(float(np.mean([r["iou"] for r in own])), 4) for k, own in sorted(by_kind.items())}
    worst = min(kinds, key=kinds.get)
    figures = {}
    for name in MEANS:
        if values := values_of(rows, name):
            figures |= {name: round(float(np.mean(values)), 4), f"{name}_95": interval(values)}
    times = [r["generation_ms"] for r in rows if "generation_ms" in r]
    return {
        "split": split, "prompts": len(rows), "kinds": len(kinds), "worst_kind": worst, "worst_kind_iou": kinds[worst],
        **figures,
        "uv_overlaps": sum(r.get("uv_overlaps", 0) for r in rows),
        "generation_ms": round(float(np.median(times)), 1) if times else None,
        "iou_by_kind": kinds,
        "probes": probe_accuracies(rows),
        "r_precision_own_space": None if found is None else {
            "r_at_1": round(float(np.mean(found.made)), 4), "r_at_1_95": interval(found.made),
            "exact_objects": round(float(np.mean(found.exact)), 4), "exact_objects_95": interval(found.exact),
            "chance": round(1 / found.pool, 4), "pool": found.pool,
        },
    }  # fmt: skip


def values_of(rows: list[dict], name: str) -> list[float]:
    """One figure of every prompt that has it; what follows from others is worked out."""
    if name == "kind_accuracy":
        return [float(r["kind_found"] == r["kind"]) for r in rows]
    if name == "pieces_as_exact":
        return [float("pieces" in r and r["pieces"] == r["pieces_exact"]) for r in rows]
    return [float(r[name]) for r in rows if name in r]


def probe_accuracies(rows: list[dict]) -> dict[str, dict]:
    """For each attribute: how often what was found is what was named, over the prompts that name it, and what guessing would give."""
    by_name = defaultdict(list)
    for row in rows:
        for name, answer in row["probes"].items():
            by_name[name].append(answer)
    return {
        name: {
            "accuracy": round(float(np.mean(right)), 4), "accuracy_95": interval(right),
            "chance": round(float(np.mean([a["chance"] for a in answers])), 4), "prompts": len(answers),
        }
        for name, answers in sorted(by_name.items())
        for right in [[a["found"] == a["named"] for a in answers]]
    }  # fmt: skip


def interval(values: list[float], draws: int = 2000) -> list[float]:
    """95 % bootstrap interval of the mean."""
    values, rng = np.asarray(values, dtype=np.float64), np.random.default_rng(0)
    means = values[rng.integers(len(values), size=(draws, len(values)))].mean(1)
    return [round(float(q), 4) for q in np.quantile(means, (0.025, 0.975))]
