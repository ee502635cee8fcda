"""Lesions as outlines in millimetres, and their coverage of the pixels of an image.

Sizes follow the usual grading schemes (ETDRS report 10, 1991; AREDS report 6, 2001).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from f2vbench.phantom.anatomy.camera import Camera

KINDS = (
    "microaneurysm",
    "haemorrhage",
    "preretinal_haemorrhage",
    "hard_exudate",
    "cotton_wool_spot",
    "neovascularisation",
    "intraretinal_microvascular_abnormality",
    "oedema",
    "non_perfusion",
    "laser_scar",
    "drusen",
    "atrophy",
    "nerve_fibre_defect",
    "crescent",
)
_FINE = 4  # sub-pixels along the edge of a pixel
_SHIFT = 4  # fractional bits of polygon corners in OpenCV


@dataclass(frozen=True)
class Lesion:
    """One lesion.

    Attributes:
        kind: One of `KINDS`.
        outline: (m, 2) mm, a closed curve; for new vessels and IRMA the hull of their `strands`.
        strength: 0 to 1, visibility in a photograph.
        leak: 0 to 1, leakage of dye.
        softness: Width of the border, mm.
        strands: (k, 2, 2) mm, segments of fine vessels from point to point; new vessels and IRMA only.
        pigment: 0 to 1, dark pigment in the centre of scars and along the border of atrophy and crescents.
    """

    kind: str
    outline: np.ndarray
    strength: float = 1.0
    leak: float = 0.0
    softness: float = 0.0
    strands: np.ndarray | None = None
    pigment: float = 0.0

    @property
    def centre(self) -> np.ndarray:
        """Mean of the outline's corners, (2,) mm."""
        return np.asarray(self.outline.mean(axis=0))

    @property
    def diameter(self) -> float:
        """Diameter of the circle with the same area, mm."""
        x, y = self.outline.T
        area = 0.5 * abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))))
        return 2 * float(np.sqrt(area / np.pi))


def coverage(lesions: Iterable[Lesion], camera: Camera, by: str = "strength") -> np.ndarray:
    """Coverage of each pixel by lesions, multiplied by an attribute.

    Borders are antialiased: for lesions of two pixels and more, the area is correct to a few per cent.

    Args:
        lesions: Lesions; where they overlap, the largest value of the attribute counts.
        camera: View of the map.
        by: ``strength``, ``leak``, ``pigment``, or ``one`` for coverage alone.

    Returns:
        float32 (size, size) in [0, 1].
    """
    size = camera.size
    image = np.zeros((size, size), np.float32)
    chosen = [(1.0 if by == "one" else float(getattr(lesion, by)), lesion.outline) for lesion in lesions]
    chosen = [(value, outline) for value, outline in chosen if value > 0]
    if not chosen:
        return image
    ends = np.cumsum([0] + [len(outline) for _, outline in chosen])
    corners = _inset(camera.to_pixels(np.concatenate([outline for _, outline in chosen])), ends, 0.5 / _FINE)
    low, high = np.minimum.reduceat(corners, ends[:-1]), np.maximum.reduceat(corners, ends[:-1])
    visible = np.flatnonzero(((high > -1) & (low < size)).all(axis=1))
    if not len(visible):
        return image
    # Rasterise the bounding rectangle of the lesions only, in sub-pixels.
    left, top = np.clip(np.floor(low[visible].min(axis=0)).astype(int) - 1, 0, size)
    right, bottom = np.clip(np.ceil(high[visible].max(axis=0)).astype(int) + 2, 0, size)
    fine = np.zeros(((bottom - top) * _FINE, (right - left) * _FINE), np.uint8)
    placed = (corners - [left, top] + 0.5) * _FINE - 0.5
    whole = np.rint(placed * (1 << _SHIFT)).astype(np.int32)
    for n in sorted(visible, key=lambda each: chosen[each][0]):
        cv2.fillPoly(fine, [whole[ends[n] : ends[n + 1]]], round(255 * chosen[n][0]), cv2.LINE_8, _SHIFT)
    while fine.shape[0] > bottom - top:
        fine = cv2.resize(fine, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    image[top:bottom, left:right] = fine.astype(np.float32) / 255
    return image


def _inset(corners: np.ndarray, ends: np.ndarray, width: float) -> np.ndarray:
    """Shrink outlines by ``width`` on every side, because OpenCV also fills the pixels of the border.

    Args:
        corners: (m, 2) px, corners of all outlines in sequence.
        ends: (n + 1,) index of the first corner of each outline, and m.
        width: Pixels.
    """
    after = np.arange(len(corners)) + 1
    after[ends[1:] - 1] = ends[:-1]
    before = np.argsort(after)
    area = np.add.reduceat(corners[:, 0] * corners[after, 1] - corners[:, 1] * corners[after, 0], ends[:-1])
    side = corners[after] - corners
    side = side / np.maximum(np.hypot(*side.T), 1e-9)[:, None]
    inwards = np.repeat(np.where(area < 0, 1.0, -1.0), np.diff(ends))[:, None] * np.stack([side[:, 1], -side[:, 0]], 1)
    # Both edges at a corner move by the width; by less where the corner is very sharp.
    facing = (inwards * inwards[before]).sum(axis=1)
    move = (inwards + inwards[before]) / np.maximum(1 + facing, 0.5)[:, None]
    return np.asarray(corners + width * move)
