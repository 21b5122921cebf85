# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects as assets: what they say of themselves, their catalogues on the disk, their previews; alone and many at once."""

import sys
from pathlib import Path

import bpy
import pytest

from latte3d_blender import catalogues
from tests.blender import answers

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from fake_engine import png


@pytest.fixture
def assets(addon):
    return addon("scene.assets")


def test_an_asset_says_what_it_is(addon, assets, tmp_path):
    (item,) = answers.place(addon, answers.answer("a red cube with white dots"))
    (tmp_path / "picture.png").write_bytes(png((200, 40, 30), 64))
    said = {"description": "A cube.", "licence": "CC0-1.0", "author": "Me", "catalogue": " Props / Toys:1/"}
    assets.mark(item, tags=[*assets.tags_of(item), " red ", ""], library=tmp_path, picture=tmp_path / "picture.png", **said)
    about = item.asset_data
    assert [tag.name for tag in about.tags] == ["red", "cube", "white", "dots"]
    assert (about.description, about.license, about.author) == ("A cube.", "CC0-1.0", "Me")
    assert catalogues.read(tmp_path)["Props/Toys 1"] == about.catalog_id
    assert item.preview and tuple(item.preview.image_size) == (64, 64)
    assets.mark(item, tags=["toy"], description="")  # what is not said stays
    assert about.description == "A cube." and len(about.tags) == 5 and about.catalog_id in catalogues.read(tmp_path).values()


def test_a_list_that_cannot_be_written_is_a_sentence(addon, assets, tmp_path):
    (item,) = answers.place(addon, answers.answer())
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot be written"):
        assets.mark(item, catalogue="Props", library=tmp_path / "file")
    assert item.asset_data is None


def test_what_belongs_to_another_file_is_no_asset_of_this_one(addon, assets, tmp_path):
    (item,) = answers.place(addon, answers.answer())
    name = item.name
    bpy.data.libraries.write(str(tmp_path / "other.blend"), {item})
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "other.blend"), link=True) as (_, here):
        here.objects = [name]
    with pytest.raises(ValueError, match="belongs to another file"):
        assets.mark(bpy.data.objects[name])


def test_catalogues_stand_beside_the_file_or_in_its_library(assets, addon, tmp_path):
    assert assets.library_folder() is None
    folder = tmp_path / "library" / "deep"
    folder.mkdir(parents=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "a.blend"))
    assert assets.library_folder() == folder
    libraries = bpy.context.preferences.filepaths.asset_libraries
    one = libraries.new(name="test", directory=str(tmp_path / "library"))
    try:
        assert assets.library_folder() == tmp_path / "library"
    finally:
        libraries.remove(one)
