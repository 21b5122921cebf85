# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's picture, remade from what `build.py generate` wrote: `.venv-blender/bin/python docs/images/hero.py FOLDER`.

Without a folder it prints the command that fills one.
"""

import shlex
import sys
from pathlib import Path

import bpy
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from latte3d_blender.files import written  # noqa: E402
from latte3d_blender.naming import slug  # noqa: E402
from latte3d_blender.scene import studio as render  # noqa: E402

SCENE = {  # prompt: (metres to the right, metres back, height in metres, turned by so many degrees)
    "a red mushroom with white spots": (-2.55, 0.75, 1.15, 0),
    "an orange pumpkin": (-2.0, -0.15, 1.0, 0),
    "a golden crown with red gems": (-1.2, 1.0, 0.8, 0),
    "a green truck with grey wheels": (-0.75, -0.45, 0.55, -25),
    "a blue teapot": (-0.2, 1.0, 0.7, -15),
    "a teal metal robot": (0.5, 0.05, 1.05, 25),
    "a red chair": (0.95, 1.35, 1.35, -10),
    "a white rocket with red fins": (1.55, 0.05, 1.15, 20),
    "a snowman": (2.0, 1.2, 1.15, 25),
    "a teal lamp with a yellow shade": (2.55, 0.35, 1.1, 0),
}
WIDTH, HEIGHT = 1160, 440


def main() -> int:
    if len(sys.argv) != 2:
        print(f"python3 build.py generate {shlex.join(SCENE)} --no-picture --out FOLDER")
        return 1
    bpy.ops.wm.read_factory_settings(use_empty=True)
    objects = [placed(Path(sys.argv[1]) / f"{slug(prompt)}.blend", *place) for prompt, place in SCENE.items()]
    with written(Path(__file__).with_name("hero.png")) as path:
        render.studio_shot(objects, path, size=WIDTH, samples=48)
        crop(path)
    return 0


def placed(blend: Path, right: float, back: float, height: float, turn: float) -> bpy.types.Object:
    """Append the object of a file and stand it in the row, which lies across the studio's camera."""
    with bpy.data.libraries.load(str(blend)) as (there, here):
        here.objects = there.objects
    (item,) = here.objects
    item.scale = (height / item.dimensions.z,) * 3
    across, away = np.array((np.cos(render.AZIMUTH), np.sin(render.AZIMUTH))), np.array((-np.sin(render.AZIMUTH), np.cos(render.AZIMUTH)))
    item.location = (*(right * across + back * away), 0)
    item.rotation_euler = (0, 0, np.radians(turn))
    return item


def crop(path: Path) -> None:
    """Cut the square picture to its middle."""
    image = bpy.data.images.load(str(path))
    pixels = np.empty(WIDTH * WIDTH * 4, np.float32)
    image.pixels.foreach_get(pixels)
    rows = slice((WIDTH - HEIGHT) // 2, (WIDTH + HEIGHT) // 2)
    cut = bpy.data.images.new("hero", WIDTH, HEIGHT)
    cut.pixels.foreach_set(np.ascontiguousarray(pixels.reshape(WIDTH, WIDTH, 4)[rows]).ravel())
    cut.filepath_raw, cut.file_format = str(path), "PNG"
    cut.save()


if __name__ == "__main__":
    sys.exit(main())
