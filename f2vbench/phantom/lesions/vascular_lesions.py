"""Lesions of diseased retinal vessels: sizes, shapes and leakage of each kind; vectorised over positions.

Sizes: microaneurysms are up to 125 µm wide, the width of a large vein at the disc; larger red spots are haemorrhages
(ETDRS report 10, 1991, Ophthalmology 98:786). Ranges of other lesions are textbook values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from f2vbench.phantom.anatomy.landmarks import Anatomy
from f2vbench.phantom.anatomy.vessels import Vessels
from f2vbench.phantom.lesions.base import Lesion
from f2vbench.phantom.lesions.outlines import (
    blob_outlines,
    boat_outlines,
    fibre_direction,
    flame_outlines,
    ragged_outlines,
)

# Kind → smallest and largest diameter of the circle with the same area, mm.
SIZES = {
    "microaneurysm": (0.015, 0.125),
    "haemorrhage": (0.06, 0.75),
    "hard_exudate": (0.03, 0.5),
    "cotton_wool_spot": (0.2, 0.7),
    "laser_scar": (0.2, 0.5),
}


@dataclass(frozen=True)
class VesselSites:
    """Candidate positions of lesions.

    Attributes:
        points: (m, 2) mm.
        weights: (m,) relative probability of each point.
    """

    points: np.ndarray
    weights: np.ndarray

    def sample(self, count: int, draw: np.random.Generator) -> np.ndarray:
        """Sample points without replacement, (≤ count, 2) mm; fewer where fewer have a positive weight."""
        count = min(count, int((self.weights > 0).sum()))
        if count == 0:
            return np.zeros((0, 2))
        # Weighted sampling without replacement: the largest of u ** (1 / weight), u uniform (Efraimidis 2006).
        with np.errstate(divide="ignore"):
            key = np.log(draw.random(len(self.weights))) / self.weights
        return np.asarray(self.points[np.argpartition(-key, count - 1)[:count]])

    def reweighted(self, weights: np.ndarray) -> VesselSites:
        """Return the same points with their weights multiplied by ``weights``, (m,)."""
        return VesselSites(self.points, self.weights * weights)


def small_vessel_sites(
    anatomy: Anatomy, vessels: Vessels, draw: np.random.Generator, jitter: float = 0.12
) -> VesselSites:
    """Sites beside small vessels, off the disc and the foveal centre, with equal weights.

    Args:
        anatomy: Landmarks of the eye.
        vessels: Vessel trees.
        draw: Random generator.
        jitter: Standard deviation of the distance from the vessel, mm.
    """
    node = np.flatnonzero(vessels.radius < 0.03)
    points = vessels.points[node] + draw.normal(scale=jitter, size=(len(node), 2))
    clear = (anatomy.disc.relative(*points.T) > 1.25) & (np.hypot(*points.T) > 0.3)
    return VesselSites(points, clear.astype(float))


def microaneurysms(at: np.ndarray, draw: np.random.Generator) -> list[Lesion]:
    """Draw red dots of 15 to 125 µm, most of them 30 to 70 µm, with little leakage, at (n, 2) mm."""
    size = _sizes("microaneurysm", 0.048, 0.38, len(at), draw)
    shapes = blob_outlines(at, size, draw, 0.08, draw.uniform(1, 1.35, len(at)), draw.uniform(0, math.pi, len(at)), 12)
    leak = 0.1 + 0.5 * draw.beta(1.2, 2.0, len(at))
    strength = draw.uniform(0.55, 1.0, len(at))
    return [Lesion("microaneurysm", shapes[n], strength[n], leak[n], 0.012) for n in range(len(at))]


def haemorrhages(
    at: np.ndarray, anatomy: Anatomy, draw: np.random.Generator, flame_share: float = 0.35, size: float = 0.15
) -> list[Lesion]:
    """Draw dot and blot haemorrhages, and flame haemorrhages along the nerve fibres, more of these near the disc.

    Args:
        at: (n, 2) mm.
        anatomy: Landmarks of the eye.
        draw: Random generator.
        flame_share: Approximate fraction of flame haemorrhages.
        size: Median diameter, mm; most are between 60 and 500 µm.
    """
    disc = np.asarray(anatomy.disc.centre)
    near = np.exp(-((np.hypot(*(at - disc).T) / 3.6) ** 2))
    flame = draw.random(len(at)) < flame_share * (0.35 + 1.6 * near)
    diameter = _sizes("haemorrhage", size, 0.5, len(at), draw)
    strength = draw.uniform(0.5, 1.0, len(at))
    softness = draw.uniform(0.02, 0.07, len(at))
    shapes: list[np.ndarray] = [np.zeros((0, 2))] * len(at)
    blot = np.flatnonzero(~flame)
    for n, shape in zip(
        blot,
        blob_outlines(
            at[blot],
            diameter[blot],
            draw,
            0.13,
            draw.uniform(1, 1.7, len(blot)),
            draw.uniform(0, math.pi, len(blot)),
            28,
        ),
        strict=True,
    ):
        shapes[n] = shape
    streak = np.flatnonzero(flame)
    length = np.clip(diameter[streak] * draw.uniform(1.7, 3.0, len(streak)), 0.15, 1.3)
    width = np.clip(length / draw.uniform(2.4, 7.0, len(streak)), 0.05, 0.4)
    turn = fibre_direction(at[streak], disc) + draw.normal(scale=0.08, size=len(streak))
    for n, shape in zip(streak, flame_outlines(at[streak], length, width, turn, draw), strict=True):
        shapes[n] = shape
    return [Lesion("haemorrhage", shapes[n], strength[n], 0.0, softness[n]) for n in range(len(at))]


def hard_exudates(
    centres: np.ndarray, anatomy: Anatomy, draw: np.random.Generator, ring_share: float = 0.35
) -> list[Lesion]:
    """Draw a cluster of exudates, or an incomplete ring of 0.3 to 1.1 mm radius, at each centre.

    Args:
        centres: (n, 2) mm.
        anatomy: Landmarks of the eye.
        draw: Random generator.
        ring_share: Fraction of rings.
    """
    at, sizes = [], []
    for centre in centres:
        count = int(6 + 70 * draw.random() ** 1.6)
        if draw.random() < ring_share:
            angle = draw.uniform(0, 2 * math.pi) + draw.uniform(2.5, 6.0) * draw.random(count)
            lobed = 1 + 0.16 * np.cos(2 * angle + draw.uniform(0, 6.3)) + 0.1 * np.cos(3 * angle + draw.uniform(0, 6.3))
            radius = draw.uniform(0.3, 1.1) * lobed * draw.normal(1.0, 0.11, count)
            at.append(centre + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1))
        else:
            spread = draw.uniform(0.12, 0.45)
            seeds = centre + draw.normal(scale=spread, size=(max(2, count // 5), 2))
            at.append(seeds[draw.integers(0, len(seeds), count)] + draw.normal(scale=0.3 * spread, size=(count, 2)))
        sizes.append(_sizes("hard_exudate", draw.uniform(0.032, 0.06), 0.6, count, draw))
    if not at:
        return []
    points, size = np.concatenate(at), np.concatenate(sizes)
    keep = (np.hypot(*points.T) > 0.12) & (anatomy.disc.relative(*points.T) > 1.3)
    points, size = points[keep], size[keep]
    shapes = blob_outlines(
        points,
        size,
        draw,
        0.24,
        draw.uniform(1, 1.9, len(size)),
        draw.uniform(0, math.pi, len(size)),
        16,
    )
    strength = np.clip(draw.uniform(0.35, 0.9, len(size)) + 1.5 * size, 0, 1)
    return [Lesion("hard_exudate", shapes[n], strength[n], 0.0, 0.008) for n in range(len(size))]


def cotton_wool_spots(at: np.ndarray, anatomy: Anatomy, draw: np.random.Generator) -> list[Lesion]:
    """Draw soft white spots of 200 to 700 µm, mostly elongated across the nerve fibres, at (n, 2) mm."""
    size = _sizes("cotton_wool_spot", 0.36, 0.3, len(at), draw)
    turn = fibre_direction(at, np.asarray(anatomy.disc.centre)) + math.pi / 2 + draw.normal(scale=0.35, size=len(at))
    shapes = blob_outlines(at, size, draw, 0.16, draw.uniform(1.1, 1.9, len(at)), turn, 28)
    strength = draw.uniform(0.4, 0.95, len(at))
    return [
        Lesion("cotton_wool_spot", shapes[n], strength[n], float(draw.uniform(0.05, 0.15)), 0.06 + 0.25 * size[n])
        for n in range(len(at))
    ]


def oedemas(at: np.ndarray, draw: np.random.Generator, least: float = 0.7, most: float = 2.2) -> list[Lesion]:
    """Draw areas of thickened, leaking retina, ``least`` to ``most`` mm wide, at (n, 2) mm."""
    shapes = blob_outlines(at, draw.uniform(least, most, len(at)), draw, 0.14, draw.uniform(1, 1.4, len(at)), 0.0, 40)
    return [
        Lesion("oedema", shape, float(draw.uniform(0.4, 1.0)), float(draw.uniform(0.5, 0.8)), 0.22) for shape in shapes
    ]


def non_perfusions(at: np.ndarray, reach: np.ndarray, vessels: Vessels, draw: np.random.Generator) -> list[Lesion]:
    """Draw areas of closed capillaries: ragged, between vessels of more than about 50 µm.

    Args:
        at: (n, 2) mm.
        reach: (n,) mm, mean radius.
        vessels: Vessel trees.
        draw: Random generator.
    """
    wide = vessels.points[vessels.radius > 0.026]
    shapes = ragged_outlines(at, reach, wide, draw)
    return [Lesion("non_perfusion", shape, float(draw.uniform(0.5, 1.0)), 0.0, 0.03) for shape in shapes]


def new_vessels(base: np.ndarray, heading: float, reach: float, fan: float, draw: np.random.Generator) -> Lesion:
    """Draw a frond of new vessels: fine curves that fan out from a vein or the disc, branch, and loop at their ends.

    Args:
        base: (2,) mm, origin.
        heading: Main direction, radians.
        reach: Approximate extent, mm.
        fan: Half of the opening angle, radians.
        draw: Random generator.
    """
    stems = _vessel_loops(np.tile(base, (int(draw.integers(5, 10)), 1)), heading, fan, reach, 0.16, draw)
    twigs = int(draw.integers(8, 22) * min(1.6, 0.6 + 0.5 * reach))
    which, at = draw.integers(0, len(stems), twigs), draw.integers(3, stems.shape[1], twigs)
    ends = _vessel_loops(stems[which, at], heading, fan + 0.9, 0.45 * reach, 0.34, draw)
    return _net("neovascularisation", [stems, ends], float(draw.uniform(0.6, 1.0)), 1.0)


def microvascular_abnormality(at: np.ndarray, draw: np.random.Generator) -> Lesion:
    """Draw an IRMA: a few kinked shunts of 0.4 to 0.9 mm within the retina, with little leakage, at (2,) mm."""
    curls = _vessel_loops(
        at + draw.normal(scale=0.06, size=(int(draw.integers(4, 8)), 2)),
        float(draw.uniform(0, 2 * math.pi)),
        1.3,
        float(draw.uniform(0.4, 0.9)),
        0.5,
        draw,
    )
    return _net("intraretinal_microvascular_abnormality", [curls], float(draw.uniform(0.5, 0.9)), 0.1)


def preretinal_haemorrhages(at: np.ndarray, draw: np.random.Generator) -> list[Lesion]:
    """Draw preretinal blood with a level top, 1 to 4 mm wide, at (n, 2) mm."""
    width = draw.uniform(1.0, 4.0, len(at))
    shapes = boat_outlines(at, width, width * draw.uniform(0.25, 0.5, len(at)), draw)
    return [Lesion("preretinal_haemorrhage", shape, float(draw.uniform(0.85, 1.0)), 0.0, 0.02) for shape in shapes]


def laser_scars(anatomy: Anatomy, draw: np.random.Generator) -> list[Lesion]:
    """Draw scatter treatment outside the arcades, burns about one width apart (ETDRS report 3, 1987), incomplete."""
    spacing, size = draw.uniform(0.5, 0.8), draw.uniform(0.25, 0.38)
    rows = np.arange(-10, 10, spacing * 0.87)
    x, y = np.meshgrid(np.arange(-10, 10, spacing), rows)
    x = x + 0.5 * spacing * (np.arange(len(rows)) % 2)[:, None]
    at = np.stack([x.ravel(), y.ravel()], axis=1) + draw.normal(scale=0.2 * spacing, size=(x.size, 2))
    turn = draw.uniform(-0.4, 0.4)
    at = at @ np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    inner = anatomy.values["arcade_height"] * draw.uniform(0.8, 1.15)
    from_macula = np.hypot((at[:, 0] + 0.3) / 1.12, at[:, 1])
    ragged = inner + draw.normal(scale=0.25, size=len(at))
    keep = (from_macula > ragged) & (anatomy.disc.relative(*at.T) > 1.7)
    keep &= np.hypot(at[:, 0] - 2.4, at[:, 1]) < 9.8
    # Treatment is less dense towards one side, and single burns are missing.
    side = draw.uniform(0, 2 * math.pi)
    toward = (at @ [math.cos(side), math.sin(side)]) / 9
    keep &= draw.random(len(at)) < np.clip(draw.uniform(0.6, 1.0) - 0.35 * toward, 0.1, 0.97)
    at = at[keep]
    # Parts of the treated area are pigmented; where pigment is dense, scars are larger and irregular.
    dark = draw.uniform(0, 2 * math.pi)
    patch = 1 / (1 + np.exp(-2.2 * ((at @ [math.cos(dark), math.sin(dark)]) - draw.uniform(1.5, 6.0))))
    pigment = patch * draw.random(len(at)) * draw.uniform(0.3, 1.0) + 0.5 * (draw.random(len(at)) < 0.03)
    diameter = np.clip(size * np.exp(draw.normal(scale=0.2, size=len(at))) * (1 + 0.4 * pigment), *SIZES["laser_scar"])
    longer = draw.uniform(1, 1.35, len(at)) + 1.1 * pigment * draw.random(len(at))
    shapes = blob_outlines(at, diameter, draw, 0.12, longer, draw.uniform(0, math.pi, len(at)), 20)
    strength = draw.uniform(0.35, 0.9) * draw.uniform(0.6, 1.1, len(at))
    return [
        Lesion("laser_scar", shapes[n], min(float(strength[n]), 1.0), 0.0, 0.09, pigment=min(float(pigment[n]), 1.0))
        for n in range(len(at))
    ]


def _vessel_loops(
    start: np.ndarray, heading: float, fan: float, reach: float, kink: float, draw: np.random.Generator
) -> np.ndarray:
    """Winding curves, (n, 15, 2) mm, that start at points (n, 2) mm; curvature increases, so that the ends loop."""
    count, steps = len(start), 14
    first = heading + fan * draw.uniform(-1, 1, (count, 1))
    growing = np.linspace(0, 1, steps) ** 2 * draw.normal(scale=0.55, size=(count, 1))
    angle = first + np.cumsum(growing + draw.normal(scale=kink, size=(count, steps)), axis=1)
    length = reach / steps * 1.25 * draw.uniform(0.45, 1.0, (count, 1, 1))
    moves = length * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return np.concatenate([start[:, None], start[:, None] + np.cumsum(moves, axis=1)], axis=1)


def _net(kind: str, curves: list[np.ndarray], strength: float, leak: float) -> Lesion:
    """A lesion of fine vessels, with their convex hull as outline."""
    strands = np.concatenate([np.stack([each[:, :-1], each[:, 1:]], axis=2).reshape(-1, 2, 2) for each in curves])
    hull = cv2.convexHull(strands.reshape(-1, 2).astype(np.float32)).reshape(-1, 2).astype(float)
    middle = hull.mean(axis=0)
    return Lesion(kind, middle + 1.04 * (hull - middle), strength, leak, 0.03, strands)


def _sizes(kind: str, median: float, spread: float, count: int, draw: np.random.Generator) -> np.ndarray:
    """Log-normal diameters clipped to the range of the kind, (count,) mm."""
    return np.clip(median * np.exp(draw.normal(scale=spread, size=count)), *SIZES[kind])
