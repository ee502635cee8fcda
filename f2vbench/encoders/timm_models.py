"""Networks built by timm as encoders, and any timm model by its name."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from f2vbench.data.field_of_view import field_of_view
from f2vbench.data.square_crop import SquareView
from f2vbench.encoders.base import Encoder, check_photographs, resized, to_unit
from f2vbench.encoders.model_family import UNTRAINED
from f2vbench.encoders.spec import INIT_SEED, ModelSpec
from f2vbench.encoders.timm_layers import add_drop_path, layer_distances
from f2vbench.errors import SettingsError, WeightsError
from f2vbench.pretrained.checkpoints import read_state_dict
from f2vbench.pretrained.state_dicts import match_state_dict
from f2vbench.utils.torchvision_compat import allow_missing_torchvision_ops

allow_missing_torchvision_ops()

import timm  # noqa: E402

_VIT_MAPS = 4
_FILLED = 0.97


@dataclass(frozen=True)
class Sight:
    """How a photograph is brought to a network for an embedding.

    Attributes:
        size: (height, width) in pixels that the network sees.
        mean, std: of RGB in [0, 1], for the normalisation.
        interpolation: ``bilinear`` or ``bicubic``, both with anti-aliasing.
        shorter_side: to which the photograph is resized before ``size`` is cropped from its middle; without it the
            whole photograph is resized to ``size``.
        framed: whether ``embed`` first crops the square around the field of view.
    """

    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str
    shorter_side: int | None = None
    framed: bool = False

    @classmethod
    def configured(cls, spec: ModelSpec, config: Mapping[str, Any]) -> Sight:
        """What timm's configuration of a model tells."""
        channels, height, width = config["input_size"]
        if channels != 3:
            raise SettingsError(f"model={spec.name}: it reads {channels} channels, photographs have 3")
        interpolation = "bilinear" if config["interpolation"] == "bilinear" else "bicubic"
        return cls((height, width), tuple(config["mean"]), tuple(config["std"]), interpolation)

    def seen(self, images: Tensor) -> Tensor:
        """(n, 3, *size) in [0, 1] of uint8 photographs."""
        if self.shorter_side is None:
            return to_unit(images, self.size, self.interpolation)
        height, width = images.shape[2:]
        scale = self.shorter_side / min(height, width)
        resized_to = (max(round(height * scale), self.size[0]), max(round(width * scale), self.size[1]))
        top, left = ((side - kept) // 2 for side, kept in zip(resized_to, self.size, strict=True))
        whole = to_unit(images, resized_to, self.interpolation)
        return whole[:, :, top : top + self.size[0], left : left + self.size[1]]


class TimmEncoder(Encoder):
    """A timm network without its classifier.

    An embedding is the mean of the patch tokens, without class and register tokens, after the final norm; of a
    network without tokens, global average pooling of ``forward_features``.

    Maps: of a hierarchical network all its stages; of a plain transformer four evenly spaced depths, normalised,
    all of one stride. Strides are reported as the nearest power of two, so a model of 14-px patches has stride 16
    and is shown the photograph at 14/16 of its size, which gives the very grid of a 16-px model. Hierarchical
    networks see the photograph padded at the right and bottom (edge repeated) to their multiple; models of one
    fixed size see it resized to that, and their maps are brought to the promised size bilinearly.

    Args:
        spec: what it was built from.
        model: the network with its weights.
        sight: what it is shown of a photograph.
        fixed: whether the network takes photographs of one size only.
    """

    model: Any
    _mean: Tensor
    _std: Tensor

    def __init__(self, spec: ModelSpec, model: Any, sight: Sight, fixed: bool = False):
        super().__init__()
        self.spec = spec
        self.model = model
        self.sight = sight
        self.embed_size = sight.size
        self.width = int(model.num_features)
        self.register_buffer("_mean", torch.tensor(sight.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(sight.std).view(3, 1, 1), persistent=False)
        self._plan_maps(fixed)

    def _plan_maps(self, fixed: bool) -> None:
        """Which blocks give maps, their channels and strides, and how a photograph is brought to the network's grid."""
        stages = _stages(self.model)
        steps = [stage["reduction"] for stage in stages]
        self._plain = len(set(steps)) == 1
        depth = len(stages)
        if self._plain and depth > _VIT_MAPS:
            self._blocks = [math.ceil(depth * part / _VIT_MAPS) - 1 for part in range(1, _VIT_MAPS + 1)]
        else:
            self._blocks = list(range(depth))
        self._step = max(steps, default=1)
        self._fixed = fixed
        self._pads = not fixed and not self._plain and all(step.bit_count() == 1 for step in steps)
        self.channels = tuple(int(stages[block]["num_chs"]) for block in self._blocks)
        self.strides = tuple(2 ** round(math.log2(steps[block])) for block in self._blocks)
        self.multiple = max(self.strides, default=1)

    def framed(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return square_on_field(image) if self.sight.framed else image

    def prepare(self, images: Tensor) -> Tensor:
        return self._normalised(self.sight.seen(images))

    def prepare_view(self, views: Tensor) -> Tensor:
        return self._normalised(to_unit(views, self.embed_size, self.sight.interpolation))

    def distances(self) -> dict[str, int]:
        return {f"model.{name}": distance for name, distance in layer_distances(self.model).items()}

    def add_drop_path(self, rate: float) -> int:
        return add_drop_path(self.model, rate)

    def pooled(self, prepared: Tensor) -> Tensor:
        features = self.model.forward_features(prepared)
        pooled = features
        if isinstance(features, Tensor) and features.ndim == 3:
            pooled = features[:, getattr(self.model, "num_prefix_tokens", 0) :].mean(1)
        elif isinstance(features, Tensor) and features.ndim == 4:
            pooled = features.mean((1, 2) if getattr(self.model, "output_fmt", "NCHW") == "NHWC" else (2, 3))
        if not isinstance(pooled, Tensor) or pooled.shape != (len(prepared), self.width):
            raise SettingsError(
                f"model={self.spec.name}: timm's forward_features gives no single map or row of tokens to average "
                "for it; use another model"
            )
        return pooled

    def pyramid(self, x: Tensor) -> list[Tensor]:
        check_photographs(x)
        if not self.channels:
            raise SettingsError(
                f"model={self.spec.name}: timm gives no intermediate maps for it, so it can't segment; "
                "its embeddings work, or use another model"
            )
        norm = {"norm": True} if self._plain else {}
        maps = self.model.forward_intermediates(
            self._on_grid(self._normalised(x)), indices=self._blocks, intermediates_only=True, **norm
        )
        return [self._promised(each, x, stride) for each, stride in zip(maps, self.strides, strict=True)]

    def _normalised(self, x: Tensor) -> Tensor:
        return (x - self._mean) / self._std

    def _on_grid(self, x: Tensor) -> Tensor:
        """The photograph at a size that the network can divide."""
        if self._fixed:
            return resized(x, self.embed_size)
        height, width = (_cells(side, self.multiple) * self._step for side in x.shape[2:])
        if not self._pads:
            return resized(x, (height, width))
        return nn.functional.pad(x, (0, width - x.shape[3], 0, height - x.shape[2]), mode="replicate")

    def _promised(self, features: Tensor, x: Tensor, stride: int) -> Tensor:
        """A map over exactly ⌈h / stride⌉ × ⌈w / stride⌉ cells of the photograph."""
        height, width = (_cells(side, stride) for side in x.shape[2:])
        if not self._pads:
            return resized(features, (height, width))
        # Networks that convolve without padding give a few cells less than the padded photograph has.
        rows, columns = (_cells(side, self.multiple) * self.multiple // stride for side in x.shape[2:])
        return resized(features, (rows, columns))[:, :, :height, :width]


def square_on_field(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The square around the field of view of an (h, w, 3) photograph, at its own resolution.

    A square that its field of view fills already, but for the error of finding it, is left as it is.
    """
    view = SquareView.around(field_of_view(image))
    height, width = image.shape[:2]
    if height == width and view.side >= _FILLED * width:
        return image
    return view.crop(image, view.side)


@contextmanager
def initial_seed() -> Iterator[None]:
    """Within it, untrained weights are drawn from the fixed seed; the global random state is given back."""
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(INIT_SEED)
        yield


def load_timm(spec: ModelSpec, **options: Any) -> TimmEncoder:
    """A model of family ``timm``: its normalisation, size and interpolation are those of timm's configuration.

    Args:
        spec: weights ``hub``, ``untrained`` or a file with a timm state dict.
        options: of timm's ``create_model``.

    Raises:
        SettingsError: timm has no such model or tag, or the model can't serve as an encoder of RGB photographs.
        WeightsError: weights can't be downloaded, or the file is damaged or another model's.
    """
    name = spec.architecture
    _check_name(name, needs_tag=spec.weights == "hub")
    with initial_seed():
        try:
            model, flexible = _created(name, pretrained=spec.weights == "hub", **options)
        except Exception as error:
            if spec.weights != "hub":
                raise
            raise _no_download(spec, error) from error
    if spec.weights_file is not None:
        path = spec.weights_file
        match_state_dict(model, read_state_dict(path), path, ignore=_classifier_keys(model))
    fixed = bool(model.pretrained_cfg.get("fixed_input_size")) and not flexible
    return TimmEncoder(spec, model, Sight.configured(spec, model.pretrained_cfg), fixed)


def _created(name: str, **options: Any) -> tuple[Any, bool]:
    """The model, made for photographs of any size where its architecture has that option."""
    try:
        return timm.create_model(name, num_classes=0, dynamic_img_size=True, **options), True
    except TypeError as error:
        if "dynamic_img_size" not in str(error):
            raise
    return timm.create_model(name, num_classes=0, **options), False


def _cells(side: int, stride: int) -> int:
    return math.ceil(side / stride)


def _stages(model: Any) -> list[dict[str, Any]]:
    """timm's list of stages with ``num_chs`` and ``reduction``; empty where it gives no intermediate maps."""
    info = getattr(model, "feature_info", None)
    if info is None or not hasattr(model, "forward_intermediates"):
        return []
    return list(info if isinstance(info, list) else info.get_dicts())


def _check_name(name: str, needs_tag: bool) -> None:
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f"; near it: {', '.join(near)}" if near else "; timm.list_models() shows all"
        raise SettingsError(f"model=timm:{name}: timm {timm.__version__} has no model of that name{hint}")
    architecture, _, tag = name.partition(".")
    weighted = timm.list_models(f"{architecture}*", pretrained=True)
    tags = [known for known in weighted if known.partition(".")[0] == architecture]
    if tag and name not in tags:
        raise SettingsError(
            f"model=timm:{name}: timm has no weights tagged '{tag}' for {architecture}; there are "
            f"{', '.join(tags) or 'none'}"
        )
    if needs_tag and not tags:
        raise WeightsError(
            f"model=timm:{name}: timm has no weights for it; write timm:{name}:{UNTRAINED}, or "
            f"timm:{name}:<weights file>"
        )


def _no_download(spec: ModelSpec, error: Exception) -> WeightsError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    return WeightsError(
        f"model={spec.name}: its weights could not be fetched from the Hugging Face Hub ({type(error).__name__}: "
        f"{reason}). Check the connection; for a gated model accept its terms and run `hf auth login`; "
        f"HF_HUB_OFFLINE=1 uses what is in the local cache; or give a file with timm:{spec.architecture}:<path>, "
        f"or run without weights as timm:{spec.architecture}:{UNTRAINED}"
    )


def _classifier_keys(model: Any) -> tuple[str, ...]:
    """Patterns of the keys of the classifier, which an encoder doesn't have."""
    named = model.pretrained_cfg.get("classifier") or ()
    return tuple(f"{name}.*" for name in ([named] if isinstance(named, str) else named))
