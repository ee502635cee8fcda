"""Shading correction: local contrast of vessels and lesions, independent of camera and illumination.

Each channel is divided by its local contrast after its local mean is subtracted, both within the field of view.
"""

from __future__ import annotations

import cv2
import numpy as np

BACKGROUND_SIGMA = 1 / 30
"""Gaussian sigma of the local mean, relative to the FOV diameter: wider than any vessel, narrower than the shading."""

CONTRAST_SIGMA = 1 / 8
"""Gaussian sigma of the local contrast, relative to the FOV diameter: so wide that a vessel hardly changes it."""

SHADING_VERSION = 3
"""Version of the correction. Increase it when the result changes."""

_RIM = 0.006  # relative to the FOV diameter: brightness falls off over some pixels there, which resembles a vessel
_GREY_LEVELS = 255 / 8  # per standard deviation: ± 4 fill the range
_MIN_CONTRAST = 0.005  # prevents amplification of noise
_INTENSITIES = np.arange(256, dtype=np.float32) / 255
_SMALL_SIGMA = 4.0  # px: a Gaussian of this sigma is smooth enough to be interpolated


def normalise(photograph: np.ndarray, field_of_view: np.ndarray) -> np.ndarray:
    """Correct the shading of a photograph.

    Means are taken over pixels inside the field of view only. A uniform background is 0, as are pixels outside, so the
    rim is no edge.

    Args:
        photograph: uint8 (height, width, 3).
        field_of_view: bool (height, width).

    Returns:
        float32 (height, width, 3) in [-6, 6]: difference to the local mean in units of the local contrast.
    """
    rows = np.flatnonzero(field_of_view.any(axis=1))
    diameter = float(rows[-1] - rows[0] + 1) if len(rows) else 1.0
    inside = field_of_view.astype(np.float32)
    channels = cv2.merge([inside] * 3)
    image = cv2.LUT(photograph, _INTENSITIES)
    detail: np.ndarray = image - _masked_mean(image * channels, inside, BACKGROUND_SIGMA * diameter)
    detail *= channels
    # Squares are 0 outside already.
    contrast = _masked_mean(detail**2, inside, CONTRAST_SIGMA * diameter)
    np.sqrt(contrast, out=contrast)
    contrast += _MIN_CONTRAST
    detail /= contrast
    np.clip(detail, -6, 6, out=detail)
    return detail


def normalised_picture(photograph: np.ndarray, field_of_view: np.ndarray) -> np.ndarray:
    """Correct the shading of a photograph, as an 8-bit image.

    The rim of the field of view, 0.6 % of its diameter, counts as outside.

    Args:
        photograph: uint8 (height, width, 3).
        field_of_view: bool (height, width).

    Returns:
        uint8 (height, width, 3): 128 for a uniform background and outside, 0 and 255 for -4 and 4 in `normalise`.
    """
    corrected = normalise(photograph, _without_rim(field_of_view))
    corrected *= _GREY_LEVELS
    corrected += 128
    np.clip(corrected, 0, 255, out=corrected)
    np.rint(corrected, out=corrected)
    return corrected.astype(np.uint8)


def _without_rim(field_of_view: np.ndarray) -> np.ndarray:
    rows = np.flatnonzero(field_of_view.any(axis=1))
    width = round(_RIM * (rows[-1] - rows[0] + 1)) if len(rows) else 0
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    return cv2.erode(field_of_view.astype(np.uint8), disc, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0


def _masked_mean(image: np.ndarray, inside: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian mean of (h, w, c), which is 0 outside, over the pixels where ``inside`` (h, w) is 1.

    It is computed on area averages, on which the Gaussian has a sigma of about `_SMALL_SIGMA`, and interpolated. This
    takes a tenth of the time or less, and means differ by less than one grey level of 255.
    """
    height, width = image.shape[:2]
    step = max(1, int(sigma / _SMALL_SIGMA))
    size = max(1, width // step), max(1, height // step)
    small_sigma = sigma * size[0] / width
    total, weight = (
        cv2.GaussianBlur(
            cv2.resize(values, size, interpolation=cv2.INTER_AREA),
            (0, 0),
            small_sigma,
            borderType=cv2.BORDER_CONSTANT,
        )
        for values in (image, inside)
    )
    mean = total / np.maximum(weight, 1e-3)[..., None]
    enlarged: np.ndarray = cv2.resize(mean, (width, height), interpolation=cv2.INTER_LINEAR)
    return enlarged
