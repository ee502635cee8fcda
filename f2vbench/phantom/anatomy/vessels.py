"""Artery and vein trees of a retina as vectors: centre lines, radii, parents, path length from the disc.

Trunks leave the disc along the four arcades and towards the macula and the nasal side. Between them the trees grow
by competition for tissue without supply, from coarse to fine (space colonisation: Runions, Lane, Prusinkiewicz 2007,
Eurographics Workshop on Natural Phenomena). Branches thus fill the retina evenly, rarely cross their own kind, meet
near the temporal raphe and leave the avascular zone free. Radii follow Murray's law, r₀ˣ = r₁ˣ + r₂ˣ (Murray 1926,
PNAS 12:207), from the ends to the disc. Tortuosity is a smooth deformation of the whole tree that keeps every
junction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from f2vbench.phantom.anatomy.growth import ARTERY, STEP, VEIN, Forest
from f2vbench.phantom.anatomy.landmarks import Anatomy
from f2vbench.phantom.anatomy.trunks import draw_trunks, tissue_points

__all__ = ["ARTERY", "STEP", "VEIN", "Vessels", "grow_vessels"]

LEVELS = (2.5, 1.5, 0.85)  # spacing of each level's tissue points, relative to the drawn spacing


@dataclass(frozen=True)
class Vessels:
    """Vessel trees of one eye; each node comes after its parent.

    Attributes:
        points: (n, 2) mm, in the coordinates of `landmarks`.
        parent: (n,) index of the next node towards the disc, -1 at a root.
        radius: (n,) mm.
        kind: (n,) `ARTERY` or `VEIN`.
        path: (n,) path length from the root in the disc, mm.
        supply: (n,) number of terminal nodes that a node supplies or drains.
        artery_over: Fraction of the crossings at which the artery lies on top.
    """

    points: np.ndarray
    parent: np.ndarray
    radius: np.ndarray
    kind: np.ndarray
    path: np.ndarray
    supply: np.ndarray
    artery_over: float

    def segments(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the parent and the node of every segment, (s,) indices each."""
        node = np.flatnonzero(self.parent >= 0)
        return self.parent[node], node

    def main_child(self) -> np.ndarray:
        """Return the index of each node's widest child, (n,), -1 at a terminal node."""
        start, node = self.segments()
        order = np.lexsort((self.radius[node], start))
        child = np.full(len(self.points), -1)
        child[start[order]] = node[order]  # the last assignment wins: the widest child
        return child


def grow_vessels(anatomy: Anatomy, draw: np.random.Generator) -> Vessels:
    """Grow the vessels of one eye, about 4,000 to 8,000 nodes.

    Args:
        anatomy: Landmarks and drawn quantities of the eye.
        draw: Random generator.
    """
    values = anatomy.values
    forest = Forest(0.5 * values["avascular_zone"])
    for kind in (ARTERY, VEIN):
        for trunk in draw_trunks(anatomy, kind, draw):
            forest.add_trunk(trunk, kind)
    for level in LEVELS:
        spacing = level * values["vessel_spacing"]
        tissue = [tissue_points(anatomy, spacing * (1.0 if kind == ARTERY else 1.06), draw) for kind in (ARTERY, VEIN)]
        forest.colonise(tissue, spacing, draw)
    points, parent, kinds = forest.arrays()
    supply = _supply(parent)
    points = _smooth(points, parent, supply, values["branching_exponent"])
    points = _bend(points, kinds, anatomy, values["tortuosity"], draw)
    radius = _murray(points, kinds, supply, anatomy)
    length = np.hypot(*(points - points[np.maximum(parent, 0)]).T)
    path = np.zeros(len(points))
    for node, above in enumerate(parent.tolist()):
        if above >= 0:
            path[node] = path[above] + length[node]
    return Vessels(points, parent, radius, kinds, path, supply, float(draw.uniform(0.6, 0.9)))


def _smooth(points: np.ndarray, parent: np.ndarray, supply: np.ndarray, exponent: float) -> np.ndarray:
    """Smooth the grown centre lines: each inner node moves towards the weighted mean of its two or three neighbours.

    The weight of a segment is its cross-section, as if blood volume were minimised (Murray 1926, J Gen Physiol 9:835).
    A branch thus pulls its stem to its side, a large branch more than a small one, and the larger child bends less.
    """
    node = np.flatnonzero(parent >= 0)
    above = parent[node]
    weight = supply ** (2 / exponent)
    inner = np.flatnonzero((parent >= 0) & np.isin(np.arange(len(points)), above))
    pull = (weight + np.bincount(above, weight[node], len(points)))[inner, None]
    for _ in range(4):
        below = np.stack(
            [np.bincount(above, weight[node] * points[node, axis], len(points)) for axis in (0, 1)], axis=1
        )
        mean = (weight[inner, None] * points[parent[inner]] + below[inner]) / pull
        points = points.copy()
        points[inner] += 0.5 * (mean - points[inner])
    return points


def _bend(
    points: np.ndarray, kind: np.ndarray, anatomy: Anatomy, slope: float, draw: np.random.Generator
) -> np.ndarray:
    """Bend the trees smoothly; ``slope`` is the rms slope of a vessel that was straight.

    A sum of shear waves of 0.7 to 4 mm: for a slope g the arc is about 1 + g²/2 times the chord. The waves fade towards
    the disc and the avascular zone, which keep their place.
    """
    moved = points.copy()
    for which, share in ((None, 0.75), (ARTERY, 0.6), (VEIN, 0.6)):
        selected = np.arange(len(points)) if which is None else np.flatnonzero(kind == which)
        waves = 22
        wavelength = np.exp(draw.uniform(math.log(0.7), math.log(4.0), waves))
        direction = draw.uniform(0, 2 * math.pi, waves)
        wave = 2 * math.pi / wavelength * np.stack([np.cos(direction), np.sin(direction)])
        across = np.stack([-np.sin(direction), np.cos(direction)], axis=1)
        # rms over waves and directions: half of a wave's slope acts on a vessel of random direction
        amplitude = slope * share * np.sqrt(8 / (3 * waves)) * wavelength / (2 * math.pi)
        phase = points[selected] @ wave + draw.uniform(0, 2 * math.pi, waves)
        moved[selected] += (np.sin(phase) * amplitude) @ across
    from_zone = np.hypot(*points.T) - 0.5 * anatomy.values["avascular_zone"]
    fade = np.clip((anatomy.disc.relative(points[:, 0], points[:, 1]) - 0.3) / 1.2, 0, 1) * np.clip(from_zone, 0, 1)
    return np.asarray(points + fade[:, None] * (moved - points))


def _supply(parent: np.ndarray) -> np.ndarray:
    """Number of terminal nodes beyond each node, 1 for a terminal node."""
    above = parent.tolist()
    ends = [0] * len(above)
    for node in range(len(above) - 1, -1, -1):
        ends[node] = ends[node] or 1
        if above[node] >= 0:
            ends[above[node]] += ends[node]
    return np.asarray(ends, float)


def _murray(points: np.ndarray, kind: np.ndarray, supply: np.ndarray, anatomy: Anatomy) -> np.ndarray:
    """Radii (mm) by Murray's law, scaled so that the main trunks of a kind have the drawn diameter.

    The scale is measured half a disc diameter and more outside the disc margin (zone B of the ARIC grid, Hubbard et
    al. 1999).
    """
    exponent = anatomy.values["branching_exponent"]
    relative = supply ** (1 / exponent)
    radius = np.zeros(len(points))
    zone = anatomy.disc.relative(points[:, 0], points[:, 1])
    for which, name in ((ARTERY, "artery_diameter"), (VEIN, "vein_diameter")):
        selected = kind == which
        measured = selected & (zone > 2.0) & (zone < 3.0)
        largest = np.sort(relative[measured])[::-1]
        main = float(np.median(largest[: max(1, len(largest) // 4)]))
        radius[selected] = relative[selected] / main * anatomy.values[name] / 2000
    return np.clip(radius, 0.004, 0.12)
