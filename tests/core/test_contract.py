# SPDX-License-Identifier: GPL-3.0-or-later
"""Both ends of the wire against each other: the engine's reader and writer, and the add-on's, which share no code."""

import importlib
import io
import json
import struct
import sys
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from core.canvas import Canvas
from core.limits import CANVAS_TRIANGLES, RESOLUTIONS, TEXTURE_SIZES, check_styles
from core.outcome import Made
from core.service import answering
from core.service import protocol as engine
from tests.conftest import ROOT
from tests.fake_engine import Cube, FakePipeline


def client(name: str) -> ModuleType:
    """A module of the add-on's client by its path: the package around it needs bpy."""
    package = sys.modules.setdefault("addon_client", ModuleType("addon_client"))
    package.__path__ = [str(ROOT / "latte3d_blender" / "client")]
    return importlib.import_module(f"addon_client.{name}")


addon, jobs, guide = client("protocol"), client("job"), client("guide")

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
RPC = st.dictionaries(TEXT, JSON, max_size=4)
TYPES = [np.float32, np.int32, np.uint8, np.float16, np.float64, np.int64, np.int16, np.uint32, np.bool_]
ARRAYS = st.dictionaries(
    TEXT.filter(lambda name: name != "__metadata__"),
    st_numpy.arrays(st.sampled_from(TYPES), st_numpy.array_shapes(min_side=0)),
    max_size=4,
)


def from_engine(rpc: dict, arrays: dict) -> bytes:
    stream = io.BytesIO()
    engine.write_message(stream, rpc, arrays)
    return stream.getvalue()


def assert_same(message: tuple, rpc: dict, arrays: dict) -> None:
    assert message[0] == rpc and message[1].keys() == arrays.keys()
    for name, array in arrays.items():
        assert message[1][name].dtype == array.dtype and message[1][name].shape == array.shape
        np.testing.assert_array_equal(message[1][name], array)


@given(RPC, ARRAYS)
def test_the_addon_reads_what_the_engine_writes(rpc, arrays):
    stream = io.BytesIO(from_engine(rpc, arrays) * 2)
    for _ in range(2):
        assert_same(addon.read(stream), rpc, arrays)
    assert addon.read(stream) is None


@given(RPC, ARRAYS)
def test_the_engine_reads_what_the_addon_writes(rpc, arrays):
    stream = io.BytesIO(addon.encode(rpc, arrays) * 2)
    for _ in range(2):
        assert_same(engine.read_message(stream), rpc, arrays)
    assert engine.read_message(stream) is None


@given(RPC, st.text(st.characters(max_codepoint=0x7F, exclude_categories=["Cc"]), max_size=200))
def test_text_before_the_handshake_is_told_from_it(rpc, text):
    stream = io.BytesIO(text.encode() + b"\r\n" + from_engine(rpc, {}))
    before, start = addon.skip_text(stream)
    assert before.decode() == text + "\r\n"
    assert_same(addon.read(stream, start), rpc, {})


def test_the_addon_knows_every_stage_of_the_engine():
    from core.surface.textured import STAGES

    assert tuple(jobs.STAGES) == ("text", "networks", *STAGES) and sum(share for _, share in jobs.STAGES.values()) == pytest.approx(1)


def test_what_the_engine_sends_is_what_the_addon_takes():
    """A whole request, message by message: an object with a look of images, one with a look of numbers, one that failed."""
    sent, job = io.BytesIO(), jobs.Job(1, ["a cube", "an empty cube", "a plain cube"], [0, 0, 0], {})
    plain = Cube("a plain cube", 0, base_color=None, metallic_roughness=None, roughness=0.5, metallic=0.0)

    class Pipeline(FakePipeline):
        def stream(self, prompts, **settings):
            yield from [*list(super().stream(prompts, **settings))[:2], Made(2, plain)]

    def notify(method, params, arrays=None):
        engine.write_message(sent, {"method": method, "params": params}, arrays)

    assert answering.generate(Pipeline(), {"prompts": job.prompts, "picture": 64}, {}, notify, lambda: False) == (2, 1)
    sent.seek(0)
    seen = []
    while message := addon.read(sent):
        method, params = message[0]["method"], message[0]["params"]
        seen.append(job.factor)
        if method == "progress":
            job.advance(params["stage"], params["done"], params["total"])
        elif method == "picture":
            job.show(params["index"], message[1]["picture"].tobytes())
        elif method == "failed":
            fault = jobs.Fault(params["message"], params["cause"], params["remedy"], params["kind"], params)
            job.answer(jobs.Failure(params["index"], fault))
        else:
            result = jobs.Result(params["prompt"], params["seed"], {}, params, message[1], params["style"], params["index"])
            assert result.complete
            job.answer(result)
    outcomes = job.take()
    assert [outcome.index for outcome in outcomes] == [0, 1, 2] and outcomes[0].picture.startswith(b"\x89PNG")
    assert job.factor == 1 and seen == sorted(seen)
    assert str(job.failures[0].fault).startswith("The model made nothing for this prompt. Its surface is empty.")


def test_both_ends_draw_the_same_style_of_a_seed():
    from core.frame import style_of

    for seed in (0, 1, 7, 2**31 - 1):
        np.testing.assert_array_equal(guide.style_of(seed).astype(np.float32), style_of([seed])[0].numpy())
    near = guide.styles_near(guide.style_of(7), 5, 0.4, 1)
    assert near == guide.styles_near(guide.style_of(7), 5, 0.4, 1) and check_styles(near, 5) and near[0] != near[1]
    assert 0.2 < np.std(np.array(near) - guide.style_of(7)) < 0.6


def test_what_shapes_an_object_passes_both_checks():
    cloud = np.concatenate((np.full((64, 3), 0.48), np.eye(3)[np.arange(64) % 3]), 1).astype(np.float32)
    made = guide.Guide(("a cube", 0.3), 0.5, cloud)
    made.check()
    settings = answering.checked_settings({"prompts": ["a"], **made.params}, ["starter"])
    assert (settings["blend"], settings["adherence"]) == (("a cube", 0.3), 0.5)
    np.testing.assert_array_equal(answering.checked_cloud(made.arrays, 0.5), cloud)
    assert made.facts == {"blend": ["a cube", 0.3], "adherence": 0.5, "cloud": guide.hash_of(cloud)} and not guide.Guide().facts


def test_a_mesh_to_be_painted_passes_both_checks():
    sides = {"vertices": np.eye(3, dtype=np.float32), "triangles": np.array([(0, 1, 2)], np.int32), "faces": np.zeros(1, np.int32)}
    made = guide.Guide(("a cube", 0.3), canvas=sides)
    made.check()
    assert made.method == "retexture" and guide.Guide().method == "generate" and guide.TRIANGLES == CANVAS_TRIANGLES
    assert Canvas.of(made.arrays).check() is None and made.params == {"blend": ["a cube", 0.3]}
    assert set(made.facts) == {"blend", "canvas"} != made.facts["canvas"]


WRONG = {
    "blend": guide.Guide(("a", 1.2)), "empty": guide.Guide(("  ", 0.2)), "adherence": guide.Guide(None, 2.0, np.zeros((64, 6), "f4")),
    "needs a shape": guide.Guide(adherence=0.5), "points": guide.Guide(cloud=np.zeros((3, 6), "f4")),
    "frame": guide.Guide(cloud=np.ones((64, 6), "f4")), "triangles": guide.Guide(canvas={"triangles": np.zeros((500_001, 3), "i4")}),
}  # fmt: skip


@pytest.mark.parametrize("word", WRONG)
def test_the_addon_refuses_what_cannot_be_asked_for(word):
    with pytest.raises(jobs.EngineFault, match=word):
        WRONG[word].check()


def test_the_largest_object_fits_a_message():
    """At the finest grid and the largest images, with a surface of five times the triangles that the mushroom has, and as a GLB too."""
    triangles, pixels = 5 * 124_000 * (RESOLUTIONS[-1] // 128) ** 2, TEXTURE_SIZES[1] ** 2
    arrays = triangles * (12 / 2 + 12 + 24 + 2 * 12)  # vertices, corners, UVs, sharp edges and seams
    glb = triangles * (3 * 32 + 12)
    images = 2 * 2 * pixels * 2  # colour and surface, by themselves and in the GLB, two bytes a pixel
    assert arrays + glb + images < engine.MAX_DATA


def both(blob: bytes) -> list[tuple | None]:
    """What either end makes of these bytes: a message, or None for its own ProtocolError; anything else fails the test."""
    results = []
    for read, error in ((engine.read_message, engine.ProtocolError), (addon.read, addon.ProtocolError)):
        try:
            results.append(read(io.BytesIO(blob)))
        except error:
            results.append(None)
    return results


@given(RPC, ARRAYS, st.data())
def test_a_damaged_message_is_refused_or_read_alike(rpc, arrays, data):
    blob = bytearray(from_engine(rpc, arrays))
    for _ in range(data.draw(st.integers(1, 3))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    messages = both(bytes(blob[: data.draw(st.integers(1, len(blob)))]))
    if None not in messages:
        assert messages[0][1].keys() == messages[1][1].keys()
        for name, array in messages[0][1].items():
            assert array.tobytes() == messages[1][1][name].tobytes()


RPC_TEXT = {"__metadata__": {"rpc": "{}"}}
BYTE = {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}


@pytest.mark.parametrize(
    "header",
    [
        {},
        [],
        {"__metadata__": {}},
        {"__metadata__": {"rpc": 5}},
        {"__metadata__": {"rpc": "[]"}},
        {"__metadata__": {"rpc": "{"}},
        RPC_TEXT | {"a": None},
        RPC_TEXT | {"a": BYTE | {"dtype": "F99"}},
        RPC_TEXT | {"a": BYTE | {"shape": [-1]}},
        RPC_TEXT | {"a": BYTE | {"shape": [2]}},
        RPC_TEXT | {"a": BYTE | {"shape": [2**62, 4]}},
        RPC_TEXT | {"a": BYTE | {"data_offsets": [0, -1]}},
        RPC_TEXT | {"a": BYTE | {"data_offsets": [1, 2]}},
        RPC_TEXT | {"a": BYTE | {"data_offsets": ["0", "1"]}},
        RPC_TEXT | {"a": BYTE, "b": BYTE},
        RPC_TEXT | {"a": BYTE | {"shape": [2**30 + 1], "data_offsets": [0, 2**30 + 1]}},
    ],
    ids=lambda header: json.dumps(header)[:60],
)
def test_both_refuse_a_malformed_header(header):
    text = json.dumps(header).encode()
    assert both(struct.pack("<Q", len(text)) + text + b"\0\0") == [None, None]


@pytest.mark.parametrize(
    "blob", [struct.pack("<Q", 2**63) + b"{}", struct.pack("<Q", 0), struct.pack("<Q", (1 << 20) + 1), b"ssh: no route to host\n"]
)
def test_both_refuse_absurd_lengths(blob):
    assert both(blob) == [None, None]
