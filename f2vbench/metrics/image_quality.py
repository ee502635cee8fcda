"""Metrics of single frames, real against generated: PSNR and SSIM, in float64.

Frames are (..., h, w), grey, in [0, 1]; a value comes back for each. Where a mask ``inside`` is given (bool, (h, w) or
as many dimensions as the frames), what lies outside it has no influence: it is set to black in both frames, and the
mean is taken inside.
"""

from __future__ import annotations

import cv2
import numpy as np

SSIM_WINDOW = 11
_SIGMA = 1.5
_MARGIN = SSIM_WINDOW // 2
# Wang et al. 2004: (K1 L)² and (K2 L)² with K1 = 0.01, K2 = 0.03, L = 1.
_C1, _C2 = 0.01**2, 0.03**2


def psnr(real: np.ndarray, fake: np.ndarray, inside: np.ndarray | None = None) -> np.ndarray:
    """Peak signal-to-noise ratio in dB, 20 log₁₀(1 / √MSE); infinite for identical frames.

    Args:
        real: (..., h, w) in [0, 1].
        fake: the same shape and range.
        inside: which pixels count.

    Returns:
        (...) float64.

    Raises:
        ValueError: shapes differ, a value is not finite or outside [0, 1], or a mask is empty.
    """
    check_frames(real, fake)
    return psnr_unchecked(real, fake, inside)


def ssim(real: np.ndarray, fake: np.ndarray, inside: np.ndarray | None = None) -> np.ndarray:
    """Structural similarity in [−1, 1], Gaussian window of 11 × 11 with σ 1.5 (Wang et al. 2004, eq. 13).

    Constants are those of the range [0, 1]; variances are divided by n, not n − 1. Like the authors' own code and
    scikit-image, it is averaged where the whole window lies in the frame.

    Args:
        real: (..., h, w) in [0, 1], at least 11 × 11.
        fake: the same shape and range.
        inside: the window centres that count.

    Returns:
        (...) float64.

    Raises:
        ValueError: as `psnr`, or frames smaller than the window.
    """
    check_frames(real, fake)
    return ssim_unchecked(real, fake, inside)


def psnr_unchecked(real: np.ndarray, fake: np.ndarray, inside: np.ndarray | None = None) -> np.ndarray:
    """`psnr` without the check of the range: the peak is taken for 1 whatever the values are."""
    squared = np.square(real.astype(np.float64) - fake.astype(np.float64))
    if inside is None:
        error = squared.mean(axis=(-2, -1))
    else:
        mask = broadcast_mask(inside, real.shape)
        error = np.sum(squared, axis=(-2, -1), where=mask) / mask.sum(axis=(-2, -1))
    with np.errstate(divide="ignore"):
        return -10.0 * np.log10(error)


def ssim_unchecked(real: np.ndarray, fake: np.ndarray, inside: np.ndarray | None = None) -> np.ndarray:
    """`ssim` without the check of the range: the constants are those of [0, 1] whatever the values are."""
    height, width = real.shape[-2:]
    if min(height, width) < SSIM_WINDOW:
        raise ValueError(f"SSIM needs frames of at least {SSIM_WINDOW} × {SSIM_WINDOW}, not {height} × {width}")
    mask = None if inside is None else broadcast_mask(inside, real.shape).reshape(-1, height, width)
    pairs = zip(real.reshape(-1, height, width), fake.reshape(-1, height, width), strict=True)
    values = [_ssim(a, b, None if mask is None else mask[index]) for index, (a, b) in enumerate(pairs)]
    return np.array(values, np.float64).reshape(real.shape[:-2])


def check_frames(real: np.ndarray, fake: np.ndarray) -> None:
    """Refuse frames that don't belong together or are not in [0, 1].

    Raises:
        ValueError: with what is wrong and the values found.
    """
    if real.shape != fake.shape or real.ndim < 2 or not real.size:
        raise ValueError(f"real and generated frames must be of one shape (..., h, w), not {real.shape}, {fake.shape}")
    for name, frames in (("real", real), ("generated", fake)):
        low, high = float(frames.min()), float(frames.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ValueError(f"{name} frames hold NaN or infinity")
        if low < 0 or high > 1:
            raise ValueError(f"{name} frames must be in [0, 1], not [{low:g}, {high:g}]")


def broadcast_mask(inside: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The mask in the shape of the frames.

    Raises:
        ValueError: not bool, of another shape, or without a pixel inside for some frame.
    """
    if inside.dtype != np.bool_:
        raise ValueError(f"the mask must be bool, not {inside.dtype}")
    mask = np.broadcast_to(inside, shape)
    if not mask.any(axis=(-2, -1)).all():
        raise ValueError("the mask is empty: no pixel is left to measure")
    return mask


def _ssim(real: np.ndarray, fake: np.ndarray, mask: np.ndarray | None) -> float:
    x, y = real.astype(np.float64), fake.astype(np.float64)
    if mask is not None:
        x, y = x * mask, y * mask
    window = cv2.getGaussianKernel(SSIM_WINDOW, _SIGMA, cv2.CV_64F)
    products = cv2.merge([x, y, x * x, y * y, x * y])
    means = cv2.sepFilter2D(products, cv2.CV_64F, window, window)[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    mean_x, mean_y, square_x, square_y, product = cv2.split(means)
    variances = square_x - mean_x**2 + square_y - mean_y**2
    covariance = product - mean_x * mean_y
    values = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    values /= (mean_x**2 + mean_y**2 + _C1) * (variances + _C2)
    if mask is None:
        return float(values.mean())
    centres = mask[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    if not centres.any():
        raise ValueError("the mask lies within 5 pixels of the edge, where no SSIM window fits")
    return float(values[centres].mean())
