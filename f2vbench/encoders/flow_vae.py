"""`seg2vid`: a conditional variational autoencoder of motion, which warps the photograph and refines the result.

After Seg2Vid (Pan et al. 2019, "Video Generation from Single Semantic Label Map"), whose four parts are here: a motion
encoder of the true video (in training), an image encoder of the first frame, a decoder of flow and visibility, and a
refinement of the warped first frame. The photograph takes the place of the first frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from f2vbench.encoders.model_family import FRAMES
from f2vbench.encoders.spec import INIT_SEED, ModelSpec
from f2vbench.encoders.video_network import VideoNetwork, read_network_metadata
from f2vbench.errors import WeightsError
from f2vbench.pretrained.checkpoints import read_state_dict
from f2vbench.pretrained.state_dicts import match_state_dict

STRIDE = 16
"""The sides of an input are multiples of it."""

_NORM_GROUPS = 8
_CODE_SIDE = 4  # of the latent vector as a map, and of the last map of the motion encoder
_FLOWS = 6  # channels of a frame: forward and backward flow, forward and backward visibility
_UNTRAINED_SIDE = 128  # px, that of `preset=mini`


@dataclass(frozen=True)
class FlowShape:
    """Shape of the network; the defaults are those of `preset=mini`.

    Attributes:
        width: Channels at full resolution, a multiple of 8.
        latent: Length of the latent vector.
    """

    width: int = 24
    latent: int = 64

    @classmethod
    def from_metadata(cls, values: Mapping[str, Any]) -> FlowShape:
        """The shape in the metadata of a weights file.

        Raises:
            KeyError: A value is missing.
            ValueError: A value is no positive number, or the width no multiple of 8.
        """
        shape = cls(int(values["width"]), int(values["latent"]))
        if shape.width < 1 or shape.width % _NORM_GROUPS or shape.latent < 1:
            raise ValueError(str(asdict(shape)))
        return shape


class GeneratedMotion(NamedTuple):
    """Frames of a video, and the motion that they were made from.

    Attributes:
        frames: (n, 12, h, w) in [−1, 1].
        forward: (n, 12, 2, h, w), flow in px (x, y) of each pixel of the photograph to the frame.
        backward: (n, 12, 2, h, w), flow of each pixel of the frame to the photograph.
        visible_in_frame: (n, 12, h, w) in [0, 1], whether a pixel of the photograph is visible in the frame.
        visible_in_photograph: (n, 12, h, w) in [0, 1], whether a pixel of the frame is visible in the photograph.
    """

    frames: Tensor
    forward: Tensor
    backward: Tensor
    visible_in_frame: Tensor
    visible_in_photograph: Tensor


class FlowAutoencoder(nn.Module):
    """The conditional variational autoencoder.

    Args:
        shape: Of the network.
    """

    def __init__(self, shape: FlowShape):
        super().__init__()
        self.shape = shape
        widths = [shape.width * factor for factor in (1, 2, 4, 8, 8)]
        self.motion = nn.Sequential(
            _block(FRAMES + 3, widths[0], stride=2),
            *(_block(narrow, wide, stride=2) for narrow, wide in pairwise(widths)),
            nn.AdaptiveAvgPool2d(_CODE_SIDE),
            nn.Flatten(),
            nn.Linear(widths[-1] * _CODE_SIDE**2, 2 * shape.latent),
        )
        self.image = nn.ModuleList(
            [_block(3, widths[0])] + [_block(narrow, wide, stride=2) for narrow, wide in pairwise(widths)]
        )
        self.code = nn.Linear(shape.latent, widths[-1] * _CODE_SIDE**2)
        self.flow = nn.ModuleList()
        channels = 2 * widths[-1]
        for wide in reversed(widths[1:-1]):
            self.flow.append(_block(channels, wide))
            channels = 2 * wide
        self.flow_head = nn.Conv2d(channels, FRAMES * _FLOWS, 3, padding=1)
        nn.init.zeros_(self.flow_head.weight)  # at the start nothing moves
        nn.init.zeros_(self.flow_head.bias)  # type: ignore[arg-type]  # the layer has a bias
        self.refinement = _Refinement(4 * FRAMES + 3 + channels + widths[0], 2 * shape.width)

    def forward(self, photograph: Tensor, frames: Tensor, noise: Tensor) -> tuple[GeneratedMotion, Tensor, Tensor]:
        """Encode the motion of a video, and decode it.

        Args:
            photograph: (n, 3, h, w) in [−1, 1]; sides are multiples of 16.
            frames: (n, 12, h, w) in [−1, 1], the true frames.
            noise: (n, latent), standard normal.

        Returns:
            The generated video, and mean and logarithmic variance of the latent vector, both (n, latent).
        """
        encoded: Tensor = self.motion(torch.cat([frames, photograph], 1))
        mean, log_variance = _widened(encoded).chunk(2, 1)
        return self.decode(photograph, mean + noise * (log_variance / 2).exp()), mean, log_variance

    def decode(self, photograph: Tensor, code: Tensor) -> GeneratedMotion:
        """Make a video from a photograph and a latent vector.

        Args:
            photograph: (n, 3, h, w) in [−1, 1]; sides are multiples of 16.
            code: (n, latent), standard normal where no true video is known.
        """
        maps = [photograph]
        for block in self.image:
            maps.append(block(maps[-1]))
        *finer, coarsest = maps[1:]
        spread = self.code(code).reshape(len(code), -1, _CODE_SIDE, _CODE_SIDE)
        x = torch.cat([coarsest, _resize(spread, coarsest)], 1)
        for block, skip in zip(self.flow, reversed(finer[1:]), strict=True):
            x = torch.cat([_resize(block(x), skip), skip], 1)
        flows = _resize(_widened(self.flow_head(x)), photograph)
        flows = flows.reshape(len(code), FRAMES, _FLOWS, *photograph.shape[2:])
        forward, backward = flows[:, :, :2], flows[:, :, 2:4]
        # The logit 3 at the start: everything is visible until the training finds otherwise.
        visible_in_frame, visible_in_photograph = (flows[:, :, 4:] + 3).sigmoid().unbind(2)
        warped = warp(_widened(photograph), backward) * visible_in_photograph[:, :, None]
        inputs = [warped.flatten(1, 2), visible_in_photograph, photograph, _resize(x, photograph), finer[0]]
        frames = _widened(self.refinement(torch.cat(inputs, 1))).tanh()
        return GeneratedMotion(frames, forward, backward, visible_in_frame, visible_in_photograph)


def flow_autoencoder(shape: FlowShape, seed: int = INIT_SEED) -> FlowAutoencoder:
    """An untrained network whose weights depend on the seed alone; the global random state does not change.

    Args:
        shape: Of the network.
        seed: Of the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return FlowAutoencoder(shape)


def warp(images: Tensor, flow: Tensor) -> Tensor:
    """Images as each pixel sees them that is displaced by a flow, by bilinear interpolation.

    Positions outside the image have the value of the nearest pixel of the border.

    Args:
        images: (n, c, h, w), common to all frames, or (n, t, c, h, w).
        flow: (n, t, 2, h, w), displacements in px, x to the right and y downwards.

    Returns:
        (n, t, c, h, w); the value at p is that of the image at p + flow(p).
    """
    n, t, _, height, width = flow.shape
    if images.ndim == 4:
        images = images[:, None].expand(-1, t, -1, -1, -1)
    rows = torch.arange(height, dtype=flow.dtype, device=flow.device)[:, None]
    columns = torch.arange(width, dtype=flow.dtype, device=flow.device)
    x, y = flow.flatten(0, 1).unbind(1)
    # Stacked from planes, so that the gradient of the flow is in the default memory order.
    grid = torch.stack([2 * (columns + x) / (width - 1) - 1, 2 * (rows + y) / (height - 1) - 1], -1)
    sampled = functional.grid_sample(
        images.flatten(0, 1), grid, mode="bilinear", padding_mode="border", align_corners=True
    )
    return sampled.reshape(n, t, *sampled.shape[1:])


class FlowGenerator(VideoNetwork):
    """The decoder of the autoencoder, with latent vectors that are drawn from the normal distribution.

    Args:
        spec: Of family `seg2vid`; its `weights` are `untrained` or a file of `f2vbench train model=seg2vid`.

    Raises:
        WeightsError: The file is missing, damaged, or contains another network.
    """

    def __init__(self, spec: ModelSpec):
        path, shape, side, without_shading = spec.weights_file, FlowShape(), _UNTRAINED_SIDE, False
        if path is not None:
            values, side, without_shading = read_network_metadata(path, "seg2vid", spec.family)
            try:
                shape = FlowShape.from_metadata(values)
            except (KeyError, TypeError, ValueError) as error:
                message = f"{path}: the shape in its metadata is damaged ({error}); export it again"
                raise WeightsError(message) from error
        super().__init__(spec, side, without_shading)
        self.network = flow_autoencoder(shape)
        if path is not None:
            match_state_dict(self.network, read_state_dict(path), path)

    def sample(self, photographs: Tensor, seeds: Sequence[int]) -> Tensor:
        """Videos of photographs; see `VideoNetwork.sample`."""
        return self.network.decode(photographs, draw_codes(seeds, self.network.shape.latent, photographs.device)).frames


def draw_codes(seeds: Sequence[int], latent: int, device: torch.device) -> Tensor:
    """Standard normal latent vectors, each from a stream of its own that is drawn on the CPU.

    Args:
        seeds: A seed of each vector.
        latent: Length of a vector.
        device: Of the result.

    Returns:
        float32 (n, latent).
    """
    streams = [torch.Generator().manual_seed(seed) for seed in seeds]
    return torch.stack([torch.randn(latent, generator=stream) for stream in streams]).to(device)


class _Refinement(nn.Module):
    """A U-Net of three levels from warped photographs and features to the logits of all frames."""

    def __init__(self, inputs: int, width: int):
        super().__init__()
        self.down = nn.ModuleList(
            [_block(inputs, width), _block(width, 2 * width, stride=2), _block(2 * width, 4 * width, stride=2)]
        )
        self.middle = _block(4 * width, 4 * width)
        self.up = nn.ModuleList([_block(6 * width, 2 * width), _block(3 * width, width)])
        self.head = nn.Conv2d(width, FRAMES, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for block in self.down:
            x = block(x)
            skips.append(x)
        x = self.middle(x)
        for block, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            x = block(torch.cat([_resize(x, skip), skip], 1))
        frames: Tensor = self.head(x)
        return frames


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Convolution, normalisation in groups of channels, which keeps the brightness of a frame, and activation."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1), nn.GroupNorm(_NORM_GROUPS, outputs), nn.SiLU()
    )


def _widened(x: Tensor) -> Tensor:
    """A tensor in float32 where autocast has reduced its precision."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def _resize(x: Tensor, like: Tensor) -> Tensor:
    """A map at the size of another, by bilinear interpolation."""
    return functional.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)
