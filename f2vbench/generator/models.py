"""All networks of a training with their optimisers and the averaged generator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from f2vbench.encoders.pix2pixhd import GeneratorShape, global_generator, initialise
from f2vbench.generator.networks import MultiScaleDiscriminator, ProjectionHeads, initialise_normal, nce_channels
from f2vbench.generator.settings import TrainSettings

Tensors = tuple[Tensor, ...] | list[Tensor]


def generator_shape(settings: TrainSettings) -> GeneratorShape:
    """Three frames from photograph and three frames, or one frame from a photograph."""
    inputs, outputs = (6, 3) if settings.model == "fundus2video" else (3, 1)
    return GeneratorShape(inputs, outputs, settings.ngf)


class Networks:
    """Generator, discriminators and projection heads, as far as the losses need them.

    Attributes:
        generator: with gradients.
        discriminator, heads: None where no loss needs them.
        average: the exponential moving average of the generator; None when ``ema`` is 0.
        optimisers: Adam, by the network's name.
    """

    def __init__(self, settings: TrainSettings, device: torch.device):
        shape = generator_shape(settings)
        self.generator = global_generator(shape)
        initialise(self.generator, settings.seed)
        self.discriminator: MultiScaleDiscriminator | None = None
        self.heads: ProjectionHeads | None = None
        if settings.uses_discriminators():
            self.discriminator = MultiScaleDiscriminator(3 + shape.outputs, settings.scales, settings.ndf)
            initialise_normal(self.discriminator, settings.seed)
        if settings.uses_nce():
            self.heads = ProjectionHeads(nce_channels(shape))
            initialise_normal(self.heads, settings.seed)
        # Not in channels_last: PyTorch 2.13 gives wrong gradients on a CPU where a transposed convolution follows
        # residual blocks with instance normalisation (seen against finite differences).
        for network in self._trained().values():
            network.to(device).train()
        self.average: AveragedModel | None = None
        if settings.ema:
            self.average = AveragedModel(self.generator, multi_avg_fn=_averaging(settings.ema)).requires_grad_(False)
        self.optimisers = {
            name: torch.optim.Adam(
                network.parameters(), settings.learning_rate, (settings.beta1, settings.beta2), fused=True
            )
            for name, network in self._trained().items()
        }

    def _trained(self) -> dict[str, nn.Module]:
        known = {"generator": self.generator, "discriminator": self.discriminator, "heads": self.heads}
        return {name: network for name, network in known.items() if network is not None}

    @property
    def best(self) -> nn.Sequential:
        """The generator to test and export: the average where there is one."""
        return self.generator if self.average is None else cast(nn.Sequential, self.average.module)

    def parameters(self) -> Iterator[nn.Parameter]:
        for network in self._trained().values():
            yield from network.parameters()

    def set_learning_rate(self, rate: float) -> None:
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = rate

    def update_average(self) -> None:
        if self.average is not None:
            self.average.update_parameters(self.generator)

    def state(self) -> dict[str, Any]:
        """All that training needs to go on, except its place."""
        held = {name: network.state_dict() for name, network in self._trained().items()}
        if self.average is not None:
            held["average"] = self.average.state_dict()
        return {"networks": held, "optimisers": {name: opt.state_dict() for name, opt in self.optimisers.items()}}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state`; the settings have to be the same."""
        for name, network in self._trained().items():
            network.load_state_dict(state["networks"][name])
            self.optimisers[name].load_state_dict(state["optimisers"][name])
        if self.average is not None:
            self.average.load_state_dict(state["networks"]["average"])


def _averaging(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """Exponential averaging whose decay rises with the steps, so that early weights are soon forgotten."""

    @torch.no_grad()
    def update(averaged: Tensors, current: Tensors, steps: Tensor | int) -> None:
        share = 1 - min(decay, (1 + int(steps)) / (10 + int(steps)))
        for held, now in zip(averaged, current, strict=True):
            held.lerp_(now.detach(), share)

    return update
