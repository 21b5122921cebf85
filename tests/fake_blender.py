# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for Blender's side of preparing a library, with faults: an asset's text says what becomes of it.

box: a red box; reject: a reason; crash; hang; full: the disk is full.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

CORNERS = np.array([(x, y, z) for x in (-0.48, 0.48) for y in (-0.3, 0.3) for z in (-0.2, 0.2)], np.float32)
SIDES = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
TRIANGLES = np.array([t for a, b, c, d in SIDES for t in ((a, b, c), (a, c, d))], np.int32)


def export(request: dict) -> dict:
    path = Path(request["asset"])
    image = path.with_suffix(".png")
    with open(path.parent / "asked.txt", "a") as log:
        log.write(f"{path.name}\n")
    kind = path.read_text().split()[0]
    if kind == "crash":
        os._exit(7)
    if kind == "hang":
        time.sleep(1000)
    if kind == "full":
        return {"ok": False, "fatal": True, "reason": "The disk is full.", "files": []}
    files = [str(path), str(image)]
    if kind == "reject":
        return {"ok": False, "reason": "It has no size.", "files": files}
    color, constant = {"factor": [0.6, 0.05, 0.02], "picture": -1}, {"factor": [0.5], "picture": -1}
    look = {"name": "paint", "color": color, "roughness": constant, "metallic": constant, "known": True}
    facts = {"looks": [look], "height": 2.0, "size": [4.8, 3.0, 2.0], "center": [0, 0, 0], "notes": [], "missing": []}
    facts["names"] = {"objects": ["Box"], "collections": [], "materials": ["paint"]}
    arrays = {"vertices": CORNERS, "triangles": TRIANGLES, "look": np.zeros(12, np.int32), "corner": np.ones((12, 3, 3), np.float32)}
    save_file(arrays, request["out"], {"rpc": json.dumps(facts)})
    return {"ok": True, "files": files, "missing": []}


if __name__ == "__main__":
    print("Blender says hello")
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(f"{{not an answer\n{json.dumps(export(json.loads(line)))}", flush=True)
