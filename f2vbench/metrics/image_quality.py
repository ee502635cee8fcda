"""PSNR and SSIM of single frames, in float64.

Frames are grey, (..., h, w) in [0, 1]; there is a value for each frame. With a mask (bool, (h, w) or as many dimensions
as the frames), both frames are black outside the mask, and the mean is taken inside it.
"""

from __future__ import annotations

import cv2
import numpy as np

SSIM_WINDOW = 11
_SIGMA = 1.5
_MARGIN = SSIM_WINDOW // 2
# Wang et al. 2004: (K1 L)² and (K2 L)² with K1 = 0.01, K2 = 0.03, L = 1.
_C1, _C2 = 0.01**2, 0.03**2


def psnr(real: np.ndarray, fake: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Peak signal-to-noise ratio in dB, 20 log₁₀(1 / √MSE).

    Args:
        real: (..., h, w) in [0, 1].
        fake: Generated frames of the same shape, in [0, 1].
        mask: Pixels that count, bool.

    Returns:
        (...) float64; infinite for identical frames.

    Raises:
        ValueError: Shapes differ, a value is not finite or outside [0, 1], or a mask is empty.

    Example:
        >>> real = np.full((2, 16, 16), 0.5)
        >>> psnr(real, real + 0.1).round(4).tolist()
        [20.0, 20.0]
    """
    check_frames(real, fake)
    return psnr_unchecked(real, fake, mask)


def ssim(real: np.ndarray, fake: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Structural similarity with a Gaussian window of 11 × 11 and σ 1.5 (Wang et al. 2004, eq. 13).

    The constants are those of the range [0, 1]; variances are divided by n, not n − 1. As in the authors' code and in
    scikit-image, the mean is taken over windows that lie within the frame.

    Args:
        real: (..., h, w) in [0, 1], at least 11 × 11.
        fake: Generated frames of the same shape, in [0, 1].
        mask: Window centres that count, bool.

    Returns:
        (...) float64 in [−1, 1].

    Raises:
        ValueError: Shapes differ, a value is not finite or outside [0, 1], a mask has no pixel where a window fits, or
            the frames are smaller than the window.

    Example:
        >>> real = np.linspace(0, 1, 256).reshape(16, 16)
        >>> round(float(ssim(real, real)), 4), round(float(ssim(real, 1 - real)), 2)
        (1.0, -0.83)
    """
    check_frames(real, fake)
    return ssim_unchecked(real, fake, mask)


def psnr_unchecked(real: np.ndarray, fake: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """`psnr` without validation: the peak is 1 whatever the range of the values.

    Args:
        real: (..., h, w).
        fake: (..., h, w).
        mask: Pixels that count, bool.

    Returns:
        (...) float64 in dB.

    Raises:
        ValueError: A mask is empty.

    Example:
        >>> psnr_unchecked(np.zeros((4, 4)), np.full((4, 4), 10.0)).item()
        -20.0
    """
    squared = np.square(real.astype(np.float64) - fake.astype(np.float64))
    if mask is None:
        error = squared.mean(axis=(-2, -1))
    else:
        full_mask = broadcast_mask(mask, real.shape)
        error = np.sum(squared, axis=(-2, -1), where=full_mask) / full_mask.sum(axis=(-2, -1))
    with np.errstate(divide="ignore"):
        return np.asarray(-10.0 * np.log10(error))


def ssim_unchecked(real: np.ndarray, fake: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """`ssim` without validation: the constants are those of [0, 1] whatever the range of the values.

    Args:
        real: (..., h, w), at least 11 × 11.
        fake: (..., h, w).
        mask: Window centres that count, bool.

    Returns:
        (...) float64.

    Raises:
        ValueError: The frames are smaller than the window, or a mask has no pixel where a window fits.

    Example:
        >>> ssim_unchecked(np.full((3, 11, 11), 2.0), np.full((3, 11, 11), 2.0)).tolist()
        [1.0, 1.0, 1.0]
    """
    height, width = real.shape[-2:]
    if min(height, width) < SSIM_WINDOW:
        raise ValueError(f"SSIM needs frames of at least {SSIM_WINDOW} × {SSIM_WINDOW}, not {height} × {width}")
    full_mask = None if mask is None else broadcast_mask(mask, real.shape).reshape(-1, height, width)
    pairs = zip(real.reshape(-1, height, width), fake.reshape(-1, height, width), strict=True)
    values = [_ssim(a, b, None if full_mask is None else full_mask[index]) for index, (a, b) in enumerate(pairs)]
    return np.array(values, np.float64).reshape(real.shape[:-2])


def check_frames(real: np.ndarray, fake: np.ndarray) -> None:
    """Check that frames have the same shape and are in [0, 1].

    Args:
        real: (..., h, w).
        fake: (..., h, w).

    Raises:
        ValueError: Shapes differ, there is no frame, or a value is not finite or outside [0, 1].

    Example:
        >>> check_frames(np.zeros((4, 4)), np.full((4, 4), 255.0))
        Traceback (most recent call last):
        ValueError: generated frames must be in [0, 1], not [255, 255]
    """
    if real.shape != fake.shape or real.ndim < 2 or not real.size:
        raise ValueError(
            f"real and generated frames must have the same shape (..., h, w), not {real.shape} and {fake.shape}"
        )
    for name, frames in (("real", real), ("generated", fake)):
        low, high = float(frames.min()), float(frames.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ValueError(f"{name} frames contain NaN or infinity")
        if low < 0 or high > 1:
            raise ValueError(f"{name} frames must be in [0, 1], not [{low:g}, {high:g}]")


def broadcast_mask(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Broadcast a mask to the shape of the frames.

    Args:
        mask: bool, (h, w) or as many dimensions as the frames.
        shape: (..., h, w).

    Returns:
        bool of that shape, a read-only view.

    Raises:
        ValueError: The mask is not bool, does not fit the shape, or is empty for some frame.

    Example:
        >>> broadcast_mask(np.eye(2, dtype=bool), (3, 2, 2)).sum().item()
        6
    """
    if mask.dtype != np.bool_:
        raise ValueError(f"the mask must be bool, not {mask.dtype}")
    full_mask = np.broadcast_to(mask, shape)
    if not full_mask.any(axis=(-2, -1)).all():
        raise ValueError("the mask is empty: it must contain at least one pixel")
    return full_mask


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
        raise ValueError("all pixels of the mask are within 5 pixels of the edge, where no SSIM window fits")
    return float(values[centres].mean())
