"""All networks of a training with their optimisers and the averaged generator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from f2vbench.encoders.global_generator import WINDOW, global_generator, initialise
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.pretrained.checkpoints import read_state_dict
from f2vbench.pretrained.state_dicts import match_state_dict
from f2vbench.training.discriminator import MultiScaleDiscriminator, ProjectionHeads, initialise_normal, nce_channels
from f2vbench.training.settings import TrainSettings

Tensors = tuple[Tensor, ...] | list[Tensor]

_FRONT, _OUTPUT = "1.weight", ("38.weight", "38.bias")


def generator_shape(settings: TrainSettings) -> GeneratorShape:
    """Three frames from photograph and three frames, or one frame from a photograph."""
    inputs, outputs = (6, 3) if settings.model == "fundus2video" else (3, 1)
    return GeneratorShape(inputs, outputs, settings.ngf)


class TrainedNetworks:
    """Networks with their optimisers.

    Args:
        networks: initialised, on the CPU, by name; ``generator`` is the one that is averaged, tested and exported.

    Attributes:
        average: the exponential moving average of the generator; None when ``ema`` is 0.
        optimisers: AdamW (Adam when ``weight_decay`` is 0), by the network's name.
    """

    def __init__(self, networks: Mapping[str, nn.Module], settings: TrainSettings, device: torch.device):
        self._trained = dict(networks)
        for network in self._trained.values():
            network.to(device).train()
            for layer in network.modules():
                # Not the transposed ones: with their weights in channels_last PyTorch 2.13 gives wrong gradients on a
                # CPU (seen against float64 and finite differences).
                if isinstance(layer, nn.Conv2d):
                    layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
        self.average: AveragedModel | None = None
        if settings.ema:
            averaging = _averaging(settings.ema)
            self.average = AveragedModel(networks["generator"], multi_avg_fn=averaging).requires_grad_(False)
        self.optimisers = {
            name: torch.optim.AdamW(
                _decaying(network, settings.weight_decay),
                settings.learning_rate,
                (settings.beta1, settings.beta2),
                weight_decay=settings.weight_decay,
                fused=True,
            )
            for name, network in self._trained.items()
        }

    @property
    def best(self) -> nn.Module:
        """The generator to test and export: the average where there is one."""
        return self._trained["generator"] if self.average is None else self.average.module

    def start_from(self, path: Path, prefix: str) -> None:
        """Put a weights file into the generator and its average; all else stays as initialised.

        Args:
            prefix: of the file's keys, as exported.

        Fundus2Video takes a generator of one frame as well (`for_windows`).

        Raises:
            WeightsError: missing, damaged, or of a generator of another shape.
        """
        generator = self._trained["generator"]
        state = {key.removeprefix(prefix): tensor for key, tensor in read_state_dict(path).items()}
        state = for_windows(state, generator.state_dict())
        match_state_dict(generator, state, path)
        if self.average is not None:
            self.average.module.load_state_dict(generator.state_dict())

    def parameters(self) -> Iterator[nn.Parameter]:
        for network in self._trained.values():
            yield from network.parameters()

    def set_learning_rate(self, rate: float) -> None:
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = rate

    def update_average(self) -> None:
        if self.average is not None:
            self.average.update_parameters(self._trained["generator"])

    def state(self) -> dict[str, Any]:
        """All that training needs to go on, except its place."""
        held = {name: network.state_dict() for name, network in self._trained.items()}
        if self.average is not None:
            held["average"] = self.average.state_dict()
        return {"networks": held, "optimisers": {name: opt.state_dict() for name, opt in self.optimisers.items()}}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state`; the settings have to be the same."""
        for name, network in self._trained.items():
            network.load_state_dict(state["networks"][name])
            self.optimisers[name].load_state_dict(state["optimisers"][name])
        if self.average is not None:
            self.average.load_state_dict(state["networks"]["average"])


class Networks(TrainedNetworks):
    """Generator, discriminators and projection heads, as far as the losses need them.

    Attributes:
        generator: with gradients.
        discriminator, heads: None where no loss needs them.
    """

    def __init__(self, settings: TrainSettings, device: torch.device):
        shape = generator_shape(settings)
        self.generator = global_generator(shape)
        initialise(self.generator, settings.seed)
        self.discriminator: MultiScaleDiscriminator | None = None
        self.heads: ProjectionHeads | None = None
        networks: dict[str, nn.Module] = {"generator": self.generator}
        if settings.uses_discriminators():
            self.discriminator = MultiScaleDiscriminator(3 + shape.outputs, settings.scales, settings.ndf)
            initialise_normal(self.discriminator, settings.seed)
            networks["discriminator"] = self.discriminator
        if settings.uses_nce():
            self.heads = ProjectionHeads(nce_channels(shape))
            initialise_normal(self.heads, settings.seed)
            networks["heads"] = self.heads
        super().__init__(networks, settings, device)


def for_windows(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A generator of one frame as one of Fundus2Video's windows: every frame is the one, whatever the frames before.

    The photograph's weights stay, those of the three frames before begin at zero (and learn from there), and the last
    layer is there three times. Any other state comes back as it is.
    """
    made = dict(state)
    if _channels(state) == (3, 1) and _channels(wanted) == (6, WINDOW):
        made[_FRONT] = torch.cat([state[_FRONT], torch.zeros_like(state[_FRONT])], 1)
        for key in _OUTPUT:
            made[key] = torch.cat([state[key]] * WINDOW)
    return made


def _channels(state: Mapping[str, Tensor]) -> tuple[int, int] | None:
    """In and out, of a global generator's state."""
    if not {_FRONT, *_OUTPUT} <= state.keys():
        return None
    return state[_FRONT].shape[1], state[_OUTPUT[0]].shape[0]


def _decaying(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Parameter groups: biases and norms do not decay; one group where nothing does."""
    learnt = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if not decay:
        return [{"params": learnt}]
    groups = {ndim: [each for each in learnt if (each.ndim > 1) is ndim] for ndim in (True, False)}
    return [{"params": groups[True]}, {"params": groups[False], "weight_decay": 0.0}]


def _averaging(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """Exponential averaging whose decay rises with the steps, so that early weights are soon forgotten."""

    @torch.no_grad()
    def update(averaged: Tensors, current: Tensors, steps: Tensor | int) -> None:
        share = 1 - min(decay, (1 + int(steps)) / (10 + int(steps)))
        for held, now in zip(averaged, current, strict=True):
            held.lerp_(now.detach(), share)

    return update
