# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker as a process: handshake, answers, cancel, and each way in which things go wrong."""

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from core.errors import plain_error
from core.service.answering import checked_cloud, checked_settings, object_arrays, object_facts
from tests.fake_engine import STAGES, Cube


def test_hello_then_one_message_an_object(fake_engine):
    engine = fake_engine()
    rpc, _ = engine.receive()
    assert rpc["method"] == "hello" and rpc["params"]["protocol"] == 3
    pictures = {name: str(Path("pictures", f"{name}.png")) for name in ("cube", "die")}
    cube, die = ({"name": n, "group": "Solids", "example": f"a red {n}", "picture": path} for n, path in pictures.items())
    assert rpc["params"]["models"] == [{"id": "fake", "kinds": ["cube"], "things": [cube, die], "adherence": True}]
    engine.generate(7, ("a cube", " ein Würfel 🎲 "), seeds=[1, 2], glb=True)
    stages = ["text", "networks", "decode", "extract", "atlas", "bake", "encode"]
    for index, prompt in enumerate(["a cube", "ein Würfel 🎲"]):
        for step, stage in enumerate(stages):
            rpc, _ = engine.receive(skip_progress=False)
            assert rpc["method"] == "progress"
            assert rpc["params"] == {"id": 7, "stage": stage, "done": 7 * index + step, "total": 14}
        rpc, arrays = engine.receive(skip_progress=False)
        item = rpc["params"]
        assert rpc["method"] == "object" and "id" not in rpc and (item["id"], item["index"]) == (7, index)
        assert (item["prompt"], item["seed"], item["style"], item["triangles"]) == (prompt, index + 1, None, 12)
        assert arrays["vertices"].shape == (8, 3) and arrays["vertices"].dtype == np.float32
        assert arrays["triangles"].dtype == np.int32 and arrays["uvs"].shape == (12, 3, 2)
        assert bytes(arrays["base_color"][1:4]) == b"PNG" and bytes(arrays["glb"][:4]) == b"glTF"
    assert engine.receive(skip_progress=False) == ({"jsonrpc": "2.0", "id": 7, "result": {"made": 2, "failed": 0}}, {})
    status, log = engine.end()
    assert status == 0 and "not to the wire" in log


def test_an_answer_says_how_each_prompt_was_read(fake_engine):
    engine = fake_engine()
    engine.receive()
    engine.generate(1, ("a cube", "a dragon"))
    (usual, _), (strange, _) = engine.answer()[0]
    nothing = {"familiar": True, "read_as": {}, "set_aside": [], "not_understood": [], "notes": []}
    assert {name: usual[name] for name in nothing} == nothing and "things" not in usual
    assert strange["familiar"] is False and strange["things"] == ["cube", "die"] and strange["read_as"] == {"drgon": "dragon"}
    assert len(strange["notes"]) == 2 and all(note.endswith(".") for note in strange["notes"])


def test_a_strict_request_says_of_what_is_strange_what_can_be_asked_for(fake_engine):
    engine = fake_engine()
    engine.receive()
    engine.generate(1, ("a cube", "a dragon", "a die"), strict=True)
    objects, (failed,), answer = engine.answer()
    assert [item["index"] for item, _ in objects] == [0, 2] and answer["result"] == {"made": 2, "failed": 1}
    assert failed.pop("message") == "“a dragon” is not one of the things that this model knows."
    assert failed.pop("cause") and failed.pop("remedy")
    assert failed == {
        "id": 1, "index": 1, "kind": "unfamiliar", "prompt": "a dragon", "things": ["cube", "die"],
        "example": {"cube": "a cube", "die": "a die"},
    }  # fmt: skip


def test_a_batch_of_64_with_one_empty_surface(fake_engine):
    """63 objects and one sentence; a prompt that cannot be used fails alone, too."""
    engine = fake_engine()
    engine.receive()
    prompts = [f"cube number {number}" for number in range(64)]
    prompts[20] = "an empty cube"
    engine.generate(1, tuple(prompts))
    objects, failures, answer = engine.answer()
    assert [item["prompt"] for item, _ in objects] == [prompt for prompt in prompts if "empty" not in prompt]
    assert all(arrays["vertices"].shape == (8, 3) for _, arrays in objects) and answer["result"] == {"made": 63, "failed": 1}
    (failed,) = failures
    assert (failed["index"], failed["kind"], failed["message"]) == (20, "internal", "The model made nothing for this prompt.")


UNUSABLE = [(None, "text"), ("  \n", "empty"), ("🍄 !?", "no words"), ("x" * 10_000, "10000 characters"), ("a\0b", "no text")]


def test_prompts_that_cannot_be_used_fail_alone(fake_engine):
    engine = fake_engine()
    engine.receive()
    engine.generate(1, (*[prompt for prompt, _ in UNUSABLE], "a\ud800b", " a red cube "))
    ((item, _),), failures, _ = engine.answer()
    assert (item["index"], item["prompt"]) == (6, "a red cube") and {failed["kind"] for failed in failures} == {"bad_request"}
    for failed, word in zip(failures, [*[word for _, word in UNUSABLE], "no text"], strict=True):
        assert word in failed["message"]


def test_a_request_of_more_prompts_than_any_answer_could_hold(fake_engine):
    engine = fake_engine()
    engine.receive()
    styles = [None, [0.5] * 8] * 250
    engine.generate(1, ("a cube",) * 500, styles=styles)
    objects, _, answer = engine.answer()
    assert answer["result"] == {"made": 500, "failed": 0} and [item["style"] for item, _ in objects] == styles


def test_cancel_while_generating_then_the_next_request_works(fake_engine):
    engine = fake_engine("slow")
    engine.receive()
    engine.generate(1)
    assert engine.receive(skip_progress=False)[0]["method"] == "progress"
    engine.send({"method": "cancel", "params": {"id": 1}})
    rpc, _ = engine.receive()
    assert rpc["id"] == 1 and rpc["error"]["data"]["kind"] == "cancelled"
    engine.generate(2)
    assert engine.answer()[2]["result"] == {"made": 1, "failed": 0}


@pytest.mark.parametrize("request_shutdown", [True, False])
def test_shutdown_and_end_of_stdin_end_it_while_it_works(fake_engine, request_shutdown):
    engine = fake_engine("slow")
    engine.receive()
    engine.generate(1)
    if request_shutdown:
        engine.send({"id": 2, "method": "shutdown"})
        assert engine.receive()[0]["error"]["data"]["kind"] == "cancelled"
        assert engine.receive()[0] == {"jsonrpc": "2.0", "id": 2, "result": {}}
    assert engine.end()[0] == 0


def test_out_of_memory_leaves_it_alive(fake_engine):
    engine = fake_engine("oom")
    engine.receive()
    for request_id in (1, 2):
        engine.generate(request_id)
        _, (failed,), answer = engine.answer()
        assert failed["kind"] == "out_of_memory" and "20.00 GiB" in failed["cause"] and failed["remedy"] and answer["id"] == request_id


BAD_REQUESTS = [
    {"method": "generate"},
    {"method": "generate", "params": ["a cube"]},
    {"method": "paint", "params": {}},
    {"method": 5, "params": None},
    {"method": "generate", "params": {"prompts": ["a cube"], "colour": "red"}},
]


def test_bad_requests_are_answered_and_survived(fake_engine):
    engine = fake_engine()
    engine.receive()
    for request_id, request in enumerate(BAD_REQUESTS):
        engine.send({"id": request_id, **request})
        rpc, _ = engine.receive()
        assert rpc["id"] == request_id and rpc["error"]["data"]["kind"] == "bad_request"
    engine.send({"id": {"no": "id"}, "method": "generate"})
    assert engine.receive()[0]["id"] is None
    engine.send({"method": "unknown notification"})
    engine.send({"method": "cancel", "params": "nonsense"})
    engine.generate(99)
    assert engine.answer()[2]["id"] == 99


def test_load_failure_is_an_error_without_id_and_exit_1(fake_engine):
    engine = fake_engine("load")
    rpc, _ = engine.receive()
    assert rpc["id"] is None and rpc["error"]["data"]["kind"] == "missing_weights"
    assert engine.receive() is None and engine.end()[0] == 1


def test_garbage_on_stdin_is_named_and_exit_1(fake_engine):
    engine = fake_engine()
    engine.receive()
    engine.process.stdin.write(b"GET / HTTP/1.1\r\n\r\n")
    engine.process.stdin.flush()
    rpc, _ = engine.receive()
    assert rpc["id"] is None and rpc["error"]["data"]["kind"] == "bad_request"
    assert engine.end()[0] == 1


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break differently there")
def test_a_lost_client_ends_it_without_a_word(fake_engine):
    engine = fake_engine("slow")
    engine.receive()
    engine.generate(1)
    engine.process.stdout.close()
    engine.process.stdout = None
    log = engine.process.stderr.read().decode()
    assert engine.process.wait(10) == 0 and "Traceback" not in log and "Exception ignored" not in log


@pytest.mark.parametrize(
    "params, word",
    [
        ({"prompts": []}, "no prompt"),
        ({"prompts": "a cube"}, "list of prompts"),
        ({"prompts": ["a"], "seeds": [1, 2]}, "seed"),
        ({"prompts": ["a"], "seeds": [True]}, "seed"),
        ({"prompts": ["a"], "seeds": [-1]}, "seed"),
        ({"prompts": ["a"], "styles": [[0.0] * 8, None]}, "style"),
        ({"prompts": ["a"], "styles": "bold"}, "list of styles"),
        ({"prompts": ["a"], "styles": [[0.0] * 7]}, "8 numbers"),
        ({"prompts": ["a"], "styles": [[0.0] * 7 + [None]]}, "8 numbers"),
        ({"prompts": ["a"], "styles": [[0.0] * 7 + [11]]}, "8 numbers"),
        ({"prompts": ["a"], "detail": "finest"}, "detail"),
        ({"prompts": ["a"], "detail": None}, "detail"),
        ({"prompts": ["a"], "resolution": 1.5}, "resolution"),
        ({"prompts": ["a"], "resolution": 100_000}, "resolution"),
        ({"prompts": ["a"], "resolution": 100}, "multiple of 8"),
        ({"prompts": ["a"], "texture_size": 0}, "texture size"),
        ({"prompts": ["a"], "triangles": 2}, "triangles"),
        ({"prompts": ["a"], "glb": "yes"}, "glb"),
        ({"prompts": ["a"], "strict": 1}, "strict"),
        ({"prompts": ["a"], "model": "other"}, "no model 'other'.*starter, mine"),
        ({"prompts": ["a"], "blend": "a cube"}, "blend"),
        ({"prompts": ["a"], "blend": ["a cube"]}, "blend"),
        ({"prompts": ["a"], "blend": ["", 0.5]}, "empty"),
        ({"prompts": ["a"], "blend": ["a cube", 1.5]}, "blend '1.5' is not a number from 0 to 1"),
        ({"prompts": ["a"], "blend": ["a cube", True]}, "blend"),
        ({"prompts": ["a"], "adherence": -0.1}, "adherence"),
        ({"prompts": ["a"], "adherence": "much"}, "adherence"),
        ({"prompts": ["a"], "picture": 7}, "picture"),
        ({"prompts": ["a"], "picture": False}, "picture"),
    ],
)
def test_each_wrong_parameter_is_named(params, word):
    with pytest.raises(Exception) as caught:
        checked_settings(params, ["starter", "mine"])
    assert caught.value.code == "bad_request" and re.search(word, str(caught.value))


CLOUD = np.tile(np.float32([0.1, 0.2, -0.48, 0, 0, -1]), (64, 1))


@pytest.mark.parametrize(
    "arrays, adherence, word",
    [
        ({}, 0.5, "needs a shape"),
        ({"cloud": CLOUD, "mesh": CLOUD}, None, "array 'mesh'"),
        ({"cloud": CLOUD.astype(np.float64)}, None, "float64 64x6"),
        ({"cloud": CLOUD[:63]}, None, "64 to"),
        ({"cloud": CLOUD[:, :3]}, None, "64x3"),
        ({"cloud": CLOUD[0]}, None, "six"),
        ({"cloud": np.zeros((70_000, 6), np.float32)}, None, "65536 rows"),
        ({"cloud": CLOUD * np.float32(np.nan)}, None, "within"),
        ({"cloud": CLOUD * np.float32(2)}, None, "within"),
    ],
)
def test_each_wrong_cloud_is_named(arrays, adherence, word):
    with pytest.raises(Exception) as caught:
        checked_cloud(arrays, adherence)
    assert caught.value.code == "bad_request" and re.search(word, str(caught.value))
    assert checked_cloud({}, None) is None and (checked_cloud({"cloud": CLOUD}, 1.0) == CLOUD).all()


def test_shapes_and_blends_go_to_the_model_and_pictures_come_after_their_objects(fake_engine):
    engine = fake_engine()
    engine.receive()
    params = {"prompts": ["a cube", "an empty cube", "a die"], "blend": ["a ball", 0.25], "adherence": 1, "picture": 64}
    engine.send({"id": 1, "method": "generate", "params": params}, {"cloud": CLOUD + np.linspace(0, 0.1, 64, dtype=np.float32)[:, None]})
    seen = []
    while "id" not in (message := engine.receive())[0]:
        rpc, arrays = message
        seen.append((rpc["method"], rpc["params"]["index"]))
        if rpc["method"] == "object":
            assert rpc["params"]["notes"] == ["blend: ('a ball', 0.25)", "adherence: 1", "cloud: 64"]
        if rpc["method"] == "picture":
            assert bytes(arrays["picture"][1:4]) == b"PNG"
    assert seen == [("object", 0), ("picture", 0), ("failed", 1), ("object", 2), ("picture", 2)]
    engine.send({"id": 2, "method": "generate", "params": {"prompts": ["a cube"], "adherence": 0.5}})
    assert "needs a shape" in engine.receive()[0]["error"]["message"]


BOX = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32)
SIDE = {"vertices": BOX, "triangles": np.array([(0, 1, 3), (0, 3, 2)], np.int32)}


def test_a_mesh_is_painted_and_each_wrong_one_is_named(fake_engine):
    engine = fake_engine()
    engine.receive()
    own = SIDE | {"uvs": np.full((2, 3, 2), 0.25, np.float32)}
    for arrays, uv in ((SIDE, 0.5), (own, 0.25)):
        engine.send({"id": 1, "method": "retexture", "params": {"prompts": ["a cube"]}}, arrays)
        ((facts, sent),), _, answer = engine.answer()
        assert answer["result"] == {"made": 1, "failed": 0} and facts["triangles"] == 2 and sent["uvs"][1, 0, 0] == uv
        assert bytes(sent["base_color"][1:4]) == b"PNG"
    off = SIDE | {"triangles": SIDE["triangles"] + 5}
    follow = (SIDE, {"follow": 1}, "follow")
    wrong = [({}, {}, "no vertices"), follow, (off, {}, "does not have"), (SIDE, {"adherence": 0.5}, "needs a shape")]
    for arrays, params, word in wrong:
        engine.send({"id": 2, "method": "retexture", "params": {"prompts": ["a cube"], **params}}, arrays)
        error = engine.receive()[0]["error"]
        assert word in error["message"] and error["data"]["kind"] == "bad_request"
    engine.send({"id": 4, "method": "generate", "params": {"prompts": ["a cube"]}}, SIDE)
    assert "the array 'triangles'" in engine.receive()[0]["error"]["message"]


def test_painting_is_cancelled(fake_engine):
    engine = fake_engine("slow")
    engine.receive()
    engine.send({"id": 1, "method": "retexture", "params": {"prompts": ["a cube"]}}, SIDE)
    assert engine.receive(skip_progress=False)[0]["method"] == "progress"
    engine.send({"method": "cancel", "params": {"id": 1}})
    assert engine.receive()[0]["error"]["data"]["kind"] == "cancelled"


def test_settings_get_defaults():
    settings = checked_settings({"prompts": ["a red chair", "a cube"]}, ["starter"])
    assert settings["seeds"] == [0, 0] and settings["styles"] == [None, None]
    assert (settings["detail"], settings["glb"]) == ("standard", False)
    assert settings["resolution"] is settings["texture_size"] is settings["triangles"] is None  # as the detail says


@pytest.mark.parametrize(
    "error, code",
    [
        (MemoryError(), "out_of_memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "out_of_memory"),
        (RuntimeError("shapes differ"), "internal"),
        (ZeroDivisionError(), "internal"),
    ],
)
def test_foreign_errors_get_a_type_and_a_sentence(error, code):
    typed = plain_error(error)
    assert typed.code == code and typed.message.endswith(".") and typed.remedy


def test_the_real_worker_names_missing_weights_and_unknown_devices(start_engine, tmp_path):
    for options, kind in ((["--model", str(tmp_path / "none")], "missing_weights"), (["--device", "toaster"], "bad_request")):
        engine = start_engine([sys.executable, "-m", "core.service.worker", *options])
        rpc, _ = engine.receive()
        assert rpc["error"]["data"]["kind"] == kind, rpc
        assert engine.end(30)[0] == 1


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    """An untrained model of the smallest preset: it makes a blob."""
    import torch

    from core.networks.generator import Generator
    from core.networks.presets import PRESETS
    from core.networks.storage import ModelCard, save_generator

    folder = tmp_path_factory.mktemp("model") / "tiny"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_generator(Generator(PRESETS["tiny"]), ModelCard("tiny", ("blob",)), folder)
    return folder


def test_the_real_engine_end_to_end(start_engine, tiny_model):
    engine = start_engine([sys.executable, "-m", "core.service.worker", "--model", str(tiny_model), "--device", "cpu"])
    rpc, _ = engine.receive()
    assert rpc["params"]["models"] == [{"id": "tiny", "kinds": ["blob"], "things": [], "adherence": True}]
    assert rpc["params"]["device"] == "cpu" and {"blend", "cloud", "pictures"} <= set(rpc["params"]["features"])
    engine.generate(1, ("a red chair", "🪑 of wood"), seeds=[0, 1], resolution=64, texture_size=256, glb=True)
    for item, arrays in engine.answer()[0]:
        vertices, triangles = arrays["vertices"], arrays["triangles"]
        assert np.abs(vertices).max() < 0.53 and triangles.max() == len(vertices) - 1 and len(triangles) == item["triangles"]
        for name in ("sharp", "seams"):
            edges = arrays[name]
            assert edges.dtype == np.int32 and edges.shape[1] == 2 and (edges[:, 0] < edges[:, 1]).all()
        assert len(arrays["seams"]) and item["detail"] == "standard" and len(item["color"]) == 3
        assert ("metallic_roughness" in arrays) == (item["roughness"] is None) == (item["metallic"] is None)
        assert bytes(arrays["glb"][:4]) == b"glTF" and item["timings_ms"].keys() == set(STAGES)
    ball = np.concatenate(2 * [np.random.default_rng(0).standard_normal((500, 3))], 1)
    ball /= np.linalg.norm(ball[:, :3], axis=1, keepdims=True) * ([[1 / 0.4] * 3 + [1] * 3])
    guided = {"prompts": ["a red chair"], "blend": ["a blob", 0.5], "adherence": 0.8, "picture": 64, "detail": "draft"}
    engine.send({"id": 3, "method": "generate", "params": guided}, {"cloud": ball.astype(np.float32)})
    assert [engine.receive()[0]["method"], (drawn := engine.receive())[0]["method"]] == ["object", "picture"]
    assert bytes(drawn[1]["picture"][1:4]) == b"PNG" and engine.receive()[0]["result"] == {"made": 1, "failed": 0}
    engine.generate(2, resolution=256, texture_size=2048)
    engine.send({"method": "cancel", "params": {"id": 2}})
    assert engine.receive()[0]["error"]["data"]["kind"] == "cancelled"
    status, log = engine.end(30)
    assert status == 0 and "Traceback" not in log


def test_an_image_of_one_value_is_not_sent():
    mesh = Cube("a cube", 0, base_color=None, metallic_roughness=None, roughness=0.5, metallic=0.0)
    plain, varied = object_facts(mesh), object_facts(Cube("a cube", 1))
    assert object_arrays(mesh, glb=False).keys() == {"vertices", "triangles", "uvs", "sharp", "seams"}
    assert {"base_color", "metallic_roughness", "glb"} <= object_arrays(Cube("a cube", 1), glb=True).keys()
    assert (plain["color"], plain["roughness"], plain["metallic"]) == ([0.78, 0.16, 0.12], 0.5, 0.0)
    assert varied["roughness"] is None and varied["metallic"] is None


def test_the_real_engine_with_a_truncated_model(start_engine, tiny_model, tmp_path):
    damaged = shutil.copytree(tiny_model, tmp_path / "damaged")
    file = damaged / "geometry.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    rpc, _ = start_engine([sys.executable, "-m", "core.service.worker", "--model", str(damaged), "--device", "cpu"]).receive()
    assert rpc["error"]["data"]["kind"] == "missing_weights" and "geometry.safetensors" in rpc["error"]["data"]["cause"]
