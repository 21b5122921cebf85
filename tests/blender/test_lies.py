# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine that lies: counts, shapes, numbers and ids that do not fit end in a sentence, and leave nothing in the file."""

import sys
from pathlib import Path

import bpy
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from fake_engine import LIES

KINDS = ("objects", "meshes", "materials", "images", "collections")


@pytest.mark.parametrize("lie", [*LIES, "babbling"])
def test_a_lie_is_a_sentence_and_leaves_nothing(addon, engine_of, lie):
    engine_of()
    state, before = addon("session").SESSION, {kind: len(getattr(bpy.data, kind)) for kind in KINDS}
    bpy.context.scene.latte3d.prompt = f"a {lie} cube"
    with pytest.raises(RuntimeError) as told:
        bpy.ops.latte3d.generate()
    fault = state.fault or state.engine.fault
    assert fault and str(fault) in str(told.value) and "Traceback" not in str(told.value), told.value
    assert {kind: len(getattr(bpy.data, kind)) for kind in KINDS} == before
    bpy.context.scene.latte3d.prompt = "a cube"  # and the next click works
    assert bpy.ops.latte3d.generate() == {"FINISHED"} and bpy.context.active_object.dimensions.z == pytest.approx(0.8)
