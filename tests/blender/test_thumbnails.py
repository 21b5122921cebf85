# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel's small pictures: those that it shows are loaded, and old ones do not stay in memory."""

import shutil

import bpy
import bpy.utils.previews
import pytest


@pytest.fixture
def pictures(addon, tmp_path):
    """Paths of as many pictures as a long day makes."""
    image = bpy.data.images.new("picture", 8, 8)
    image.filepath_raw, image.file_format = str(tmp_path / "0.png"), "PNG"
    image.save()
    bpy.data.images.remove(image)
    paths = [tmp_path / f"{number}.png" for number in range(300)]
    for path in paths[1:]:
        shutil.copy(paths[0], path)
    yield paths
    addon("panels.thumbnails").clear()


def test_what_is_shown_is_loaded_and_old_pictures_are_let_go(addon, pictures, monkeypatch):
    thumbnails, made, new = addon("panels.thumbnails"), [], bpy.utils.previews.new
    monkeypatch.setattr(bpy.utils.previews, "new", lambda: made.append(new()) or made[-1])
    most = 0
    for last in range(30, len(pictures)):  # a page of thirty, to which one more comes each time
        page = pictures[last - 30 : last]
        while None in [thumbnails.icon(path) for path in page]:
            assert thumbnails.load()
        most = max(most, sum(map(len, made)))  # one that was let go of is empty
    assert 30 <= most <= 170
    thumbnails.clear()
    assert not any(map(len, made)) and thumbnails.icon(pictures[-1]) is None


def test_a_page_wider_than_half_of_what_stays_comes_to_rest(addon, pictures):
    thumbnails, page = addon("panels.thumbnails"), pictures[:150]
    for _ in range(400):
        missing = [path for path in page if thumbnails.icon(path) is None]
        if not missing:
            break
        thumbnails.load()
    assert not missing and not thumbnails.wanted()
