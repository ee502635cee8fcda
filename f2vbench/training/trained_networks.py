"""The networks of a training with their optimisers and the moving average of the generator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from f2vbench.encoders.global_generator import TRUTH_LAYER, WINDOW, GlobalGenerator, global_generator, initialise
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.phantom.truth_classes import TRUTH_CLASSES
from f2vbench.pretrained.checkpoints import read_state_dict
from f2vbench.pretrained.state_dicts import match_state_dict
from f2vbench.training.checkpoints import Checkpoint
from f2vbench.training.discriminator import MultiScaleDiscriminator, initialise_normal
from f2vbench.training.distributed import average_gradients
from f2vbench.training.patch_nce import ProjectionHeads, nce_channels
from f2vbench.training.settings import TrainSettings

Tensors = tuple[Tensor, ...] | list[Tensor]

_FIRST_WEIGHT = "1.weight"
_OUTPUTS = {"fundus2video": WINDOW, "truth": len(TRUTH_CLASSES)}


def generator_shape(settings: TrainSettings) -> GeneratorShape:
    """Shape of the generator: three frames from photograph and three frames, one frame, or the classes of the truth.

    A loss of the truth adds a layer that predicts it beside frames.
    """
    return GeneratorShape(
        inputs=6 if settings.model == "fundus2video" else 3,
        outputs=_OUTPUTS.get(settings.model, 1),
        ngf=settings.ngf,
        downsamplings=settings.downsamplings,
        blocks=settings.blocks,
        skips=settings.skips,
        time=settings.time,
        classes=len(TRUTH_CLASSES) if settings.model != "truth" and settings.loss.truth else 0,
    )


class TrainedNetworks:
    """Networks with their optimisers.

    Args:
        networks: By name, initialised, on the CPU. The network ``generator`` is averaged, validated and exported.
        settings: Of optimiser and moving average.
        device: The networks are moved to it.

    Attributes:
        average: Exponential moving average of the generator; None where ``ema`` is 0.
        optimisers: AdamW (Adam where ``weight_decay`` is 0) by the name of the network.
    """

    def __init__(self, networks: Mapping[str, nn.Module], settings: TrainSettings, device: torch.device):
        self._networks = dict(networks)
        for network in self._networks.values():
            network.to(device).train()
            # Only on a GPU: on a CPU bf16 convolutions are faster in the default order, and PyTorch 2.13 computes the
            # backward pass of InstanceNorm wrongly for a batch of one whose gradient is in channels-last order
            # (findings/instance_norm_batch_of_one.sh). Transposed convolutions keep the default order everywhere, as do
            # networks with GroupNorm, which loses precision in channels-last order.
            has_group_norm = any(isinstance(layer, nn.GroupNorm) for layer in network.modules())
            for layer in network.modules():
                if device.type == "cuda" and isinstance(layer, nn.Conv2d) and not has_group_norm:
                    layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
        self.average: AveragedModel | None = None
        if settings.ema:
            update = _moving_average_update(settings.ema)
            self.average = AveragedModel(networks["generator"], multi_avg_fn=update).requires_grad_(False)
        self.optimisers = {
            name: torch.optim.AdamW(
                _parameter_groups(network, settings.weight_decay),
                settings.learning_rate,
                (settings.beta1, settings.beta2),
                weight_decay=settings.weight_decay,
                fused=True,
            )
            for name, network in self._networks.items()
        }

    @property
    def best(self) -> nn.Module:
        """The generator to validate and export: the moving average, where there is one."""
        return self._networks["generator"] if self.average is None else self.average.module

    def start_from(self, path: Path, prefix: str) -> None:
        """Load a weights file into the generator and its average; other networks keep their initialisation.

        Fundus2Video also accepts a single-frame generator (`expand_to_windows`). The layer that predicts the truth
        keeps its initialisation where the file has none, and is left out where no loss needs it.

        Args:
            path: The weights file.
            prefix: Of the keys in the file, as exported.

        Raises:
            WeightsError: The file is missing or damaged, or has a generator of another shape.
        """
        generator = self._networks["generator"]
        state = {key.removeprefix(prefix): tensor for key, tensor in read_state_dict(path).items()}
        if isinstance(generator, GlobalGenerator):
            state = with_truth_layer(expand_to_windows(state, generator), generator)
        match_state_dict(generator, state, path)
        if self.average is not None:
            self.average.module.load_state_dict(generator.state_dict())

    def parameters(self) -> Iterator[nn.Parameter]:
        """The parameters of all networks."""
        for network in self._networks.values():
            yield from network.parameters()

    def set_learning_rate(self, learning_rate: float) -> None:
        """Set the learning rate of all optimisers."""
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = learning_rate

    def minimise(self, loss: Tensor) -> None:
        """Take one step of all optimisers, with gradients that are averaged over the processes.

        Args:
            loss: Scalar, with its graph.
        """
        for optimiser in self.optimisers.values():
            optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        average_gradients(self.parameters())
        for optimiser in self.optimisers.values():
            optimiser.step()
        self.update_average()

    def update_average(self) -> None:
        """Add the current generator to the moving average, where there is one."""
        if self.average is not None:
            self.average.update_parameters(self._networks["generator"])

    def network_states(self) -> dict[str, Any]:
        """State dictionaries of the networks, and of ``average``, by name."""
        states = {name: network.state_dict() for name, network in self._networks.items()}
        if self.average is not None:
            states["average"] = self.average.state_dict()
        return states

    def optimiser_states(self) -> dict[str, Any]:
        """State dictionaries of the optimisers, by name."""
        return {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()}

    def load(self, checkpoint: Checkpoint) -> None:
        """Load networks and optimisers of a training with the same settings."""
        for name, network in self._networks.items():
            network.load_state_dict(checkpoint.networks[name])
            self.optimisers[name].load_state_dict(checkpoint.optimisers[name])
            match_memory_format(self.optimisers[name])
        if self.average is not None:
            self.average.load_state_dict(checkpoint.networks["average"])


def match_memory_format(optimiser: torch.optim.Optimizer) -> None:
    """Give loaded moments the memory format of their parameters.

    PyTorch's fused optimisers on a CPU pair the elements of parameter, gradient and moments by their order in memory.
    """
    for parameter, state in optimiser.state.items():
        for key, moment in state.items():
            if torch.is_tensor(moment) and moment.shape == parameter.shape and moment.stride() != parameter.stride():
                state[key] = torch.empty_like(parameter, dtype=moment.dtype).copy_(moment)


class GeneratorNetworks(TrainedNetworks):
    """Generator, discriminators and projection heads, as far as the losses need them.

    Args:
        settings: Of the training.
        device: The networks are moved to it.

    Attributes:
        generator: The network that is trained.
        discriminator: None where no loss needs it.
        heads: Projection heads of PatchNCE; None where no loss needs them.
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


def expand_to_windows(state: Mapping[str, Tensor], generator: GlobalGenerator) -> dict[str, Tensor]:
    """Convert a single-frame generator to one of Fundus2Video's windows of three frames.

    Each frame of the converted generator equals the single frame, independently of the preceding frames and of the
    time: the photograph's weights are kept, those of the other inputs are zero, and the last layer is repeated three
    times.

    Args:
        state: State dictionary of a generator. Other shapes than a single-frame generator are returned unchanged.
        generator: The generator to load into.
    """
    shape, converted = generator.shape, dict(state)
    last = [f"{shape.last_convolution}.{name}" for name in ("weight", "bias")]
    if not {_FIRST_WEIGHT, *last} <= state.keys() or (shape.inputs, shape.outputs) != (6, WINDOW):
        return converted
    first = state[_FIRST_WEIGHT]
    if (first.shape[1], state[last[0]].shape[0]) == (3, 1):
        others = first.new_zeros(first.shape[0], shape.input_channels - 3, *first.shape[2:])
        converted[_FIRST_WEIGHT] = torch.cat([first, others], 1)
        for key in last:
            converted[key] = torch.cat([state[key]] * WINDOW)
        if generator.time is not None:
            converted["time"] = torch.zeros_like(generator.time)
    return converted


def with_truth_layer(state: Mapping[str, Tensor], generator: GlobalGenerator) -> dict[str, Tensor]:
    """A state with the layer that predicts the simulator's truth where, and only where, the generator has one.

    Args:
        state: State dictionary of a generator.
        generator: The generator to load into; its own layer replaces one that is missing.
    """
    own = {name: value for name, value in generator.state_dict().items() if name in TRUTH_LAYER}
    others = {name: value for name, value in state.items() if name not in TRUTH_LAYER}
    return others | {name: state.get(name, value) for name, value in own.items()}


def _parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups of AdamW: biases and norms have no weight decay; one group where nothing decays."""
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if not weight_decay:
        return [{"params": trainable}]
    matrices = [parameter for parameter in trainable if parameter.ndim > 1]
    vectors = [parameter for parameter in trainable if parameter.ndim <= 1]
    return [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]


def _moving_average_update(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """Exponential averaging whose decay rises with the number of steps, so that early weights soon lose influence."""

    @torch.no_grad()
    def update(averaged: Tensors, current: Tensors, steps: Tensor | int) -> None:
        share = 1 - min(decay, (1 + int(steps)) / (10 + int(steps)))
        for average, value in zip(averaged, current, strict=True):
            average.lerp_(value.detach(), share)

    return update
