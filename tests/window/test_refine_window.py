# SPDX-License-Identifier: GPL-3.0-or-later
"""Refine in a real Blender window, by the trained engine and a prior of random weights: stopped, resumed, put in its place, undone."""

import sys

import pytest

from tests.window.test_library_window import play
from tests.window.test_window import MODEL, SUITES, extension_zip  # noqa: F401

pytest.importorskip("diffusers")


@pytest.mark.parametrize("suite", SUITES)
def test_an_object_is_refined_in_its_place(suite, extension_zip, tmp_path):  # noqa: F811
    from tests.core.guidance import tiny

    if not MODEL.is_dir():
        pytest.skip("this checkout has no trained model")
    views = tiny.prior(tmp_path / "views", camera=True)
    report = play(suite, "refine.py", tmp_path, extension_zip, sys.executable, str(views))
    assert report["running"] == ["Refining", 40.0] and report["stop_ms"] < 300
    assert report["stopped"] == [True, "", True, True], "it can go on, is shown so far, and the object is as it was"
    assert report["from"] > 0, "from where it stopped"
    ((name, _, place, _),), ((new_name, refined, new_place, _),) = report["made"], report["refined"]
    assert (new_name, refined, new_place) == (name, True, place) and not report["fault"]
    assert report["undone"] == report["made"] and report["redone"] == report["refined"], "one undo step"
    assert report["slowest_ms"] < 50 and "holds no diffusion model" in report["wrong"]
