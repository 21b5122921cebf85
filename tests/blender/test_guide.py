# SPDX-License-Identifier: GPL-3.0-or-later
"""What shapes an object beside its prompt goes to the engine and comes back on the object; what cannot be asked for is one sentence."""

import bpy
import numpy as np
import pytest

from tests.blender import answers


def cloud(size=(0.2, 0.3, 0.48), count: int = 200) -> np.ndarray:
    """Points all over a box, with normals."""
    points = np.random.default_rng(0).uniform(-1, 1, (count, 3))
    axis = np.arange(count) % 3
    points[np.arange(count), axis] = side = np.where(np.arange(count) % 2, 1.0, -1.0)
    normals = np.zeros((count, 3))
    normals[np.arange(count), axis] = side
    return np.concatenate((points * size, normals), 1).astype(np.float32)


def make(addon, guide=None, **more):
    """One object of the engine, placed."""
    session = addon("session")
    job = session.submit(session.at_cursor(bpy.context.scene), ["a red cube"], [3], {"detail": "draft"}, guide=guide, **more)
    (result,) = session.run_now(job)
    bpy.ops.latte3d.place_result(result=result.number)
    session.SESSION.to_place.clear()
    return result, bpy.context.view_layer.objects.active


def test_an_object_carries_what_shaped_it(addon, engine_of, drawn):
    engine_of()
    guide = addon("client.guide").Guide(("a blue ball", 0.25), 0.75, cloud())
    result, item = make(addon, guide, styles=[[0.5] * 8])
    assert {"blend: ('a blue ball', 0.25)", "adherence: 0.75", "cloud: 200"} <= set(result.fields["notes"])
    found = addon("scene.origin").of(item)
    assert (found.blend, found.adherence, found.style) == (("a blue ball", 0.25), 0.75, [0.5] * 8)
    assert found.cloud == addon("client.guide").hash_of(cloud()) and not found.plain
    assert item.dimensions.x / item.dimensions.z == pytest.approx(0.3 / 0.48, rel=0.01)  # the engine's y is Blender's x
    texts = drawn(addon("panels.main").draw_object).texts()
    assert "Blended with “a blue ball”, 25 %" in texts and "In the shape of another object, adherence 0.75" in texts


def test_objects_of_other_shapes_share_nothing(addon, engine_of):
    engine_of()
    guides = addon("client.guide").Guide
    items = [make(addon, guide)[1] for guide in (None, guides(cloud=cloud()), guides(cloud=cloud((0.4, 0.1, 0.2))), guides(cloud=cloud()))]
    assert len({item.data.name for item in items}) == 3 and items[1].data == items[3].data
    assert [addon("scene.origin").of(item).plain for item in items] == [True, False, False, False]


def test_the_picture_of_an_object_arrives(addon, engine_of):
    engine_of()
    assert make(addon)[0].picture.startswith(b"\x89PNG")


def test_properties_that_somebody_has_changed_do_not_hurt(addon):
    (item,) = answers.place(addon, answers.answer())
    for value in ('["a"]', '["a", 2]', "[1, 0.5]", "{", 7):
        item["latte3d_blend"] = value
        assert addon("scene.origin").of(item).blend is None
    item["latte3d_cloud"], item["latte3d_adherence"] = 3, "much"
    found = addon("scene.origin").of(item)
    assert found.cloud == "" and found.adherence is None


def test_what_cannot_be_asked_for_is_a_sentence(addon, engine_of):
    engine_of()
    guides, fault = addon("client.guide").Guide, addon("client.job").EngineFault
    wrong = ((guides(("", 0.5)), "second prompt is empty"), (guides(("a", 2)), "from 0 to 1"), (guides(cloud=cloud()[:5]), "64 to"))
    for guide, word in wrong:
        with pytest.raises(fault, match=word):
            make(addon, guide)
    assert not addon("session").SESSION.waiting


def test_an_older_engine_is_named(addon, engine_of):
    engine_of()
    make(addon)
    addon("session").SESSION.engine.hello["features"] = ["generate"]
    with pytest.raises(addon("client.job").EngineFault, match="does not know “cloud”. Set it up again"):
        make(addon, addon("client.guide").Guide(cloud=cloud()))
    assert not make(addon)[0].picture  # it is not asked for one


def test_the_handshake_tells_which_model_keeps_to_shapes(addon, engine_of):
    engine_of("two")
    make(addon)
    engine = addon("session").SESSION.engine
    assert engine.knows_adherence() and engine.knows_adherence("fake") and not engine.knows_adherence("jeweller")
