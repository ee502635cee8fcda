"""The view of a camera: the mapping from millimetres on the retina to pixels, and the field of view."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from f2vbench.phantom.anatomy.landmarks import MM_PER_DEGREE, Anatomy


@dataclass(frozen=True)
class Camera:
    """Position, field angle and image size of one acquisition.

    Attributes:
        size: Edge length of the square image, px.
        field: Angle of the circular field of view, degrees.
        centre: Point of the retina in the middle of the image, (x, y) mm.
        torsion: Rotation of the eye, degrees.
        mirrored: True for a left eye.
        fill: Diameter of the field of view divided by the edge length of the image.
        cut: Fraction of the field's radius that is cut off at the top and at the bottom, 0 for a full circle.
        notch: Whether the field of view has a tab at its rim, with which many cameras mark the image orientation.
    """

    size: int
    field: float
    centre: tuple[float, float]
    torsion: float = 0.0
    mirrored: bool = False
    fill: float = 0.97
    cut: float = 0.0
    notch: bool = False

    @property
    def pixels_per_mm(self) -> float:
        """Scale of the image, px per mm of retina."""
        return self.size * self.fill / (self.field * MM_PER_DEGREE)

    @property
    def matrix(self) -> np.ndarray:
        """Affine matrix, (2, 3): pixel = matrix · (x, y, 1), with pixel centres at integer coordinates."""
        turn, scale = math.radians(self.torsion), self.pixels_per_mm
        flip = -1.0 if self.mirrored else 1.0
        linear = scale * np.array([[flip * math.cos(turn), -flip * math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        shift = (self.size - 1) / 2 - linear @ np.asarray(self.centre)
        return np.column_stack([linear, shift])

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """Map points, (…, 2) mm, to pixel coordinates, (…, 2) as (column, row)."""
        matrix = self.matrix
        return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Retinal coordinates x and y of every pixel, float32 (size, size) each, mm."""
        back = cv2.invertAffineTransform(self.matrix)
        along = np.arange(self.size, dtype=np.float32)
        x = back[0, 0] * along[None, :] + back[0, 1] * along[:, None] + back[0, 2]
        y = back[1, 0] * along[None, :] + back[1, 1] * along[:, None] + back[1, 2]
        return x.astype(np.float32), y.astype(np.float32)

    def radius_map(self) -> np.ndarray:
        """Distance from the image centre relative to the radius of the field, float32 (size, size): 1 at the rim."""
        along = np.arange(self.size, dtype=np.float32) - (self.size - 1) / 2
        return np.asarray(np.hypot(along[None, :], along[:, None]) / (self.fill * self.size / 2), np.float32)

    def field_of_view(self) -> np.ndarray:
        """Mask of the field of view, bool (size, size)."""
        inside = self.radius_map() <= 1
        along = np.arange(self.size) - (self.size - 1) / 2
        if self.cut:
            inside &= (np.abs(along) <= (1 - self.cut) * self.fill * self.size / 2)[:, None]
        if self.notch:
            radius, side = self.fill * self.size / 2, -1 if self.mirrored else 1
            x, y = side * 0.72 * radius, -0.72 * radius
            inside |= np.hypot(along[None, :] - x, along[:, None] - y) < 0.035 * self.size
        return np.asarray(inside)

    def at_size(self, size: int) -> Camera:
        """Return the same view with another image size, px."""
        return replace(self, size=size)


VIEWS = ("macula", "disc")


def aim(anatomy: Anatomy, view: str, field: float, size: int, draw: np.random.Generator) -> Camera:
    """Draw a camera that is centred on the macula or the disc, with the inaccuracy of a photographer.

    Macula-centred photographs are centred a little nasal of the fovea, so that the image contains the whole disc.

    Args:
        anatomy: Landmarks of the eye.
        view: One of `VIEWS`.
        field: Angle of the field of view, degrees.
        size: Edge length of the image, px.
        draw: Random generator of the offset and the torsion.

    Raises:
        ValueError: The view is unknown.
    """
    if view not in VIEWS:
        raise ValueError(f"Unknown view '{view}'; known: {', '.join(VIEWS)}")
    x, y = anatomy.disc.centre
    offset = (0.15 * x, 0.15 * y) if view == "macula" else (0.95 * x, 0.95 * y)
    jitter = draw.normal(scale=0.028 * field * MM_PER_DEGREE, size=2)
    return Camera(
        size=size,
        field=field,
        centre=(offset[0] + float(jitter[0]), offset[1] + float(jitter[1])),
        torsion=float(np.clip(draw.normal(scale=3.0), -9, 9)),
        mirrored=anatomy.side == "left",
    )
