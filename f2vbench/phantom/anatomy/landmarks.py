"""The landmarks of an eye in millimetres on the retina.

All geometry is that of a right eye with the fovea at the origin, x to the nasal side and y downwards, as a
photograph shows it; a left eye is mirrored by the camera alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

MM_PER_DEGREE = 0.288  # Drasdo and Fowler 1974, Br J Ophthalmol 58:709, for the emmetropic eye
_ANGLES = np.linspace(0, 2 * math.pi, 96, endpoint=False)


@dataclass(frozen=True)
class Outline:
    """A closed curve around a centre, told by its radius at each angle.

    Attributes:
        centre: (x, y) in mm.
        radii: (96,) mm, at angles from 0 (nasal) over the quarter turn (down) onwards.
    """

    centre: tuple[float, float]
    radii: np.ndarray

    @property
    def points(self) -> np.ndarray:
        """(96, 2) mm."""
        return np.asarray(self.centre) + self.radii[:, None] * np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)

    @property
    def height(self) -> float:
        """Vertical extent, mm."""
        return float(np.ptp(self.points[:, 1]))

    @property
    def width(self) -> float:
        """Horizontal extent, mm."""
        return float(np.ptp(self.points[:, 0]))

    def relative(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Distance from the centre over the outline's radius in that direction: 1 on the curve, below 1 inside."""
        dx, dy = x - self.centre[0], y - self.centre[1]
        angle = np.arctan2(dy, dx) % (2 * math.pi) * (len(self.radii) / (2 * math.pi))
        whole = angle.astype(np.int32)
        share = angle - whole
        after, before = self.radii[(whole + 1) % len(self.radii)], self.radii[whole % len(self.radii)]
        return np.asarray(np.hypot(dx, dy) / (before * (1 - share) + after * share), np.float32)


@dataclass(frozen=True)
class Anatomy:
    """Landmarks of one eye.

    Attributes:
        disc: rim of the optic disc (the scleral ring).
        cup: rim of the excavation, inside the disc.
        values: the drawn quantities, by their names in `quantities`.
        side: "right" or "left".
    """

    disc: Outline
    cup: Outline
    values: Mapping[str, float]
    side: str

    @property
    def cup_to_disc(self) -> float:
        """Vertical cup-to-disc ratio, as drawn."""
        return self.cup.height / self.disc.height


def draw_anatomy(values: Mapping[str, float], side: str, draw: np.random.Generator, notch: float = 0.0) -> Anatomy:
    """Disc and cup around the drawn sizes.

    Args:
        values: drawn quantities.
        notch: 0 to 1, how far the cup reaches to the lower and upper temporal rim more than elsewhere (glaucoma
            takes those first; a normal rim is widest below, then above, nasal, temporal: Jonas 1988).
    """
    tilt, distance = math.radians(values["disc_fovea_angle"]), values["disc_fovea_distance"]
    centre = (distance * math.cos(tilt), -distance * math.sin(tilt))
    disc = Outline(centre, _ellipse(values["disc_width"], values["disc_height"], values["disc_tilt"], 0.012, draw))
    ratio = values["cup_to_disc"]
    # In a normal disc the cup is a little wider than high, as the rim is thickest below and above.
    width = disc.width * ratio * (1.08 - 0.12 * notch)
    offset = 0.06 * disc.width * draw.uniform(0.2, 1.0) * (1 - ratio)
    cup_centre = (centre[0] - offset, centre[1] - 0.03 * disc.height * (1 - ratio))
    radii = _ellipse(width, disc.height * ratio, 0.0, 0.03, draw)
    for pole, share in ((0.56, 1.0), (1.44, float(draw.uniform(0.3, 1.0)))):  # lower, upper temporal, in half turns
        bend = np.cos(_ANGLES - pole * math.pi)
        radii = radii * (1 + 0.22 * notch * share * np.exp((bend - 1) * 7))
    # No cup reaches past the rim: at least 3 % of the radius is left.
    x, y = (np.asarray(cup_centre)[:, None] + radii * np.stack([np.cos(_ANGLES), np.sin(_ANGLES)])).astype(float)
    outside = disc.relative(x, y)
    radii = radii / np.maximum(1, outside / 0.97)
    cup = Outline(cup_centre, radii)
    # The drawn ratio is the vertical one; what notching and clipping changed is taken up here.
    scale = min(ratio / max(cup.height / disc.height, 1e-6), 1.15)
    x, y = (np.asarray(cup_centre)[:, None] + scale * radii * np.stack([np.cos(_ANGLES), np.sin(_ANGLES)])).astype(
        float
    )
    radii = scale * radii / np.maximum(1, disc.relative(x, y) / 0.97)
    return Anatomy(disc, Outline(cup_centre, radii), dict(values), side)


def _ellipse(width: float, height: float, tilt: float, roughness: float, draw: np.random.Generator) -> np.ndarray:
    """Radii of a tilted ellipse with gentle irregularity; ``roughness`` is the relative sd of each harmonic."""
    angles = _ANGLES - math.radians(tilt)
    radii = 0.5 * width * height / np.hypot(height * np.cos(angles), width * np.sin(angles))
    for order in (2, 3, 4, 5):
        radii = radii * (1 + roughness * draw.normal() * np.cos(order * _ANGLES + draw.uniform(0, 2 * math.pi)))
    return np.asarray(radii)
