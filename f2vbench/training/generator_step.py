"""The optimiser steps on a batch of videos: one a window, as in the released code, without gradients through time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import numpy as np
import torch
from torch import Tensor, nn

from f2vbench.data.cases import LAST_FRAME_OF_PHASE
from f2vbench.training import losses
from f2vbench.training.data.batches import VideoBatch
from f2vbench.training.discriminator import forward_layers
from f2vbench.training.distributed import average, average_gradients
from f2vbench.training.frame_windows import truth_probability, window_input, window_target
from f2vbench.training.patch_nce import PatchSampler, patch_nce_losses
from f2vbench.training.settings import TrainSettings
from f2vbench.training.trained_networks import Networks

Terms = dict[str, Tensor]


class VideoStep:
    """Trains networks on one batch of videos at a time.

    Nothing is computed twice that can be shared: a discriminator sees fake and real, whole and masked, in one pass
    that serves its own loss, the generator's and feature matching; the generated frames are encoded once for both
    PatchNCE losses, and the keys of both in one pass without gradients.

    All chance comes from (seed, epoch, index of the video, window), so a training that goes on is the same training,
    and videos can be shared out between processes in any way.
    """

    def __init__(self, settings: TrainSettings, networks: Networks, device: torch.device, bf16: bool):
        self._settings = settings
        self._networks = networks
        self._device = device
        self._bf16 = bf16
        self._vgg = losses.Vgg19Features(settings.loss.vgg).to(device) if settings.loss.vgg else None
        self._forward: Callable[..., tuple[Tensor, dict[int, Tensor]]] = (
            torch.compile(forward_layers) if settings.compile else forward_layers
        )

    def __call__(self, batch: VideoBatch, epoch: int, videos: int) -> dict[str, float]:
        """One pass over a batch.

        Args:
            epoch: part of the random numbers' seed.
            videos: how many training videos went before, for the share of true frames as input.

        Returns:
            the losses, unweighted, averaged over windows and videos, and ``contrast``, the generated
            frames' mean standard deviation over space. A value that is not finite means that training diverged.
        """
        batch = batch.to(self._device)
        told: list[Terms] = []
        everything = epoch >= self._settings.pixel_epochs
        windows = self._windows(batch, epoch, videos)
        previous = window_target(batch.frames, windows[0] - 1) if windows[0] else None
        sampler = PatchSampler(batch.mask if self._settings.loss.nce_patches == "in-mask" else None)
        for window in windows:
            rngs = [np.random.default_rng([self._settings.seed, epoch, index, window]) for index in batch.indices]
            if previous is not None and window > windows[0]:
                previous = self._sometimes_truth(previous, batch, window, videos, rngs)
            target = self._target(batch, window)
            previous, terms = self._window(self._input(batch, previous), target, batch, sampler, rngs, everything)
            told.append(terms)
        table = torch.stack([torch.stack([terms[name] for name in told[0]]) for terms in told]).mean(0)
        average([table])
        return dict(zip(told[0], table.tolist(), strict=True))

    def _windows(self, batch: VideoBatch, epoch: int, videos: int) -> range:
        """The windows that a batch is trained on: all, or one of the videos' equal parts, which begins with true
        frames; the same for all processes."""
        if not self._is_video:
            return range(1)
        frames, taken = batch.frames.shape[1], min(self._settings.windows, batch.frames.shape[1])
        draw = np.random.default_rng([self._settings.seed, epoch, videos, frames])
        start = int(draw.integers(frames // taken)) * taken
        return range(start, start + taken)

    @property
    def _is_video(self) -> bool:
        return self._settings.model == "fundus2video"

    def _input(self, batch: VideoBatch, previous: Tensor | None) -> Tensor:
        return window_input(batch.photograph, previous) if self._is_video else batch.photograph

    def _target(self, batch: VideoBatch, window: int) -> Tensor:
        if self._is_video:
            return window_target(batch.frames, window)
        return batch.frames[:, [LAST_FRAME_OF_PHASE[self._settings.phase]]]

    def _sometimes_truth(
        self, previous: Tensor, batch: VideoBatch, window: int, videos: int, rngs: Sequence[np.random.Generator]
    ) -> Tensor:
        """The frames before a window: as generated, or now and then the true ones."""
        chosen = self._settings
        probability = truth_probability(videos, chosen.truth_start, chosen.truth_end, chosen.truth_videos)
        truth = torch.tensor([rng.random() < probability for rng in rngs], device=previous.device)
        return torch.where(truth[:, None, None, None], window_target(batch.frames, window - 1), previous)

    def _window(
        self,
        seen: Tensor,
        real: Tensor,
        batch: VideoBatch,
        sampler: PatchSampler,
        rngs: Sequence[np.random.Generator],
        everything: bool,
    ) -> tuple[Tensor, Terms]:
        """One step of all networks (or, without ``everything``, of the generator on its pixel losses); returns the
        generated frames without gradients, and the losses."""
        settings, networks, weights = self._settings, self._networks, self._settings.loss
        wanted = (weights.attention_layer,) if weights.attention and everything else ()
        with self._arithmetic():
            out, kept = self._forward(networks.generator, seen, wanted, checkpointing=settings.checkpointing)
        fake = out.float()
        terms: Terms = {}
        if networks.discriminator is not None and everything:
            terms |= self._judge(networks.discriminator, batch, fake, real)
        if weights.attention and everything:
            activation = kept[weights.attention_layer]
            terms["attention"] = losses.attention_loss(activation, batch.mask, weights.attention_variant)
        if networks.heads is not None and everything:
            with self._arithmetic():
                keys = (batch.photograph, real)
                multiply = batch.mask if weights.nce_patches == "masked-input" else None
                up, sp = patch_nce_losses(networks.generator, networks.heads, fake, keys, sampler, rngs, multiply)
            terms |= {"nce_photograph": up, "nce_truth": sp}
        if weights.gradient_variance and everything:
            terms["gradient_variance"] = losses.gradient_variance_loss(fake, real)
        if weights.pixel:
            terms["pixel"] = losses.pixel_loss(fake, real, batch.inside)
        if weights.squared:
            terms["squared"] = losses.squared_loss(fake, real, batch.inside)
        if weights.perceptual and self._vgg is not None and everything:
            with self._arithmetic():
                terms["perceptual"] = losses.perceptual_loss(fake, real, self._vgg)
        self._optimise(terms)
        terms["contrast"] = fake.detach().std((2, 3)).mean()
        return fake.detach(), {name: value.detach() for name, value in terms.items()}

    def _judge(self, discriminator: nn.Module, batch: VideoBatch, fake: Tensor, real: Tensor) -> Terms:
        """Losses from the discriminators' verdicts on fake and real, whole and, if so set, masked."""
        views = [fake, real]
        if self._settings.loss.masked_discriminators:
            views += [fake * batch.mask, real * batch.mask]
        pairs = torch.cat([torch.cat([batch.photograph, view], 1) for view in views])
        with self._arithmetic():
            judged = discriminator(pairs)
        parts = [[[layer.chunk(len(views))[view] for layer in scale] for scale in judged] for view in range(len(views))]
        terms: dict[str, list[Tensor]] = {"discriminator": [], "gan": []}
        for of_fake, of_real in zip(parts[0::2], parts[1::2], strict=True):
            terms["discriminator"].append(losses.lsgan_discriminator_loss(of_fake, of_real))
            terms["gan"].append(losses.lsgan_generator_loss(of_fake))
            if self._settings.loss.feature_matching:
                matching = losses.feature_matching_loss(of_fake, of_real)
                terms.setdefault("feature_matching", []).append(matching)
        return {name: torch.stack(values).sum() for name, values in terms.items()}

    def _optimise(self, terms: Terms) -> None:
        """Gradients of both sides from the one graph, each for its own parameters, then the steps."""
        networks, weights = self._networks, self._settings.loss
        for optimiser in networks.optimisers.values():
            optimiser.zero_grad(set_to_none=True)
        if networks.discriminator is not None and "discriminator" in terms:
            own = list(networks.discriminator.parameters())
            terms["discriminator"].backward(retain_graph=True, inputs=own)
        total = torch.stack(
            [getattr(weights, name) * value for name, value in terms.items() if name != "discriminator"]
        ).sum()
        joined = networks.heads is not None and {"nce_photograph", "nce_truth"} & terms.keys()
        heads = list(networks.heads.parameters()) if networks.heads is not None and joined else []
        total.backward(inputs=[*networks.generator.parameters(), *heads])
        average_gradients(networks.parameters())
        for optimiser in networks.optimisers.values():
            optimiser.step()
        networks.update_average()

    def _arithmetic(self) -> AbstractContextManager[object]:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16)
