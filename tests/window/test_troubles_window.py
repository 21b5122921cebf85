# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine that is slow, crashes, runs out of memory, hangs or lies, in a real Blender window: what the artist reads, how soon Cancel
works, and that Blender, the scene and its own saving go on. Each fault of what is sent: tests/blender/test_lies.py."""

import sys

import pytest

from tests.window.test_library_window import play
from tests.window.test_window import ROOT, SUITES, extension_zip  # noqa: F401

CANCEL_MS = 300


@pytest.fixture
def misbehaving(tmp_path) -> str:
    """The engine of which tmp_path/fault says how it misbehaves, when it starts."""
    program = tmp_path / "engine"
    fault = f'"$(cat "{tmp_path}/fault")"'
    program.write_text(f'#!/bin/sh\nshift 2\nexec "{sys.executable}" "{ROOT / "tests" / "fake_engine.py"}" --fail {fault} "$@"\n')
    program.chmod(0o755)
    return str(program)


@pytest.mark.parametrize("suite", SUITES)
def test_blender_outlives_its_engine(suite, extension_zip, misbehaving, tmp_path):  # noqa: F811
    report = play(suite, "troubles.py", tmp_path, extension_zip, misbehaving)
    assert "errors" not in report, report
    assert report["load"][0] == "FAILED" and "There is no model." in report["load"][1] and report["again"] == "READY"
    # Cancel, by a click of the mouse: once it is heard, which is when Blender has drawn, a slow engine's job is over; the best of three
    assert report["typed"] == "a lasting cube" and report["after_cancel"] == [[], ""]
    assert min(ended - heard for heard, ended, _ in report["cancel_ms"]["slow"]) < CANCEL_MS
    assert {state for one in report["cancel_ms"].values() for _, _, state in one} == {"cancelled"}
    [[heard, ended, _]] = report["cancel_ms"]["hang"]  # one that hangs has heard it, and is ended after its patience
    assert heard < 1000 and ended < 10_000
    told = report["told"]
    said = {
        "memory": "memory", "crash": "stopped unexpectedly", "impossible": "There is no an impossible cube", "flat": "damaged",
        "nowhere": "damaged", "foreign": "sent something else", "babbling": "not a message",
    }  # fmt: skip
    for name, words in said.items():
        sentence, unchanged, _ = told[name]
        assert words in sentence and unchanged and "Traceback" not in sentence, (name, told[name])
    for number, name in enumerate(("a red cube", "a blue cube", "a white cube"), 1):
        assert told[name][0] == "" and told[name][2] == number, (name, told[name])
    assert report["undone"] == [] and report["redone"] == ["a red cube"]
    count, running, _ = report["auto_saved"]
    assert report["assets"] == ["a blue cube"]
    assert count == 1 and running, "Blender has saved by itself while the engine hung"
    fault, failed, made = report["restyle"]
    assert "fit together" in fault and (failed, made) == (0, 2) and told["blend"][0] == ""
    some, undone = report["variations"]
    assert 2 <= some < 12 and undone, "what was made before Cancel stays, as one step"
    note, engine, drafts = report["live"]
    assert (note or engine) and drafts == 0
    assert report["history"] == ["FAILED", 1]
    assert "has no place any more" in report["scene"][0] and report["scene"][1] == 0
    assert report["file"] == [False, "", 0]
    running, left = report["disabled"]
    assert running >= 1 and left == 0, "no process is left"
    assert report["enabled"] == ["a last cube 7"], "of the seed that Live was left at"
