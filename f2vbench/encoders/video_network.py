"""Base class of networks that generate angiogram videos, and have no embeddings and no feature maps."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.nn import functional

from f2vbench.encoders.base import Encoder, check_photographs, resize
from f2vbench.encoders.model_family import FRAMES
from f2vbench.encoders.photograph_input import scaled_photographs
from f2vbench.encoders.spec import ModelSpec
from f2vbench.encoders.vessel_scores import Reading, mean_of_views, read_frames
from f2vbench.errors import SettingsError, WeightsError
from f2vbench.pretrained.checkpoints import read_metadata


class VideoNetwork(Encoder):
    """A network that makes twelve frames from a photograph of one size and from random numbers.

    Photographs are resized to the side of training, and frames back to the photograph. The random numbers of a
    photograph are seeded with its pixels, so that its frames are the same in every batch, order and run.

    Args:
        spec: Of kind `generator`.
        side: Side of the photographs in training, px.
        without_shading: Whether photographs are without their shading, as in training.
    """

    width = 0
    channels = ()
    strides = ()
    multiple = 1
    can_generate = True

    def __init__(self, spec: ModelSpec, side: int, without_shading: bool):
        super().__init__()
        self.spec = spec
        self.embed_size = (side, side)
        self.without_shading = without_shading

    @abstractmethod
    def sample(self, photographs: Tensor, seeds: Sequence[int]) -> Tensor:
        """Videos of photographs.

        Args:
            photographs: (n, 3, side, side) in [−1, 1].
            seeds: A seed of the random numbers of each photograph.

        Returns:
            (n, 12, side, side) in [−1, 1], or slightly beyond.
        """

    @torch.no_grad()
    def generate(self, x: Tensor, frames: int = FRAMES) -> Tensor:
        """Angiogram frames of photographs.

        Args:
            x: (n, 3, h, w) in [0, 1].
            frames: Number of frames from the start of the video; never more than twelve are made.

        Returns:
            (n, min(frames, 12), h, w) float32 in [0, 1].
        """
        check_photographs(x)
        photographs = resize(x.float(), self.embed_size).clamp(0, 1)
        video = self.sample(scaled_photographs(photographs, self.without_shading), [_seed(image) for image in x])
        if tuple(x.shape[2:]) != self.embed_size:
            video = functional.interpolate(video.float(), x.shape[2:], mode="bilinear", align_corners=False)
        return ((video[:, :frames].float() + 1) / 2).clamp(0, 1)

    @torch.no_grad()
    def vessel_score(self, x: Tensor, reading: Reading, views: int = 1) -> Tensor:
        """Vessel score of each pixel, from the generated frames; see `Encoder.vessel_score`."""
        if reading in ("frame", "probability", "truth"):
            raise SettingsError(f"{self.spec.name}: has no vessel score '{reading}'")
        return mean_of_views(lambda view: read_frames(self.generate(view), reading), x, views)

    def prepare(self, images: Tensor) -> Tensor:
        """Not possible: `SettingsError`."""
        self._refuse()

    def pooled(self, prepared: Tensor) -> Tensor:
        """Not possible: `SettingsError`."""
        self._refuse()

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """Not possible: `SettingsError`."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise SettingsError(f"{self.spec.name} generates angiograms; it has no embeddings and no feature maps")


def read_network_metadata(path: Path, key: str, family: str) -> tuple[Mapping[str, Any], int, bool]:
    """What `f2vbench train` stores with the weights of a video network.

    Args:
        path: The weights file.
        key: Entry with the shape of the network.
        family: For messages.

    Returns:
        The shape, the side of the photographs in px, and whether they are without their shading.

    Raises:
        WeightsError: The file is missing or damaged, or contains another network.
    """
    try:
        notes = json.loads(read_metadata(path).get("seen", "{}"))
        shape, side = json.loads(notes[key]), int(notes["side"])
        if not isinstance(shape, dict) or side < 1:
            raise ValueError("its shape is no JSON object")
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{path}: no weights of {family}, which f2vbench train model={family} writes with the shape of the network "
            f"in the metadata ({type(error).__name__}: {error}); name the model that these weights belong to"
        ) from error
    return shape, side, notes.get("photograph") == "normalised"


def _seed(photograph: Tensor) -> int:
    """Seed of a photograph: the start of the SHA-256 of its pixels in 8 bits."""
    pixels = (255 * photograph.detach().float()).round().clamp(0, 255).to("cpu", torch.uint8).contiguous()
    return int.from_bytes(hashlib.sha256(pixels.numpy().tobytes()).digest()[:7], "big")
