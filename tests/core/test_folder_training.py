# SPDX-License-Identifier: GPL-3.0-or-later
"""Learning from a folder of one's own: what its blocks hold, what z and α do, what is replayed and kept, the command from end to end."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("igl")

from core.errors import BadRequest
from core.language.encoder import TextEncoder
from core.library.folder import PreparedFolder
from core.library.folder_source import FolderSource
from core.library.mixture import Mixture
from core.library.source import BLOCK, Sampling
from core.library.starter.source import StarterSource
from core.networks.generator import Generator
from core.networks.presets import PRESETS
from core.networks.storage import ModelCard, load_generator, read_card, save_generator
from core.pipeline import Latte3DPipeline
from core.training.cli import main
from core.training.keeping import KeepingTask
from core.training.losses import look_losses
from tests.core.boxes import make_boxes

QUICK = Sampling(kept_points=1024, kept_surface=512, step_points=512, step_surface=256, cloud_points=512)
ALONE = replace(QUICK, foreign=0.0)
FLAGS = ["--preset", "tiny", "--device", "cpu", "--batch", "2", "--reading-steps", "2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make_boxes(tmp_path_factory.mktemp("library"), cloud=1024)


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder()


def source(folder: Path, encoder: TextEncoder, sampling: Sampling = QUICK, **more) -> FolderSource:
    return FolderSource(PreparedFolder.open(folder), encoder, sampling, 0, torch.device("cpu"), **more)


def test_a_block_holds_the_shapes_of_its_prompts(folder, encoder) -> None:
    """The distances and looks are those of boxes that everybody knows, stretched as z says; where nothing is known of a look, none is."""
    own = source(folder, encoder, ALONE)
    block, again = own.examples(3), source(folder, encoder, ALONE).examples(3)
    assert all(torch.equal(getattr(block, f.name), getattr(again, f.name)) for f in fields(block) if f.name not in ("pairs", "look"))
    assert torch.equal(block.look.nan_to_num(), again.look.nan_to_num()) and not block.foreign.any()
    half = block.cloud[..., :3].abs().amax(1)  # [B, 3]
    outside = (block.points.abs() - half[:, None]).amax(-1)
    far = outside.abs() > 0.02
    assert ((block.sdf < 0) == (outside < 0))[far].float().mean() > 0.995
    near = (outside < 0) & (outside > -0.04)
    torch.testing.assert_close(block.sdf[near], outside[near], atol=0.02, rtol=0)
    assert half.amax(1).allclose(torch.tensor(0.48), atol=5e-3) and (block.surface.abs() < 0.53).all()
    unknown = block.look[:, 0, 0].isnan()
    assert unknown.any() and not unknown.all() and block.shares.eq(0).all()
    loss = look_losses(g := Generator(PRESETS["tiny"]).texture, torch.zeros(BLOCK, 512, g.count + 3), torch.zeros(BLOCK, 96), block.look)
    assert all(value.isfinite() for value in loss.values())
    step = block.points[:, : block.pairs] - block.points[:, block.pairs : 2 * block.pairs]
    assert step.norm(dim=-1).median() < 0.03, "pairs are kept"


def test_another_style_is_another_object_and_chooses_among_the_shapes_of_a_prompt(folder, encoder) -> None:
    own, still = source(folder, encoder, ALONE), source(folder, encoder, ALONE, variation=0.0)
    seen = [own.examples(n) for n in range(6)]
    halves = torch.cat([b.cloud[..., :3].abs().amax(1) for b in seen])
    cubes = halves[halves.amin(1) > 0.3]
    assert cubes.amin(1).std() > 0.02, "proportions vary"
    block = still.examples(0)
    sizes = {tuple((half * 20).round().int().tolist()) for half in block.cloud[..., :3].abs().amax(1)}
    assert sizes <= {(10, 10, 10), (1, 1, 10), (10, 10, 1)}
    prompts = own._shapes[own._texts.index("something old")]
    chosen = {own._object(prompts, z * np.eye(8)[7], np.random.default_rng(0)).shape.facts["key"] for z in (-2.0, 2.0)}
    assert len(chosen) == 2


def test_a_foreign_cloud_leaves_something_of_its_shape(folder, encoder) -> None:
    """Midway between a cube and a post the distance is the mean of theirs, and the look the cube's."""
    own, rng = source(folder, encoder), np.random.default_rng(1)
    one, other = (own._object(own._shapes[own._texts.index(text)], np.zeros(8), rng) for text in ("a red cube", "a post"))
    one.follow(other, 0.25)
    x, y = np.abs(one.points[:, 0]), np.abs(one.points[:, 1])
    inside = (np.maximum(x, y) < 0.4) & (np.abs(one.points[:, 2]) < 0.3)
    cube, post = -(0.48 - np.abs(one.points).max(1)), np.maximum(x, y) - 0.06
    beside = inside & (post > 0) & (np.minimum(x, y) < 0.05)
    np.testing.assert_allclose(one.sdf[beside], 0.75 * cube[beside] + 0.25 * post[beside], atol=0.03)
    assert one.alpha == 0.25 and np.abs(one.cloud[:, :2]).max() < 0.07 and (one.look[:, 0] > one.look[:, 2]).all()
    block = own.examples(0)
    assert block.foreign.sum() == 2 and ((block.adherence >= 0) & (block.adherence <= 1)).all()


def test_heights_are_real_or_of_one_metre(folder, encoder, tmp_path) -> None:
    units = source(folder, encoder, ALONE, variation=0.0).examples(0).height_m
    assert units.max() == pytest.approx(0.96, abs=0.02)
    (tmp_path / "none").mkdir()
    text = (make_boxes(tmp_path / "none", cloud=1024) / "library.toml").read_text()
    (tmp_path / "none" / "library.toml").write_text(text.replace("units = 1.0", 'units = "none"'))
    none = source(tmp_path / "none", encoder, ALONE, variation=0.0).examples(0).height_m
    assert {round(float(h), 1) for h in none} == {1.0, 0.1}, "the longest side is a metre: tiles are flat"


def test_a_share_of_the_starter_is_replayed(folder, encoder) -> None:
    own, starter = source(folder, encoder), StarterSource(("rock",), encoder, QUICK, 0, torch.device("cpu"))
    both = Mixture(own, starter, 0.25)
    blocks = [both.examples(n) for n in range(8)]
    replayed = [bool(b.shares.any()) for b in blocks]
    assert replayed == [False, False, False, True] * 2
    assert torch.equal(blocks[4].points, own.examples(3).points) and torch.equal(blocks[7].points, starter.examples(1).points)
    assert both.things == ("rock",) and both.words().things and both.round == 2


def test_what_an_earlier_model_makes_of_its_prompts_is_kept() -> None:
    torch.manual_seed(0)
    generator = Generator(PRESETS["tiny"])
    task = KeepingTask(generator, ("rock",), TextEncoder(), 0, torch.device("cpu"), count=16)
    batch = task.batch(3, 8)
    assert task.losses(generator, batch)["kept"] == 0 and torch.equal(batch.z, task.batch(3, 8).z)
    with torch.no_grad():
        generator.condition.queries.add_(0.3)
    (loss := task.losses(generator, batch)["kept"]).backward()
    assert loss > 0 and generator.condition.queries.grad.abs().sum() > 0


def test_a_model_learns_a_folder_from_the_command_line(folder, tmp_path, capsys) -> None:
    """From nothing, then on from that model: cards, hours, captions that it knows, pictures, and JSON to the last line."""
    first, second = tmp_path / "first", tmp_path / "second"
    assert main([str(folder), "--out", str(first), *FLAGS, "--steps", "40", "--json"]) == 0
    *events, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert last == {"model": str(first), "finished": True, "minutes": last["minutes"], "steps": 40}
    quality = read_card(first)[1].training["quality"]
    assert set(quality) == {"train", "paraphrases", "unseen"} and 0 <= quality["train"]["iou"] <= 1 and quality["train"]["prompts"] == 5
    assert "Boxes: 6 prompts of 4 shapes" in (first / "README.md").read_text() and "CC0-1.0" in (first / "README.md").read_text()
    assert {e["event"] for e in events} == {"progress", "preview"} and {e.get("stage") for e in events} >= {"reading", "reconstruction"}
    assert all(Path(e["picture"]).is_file() for e in events if e["event"] == "preview")
    pipeline = Latte3DPipeline.from_pretrained(first)
    assert [t.example for t in pipeline.things] == ["a red cube", "a blue cube", "a post", "a tile"]
    assert pipeline.known.vocabulary.knows("a red cube")
    library = pipeline.card.training["library"]
    assert library == {"name": "Boxes", "licence": "CC0-1.0", "author": "", "prompts": 6, "shapes": 4, "heights": True}
    assert main([str(folder), "--out", str(second), *FLAGS, "--steps", "1", "--from", str(first)]) == 0
    assert read_card(second)[1].training["hours_before"] == pytest.approx(read_card(first)[1].training["hours"])
    with pytest.raises(BadRequest, match=r"cannot be resumed.*of the library Boxes \(\w+\), not starter"):
        main(["starter", "--out", str(first), *FLAGS, "--steps", "50"])


def test_an_earlier_model_gets_what_it_lacks_and_makes_what_it_made(folder, tmp_path) -> None:
    """A model of before α and residuals: they begin as if they were not there."""
    old = replace(PRESETS["tiny"], residual=False, adherence=False)
    torch.manual_seed(1)
    before = Generator(old).eval()
    save_generator(before, ModelCard("old", ()), tmp_path / "old")
    flags = [*FLAGS[:-2], "--reading-steps", "0", "--steps", "1", "--rate", "1e-12"]
    assert main([str(folder), "--out", str(tmp_path / "new"), *flags, "--from", str(tmp_path / "old")]) == 0
    after = load_generator(tmp_path / "new")[0]
    tokens, mask, z = torch.randn(1, 4, 384), torch.ones(1, 4, dtype=torch.bool), torch.zeros(1, 8)
    points = torch.rand(1, 64, 3) - 0.5
    with torch.no_grad():
        a, b = before(tokens, mask, z), after(tokens, mask, z, None, torch.ones(1))
        for made in (lambda g, f: g.sdf(f.geometry, f.condition, points), lambda g, f: g.texture(f.texture, f.condition, points)):
            torch.testing.assert_close(made(after, b), made(before, a), atol=2e-3, rtol=0)


def test_colours_beyond_the_paints_can_be_learnt() -> None:
    """A ramp of colours that no few paints mix: the residual reaches it, paints that are all alike do not."""
    torch.manual_seed(0)
    texture = Generator(PRESETS["tiny"]).texture
    planes, condition = torch.randn(1, 3, 16, 32, 32), torch.zeros(1, 96)
    points = torch.rand(1, 512, 3) - 0.5
    look = torch.cat((points + 0.5, torch.full((1, 512, 2), 0.5)), -1)
    errors = []
    for learning in (list(texture.palette.parameters()), list(texture.parameters())):
        optimizer = torch.optim.Adam(learning, 1e-2)
        for _ in range(80):
            optimizer.zero_grad()
            loss = look_losses(texture, texture.map(planes, condition, points), condition, look)["color"]
            loss.backward()
            optimizer.step()
        errors.append(float(loss.detach()))
    assert errors[1] < 0.5 * errors[0]


def test_what_has_no_real_height_says_so() -> None:
    card = ModelCard("props", ("mushroom",), {"library": {"heights": False}})
    assert card.knows_height("mushroom") and not card.knows_height("pizza") and not card.knows_height(None)
    assert ModelCard("props", (), {"library": {"heights": True}}).knows_height("pizza") and ModelCard("old", ()).knows_height("pizza")


def test_a_library_that_cannot_be_learnt_from_is_refused(folder, tmp_path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("library.toml", "prompts.csv", "post.glb"):
        (bare / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(BadRequest, match="is not prepared.*blender --command latte3d library prepare"):
        main([str(bare), "--out", str(tmp_path / "model")])
    with pytest.raises(BadRequest, match="no such library.*no folder with a library.toml"):
        main([str(tmp_path), "--out", str(tmp_path / "model")])
    with pytest.raises(BadRequest, match="replay is 1.0"):
        main([str(folder), "--out", str(tmp_path / "model"), "--replay", "1"])
