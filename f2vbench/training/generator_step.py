"""The training step of angiogram generators: one optimiser step for each window, without gradients through time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from f2vbench.data.cases import LAST_FRAME_OF_PHASE
from f2vbench.encoders.global_generator import truth_logits, window_input
from f2vbench.training import losses
from f2vbench.training.data.video_loader import VideoBatch
from f2vbench.training.distributed import average, average_gradients
from f2vbench.training.frame_windows import degraded_frames, teacher_forcing_probability, window_target
from f2vbench.training.generator_features import attention_layer, forward_layers
from f2vbench.training.patch_nce import PatchSampler, patch_nce_losses
from f2vbench.training.settings import TrainSettings
from f2vbench.training.trained_networks import GeneratorNetworks
from f2vbench.utils.device import bf16_autocast

Losses = dict[str, Tensor]


@dataclass(frozen=True)
class _Window:
    """One window of a batch.

    Attributes:
        batch: Photographs and masks.
        inputs: (n, input_channels, h, w), what the generator receives.
        real: (n, outputs, h, w), the true frames.
        weight: (n, 1, h, w), the weights of pixels for the squared losses.
        sampler: Draws the patches of PatchNCE.
        rngs: The random numbers of each video in this window.
        pixel_losses_only: Leave out all other losses.
    """

    batch: VideoBatch
    inputs: Tensor
    real: Tensor
    weight: Tensor
    sampler: PatchSampler
    rngs: Sequence[np.random.Generator]
    pixel_losses_only: bool


class GeneratorStep:
    """Trains the networks on one batch of videos at a time.

    Shared computations are made once. A discriminator receives generated and true frames, whole and masked, in one
    pass, which serves its own loss, the generator's loss and feature matching. The generated frames are encoded once
    for both PatchNCE losses, and the keys of both in one pass without gradients.

    All random numbers depend on (seed, epoch, index of the video, window). A resumed training is therefore the same
    training, and the videos of a batch may be distributed over processes in any way.

    Args:
        settings: Of the training.
        networks: Trained in place.
        device: Of the networks.
        bf16: Autocast to bfloat16.
    """

    def __init__(self, settings: TrainSettings, networks: GeneratorNetworks, device: torch.device, bf16: bool):
        self._settings = settings
        self._networks = networks
        self._device = device
        self._bf16 = bf16
        self._vgg = losses.Vgg19Features(settings.loss.vgg).to(device) if settings.loss.vgg else None
        self._forward: Callable[..., tuple[Tensor, dict[int, Tensor]]] = (
            torch.compile(forward_layers) if settings.compile else forward_layers
        )

    def __call__(self, batch: VideoBatch, epoch: int, videos: int, place: float) -> dict[str, float]:
        """Train on the windows of a batch.

        Args:
            batch: Photographs and frames.
            epoch: Part of the seed of all random numbers.
            videos: Number of videos trained on so far, for the probability of teacher forcing.
            place: In the schedule, in epochs (`Schedule.place`); it decides the stage of the training.

        Returns:
            The losses without their weights, averaged over windows and videos, and ``contrast``, the mean standard
            deviation of the generated frames over space. A value that is not finite means divergence.
        """
        batch = batch.to(self._device)
        window_losses: list[Losses] = []
        settings = self._settings
        pixel_losses_only = place < settings.pixel_epochs
        is_rollout = self._is_video and place >= settings.epochs - settings.rollout_epochs
        starts, count = self._draw_windows(batch, epoch, is_rollout)
        weight = losses.pixel_weights(
            batch.fov_mask, batch.truth, settings.loss.vessel_weight, settings.loss.lesion_weight
        )
        sampler = PatchSampler(batch.mask if settings.loss.nce_patches == "in-mask" else None)
        previous: Tensor | None = None
        for step in range(count):
            windows = [start + step for start in starts]
            rngs = [
                np.random.default_rng([settings.seed, epoch, index, window])
                for index, window in zip(batch.indices, windows, strict=True)
            ]
            if self._is_video:
                previous = self._previous_frames(previous, batch, windows, videos, is_rollout, rngs)
            inputs, real = self._input(batch, previous, windows), self._target(batch, windows)
            previous, terms = self._train_window(_Window(batch, inputs, real, weight, sampler, rngs, pixel_losses_only))
            window_losses.append(terms)
        names = list(window_losses[0])
        means = torch.stack([torch.stack([terms[name] for name in names]) for terms in window_losses]).mean(0)
        average([means])
        return dict(zip(names, means.tolist(), strict=True))

    def _draw_windows(self, batch: VideoBatch, epoch: int, is_rollout: bool) -> tuple[list[int], int]:
        """The first window of each video and the number of windows: all, or one of the equal parts of the video."""
        if not self._is_video:
            return [0] * len(batch.indices), 1
        frames = batch.frames.shape[1]
        count = frames if is_rollout else min(self._settings.windows, frames)
        seeds = ([self._settings.seed, epoch, index, frames] for index in batch.indices)
        return [int(np.random.default_rng(seed).integers(frames // count)) * count for seed in seeds], count

    @property
    def _is_video(self) -> bool:
        return self._settings.model == "fundus2video"

    def _input(self, batch: VideoBatch, previous: Tensor | None, windows: Sequence[int]) -> Tensor:
        position = torch.as_tensor(windows, device=batch.photograph.device)
        return window_input(batch.photograph, previous, position, self._networks.generator.shape)

    def _target(self, batch: VideoBatch, windows: Sequence[int]) -> Tensor:
        if self._is_video:
            return window_target(batch.frames, windows)
        return batch.frames[:, [LAST_FRAME_OF_PHASE[self._settings.phase]]]

    def _previous_frames(
        self,
        generated: Tensor | None,
        batch: VideoBatch,
        windows: Sequence[int],
        videos: int,
        is_rollout: bool,
        rngs: Sequence[np.random.Generator],
    ) -> Tensor:
        """The frames that precede a window: generated ones, or at random (and before the first window) true ones."""
        settings = self._settings
        probability = teacher_forcing_probability(
            videos, settings.truth_start, settings.truth_end, settings.truth_videos
        )
        forced = [generated is None or (rng.random() < probability and not is_rollout) for rng in rngs]
        previous = batch.photograph.clone() if generated is None else generated.clone()
        # Only of these videos: the random numbers of a video may not depend on the others of its batch.
        chosen = [video for video, window in enumerate(windows) if forced[video] and window > 0]
        if chosen:
            frames, photograph = batch.frames[chosen], batch.photograph[chosen]
            before = window_target(frames, [windows[video] - 1 for video in chosen])
            chosen_rngs = [rngs[video] for video in chosen]
            previous[chosen] = degraded_frames(before, photograph, settings.previous_dropped, chosen_rngs)
        return previous

    def _train_window(self, window: _Window) -> tuple[Tensor, Losses]:
        """One step of all networks; returns the generated frames without gradients, and the losses."""
        settings, weights = self._settings, self._settings.loss
        shape = self._networks.generator.shape
        attention = attention_layer(shape, weights.attention_layer)
        layers = {attention} if weights.attention and not window.pixel_losses_only else set()
        layers |= self._truth_layers
        with bf16_autocast(self._device, self._bf16):
            output, maps = self._forward(
                self._networks.generator, window.inputs, layers, checkpointing=settings.checkpointing
            )
        fake = output.float()
        terms: Losses = {}
        if not window.pixel_losses_only:
            terms |= self._adversarial_losses(window, fake)
            if weights.attention:
                mask = window.batch.mask
                terms["attention"] = losses.attention_loss(maps[attention], mask, weights.attention_variant)
            terms |= self._nce_losses(window, fake)
            if weights.gradient_variance:
                shown, true = fake, window.real
                if weights.gradient_variance_frames == "mixed" and fake.shape[1] == len(losses.RGB_LUMA):
                    shown, true = losses.mix_as_rgb(fake), losses.mix_as_rgb(window.real)
                terms["gradient_variance"] = losses.gradient_variance_loss(shown, true)
        if weights.pixel:
            terms["pixel"] = losses.pixel_loss(fake, window.real, window.batch.fov_mask)
        if weights.squared:
            terms["squared"] = losses.squared_loss(fake, window.real, window.weight)
        if weights.gradient:
            terms["gradient"] = losses.gradient_loss(fake, window.real, window.weight)
        weight, bias = self._networks.generator.truth_weight, self._networks.generator.truth_bias
        if weight is not None and bias is not None and window.batch.truth is not None:
            with bf16_autocast(self._device, self._bf16):
                logits = truth_logits(maps[shape.last_feature_map], weight, bias)
            terms["truth"] = losses.truth_loss(logits, window.batch.truth, window.batch.fov_mask)
        if weights.perceptual and self._vgg is not None and not window.pixel_losses_only:
            with bf16_autocast(self._device, self._bf16):
                terms["perceptual"] = losses.perceptual_loss(fake, window.real, self._vgg)
        self._optimise(terms)
        terms["contrast"] = fake.detach().std((2, 3)).mean()
        return fake.detach(), {name: value.detach() for name, value in terms.items()}

    @property
    def _truth_layers(self) -> set[int]:
        shape = self._networks.generator.shape
        return {shape.last_feature_map} if shape.classes else set()

    def _adversarial_losses(self, window: _Window, fake: Tensor) -> Losses:
        """Losses from the discriminators' maps of generated and true frames, whole and, if set, masked.

        The GAN losses of both are one term, unless that of masked frames has a weight of its own.
        """
        discriminator, settings = self._networks.discriminator, self._settings.loss
        if discriminator is None:
            return {}
        batch, real = window.batch, window.real
        views, photographs = [fake, real], [batch.photograph] * 2
        if settings.masked_discriminators:
            views += [fake * batch.mask, real * batch.mask]
            photographs += [batch.photograph * batch.mask if settings.masked_photograph else batch.photograph] * 2
        pairs = torch.cat([torch.cat(pair, 1) for pair in zip(photographs, views, strict=True)])
        with bf16_autocast(self._device, self._bf16):
            maps = discriminator(pairs)
        by_view = [[[layer.chunk(len(views))[view] for layer in scale] for scale in maps] for view in range(len(views))]
        terms: dict[str, list[Tensor]] = {"discriminator": [], "gan": []}
        for is_masked, (fake_maps, real_maps) in enumerate(zip(by_view[0::2], by_view[1::2], strict=True)):
            terms["discriminator"].append(losses.lsgan_discriminator_loss(fake_maps, real_maps))
            gan = "gan_masked" if is_masked and settings.gan_masked is not None else "gan"
            terms.setdefault(gan, []).append(losses.lsgan_generator_loss(fake_maps))
            if settings.feature_matching and not (is_masked and settings.feature_matching_views == "whole"):
                matching = losses.feature_matching_loss(fake_maps, real_maps)
                terms.setdefault("feature_matching", []).append(matching)
        return {name: torch.stack(values).sum() for name, values in terms.items()}

    def _nce_losses(self, window: _Window, fake: Tensor) -> Losses:
        networks, batch = self._networks, window.batch
        if networks.heads is None:
            return {}
        multiply = batch.mask if self._settings.loss.nce_patches == "masked-input" else None
        keys = (batch.photograph, window.real)
        with bf16_autocast(self._device, self._bf16):
            photograph, truth = patch_nce_losses(
                networks.generator, networks.heads, fake, keys, window.sampler, window.rngs, multiply
            )
        return {"nce_photograph": photograph, "nce_truth": truth}

    def _optimise(self, terms: Losses) -> None:
        """Compute the gradients of generator and discriminators from one graph, then take all optimiser steps."""
        networks, weights = self._networks, self._settings.loss
        for optimiser in networks.optimisers.values():
            optimiser.zero_grad(set_to_none=True)
        if networks.discriminator is not None and "discriminator" in terms:
            parameters: list[nn.Parameter] = list(networks.discriminator.parameters())
            torch.autograd.backward(terms["discriminator"], retain_graph=True, inputs=parameters)
        total = torch.stack(
            [getattr(weights, name) * value for name, value in terms.items() if name != "discriminator"]
        ).sum()
        parameters = list(networks.generator.parameters())
        if networks.heads is not None and {"nce_photograph", "nce_truth"} & terms.keys():
            parameters += networks.heads.parameters()
        torch.autograd.backward(total, inputs=parameters)
        average_gradients(networks.parameters())
        for optimiser in networks.optimisers.values():
            optimiser.step()
        networks.update_average()
