# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m core benchmark`: medians of every stage on this machine, of a click in Blender, and of the atlas beside other unwrappers.

What happens in Blender is measured by the add-on itself, in its own Python (`latte3d_blender.benchmark`).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from core.device import machine_name
from core.errors import EngineError
from core.limits import DETAILS
from core.mesh import TexturedMesh
from core.pipeline import Latte3DPipeline
from core.surface.atlas import unwrap

ROOT = Path(__file__).resolve().parents[2]
PROMPTS = ("a red mushroom with white spots", "a wooden barrel", "a blue car", "a tall stone tower", "a green tree")
XATLAS_TRIANGLES = 22_000


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m core benchmark", description=__doc__)
    parser.add_argument("model", type=Path, nargs="?", default=ROOT / "core" / "weights" / "starter")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--detail", default="full", choices=tuple(DETAILS), help="of the stages; clicks are timed at each (full)")
    parser.add_argument("--resolution", type=int, help="cells along an edge of the grid (the detail's)")
    parser.add_argument("--texture-size", type=int, help="pixels along an edge of the images (the detail's)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--blender", type=Path, help="a Python with bpy (default: what build.py made)")
    parser.add_argument("--no-blender", action="store_true", help="leave out what needs Blender")
    parser.add_argument("--json", action="store_true", help="print the last line as JSON")
    a = parser.parse_args(argv)
    settings = {"detail": a.detail, "resolution": a.resolution, "texture_size": a.texture_size}
    stages, mesh, device = time_stages(a.model, a.device, settings, a.rounds)
    result = {"machine": machine_name(), "device": device, "triangles": len(mesh.triangles), "stages_ms": stages}
    if not a.no_blender:
        in_blender = time_blender(a)
        result["stages_ms"]["wire"] = in_blender.pop("wire_ms")
        names = ("insert_ms", "click_to_object_ms", "cold_start_ms", "cold_click_ms", "smart_uv_ms", "details", "blender")
        result |= {name: in_blender[name] for name in names}
        result["atlas_of_smart_uv"] = round(in_blender["stages_ms"]["atlas"] / in_blender["smart_uv_ms"], 3)
    result |= time_xatlas(mesh)
    print(json.dumps(result) if a.json else "\n".join(f"{k:24} {v}" for k, v in result.items()))
    return 0


def time_stages(model: Path, device: str, settings: dict, rounds: int) -> tuple[dict[str, float], TexturedMesh, str]:
    """Medians of the stages over prompts and rounds, text uncached; the first prompt's mesh; the device's name."""
    pipeline = Latte3DPipeline.from_pretrained(model, device)
    runs: list[TexturedMesh] = []
    for number in range(rounds + 1):
        pipeline.text.forget()
        meshes = [pipeline([p], seeds=number, **settings)[0] for p in PROMPTS]
        runs += meshes if number else []  # the first round warms up
    stages = {name: round(statistics.median(m.timings_ms[name] for m in runs), 1) for name in runs[0].timings_ms}
    return stages, runs[0], str(pipeline.device)


def time_blender(a: argparse.Namespace) -> dict:
    """The add-on's own benchmark, run in Blender's Python. Raises EngineError when that fails."""
    folder = ROOT / ".venv-blender"
    python = a.blender or (folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python")
    command = [python, "-m", "latte3d_blender.benchmark", "--engine", sys.executable, "--model", a.model.resolve(), "--device", a.device]
    command += ["--rounds", a.rounds]
    for option, value in (("--resolution", a.resolution), ("--texture-size", a.texture_size)):
        command += [option, value] if value else []
    output = ""
    try:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", "PYTHONNOUSERSITE": "1"}
        run = subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True, timeout=600)
        output = run.stderr.strip()[-300:]
        return json.loads(run.stdout.strip().splitlines()[-1])
    except (OSError, IndexError, ValueError, subprocess.TimeoutExpired) as error:
        raise EngineError(
            "internal", "The measurement in Blender failed.", output or f"{error}", "Run build.py once, or give --no-blender."
        ) from error


def time_xatlas(mesh: TexturedMesh) -> dict[str, float]:
    """xatlas with its defaults and our atlas on one mesh of about 22,000 triangles, milliseconds; nothing where it is not installed."""
    try:
        import xatlas
    except ImportError:
        return {}
    from core.surface.decimate import decimate

    vertices, triangles, _ = decimate(mesh.vertices, mesh.triangles, XATLAS_TRIANGLES)
    begun = time.perf_counter()
    xatlas.parametrize(vertices, triangles)
    xatlas_ms = 1000 * (time.perf_counter() - begun)
    own = []
    for _ in range(5):
        begun = time.perf_counter()
        unwrap(vertices, triangles, size=1024, coarse=True)
        own.append(1000 * (time.perf_counter() - begun))
    return {"xatlas_ms": round(xatlas_ms, 1), "atlas_same_mesh_ms": round(statistics.median(own), 1), "xatlas_triangles": len(triangles)}
