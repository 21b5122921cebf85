# SPDX-License-Identifier: GPL-3.0-or-later
"""A prior on a GPU teaches what it teaches on a CPU, and the same again; in half precision too."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from tests.core.guidance import tiny

    return tiny.prior(tmp_path_factory.mktemp("prior") / "multiview", camera=True)


def taught(folder, device, dtype):
    """The loss, and its gradient at random images."""
    from core.guidance.multiview import MultiviewGuidance
    from tests.core.guidance import tiny

    guidance = MultiviewGuidance.load(folder, device, dtype)
    images = torch.rand(8, 3, 24, 24, generator=torch.Generator().manual_seed(2)).to(device).requires_grad_()
    loss, _ = guidance.loss(images, tiny.text(2), tiny.cameras(2), 0.5, generator=torch.Generator().manual_seed(3))
    loss.backward()
    return loss.detach().cpu(), images.grad.cpu()


def test_a_prior_teaches_the_same_everywhere(device, folder) -> None:
    here, there, again = (taught(folder, torch.device(d), torch.float32) for d in ("cpu", device, device))
    assert torch.allclose(here[0], there[0], rtol=1e-3) and torch.allclose(here[1], there[1], atol=1e-3 * float(here[1].abs().max()))
    assert torch.allclose(there[1], again[1], atol=1e-5 * float(here[1].abs().max()))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_teaches_the_same_direction(device, folder, dtype) -> None:
    if device.type == "cpu" and dtype == "float16":
        pytest.skip("float16 is for GPUs")
    full, half = (taught(folder, device, d)[1].flatten() for d in (torch.float32, getattr(torch, dtype)))
    assert half.isfinite().all() and torch.cosine_similarity(full, half, dim=0) > 0.95
