"""LPIPS of frames, real against generated: the ``lpips`` package with an AlexNet trunk from a file on this machine."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from f2vbench.errors import WeightsError
from f2vbench.metrics.image_quality import broadcast_mask, check_frames
from f2vbench.pretrained.checkpoints import read_state_dict
from f2vbench.pretrained.state_dicts import compare_state_dict, match_state_dict
from f2vbench.pretrained.weights_cards import WeightsCard, weights_card
from f2vbench.pretrained.weights_files import find_weights
from f2vbench.utils.torchvision_compat import allow_missing_torchvision_ops

LPIPS_CARD = "lpips-alex"
LEAST_SIDE = 31
"""Pixels; smaller frames leave AlexNet's second pooling nothing."""

_BATCH = 8


def load_lpips(
    trunk: str | Path | None = None, *, card: WeightsCard | None = None, device: str | torch.device = "cpu"
) -> nn.Module:
    """LPIPS 0.1 with AlexNet: the package's linear heads on torchvision's ImageNet trunk.

    Args:
        trunk: file with torchvision's AlexNet state dict, or the folder it lies in; else looked for by its card.
        card: what the file must be; by default ``weights/lpips-alex.yaml``.

    Raises:
        WeightsError: the package or the trunk is absent (told with how to get it), or the trunk is another file.
    """
    path = find_weights(card or weights_card(LPIPS_CARD), trunk)
    network = _network()
    state = read_state_dict(path)
    compare_state_dict(_trunk_keys(network), state, path, ignore=["classifier.*"])
    for index, layer in _convolutions(network).items():
        part = {key: state[f"features.{index}.{key}"] for key in ("weight", "bias")}
        match_state_dict(layer, part, path)
    return network.requires_grad_(False).eval().to(device)


def lpips(
    real: np.ndarray,
    fake: np.ndarray,
    trunk: str | Path | nn.Module | None = None,
    inside: np.ndarray | None = None,
) -> np.ndarray:
    """Learned perceptual distance (Zhang et al. 2018), AlexNet, version 0.1; 0 for identical frames.

    Grey frames are repeated in three channels and scaled to [−1, 1]. With a mask, both frames are black outside and
    the map of distances is averaged inside.

    Args:
        real: (..., h, w) in [0, 1], at least 31 × 31.
        fake: the same shape and range.
        trunk: as for `load_lpips`, or what it returned (to load only once).
        inside: which pixels count, bool.

    Returns:
        (...) float64.

    Raises:
        ValueError: shapes differ, a value is not finite or outside [0, 1], or the frames are too small.
        WeightsError: as `load_lpips`.
    """
    check_frames(real, fake)
    network = trunk if isinstance(trunk, nn.Module) else load_lpips(trunk)
    return lpips_unchecked(real, fake, network, inside)


def lpips_unchecked(
    real: np.ndarray, fake: np.ndarray, network: nn.Module, inside: np.ndarray | None = None
) -> np.ndarray:
    """`lpips` without the check of the range: x becomes 2 x − 1 whatever the values are."""
    height, width = real.shape[-2:]
    if min(height, width) < LEAST_SIDE:
        raise ValueError(f"LPIPS needs frames of at least {LEAST_SIDE} × {LEAST_SIDE}, not {height} × {width}")
    mask = np.ones(real.shape, bool) if inside is None else broadcast_mask(inside, real.shape)
    flat = [frames.reshape(-1, height, width) for frames in (real, fake, mask)]
    values = [
        _distances(network, *(frames[start : start + _BATCH] for frames in flat), spatial=inside is not None)
        for start in range(0, len(flat[0]), _BATCH)
    ]
    return np.concatenate(values).reshape(real.shape[:-2])


@torch.inference_mode()
def _distances(network: Any, real: np.ndarray, fake: np.ndarray, mask: np.ndarray, *, spatial: bool) -> np.ndarray:
    device = next(network.buffers()).device
    network.spatial = spatial
    images = (torch.from_numpy(np.where(mask, frames, 0)).to(device, torch.float32) for frames in (real, fake))
    colour = (image[:, None].repeat(1, 3, 1, 1) for image in images)
    maps = network(*colour, normalize=True)[:, 0].double().cpu().numpy()
    if not spatial:
        return maps[:, 0, 0]
    return np.sum(maps, axis=(1, 2), where=mask) / mask.sum(axis=(1, 2))


def _network() -> nn.Module:
    allow_missing_torchvision_ops()
    try:
        from lpips import LPIPS
    except ImportError:
        raise WeightsError("LPIPS needs the Python package lpips: `pip install f2vbench[video]`") from None
    with warnings.catch_warnings():
        # The package calls torchvision by names that torchvision warns about, once for each.
        warnings.simplefilter("ignore", UserWarning)
        return LPIPS(net="alex", version="0.1", pnet_rand=True, verbose=False)


def _convolutions(network: nn.Module) -> dict[str, nn.Module]:
    """The trunk's five convolutions by their index in torchvision's ``features``."""
    named = network.get_submodule("net").named_modules()
    return {name.rpartition(".")[2]: layer for name, layer in named if isinstance(layer, nn.Conv2d)}


def _trunk_keys(network: nn.Module) -> dict[str, Tensor]:
    """The tensors the trunk needs, under torchvision's names."""
    layers = _convolutions(network).items()
    return {f"features.{index}.{key}": tensor for index, layer in layers for key, tensor in layer.state_dict().items()}
