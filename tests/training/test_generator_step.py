"""The training step of generators: windows, losses of each ablation, gradients, and engineering options."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
import torch

from f2vbench.training import losses
from f2vbench.training.data.video_loader import VideoLoader
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
