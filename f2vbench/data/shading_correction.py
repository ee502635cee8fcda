"""Photographs without their shading: what a vessel or lesion is against its surroundings, whatever camera and lamp."""

from __future__ import annotations

import cv2
import numpy as np

BACKGROUND_SIGMA = 1 / 30  # of the FOV diameter: wider than any vessel, narrower than the shading
CONTRAST_SIGMA = 1 / 8  # of the FOV diameter: wide enough that a vessel does not lower its own contrast
SHADING_VERSION = 2
_RIM = 0.006  # of the FOV diameter: where the light falls off to black over some pixels, which looks like a vessel
_STEPS = 255 / 8  # grey levels of a standard deviation: ± 4 fill the range


def normalise(photograph: np.ndarray, field_of_view: np.ndarray) -> np.ndarray:
    """Float32 (h, w, 3): each channel minus its local mean, over its local contrast; 0 outside the FOV.

    Means are taken over pixels inside the FOV only, and 0 is what a plain background gives: the rim is no edge.
    """
    rows = np.flatnonzero(field_of_view.any(axis=1))
    diameter = float(rows[-1] - rows[0] + 1) if len(rows) else 1.0
    inside = field_of_view.astype(np.float32)[..., None]
    image = photograph.astype(np.float32) / 255
    detail = (image - _masked_mean(image, inside, BACKGROUND_SIGMA * diameter)) * inside
    contrast = np.sqrt(_masked_mean(detail**2, inside, CONTRAST_SIGMA * diameter))
    return np.clip(detail / (contrast + 0.005), -6, 6).astype(np.float32)


def normalised_picture(photograph: np.ndarray, field_of_view: np.ndarray) -> np.ndarray:
    """`normalise` as a picture: uint8 (h, w, 3), 128 for a plain background and outside, ± 4 of local contrast.

    The rim of the field of view, 0.6 % of its diameter, counts as outside.
    """
    evened = normalise(photograph, _without_rim(field_of_view))
    return np.rint(np.clip(evened * _STEPS + 128, 0, 255)).astype(np.uint8)


def _without_rim(field_of_view: np.ndarray) -> np.ndarray:
    rows = np.flatnonzero(field_of_view.any(axis=1))
    width = round(_RIM * (rows[-1] - rows[0] + 1)) if len(rows) else 0
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    return cv2.erode(field_of_view.astype(np.uint8), disc, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0


def _masked_mean(image: np.ndarray, inside: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian mean of (h, w, c) over the pixels where `inside` (h, w, 1) is 1."""
    total = cv2.GaussianBlur(image * inside, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    share = cv2.GaussianBlur(inside, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)[..., None]
    return total / np.maximum(share, 1e-3)
