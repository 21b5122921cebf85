# SPDX-License-Identifier: GPL-3.0-or-later
"""The real worker around a canned cube: an engine without torch, whose faults can be provoked.

    python tests/fake_engine.py --fail oom|crash|hang|slow|load|garbage|two   (or the environment variable LATTE3D_FAKE_FAIL)
    python tests/fake_engine.py bulk …                                        the command of a cluster, with one worker and no Ray

A prompt with one of these words in it provokes a fault, too: explosive (a crash), endless (it hangs), lasting (until it is
cancelled), impossible, empty, dragon (unfamiliar), babbling (garbage on the wire), and the names of the LIES.

It takes, and ignores, the worker's own options, so that it can stand in for `python -m core.service.worker`.
"""

import argparse
import json
import os
import struct
import sys
import time
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from core.bulk import cli
from core.bulk.maker import Maker
from core.errors import BadRequest, Cancelled, EngineError, MissingWeights, Unfamiliar, plain_error
from core.limits import check_prompt
from core.networks.things import Thing
from core.outcome import Failed, Made
from core.service import worker

STAGES = ("text", "networks", "decode", "extract", "atlas", "bake", "encode")
FAULTS = ("", "oom", "crash", "hang", "slow", "load", "garbage", "two")  # two is none: an engine of two models, and a damaged one


def png(color: tuple[int, int, int], size: int = 4) -> bytes:
    """A one-coloured PNG image of size × size pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + bytes(color) * size) * size
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@dataclass
class Cube:
    """The fields of a TexturedMesh: a box, 0.96 high, all of whose faces share the whole image."""

    prompt: str
    seed: int
    style: tuple | None = None
    model: str = "fake"
    detail: str = "standard"
    height_m: float = 0.8
    height_known: bool = True
    transmission: float = 0.0
    emission: float = 0.0
    timings_ms: dict = field(default_factory=lambda: dict.fromkeys(STAGES, 1.0))
    base_color: bytes | None = field(default_factory=lambda: png((200, 40, 30)))
    metallic_roughness: bytes | None = field(default_factory=lambda: png((0, 128, 0)))
    notes: list = field(default_factory=list)
    familiarity: dict = field(default_factory=dict)
    sharp: np.ndarray = field(default_factory=lambda: np.array([(0, 1), (0, 2), (1, 3)], np.int32))
    seams: np.ndarray = field(default_factory=lambda: np.array([(0, 1)], np.int32))
    color: tuple = (0.78, 0.16, 0.12)
    roughness: float | None = None
    metallic: float | None = None

    def __post_init__(self):
        if "dragon" in self.prompt:
            self.familiarity = {"familiar": False, "things": ["cube", "die"], "read_as": {"drgon": "dragon"}}
            self.notes = ["“a dragon” is not one of the things that this model knows.", "Read “drgon” as “dragon”."]
        corners = [(x, y, z) for z in (-1, 1) for y in (-1, 1) for x in (-1, 1)]
        quads = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (3, 2, 6, 7), (1, 3, 7, 5), (2, 0, 4, 6)]
        self.vertices = np.array(corners, np.float32) * (0.3, 0.3, 0.48)
        self.triangles = np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))], np.int32)
        self.uvs = np.tile(np.array([[(0, 0), (1, 0), (1, 1)], [(0, 0), (1, 1), (0, 1)]], np.float32), (6, 1, 1))

    def to_glb(self) -> bytes:
        """A GLB with a node that says where it comes from, and nothing else."""
        extras = {"prompt": self.prompt, "seed": self.seed, "model": self.model}
        text = json.dumps({"asset": {"version": "2.0"}, "nodes": [{"extras": extras}]}).encode()
        text += b" " * (-len(text) % 4)
        return struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text), len(text), b"JSON") + text


@dataclass
class FakeModel:
    """What the handshake tells of a model."""

    id: str
    things: list[Thing]
    fault: str = ""
    adherence: bool = True

    def to_dict(self) -> dict:
        told = {"id": self.id, "kinds": [thing.name for thing in self.things[:1]], "things": [asdict(thing) for thing in self.things]}
        told["adherence"] = self.adherence
        return told | ({"fault": self.fault} if self.fault else {})


class FakePipeline:
    """The interface of core.service.models.Models with a fault of choice."""

    device = "cpu"

    def __init__(self, fault: str = "", folder: Path = Path()):
        self.fault = fault
        pictures = folder / "pictures"
        cube, die, ring = (Thing(kind, "Solids", f"a red {kind}", str(pictures / f"{kind}.png")) for kind in ("cube", "die", "ring"))
        self.models = [FakeModel("fake", [cube, die])]
        if fault == "two":
            self.models += [FakeModel("jeweller", [ring, die], adherence=False), FakeModel("torn", [], "The model in torn cannot be read.")]

    def warm_up(self, cancelled):
        """There is nothing to warm."""

    def maker(self, prompt: str, model: str | None) -> str:
        """The model that was asked for, else the one that knows best."""
        known = (one.id for one in self.models for thing in one.things if thing.name in prompt)
        return model or next(known, self.models[0].id)

    def picture(self, mesh, side):
        """A red square."""
        return png((200, 40, 30), side)

    def stream(self, prompts, *, seeds, styles, progress, cancelled, model=None, strict=False, detail="standard", **more):
        if self.fault == "crash":
            os._exit(9)
        once = Path(os.environ.get("LATTE3D_FAKE_ONCE") or os.devnull)  # a file that tells whether it has crashed once
        if not once.exists():
            once.touch()
            os._exit(9)
        for index, (prompt, seed, style) in enumerate(zip(prompts, seeds, styles, strict=True)):
            steps = {"progress": progress, "cancelled": cancelled, "before": index * len(STAGES), "total": len(prompts) * len(STAGES)}
            try:
                if model == "torn":
                    raise MissingWeights("The model in torn cannot be read.")
                self.make(check_prompt(prompt), strict, **steps)
                cube = Cube(prompt.strip(), seed, style, self.maker(prompt, model), detail)
                cube.notes += [f"{name}: {value}" for name in ("blend", "adherence") if (value := more.get(name)) is not None]
                if planes := more.get("planes"):
                    cube.notes.append(f"planes: {', '.join(sorted(planes))}")
                if (cloud := more.get("cloud")) is not None:
                    cube.notes.append(f"cloud: {len(cloud)}")
                    cube.vertices *= np.float32(np.ptp(cloud[:, :3], 0) / np.ptp(cube.vertices, 0))  # as large as the shape
                if (canvas := more.get("canvas")) is not None:
                    middles = np.arange(len(canvas.triangles), dtype=np.float32)[:, None, None] / len(canvas.triangles)
                    cube.vertices, cube.triangles = canvas.vertices, canvas.triangles
                    cube.uvs = middles + np.zeros((1, 3, 2), np.float32) if canvas.uvs is None else canvas.uvs
                    cube.seams = cube.sharp = np.empty((0, 2), np.int32)
                yield Made(index, cube)
            except Cancelled:
                raise
            except (EngineError, RuntimeError) as error:
                yield Failed(index, plain_error(error))

    def make(self, prompt, strict, progress, cancelled, before, total):
        if strict and "dragon" in prompt:
            raise Unfamiliar("a dragon", prompt, {"cube": "a cube", "die": "a die"})
        if "explosive" in prompt:
            os._exit(9)
        while "endless" in prompt or self.fault == "hang":
            time.sleep(0.05)
        while "lasting" in prompt and not cancelled():
            time.sleep(0.02)
        if "impossible" in prompt:
            raise BadRequest(f"There is no {prompt}.")
        if "empty" in prompt:
            nothing = "The model made nothing for this prompt."
            raise EngineError("internal", nothing, "Its surface is empty.", "Try another seed or wording.")
        if self.fault == "oom":
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        for number, stage in enumerate(STAGES):
            progress(stage, before + number, total)
            for _ in range(20 if self.fault == "slow" else 1):
                if cancelled():
                    raise Cancelled()
                time.sleep(0.02 if self.fault == "slow" else 0)


def astray(rpc: dict, arrays: dict) -> None:
    """Corners of triangles that are no vertex."""
    arrays["triangles"] = arrays["triangles"] + 1000


def torn(rpc: dict, arrays: dict) -> None:
    """UVs of another mesh."""
    arrays["uvs"] = arrays["uvs"][:3]


def flat(rpc: dict, arrays: dict) -> None:
    """Vertices without a third coordinate."""
    arrays["vertices"] = np.ascontiguousarray(arrays["vertices"][:, :2])


def nowhere(rpc: dict, arrays: dict) -> None:
    """Vertices that are nowhere."""
    arrays["vertices"] = np.full_like(arrays["vertices"], np.nan)


def blurred(rpc: dict, arrays: dict) -> None:
    """A texture that is no image."""
    arrays["base_color"] = np.zeros(64, np.uint8)


def tall(rpc: dict, arrays: dict) -> None:
    """A height that is no number."""
    rpc["params"]["height_m"] = "as a tree"


def surplus(rpc: dict, arrays: dict) -> None:
    """The object of a prompt that nobody has given."""
    rpc["params"]["index"] = 7


def foreign(rpc: dict, arrays: dict) -> None:
    """The object of another request, so that this one stays short of it."""
    rpc["params"]["id"] = 999


def nameless(rpc: dict, arrays: dict) -> None:
    """An object that does not say what it is."""
    del rpc["params"]["prompt"]


LIES = {lie.__name__: lie for lie in (astray, torn, flat, nowhere, blurred, tall, surplus, foreign, nameless)}


def lying(write):
    """The worker's way to write a message, which tells a lie where the prompt has its name in it, or babbles in the middle of the wire."""

    def tell(outbox, rpc: dict, arrays: dict | None = None) -> None:
        prompt = rpc["params"].get("prompt", "") if rpc.get("method") == "object" else ""
        if "babbling" in prompt:
            outbox.write(b"Segmentation fault (core dumped)\n")
        for name, lie in LIES.items():
            if name in prompt:
                arrays = dict(arrays)
                lie(rpc, arrays)
        write(outbox, rpc, arrays)

    return tell


class OneWorker:
    """Stands in for a Ray cluster: a worker in this process."""

    lost, devices = 0, {"cpu": 1}

    def __init__(self, address, load, *, cores, gpus, strict, say):
        self.maker = Maker(FakePipeline, strict)

    def make(self, wants):
        return ((want, self.maker.make(want)) for want in wants)

    def end(self):
        """There is nothing to end."""


def main() -> int:
    if "bulk" in sys.argv[1:]:
        cli.Cluster = OneWorker
        return cli.main(sys.argv[sys.argv.index("bulk") + 1 :])
    parser = argparse.ArgumentParser()
    parser.add_argument("--fail", choices=FAULTS, default=os.environ.get("LATTE3D_FAKE_FAIL", ""))
    parser.add_argument("--model", type=Path, default=Path())
    parser.add_argument("--models", type=Path)
    options = parser.parse_known_args()[0]
    fault = options.fail

    def load() -> FakePipeline:
        print("this goes to the log, not to the wire")
        if fault == "load":
            raise MissingWeights("There is no model.", "The folder is empty.", "Choose a model folder.")
        return FakePipeline(fault, options.models or options.model)

    if fault == "garbage":
        os.write(1, b"Welcome to this machine!\nLast login: yesterday\n")
    inbox, outbox = worker.claim_pipes()
    worker.write_message = lying(worker.write_message)
    return worker.serve(load, inbox, outbox)


if __name__ == "__main__":
    sys.exit(main())
