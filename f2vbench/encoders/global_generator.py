"""The global generator of pix2pixHD, and Fundus2Video's chain of windows that makes a video with it.

The generator of Wang et al. 2018 ("High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs"): a
7 × 7 convolution, 4 downsampling layers, 9 residual blocks, 4 upsampling layers; instance normalisation without
parameters, reflection padding, tanh. Module indices are those of its released checkpoints: first convolution `model.1`,
downsampling 4, 7, 10, 13, residual blocks 16 to 24, upsampling 25, 28, 31, 34, output 38.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.encoders.spec import INIT_SEED

WINDOW = 3
"""Consecutive frames that Fundus2Video predicts at once."""

LEVELS = 5
"""Resolutions of the generator: stride 1, 2, 4, 8 and 16."""

DOWN_ENDS = (4, 7, 10, 13)
"""Indices of the layers after which the feature maps of stride 1, 2, 4 and 8 are complete."""

BLOCKS_END = 25
"""Index of the layer after the residual blocks, whose feature map has stride 16."""

UP_ENDS = (25, 28, 31, 34, 37)
"""Indices of the layers after which the upsampled maps of stride 16, 8, 4, 2 and 1 are complete."""

_BLOCKS = 9


class ResidualBlock(nn.Module):
    """x plus two 3 × 3 convolutions of x, with instance normalisation."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) → (n, channels, h, w)."""
        change: Tensor = self.conv_block(x)
        return x + change


def generator_widths(ngf: int) -> list[int]:
    """Channels at stride 1, 2, 4, 8 and 16 of a generator whose first layer has `ngf` channels."""
    return [ngf * 2**level for level in range(LEVELS)]


def global_generator(shape: GeneratorShape) -> nn.Sequential:
    """The whole generator, untrained.

    Args:
        shape: Its input and output channels and width.

    Returns:
        (n, inputs, h, w) in [−1, 1] → (n, outputs, h, w) in [−1, 1]; h and w are multiples of 16.
    """
    widths = generator_widths(shape.ngf)
    layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(shape.inputs, shape.ngf, 7), *_norm(shape.ngf)]
    for narrow, wide in pairwise(widths):
        layers += [nn.Conv2d(narrow, wide, 3, stride=2, padding=1), *_norm(wide)]
    layers += [ResidualBlock(widths[-1]) for _ in range(_BLOCKS)]
    for narrow, wide in reversed(list(pairwise(widths))):
        up = nn.ConvTranspose2d(wide, narrow, 3, stride=2, padding=1, output_padding=1)
        layers += [up, *_norm(narrow)]
    layers += [nn.ReflectionPad2d(3), nn.Conv2d(shape.ngf, shape.outputs, 7), nn.Tanh()]
    return nn.Sequential(*layers)


def _norm(channels: int) -> list[nn.Module]:
    return [nn.InstanceNorm2d(channels), nn.ReLU(inplace=True)]


def initialise(module: nn.Sequential, seed: int = INIT_SEED) -> None:
    """Set untrained weights as in pix2pixHD: N(0, 0.02), biases zero.

    Biases are zero instead of PyTorch's small uniform numbers, because instance normalisation removes all but those of
    the last layer. Each layer has its own random stream, seeded with its index, so that a part of a generator has the
    same weights as the whole. The global random state does not change.

    Args:
        module: A global generator, or a slice of one.
        seed: Seed of the random streams.
    """
    for index, layer in module.named_children():
        stream = torch.Generator().manual_seed(1000 * seed + int(index))
        for name, parameter in layer.named_parameters():
            with torch.no_grad():
                if name.endswith("bias"):
                    parameter.zero_()
                else:
                    parameter.normal_(0, 0.02, generator=stream)


def roll_out(generator: Callable[[Tensor], Tensor], photograph: Tensor, frames: int = 12) -> Tensor:
    """Frames of Fundus2Video's chain of windows, with its triple-frame averaging.

    The input of window n (from 0) is the photograph and the three frames of window n − 1, as predicted, not averaged;
    the input of window 0 is the photograph twice. Its output is frames n + 1, n + 2 and n + 3. A frame is the mean of
    its predictions: 1 for frame 1, 2 for frame 2, 3 for every other frame. In training the frames beyond the end repeat
    the last one; here their predictions are dropped, so that the last frame is also the mean of 3, and the first frames
    of a video do not depend on its length.

    Args:
        generator: (n, 6, h, w) → (n, 3, h, w).
        photograph: (n, 3, h, w) in the generator's range.
        frames: Number of frames, 1 or more.

    Returns:
        (n, frames, h, w) in the generator's range.

    Raises:
        ValueError: `frames` is below 1.
    """
    if frames < 1:
        raise ValueError(f"frames={frames}: must be at least one")
    total = photograph.new_zeros(photograph.shape[0], frames, *photograph.shape[2:])
    predictions = photograph.new_zeros(frames)
    previous = photograph
    for window in range(frames):
        previous = generator(torch.cat([photograph, previous], 1))
        within = min(WINDOW, frames - window)
        total[:, window : window + within] += previous[:, :within]
        predictions[window : window + within] += 1
    return total / predictions[:, None, None]
