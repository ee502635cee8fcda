"""What the simulator knows about each pixel of a photograph, as one map of bits."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from f2vbench.phantom.anatomy.camera import Camera
from f2vbench.phantom.imaging.ground_truth import GroundTruth
from f2vbench.phantom.truth_classes import TRUTH_CLASSES
from f2vbench.training.data.affine_masks import covers_half, seen_region

VESSELS = slice(0, 2)
LESIONS = slice(4, len(TRUTH_CLASSES))

_FOVEA_RADIUS = 0.5  # mm: the darkest part of the macula


def truth_masks(truth: GroundTruth, camera: Camera) -> dict[str, np.ndarray]:
    """The masks of one view by class, for the classes that occur in it.

    Args:
        truth: Of the view.
        camera: Of the view; the fovea is the origin of its coordinates.

    Returns:
        Class → bool (size, size). Where artery and vein cross, a pixel is both.
    """
    x, y = camera.grid()
    fovea = (np.hypot(x, y) <= _FOVEA_RADIUS) & truth.field_of_view
    masks = {"artery": truth.arteries, "vein": truth.veins, "disc": truth.disc, "fovea": fovea, **truth.lesions}
    return {name: mask for name, mask in masks.items() if mask.any()}


def pack_truth(masks: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Masks as one map of bits.

    Args:
        masks: Class → bool ``shape``; classes that do not occur are left out.
        shape: (h, w).

    Returns:
        uint32 ``shape``; bit i is class i of `TRUTH_CLASSES`.
    """
    packed = np.zeros(shape, np.uint32)
    for name, mask in masks.items():
        packed |= mask.astype(np.uint32) << np.uint32(TRUTH_CLASSES.index(name))
    return packed


def unpack_truth(packed: np.ndarray) -> np.ndarray:
    """A map of bits as one mask a class, uint8 (classes, h, w) of 0 and 1."""
    masks = np.empty((len(TRUTH_CLASSES), *packed.shape), np.uint8)
    for first in range(0, len(masks), 8):
        byte = (packed >> np.uint32(first)).astype(np.uint8)
        for bit, mask in enumerate(masks[first : first + 8]):
            np.bitwise_and(byte >> np.uint8(bit), np.uint8(1), out=mask)
    return masks


def warp_truth(packed: np.ndarray, matrix: np.ndarray, side: int) -> np.ndarray:
    """A view of a map of bits: each class is interpolated, and kept where it covers half of a pixel.

    Args:
        packed: uint32 (size, size).
        matrix: (2, 3), from pixels (column, row) of the view to pixels of the map.
        side: Side of the view in pixels.

    Returns:
        uint32 (side, side).
    """
    warped = np.zeros((side, side), np.uint32)
    region = seen_region(matrix, side, packed.shape)
    seen = packed[region]
    present = int(np.bitwise_or.reduce(seen, axis=None))
    source = np.zeros(packed.shape, np.float32)
    for bit in range(len(TRUTH_CLASSES)):
        if present >> bit & 1:
            source[region] = (seen >> np.uint32(bit)) & np.uint32(1)
            warped |= covers_half(source, matrix, side).astype(np.uint32) << np.uint32(bit)
    return warped
