"""Landmarks of an eye, in millimetres on the retina.

Coordinates are those of a right eye: the fovea is the origin, x points to the nasal side and y points down, as in a
photograph. Left eyes use the same coordinates; only their camera mirrors the image.
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
    """A closed curve around a centre, described by its radius at each angle.

    Attributes:
        centre: (x, y), mm.
        radii: (96,) mm, at equidistant angles from 0 (nasal) through π/2 (down) to 2π.
    """

    centre: tuple[float, float]
    radii: np.ndarray

    @property
    def points(self) -> np.ndarray:
        """Points of the curve, (96, 2) mm."""
        rays = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
        return np.asarray(np.asarray(self.centre) + self.radii[:, None] * rays)

    @property
    def height(self) -> float:
        """Vertical extent, mm."""
        return float(np.ptp(self.points[:, 1]))

    @property
    def width(self) -> float:
        """Horizontal extent, mm."""
        return float(np.ptp(self.points[:, 0]))

    def relative(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Distance from the centre divided by the radius in that direction: 1 on the curve, below 1 inside.

        Args:
            x: Coordinates, mm.
            y: Coordinates, mm, of the same shape.

        Returns:
            float32 of the same shape.
        """
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
        disc: Margin of the optic disc (scleral ring).
        cup: Margin of the excavation, inside the disc.
        values: Drawn quantities by their names in `quantities`.
        side: "right" or "left".
    """

    disc: Outline
    cup: Outline
    values: Mapping[str, float]
    side: str

    @property
    def cup_to_disc(self) -> float:
        """Vertical cup-to-disc ratio."""
        return self.cup.height / self.disc.height


def draw_anatomy(values: Mapping[str, float], side: str, draw: np.random.Generator, notch: float = 0.0) -> Anatomy:
    """Draw the outlines of disc and cup for the drawn sizes.

    Args:
        values: Drawn quantities by their names in `quantities`.
        side: "right" or "left".
        draw: Random generator of the shapes.
        notch: 0 to 1, how much further the cup extends at the lower and upper temporal rim than elsewhere. Glaucoma
            damages these parts first; a normal rim is widest below, then above, nasal, temporal (Jonas 1988).
    """
    tilt, distance = math.radians(values["disc_fovea_angle"]), values["disc_fovea_distance"]
    centre = (distance * math.cos(tilt), -distance * math.sin(tilt))
    disc = Outline(centre, _ellipse(values["disc_width"], values["disc_height"], values["disc_tilt"], 0.012, draw))
    ratio = values["cup_to_disc"]
    # In a normal disc the cup is slightly wider than high, because the rim is thickest below and above.
    width = disc.width * ratio * (1.08 - 0.12 * notch)
    offset = 0.06 * disc.width * draw.uniform(0.2, 1.0) * (1 - ratio)
    cup_centre = (centre[0] - offset, centre[1] - 0.03 * disc.height * (1 - ratio))
    radii = _ellipse(width, disc.height * ratio, 0.0, 0.03, draw)
    # Lower and upper temporal pole, as multiples of π.
    for pole, share in ((0.56, 1.0), (1.44, float(draw.uniform(0.3, 1.0)))):
        bend = np.cos(_ANGLES - pole * math.pi)
        radii = radii * (1 + 0.22 * notch * share * np.exp((bend - 1) * 7))
    # The cup stays inside the disc: at least 3 % of the radius remains as rim.
    x, y = (np.asarray(cup_centre)[:, None] + radii * np.stack([np.cos(_ANGLES), np.sin(_ANGLES)])).astype(float)
    outside = disc.relative(x, y)
    radii = radii / np.maximum(1, outside / 0.97)
    cup = Outline(cup_centre, radii)
    # The drawn ratio is the vertical one: rescale to compensate for notching and clipping.
    scale = min(ratio / max(cup.height / disc.height, 1e-6), 1.15)
    x, y = (np.asarray(cup_centre)[:, None] + scale * radii * np.stack([np.cos(_ANGLES), np.sin(_ANGLES)])).astype(
        float
    )
    radii = scale * radii / np.maximum(1, disc.relative(x, y) / 0.97)
    return Anatomy(disc, Outline(cup_centre, radii), dict(values), side)


def _ellipse(width: float, height: float, tilt: float, roughness: float, draw: np.random.Generator) -> np.ndarray:
    """Radii of a tilted, slightly irregular ellipse; ``roughness`` is the relative sd of each harmonic."""
    angles = _ANGLES - math.radians(tilt)
    radii = 0.5 * width * height / np.hypot(height * np.cos(angles), width * np.sin(angles))
    for order in (2, 3, 4, 5):
        radii = radii * (1 + roughness * draw.normal() * np.cos(order * _ANGLES + draw.uniform(0, 2 * math.pi)))
    return np.asarray(radii)
