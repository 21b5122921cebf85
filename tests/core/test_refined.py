# SPDX-License-Identifier: GPL-3.0-or-later
"""Refined objects: made again of their planes, by the engine's request too; and what a refinement begins from."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

pytest.importorskip("diffusers")

from core.errors import BadRequest
from core.networks.generator import Generator
from core.networks.presets import PRESETS
from core.networks.refined import PLANES, Refined
from core.networks.storage import ModelCard, save_generator
from core.outcome import Failed
from core.pipeline import Latte3DPipeline
from core.service.answering import checked_settings, generate
from core.service.models import Models, find_models
from core.training.refine import amortised
from core.training.refine_start import Start

STYLE = (0.5, -1.0, 0.25, 2.0, -0.75, 1.0, 0.0, 1.5)
SMALL = {"detail": "draft", "resolution": 64, "texture_size": 64}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A tiny model, each of whose inputs shows."""
    torch.manual_seed(3)
    generator = Generator(PRESETS["tiny"])
    with torch.no_grad():  # layers that begin at nothing must not hide anything
        for parameter in generator.parameters():
            parameter += 0.03 * torch.randn_like(parameter)
    where = tmp_path_factory.mktemp("refined") / "tiny"
    save_generator(generator, ModelCard("tiny", ("rock",)), where)
    return where


@pytest.fixture(scope="module")
def pipeline(folder) -> Latte3DPipeline:
    return Latte3DPipeline.from_pretrained(folder, "cpu")


@pytest.fixture(scope="module")
def models(folder) -> Models:
    return Models(find_models([], alone=folder), "cpu")


def cloud() -> np.ndarray:
    """A ball with normals [400, 6], smaller than the dummy."""
    normal = np.random.default_rng(0).normal(size=(400, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    return np.concatenate((0.2 * normal, normal), 1).astype(np.float32)


STARTS = {
    "seed": ({}, {}),
    "style": ({"style": STYLE}, {"styles": [STYLE]}),
    "blend": ({"blend": ("a blue car", 0.5)}, {"blend": ("a blue car", 0.5)}),
    "cloud": ({"cloud": torch.from_numpy(cloud()), "adherence": 0.75}, {"clouds": torch.from_numpy(cloud())[None], "adherence": 0.75}),
}


def test_a_refinement_begins_from_the_very_object_whatever_shaped_it(pipeline) -> None:
    shapes = set()
    for start, request in STARTS.values():
        (made,) = pipeline(["a red rock"], seeds=5, **request, **SMALL)
        planes = amortised(pipeline, "a red rock", 5, Start(**start))
        (again,) = pipeline(["a red rock"], seeds=5, planes=planes, **request, **SMALL)
        np.testing.assert_array_equal(again.vertices, made.vertices)
        assert again.height_m == made.height_m and again.to_glb()[:4] == b"glTF"
        assert np.abs(np.subtract(again.color, made.color)).max() < 0.02, "finer planes of the same look"
        shapes.add(made.vertices.tobytes())
        (twice,) = pipeline(["x"], planes=amortised(pipeline, "something else", 1, Start(planes=planes)), **SMALL)
        np.testing.assert_array_equal(twice.vertices, made.vertices)
    assert len(shapes) == len(STARTS), "each of them shows"


def test_the_start_comes_in_a_file(pipeline, tmp_path) -> None:
    from latte3d_blender.client.protocol import encode

    path = tmp_path / "start.safetensors"
    path.write_bytes(encode({"style": list(STYLE), "blend": ["a blue car", 0.5], "adherence": 0.75}, {"cloud": cloud()}))
    start = Start.load(path)
    assert (start.style, start.blend, start.adherence) == (STYLE, ("a blue car", 0.5), 0.75) and start.planes is None
    assert torch.equal(start.cloud, torch.from_numpy(cloud()))
    assert start.facts == {"start": hashlib.sha256(path.read_bytes()).hexdigest()[:16]} and Start().facts == {}
    Refined(amortised(pipeline, "a rock", 2), {"model": "tiny"}).save(tmp_path / "o.planes.safetensors")
    assert torch.equal(Start.load(tmp_path / "o.planes.safetensors").planes.geometry, amortised(pipeline, "a rock", 2).geometry)
    half = encode({}, {"geometry": cloud()})
    wrong = {"cannot be read": b"nonsense", "is a text": encode({"blend": [1, 2]}), "8 numbers": encode({"style": [1]}), "a part of": half}
    for said, text in (wrong | {"no list of points": encode({}, {"cloud": cloud()[:, :3]})}).items():
        path.write_bytes(text)
        with pytest.raises(BadRequest, match=said):
            Start.load(path)


def asked(models: Models, arrays: dict, **params) -> tuple[list, list]:
    """What the engine tells of a request: (objects with their arrays, failures)."""
    objects, failures = [], []

    def notify(method, params, arrays=None):
        if method == "object":
            objects.append((params, arrays))
        elif method == "failed":
            failures.append(params)

    generate(models, {"model": "tiny", "prompts": ["a red rock"], "seeds": [5], "detail": "draft"} | params, arrays, notify, lambda: False)
    return objects, failures


@pytest.fixture(scope="module")
def planes(pipeline) -> dict[str, np.ndarray]:
    made = amortised(pipeline, "a red rock", 5)
    return {name: getattr(made, name).numpy() for name in PLANES}


def test_the_engine_makes_an_object_of_planes(models, planes) -> None:
    (plain, arrays), (refined, same) = (asked(models, given)[0][0] for given in ({}, planes))
    np.testing.assert_array_equal(same["vertices"], arrays["vertices"])
    assert {name: refined[name] for name in ("prompt", "seed", "model", "height_m")} == {
        name: plain[name] for name in ("prompt", "seed", "model", "height_m")
    }
    painted = planes | {"texture": -planes["texture"]}
    ((other, _),) = asked(models, painted)[0]
    assert np.abs(np.subtract(other["color"], plain["color"])).max() > 0.01, "the planes are what it is painted by"
    ((fine, arrays),) = asked(models, planes, detail="standard")[0]
    assert fine["triangles"] > 1.5 * refined["triangles"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"geometry": None}, "lack the array 'geometry'"),
        ({"texture": np.zeros((1, 3, 16, 64, 64))}, "float64, not float32"),
        ({"plane": np.zeros(3, np.float32)}, "does not know the array 'plane'"),
    ],
)
def test_planes_that_are_none_are_refused_before_any_work(models, planes, change, said) -> None:
    with pytest.raises(BadRequest, match=said):
        asked(models, {name: array for name, array in (planes | change).items() if array is not None})


def test_planes_of_another_model_fail_with_a_sentence(models, planes) -> None:
    with pytest.raises(BadRequest, match="by its own model alone"):
        asked(models, planes, model=None)
    assert checked_settings({"prompts": ["x"]}, ["tiny"])["model"] is None
    small = np.ascontiguousarray(planes["geometry"][..., :16, :16])
    broken = planes["texture"].copy()
    broken[0, 0, 0, 0, 0] = np.nan
    empty, flat = np.zeros((*planes["texture"].shape[:3], 0, 0), np.float32), np.zeros(1, np.float32)
    other, damaged = "of another model", "damaged"
    changes = ({"geometry": small}, other), ({"texture": empty}, other), ({"texture": broken}, damaged), ({"height_m": flat}, damaged)
    for change, said in (*changes, ({"height_m": flat - 1}, damaged)):
        objects, (failed,) = asked(models, planes | change)
        assert not objects and said in failed["message"] and failed["remedy"]


def test_a_file_of_planes_says_what_it_is(pipeline, tmp_path) -> None:
    path = tmp_path / "rock.planes.safetensors"
    Refined(amortised(pipeline, "a rock", 2), {"model": "tiny", "prompt": "a rock", "seed": 2, "steps": 9}).save(path)
    assert Refined.load(path, "tiny", torch.device("cpu")).facts["steps"] == 9
    with pytest.raises(BadRequest, match="made by the model tiny"):
        Refined.load(path, "other", torch.device("cpu"))
    planes = {name: np.zeros(3, np.float32) for name in PLANES}
    for facts in ("[]", "{}", '{"model": "tiny"'):
        save_file(planes, path, {"refined": facts})
        with pytest.raises(BadRequest, match="holds no refined object"):
            Refined.load(path, "tiny", torch.device("cpu"))
    save_file({"x": np.zeros(3)}, path)
    with pytest.raises(BadRequest, match="holds no refined object"):
        Refined.load(path, "tiny", torch.device("cpu"))
    assert not isinstance(next(iter(pipeline.stream(["a rock"], **SMALL))), Failed)
