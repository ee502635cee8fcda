"""One simulated eye, and maps of it that several modalities use."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from f2vbench.phantom.anatomy.camera import Camera
from f2vbench.phantom.anatomy.landmarks import Anatomy
from f2vbench.phantom.anatomy.surface import FundusSurface
from f2vbench.phantom.anatomy.vessels import Vessels
from f2vbench.phantom.lesions.base import Lesion, coverage


@dataclass(frozen=True)
class Eye:
    """Complete description of one eye, independent of any camera; lengths are millimetres of retina.

    Attributes:
        anatomy: Landmarks and drawn quantities.
        vessels: Artery and vein trees, including changes by disease.
        lesions: All lesions.
        surface: Pigmentation and textures of retina and choroid.
        age: Years; ocular media, nerve fibre sheen and pigments depend on it.
        haze: 0 for clear media to 1 for a dense cataract.
        seed: Key of the random generators of textures that are fixed for this eye.
    """

    anatomy: Anatomy
    vessels: Vessels
    lesions: tuple[Lesion, ...]
    surface: FundusSurface
    age: float
    haze: float
    seed: tuple[int, ...]


def cover_lesions(eye: Eye, camera: Camera, *kinds: str, by: str = "one") -> np.ndarray:
    """Coverage of each pixel by lesions of some kinds, with soft borders.

    Args:
        eye: The eye.
        camera: View of the map.
        *kinds: Kinds of lesions.
        by: Attribute by which coverage is multiplied, see `f2vbench.phantom.lesions.base.coverage`.

    Returns:
        float32 (size, size) in [0, 1].
    """
    lesions = [lesion for lesion in eye.lesions if lesion.kind in kinds]
    if not lesions:
        return np.zeros((camera.size, camera.size), np.float32)
    mask = coverage(lesions, camera, by=by)
    softness = float(np.mean([lesion.softness for lesion in lesions])) * camera.pixels_per_mm
    return cv2.GaussianBlur(mask, (0, 0), 0.5 * softness) if softness > 0.4 else mask


def macular_absorption(eye: Eye, camera: Camera) -> np.ndarray:
    """Relative optical density of the macula, float32 (size, size), 1 at the fovea.

    The sum of a peak of xanthophyll within about 1°, whose width grows with the avascular zone, and a broad component
    of taller pigment cells.
    """
    x, y = camera.grid()
    squared = x * x + y * y
    peak = 0.28 + 0.2 * eye.anatomy.values["avascular_zone"]
    return np.asarray(0.64 * np.exp(-squared / (2 * peak**2)) + 0.36 * np.exp(-0.5 * squared), np.float32)
