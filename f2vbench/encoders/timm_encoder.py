"""Encoder around a network of timm: preprocessing, embeddings, feature maps, and layers for fine-tuning."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from f2vbench.data.field_of_view import field_of_view
from f2vbench.data.square_crop import SquareView
from f2vbench.encoders.base import Encoder, check_photographs, resize, resize_uint8
from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import SettingsError
from f2vbench.utils.torchvision_compat import allow_missing_torchvision_ops

allow_missing_torchvision_ops()

from timm.layers.drop import DropPath  # noqa: E402
from timm.models import group_parameters  # noqa: E402

_TRANSFORMER_MAPS = 4
_FILLED_SQUARE = 0.97  # share of the side; the detected field of view may be a little smaller than the true one
_RESIDUAL_BRANCHES = ("drop_path", "drop_path1", "drop_path2")
_FINAL_NORMS = ("norm.", "fc_norm.")


@dataclass(frozen=True)
class Preprocessing:
    """How a photograph becomes the input of a network for an embedding.

    Attributes:
        size: (height, width) of the input in pixels.
        mean: Mean of RGB in [0, 1], for the normalisation.
        std: Standard deviation of RGB in [0, 1], for the normalisation.
        interpolation: `bilinear` or `bicubic`, both with anti-aliasing.
        shorter_side: Size of the photograph's shorter side before the centre crop of `size`. None: the whole photograph
            is resized to `size`.
        crops_to_field: Whether `embed` first crops the square around the field of view.
    """

    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str
    shorter_side: int | None = None
    crops_to_field: bool = False

    def resize(self, images: Tensor) -> Tensor:
        """(n, 3, *size) in [0, 1] of (n, 3, h, w) uint8 photographs."""
        if self.shorter_side is None:
            return resize_uint8(images, self.size, self.interpolation)
        height, width = images.shape[2:]
        scale = self.shorter_side / min(height, width)
        whole_size = (max(round(height * scale), self.size[0]), max(round(width * scale), self.size[1]))
        top, left = ((side - kept) // 2 for side, kept in zip(whole_size, self.size, strict=True))
        whole = resize_uint8(images, whole_size, self.interpolation)
        return whole[:, :, top : top + self.size[0], left : left + self.size[1]]


class TimmEncoder(Encoder):
    """A timm network without its classifier.

    An embedding is the mean of the patch tokens after the final norm, without class and register tokens; for networks
    without tokens, global average pooling of `forward_features`.

    Feature maps: all stages of a hierarchical network; four evenly spaced depths of a plain transformer, normalised and
    of one stride. Strides are reported as the nearest power of two: a model with 14-px patches has stride 16 and
    receives the photograph at 14/16 of its size, which gives the same grid as a 16-px model. Hierarchical networks
    receive the photograph padded at the right and bottom (edge repeated) to their multiple. Models of one fixed size
    receive it resized to that size, and their maps are resized bilinearly.

    Args:
        spec: The specification that it was built from.
        model: The network with its weights.
        preprocessing: How a photograph becomes its input.
        fixed: Whether the network accepts photographs of one size only.
    """

    model: Any
    _mean: Tensor
    _std: Tensor

    def __init__(self, spec: ModelSpec, model: Any, preprocessing: Preprocessing, fixed: bool = False):
        super().__init__()
        self.spec = spec
        self.model = model
        self.preprocessing = preprocessing
        self.embed_size = preprocessing.size
        self.width = int(model.num_features)
        self.register_buffer("_mean", torch.tensor(preprocessing.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(preprocessing.std).view(3, 1, 1), persistent=False)
        self._plan_maps(fixed)

    def _plan_maps(self, fixed: bool) -> None:
        """Choose the blocks with feature maps, and how a photograph is resized to the network's grid."""
        stages = _stages(self.model)
        steps = [stage["reduction"] for stage in stages]
        self._is_plain = len(set(steps)) == 1
        depth = len(stages)
        if self._is_plain and depth > _TRANSFORMER_MAPS:
            parts = range(1, _TRANSFORMER_MAPS + 1)
            self._blocks = [math.ceil(depth * part / _TRANSFORMER_MAPS) - 1 for part in parts]
        else:
            self._blocks = list(range(depth))
        self._step = max(steps, default=1)
        self._is_fixed = fixed
        self._pads = not fixed and not self._is_plain and all(step.bit_count() == 1 for step in steps)
        self.channels = tuple(int(stages[block]["num_chs"]) for block in self._blocks)
        self.strides = tuple(2 ** round(math.log2(steps[block])) for block in self._blocks)
        self.multiple = max(self.strides, default=1)

    def crop_photograph(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The square around the field of view for models with that preprocessing, else the whole photograph."""
        return crop_to_field(image) if self.preprocessing.crops_to_field else image

    def prepare(self, images: Tensor) -> Tensor:
        """(n, 3, *embed_size) normalised input of (n, 3, h, w) uint8 photographs."""
        return self._normalise(self.preprocessing.resize(images))

    def prepare_view(self, views: Tensor) -> Tensor:
        """(n, 3, *embed_size) normalised input of (n, 3, h, w) uint8 crops, without a centre crop."""
        return self._normalise(resize_uint8(views, self.embed_size, self.preprocessing.interpolation))

    def layer_distances(self) -> dict[str, int]:
        """Distance in layers from each parameter to the embedding; see `layer_distances` of this module."""
        return {f"model.{name}": distance for name, distance in layer_distances(self.model).items()}

    def add_drop_path(self, rate: float) -> int:
        """Add stochastic depth; see `Encoder.add_drop_path`."""
        return add_drop_path(self.model, rate)

    def pooled(self, prepared: Tensor) -> Tensor:
        """(n, width) embeddings of prepared photographs.

        Raises:
            SettingsError: timm gives no single feature map or sequence of tokens for the network.
        """
        features = self.model.forward_features(prepared)
        pooled = features
        if isinstance(features, Tensor) and features.ndim == 3:
            pooled = features[:, getattr(self.model, "num_prefix_tokens", 0) :].mean(1)
        elif isinstance(features, Tensor) and features.ndim == 4:
            pooled = features.mean((1, 2) if getattr(self.model, "output_fmt", "NCHW") == "NHWC" else (2, 3))
        if not isinstance(pooled, Tensor) or pooled.shape != (len(prepared), self.width):
            raise SettingsError(
                f"model={self.spec.name}: timm's forward_features returns no single feature map or sequence of tokens "
                "to average for it; use another model"
            )
        return pooled

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """Feature maps of photographs; see `Encoder.pyramid`."""
        check_photographs(x)
        if not self.channels:
            raise SettingsError(
                f"model={self.spec.name}: timm gives no intermediate feature maps for it, so it can't segment; "
                "use its embeddings, or another model"
            )
        norm = {"norm": True} if self._is_plain else {}
        maps = self.model.forward_intermediates(
            self._on_grid(self._normalise(x)), indices=self._blocks, intermediates_only=True, **norm
        )
        return [self._to_stride(features, x, stride) for features, stride in zip(maps, self.strides, strict=True)]

    def _normalise(self, x: Tensor) -> Tensor:
        return (x - self._mean) / self._std

    def _on_grid(self, x: Tensor) -> Tensor:
        """Photographs at a size that the network can divide."""
        if self._is_fixed:
            return resize(x, self.embed_size)
        height, width = (_cells(side, self.multiple) * self._step for side in x.shape[2:])
        if not self._pads:
            return resize(x, (height, width))
        return nn.functional.pad(x, (0, width - x.shape[3], 0, height - x.shape[2]), mode="replicate")

    def _to_stride(self, features: Tensor, x: Tensor, stride: int) -> Tensor:
        """A feature map with exactly ⌈h / stride⌉ × ⌈w / stride⌉ cells for the photographs `x`."""
        height, width = (_cells(side, stride) for side in x.shape[2:])
        if not self._pads:
            return resize(features, (height, width))
        # Networks that convolve without padding have a few cells less than the padded photograph.
        rows, columns = (_cells(side, self.multiple) * self.multiple // stride for side in x.shape[2:])
        return resize(features, (rows, columns))[:, :, :height, :width]


def crop_to_field(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The square around the field of view of a photograph, at its own resolution.

    Args:
        image: (h, w, 3) RGB.

    Returns:
        (s, s, 3); `image` itself where it is a square that its field of view fills.
    """
    view = SquareView.around(field_of_view(image))
    height, width = image.shape[:2]
    if height == width and view.side >= _FILLED_SQUARE * width:
        return image
    return view.crop(image, view.side)


def layer_distances(model: Any) -> dict[str, int]:
    """Distance in layers from each parameter of a timm network without classifier to its features.

    The groups are timm's own. The final norm of a plain transformer has distance 0: as in the fine-tuning of MAE and
    RETFound it learns as fast as the head, the last block has distance 1, and class token, position embeddings and
    patch embedding have distance depth + 1.

    Args:
        model: The network.

    Returns:
        By name of the parameter: 1 for the last layer, the largest number for the first.
    """
    depths = group_parameters(model, model.group_matcher(coarse=False), reverse=True)
    deepest = max(depths.values(), default=0)
    is_plain = isinstance(getattr(model, "blocks", None), nn.Sequential) and hasattr(model, "pos_embed")
    return {
        name: 0 if is_plain and name.startswith(_FINAL_NORMS) else deepest - depths[name] + 1
        for name, _ in model.named_parameters()
    }


def add_drop_path(model: nn.Module, rate: float) -> int:
    """Add stochastic depth (Huang et al., ECCV 2016) to the residual branches of a timm network.

    Args:
        model: The network.
        rate: Probability that training skips the branches of the last block; it falls linearly to 0 for the first.

    Returns:
        Number of blocks with residual branches.
    """
    blocks = []
    for module in model.modules():
        branches = [
            name for name in _RESIDUAL_BRANCHES if isinstance(getattr(module, name, 0), nn.Identity | DropPath | None)
        ]
        if branches:
            blocks.append((module, branches))
    for position, (module, branches) in enumerate(blocks):
        for name in branches:
            setattr(module, name, DropPath(rate * position / max(len(blocks) - 1, 1)))
    return len(blocks)


def _cells(side: int, stride: int) -> int:
    return math.ceil(side / stride)


def _stages(model: Any) -> list[dict[str, Any]]:
    """List of stages with `num_chs` and `reduction`; empty for networks without intermediate feature maps."""
    info = getattr(model, "feature_info", None)
    if info is None or not hasattr(model, "forward_intermediates"):
        return []
    return list(info if isinstance(info, list) else info.get_dicts())
