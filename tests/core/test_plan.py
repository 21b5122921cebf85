# SPDX-License-Identifier: GPL-3.0-or-later
"""What a training takes, said before it begins: and where that is not there, a sentence."""

import json
import shutil
from pathlib import Path

import pytest

from core.errors import BadRequest, MissingWeights
from core.library import folder_cli
from core.library.prepare import prepared_file
from core.networks.generator import Generator
from core.networks.presets import PRESETS
from core.training import plan


@pytest.fixture
def library(tmp_path) -> Path:
    """Three assets, of which one is prepared and one was of no use."""
    folder = tmp_path / "props"
    folder.mkdir()
    (folder / "library.toml").write_text('name = "Props"\nlicence = "CC0-1.0"\nunits = 1.0\n')
    (folder / "prompts.csv").write_text("prompt,shape,split\na,a.obj,train\nan a,a.obj,paraphrases\nb,b.obj,train\nc,c.obj,train\n")
    for name in "abc":
        (folder / f"{name}.obj").write_text("v 0 0 0\n")
    for shape, ending in (("a.obj", ".safetensors"), ("b.obj", ".json")):
        prepared_file(folder, shape, ending).parent.mkdir(parents=True, exist_ok=True)
        prepared_file(folder, shape, ending).touch()
    return folder


def test_it_says_what_it_takes(library, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(folder_cli, "need_packages", lambda: None)
    words = [str(library), "--out", str(tmp_path / "new" / "m"), "--minutes", "20", "--device", "cpu"]
    assert plan.main([*words, "--json"]) == 0
    event = json.loads(capsys.readouterr().out)
    assert (event["event"], event["prompts"], event["shapes"], event["unprepared"], event["minutes"]) == ("plan", 3, 3, 1, 20)
    assert 1000 < event["memory_mb"] < 4000 and 200 < event["disk_mb"] < 1000 and event["disk_free_mb"] > 0
    assert "3 shapes, 1 of them to be prepared first" in event["text"] and "20 minutes" in event["text"]
    assert plan.main([*words, "--preset", "paper-scale", "--steps", "9"]) == 0 and "9 steps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "error", "says"),
    [
        (["--minutes", "0"], BadRequest, "minutes"),
        (["--from", "nowhere"], MissingWeights, "nowhere"),
        (["--device", "cuda"], BadRequest, "cuda"),
    ],
)
def test_what_cannot_begin_is_refused_before_anything_is_prepared(library, tmp_path, monkeypatch, more, error, says):
    monkeypatch.setattr(plan, "pick_device", lambda name: (_ for _ in ()).throw(BadRequest(name)) if name == "cuda" else "cpu")
    with pytest.raises(error, match=says):
        plan.main([str(library), "--out", str(tmp_path / "m"), *more])


def test_too_little_is_a_sentence():
    enough = {"memory": 2000, "memory_free": 9000, "disk": 400, "disk_free": 900, "shapes": 600, "shapes_free": 900, "one_disk": False}
    assert plan.Needs(**enough).refusal == "" and plan.Needs(**enough | {"memory_free": 0}).refusal == ""
    assert "2.0 GB of memory, and 1.5 GB are free" in plan.Needs(**enough | {"memory_free": 1500}).refusal
    assert "1.0 GB of disk" in plan.Needs(**enough | {"one_disk": True}).refusal
    assert "Preparing takes about 0.6 GB" in plan.Needs(**enough | {"shapes_free": 99}).refusal


def test_weights_are_counted_without_making_them():
    made = sum(weight.numel() for weight in Generator(PRESETS["tiny"]).parameters())
    assert plan.count_weights(PRESETS["tiny"]) == made


def test_a_disk_that_is_too_full_for_what_is_to_be_prepared(library, monkeypatch):
    """A shape takes 2.2 MB; what was prepared, or of no use, takes none."""
    monkeypatch.setattr(folder_cli.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 2_000_000))
    with pytest.raises(BadRequest, match="Preparing 1 shape takes about 2 MB"):
        folder_cli._need_disk(library)
    monkeypatch.setattr(folder_cli.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 3_000_000))
    folder_cli._need_disk(library)
