"""The multi-scale PatchGAN discriminator of pix2pixHD, and the initialisation of the networks beside the generator."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class MultiScaleDiscriminator(nn.Module):
    """PatchGAN discriminators of pix2pixHD on the image at 1, ½, ¼, … of its size.

    State-dict keys are those of the released checkpoints: ``scale{i}_layer{j}.{k}.*``, where scale ``scales − 1``
    processes the full resolution. Instance normalisation without parameters, leaky ReLU 0.2, 4 × 4 kernels.

    Args:
        inputs: Channels of photograph and frames together (6 for Fundus2Video).
        scales: Number of discriminators.
        ndf: Channels of the first layer.
        layers: Convolutions of stride 2 (the first one included); with 3, the receptive field is 70 pixels.
    """

    def __init__(self, inputs: int, scales: int = 3, ndf: int = 64, layers: int = 3):
        super().__init__()
        self.scales, self.depth = scales, layers + 2
        widths = [ndf * min(2**level, 8) for level in range(layers + 1)]
        for scale in range(scales):
            for index, layer in enumerate(_patch_layers(inputs, widths)):
                self.add_module(f"scale{scale}_layer{index}", layer)

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        """Compute the feature maps of all layers.

        Args:
            x: (n, inputs, h, w).

        Returns:
            The maps by scale, full resolution first, and by layer. The last map of a scale is the prediction:
            one value for each patch, 1 for real.
        """
        predictions = []
        for position in range(self.scales):
            maps, features = [], x
            for index in range(self.depth):
                features = self.get_submodule(f"scale{self.scales - 1 - position}_layer{index}")(features)
                maps.append(features)
            predictions.append(maps)
            if position + 1 < self.scales:
                x = functional.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
        return predictions


def _patch_layers(inputs: int, widths: Sequence[int]) -> list[nn.Sequential]:
    layers = [nn.Sequential(nn.Conv2d(inputs, widths[0], 4, stride=2, padding=2), nn.LeakyReLU(0.2, inplace=True))]
    for index in range(1, len(widths)):
        stride = 1 if index == len(widths) - 1 else 2
        convolution = nn.Conv2d(widths[index - 1], widths[index], 4, stride=stride, padding=2)
        layers.append(nn.Sequential(convolution, nn.InstanceNorm2d(widths[index]), nn.LeakyReLU(0.2, inplace=True)))
    return [*layers, nn.Sequential(nn.Conv2d(widths[-1], 1, 4, padding=2))]


def initialise_normal(module: nn.Module, seed: int) -> None:
    """Initialise weights from N(0, 0.02) and biases with zero, as in pix2pixHD and CUT.

    Each tensor has its own random stream, derived from its name, and the global random state is unchanged.

    Args:
        module: Initialised in place.
        seed: Of the random streams.
    """
    for name, parameter in module.named_parameters():
        with torch.no_grad():
            if name.endswith("bias"):
                parameter.zero_()
            else:
                stream = torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}".encode()))
                parameter.normal_(0, 0.02, generator=stream)
