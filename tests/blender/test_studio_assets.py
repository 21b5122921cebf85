# SPDX-License-Identifier: GPL-3.0-or-later
"""The example studio's assets: all there, and hard in the ways that they are meant to be."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from latte3d_blender import library
from latte3d_blender.client import protocol

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def studio(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("studio") / "library"
    subprocess.run([sys.executable, str(ROOT / "docs" / "examples" / "studio_assets.py"), str(folder)], check=True, capture_output=True)
    return folder


def export(folder: Path, asset: str, part: str = ""):
    out = folder / "export.safetensors"
    answer = library.export_asset({"asset": str(folder / asset), "part": part, "front": "-y", "picture": 0, "out": str(out)})
    if not answer["ok"]:
        return answer, {}, {}
    with open(out, "rb") as file:
        return answer, *protocol.read(file)


def test_the_library_has_forty_assets_and_nothing_wrong_with_its_files(studio):
    check = [sys.executable, str(ROOT / "core" / "library" / "format.py"), str(studio), "--json"]
    checked = subprocess.run(check, capture_output=True, text=True)
    assert json.loads(checked.stdout.splitlines()[-1]) == {"prompts": 114, "shapes": 40, "errors": 0, "warnings": 0}
    assert {p.suffix for p in studio.rglob("*.*")} >= {".blend", ".glb", ".obj", ".fbx", ".ply", ".stl", ".usdc"}


def test_what_is_hard_about_them_is_read_or_told(studio):
    answer, _, arrays = export(studio, "street/market_stall.blend")
    assert str(studio / "shared" / "parts.blend") in answer["files"] and len(arrays["triangles"]) > 10_000
    assert export(studio, "street/poster_stand.blend")[0]["missing"] == ["textures/summer_sale.png"]
    assert np.ptp(export(studio, "plants/pine.glb")[2]["corner"], axis=(0, 1)).min() > 0.1  # snow and green
    heights = [export(studio, name)[1]["height"] for name in ("odd/die.blend", "street/lighthouse.blend")]
    assert heights == pytest.approx([0.01, 100], rel=0.01)
    for name, words in (("odd/robot.glb", "cannot read"), ("odd/nothing.blend", "surface")):
        answer, *_ = export(studio, name)
        assert not answer["ok"] and words in answer["reason"]
