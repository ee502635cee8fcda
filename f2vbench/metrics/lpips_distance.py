"""LPIPS of frames: the ``lpips`` package with an AlexNet trunk from a local file."""

from __future__ import annotations

import warnings
from pathlib import Path

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
MIN_SIDE = 31
"""Pixels. In smaller frames AlexNet's second pooling has no window."""

_BATCH = 8


def load_lpips(
    trunk: str | Path | None = None, *, card: WeightsCard | None = None, device: str | torch.device = "cpu"
) -> nn.Module:
    """Load LPIPS 0.1 with AlexNet: the linear heads of the package on torchvision's ImageNet trunk.

    Args:
        trunk: File with torchvision's AlexNet state dict, or its folder. By default the file of the card is searched.
        card: Weights card of the file, by default ``weights/lpips-alex.yaml``.
        device: Device of the network.

    Returns:
        The network, in evaluation mode and without gradients.

    Raises:
        WeightsError: The package or the file is absent (with instructions), or the file is a different one.

    Example:
        >>> network = load_lpips()  # doctest: +SKIP
        >>> load_lpips("no-such-folder/alexnet.pth")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        f2vbench.errors.WeightsError: no-such-folder/alexnet.pth: no such weights file...
    """
    path = find_weights(card or weights_card(LPIPS_CARD), trunk)
    network = _make_network()
    state = read_state_dict(path)
    compare_state_dict(_expected_trunk(network), state, path, ignore=["classifier.*"])
    for index, layer in _convolutions(network).items():
        part = {key: state[f"features.{index}.{key}"] for key in ("weight", "bias")}
        match_state_dict(layer, part, path)
    return network.requires_grad_(False).eval().to(device)


def lpips(
    real: np.ndarray,
    fake: np.ndarray,
    trunk: str | Path | nn.Module | None = None,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """Learned perceptual image patch similarity (Zhang et al. 2018), AlexNet, version 0.1.

    Grey frames are repeated in three channels and scaled to [−1, 1]. With a mask, both frames are black outside it, and
    the map of distances is averaged inside it.

    Args:
        real: (..., h, w) in [0, 1], at least 31 × 31.
        fake: Generated frames of the same shape, in [0, 1].
        trunk: Path for `load_lpips`, or a loaded network.
        mask: Pixels that count, bool.

    Returns:
        (...) float64; 0 for identical frames.

    Raises:
        ValueError: Shapes differ, a value is not finite or outside [0, 1], or the frames are too small.
        WeightsError: The package or the file is absent, or the file is a different one.

    Example:
        >>> class MeanDifference(nn.Module):  # in place of load_lpips()
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.register_buffer("shift", torch.zeros(1))
        ...     def forward(self, first, second, normalize):
        ...         return (first - second).abs().mean(dim=(1, 2, 3), keepdim=True)
        >>> lpips(np.zeros((2, 31, 31)), np.full((2, 31, 31), 0.5), MeanDifference()).tolist()
        [0.5, 0.5]
    """
    check_frames(real, fake)
    network = trunk if isinstance(trunk, nn.Module) else load_lpips(trunk)
    return lpips_unchecked(real, fake, network, mask)


def lpips_unchecked(
    real: np.ndarray, fake: np.ndarray, network: nn.Module, mask: np.ndarray | None = None
) -> np.ndarray:
    """`lpips` without validation: x becomes 2 x − 1 whatever the range of the values.

    Args:
        real: (..., h, w), at least 31 × 31.
        fake: (..., h, w).
        network: Network of `load_lpips`.
        mask: Pixels that count, bool.

    Returns:
        (...) float64.

    Raises:
        ValueError: The frames are too small, or a mask is empty.

    Example:
        >>> lpips_unchecked(np.zeros((30, 40)), np.zeros((30, 40)), nn.Identity())
        Traceback (most recent call last):
        ValueError: LPIPS needs frames of at least 31 × 31, not 30 × 40
    """
    height, width = real.shape[-2:]
    if min(height, width) < MIN_SIDE:
        raise ValueError(f"LPIPS needs frames of at least {MIN_SIDE} × {MIN_SIDE}, not {height} × {width}")
    full_mask = np.ones(real.shape, bool) if mask is None else broadcast_mask(mask, real.shape)
    flat = [frames.reshape(-1, height, width) for frames in (real, fake, full_mask)]
    values = [
        _distances(network, *(frames[start : start + _BATCH] for frames in flat), spatial=mask is not None)
        for start in range(0, len(flat[0]), _BATCH)
    ]
    return np.concatenate(values).reshape(real.shape[:-2])


@torch.inference_mode()
def _distances(
    network: nn.Module, real: np.ndarray, fake: np.ndarray, mask: np.ndarray, *, spatial: bool
) -> np.ndarray:
    """(n,) distances of (n, h, w) frames; with ``spatial`` the mean of the map of distances inside the mask."""
    device = next(network.buffers()).device
    network.spatial = spatial  # type: ignore[assignment]  # an option of the lpips package
    images = (torch.from_numpy(np.where(mask, frames, 0)).to(device, torch.float32) for frames in (real, fake))
    colour = (image[:, None].repeat(1, 3, 1, 1) for image in images)
    maps: np.ndarray = network(*colour, normalize=True)[:, 0].double().cpu().numpy()
    if not spatial:
        return maps[:, 0, 0]
    return np.asarray(np.sum(maps, axis=(1, 2), where=mask) / mask.sum(axis=(1, 2)))


def _make_network() -> nn.Module:
    allow_missing_torchvision_ops()
    try:
        from lpips import LPIPS
    except ImportError:
        raise WeightsError("LPIPS needs the Python package lpips: `pip install f2vbench[video]`") from None
    with warnings.catch_warnings():
        # The package uses names of torchvision that are deprecated.
        warnings.simplefilter("ignore", UserWarning)
        network: nn.Module = LPIPS(net="alex", version="0.1", pnet_rand=True, verbose=False)
        return network


def _convolutions(network: nn.Module) -> dict[str, nn.Module]:
    """The trunk's five convolutions by their index in torchvision's ``features``."""
    modules = network.get_submodule("net").named_modules()
    return {name.rpartition(".")[2]: layer for name, layer in modules if isinstance(layer, nn.Conv2d)}


def _expected_trunk(network: nn.Module) -> dict[str, Tensor]:
    """The tensors of the trunk, with torchvision's names."""
    layers = _convolutions(network).items()
    return {f"features.{index}.{key}": tensor for index, layer in layers for key, tensor in layer.state_dict().items()}
