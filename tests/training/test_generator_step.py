"""The training step of generators: windows, losses of each ablation, gradients, and engineering options."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional

from f2vbench.encoders.global_generator import at_position
from f2vbench.training import losses
from f2vbench.training.data.video_loader import VideoLoader
from f2vbench.training.frame_windows import window_target
from f2vbench.training.generator_step import GeneratorStep
from f2vbench.training.patch_nce import PatchSampler, patch_nce_losses
from f2vbench.training.trained_networks import GeneratorNetworks
from tests.helpers.training import (
    CPU,
    assert_same_gradients,
    gradients,
    logged_batches,
    logged_losses,
    run_training,
    train_batches,
    video_data,
    video_settings,
)

ABLATION_LOSSES = {
    "none": set(),
    "attention": {"attention"},
    "patch-nce": {"nce_photograph", "nce_truth"},
    "masked-patch-nce": {"nce_photograph", "nce_truth"},
    "discriminators": set(),
    "all": {"attention", "nce_photograph", "nce_truth"},
}


def one_video():
    return next(VideoLoader(video_data(1).train).load([[0]]))


@pytest.mark.parametrize("ablation", ABLATION_LOSSES)
def test_an_ablation_has_the_losses_of_its_row(tmp_path, ablation):
    settings = video_settings(tmp_path, preset="paper", scales=1, windows=1, ablation=ablation)
    train_batches(settings, video_data(1), 1)
    assert set(logged_losses(tmp_path)[0]) == {"gan", "discriminator"} | ABLATION_LOSSES[ablation]
    assert settings.loss.masked_discriminators == (ablation in ("discriminators", "all"))
    assert (settings.loss.nce_patches == "everywhere") == (ablation == "patch-nce")


def test_the_released_preset_has_the_generator_loss_of_the_released_code(tmp_path):
    """2 GAN + GAN of inputs multiplied by the map + 10 feature matching of whole inputs + 5 gradient variance."""
    settings = video_settings(
        tmp_path, preset="released", windows=1, loss={"perceptual": 0.0, "nce_photograph": 0.0, "nce_truth": 0.0}
    )
    networks, batch = GeneratorNetworks(settings, CPU), one_video()
    step = GeneratorStep(settings, networks, CPU, bf16=False)
    shown, received = [], []
    networks.generator[-1].register_forward_hook(lambda layer, arguments, output: shown.append(output))
    step._optimise = lambda terms: received.append(dict(terms))  # keeps the networks as they are
    step(batch, 0, 0, 0.0)
    fake, terms = shown[0].detach(), {name: value.item() for name, value in received[0].items()}
    window = int(np.random.default_rng([settings.seed, 0, 0, 12]).integers(12))
    real = window_target(batch.frames, [window])

    def judge(frames, mask=1.0):
        with torch.no_grad():
            return networks.discriminator(torch.cat([batch.photograph, frames], 1) * mask)

    def lsgan(maps, target):
        return sum(float(((scale[-1] - target) ** 2).mean()) for scale in maps)

    mask = batch.mask
    assert 0 < mask.mean() < 1
    whole, whole_real, masked, masked_real = judge(fake), judge(real), judge(fake, mask), judge(real, mask)
    matching = sum(
        float((a - b).abs().mean()) / settings.scales
        for scale, real_scale in zip(whole, whole_real, strict=True)
        for a, b in zip(scale[:-1], real_scale[:-1], strict=True)
    )
    grey, real_grey = (0.2989 * f[:, 0] + 0.5870 * f[:, 1] + 0.1140 * f[:, 2] for f in (fake, real))
    variance = float(losses.gradient_variance_loss(grey[:, None], real_grey[:, None]))
    expected = 2 * lsgan(whole, 1) + lsgan(masked, 1) + 10 * matching + 5 * variance
    weighted = sum(getattr(settings.loss, name) * terms[name] for name in terms if name != "discriminator")
    assert weighted == pytest.approx(expected, rel=1e-4)
    assert terms["gan_masked"] == pytest.approx(lsgan(masked, 1), rel=1e-4)
    judged = (lsgan(whole, 0) + lsgan(whole_real, 1) + lsgan(masked, 0) + lsgan(masked_real, 1)) / 2
    assert terms["discriminator"] == pytest.approx(judged, rel=1e-4)


def test_pixel_epochs_have_pixel_losses_only_and_leave_the_discriminators_unchanged(tmp_path):
    settings = video_settings(tmp_path, windows=1, pixel_epochs=1, loss={"pixel": 10.0, "squared": 1.0})
    initial = list(GeneratorNetworks(settings, CPU).discriminator.parameters())
    first = train_batches(settings, video_data(1), 1).method.networks.discriminator
    assert set(logged_losses(tmp_path)[0]) == {"pixel", "squared"}
    assert all(torch.equal(found, before) for found, before in zip(first.parameters(), initial, strict=True))
    second = train_batches(settings, video_data(1), 2).method.networks.discriminator
    assert set(logged_losses(tmp_path)[1]) >= {"pixel", "squared", "gan", "discriminator", "attention", "nce_truth"}
    assert not torch.equal(next(second.parameters()), initial[0])


def test_a_part_of_a_video_starts_with_true_frames_and_all_parts_are_drawn(tmp_path):
    settings = video_settings(tmp_path, windows=4, pixel_epochs=1, loss={"pixel": 1.0})
    networks = GeneratorNetworks(settings, CPU)
    step, batch = GeneratorStep(settings, networks, CPU, bf16=False), one_video()
    inputs: list[torch.Tensor] = []
    networks.generator[0].register_forward_pre_hook(lambda layer, arguments: inputs.append(arguments[0]))
    starts = set()
    for epoch in range(12):
        inputs.clear()
        step(batch, epoch, 0, 0.0)
        assert len(inputs) == 4
        first = inputs[0][:, 3:]
        if torch.equal(first, batch.photograph):
            starts.add(0)
        else:
            # Window n follows the prediction of window n − 1: true frames n, n + 1, n + 2, counted from 1.
            starts.update(n for n in (4, 8) if torch.equal(first, batch.frames[:, n - 1 : n + 2]))
    assert starts == {0, 4, 8}


def generator_inputs(settings, batch, places, epochs=range(1)):
    """What the generator receives and returns in each step of each epoch, with the networks.

    Args:
        settings: Of the training, which is not run.
        batch: Trained on once an epoch.
        places: The place in the schedule of each epoch.
        epochs: Numbers of the epochs.
    """
    networks = GeneratorNetworks(settings, CPU)
    step = GeneratorStep(settings, networks, CPU, bf16=False)
    inputs, outputs, passes = [], [], []
    networks.generator[0].register_forward_pre_hook(lambda layer, arguments: inputs.append(arguments[0]))
    networks.generator[-1].register_forward_hook(lambda layer, arguments, output: outputs.append(output.detach()))
    for epoch, place in zip(epochs, places, strict=True):
        inputs.clear()
        outputs.clear()
        step(batch, epoch, 0, place)
        passes.append(list(zip(inputs, outputs, strict=True)))
    return passes, networks


OFF = {"feature_matching": 0, "attention": 0, "nce_photograph": 0, "nce_truth": 0, "gradient_variance": 0, "gan": 0}
PIXEL_ONLY = {**OFF, "masked_discriminators": False, "pixel": 1.0}
SMALL = {"blocks": 1, "downsamplings": 2, "time": "plane", "windows": 1, "loss": PIXEL_ONLY}


def test_every_video_of_a_batch_has_its_own_window_and_all_windows_are_equally_frequent(tmp_path):
    settings = video_settings(tmp_path, **SMALL)
    (batch,) = VideoLoader(video_data(4).train).load([[0, 1, 2, 3]])
    passes, _ = generator_inputs(settings, batch, [0.0] * 60, range(60))
    drawn = []
    for ((inputs, _),) in passes:
        # The time plane has the window of each video; the input of window n is the true frames of window n − 1.
        windows = ((inputs[:, 6, 0, 0] + 1) * 11 / 2).round().int().tolist()
        for video, window in enumerate(windows):
            before = batch.photograph if window == 0 else window_target(batch.frames, [window - 1] * 4)
            assert torch.equal(inputs[video, 3:6], before[video])
        drawn.append(windows)
    counts = np.bincount(np.ravel(drawn), minlength=12)
    assert counts.min() > 0
    assert stats.chisquare(counts).pvalue > 1e-3
    videos = np.array(drawn).T
    assert all((videos[a] != videos[b]).any() for a in range(4) for b in range(a))


def test_a_window_is_compared_with_its_own_frames(tmp_path):
    """The loss of videos in different windows equals the mean of their errors."""
    settings = video_settings(tmp_path, **SMALL)
    (batch,) = VideoLoader(video_data(3).train).load([[0, 1, 2]])
    networks = GeneratorNetworks(settings, CPU)
    outputs = []
    networks.generator[-1].register_forward_hook(lambda layer, arguments, output: outputs.append(output.detach()))
    inputs = []
    networks.generator[0].register_forward_pre_hook(lambda layer, arguments: inputs.append(arguments[0]))
    found = GeneratorStep(settings, networks, CPU, bf16=False)(batch, 3, 0, 0.0)["pixel"]
    errors = []
    for video in range(3):
        window = round(float(inputs[0][video, 6, 0, 0] + 1) * 11 / 2)
        real = torch.stack([batch.frames[video, min(window + i, 11)] for i in range(3)])
        errors.append(float((outputs[0][video] - real).abs().mean()))
    assert found == pytest.approx(np.mean(errors), rel=1e-4)


def test_the_last_epochs_roll_out_the_whole_video_from_generated_frames(tmp_path):
    changes = {"epochs": 4, "rollout_epochs": 1, "previous_dropped": 0.5, "truth_videos": None}
    settings = video_settings(tmp_path, **{**SMALL, **changes, "truth_start": 1.0})
    batch = one_video()
    (before, rollout), _ = generator_inputs(settings, batch, [2.99, 3.0], range(2))
    assert len(before) == 1
    assert len(rollout) == 12
    assert torch.equal(rollout[0][0][:, 3:6], batch.photograph)
    for window in range(1, 12):
        assert torch.equal(rollout[window][0][:, 3:6], rollout[window - 1][1])
    times = [float(inputs[0, 6, 0, 0]) for inputs, _ in rollout]
    assert times == pytest.approx([2 * window / 11 - 1 for window in range(12)])


def test_true_frames_are_degraded_or_dropped_except_in_the_first_window(tmp_path):
    settings = video_settings(tmp_path, **{**SMALL, "previous_dropped": 0.5})
    batch = one_video()
    passes, _ = generator_inputs(settings, batch, [0.0] * 60, range(60))
    dropped, degraded = 0, 0
    for ((inputs, _),) in passes:
        window = round(float(inputs[0, 6, 0, 0] + 1) * 11 / 2)
        previous = inputs[:, 3:6]
        is_photograph = torch.equal(previous, batch.photograph)
        if window == 0:
            assert is_photograph
            continue
        true = window_target(batch.frames, [window - 1])
        assert not torch.equal(previous, true)
        dropped, degraded = dropped + is_photograph, degraded + (not is_photograph)
        if not is_photograph:
            assert (previous - true).abs().mean() < 0.3
    assert min(dropped, degraded) > 15


def test_the_step_of_a_video_does_not_depend_on_the_others_of_its_batch(tmp_path):
    """Losses of a batch are the means of those of its videos alone; the learning rate is 0, to compare two windows."""
    loss = {"nce_truth": 1.0, "nce_photograph": 1.0, "nce_patches": "everywhere", "pixel": 1.0}
    changes = {"windows": 2, "epochs": 1, "flat_epochs": 1, "previous_dropped": 0.5, "truth_videos": None}
    changes |= {"blocks": 1, "downsamplings": 2, "loss": loss, "scales": 1, "ema": 0.0}
    settings = video_settings(tmp_path, **changes)
    data = video_data(6).train

    def step(indices):
        (batch,) = VideoLoader(data).load([indices])
        networks = GeneratorNetworks(settings, CPU)
        networks.set_learning_rate(0.0)
        return GeneratorStep(settings, networks, CPU, bf16=False)(batch, 0, 0, 0.0)

    together, alone = step(list(range(6))), [step([index]) for index in range(6)]
    for name in ("nce_truth", "nce_photograph", "pixel"):
        assert together[name] == pytest.approx(np.mean([losses[name] for losses in alone]), rel=1e-4), name


def test_the_truth_is_predicted_beside_the_frames_where_it_is_known(tmp_path):
    loss = {**PIXEL_ONLY, "squared": 1.0, "gradient": 1.0, "truth": 0.5, "vessel_weight": 5.0, "lesion_weight": 2.0}
    settings = video_settings(tmp_path, **{**SMALL, "loss": loss})
    (batch,) = VideoLoader(video_data(1, simulated=True).train).load([[0]])
    plain = GeneratorNetworks(settings, CPU)
    (((inputs, output),),), trained = generator_inputs(settings, batch, [0.0])
    window = round(float(inputs[0, 6, 0, 0] + 1) * 11 / 2)
    features = plain.generator[: plain.generator.shape.last_convolution - 1](inputs)
    assert features.shape[1] == settings.ngf
    generator = plain.generator
    at_window = at_position(features, generator.time, inputs)
    logits = functional.conv2d(at_window, generator.truth_weight, generator.truth_bias)
    fake = plain.generator(inputs)
    torch.testing.assert_close(fake, output)
    real = window_target(batch.frames, [window])
    vessels = functional.max_pool2d(batch.truth[:, :2].amax(1, keepdim=True), 3, 1, 1)
    weight = 1 + 5 * vessels + 2 * batch.truth[:, 4:].amax(1, keepdim=True)
    total = losses.pixel_loss(fake, real, batch.fov_mask) + losses.squared_loss(fake, real, weight)
    total = total + losses.gradient_loss(fake, real, weight)
    (total + 0.5 * losses.truth_loss(logits, batch.truth, batch.fov_mask)).backward()
    assert trained.generator.truth_weight.grad.abs().sum() > 0
    assert_same_gradients([p.grad for p in trained.parameters()], [p.grad for p in plain.parameters()])
    # Without the truth, as with images of one's own, the other losses remain.
    found = GeneratorStep(settings, plain, CPU, bf16=False)(one_video(), 0, 0, 0.0)
    assert set(found) == {"pixel", "squared", "gradient", "contrast"}


def test_by_default_a_video_has_one_optimiser_step_for_each_of_its_twelve_windows(tmp_path):
    settings = video_settings(tmp_path, windows=12, pixel_epochs=1, loss={"pixel": 1.0})
    networks = GeneratorNetworks(settings, CPU)
    GeneratorStep(settings, networks, CPU, bf16=False)(one_video(), 0, 0, 0.0)
    assert {int(state["step"]) for state in networks.optimisers["generator"].state.values()} == {12}


def test_gradients_equal_those_of_separately_computed_losses(tmp_path):
    """Each network is applied again for each loss; D's loss uses detached frames, and D is frozen for G's losses."""
    settings = video_settings(tmp_path, preset="paper", loss={"feature_matching": 10.0, "pixel": 10.0})
    trained, plain = (GeneratorNetworks(settings, CPU) for _ in range(2))
    batch = one_video()
    batch = dataclasses.replace(batch, frames=batch.frames[:, -1:])  # a video of one frame has one window
    GeneratorStep(settings, trained, CPU, bf16=False)(batch, 0, 0, 0.0)

    photograph, real, mask = batch.photograph, batch.frames.expand(-1, 3, -1, -1), batch.mask
    fake = plain.generator(torch.cat([photograph, photograph], 1))
    discriminator = plain.discriminator
    discriminator_loss = 0
    for view in (1, mask):
        maps = (discriminator(torch.cat([photograph, x * view], 1)) for x in (fake.detach(), real))
        discriminator_loss = discriminator_loss + losses.lsgan_discriminator_loss(*maps)
    discriminator_loss.backward()
    discriminator.requires_grad_(False)
    total = 0
    for view in (1, mask):
        fake_maps, real_maps = (discriminator(torch.cat([photograph, x * view], 1)) for x in (fake, real))
        total = total + 2 * losses.lsgan_generator_loss(fake_maps)
        total = total + 10 * losses.feature_matching_loss(fake_maps, real_maps)
    activation = plain.generator[:39](torch.cat([photograph, photograph], 1))
    total = total + 4 * losses.attention_loss(activation, mask) + 10 * losses.pixel_loss(fake, real, batch.fov_mask)
    for key in (photograph, real):
        rngs = [np.random.default_rng([settings.seed, 0, 0, 0])]
        (nce,) = patch_nce_losses(plain.generator, plain.heads, fake, [key], PatchSampler(), rngs, multiply=mask)
        total = total + nce
    total.backward()
    assert_same_gradients([p.grad for p in trained.parameters()], [p.grad for p in plain.parameters()])


@pytest.mark.parametrize("option", ["checkpointing", "workers", "compile"])
def test_engineering_options_do_not_change_losses_and_gradients(tmp_path, monkeypatch, option):
    """Compared after one step, because adversarial training amplifies rounding from step to step."""
    # A backend that captures the graph but does not call a C++ compiler, which takes minutes.
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    values = {"model": "fundus2fa", "epochs": 1, "flat_epochs": 1}
    changed, plain = (
        run_training(video_settings(tmp_path / name, **values, **changes), video_data(1, validation=0))
        for name, changes in (("changed", {option: True}), ("plain", {}))
    )
    assert logged_batches(changed.folder)[0] == pytest.approx(logged_batches(plain.folder)[0], rel=1e-4)
    assert_same_gradients(gradients(changed), gradients(plain))
