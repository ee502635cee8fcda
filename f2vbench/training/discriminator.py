"""What is trained beside the generator – discriminators and projection heads – and the generator's inner maps."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from f2vbench.encoders.global_generator import ResidualBlock
from f2vbench.encoders.model_family import GeneratorShape

ATTENTION_LAYERS = (36, 38)
"""Layers whose activation may be the attention map: the last rectified map, or the last convolution before tanh."""

NCE_LAYERS = (0, 4, 8, 12, 16)
"""Layers of the generator whose maps PatchNCE compares, as in the released code."""


def forward_layers(
    generator: nn.Sequential, x: Tensor, wanted: Collection[int] = (), *, checkpointing: bool = False
) -> tuple[Tensor, dict[int, Tensor]]:
    """Run a generator, or its front part, and keep some of its inner maps.

    The map of a normalisation (layer 8) is rectified, because the ReLU after it works in place.

    Args:
        generator: a ``global_generator`` or a slice of it from 0.
        wanted: indices of the layers whose output is kept.
        checkpointing: compute the residual blocks again in the backward pass, and save the memory of their maps.

    Returns:
        the output, and the maps by index.
    """
    kept: dict[int, Tensor] = {}
    for index, layer in enumerate(generator):
        if isinstance(layer, nn.ConvTranspose2d):
            x = x.contiguous()  # in the layout of its weights
        if checkpointing and torch.is_grad_enabled() and isinstance(layer, ResidualBlock):
            x = cast(Tensor, checkpoint(layer, x, use_reentrant=False))
        else:
            x = layer(x)
        if index in wanted:
            kept[index] = x
    return x, kept


class MultiScaleDiscriminator(nn.Module):
    """PatchGAN discriminators of pix2pixHD on the image at 1, ½, ¼, … of its size.

    Keys are those of its released checkpoints: ``scale{i}_layer{j}.{k}.*``, where scale ``scales − 1`` sees the full
    resolution. Instance normalisation without parameters, leaky ReLU 0.2, 4 × 4 kernels.

    Args:
        inputs: channels: of the photograph and the frames together (6 for Fundus2Video).
        scales: how many discriminators.
        ndf: width of the first layer.
        layers: convolutions that halve the map; receptive field 70 pixels with 3.
    """

    def __init__(self, inputs: int, scales: int = 3, ndf: int = 64, layers: int = 3):
        super().__init__()
        self.scales, self.depth = scales, layers + 2
        widths = [ndf * min(2**level, 8) for level in range(layers + 1)]
        for scale in range(scales):
            for index, layer in enumerate(_patch_layers(inputs, widths)):
                self.add_module(f"scale{scale}_layer{index}", layer)

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        """(n, inputs, h, w) → maps of all layers by scale, full resolution first; the last of a scale is its verdict,
        one number a patch, 1 for real."""
        judged = []
        for position in range(self.scales):
            maps, seen = [], x
            for index in range(self.depth):
                seen = self.get_submodule(f"scale{self.scales - 1 - position}_layer{index}")(seen)
                maps.append(seen)
            judged.append(maps)
            if position + 1 < self.scales:
                x = functional.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
        return judged


def _patch_layers(inputs: int, widths: Sequence[int]) -> list[nn.Sequential]:
    layers = [nn.Sequential(nn.Conv2d(inputs, widths[0], 4, stride=2, padding=2), nn.LeakyReLU(0.2, inplace=True))]
    for index in range(1, len(widths)):
        stride = 1 if index == len(widths) - 1 else 2
        convolution = nn.Conv2d(widths[index - 1], widths[index], 4, stride=stride, padding=2)
        layers.append(nn.Sequential(convolution, nn.InstanceNorm2d(widths[index]), nn.LeakyReLU(0.2, inplace=True)))
    return [*layers, nn.Sequential(nn.Conv2d(widths[-1], 1, 4, padding=2))]


class ProjectionHeads(nn.Module):
    """A two-layer MLP for each compared layer, which makes patches comparable (Park et al. 2020, CUT)."""

    def __init__(self, channels: Sequence[int], width: int = 256):
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(count, width), nn.ReLU(), nn.Linear(width, width)) for count in channels
        )

    def forward(self, layer: int, patches: Tensor) -> Tensor:
        """(n, channels) of the layer-th compared map → (n, width), of length 1, float32."""
        return functional.normalize(self.heads[layer](patches).float(), dim=1)


def nce_channels(shape: GeneratorShape) -> list[int]:
    """Channels of the maps of `NCE_LAYERS`."""
    return [shape.inputs, *(shape.ngf * factor for factor in (2, 4, 8, 16))]


def initialise_normal(module: nn.Module, seed: int) -> None:
    """Weights N(0, 0.02) as in pix2pixHD and CUT, biases zero; each tensor has a random stream of its own name."""
    for name, parameter in module.named_parameters():
        with torch.no_grad():
            if name.endswith("bias"):
                parameter.zero_()
            else:
                stream = torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}".encode()))
                parameter.normal_(0, 0.02, generator=stream)
