# SPDX-License-Identifier: GPL-3.0-or-later
"""A prepared library of four boxes, for tests that learn from one or measure on one."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from core.library.prepare import prepared_file
from core.library.shape import Settings, make

SETTINGS = Settings(points=8192, surface=2048, cloud=128, cells=48)
SIDES = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
FACES = np.array([t for a, b, c, d in SIDES for t in ((a, b, c), (a, c, d))], np.int32)
ASSETS = {  # half sizes of a box, its linear colour (None: not known), its prompts
    "red cube": ((0.48, 0.48, 0.48), (0.6, 0.05, 0.02), ("train,a red cube", "paraphrases,a crimson block")),
    "blue cube": ((0.48, 0.48, 0.48), (0.02, 0.05, 0.6), ("train,a blue cube", "paraphrases,a navy block")),
    "post": ((0.06, 0.06, 0.48), (0.2, 0.2, 0.2), ("train,a post", "train,something old")),
    "tile": ((0.48, 0.48, 0.05), None, ("train,a tile", "train,something old", "unseen,a stone slab")),
}


def prepared_shape(half: tuple, color: tuple | None, **settings: int):
    corners = np.array([(x, y, z) for x in (-half[0], half[0]) for y in (-half[1], half[1]) for z in (-half[2], half[2])], np.float32)
    constant = {"factor": [0.5], "picture": -1}
    look = {"name": "paint", "color": {"factor": color or [1, 1, 1], "picture": -1}, "roughness": constant, "metallic": constant}
    facts = {"looks": [look | {"known": color is not None}], "size": [2 * side for side in half], "names": {}, "notes": [], "missing": []}
    arrays = {"vertices": corners, "triangles": FACES, "look": np.zeros(12, np.int32), "corner": np.ones((12, 3, 3), np.float32)}
    return make(facts, arrays, f"{half}{color}", replace(SETTINGS, **settings))


def make_boxes(home: Path, called: Sequence[str] = tuple(ASSETS), **settings: int) -> Path:
    """Write the library, prepared, into a folder. called: other names of its four assets."""
    home.mkdir(exist_ok=True)
    rows = ["split,prompt,shape"]
    (home / "library.toml").write_text('name = "Boxes"\nlicence = "CC0-1.0"\nunits = 1.0\n')
    for name, (half, color, prompts) in zip(called, ASSETS.values(), strict=True):
        (home / f"{name}.glb").write_text("a box")
        rows += [f"{prompt},{name}.glb" for prompt in prompts]
        shape, file = prepared_shape(half, color, **settings), prepared_file(home, f"{name}.glb")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(save(shape.arrays, {"facts": json.dumps(shape.facts)}))
    (home / "prompts.csv").write_text("\n".join([*rows, "train,gone,gone.glb"]) + "\n")
    return home
