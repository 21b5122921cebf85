# SPDX-License-Identifier: GPL-3.0-or-later
"""Small priors of one's own: exact pictures, learning that repeats and resumes, folders that guidance takes unchanged."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

pytest.importorskip("diffusers")

from diffusers import UNet2DConditionModel

from core.errors import BadRequest
from core.guidance.cli import check_prior
from core.guidance.cli import main as guidance_cli
from core.guidance.depth import DepthGuidance
from core.guidance.folder import signal_of
from core.guidance.multiview import FlatGuidance, MultiviewGuidance
from core.guidance.prompts import SENTENCE_TOKENS, EmbeddingCache
from core.language.encoder import TextEncoder
from core.library.starter.parser import parse
from core.rendering.cameras import Camera, Views
from core.training.prior import train
from core.training.prior.album import GROUND, Album, pictures
from core.training.prior.folder import begin_as, controlnet, predict, unet
from core.training.prior.settings import DenoisingSettings, PriorSettings
from core.training.prior.train import main, source_of, train_prior
from core.training.settings import STARTER
from core.training.stages.distilling import suited
from core.training.stages.geometry import GeometrySettings
from core.training.subjects import StarterSubjects, Subjects
from tests.core.boxes import make_boxes

SMALL = {"size": 16, "widths": ("16", "32"), "blocks": 2, "device": "cpu"}
LEARNING = DenoisingSettings(minutes=None, steps=4, batch=2, rate=2e-3, half=False)


@pytest.fixture(scope="module")
def boxes(tmp_path_factory) -> Path:
    return make_boxes(tmp_path_factory.mktemp("boxes"))


@pytest.fixture(autouse=True)
def quick_samples(monkeypatch) -> None:
    monkeypatch.setattr(train, "DENOISED", 2)


def test_pictures_show_what_is_there() -> None:
    """A red ball of radius 0.3 from 2 m: where it is, how large, how far."""
    ball = Subjects(
        ["a ball"], torch.zeros(1, 1, 1), torch.ones(1, 1, dtype=torch.bool), torch.zeros(1, 8),
        torch.nn.functional.pad(0.3 * torch.cat((torch.eye(3), -torch.eye(3))), (0, 3))[None],
        lambda points: points.norm(dim=-1) - 0.3, torch.ones(1, dtype=torch.bool),
        lambda points: torch.tensor((0.9, 0.1, 0.1)).expand_as(points),
    )  # fmt: skip
    images, depth = pictures(ball, Views.of([Camera(0, 0, 30, 2.0), Camera(90, 20, 30, 2.0)]), 32)
    seen = depth[:, :, 0] > 0
    assert images.shape == (1, 2, 3, 32, 32) and images[0, :, :, 16, 16].tolist() == [pytest.approx([0.9, 0.1, 0.1])] * 2
    assert images[0, 0, :, 0, 0].tolist() == [GROUND] * 3 and depth[0, :, 0, 16, 16].tolist() == pytest.approx([1.7, 1.7], abs=0.01)
    disc = torch.pi * (0.3 / (2**2 - 0.3**2) ** 0.5 / Camera(fov=30).slope) ** 2 / 4  # the share of the picture that it covers
    assert seen.float().mean((2, 3)).flatten().tolist() == pytest.approx([disc, disc], rel=0.05)


def test_a_multi_view_prior_is_learnt_resumed_and_taken_by_guidance(boxes, tmp_path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    settings = PriorSettings(whole, str(boxes), learning=LEARNING, **SMALL)
    assert train_prior(settings)[0]
    halfway = replace(settings, out=parts, checkpoint_minutes=1e-9)
    with pytest.raises(KeyboardInterrupt):
        train_prior(halfway, interrupt_at(2))
    finished, facts = train_prior(halfway)
    assert finished and facts["steps"] == 4
    one, other = (load_file(folder / "unet" / "diffusion_pytorch_model.safetensors") for folder in (whole, parts))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert len(list((parts / "previews").glob("*.png"))) >= 1

    guidance, cache = MultiviewGuidance.load(whole, "cpu"), EmbeddingCache.build(tmp_path / "texts", whole, ["a red cube"])
    assert (guidance.sizes.size, guidance.sizes.channels, guidance.predicts, guidance.vae) == (16, 3, "v_prediction", None)
    assert guidance.viewpoints == settings.viewpoints
    images = torch.rand(4, 3, 16, 16, requires_grad=True)
    views = Views.of([Camera(90 * i) for i in range(4)]).matrices()
    loss, _ = guidance.loss(images, cache.batch(["a red cube"]), views, 0.5, generator=torch.Generator().manual_seed(0))
    loss.backward()
    assert images.grad.abs().sum() > 0


def test_a_prior_of_two_views_is_asked_for_two(boxes, tmp_path) -> None:
    """By guidance, by stage 1 and by the estimate of memory. It goes on with three views in another folder, not in its own."""
    folder = tmp_path / "prior"
    settings = PriorSettings(folder, str(boxes), views=2, learning=replace(LEARNING, steps=1), **SMALL)
    assert train_prior(settings)[0]
    assert load_file(folder / "album" / "000000.safetensors")["images"].shape[1] == 2
    guidance, flat = MultiviewGuidance.load(folder, "cpu"), FlatGuidance.load(folder, "cpu")
    seen = [suited(GeometrySettings(), prior).viewpoints.views for prior in (guidance, flat)]
    assert (guidance.views, seen) == (2, [2, 4])
    assert check_prior(guidance, folder)["views"] == 2 and guidance_cli(["plan", str(folder), "--device", "cpu"]) == 0
    with pytest.raises(BadRequest, match="Give --views 2, or another folder"):
        train_prior(replace(settings, views=3))
    assert train_prior(replace(settings, out=tmp_path / "more", views=3, start_from=folder))[0]
    assert MultiviewGuidance.load(tmp_path / "more", "cpu").views == 3


def test_a_prior_of_some_kinds_draws_no_others(tmp_path) -> None:
    settings = PriorSettings(tmp_path, STARTER, kinds=("mug", "mushroom"), prompts=40, learning=replace(LEARNING, steps=1), **SMALL)
    source = source_of(settings, TextEncoder(device="cpu"))
    drawn = StarterSubjects(source, source.encoder, 16, 0, 40).draw(0, range(12)).prompts
    assert {parse(prompt).kind for prompt in drawn} == {"mug", "mushroom"}
    with pytest.raises(BadRequest, match="Unknown kinds: dragon"):
        replace(settings, kinds=("mug", "dragon")).check()
    assert train_prior(settings)[0]
    with pytest.raises(BadRequest, match="mushroom"):  # what another choice has begun is not gone on with
        train_prior(replace(settings, kinds=("mug",)))


def test_the_same_weights_teach_single_pictures(boxes, tmp_path) -> None:
    """What a view is told by the flat twin depends neither on other views nor on cameras; by the multi-view one on both."""
    train_prior(PriorSettings(tmp_path / "prior", str(boxes), learning=replace(LEARNING, steps=3), **SMALL))
    text = EmbeddingCache.build(tmp_path / "texts", tmp_path / "prior", ["a red cube"]).batch(["a red cube"])
    noisy, times = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)), torch.full((4,), 500)
    cameras = [Views.of([Camera(90 * i, tilt) for i in range(4)]).matrices() for tilt in (0, 30)]
    other = torch.cat((noisy[:1], noisy[1:].flip(0)))
    for kind, free in ((FlatGuidance, True), (MultiviewGuidance, False)):
        guidance = kind.load(tmp_path / "prior", "cpu")
        first, moved, among = (guidance.predict(x, times, text, c, None)[0][0] for x, c in
                               ((noisy, cameras[0]), (noisy, cameras[1]), (other, cameras[0])))  # fmt: skip
        assert (torch.allclose(first, moved, atol=1e-5), torch.allclose(first, among, atol=1e-5)) == (free, free)


def interrupt_at(step: int):
    """A listener that ends a training after the checkpoint of this step."""

    def tell(event: dict) -> None:
        if event["event"] == "preview" and f"{step:06}" in event["picture"]:
            raise KeyboardInterrupt

    return tell


def test_a_prior_led_by_depth_is_taken_by_guidance(boxes, tmp_path) -> None:
    assert train_prior(PriorSettings(tmp_path / "prior", str(boxes), depth=True, learning=replace(LEARNING, steps=2), **SMALL))[0]
    guidance = DepthGuidance.load(tmp_path / "prior", "cpu")
    cache = EmbeddingCache.build(tmp_path / "texts", tmp_path / "prior", ["a post"])
    images, depth = torch.rand(1, 3, 16, 16, requires_grad=True), torch.rand(1, 1, 16, 16) + 1
    views = Views.of([Camera()]).matrices()
    guidance.loss(images, cache.batch(["a post"]), views, 0.5, generator=torch.Generator(), depth=depth)[0].backward()
    assert images.grad.abs().sum() > 0


@pytest.fixture(scope="module")
def known(boxes, tmp_path_factory) -> Path:
    """A multi-view prior of the boxes, after a few steps."""
    folder = tmp_path_factory.mktemp("known") / "prior"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "DENOISED", 2)
        train_prior(PriorSettings(folder, str(boxes), learning=replace(LEARNING, steps=3), **SMALL))
    return folder


def test_a_prior_led_by_depth_begins_as_a_multi_view_one(boxes, known, tmp_path, monkeypatch) -> None:
    """Its first prediction is what the other says of single pictures, whatever the depth; and the other's pictures are not taken again."""
    monkeypatch.setattr(Album, "take", lambda *_: pytest.fail("pictures that are there were taken again"))
    settings = PriorSettings(tmp_path / "prior", str(boxes), depth=True, start_from=known, learning=replace(LEARNING, steps=1), **SMALL)
    parts = {"unet": unet(16, (16, 32), 384, cameras=False)}
    begin_as(parts["unet"], known)
    parts["controlnet"] = controlnet(parts["unet"], alike=True)
    rng = torch.Generator().manual_seed(0)
    noisy, times, text = torch.randn(4, 3, 16, 16, generator=rng), torch.full((4,), 500), torch.randn(4, 3, 384, generator=rng)
    cameras, hints = torch.eye(4).expand(4, 1, 4, 4), torch.rand(4, 1, 3, 16, 16, generator=rng)
    other = {"unet": UNet2DConditionModel.from_pretrained(known / "unet").float()}
    with torch.no_grad():
        own, single = predict(parts, noisy, times, text, hints, 1), predict(other, noisy, times, text, cameras, 1)
    assert torch.allclose(own, single, atol=1e-5) and single.std() > 0.01
    encoder = parts["controlnet"].down_blocks.state_dict()
    assert all(torch.equal(value, encoder[name]) for name, value in parts["unet"].down_blocks.state_dict().items())
    assert train_prior(settings)[0]
    assert torch.equal(*(load_file(folder / "album" / "000001.safetensors")["depth"] for folder in (known, settings.out)))


def test_what_a_prior_was_begun_from_is_not_another_later(boxes, known, tmp_path) -> None:
    """On resuming: what it was begun from, by any way to write that, or nothing said of it."""
    out, plain = tmp_path / "prior", tmp_path / "plain"
    settings = PriorSettings(out, str(boxes), start_from=known, learning=replace(LEARNING, steps=1), **SMALL)
    assert train_prior(settings)[0] and train_prior(replace(settings, out=plain, start_from=None))[0]
    (tmp_path / "link").symlink_to(known)
    for same in (known, known / ".." / known.name, tmp_path / "link", None):
        assert train_prior(replace(settings, start_from=same))[0]
    with pytest.raises(BadRequest, match=f"was begun from {known}, not from {plain}. Give --from {known}, or leave it out") as error:
        train_prior(replace(settings, start_from=plain))
    assert "cannot be resumed" in str(error.value)
    with pytest.raises(BadRequest, match=f"was begun from nothing, not from {known}. Leave --from out, or name another --out"):
        train_prior(replace(settings, out=plain))
    (out / "checkpoint" / "start.json").unlink()  # of a version that did not say
    assert train_prior(replace(settings, start_from=plain))[0]


def test_what_a_prior_cannot_begin_as_is_refused(boxes, known, tmp_path) -> None:
    settings = PriorSettings(tmp_path / "prior", str(boxes), start_from=known, learning=LEARNING, **SMALL)
    with pytest.raises(BadRequest, match="is of another size") as wrong:
        train_prior(replace(settings, widths=("16", "48")))
    assert wrong.value.remedy == "Give --widths 16,32."
    foreign = tmp_path / "foreign"
    unet(16, (16, 32), 32, cameras=True).save_pretrained(foreign / "unet")
    with pytest.raises(BadRequest, match="is made otherwise"):  # other widths would not help
        train_prior(replace(settings, start_from=foreign))
    with pytest.raises(BadRequest, match="There is no folder"):
        train_prior(replace(settings, start_from=tmp_path / "nothing"))
    assert train_prior(replace(settings, out=tmp_path / "led", depth=True, learning=replace(LEARNING, steps=1)))[0]
    with pytest.raises(BadRequest, match="is no multi-view prior to start from"):
        train_prior(replace(settings, start_from=tmp_path / "led"))


def test_learning_lessens_the_loss(boxes, tmp_path) -> None:
    """Of the same noise on pictures of the album, against the network that it began as."""
    settings = PriorSettings(tmp_path, str(boxes), learning=replace(LEARNING, steps=100, batch=4), **SMALL)
    train_prior(settings)
    shots = load_file(tmp_path / "album" / "000000.safetensors")
    clean = shots["images"].flatten(0, 1) / 127.5 - 1
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    times, text = torch.full((len(clean),), 500), torch.zeros(len(clean), SENTENCE_TOKENS, 384)
    signal = signal_of(tmp_path)[0][500]
    a, s = signal.sqrt(), (1 - signal).sqrt()
    errors = []
    with torch.no_grad():
        for net in (unet(16, (16, 32), 384, cameras=True), UNet2DConditionModel.from_pretrained(tmp_path / "unet").float()):
            found = predict({"unet": net}, a * clean + s * noise, times, text, shots["cameras"], 4)
            errors.append(float(((found - (a * noise - s * clean)) ** 2).mean()))
    assert errors[1] < 0.3 * errors[0], errors


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--size", "33"], "Pictures of 33 pixels"), (["--widths", "16"], "make no U-Net"), (["--widths", "16,a"], "are no numbers"),
        (["--rate", "0"], "The setting rate is 0.0"), (["--kinds", "cat"], "--kinds chooses among the starter's"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(boxes, tmp_path, flags, message) -> None:
    with pytest.raises(BadRequest, match=message):
        main([str(boxes), "--out", str(tmp_path / "prior"), *flags])
    assert not (tmp_path / "prior").exists()
