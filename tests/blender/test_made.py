# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done with an object that was made here: its prompt, its kind, itself anew, as an asset, as a file."""

import zipfile

import bpy
import pytest
from mathutils import Matrix

from tests.blender import answers


@pytest.fixture
def wanted(addon, engine_of):
    engine_of()
    return bpy.context.scene.latte3d


def made(wanted, prompt: str = "a red cube", seed: int = 7) -> bpy.types.Object:
    wanted.prompt, wanted.seed = prompt, seed
    assert bpy.ops.latte3d.generate() == {"FINISHED"}
    return bpy.context.view_layer.objects.active


def select(*items: bpy.types.Object) -> None:
    for item in bpy.data.objects:
        item.select_set(item in items)
    bpy.context.view_layer.objects.active = items[-1]


def test_select_the_same_prompt(addon, wanted):
    cubes = [made(wanted, seed=1), made(wanted, seed=2)]
    made(wanted, "a blue ball")
    select(cubes[0])
    assert bpy.ops.latte3d.select_same() == {"FINISHED"}
    assert set(bpy.context.selected_objects) == set(cubes) and bpy.context.view_layer.objects.active == cubes[0]
    select(answers.cube())
    assert not bpy.ops.latte3d.select_same.poll() and not bpy.ops.latte3d.copy_prompt.poll()


def test_made_again_an_object_keeps_its_name(addon, wanted):
    """Its like is built beside it, under another name."""
    item = made(wanted)
    name = item.name
    for _ in range(2):
        assert bpy.ops.latte3d.regenerate() == {"FINISHED"} and item.name == name
    item.name = "Mine"
    assert bpy.ops.latte3d.regenerate() == {"FINISHED"} and item.name == "Mine"  # nor is a name lost that somebody gave it
    assert bpy.ops.latte3d.new_seed_here() == {"FINISHED"} and item.name == "Mine"


def test_made_again_an_object_keeps_the_scale_that_was_applied(addon, wanted):
    """The first thing that many do with an object; where one axis alone was scaled, or a part is gone, it is made as it was."""
    bpy.context.scene.unit_settings.scale_length = 0.01
    item = made(wanted)
    width, _, height = item.dimensions
    for how in ("regenerate", "new_seed_here"):
        item.data.transform(Matrix.Scale(2, 4))
        getattr(bpy.ops.latte3d, how)()
        bpy.context.view_layer.update()
        width, height = 2 * width, 2 * height
        assert tuple(item.dimensions)[::2] == pytest.approx((width, height)) and tuple(item.scale) == (1, 1, 1)
    item.data.transform(Matrix.Scale(3, 4, (0, 0, 1)))
    bpy.ops.latte3d.regenerate()
    bpy.context.view_layer.update()
    assert tuple(item.dimensions)[::2] == pytest.approx((width, height))


def test_copy_the_prompt(addon, wanted):
    made(wanted)
    assert bpy.ops.latte3d.copy_prompt() == {"FINISHED"}  # without a window, there is no clipboard to read it from


def test_regenerate_in_another_detail_in_its_place(addon, wanted):
    wanted.detail = "draft"
    item = made(wanted)
    item.location, wanted.prompt, wanted.seed, wanted.detail = (4, 5, 6), "something else", 3, "high"
    bpy.context.view_layer.update()
    assert bpy.ops.latte3d.regenerate() == {"FINISHED"}
    found = addon("scene.origin").of(item)
    assert (found.prompt, found.seed, found.detail) == ("a red cube", 7, "high") and tuple(item.location) == (4, 5, 6)
    assert len(bpy.data.objects) == 1


def test_an_object_of_another_file_is_not_made_again(addon, wanted, tmp_path):
    """One of this file that has the same name would have become another."""
    own = made(wanted)
    bpy.data.libraries.write(str(tmp_path / "other.blend"), {own})
    with bpy.data.libraries.load(str(tmp_path / "other.blend"), link=True) as (_, there):
        there.objects = [own.name]
    theirs = there.objects[0]
    bpy.context.scene.collection.objects.link(theirs)
    assert theirs.name == own.name
    select(theirs)
    assert not bpy.ops.latte3d.regenerate.poll() and not bpy.ops.latte3d.new_seed_here.poll()
    select(own)
    assert bpy.ops.latte3d.regenerate.poll()


def test_regenerate_keeps_style_blend_and_shape(addon, wanted):
    wanted.use_blend, wanted.blend_prompt, wanted.blend = True, "a die", 0.25
    wanted.prompt = "a red cube"
    bpy.ops.latte3d.generate()
    answers.cube(2.0, (8, 0, 0)).select_set(True)
    bpy.ops.latte3d.restyle()
    addon("kept").history().finish()
    wanted.use_blend = False
    item = bpy.context.view_layer.objects.active
    before = addon("scene.origin").of(item)
    assert bpy.ops.latte3d.regenerate() == {"FINISHED"}
    after = addon("scene.origin").of(item)
    assert (after.blend, after.cloud, after.adherence) == (before.blend, before.cloud, before.adherence) and after.cloud
    log = addon("kept").history()
    log.finish()
    log.delete(*[entry.key for entry in log.entries])
    with pytest.raises(RuntimeError, match="no longer in the history"):
        bpy.ops.latte3d.regenerate()


def test_a_batch_becomes_assets(addon, wanted, tmp_path):
    items = [made(wanted, seed=seed) for seed in (1, 2)] + [answers.cube(name="Mine")]
    select(*items)
    with pytest.raises(RuntimeError, match="Save the file first"):
        bpy.ops.latte3d.mark_assets(catalogue="Props")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    addon("kept").history().finish()
    assert bpy.ops.latte3d.mark_assets(tags="shiny, toy", licence="CC0-1.0", author="Me", catalogue="Props/Toys") == {"FINISHED"}
    first, mine = items[0].asset_data, bpy.data.objects["Mine"].asset_data
    assert [tag.name for tag in first.tags] == ["shiny", "toy", "red", "cube"] and [tag.name for tag in mine.tags] == ["shiny", "toy"]
    assert (first.description, first.license, first.author) == ("a red cube", "CC0-1.0", "Me") and not mine.description
    assert addon("catalogues").read(tmp_path)["Props/Toys"] == first.catalog_id and mine.catalog_id == first.catalog_id
    assert tuple(items[0].preview.image_size) == (128, 128)


@pytest.mark.parametrize("form, suffix", [("GLB", ".glb"), ("USD", ".usdz"), ("FBX", ".fbx")])
def test_one_click_writes_a_file_beside_this_one(addon, wanted, tmp_path, form, suffix):
    made(wanted)
    with pytest.raises(RuntimeError, match="Save the file first"):
        bpy.ops.latte3d.export_selected(format=form)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    for _ in range(2):
        bpy.ops.latte3d.export_selected(format=form)
    written = sorted(path.name for path in tmp_path.glob(f"*{suffix}"))
    assert len(written) == 2 and written[0].startswith("a-red-cube-7"), written
    first = min(tmp_path.glob(f"*{suffix}"), key=lambda path: len(path.name))
    if form == "USD":
        assert any(name.endswith(".png") for name in zipfile.ZipFile(first).namelist())
        return
    bpy.ops.wm.read_homefile(use_empty=True)
    importer = bpy.ops.import_scene.gltf if form == "GLB" else bpy.ops.import_scene.fbx
    importer(filepath=str(first))
    (item,) = [one for one in bpy.data.objects if one.type == "MESH"]
    assert len(item.data.polygons) == 12 and any(node.type == "TEX_IMAGE" for node in item.active_material.node_tree.nodes)


def test_a_place_that_refuses_is_a_sentence(addon, wanted, tmp_path, small_disk):
    made(wanted)
    with pytest.raises(RuntimeError, match="There is no folder"):
        bpy.ops.latte3d.export_selected(format="GLB", filepath=str(tmp_path / "none" / "a.glb"))
    full = small_disk(4)
    (full / "other").write_bytes(bytes(4096))
    with pytest.raises(RuntimeError, match="(?i)space|cannot be written"):
        bpy.ops.latte3d.export_selected(format="GLB", filepath=str(full / "a.glb"))
    assert [path.name for path in full.iterdir()] == ["other"]


def test_the_panel_offers_it(addon, wanted, drawn):
    made(wanted)
    offered = drawn(addon("panels.main").draw_object).of("operator")
    assert offered == [
        "latte3d.use_prompt", "latte3d.new_seed_here", "latte3d.regenerate", "latte3d.more_like_this", "latte3d.copy_prompt",
        "latte3d.select_same", "latte3d.mark_assets", *["latte3d.export_selected"] * 3,
    ]  # fmt: skip
