"""The interface of encoders: photographs in; feature vectors, feature maps or angiogram frames out."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from f2vbench.data.images import Photo, rgb_images
from f2vbench.encoders.spec import ModelSpec
from f2vbench.encoders.vessel_scores import Reading
from f2vbench.errors import DataError, SettingsError

MIN_SIDE = 32
"""Smallest side of a photograph, px."""

# On a CPU a batch is no faster than single images, and the embedding of a single image can't depend, not even in the
# last bit, on other images of its batch.
_EMBED_BATCH = {"cpu": 1, "cuda": 8}


class Encoder(nn.Module, ABC):
    """A model under test. It defines its preprocessing, feature width and weights.

    Attributes:
        spec: The specification that it was built from.
        width: Length of an embedding.
        channels: Channels of the feature maps, finest first.
        strides: Strides of the feature maps, finest first: powers of two, which may repeat.
        multiple: Photographs whose sides are a multiple of it are encoded without padding or resizing.
        embed_size: (height, width) in pixels to which `prepare` resizes a photograph.
        can_generate: Whether `generate` works.
        phase: Phase of the frame of a generator that makes one frame: `arterial`, `venous` or `late`.
    """

    spec: ModelSpec
    width: int
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    multiple: int
    embed_size: tuple[int, int]
    can_generate: bool = False
    phase: str = "venous"

    @abstractmethod
    def prepare(self, images: Tensor) -> Tensor:
        """Input of the network for an embedding: photographs resized to `embed_size` and normalised.

        The whole photograph is kept; a photograph that is not square loses its aspect ratio.

        Args:
            images: (n, 3, h, w) uint8 RGB.
        """

    @abstractmethod
    def pooled(self, prepared: Tensor) -> Tensor:
        """(n, width) embeddings of the output of `prepare`."""

    @abstractmethod
    def pyramid(self, x: Tensor) -> list[Tensor]:
        """Feature maps of photographs, finest first; differentiable.

        Args:
            x: (n, 3, h, w) floating-point RGB in [0, 1], sides of 32 px or more, of any size.

        Returns:
            (n, channels[i], ⌈h / strides[i]⌉, ⌈w / strides[i]⌉).

        Raises:
            DataError: Another shape or type, or a smaller side.
            SettingsError: The model has no feature maps.
        """

    def prepare_view(self, views: Tensor) -> Tensor:
        """Like `prepare`, for crops of photographs that are used in training; crops nothing more.

        Args:
            views: (n, 3, h, w) uint8 RGB.
        """
        return self.prepare(views)

    def layer_distances(self) -> dict[str, int]:
        """Distance in layers from each parameter to the embedding, for learning rates that decay with depth.

        By default the layers are the children of the network, in the order of registration; a network with a single
        child is replaced by that child.

        Returns:
            By name of the parameter: 1 for the last layer, the largest number for the first; 0 for parameters that
            learn as fast as the head.
        """
        module, prefix = cast(nn.Module, self), ""
        while not list(module.parameters(recurse=False)):
            children = [(name, child) for name, child in module.named_children() if list(child.parameters())]
            if len(children) != 1:
                break
            module, prefix = children[0][1], f"{prefix}{children[0][0]}."
        layers = list(dict.fromkeys(_layer(name, prefix) for name, _ in self.named_parameters()))
        return {name: len(layers) - layers.index(_layer(name, prefix)) for name, _ in self.named_parameters()}

    def add_drop_path(self, rate: float) -> int:
        """Add stochastic depth: training skips residual branches at random.

        Args:
            rate: Probability for the last block; it falls linearly to 0 for the first.

        Returns:
            Number of blocks with stochastic depth; 0, as by default, for networks that do not support it.
        """
        return 0

    def crop_photograph(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The part of an (h, w, 3) photograph that `embed` passes to `prepare`; by default the whole photograph."""
        return image

    @torch.inference_mode()
    def embed(self, images: Sequence[Photo], crops: Sequence[bool] | None = None) -> NDArray[np.float32]:
        """One embedding for each photograph.

        Args:
            images: uint8 (h, w, 3) RGB arrays, Pillow images or paths, sizes may differ.
            crops: Whether `crop_photograph` is applied to each image; None for all. Images without a round field of
                view, such as OCT, are not cropped.

        Returns:
            float32 (n, width).

        Raises:
            DataError: A file can't be read, or an image has another shape or type.
        """
        device = next((parameter.device for parameter in self.parameters()), torch.device("cpu"))
        arrays = rgb_images(images)
        rows = [np.zeros((0, self.width), np.float32)]
        batch = _EMBED_BATCH.get(device.type, 1)
        for start in range(0, len(arrays), batch):
            group = range(start, min(start + batch, len(arrays)))
            cropped = [self.crop_photograph(arrays[i]) if crops is None or crops[i] else arrays[i] for i in group]
            prepared = torch.cat([self.prepare(_to_tensor(image, device)) for image in cropped])
            rows.append(self.pooled(prepared).float().cpu().numpy())
        return np.concatenate(rows)

    def generate(self, x: Tensor, frames: int = 12) -> Tensor:
        """Angiogram frames of photographs.

        Args:
            x: (n, 3, h, w) in [0, 1].
            frames: Number of frames.

        Returns:
            (n, frames, h, w) in [0, 1].

        Raises:
            SettingsError: The model generates no frames (`can_generate` is False).
        """
        raise SettingsError(f"{self.spec.name} generates no angiogram; use a fundus2video model")

    def vessel_score(self, x: Tensor, reading: Reading, views: int = 1) -> Tensor:
        """Vessel score of each pixel without training, from the output of a generator.

        Args:
            x: (n, 3, h, w) in [0, 1].
            reading: What is computed from the output.
            views: Mean of the scores of the first so many of eight views: the photograph rotated by multiples of 90°,
                then its mirror image.

        Returns:
            (n, h, w); higher is more vessel-like. For the reading ``truth`` (n, classes, h, w) probabilities.

        Raises:
            SettingsError: The model has no such score.
        """
        raise SettingsError(f"{self.spec.name} is no generator and has no vessel score; use a fundus2video model")

    def describe(self) -> dict[str, Any]:
        """Number of parameters, embedding width, feature maps and weights, for listings and provenance."""
        return {
            "model": self.spec.name,
            "architecture": self.spec.architecture,
            "weights": self.spec.weights_label,
            "parameters": sum(parameter.numel() for parameter in self.parameters()),
            "width": self.width,
            "channels": list(self.channels),
            "strides": list(self.strides),
        }

    def state_sha256(self) -> str:
        """Hex SHA-256 of names, types, shapes and current values of the encoder's tensors."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()


def check_photographs(x: Tensor, min_side: int = MIN_SIDE, side: int | None = None) -> None:
    """Check that `x` is a batch of photographs.

    Args:
        x: The batch.
        min_side: Smallest side in pixels.
        side: Side in pixels of the only size that a network accepts.

    Raises:
        DataError: It is not floating point, not (n, 3, h, w), or has a smaller side, or another one than `side`.
    """
    if side is not None and tuple(x.shape[2:]) != (side, side):
        raise DataError(f"photographs must have {side} × {side} px for this network, got {tuple(x.shape)}")
    if x.ndim != 4 or x.shape[1] != 3 or not x.is_floating_point() or min(x.shape[2:]) < min_side:
        raise DataError(
            f"photographs must be floating point (n, 3, h, w) in [0, 1] with sides of at least {min_side} px, "
            f"got {x.dtype} {tuple(x.shape)}"
        )


def resize_uint8(images: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """Photographs in [0, 1] at another size.

    Args:
        images: (n, 3, h, w) uint8.
        size: (height, width) in pixels.
        mode: `bilinear` or `bicubic`, both with anti-aliasing.

    Returns:
        (n, 3, *size) float32 in [0, 1].
    """
    return resize(images.float().div_(255), size, mode).clamp(0, 1)


def resize(x: Tensor, size: tuple[int, int], mode: str = "bilinear") -> Tensor:
    """(n, c, *size) `x` at another size, with anti-aliasing; unchanged where it has this size."""
    if tuple(x.shape[2:]) == size:
        return x
    return functional.interpolate(x, size=size, mode=mode, align_corners=False, antialias=True)


def _layer(parameter: str, prefix: str) -> str:
    """Name of the child module that contains a parameter; "" for the network itself."""
    return parameter.removeprefix(prefix).rpartition(".")[0].partition(".")[0]


def _to_tensor(image: NDArray[np.uint8], device: torch.device) -> Tensor:
    return torch.from_numpy(np.array(image)).to(device).permute(2, 0, 1)[None]
