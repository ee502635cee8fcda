"""What every encoder is: photographs in; feature vectors, feature maps or angiogram frames out."""

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

from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import DataError, SettingsError

SMALLEST_SIDE = 32
# On a CPU a batch is no faster than its images one by one, and alone an image's embedding can't depend, not even in
# the last bit, on the images beside it.
_EMBED_BATCH = {"cpu": 1, "cuda": 8}


class Encoder(nn.Module, ABC):
    """A model under test. It owns its preprocessing, feature width and weights.

    Attributes:
        spec: what it was built from.
        width: length of an embedding.
        channels, strides: of the pyramid's maps, finest first; strides are powers of two and may repeat.
        multiple: sides that are a multiple of it are encoded without padding or resizing.
        embed_size: (height, width) in pixels to which `prepare` brings a photograph.
        can_generate: whether `generate` works.
        phase: which one it is that a generator of a single frame makes: ``arterial``, ``venous`` or ``late``.
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
        """What the network sees for embedding: (n, 3, h, w) uint8 RGB, resized to ``embed_size`` and normalised.

        The whole photograph is kept; a photograph that is not square loses its aspect ratio.
        """

    @abstractmethod
    def pooled(self, prepared: Tensor) -> Tensor:
        """(n, width) embeddings of what `prepare` gave."""

    @abstractmethod
    def pyramid(self, x: Tensor) -> list[Tensor]:
        """Feature maps of photographs, finest first; differentiable.

        Args:
            x: (n, 3, h, w) floating point RGB in [0, 1], sides of 32 or more, of any size.

        Returns:
            (n, channels[i], ⌈h / strides[i]⌉, ⌈w / strides[i]⌉).

        Raises:
            DataError: another shape, type or a smaller side.
            SettingsError: the model gives no feature maps.
        """

    def prepare_view(self, views: Tensor) -> Tensor:
        """As `prepare`, of parts of photographs that were cut for training: nothing more is cut off."""
        return self.prepare(views)

    def distances(self) -> dict[str, int]:
        """Layers from each parameter to the embedding, for learning rates that fall towards the photograph.

        1 for the last layer, most for the first; 0 is the head's own. By default the parts of the network, where it is
        one module the parts of that, in the order in which they were registered.
        """
        module, prefix = cast(nn.Module, self), ""
        while not list(module.parameters(recurse=False)):
            parts = [(name, part) for name, part in module.named_children() if list(part.parameters())]
            if len(parts) != 1:
                break
            module, prefix = parts[0][1], f"{prefix}{parts[0][0]}."
        layers = list(dict.fromkeys(_layer(name, prefix) for name, _ in self.named_parameters()))
        return {name: len(layers) - layers.index(_layer(name, prefix)) for name, _ in self.named_parameters()}

    def add_drop_path(self, rate: float) -> int:
        """Let training skip residual branches (stochastic depth), ``rate`` of the last block's, of the first none.

        Returns:
            How many blocks can be skipped; 0 where the network has none for which that is foreseen, as by default.
        """
        return 0

    def framed(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The part of an (h, w, 3) photograph that `embed` shows to `prepare`: all of it, unless a model says else."""
        return image

    @torch.inference_mode()
    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """One feature vector a photograph.

        Args:
            images: uint8 (h, w, 3) RGB arrays, sizes may differ.

        Returns:
            float32 (n, width).

        Raises:
            DataError: an image has another shape or type.
        """
        device = next((parameter.device for parameter in self.parameters()), torch.device("cpu"))
        for position, image in enumerate(images):
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
                raise DataError(f"image {position}: embed needs uint8 (h, w, 3) RGB, got {image.dtype} {image.shape}")
        rows = [np.zeros((0, self.width), np.float32)]
        batch = _EMBED_BATCH.get(device.type, 1)
        for start in range(0, len(images), batch):
            prepared = [self.prepare(_to_tensor(self.framed(image), device)) for image in images[start : start + batch]]
            rows.append(self.pooled(torch.cat(prepared)).float().cpu().numpy())
        return np.concatenate(rows)

    def generate(self, x: Tensor, frames: int = 12) -> Tensor:
        """Angiogram frames of (n, 3, h, w) photographs in [0, 1]: (n, frames, h, w) in [0, 1].

        Raises:
            SettingsError: the model generates none (``can_generate`` is False).
        """
        raise SettingsError(f"{self.spec.name} gives features, it generates no angiogram; use a fundus2video model")

    def describe(self) -> dict[str, Any]:
        """Parameters of the encoder part, embedding width, maps and weights, for listings and provenance."""
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
        """Hex sha256 of names, types, shapes and values of the encoder's tensors as they are now."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()


def check_photographs(x: Tensor) -> None:
    """Raise DataError unless ``x`` is a (n, 3, h, w) floating-point batch with sides of 32 or more."""
    if x.ndim != 4 or x.shape[1] != 3 or not x.is_floating_point() or min(x.shape[2:]) < SMALLEST_SIDE:
        raise DataError(
            f"photographs must be floating point (n, 3, h, w) in [0, 1] with sides of at least {SMALLEST_SIDE} px, "
            f"got {x.dtype} {tuple(x.shape)}"
        )


def to_unit(images: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """(n, 3, *size) float32 in [0, 1] of uint8 images, resized with anti-aliasing (``bilinear`` or ``bicubic``)."""
    return resized(images.float() / 255, size, mode).clamp(0, 1)


def resized(x: Tensor, size: tuple[int, int], mode: str = "bilinear") -> Tensor:
    """``x`` at another size, with anti-aliasing where it shrinks; itself where the size is right already."""
    if tuple(x.shape[2:]) == size:
        return x
    return functional.interpolate(x, size=size, mode=mode, align_corners=False, antialias=True)


def _layer(parameter: str, prefix: str) -> str:
    """The part of a network that holds a parameter; "" for the network itself."""
    return parameter.removeprefix(prefix).rpartition(".")[0].partition(".")[0]


def _to_tensor(image: NDArray[np.uint8], device: torch.device) -> Tensor:
    return torch.from_numpy(np.array(image)).to(device).permute(2, 0, 1)[None]
