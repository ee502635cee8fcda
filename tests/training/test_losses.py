"""Every loss against a slow loop, a hand-made case or the definition; networks against the published counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from f2vbench.config.parsing import build
from f2vbench.encoders.global_generator import global_generator, initialise
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.errors import WeightsError
from f2vbench.training import losses
from f2vbench.training.discriminator import (
    NCE_LAYERS,
    MultiScaleDiscriminator,
    ProjectionHeads,
    forward_layers,
    initialise_normal,
    nce_channels,
)
from f2vbench.training.frame_windows import knowledge_mask, truth_probability, window_input, window_target
from f2vbench.training.patch_nce import PATCHES, PatchSampler, patch_nce, patch_nce_losses
from f2vbench.training.settings import TrainSettings

SHAPE = GeneratorShape(6, 3, 4)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def judged(scales=2, batch=1):
    return [
        [torch.randn(batch, 3, 5, 5), torch.randn(batch, 4, 4, 4), torch.randn(batch, 1, 3, 3)] for _ in range(scales)
    ]


@pytest.fixture(scope="module")
def generator():
    made = global_generator(SHAPE)
    initialise(made)
    return made


# windows


def test_a_window_predicts_the_next_three_frames_and_repeats_the_last_at_the_end():
    frames = torch.arange(12.0).reshape(1, 12, 1, 1).expand(2, 12, 2, 2)
    shown = [window_target(frames, window)[0, :, 0, 0].tolist() for window in (0, 4, 9, 10, 11)]
    assert shown == [[0, 1, 2], [4, 5, 6], [9, 10, 11], [10, 11, 11], [11, 11, 11]]
    with pytest.raises(ValueError, match="0 to 11"):
        window_target(frames, 12)


def test_the_first_window_sees_the_photograph_twice_and_later_ones_three_frames():
    photograph, previous = torch.rand(1, 3, 2, 2), torch.rand(1, 3, 2, 2)
    assert torch.equal(window_input(photograph, None), torch.cat([photograph, photograph], 1))
    assert torch.equal(window_input(photograph, previous)[:, 3:], previous)


def test_true_frames_are_shown_with_the_released_codes_falling_probability():
    found = [truth_probability(videos, 0.5, 1 / 11, 1000) for videos in (0, 99, 100, 200, 999, 1000, 5000)]
    assert found == pytest.approx([1 / 2, 1 / 2, 1 / 3, 1 / 4, 1 / 11, 0, 0])
    assert truth_probability(10**6, 0.5, 0.5, None) == 0.5


def test_the_knowledge_mask_is_strictly_more_than_45_grey_levels_between_first_and_last():
    first = np.array([[0, 0, 0, 200, 100]], np.uint8)
    last = np.array([[45, 46, 44, 154, 100]], np.uint8)
    middle = np.full_like(first, 255)
    frames = torch.from_numpy(np.stack([first, middle, last])[None].astype(np.float32)) / 127.5 - 1
    assert knowledge_mask(frames).tolist() == [[[[0, 1, 0, 1, 0]]]]


# adversarial losses


def test_lsgan_is_the_mean_squared_distance_from_one_and_zero_summed_over_scales():
    fake, real = judged(), judged()
    of_generator = sum(np.mean([(float(v) - 1) ** 2 for v in scale[-1].flatten()]) for scale in fake)
    of_fake = sum(np.mean([float(v) ** 2 for v in scale[-1].flatten()]) for scale in fake)
    of_real = sum(np.mean([(float(v) - 1) ** 2 for v in scale[-1].flatten()]) for scale in real)
    assert float(losses.lsgan_generator_loss(fake)) == pytest.approx(of_generator, rel=1e-5)
    assert float(losses.lsgan_discriminator_loss(fake, real)) == pytest.approx((of_fake + of_real) / 2, rel=1e-5)


def test_feature_matching_is_l1_of_inner_maps_and_trains_only_the_fake_side():
    fake, real = judged(), judged()
    expected = 0.0
    for scale in range(2):
        for layer in range(2):  # the third is the verdict
            expected += float((fake[scale][layer] - real[scale][layer]).abs().mean()) / 2
    for scale in (*fake, *real):
        for layer in scale:
            layer.requires_grad_()
    loss = losses.feature_matching_loss(fake, real)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert all(layer.grad is None for scale in real for layer in scale)
    assert all(layer.grad is not None for scale in fake for layer in scale[:-1])


def test_masked_discriminator_input_is_masked_for_fake_and_real_alike():
    """Outside the mask neither verdicts nor matched maps may depend on the frames."""
    discriminator = MultiScaleDiscriminator(6, scales=1, ndf=2)
    photograph, mask = torch.rand(1, 3, 32, 32), torch.zeros(1, 1, 32, 32)
    fake, real = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    pairs = [discriminator(torch.cat([photograph, frames * mask], 1)) for frames in (fake, real)]
    assert float(losses.feature_matching_loss(*pairs).detach()) == 0


# attention


def test_attention_outside_the_mask_costs_nothing_when_masked_and_costs_when_full():
    activation = torch.tensor([[[[2.0, 3.0], [-1.0, 1.0]], [[0.0, 1.0], [-1.0, 1.0]]]])
    mask = torch.tensor([[[[1.0, 0.0], [1.0, 1.0]]]])
    # channel means: 1, 2, −1 (rectified 0), 1
    assert float(losses.attention_loss(activation, mask, "masked")) == pytest.approx((0 + 0 + 1 + 0) / 4)
    assert float(losses.attention_loss(activation, mask, "full")) == pytest.approx((0 + 4 + 1 + 0) / 4)


# gradient variance, pixels, perceptual


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


def test_pixel_loss_counts_the_field_of_view_only():
    fake, real = torch.zeros(1, 2, 2, 2), torch.tensor([[[[1.0, 9], [3, 9]], [[5, 9], [7, 9]]]])
    inside = torch.tensor([[[[1.0, 0], [1, 0]]]])
    assert float(losses.pixel_loss(fake, real, inside)) == 4
    assert float(losses.pixel_loss(fake, real, inside * 0)) == 0


def test_perceptual_loss_is_weighted_l1_of_feature_maps():
    fake, real = torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4)
    loss = losses.perceptual_loss(fake, real, lambda x: [x, x.mean(1)], [0.5, 2.0])
    expected = 0.5 * (fake - real).abs().mean() + 2 * (fake.mean(1) - real.mean(1)).abs().mean()
    torch.testing.assert_close(loss, expected)


def test_vgg_features_are_the_rectified_maps_of_its_file(tmp_path):
    from f2vbench.utils.torchvision_compat import allow_missing_torchvision_ops

    allow_missing_torchvision_ops()
    from torchvision.models import vgg19

    with torch.device("meta"):
        whole = vgg19()
    features = whole.features.to_empty(device="cpu")
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


# PatchNCE


def test_patch_nce_equals_the_formula_patch_by_patch():
    query = functional.normalize(torch.randn(5, 8), dim=1)
    key = functional.normalize(torch.randn(5, 8), dim=1)
    terms = []
    for i in range(5):
        weights = [math.exp(float(query[i] @ key[j]) / 0.07) for j in range(5)]
        terms.append(-math.log(weights[i] / sum(weights)))
    assert float(patch_nce(query, key)) == pytest.approx(np.mean(terms), rel=1e-4)


def test_an_empty_mask_multiplied_into_the_images_gives_ln_256(generator):
    heads = ProjectionHeads(nce_channels(SHAPE))
    images = [torch.rand(1, 3, 256, 256) for _ in range(3)]
    mask, rngs = torch.zeros(1, 1, 256, 256), [np.random.default_rng(0)]
    up, sp = patch_nce_losses(generator, heads, images[0], images[1:], PatchSampler(), rngs, multiply=mask)
    assert float(up.detach()) == pytest.approx(math.log(PATCHES), abs=1e-3)
    assert float(sp.detach()) == pytest.approx(math.log(PATCHES), abs=1e-3)
    rngs = [np.random.default_rng(0)]
    inside = patch_nce_losses(generator, heads, images[0], images[1:], PatchSampler(mask), rngs)
    assert abs(float(inside[0].detach()) - math.log(PATCHES)) > 0.01


def test_patch_nce_losses_equal_a_slow_computation(generator):
    heads = ProjectionHeads(nce_channels(SHAPE), width=16)
    fake, photograph, real = (torch.rand(2, 3, 32, 32) for _ in range(3))
    rngs = [np.random.default_rng(i) for i in range(2)]
    found = patch_nce_losses(generator, heads, fake, (photograph, real), PatchSampler(), rngs)
    rngs = [np.random.default_rng(i) for i in range(2)]
    terms = ([], [])
    for position, layer in enumerate(NCE_LAYERS):

        def encode(image, layer=layer):
            x = torch.cat([image, image], 1)
            for part in generator[: layer + 1]:
                x = part(x)
            return x.relu() if layer == 8 else x

        query, *keys = (encode(image) for image in (fake, photograph, real))
        for image in range(2):
            count = query.shape[2] * query.shape[3]
            chosen = rngs[image].choice(count, min(256, count), replace=False)
            row, column = chosen // query.shape[3], chosen % query.shape[3]
            pick = [functional.normalize(heads.heads[position](x[image][:, row, column].T)) for x in (query, *keys)]
            for kind in range(2):
                likeness = pick[0] @ pick[1 + kind].T / 0.07
                terms[kind].append(float(-likeness.detach().log_softmax(1).diagonal().mean()))
    assert [float(value.detach()) for value in found] == pytest.approx([np.mean(kind) for kind in terms], rel=1e-4)


def test_the_projection_heads_and_the_generator_get_gradients_and_the_photograph_none(generator):
    heads = ProjectionHeads(nce_channels(SHAPE))
    fake = torch.rand(1, 3, 64, 64, requires_grad=True)
    photograph = torch.rand(1, 3, 64, 64, requires_grad=True)
    (loss,) = patch_nce_losses(generator, heads, fake, [photograph], PatchSampler(), [np.random.default_rng(0)])
    loss.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in heads.parameters() if parameter.ndim == 2)
    assert generator[1].weight.grad.abs().sum() > 0
    assert fake.grad.abs().sum() > 0
    assert photograph.grad is None
    before = [parameter.detach().clone() for parameter in heads.parameters()]
    torch.optim.Adam(heads.parameters()).step()
    assert any(not torch.equal(old, new) for old, new in zip(before, heads.parameters(), strict=True))


def test_patches_are_drawn_inside_the_mask_at_every_size():
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 16:48, 8:40] = 1
    for size in (70, 64, 32, 16):
        (chosen,) = PatchSampler(mask).draw(size, size, [np.random.default_rng(0)])
        assert len(set(chosen)) == len(chosen)
        offset = max(0, (size - 64) // 2)
        scale = 64 / min(size, 64)
        rows, columns = (chosen // size - offset) * scale, (chosen % size - offset) * scale
        assert (rows >= 16).all()
        assert (rows < 48).all()
        assert (columns >= 8).all()
        assert (columns < 40).all()


def test_an_image_without_a_mask_is_drawn_from_everywhere():
    (chosen,) = PatchSampler(torch.zeros(1, 1, 64, 64)).draw(64, 64, [np.random.default_rng(0)])
    assert len(set(chosen)) == PATCHES


# networks


@pytest.mark.parametrize(("scales", "millions"), [(1, 2.768), (2, 5.536), (3, 8.303)])
def test_discriminators_have_the_published_number_of_parameters(scales, millions):
    with torch.device("meta"):
        made = MultiScaleDiscriminator(6, scales)
    assert round(sum(parameter.numel() for parameter in made.parameters()) / 1e6, 3) == millions


def test_discriminator_keys_are_those_of_pix2pixhd():
    keys = set(MultiScaleDiscriminator(6, 2, 2).state_dict())
    expected = {f"scale{i}_layer{j}.0.{kind}" for i in (0, 1) for j in range(5) for kind in ("weight", "bias")}
    assert keys == expected


def test_the_last_scales_network_sees_the_full_resolution_and_the_others_halves():
    made = MultiScaleDiscriminator(3, 3, 2)
    x = torch.rand(1, 3, 64, 64)
    full, half, _ = made(x)
    assert [scale[0].shape[-1] for scale in made(x)] == [33, 17, 9]
    by_hand = x
    for layer in range(5):
        by_hand = made.get_submodule(f"scale2_layer{layer}")(by_hand)
    torch.testing.assert_close(full[-1], by_hand)
    smaller = nn.AvgPool2d(3, 2, 1, count_include_pad=False)(x)
    torch.testing.assert_close(half[0], made.get_submodule("scale1_layer0")(smaller))


def test_initial_weights_are_normal_with_002_and_depend_on_the_seed_alone():
    first, again, other = (MultiScaleDiscriminator(6, 1) for _ in range(3))
    for network, seed in ((first, 1), (again, 1), (other, 2)):
        initialise_normal(network, seed)
    weight = first.get_submodule("scale0_layer2")[0].weight
    assert float(weight.std()) == pytest.approx(0.02, rel=0.02)
    assert torch.equal(weight, again.get_submodule("scale0_layer2")[0].weight)
    assert not torch.equal(weight, other.get_submodule("scale0_layer2")[0].weight)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_inner_maps_are_those_of_the_layers_and_the_output_is_the_generators(generator, checkpointing):
    x = torch.rand(1, 6, 32, 32)
    out, kept = forward_layers(generator, x, (0, 4, 16, 36, 38), checkpointing=checkpointing)
    torch.testing.assert_close(out, generator(x))
    for layer, found in kept.items():
        torch.testing.assert_close(found, generator[: layer + 1](x))


# settings


def test_presets_are_the_published_tables():
    paper = build(TrainSettings, {"preset": "paper"})
    released = build(TrainSettings, {"preset": "released", "loss": {"vgg": "vgg19.pth"}})
    loss = paper.loss
    assert (loss.nce_photograph, loss.nce_truth, loss.attention, loss.gan) == (1, 1, 4, 2)
    assert (loss.feature_matching, loss.perceptual, loss.gradient_variance, loss.pixel) == (0, 0, 0, 0)
    assert (paper.scales, paper.learning_rate, paper.update_every, paper.split) == (3, 2e-3, 50, [70, 15, 15])
    loss = released.loss
    assert (loss.nce_photograph, loss.nce_truth, loss.attention, loss.gan) == (0.5, 0.5, 0, 1)
    assert (loss.feature_matching, loss.perceptual, loss.gradient_variance) == (10, 10, 5)
    assert (released.scales, released.learning_rate, released.epochs, released.flat_epochs) == (2, 2e-4, 50, 10)
    assert (released.split, released.beta1, released.beta2) == ([90, 5, 5], 0.5, 0.999)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"preset": "released"}, r"vgg19-dcbb9e9d\.pth .* loss\.perceptual=0"),
        ({"loss": {"gann": 1}}, "unknown key 'loss.gann'.*did you mean 'loss.gan'"),
        ({"image_size": 100}, "image_size"),
        ({"model": "pix2pixhd", "loss": {"attention": 4}}, "has one frame and no mask"),
        ({"model": "fundus2fa", "ablation": "none"}, "only model=fundus2video"),
        ({"flat_epochs": 60}, "flat_epochs=60 is more than epochs=50"),
        ({"preset": "minni"}, "did you mean 'mini'"),
    ],
)
def test_settings_that_do_not_fit_are_told_with_what_to_do(values, told):
    from f2vbench.errors import SettingsError

    with pytest.raises(SettingsError, match=told):
        build(TrainSettings, values)
