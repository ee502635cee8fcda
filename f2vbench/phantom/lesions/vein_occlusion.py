"""Branch retinal vein occlusion: one sector of the retina beyond an arterio-venous crossing.

Most occlusions are temporal, above more often than below, where an artery crosses over the vein (Zhao et al. 1993,
Arch Ophthalmol 111:1141; Weinberg et al. 1990, Ophthalmology 97:1107).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from f2vbench.phantom.anatomy.landmarks import Anatomy
from f2vbench.phantom.anatomy.vessels import ARTERY, VEIN, Vessels
from f2vbench.phantom.lesions.base import Lesion
from f2vbench.phantom.lesions.vascular_lesions import (
    VesselSites,
    cotton_wool_spots,
    haemorrhages,
    hard_exudates,
    microaneurysms,
    non_perfusions,
    oedemas,
)

_SEGMENT = 0.16  # mm: vessel segments whose midpoints are further apart do not cross
_EXTENT = 7.2  # mm from the fovea: lesions beyond are outside of photographs


def branch_vein_occlusion(
    severity: int, anatomy: Anatomy, vessels: Vessels, draw: np.random.Generator
) -> tuple[list[Lesion], Vessels]:
    """Draw lesions in the sector of the occluded vein, and dilate that vein.

    Args:
        severity: 1, or 2 with closed capillaries.
        anatomy: Landmarks of the eye.
        vessels: Vessel trees of the healthy eye.
        draw: Random generator.

    Returns:
        Lesions, vessels with the occluded vein wider and more tortuous.
    """
    sector = drained_nodes(vessels, occluded_node(anatomy, vessels, draw))
    sites = sector_sites(anatomy, vessels, sector, draw)
    flame_share = float(draw.uniform(0.55, 0.95))
    age = draw.random()  # 0 fresh: much blood; 1 months old: less blood, more exudate
    lesions: list[Lesion] = []
    if severity == 2:
        centres = _separated(sites.sample(60, draw), 0.8, int(draw.integers(4, 12)))
        lesions += non_perfusions(centres, draw.uniform(0.45, 1.3, len(centres)), vessels, draw)
    lesions += oedemas(sites.sample(int(draw.integers(1, 4)), draw), draw, 0.9, 2.4)
    density = (0.3 + 1.2 * (1 - age)) * draw.uniform(0.6, 1.4)
    count = int(density * 85 * np.clip(sector.sum() / 500, 0.4, 2.0) ** 0.5) + 15
    lesions += haemorrhages(sites.sample(count, draw), anatomy, draw, flame_share, draw.uniform(0.15, 0.22))
    lesions += microaneurysms(sites.sample(int(draw.integers(3, 14)), draw), draw)
    near_disc = sites.reweighted(np.hypot(*(sites.points - anatomy.disc.centre).T) < 4.5)
    lesions += cotton_wool_spots(near_disc.sample(int(draw.integers(0, 7)), draw), anatomy, draw)
    if age > 0.45:
        macular = sites.reweighted(np.exp(-((np.hypot(*sites.points.T) / 2.0) ** 2)))
        lesions += hard_exudates(macular.sample(int(draw.integers(1, 4)), draw), anatomy, draw, 0.15)
    return lesions, _dilated_veins(vessels, sector, draw)


def crossings(vessels: Vessels) -> np.ndarray:
    """Vein nodes whose segment towards the disc crosses a segment of an artery, (k,) indices."""
    _, end = vessels.segments()
    vein, artery = (end[vessels.kind[end] == kind] for kind in (VEIN, ARTERY))
    middle = 0.5 * (vessels.points + vessels.points[np.maximum(vessels.parent, 0)])
    pairs = cKDTree(middle[vein]).query_ball_tree(cKDTree(middle[artery]), _SEGMENT)
    count = np.array([len(each) for each in pairs])
    if not count.sum():
        return np.zeros(0, int)
    v, a = np.repeat(vein, count), artery[np.concatenate([each for each in pairs if each]).astype(int)]
    p, q = vessels.points[vessels.parent[v]], vessels.points[v]
    r, s = vessels.points[vessels.parent[a]], vessels.points[a]

    def side(first: np.ndarray, last: np.ndarray, point: np.ndarray) -> np.ndarray:
        (ux, uy), (vx, vy) = (last - first).T, (point - first).T
        return np.asarray(np.sign(ux * vy - uy * vx))

    cross = (side(p, q, r) != side(p, q, s)) & (side(r, s, p) != side(r, s, q))
    return np.unique(v[cross])


def occluded_node(anatomy: Anatomy, vessels: Vessels, draw: np.random.Generator) -> int:
    """Draw the vein node beyond the occlusion, at a crossing 1 to 4 mm from the disc margin on a temporal branch.

    Args:
        anatomy: Landmarks of the eye.
        vessels: Vessel trees.
        draw: Random generator.

    Raises:
        ValueError: There is no temporal vein.
    """
    x, y = vessels.points.T
    disc = anatomy.disc
    gap = np.hypot(x - disc.centre[0], y - disc.centre[1]) - disc.height / 2
    temporal = (vessels.kind == VEIN) & (gap > 1.0) & (gap < 4.0) & (x < disc.centre[0] - 0.2)
    crossed = np.zeros(len(x), bool)
    crossed[crossings(vessels)] = True
    # Prefer veins that drain a large area, by the number of terminal nodes. Without a crossing (rare), any temporal
    # vein is a candidate.
    large = vessels.supply > 0.35 * vessels.supply[temporal].max()
    ahead = np.arange(len(x))
    child = vessels.main_child()
    for _ in range(18):
        ahead = np.where(child[ahead] >= 0, child[ahead], ahead)
    # Occlusions that affect the macula are the ones that are diagnosed.
    central = np.exp(-((np.hypot(x[ahead], y[ahead]) / 3.6) ** 2))
    near = crossed & large & (central > 0.25)
    for candidates in (temporal & near, temporal & crossed & large, temporal & crossed, temporal):
        node = np.flatnonzero(candidates)
        if len(node):
            chance = vessels.supply[node] * central[node] * np.where(y[node] < 0, 1.6, 1.0)
            return int(draw.choice(node, p=chance / chance.sum()))
    raise ValueError("The eye has no temporal vein: pass the vessels of a complete eye")


def drained_nodes(vessels: Vessels, node: int) -> np.ndarray:
    """Nodes that drain through a node, including the node itself; bool (n,)."""
    inside = [False] * len(vessels.parent)
    inside[node] = True
    parents = vessels.parent.tolist()
    for n in range(node + 1, len(parents)):
        if parents[n] >= node:
            inside[n] = inside[parents[n]]
    return np.array(inside)


def sector_sites(anatomy: Anatomy, vessels: Vessels, sector: np.ndarray, draw: np.random.Generator) -> VesselSites:
    """Sites whose nearest vein belongs to a sector, densest near its stem.

    Args:
        anatomy: Landmarks of the eye.
        vessels: Vessel trees.
        sector: bool (n,), vein nodes of the sector.
        draw: Random generator.
    """
    node = np.flatnonzero(sector)
    node = np.repeat(node, max(1, 1500 // len(node)))
    points = vessels.points[node] + draw.normal(scale=0.33, size=(len(node), 2))
    vein = np.flatnonzero(vessels.kind == VEIN)
    _, nearest = cKDTree(vessels.points[vein]).query(points)
    from_fovea = np.hypot(*points.T)
    allowed = sector[vein[nearest]] & (anatomy.disc.relative(*points.T) > 1.15)
    allowed &= (from_fovea > 0.25) & (from_fovea < _EXTENT)
    along = vessels.path[node] - vessels.path[sector].min()
    return VesselSites(points, allowed * np.exp(-along / draw.uniform(2.0, 4.5)))


def _dilated_veins(vessels: Vessels, sector: np.ndarray, draw: np.random.Generator) -> Vessels:
    """Widen the sector's veins by a factor of 1.2 to 1.5 and bend them; narrow the crossing before them."""
    into = vessels.path - vessels.path[sector].min()
    fade = np.clip(into / 0.5, 0, 1) * sector
    wide = 1 + fade * draw.uniform(0.2, 0.5)
    parent = vessels.parent[np.flatnonzero(sector)[0]]
    wide[parent] *= 0.75
    points = vessels.points.copy()
    for wavelength in draw.uniform(0.7, 1.8, 6):
        turn, phase = draw.uniform(0, 2 * math.pi, 2)
        wave = np.sin(2 * math.pi / wavelength * (vessels.points @ [math.cos(turn), math.sin(turn)]) + phase)
        size = 0.075 * wavelength * draw.uniform(0.5, 1.0)
        points += (0.5 * fade * size * wave)[:, None] * np.array([-math.sin(turn), math.cos(turn)])
    length = np.hypot(*(points - points[np.maximum(vessels.parent, 0)]).T)
    path = vessels.path.copy()
    for node in np.flatnonzero(sector).tolist():
        path[node] = path[vessels.parent[node]] + length[node]
    return replace(vessels, points=points, radius=vessels.radius * wide, path=path)


def _separated(points: np.ndarray, gap: float, most: int) -> np.ndarray:
    """At most ``most`` points, each at a distance of ``gap`` mm or more from the previous ones."""
    kept: list[np.ndarray] = []
    for point in points:
        if len(kept) < most and all(math.dist(point, other) >= gap for other in kept):
            kept.append(point)
    return np.array(kept).reshape(-1, 2)
