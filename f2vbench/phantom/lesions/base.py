"""Lesions: where they lie, how large they are, and their masks; each as an outline in millimetres.

Sizes are those of the usual gradings (ETDRS report 10, 1991; AREDS report 6, 2001).
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
_FINE = 4  # sub-pixels along a pixel's edge
_SHIFT = 4  # fractional bits of polygon corners


@dataclass(frozen=True)
class Lesion:
    """One lesion.

    Attributes:
        kind: one of KINDS.
        outline: (m, 2) mm, a closed curve; for a net of new vessels its vessels, see ``strands``.
        strength: 0 to 1, how strongly it is seen in a photograph.
        leak: 0 to 1, how strongly dye leaks from it.
        softness: mm, width of its border.
        strands: new vessels and IRMA only: (k, 2, 2) mm, pieces of fine vessel from point to point.
        pigment: 0 to 1, dark pigment in the middle of scars and along the border of atrophy and crescents.
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
        """(2,) mm."""
        return np.asarray(self.outline.mean(axis=0))

    @property
    def diameter(self) -> float:
        """mm, of the circle with the same area."""
        x, y = self.outline.T
        area = 0.5 * abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))))
        return 2 * float(np.sqrt(area / np.pi))


def coverage(lesions: Iterable[Lesion], camera: Camera, by: str = "strength") -> np.ndarray:
    """How far each pixel is covered by lesions, times an attribute; float32 (size, size) in [0, 1].

    Borders are antialiased: the area of a lesion of two pixels and more is right to a few hundredths.

    Args:
        lesions: where they overlap, the strongest counts.
        by: ``strength``, ``leak``, ``pigment``, or ``one`` for the plain mask.
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
    # Only the rectangle that the lesions lie in is worked on, in sub-pixels.
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
    """Outlines made narrower by ``width`` on every side, as OpenCV fills the pixels of a border too.

    Args:
        corners: (m, 2) px, of all outlines one after the other; ends: (n + 1,) where each begins and ends.
    """
    after = np.arange(len(corners)) + 1
    after[ends[1:] - 1] = ends[:-1]
    before = np.argsort(after)
    area = np.add.reduceat(corners[:, 0] * corners[after, 1] - corners[:, 1] * corners[after, 0], ends[:-1])
    side = corners[after] - corners
    side = side / np.maximum(np.hypot(*side.T), 1e-9)[:, None]
    inwards = np.repeat(np.where(area < 0, 1.0, -1.0), np.diff(ends))[:, None] * np.stack([side[:, 1], -side[:, 0]], 1)
    # Both sides at a corner move by the width; where it is very sharp, less.
    facing = (inwards * inwards[before]).sum(axis=1)
    move = (inwards + inwards[before]) / np.maximum(1 + facing, 0.5)[:, None]
    return np.asarray(corners + width * move)
