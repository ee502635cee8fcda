"""The global generator of pix2pixHD, and Fundus2Video's chain of windows that makes a video with it.

The generator of Wang et al. 2018 ("High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs"): a
7 × 7 convolution, 4 downsampling layers, 9 residual blocks, 4 upsampling layers; instance normalisation without
parameters, reflection padding, tanh. Module indices are those of its released checkpoints: first convolution `model.1`,
downsampling 4, 7, 10, 13, residual blocks 16 to 24, upsampling 25, 28, 31, 34, output 38. Generators of other shapes
(`GeneratorShape`) have the same order of layers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from f2vbench.encoders.model_family import FRAMES, GeneratorShape
from f2vbench.encoders.spec import INIT_SEED

WINDOW = 3
"""Consecutive frames that Fundus2Video predicts at once."""

TRUTH_LAYER = ("truth_weight", "truth_bias")
"""Parameters of the layer that predicts the simulator's truth."""

_PUBLISHED = GeneratorShape(6, WINDOW)


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


class GlobalGenerator(nn.Sequential):
    """The layers of a global generator; a slice of it is a plain `nn.Sequential`, without its skips.

    Args:
        layers: In order.
        shape: Their shape.

    Attributes:
        shape: Input and output channels, widths and layers.
        time: (12, 2, ngf), logarithmic scale and offset of the last feature map's channels at each position in the
            video; zero when untrained. None for generators without a time plane.
        truth_weight: (classes, ngf, 1, 1), the linear layer that predicts the simulator's truth from the last feature
            map; zero when untrained. None for generators without it.
        truth_bias: (classes,), as ``truth_weight``.
    """

    time: nn.Parameter | None
    truth_weight: nn.Parameter | None
    truth_bias: nn.Parameter | None

    def __init__(self, layers: Iterable[nn.Module], shape: GeneratorShape):
        super().__init__(*layers)
        self.shape = shape
        time = nn.Parameter(torch.zeros(FRAMES, 2, shape.ngf)) if shape.time == "plane" else None
        self.register_parameter("time", time)
        sizes = ((shape.classes, shape.ngf, 1, 1), (shape.classes,))
        for name, size in zip(TRUTH_LAYER, sizes, strict=True):
            self.register_parameter(name, nn.Parameter(torch.zeros(size)) if shape.classes else None)

    def __getitem__(self, index: slice | int) -> Any:
        """A layer, or a part of the generator."""
        if isinstance(index, slice):
            return nn.Sequential(OrderedDict(list(self._modules.items())[index]))
        return super().__getitem__(index)

    def forward(self, x: Tensor) -> Tensor:
        """(n, input_channels, h, w) in [−1, 1] → (n, outputs, h, w) in [−1, 1]; sides are multiples of `multiple`."""
        skips, inputs = SkipState(self.shape), x
        for index, layer in enumerate(self):
            x = skips.after(index, layer(x))
            if index == self.shape.last_feature_map:
                x = at_position(x, self.time, inputs)
        return x


def at_position(features: Tensor, time: Tensor | None, inputs: Tensor) -> Tensor:
    """The last feature map at the position in the video that the time plane states.

    The first convolution receives the plane too, but instance normalisation removes whatever is constant over the
    image. So the position acts here, behind the last normalisation: each window reads its frames from the same features
    with scales and offsets of its own.

    Args:
        features: (n, ngf, h, w).
        time: `GlobalGenerator.time`; None returns the features unchanged.
        inputs: (n, input_channels, h, w), the generator's input; its last channel is the plane.
    """
    if time is None:
        return features
    window = ((inputs[:, -1, 0, 0].float() + 1) * (FRAMES - 1) / 2).round().long().clamp(0, FRAMES - 1)
    scale, offset = time[window].unbind(1)
    return features * scale.exp()[..., None, None] + offset[..., None, None]


def truth_logits(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Logits of the classes of the simulator's truth.

    Args:
        features: (n, ngf, h, w), the last feature map at the position in the video (`at_position`).
        weight: `GlobalGenerator.truth_weight`.
        bias: `GlobalGenerator.truth_bias`.

    Returns:
        (n, classes, h, w).
    """
    return functional.conv2d(features, weight, bias)


class SkipState:
    """The feature maps that additive skips carry from the first half of a generator to the second.

    Args:
        shape: Of the generator; without skips nothing is stored or added.
    """

    def __init__(self, shape: GeneratorShape):
        self._levels = {end - 1: level for level, end in enumerate(shape.down_ends)}
        self._targets = {end - 1: shape.downsamplings - level for level, end in enumerate(shape.up_ends)}
        self._is_used = shape.skips == "additive"
        self._maps: dict[int, Tensor] = {}

    def after(self, index: int, x: Tensor) -> Tensor:
        """The output of a layer, with the map of the first half where the second half reaches the same stride.

        Args:
            index: Of the layer.
            x: Its output.
        """
        if not self._is_used:
            return x
        if index in self._levels:
            self._maps[self._levels[index]] = x
        level = self._targets.get(index)
        if level is None or level not in self._maps:
            return x
        skipped = self._maps.pop(level)
        return x[..., : skipped.shape[-2], : skipped.shape[-1]] + skipped


def global_generator(shape: GeneratorShape) -> GlobalGenerator:
    """The whole generator, untrained.

    Args:
        shape: Its channels, widths and layers.

    Returns:
        (n, input_channels, h, w) in [−1, 1] → (n, outputs, h, w) in [−1, 1]; h and w are multiples of
        ``shape.multiple``.
    """
    widths = shape.widths
    layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(shape.input_channels, shape.ngf, 7), *_norm(shape.ngf)]
    for narrow, wide in pairwise(widths):
        layers += [nn.Conv2d(narrow, wide, 3, stride=2, padding=1), *_norm(wide)]
    layers += [ResidualBlock(widths[-1]) for _ in range(shape.blocks)]
    for narrow, wide in reversed(list(pairwise(widths))):
        up = nn.ConvTranspose2d(wide, narrow, 3, stride=2, padding=1, output_padding=1)
        layers += [up, *_norm(narrow)]
    layers += [nn.ReflectionPad2d(3), nn.Conv2d(shape.ngf, shape.outputs, 7), nn.Tanh()]
    return GlobalGenerator(layers, shape)


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


def window_input(
    photograph: Tensor, previous: Tensor | None = None, window: int | Tensor = 0, shape: GeneratorShape = _PUBLISHED
) -> Tensor:
    """The generator's input of a window: the photograph, the three preceding frames, and the position in the video.

    Args:
        photograph: (n, 3, h, w) in [−1, 1].
        previous: (n, 3, h, w), the prediction of the preceding window, or the true frames in its place (teacher
            forcing). None for window 0, where the photograph replaces the frames.
        window: Index of the window, from 0, common to all images or (n,). From `FRAMES` − 1 on, the position is 1.
        shape: Of the generator; it decides which of these the input contains.

    Returns:
        (n, shape.input_channels, h, w).
    """
    parts = [photograph]
    if shape.inputs > photograph.shape[1]:
        parts.append(photograph if previous is None else previous)
    if shape.time == "plane":
        position = torch.as_tensor(window, dtype=photograph.dtype, device=photograph.device)
        plane = (2 * position / (FRAMES - 1) - 1).clamp(max=1).reshape(-1, 1, 1, 1)
        parts.append(plane.expand(photograph.shape[0], 1, *photograph.shape[2:]))
    return torch.cat(parts, 1)


def roll_out(
    generator: Callable[[Tensor], Tensor],
    photograph: Tensor,
    frames: int = FRAMES,
    shape: GeneratorShape = _PUBLISHED,
    first: int = 0,
) -> Tensor:
    """Frames of Fundus2Video's chain of windows, with its triple-frame averaging.

    The input of window n (from 0) is the photograph and the three frames of window n − 1, as predicted, not averaged;
    the input of window 0 is the photograph twice. Its output is frames n + 1, n + 2 and n + 3. A frame is the mean of
    its predictions: 1 for frame 1, 2 for frame 2, 3 for every other frame. In training the frames beyond the end repeat
    the last one; here their predictions are dropped, so that the last frame is also the mean of 3, and the first frames
    of a video do not depend on its length.

    Args:
        generator: (n, input_channels, h, w) → (n, 3, h, w).
        photograph: (n, 3, h, w) in the generator's range.
        frames: Number of frames, 1 or more.
        shape: Of the generator. Where it receives no frames, windows that `first` leaves out are not computed.
        first: Number of frames at the start that are left out.

    Returns:
        (n, frames − first, h, w) in the generator's range.

    Raises:
        ValueError: There is no frame from `first` to `frames`.
    """
    if not 0 <= first < frames:
        raise ValueError(f"frames={frames}, first={first}: must be at least one frame")
    total = photograph.new_zeros(photograph.shape[0], frames, *photograph.shape[2:])
    predictions = photograph.new_zeros(frames)
    previous: Tensor | None = None
    is_chain = shape.inputs > photograph.shape[1]
    for window in range(0 if is_chain else max(0, first - WINDOW + 1), frames):
        previous = generator(window_input(photograph, previous, window, shape))
        within = min(WINDOW, frames - window)
        total[:, window : window + within] += previous[:, :within]
        predictions[window : window + within] += 1
    return (total[:, first:] / predictions[first:, None, None]).contiguous()
