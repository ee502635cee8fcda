"""Vessel scores without training. Imports no torch.

All filters use the same working resolution. A photograph whose field of view is more than 1.25 × 540 px wide (the
longer side of its bounding box; DRIVE and RITE have 540) is first reduced to a field of 540 px by area averaging,
filtered there, and the score map is enlarged bilinearly; smaller photographs are filtered at their own resolution. The
alternative, filters enlarged to the photograph's resolution, takes far more time and was better on one data set only.
AUROC of the top-hat, reduced and at full resolution: CHASE_DB1 0.930 and 0.927, LES-AV 0.928 and 0.923, HRF (at a third
of its size) 0.916 and 0.918; Sato and Frangi behave alike. Pixels outside the field of view stay black: replacing them
by the mean of the field makes the dark rim look like a vessel (top-hat on RITE 0.92 instead of 0.93).
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from f2vbench.data.working_resolution import enlarged, reduced, working_size
from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import DataError, SettingsError

_TOPHAT_RADIUS = 7
_SATO_SIGMAS = (1.0, 2.0, 3.0)
# Frangi's structureness responds to noise at a scale of one pixel: AUROC on RITE 0.85 with sigma 1, 0.90 without.
_FRANGI_SIGMAS = (2.0, 3.0)

ByteMap = NDArray[np.uint8]
ScoreMap = NDArray[np.float32]


class ScoreBaseline:
    """A training-free vessel score.

    Args:
        name: `tophat`, `frangi`, `sato` or `green`.

    Raises:
        SettingsError: No baseline has this name.
    """

    def __init__(self, name: str):
        if name not in _FILTERS:
            raise SettingsError(f"no score baseline named {name!r}: there are {', '.join(_FILTERS)}")
        self.name = name
        self._filter = _FILTERS[name]

    def score(self, rgb: ByteMap, fov: NDArray[np.bool_]) -> ScoreMap:
        """Vessel score of each pixel; only the order of scores is meaningful.

        Args:
            rgb: uint8 (H, W, 3) colour photograph.
            fov: bool (H, W), True inside the field of view.

        Returns:
            float32 (H, W), at least 0 inside the field of view and higher for vessels, exactly 0 outside.

        Raises:
            DataError: Wrong shapes or types, or an empty field of view.
        """
        _check(rgb, fov)
        green = reduced(np.ascontiguousarray(rgb[..., 1]), working_size(fov))
        score = enlarged(self._filter(green), fov.shape)
        return np.where(fov, np.maximum(score, 0), 0).astype(np.float32)


def load_vessel_filter(spec: ModelSpec) -> ScoreBaseline:
    """The vessel score of a baseline family."""
    return ScoreBaseline(spec.family)


def _check(rgb: ByteMap, fov: NDArray[np.bool_]) -> None:
    """Check shapes and types of the arguments of `score`."""
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise DataError(f"a baseline needs a uint8 (H, W, 3) photograph, got {rgb.dtype} {rgb.shape}")
    if fov.dtype != np.bool_ or fov.shape != rgb.shape[:2]:
        raise DataError(f"the field-of-view mask must be bool {rgb.shape[:2]}, got {fov.dtype} {fov.shape}")


def _tophat(green: ByteMap) -> ScoreMap:
    """Gaussian smoothing (sigma 1, 5 × 5, rounded to 8 bits), then black top-hat with a disk of radius 7.

    In this order and with this rounding the AUROC on RITE's training half is 0.934 (without rounding 0.935; with the
    top-hat before the Gaussian 0.938).
    """
    smooth = cv2.GaussianBlur(green, (5, 5), 1.0)
    return cv2.morphologyEx(smooth, cv2.MORPH_BLACKHAT, _disk(_TOPHAT_RADIUS)).astype(np.float32)


def _disk(radius: int) -> ByteMap:
    """uint8 (2·radius + 1)², 1 for pixels at most `radius` from the centre."""
    offset = np.arange(-radius, radius + 1)
    return (offset[:, None] ** 2 + offset**2 <= radius**2).astype(np.uint8)


def _sato(green: ByteMap) -> ScoreMap:
    """Sato et al. 1998 tubeness of dark ridges, maximum over sigma 1, 2, 3 px."""
    from skimage.filters import sato

    score: ScoreMap = sato(_unit(green), sigmas=_SATO_SIGMAS, black_ridges=True).astype(np.float32)
    return score


def _frangi(green: ByteMap) -> ScoreMap:
    """Frangi et al. 1998 vesselness of dark ridges (α 0.5, β 0.5), maximum over sigma 2, 3 px."""
    from skimage.filters import frangi

    score: ScoreMap = frangi(_unit(green), sigmas=_FRANGI_SIGMAS, black_ridges=True).astype(np.float32)
    return score


def _darkness(green: ByteMap) -> ScoreMap:
    """255 − green: blood absorbs green light, so vessels are darker than their surroundings."""
    return 255.0 - green.astype(np.float32)


def _unit(green: ByteMap) -> ScoreMap:
    return green.astype(np.float32) / 255.0


_FILTERS: dict[str, Callable[[ByteMap], ScoreMap]] = {
    "tophat": _tophat,
    "frangi": _frangi,
    "sato": _sato,
    "green": _darkness,
}
