# SPDX-License-Identifier: GPL-3.0-or-later
"""Priors out of diffusers folders: what leads them, how they see several views, which folders are refused."""

import shutil

import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor2_0

from core.errors import BadRequest, EngineError, MissingWeights
from core.guidance.depth import DepthGuidance, ImageGuidance, depth_hint
from core.guidance.folder import find_folder
from core.guidance.multiview import MultiviewGuidance, camera_numbers
from core.guidance.sds import Distillation, Text
from tests.core.guidance import tiny


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def predicted(guidance, objects: int = 2, views: int = 4, cameras=None, text=None, noisy=None, depth=None):
    """The noise for the prompt and for the negative prompt, at fixed inputs where none are given."""
    s = guidance.sizes
    noisy = torch.randn(objects * views, s.channels, s.size, s.size, generator=generator()) if noisy is None else noisy
    times = torch.tensor([300, 700]).repeat_interleave(views)[: objects * views]
    cameras = tiny.cameras(objects, views) if cameras is None else cameras
    with torch.no_grad():
        return guidance.predict(noisy, times, text or tiny.text(objects), cameras, depth)


@pytest.fixture(scope="module")
def multiview(folders):
    return MultiviewGuidance.load(folders["multiview"], "cpu")


def changed_views(guidance) -> list[bool]:
    """For each of two objects' four views, whether its noise changes when the second view of the first object does."""
    noisy = torch.randn(8, guidance.sizes.channels, guidance.sizes.size, guidance.sizes.size, generator=generator(1))
    other = noisy.clone()
    other[1] += 1
    a, b = (predicted(guidance, noisy=x)[0] for x in (noisy, other))
    return [(x - y).abs().max().item() > 1e-6 for x, y in zip(a, b, strict=True)]


def test_views_of_an_object_see_each_other(folders, multiview) -> None:
    assert changed_views(multiview) == [True] * 4 + [False] * 4
    flat = MultiviewGuidance.load(folders["multiview"], "cpu")
    flat.unet.set_attn_processor(AttnProcessor2_0())  # the U-Net as it comes: each picture for itself
    assert changed_views(flat) == [False, True] + [False] * 6


def test_view_attention_is_stock_attention_over_all_views(multiview) -> None:
    name, layer = next((n, m) for n, m in multiview.unet.named_modules() if n.endswith("attn1"))
    tokens = torch.randn(8, 5, layer.to_q.in_features, generator=generator())
    joined = tokens.reshape(2, 20, -1)
    shape = (2, 20, layer.heads, -1)
    q, k, v = (projection(joined).reshape(shape).transpose(1, 2) for projection in (layer.to_q, layer.to_k, layer.to_v))
    weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
    expected = layer.to_out[0]((weights @ v).transpose(1, 2).reshape(joined.shape)).reshape(tokens.shape)
    assert torch.allclose(layer(tokens), expected, atol=1e-5), name


def test_the_camera_acts_at_distance_one(multiview) -> None:
    expected = [0, -0.2588, 0.9659, 0.9659, 1, 0, 0, 0, 0, 0.9659, 0.2588, 0.2588, 0, 0, 0, 1]
    assert torch.allclose(camera_numbers(tiny.cameras(elevation=15))[0], torch.tensor(expected), atol=1e-4)
    front, turned = predicted(multiview)[0], predicted(multiview, cameras=tiny.cameras(2).roll(1, dims=1))[0]
    assert (front - turned).abs().max() > 1e-4
    assert torch.allclose(front, predicted(multiview, cameras=tiny.cameras(2, distance=9.0))[0], atol=1e-6)


@pytest.mark.parametrize("kind", ["multiview", "image", "depth", "pixels"])
def test_the_prompt_and_the_negative_prompt_are_not_confused(folders, kind) -> None:
    guidance = {"image": ImageGuidance, "depth": DepthGuidance}.get(kind, MultiviewGuidance).load(folders[kind], "cpu")
    depth = torch.rand(8, 1, 16, 16, generator=generator()) + 1
    text = Text(tiny.text(2).prompt, tiny.text(2, seed=8).prompt)
    prompted, unprompted = predicted(guidance, text=text, depth=depth)
    swapped = predicted(guidance, text=Text(text.negative, text.prompt), depth=depth)
    assert (prompted - unprompted).abs().max() > 1e-5
    assert torch.allclose(prompted, swapped[1], atol=1e-6) and torch.allclose(unprompted, swapped[0], atol=1e-6)
    both_same = predicted(guidance, text=Text(text.prompt, text.prompt), depth=depth)
    assert torch.allclose(*both_same, atol=1e-6), "camera and depth lead both halves alike"


def test_depth_reaches_the_unet(folders) -> None:
    guidance = DepthGuidance.load(folders["depth"], "cpu")
    depth = torch.rand(8, 1, 16, 16, generator=generator()) + 1
    led, other = predicted(guidance, depth=depth)[0], predicted(guidance, depth=depth.flip(-1))[0]
    plain = predicted(ImageGuidance.load(folders["depth"], "cpu"))[0]
    assert (led - other).abs().max() > 1e-4 and (led - plain).abs().max() > 1e-4
    guidance.strength = 0.0
    assert torch.allclose(predicted(guidance, depth=depth)[0], plain, atol=1e-6)
    with pytest.raises(BadRequest, match="no depth is given"):
        predicted(guidance)


def test_a_hint_is_bright_where_it_is_near_and_dark_where_nothing_is() -> None:
    depth = torch.tensor([0.0, 2.0, 3.0, 4.0]).reshape(1, 1, 2, 2)
    hint = depth_hint(depth, 2)
    assert hint.shape == (1, 3, 2, 2) and torch.allclose(hint[0, 0].flatten(), torch.tensor([0, 1, 0.2 + 0.8 / 3, 0.2]), atol=1e-6)
    assert depth_hint(torch.zeros(1, 1, 4, 4), 2).abs().max() == 0 and depth_hint(torch.ones(1, 1, 4, 4), 8).min() == 1


@pytest.mark.parametrize("kind", ["multiview", "pixels"])
def test_the_gradient_comes_back_through_resizing_and_encoding(folders, kind) -> None:
    """What arrives at images of another size is what the prior's own pictures get, taken back; few at a time or all."""
    guidance = MultiviewGuidance.load(folders[kind], "cpu", settings=Distillation("sds", 5.0, 0.0))
    images = torch.rand(8, 3, 24, 24, generator=generator()).requires_grad_()
    loss, facts = guidance.loss(images, tiny.text(2), tiny.cameras(2), 0.5, generator=generator(1))
    arrived = torch.autograd.grad(loss, images)[0]
    own = guidance.latents(images.detach())
    inner = own.clone().requires_grad_()
    guidance.latents, encode = lambda _: inner, guidance.latents
    guidance.loss(images, tiny.text(2), tiny.cameras(2), 0.5, generator=generator(1))[0].backward()
    taken_back = torch.autograd.grad(encode(images), images, inner.grad)[0]
    assert torch.allclose(arrived, taken_back, atol=1e-6 * float(arrived.abs().max())) and arrived.abs().max() > 0
    assert torch.allclose(facts["guidance_gradient"], inner.grad.norm())
    guidance.latents, guidance.at_once = encode, 1
    few = torch.autograd.grad(guidance.loss(images, tiny.text(2), tiny.cameras(2), 0.5, generator=generator(1))[0], images)[0]
    assert torch.allclose(few, arrived, atol=1e-4 * float(arrived.abs().max()))


@pytest.mark.parametrize("predicts", ["v_prediction", "sample"])
def test_whatever_a_prior_predicts_becomes_its_noise(folders, copied, predicts) -> None:
    folder = copied("image")
    tiny.edit(folder / "scheduler" / "scheduler_config.json", prediction_type=predicts)
    noisy = torch.randn(8, 4, 8, 8, generator=generator())
    raw, _ = predicted(ImageGuidance.load(folders["image"], "cpu"), noisy=noisy)
    noise, _ = predicted(guidance := ImageGuidance.load(folder, "cpu"), noisy=noisy)
    a2 = guidance.signal[torch.tensor([300, 700]).repeat_interleave(4)][:, None, None, None]
    picture = (noisy - (1 - a2).sqrt() * noise) / a2.sqrt()
    expected = picture if predicts == "sample" else a2.sqrt() * noise - (1 - a2).sqrt() * picture
    assert torch.allclose(raw, expected, atol=1e-3)


def test_half_precision_gives_the_same_direction(folders) -> None:
    images = torch.rand(4, 3, 16, 16, generator=generator()).requires_grad_()
    gradients = []
    for dtype, training_in_half in ((torch.float32, False), (torch.float32, True), (torch.bfloat16, False)):
        guidance = MultiviewGuidance.load(folders["multiview"], "cpu", dtype)
        with torch.autocast("cpu", torch.bfloat16, enabled=training_in_half):
            loss, _ = guidance.loss(images, tiny.text(), tiny.cameras(), 0.5, generator=generator(1))
        gradients.append(torch.autograd.grad(loss, images)[0].flatten())
        assert loss.dtype == torch.float32 and not any(p.requires_grad for m in guidance.modules().values() for p in m.parameters())
    assert torch.equal(*gradients[:2]), "a training in half precision changed a prior that is not"
    assert torch.cosine_similarity(gradients[0], gradients[2], dim=0) > 0.95


# Folders that cannot be used ------------------------------------------------------------------------------------------------------


def spoil(folder, how: str) -> None:
    if how == "config":
        (folder / "unet" / "config.json").write_text("{")
    elif how == "cut":
        path = folder / "unet" / "diffusion_pytorch_model.safetensors"
        path.write_bytes(path.read_bytes()[:-100])
    elif how == "weights":
        (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    elif how == "vae":
        shutil.rmtree(folder / "vae")
    elif how == "foreign":
        tiny.edit(folder / "unet" / "config.json", _class_name="MultiViewUNetModel")
    elif how == "size":
        tiny.edit(folder / "unet" / "config.json", sample_size=None)
    elif how == "camera":
        tiny.edit(folder / "unet" / "config.json", projection_class_embeddings_input_dim=12)
    elif how == "text":
        tiny.edit(folder / "text_encoder" / "config.json", hidden_size=64)
    elif how == "channels":
        tiny.edit(folder / "vae" / "config.json", latent_channels=8)
    elif how == "wider":
        tiny.edit(folder / "unet" / "config.json", block_out_channels=[64, 64])
    elif how == "schedule":
        tiny.edit(folder / "scheduler" / "scheduler_config.json", beta_schedule="none of them")


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("config", "cannot be read"),
        ("cut", "cannot be loaded"),
        ("weights", "cannot be loaded"),
        ("vae", "vae/ is missing"),
        ("foreign", "core convert mvdream"),
        ("size", "how large its pictures are"),
        ("camera", "takes 12 numbers"),
        ("text", "width 64, the U-Net reads 32"),
        ("channels", "gives 8 channels"),
        ("wider", "do not fit its config.json|cannot be loaded"),
        ("schedule", "noise schedule"),
    ],
)
def test_a_spoilt_folder_says_what_is_wrong(copied, how, says) -> None:
    folder = copied("multiview")
    spoil(folder, how)
    with pytest.raises(EngineError, match=says):
        MultiviewGuidance.load(folder, "cpu")


def test_a_prior_of_another_kind_is_refused(folders, copied, tmp_path) -> None:
    for guidance, kind, says in (
        (MultiviewGuidance, "image", "has no camera input"),
        (ImageGuidance, "multiview", "has a camera input"),
        (DepthGuidance, "image", "no ControlNet"),
    ):
        with pytest.raises(BadRequest, match=says):
            guidance.load(folders[kind], "cpu")
    with pytest.raises(BadRequest, match="one part of a pipeline"):
        ImageGuidance.load(folders["image"] / "unet", "cpu")
    with pytest.raises(BadRequest, match="unet/config.json is missing"):
        ImageGuidance.load(tmp_path, "cpu")
    other = copied("depth")
    tiny.edit(other / "controlnet" / "config.json", cross_attention_dim=48)
    with pytest.raises(BadRequest, match="text width: 48"):
        DepthGuidance.load(folders["image"], "cpu", controlnet=other / "controlnet")


def test_nothing_is_downloaded_without_being_asked_for(folders, monkeypatch, tmp_path) -> None:
    """A hub id is what lies in the hub's cache, or it is refused."""
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("the network was used"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    kept = tmp_path / "models--somebody--prior"
    shutil.copytree(folders["image"], kept / "snapshots" / ("0" * 40))
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text("0" * 40)
    assert ImageGuidance.load("somebody/prior", "cpu").sizes.image == tiny.IMAGE
    with pytest.raises(BadRequest, match="--download"):
        find_folder("nobody/has-such-a-prior")
    for name in ("no such folder", "/nowhere/at/all"):
        with pytest.raises(BadRequest, match="There is no folder"):
            find_folder(name)
    (tmp_path / "model.ckpt").touch()
    with pytest.raises(BadRequest, match="is a file"):
        find_folder(tmp_path / "model.ckpt")


def test_a_batch_that_a_prior_cannot_read_is_refused(multiview) -> None:
    images, wide = torch.rand(4, 3, 16, 16), torch.zeros(1, 5, 48)
    with pytest.raises(BadRequest, match="48 wide"):
        multiview.loss(images, Text(wide, wide), tiny.cameras(), 0.5)
    with pytest.raises(BadRequest, match="camera-to-world"):
        multiview.loss(images, tiny.text(), tiny.cameras() * 2, 0.5)


def test_missing_weights_are_named(copied) -> None:
    from safetensors.torch import load_file, save_file

    path = copied("image") / "unet" / "diffusion_pytorch_model.safetensors"
    state = load_file(path)
    del state["mid_block.resnets.0.conv1.weight"]
    save_file(state, path, {"format": "pt"})
    with pytest.raises(MissingWeights, match="mid_block.resnets.0.conv1.weight"):
        ImageGuidance.load(path.parents[1], "cpu")
