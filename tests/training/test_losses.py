"""Each loss against a slow loop, a hand-computed case or the definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from f2vbench.errors import WeightsError
from f2vbench.training import losses
from f2vbench.training.data.truth_maps import TRUTH_CLASSES
from f2vbench.training.discriminator import MultiScaleDiscriminator
from f2vbench.utils.torchvision_compat import allow_missing_torchvision_ops


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def discriminator_maps(scales=2, batch=1):
    """Random maps of three layers for each scale; the last one is the prediction."""
    return [
        [torch.randn(batch, 3, 5, 5), torch.randn(batch, 4, 4, 4), torch.randn(batch, 1, 3, 3)] for _ in range(scales)
    ]


# Adversarial losses


def test_lsgan_is_the_mean_squared_distance_from_one_and_zero_summed_over_scales():
    fake, real = discriminator_maps(), discriminator_maps()
    generator = sum(np.mean([(float(v) - 1) ** 2 for v in scale[-1].flatten()]) for scale in fake)
    fake_loss = sum(np.mean([float(v) ** 2 for v in scale[-1].flatten()]) for scale in fake)
    real_loss = sum(np.mean([(float(v) - 1) ** 2 for v in scale[-1].flatten()]) for scale in real)
    assert float(losses.lsgan_generator_loss(fake)) == pytest.approx(generator, rel=1e-5)
    discriminator = losses.lsgan_discriminator_loss(fake, real)
    assert float(discriminator) == pytest.approx((fake_loss + real_loss) / 2, rel=1e-5)


def test_feature_matching_is_l1_of_inner_maps_and_has_gradients_for_fake_maps_only():
    fake, real = discriminator_maps(), discriminator_maps()
    expected = 0.0
    for scale in range(2):
        for layer in range(2):  # the third map is the prediction
            expected += float((fake[scale][layer] - real[scale][layer]).abs().mean()) / 2
    for scale in (*fake, *real):
        for layer in scale:
            layer.requires_grad_()
    loss = losses.feature_matching_loss(fake, real)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert all(layer.grad is None for scale in real for layer in scale)
    assert all(layer.grad is not None for scale in fake for layer in scale[:-1])


def test_frames_outside_the_mask_have_no_influence_on_masked_discriminators():
    discriminator = MultiScaleDiscriminator(6, scales=1, ndf=2)
    photograph, mask = torch.rand(1, 3, 32, 32), torch.zeros(1, 1, 32, 32)
    fake, real = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    maps = [discriminator(torch.cat([photograph, frames * mask], 1)) for frames in (fake, real)]
    assert float(losses.feature_matching_loss(*maps).detach()) == 0


# Attention


def test_attention_outside_the_mask_is_penalised_by_the_full_variant_only():
    activation = torch.tensor([[[[2.0, 3.0], [-1.0, 1.0]], [[0.0, 1.0], [-1.0, 1.0]]]])
    mask = torch.tensor([[[[1.0, 0.0], [1.0, 1.0]]]])
    # means over channels: 1, 2, −1 (rectified to 0), 1
    assert float(losses.attention_loss(activation, mask, "masked")) == pytest.approx((0 + 0 + 1 + 0) / 4)
    assert float(losses.attention_loss(activation, mask, "full")) == pytest.approx((0 + 4 + 1 + 0) / 4)


# Gradient variance, pixel and perceptual losses


def test_gradient_variance_equals_a_loop_over_patches():
    fake, real = torch.rand(2, 2, 26, 30), torch.rand(2, 2, 26, 30)
    kernel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], float)

    def variances(frame, kernel):
        padded = np.pad(frame.numpy(), 1)
        gradient = np.array([[(padded[y : y + 3, x : x + 3] * kernel).sum() for x in range(30)] for y in range(26)])
        return [gradient[y : y + 12, x : x + 12].var(ddof=1) for y in (0, 12) for x in (0, 12)]

    expected = 0.0
    for direction in (kernel, kernel.T):
        pairs = [
            (a - b) ** 2
            for n in range(2)
            for c in range(2)
            for a, b in zip(variances(fake[n, c], direction), variances(real[n, c], direction), strict=True)
        ]
        expected += np.mean(pairs)
    assert float(losses.gradient_variance_loss(fake, real)) == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ValueError, match="12 × 12"):
        losses.gradient_variance_loss(fake[..., :8], real[..., :8])


@pytest.mark.parametrize(("loss", "expected"), [(losses.pixel_loss, 4), (losses.squared_loss, (1 + 9 + 25 + 49) / 4)])
def test_pixel_and_squared_loss_use_the_field_of_view_only(loss, expected):
    fake, real = torch.zeros(1, 2, 2, 2), torch.tensor([[[[1.0, 9], [3, 9]], [[5, 9], [7, 9]]]])
    fov_mask = torch.tensor([[[[1.0, 0], [1, 0]]]])
    assert float(loss(fake, real, fov_mask)) == expected
    assert float(loss(fake, real, fov_mask * 0)) == 0


@pytest.fixture
def weighted_frames():
    """Random generated and true frames, and weights that are 0 in a part of them."""
    fake, real = torch.randn(2, 3, 5, 6), torch.randn(2, 3, 5, 6)
    weight = torch.randint(0, 4, (2, 1, 5, 6)).float()
    weight[1, 0, :, 4] = 0
    return fake, real, weight


def test_the_weighted_squared_loss_equals_a_loop_over_pixels(weighted_frames):
    fake, real, weight = weighted_frames
    means = []
    for n in range(2):
        total = weights = 0.0
        for c, y, x in np.ndindex(3, 5, 6):
            w = float(weight[n, 0, y, x])
            total += w * float(fake[n, c, y, x] - real[n, c, y, x]) ** 2
            weights += w
        means.append(total / weights)
    assert float(losses.squared_loss(fake, real, weight)) == pytest.approx(np.mean(means), rel=1e-5)


def test_the_gradient_loss_equals_a_loop_over_neighbours(weighted_frames):
    fake, real, weight = weighted_frames
    error = (fake - real).numpy()
    expected = 0.0
    for step_y, step_x in ((0, 1), (1, 0)):
        means = []
        for n in range(2):
            total = weights = 0.0
            for c, y, x in np.ndindex(3, 5 - step_y, 6 - step_x):
                w = float(weight[n, 0, y + step_y, x + step_x])
                total += w * (error[n, c, y + step_y, x + step_x] - error[n, c, y, x]) ** 2
                weights += w
            means.append(total / weights)
        expected += np.mean(means)
    assert float(losses.gradient_loss(fake, real, weight)) == pytest.approx(expected, rel=1e-5)
    assert float(losses.gradient_loss(real + 0.7, real, weight)) == pytest.approx(0, abs=1e-9)
    assert float(losses.gradient_loss(fake, real, weight * 0)) == 0


def test_pixels_at_vessels_with_their_neighbours_and_in_lesions_have_a_larger_weight():
    truth, fov_mask = torch.zeros(1, len(TRUTH_CLASSES), 7, 8), torch.ones(1, 1, 7, 8)
    fov_mask[..., 0, :] = 0
    truth[0, TRUTH_CLASSES.index("artery"), 1, 1] = 1
    truth[0, TRUTH_CLASSES.index("vein"), 1, 2] = 1
    for kind in ("drusen", "atrophy"):  # in the same pixel, which counts once
        truth[0, TRUTH_CLASSES.index(kind), 2, 3] = 1
    truth[0, TRUTH_CLASSES.index("disc"), 6, 7] = truth[0, TRUTH_CLASSES.index("fovea"), 6, 6] = 1
    expected = np.ones((7, 8))
    expected[1:3, 0:4] += 5
    expected[2, 3] += 2
    expected[0] = 0
    found = losses.pixel_weights(fov_mask, truth, vessel_weight=5, lesion_weight=2)
    np.testing.assert_array_equal(found[0, 0].numpy(), expected)
    for plain in (losses.pixel_weights(fov_mask, None, 5, 2), losses.pixel_weights(fov_mask, truth, 0, 0)):
        assert torch.equal(plain, fov_mask)


def test_the_truth_loss_is_the_sum_of_the_cross_entropies_of_the_classes():
    classes = 4
    logits, truth = torch.randn(2, classes, 3, 5), (torch.rand(2, classes, 3, 5) > 0.6).float()
    fov_mask = (torch.rand(2, 1, 3, 5) > 0.3).float()
    means = []
    for n in range(2):
        pixels = [(y, x) for y, x in np.ndindex(3, 5) if fov_mask[n, 0, y, x]]
        terms = 0.0
        for c in range(classes):
            for y, x in pixels:
                probability = 1 / (1 + math.exp(-float(logits[n, c, y, x])))
                # Pixels of the class count three times.
                terms -= 3 * math.log(probability) if truth[n, c, y, x] else math.log(1 - probability)
        means.append(terms / len(pixels))
    assert float(losses.truth_loss(logits, truth, fov_mask)) == pytest.approx(np.mean(means), rel=1e-5)
    assert float(losses.truth_loss(logits, truth, fov_mask * 0)) == 0


def reference_truth_loss(logits, truth, fov_mask):
    """Autograd's gradient of PyTorch's cross-entropy, in the type of the logits."""
    entropy = functional.binary_cross_entropy_with_logits(
        logits, truth, reduction="none", pos_weight=logits.new_tensor(3.0)
    )
    weight = fov_mask.expand_as(truth)
    means = (entropy * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp(min=1)
    return truth.shape[1] * means.mean()


@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_truth_loss_and_its_gradient_equal_those_of_torch(dtype, scale):
    truth = (torch.rand(3, 5, 8, 9) > 0.7).float()
    fov_mask = (torch.rand(3, 1, 8, 9) > 0.3).float()
    fov_mask[1] = 0  # an empty field of view
    logits = (scale * torch.randn(3, 5, 8, 9)).to(dtype).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = losses.truth_loss(logits, truth, fov_mask)
    (gradient,) = torch.autograd.grad(0.5 * loss, logits)
    exact = logits.detach().double().requires_grad_()
    expected = reference_truth_loss(exact, truth.double(), fov_mask.double())
    (expected_gradient,) = torch.autograd.grad(0.5 * expected, exact)
    assert loss.dtype == torch.float32
    assert gradient.dtype == dtype
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=2e-6)
    tolerance = 1e-6 if dtype == torch.float32 else 4e-3
    torch.testing.assert_close(
        gradient.double(), expected_gradient, rtol=tolerance, atol=1e-6 * float(expected_gradient.abs().max())
    )
    assert not gradient[1].any()


def test_the_gradient_of_the_cross_entropy_equals_finite_differences():
    logits = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    truth = (torch.rand(2, 3, 4, 5) > 0.5).double()
    weight = torch.rand(2, 1, 4, 5, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda x: losses._WeightedCrossEntropy.apply(x, truth, weight, 3.0), (logits,), raise_exception=True
    )


def test_the_truth_loss_of_a_diverged_network_is_not_finite():
    logits = torch.zeros(1, 2, 3, 3)
    logits[0, 1, 2, 2] = math.nan
    assert not losses.truth_loss(logits, torch.zeros(1, 2, 3, 3), torch.ones(1, 1, 3, 3)).isfinite()


def test_perceptual_loss_is_weighted_l1_of_feature_maps():
    fake, real = torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4)
    loss = losses.perceptual_loss(fake, real, lambda x: [x, x.mean(1)], [0.5, 2.0])
    expected = 0.5 * (fake - real).abs().mean() + 2 * (fake.mean(1) - real.mean(1)).abs().mean()
    torch.testing.assert_close(loss, expected)


def test_vgg_features_are_the_rectified_maps_of_the_weights_file(tmp_path):
    allow_missing_torchvision_ops()
    from torchvision.models import vgg19

    with torch.device("meta"):
        vgg = vgg19()
    features = vgg.features.to_empty(device="cpu")
    for parameter in features.parameters():
        nn.init.normal_(parameter, 0, 0.05)
    path = tmp_path / "vgg19.pth"
    torch.save({f"features.{key}": value for key, value in features.state_dict().items()}, path)
    x = torch.rand(1, 3, 32, 32) * 2 - 1
    found = losses.Vgg19Features(path)(x)
    normalised = functional.batch_norm(
        (x + 1) / 2, torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225]) ** 2, eps=0
    )
    for maps, end in zip(found, (2, 7, 12, 21, 30), strict=True):
        torch.testing.assert_close(maps, features[:end](normalised), rtol=1e-2, atol=1e-3)
    with pytest.raises(WeightsError, match=r"vgg19-dcbb9e9d\.pth"):
        losses.Vgg19Features(tmp_path / "absent.pth")
