# SPDX-License-Identifier: GPL-3.0-or-later
"""What the add-on writes appears whole or not at all, on a disk that is really full too."""

import json
import os
import struct
import zipfile

import bpy
import pytest

from latte3d_blender import files
from tests.fake_engine import png


def save_scene(path) -> None:
    with files.written(path) as partial:
        bpy.ops.wm.save_as_mainfile(filepath=str(partial), copy=True, compress=True)


@pytest.fixture
def scene_size(tmp_path) -> int:
    """A scene with something in it that does not compress; the size of its .blend in KB."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    image = bpy.data.images.new("noise", 1, 1)
    image.source, noise = "FILE", png((1, 2, 3)) + os.urandom(300_000)
    image.pack(data=noise, data_len=len(noise))
    image.use_fake_user = True
    save_scene(tmp_path / "size.blend")
    return (tmp_path / "size.blend").stat().st_size // 1024


@pytest.mark.parametrize("missing_kb", [4, 40, 200])
def test_a_full_disk_keeps_the_old_blend(scene_size, small_disk, missing_kb):
    """Blender itself reports success where only the end did not fit."""
    folder = small_disk(scene_size // 4 * 4 + 4 + 4 - missing_kb)
    (folder / "a.blend").write_bytes(b"old")  # one page of 4 KB
    with pytest.raises(files.WriteError, match=r"a\.blend cannot be written: "):
        save_scene(folder / "a.blend")
    assert (folder / "a.blend").read_bytes() == b"old" and os.listdir(folder) == ["a.blend"]


@pytest.mark.parametrize("suffix", [".glb", ".png"])
def test_a_full_disk_names_the_file(small_disk, suffix):
    file = small_disk(8) / f"a{suffix}"
    with pytest.raises(files.WriteError, match=rf"a\{suffix} cannot be written: No space left"), files.written(file) as name:
        name.write_bytes(bytes(50_000))
    assert not os.listdir(file.parent)


def test_a_cut_file_of_each_kind_is_noticed(scene_size, tmp_path):
    """Cut anywhere, or with a hole where a part did not reach the disk."""
    (tmp_path / "whole.png").write_bytes(png((9, 8, 7), 64))
    (tmp_path / "whole.glb").write_bytes(b"glTF\2\0\0\0" + (20).to_bytes(4, "little") + bytes(8))
    (tmp_path / "whole.blend").write_bytes((tmp_path / "size.blend").read_bytes())
    with zipfile.ZipFile(tmp_path / "whole.zip", "w") as archive:
        archive.writestr("a", "some text" * 100)
    for whole in tmp_path.glob("whole.*"):
        files.check_whole(whole)
        data, cut = whole.read_bytes(), tmp_path / f"cut{whole.suffix}"
        for length in (0, 1, len(data) // 2, len(data) - 9, len(data) - 1):
            cut.write_bytes(data[:length])
            with pytest.raises(OSError, match="only a part"):
                files.check_whole(cut)


def test_a_glb_says_what_it_was_asked_for(tmp_path):
    """Extras are added without touching what else the file holds."""
    text = json.dumps({"nodes": [{"name": "a", "extras": {"seed": 3}}]}).encode()
    text += b" " * (-len(text) % 4)
    glb = struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text) + 12, len(text), b"JSON") + text + b"\4\0\0\0BIN\0abcd"
    (tmp_path / "a.glb").write_bytes(files.with_extras(glb, settings={"detail": "draft"}))
    files.check_whole(tmp_path / "a.glb")
    assert files.glb_extras(tmp_path / "a.glb") == {"seed": 3, "settings": {"detail": "draft"}}
    assert (tmp_path / "a.glb").read_bytes().endswith(b"\4\0\0\0BIN\0abcd")
    assert files.with_extras(b"no glb", a=1) == b"no glb" and files.glb_extras(tmp_path / "nothing.glb") is None
