# SPDX-License-Identifier: GPL-3.0-or-later
"""Glass lets light through and lamps shine where the engine says so: in the material, from the history, in an exported GLB."""

import json

import bpy
import numpy as np
import pytest

from tests.blender.answers import answer, place
from tests.fake_engine import png


def shader(item) -> bpy.types.Node:
    return next(node for node in item.active_material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")


def value(item, name: str):
    return shader(item).inputs[name].default_value


def test_glass(addon):
    (item,) = place(addon, answer("a glass vase", transmission=1.0, roughness=0.05))
    assert (value(item, "Transmission Weight"), value(item, "IOR")) == pytest.approx((1.0, 1.45))
    assert value(item, "Roughness") == pytest.approx(0.05) and value(item, "Emission Strength") == 0
    assert getattr(item.active_material, "use_raytrace_refraction", True)


def test_glow(addon):
    (plain,) = place(addon, answer("a glowing lamp", emission=4.0))
    assert value(plain, "Emission Strength") == 4.0
    assert tuple(value(plain, "Emission Color")) == pytest.approx(tuple(value(plain, "Base Color")))


def test_it_shines_in_the_colours_of_its_image(addon):
    (item,) = place(addon, answer("a glowing fish", emission=4.0, arrays={"base_color": np.frombuffer(png((200, 40, 30)), np.uint8)}))
    sources = {name: shader(item).inputs[name].links[0].from_node for name in ("Base Color", "Emission Color")}
    assert sources["Base Color"] == sources["Emission Color"]


def test_an_engine_that_says_nothing_of_light(addon):
    (item,) = place(addon, answer("a glass vase"))
    assert value(item, "Transmission Weight") == 0 and value(item, "Emission Strength") == 0
    assert answer("a vase").key != answer("a vase", transmission=1.0).key != answer("a vase", emission=1.0).key


def test_kept_and_placed_again(addon, tmp_path):
    """The history's file has it, too."""
    job = addon("populate.job")
    kept = job.Job(tmp_path)
    made = answer("a glowing glass lamp", transmission=1.0, emission=4.0)
    named = addon("history")._Named(made.key)
    kept.keep(named, made)
    (item,) = place(addon, kept.read(named))
    assert value(item, "Transmission Weight") == 1.0 and value(item, "Emission Strength") == 4.0


def test_exported(addon, tmp_path):
    place(addon, answer("a glowing glass lamp", transmission=1.0, emission=4.0))
    path = tmp_path / "lamp.glb"
    bpy.ops.latte3d.export_selected(format="GLB", filepath=str(path))
    glb = path.read_bytes()
    document = json.loads(glb[20 : 20 + int.from_bytes(glb[12:16], "little")])
    material = document["materials"][0]
    extensions = material["extensions"]
    assert extensions["KHR_materials_transmission"]["transmissionFactor"] == 1.0
    shines = extensions["KHR_materials_emissive_strength"]["emissiveStrength"] * material["emissiveFactor"][0]
    assert shines == pytest.approx(4.0 * 0.6038, rel=0.01)  # its red, 0.8, as light
