"""Artery and vein trees of a retina, as vectors: centre lines, radii, tree, path length from the disc.

Trunks leave the disc along the four arcades and towards macula and nose; between them the trees are grown by
competition for tissue that has no supply yet (space colonisation: Runions, Lane, Prusinkiewicz 2007,
Eurographics Workshop on Natural Phenomena), from coarse to fine, so branches fill the retina evenly, never
cross their own kind, meet near the temporal raphe and leave the avascular zone free. Radii follow Murray's
law, r₀ˣ = r₁ˣ + r₂ˣ (Murray 1926, PNAS 12:207), from the ends to the disc; tortuosity is a smooth
deformation of the whole tree, which keeps every junction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from f2vbench.phantom.anatomy.growth import ARTERY, STEP, VEIN, Forest
from f2vbench.phantom.anatomy.landmarks import Anatomy
from f2vbench.phantom.anatomy.trunks import draw_trunks, tissue_points

__all__ = ["ARTERY", "STEP", "VEIN", "Vessels", "grow_vessels"]

LEVELS = (4.4, 2.6, 1.5, 0.85)  # spacing of the tissue points of each level over the drawn spacing


@dataclass(frozen=True)
class Vessels:
    """The forest of one eye; nodes are sorted so that a node's parent comes before it.

    Attributes:
        points: (n, 2) mm, in the anatomy's coordinates.
        parent: (n,) index of the next node towards the disc, -1 at a root.
        radius: (n,) mm.
        kind: (n,) ARTERY or VEIN.
        path: (n,) mm along the tree from its root in the disc.
        supply: (n,) number of ends that a node supplies or drains.
        artery_over: share of crossings at which the artery lies on top.
    """

    points: np.ndarray
    parent: np.ndarray
    radius: np.ndarray
    kind: np.ndarray
    path: np.ndarray
    supply: np.ndarray
    artery_over: float

    def segments(self) -> tuple[np.ndarray, np.ndarray]:
        """Indices (parent, node) of every piece of vessel."""
        node = np.flatnonzero(self.parent >= 0)
        return self.parent[node], node

    def main_child(self) -> np.ndarray:
        """(n,) index of each node's widest child, -1 at an end."""
        start, node = self.segments()
        order = np.lexsort((self.radius[node], start))
        child = np.full(len(self.points), -1)
        child[start[order]] = node[order]  # the last, widest one stays
        return child


def grow_vessels(anatomy: Anatomy, draw: np.random.Generator) -> Vessels:
    """Grow the vessels of one eye; about 4,000 to 8,000 nodes."""
    values = anatomy.values
    forest = Forest()
    for kind in (ARTERY, VEIN):
        for trunk in draw_trunks(anatomy, kind, draw):
            forest.add_trunk(trunk, kind)
    for level in LEVELS:
        spacing = level * values["vessel_spacing"]
        tissue = [tissue_points(anatomy, spacing * (1.0 if kind == ARTERY else 1.06), draw) for kind in (ARTERY, VEIN)]
        forest.colonise(tissue, spacing, draw)
    points, parent, kinds = forest.arrays()
    points = _smooth(points, parent)
    points = _bend(points, kinds, anatomy, values["tortuosity"], draw)
    supply = _supply(parent)
    radius = _murray(points, kinds, supply, anatomy)
    length = np.hypot(*(points - points[np.maximum(parent, 0)]).T)
    path = np.zeros(len(points))
    for node, above in enumerate(parent.tolist()):
        if above >= 0:
            path[node] = path[above] + length[node]
    return Vessels(points, parent, radius, kinds, path, supply, float(draw.uniform(0.6, 0.9)))


def _smooth(points: np.ndarray, parent: np.ndarray) -> np.ndarray:
    """Rounds the corners of growth: each inner node moves towards the middle of its neighbours."""
    node = np.flatnonzero(parent >= 0)
    child = np.full(len(points), -1)
    child[parent[node][::-1]] = node[::-1]  # the first child goes on, later ones branch off
    inner = np.flatnonzero((parent >= 0) & (child >= 0))
    for _ in range(4):
        middle = 0.5 * (points[parent[inner]] + points[child[inner]])
        points = points.copy()
        points[inner] += 0.5 * (middle - points[inner])
    return points


def _bend(
    points: np.ndarray, kind: np.ndarray, anatomy: Anatomy, slope: float, draw: np.random.Generator
) -> np.ndarray:
    """Bends the trees smoothly; ``slope`` is the rms slope that a straight vessel gets.

    A sum of shear waves of 0.7 to 4 mm: for a slope g the arc is about 1 + g²/2 times the chord.
    """
    moved = points.copy()
    for which, share in ((None, 0.75), (ARTERY, 0.6), (VEIN, 0.6)):
        mine = np.arange(len(points)) if which is None else np.flatnonzero(kind == which)
        waves = 22
        wavelength = np.exp(draw.uniform(math.log(0.7), math.log(4.0), waves))
        direction = draw.uniform(0, 2 * math.pi, waves)
        wave = 2 * math.pi / wavelength * np.stack([np.cos(direction), np.sin(direction)])
        across = np.stack([-np.sin(direction), np.cos(direction)], axis=1)
        # rms over waves and directions: half of a wave's slope is seen by a vessel of random direction
        amplitude = slope * share * np.sqrt(8 / (3 * waves)) * wavelength / (2 * math.pi)
        phase = points[mine] @ wave + draw.uniform(0, 2 * math.pi, waves)
        moved[mine] += (np.sin(phase) * amplitude) @ across
    fade = np.clip((anatomy.disc.relative(points[:, 0], points[:, 1]) - 0.3) / 1.2, 0, 1)[:, None]
    return np.asarray(points + fade * (moved - points))


def _supply(parent: np.ndarray) -> np.ndarray:
    """Ends beyond each node, itself if it is one."""
    above = parent.tolist()
    ends = [0] * len(above)
    for node in range(len(above) - 1, -1, -1):
        ends[node] = ends[node] or 1
        if above[node] >= 0:
            ends[above[node]] += ends[node]
    return np.asarray(ends, float)


def _murray(points: np.ndarray, kind: np.ndarray, supply: np.ndarray, anatomy: Anatomy) -> np.ndarray:
    """Radii (mm) by Murray's law, scaled so that the four main trunks of a kind have the drawn diameter.

    The scale is taken half a disc diameter outside the rim and onwards (zone B of the ARIC grid, Hubbard et al. 1999).
    """
    exponent = anatomy.values["branching_exponent"]
    relative = supply ** (1 / exponent)
    radius = np.zeros(len(points))
    zone = anatomy.disc.relative(points[:, 0], points[:, 1])
    for which, name in ((ARTERY, "artery_diameter"), (VEIN, "vein_diameter")):
        mine = kind == which
        measured = mine & (zone > 2.0) & (zone < 3.0)
        largest = np.sort(relative[measured])[::-1]
        main = float(np.median(largest[: max(1, len(largest) // 4)]))
        radius[mine] = relative[mine] / main * anatomy.values[name] / 2000
    return np.clip(radius, 0.004, 0.12)
