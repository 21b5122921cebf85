# SPDX-License-Identifier: GPL-3.0-or-later
"""The mathematics of score distillation, on priors whose answers are known."""

import pytest
import torch

from core.errors import BadRequest
from core.guidance.sds import Distillation, Guidance, Step, signal_shares
from tests.core.guidance.tiny import ExactDenoiser, cameras, text


class Fixed(Guidance):
    """A prior on pixels that always sees the same noise."""

    def __init__(self, settings: Distillation):
        super().__init__(settings, signal_shares())
        self.answer = torch.randn(2, 8, 3, 6, 6, generator=torch.Generator().manual_seed(9))

    def latents(self, images):
        return images * 2 - 1

    def predict(self, noisy, times, text, cameras, depth):
        self.seen = noisy, times
        return self.answer[0], self.answer[1]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int = 8, size: int = 6) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=generator(5)).requires_grad_()


@pytest.mark.parametrize("weighting", ["variance", "one"])
def test_the_gradient_at_the_image_is_the_classic_one(weighting) -> None:
    """w(t)·(ε̂ − ε) of each of n pictures, to the last bit; a prior on pixels sees twice what an image changes."""
    guidance, pictures = Fixed(Distillation("sds", scale=7.5, rescale=0.0, weighting=weighting)), images()
    loss, _ = guidance.loss(pictures, text(2), cameras(2), 0.2, generator=generator(1))
    loss.backward()
    again = generator(1)
    times = guidance.settings.times(2, 1000, 0.2, again).repeat_interleave(4)
    noise = torch.randn(pictures.shape, generator=again)
    variance = (1 - guidance.signal)[times].sqrt()[:, None, None, None] ** 2
    prompted, unprompted = guidance.answer
    expected = (variance if weighting == "variance" else 1.0) * (unprompted + 7.5 * (prompted - unprompted) - noise)
    assert torch.equal(guidance.seen[1], times) and torch.equal(pictures.grad, 2 * (expected / 8))


def test_the_x0_loss_is_half_the_squared_distance_to_the_priors_picture() -> None:
    guidance, pictures = Fixed(Distillation("x0", scale=3.0, rescale=0.0)), images()
    loss, _ = guidance.loss(pictures, text(2), cameras(2), 0.9, generator=generator(2))
    noisy, times = guidance.seen
    a2 = guidance.signal[times][:, None, None, None]
    noise = guidance.answer[1] + 3 * (guidance.answer[0] - guidance.answer[1])
    own = pictures.detach() * 2 - 1
    picture = (noisy - (1 - a2).sqrt() * noise) / a2.sqrt()
    assert torch.allclose(loss, 0.5 * (own - picture).square().sum() / 8, rtol=1e-5)
    loss.backward()
    assert torch.allclose(pictures.grad, 2 * (own - picture) / 8, rtol=1e-4, atol=1e-4)


def step(views: int = 4) -> Step:
    made = torch.randn(4, 8, 3, 5, 5, generator=generator(3))
    a = torch.full((8, 1, 1, 1), 0.6)
    return Step(made[0], made[1], made[2], made[3] * 2, a, torch.full_like(a, 0.8), views)


def test_guidance_goes_from_the_negative_prompt_to_the_prompt_and_beyond() -> None:
    s = step()
    assert torch.equal(s.noise_guided(0.0), s.unprompted)
    assert torch.allclose(s.noise_guided(1.0), s.prompted, atol=1e-6)
    assert torch.allclose(s.noise_guided(3.0) - s.unprompted, 3 * (s.prompted - s.unprompted), atol=1e-5)


def test_rescaling_brings_the_contrast_of_an_objects_views_back_together() -> None:
    s = step()
    plain, guided = s.picture(s.prompted), s.picture(s.noise_guided(20.0))
    whole = s.rescaled(guided, 1.0)
    for views in (slice(0, 4), slice(4, 8)):
        assert torch.isclose(whole[views].std(), plain[views].std(), rtol=1e-4) and guided[views].std() > 3 * plain[views].std()
    ratio = whole / guided
    assert torch.allclose(ratio[:4], ratio[0, 0, 0, 0].expand_as(ratio[:4]), rtol=1e-4), "all views of an object by one factor"
    assert torch.allclose(s.rescaled(guided, 0.5), (whole + guided) / 2, atol=1e-4) and s.rescaled(guided, 0.0) is guided


def test_a_rescaled_classic_gradient_is_that_of_the_rescaled_picture() -> None:
    s = step()
    near = [Distillation("sds", 5.0, rescale).gradient(s)[0] for rescale in (0.0, 1e-7)]
    assert torch.allclose(*near, atol=1e-4) and not torch.allclose(near[0], Distillation("sds", 5.0, 0.5).gradient(s)[0], atol=1e-2)


def test_noise_levels_fall_and_an_objects_views_share_one() -> None:
    settings = Distillation()
    assert settings.bounds(0.0) == (0.5, 0.98) and settings.bounds(1.0) == pytest.approx((0.02, 0.5))
    for share in (0.0, 0.4, 1.0):
        low, high = settings.bounds(share)
        times = settings.times(500, 1000, share, generator())
        assert low * 1000 - 1 <= times.min() < low * 1000 + 20 and high * 1000 - 20 < times.max() <= high * 1000
    guidance = Fixed(settings)
    losses = [guidance.loss(images(), text(2), cameras(2), 0.5, generator=generator(n))[0].item() for n in (1, 1, 2)]
    times = guidance.seen[1].reshape(2, 4)
    assert losses[0] == losses[1] != losses[2] and (times == times[:, :1]).all() and times[0, 0] != times[1, 0]


@pytest.mark.parametrize("loss", ["x0", "sds"])
def test_a_prior_that_knows_the_answer_pulls_to_it(loss) -> None:
    target = torch.rand(8, 3, 6, 6, generator=generator(6))
    guidance = ExactDenoiser(lambda text, cameras: target, Distillation(loss, scale=1.0, rescale=0.0))
    pictures = torch.rand(8, 3, 6, 6, generator=generator(7)).requires_grad_()
    optimizer = torch.optim.Adam([pictures], 0.05)
    for number in range(100):
        optimizer.zero_grad()
        guidance.loss(pictures, text(2), cameras(2), number / 100, generator=generator(number))[0].backward()
        optimizer.step()
    assert (pictures - target).abs().mean() < 0.02


def test_what_does_not_belong_together_is_refused() -> None:
    guidance = Fixed(Distillation())
    with pytest.raises(BadRequest, match="do not belong together"):
        guidance.loss(images(7), text(2), cameras(2), 0.5)
    guidance.views = 4
    with pytest.raises(BadRequest, match="sees 4 views"):
        guidance.loss(images(6), text(2), cameras(2, 3), 0.5)
    for wrong in ({"loss": "xx"}, {"rescale": 2.0}, {"scale": float("nan")}, {"t_min": (0.9, 0.9)}):
        with pytest.raises(BadRequest):
            Distillation(**wrong)
