# SPDX-License-Identifier: GPL-3.0-or-later
"""The example studio's driver: one command after the other, what they say passed on, the figures at the end."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "docs" / "examples"))

import studio

FAKE = """
import json, sys
command = next(word for word in sys.argv if word in ("prepare", "train", "evaluate", "generate"))
with open({log!r}, "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
print("Blender says something")
print(json.dumps({{"event": "progress", "stage": command, "done": 1, "total": 2, "eta_s": 60}}))
results = {{
    "prepare": {{"prepared": 38, "rejected": [{{"asset": "a.glb", "reason": "It is cut off."}}] * 2, "seconds": 90.5}},
    "train": {{"model": "model", "finished": True, "minutes": 20.0, "steps": 900}},
    "evaluate": {{"split": "train", "prompts": 70, "iou": 0.6, "base_color_error": 0.1, "shape_top1": 0.8, "shape_top5": 0.9}},
    "generate": {{"objects": [], "failed": []}},
}}
print(json.dumps(results[command]))
sys.exit({status} if command == "train" else int(command == "prepare"))
"""


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """`commands(status of train)`: what stands for the add-on's commands; they write what they were asked to asked.txt."""
    monkeypatch.setattr(studio.subprocess, "run", lambda *_, **__: None)  # the assets, which need Blender

    def make(status: int = 0) -> list[str]:
        return [sys.executable, "-c", FAKE.format(log=str(tmp_path / "asked.txt"), status=status)]

    return make


def test_it_goes_through_the_commands_and_ends_with_the_figures(commands, tmp_path, capfd):
    assert studio.main(["--out", str(tmp_path / "out"), "--minutes", "3", "--json"], commands()) == 0
    *events, result = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [event["stage"] for event in events] == ["prepare", "train", "evaluate", "generate"]
    keys = ["assets", "rejected", "prepare_seconds", "train_minutes", "iou", "base_color_error", "shape_top1", "sheet"]
    assert list(result) == keys and (result["assets"], result["prepare_seconds"], result["iou"]) == (40, 90.5, 0.6)
    asked = [json.loads(line) for line in (tmp_path / "asked.txt").read_text().splitlines()]
    assert [a[:2] if a[0] == "library" else a[:1] for a in asked] == [["library", "prepare"], ["train"], ["evaluate"], ["generate"]]
    assert asked[1][asked[1].index("--minutes") + 1] == "3.0" and all("--json" in a for a in asked)
    assert asked[2][asked[2].index("--sheet") + 1] == result["sheet"] == str(tmp_path / "out" / "sheet.png")


def test_a_command_that_fails_ends_it_with_its_status(commands, tmp_path, capfd):
    assert studio.main(["--out", str(tmp_path)], commands(130)) == 130
    assert len((tmp_path / "asked.txt").read_text().splitlines()) == 2 and not capfd.readouterr().out


def test_wrong_use_of_the_example_is_told():
    done = subprocess.run([sys.executable, str(ROOT / "build.py"), "example", "nix"], capture_output=True, text=True)
    assert done.returncode == 2 and "studio" in done.stderr
    helped = subprocess.run([sys.executable, str(ROOT / "build.py"), "example", "studio", "--help"], capture_output=True, text=True)
    assert helped.returncode == 0 and "--minutes" in helped.stdout and Path(studio.__file__).name == "studio.py"
