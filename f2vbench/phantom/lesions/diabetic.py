"""Diabetic retinopathy of a requested grade, 1 to 4 on the international scale (Wilkinson 2003)."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from f2vbench.phantom.anatomy.landmarks import Anatomy
from f2vbench.phantom.anatomy.vessels import VEIN, Vessels
from f2vbench.phantom.lesions.base import Lesion
from f2vbench.phantom.lesions.grading import BEAD_RADIUS, MIDDLE, SEVERE_HAEMORRHAGES, quadrant
from f2vbench.phantom.lesions.vascular_lesions import (
    VesselSites,
    cotton_wool_spots,
    haemorrhages,
    hard_exudates,
    laser_scars,
    microaneurysms,
    microvascular_abnormality,
    new_vessels,
    non_perfusions,
    oedemas,
    preretinal_haemorrhages,
    small_vessel_sites,
)

_SPREAD = 3.3  # mm: the disease concentrates in the posterior pole
_VISIBLE_RADIUS = 6.6  # mm from the centre of a macula photograph


def diabetic_retinopathy(
    grade: int, anatomy: Anatomy, vessels: Vessels, draw: np.random.Generator
) -> tuple[list[Lesion], Vessels]:
    """Draw lesions and vessel changes to which `grading.dr_grade` assigns the requested grade.

    Args:
        grade: 1 to 4.
        anatomy: Landmarks of the eye.
        vessels: Vessel trees of the healthy eye.
        draw: Random generator.

    Returns:
        Lesions, changed vessels.
    """
    sites = _diabetic_sites(anatomy, vessels, draw)
    if grade == 1:
        count = 1 + int(14 * draw.random() ** 1.6)
        return microaneurysms(sites.sample(count, draw), draw), vessels
    lesions: list[Lesion] = []
    if grade == 3 or (grade == 4 and draw.random() < 0.75) or (grade == 2 and draw.random() < 0.12):
        closed = _closed_areas(grade, anatomy, vessels, draw)
        lesions += closed
        sites = _favour_borders(sites, closed)
    if grade == 2:
        bleeding = _scattered_haemorrhages(sites, int(2 + 30 * draw.random() ** 2.0), draw)
    elif grade == 3:
        bleeding, signs, vessels = _severe(sites, anatomy, vessels, draw)
        lesions += signs
    else:
        lesions += _proliferation(anatomy, vessels, draw)
        treated = draw.random() < 0.4
        if treated:
            lesions += laser_scars(anatomy, draw)
        bleeding = sites.sample(int(draw.uniform(4, 25) if treated else draw.uniform(10, 90)), draw)
    lesions += haemorrhages(bleeding, anatomy, draw, draw.uniform(0.1, 0.6), draw.uniform(0.11, 0.19))
    lesions += microaneurysms(sites.sample(int(draw.uniform(4, 18) * (1 + grade / 2)), draw), draw)
    if draw.random() < 0.4 + 0.1 * grade:
        spots = _favour_ring(sites, anatomy.disc.centre, 3.2, 1.1).sample(1 + int(draw.gamma(1.4, 1.7)), draw)
        lesions += cotton_wool_spots(spots, anatomy, draw)
    if draw.random() < 0.68:
        lesions += _exudation(sites, anatomy, draw)
    return lesions, vessels


def _diabetic_sites(anatomy: Anatomy, vessels: Vessels, draw: np.random.Generator) -> VesselSites:
    """Sites at small vessels, weighted towards the posterior pole, the temporal side, and a few random patches."""
    sites = small_vessel_sites(anatomy, vessels, draw)
    x, y = sites.points.T
    weight = np.exp(-0.5 * (np.hypot(x - 0.6, y) / _SPREAD) ** 2) * (np.hypot(x - 0.7, y) < _VISIBLE_RADIUS)
    weight *= 1 + 0.6 / (1 + np.exp(3 * x))
    patchy = np.full(len(x), draw.uniform(0.15, 1.0))
    for _ in range(int(draw.integers(2, 6))):
        focus, width = draw.normal(scale=[2.6, 2.2]), draw.uniform(0.6, 1.6)
        patchy += np.exp(-0.5 * (np.hypot(x - focus[0], y - focus[1]) / width) ** 2)
    # No lesion lies on the border of quadrants, so that counts per quadrant are unambiguous.
    clear = np.minimum(np.abs(x - MIDDLE[0]), np.abs(y - MIDDLE[1])) > 0.03
    return sites.reweighted(weight * patchy * clear)


def _scattered_haemorrhages(sites: VesselSites, count: int, draw: np.random.Generator) -> np.ndarray:
    """Positions of haemorrhages, at most `SEVERE_HAEMORRHAGES` per quadrant, (n, 2) mm."""
    at = sites.sample(count, draw)
    where = quadrant(at)
    keep = np.concatenate([np.flatnonzero(where == q)[:SEVERE_HAEMORRHAGES] for q in range(4)])
    return np.asarray(at[np.sort(keep)])


def _severe(
    sites: VesselSites, anatomy: Anatomy, vessels: Vessels, draw: np.random.Generator
) -> tuple[np.ndarray, list[Lesion], Vessels]:
    """One to three of the three signs of grade 3: positions of haemorrhages, other lesions, vessels."""
    signs = draw.random(3) < [0.6, 0.45, 0.5]
    if not signs.any():
        signs[draw.integers(3)] = True
    lesions: list[Lesion] = []
    bleeding = sites.sample(int(draw.integers(15, 55)), draw)
    if signs[1]:
        beaded = bead_veins(anatomy, vessels, draw)
        if beaded is None:
            signs[0] = True
        else:
            vessels = beaded
    if signs[0]:
        where = quadrant(sites.points)
        bleeding = np.concatenate(
            [
                sites.reweighted(where == q).sample(SEVERE_HAEMORRHAGES + 1 + int(draw.gamma(2.0, 5.0)), draw)
                for q in range(4)
            ]
        )
    if signs[2]:
        arcades = sites.reweighted(np.abs(np.hypot(*sites.points.T) - 3.6) < 1.6)
        for at in arcades.sample(int(draw.integers(1, 5)), draw):
            lesions.append(microvascular_abnormality(at, draw))
    return bleeding, lesions, vessels


def bead_veins(anatomy: Anatomy, vessels: Vessels, draw: np.random.Generator) -> Vessels | None:
    """Bead the veins of two to four quadrants: the radius varies by ±16 to 26 % with a period of 0.6 to 0.9 mm.

    Args:
        anatomy: Landmarks of the eye.
        vessels: Vessel trees.
        draw: Random generator.

    Returns:
        Changed vessels, or None where fewer than two quadrants have wide veins.
    """
    wide = (vessels.kind == VEIN) & (vessels.radius > 1.25 * BEAD_RADIUS)
    from_centre = np.hypot(*(vessels.points - [0.7, 0.0]).T)
    wide &= (from_centre < _VISIBLE_RADIUS) & (anatomy.disc.relative(*vessels.points.T) > 1.5)
    where = quadrant(vessels.points)
    enough = np.flatnonzero(np.bincount(where[wide], minlength=4) > 25)
    if len(enough) < 2:
        return None
    chosen = draw.choice(enough, int(draw.integers(2, len(enough) + 1)), replace=False)
    depth = draw.uniform(0.16, 0.26)
    phase = 2 * math.pi * vessels.path / draw.uniform(0.62, 0.90) + 0.6 * np.sin(3.1 * vessels.path)
    factor = 1 + depth * np.sin(phase) * (wide & np.isin(where, chosen))
    return replace(vessels, radius=vessels.radius * factor)


def _closed_areas(grade: int, anatomy: Anatomy, vessels: Vessels, draw: np.random.Generator) -> list[Lesion]:
    """Areas of capillary non-perfusion, mostly outside the macula."""
    count = int(draw.integers(1, 4) if grade == 2 else draw.integers(2, 12))
    angle, far = draw.uniform(0, 2 * math.pi, count), draw.uniform(1.3, 6.5, count)
    at = np.array([0.6, 0.0]) + far[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    at = at[anatomy.disc.relative(*at.T) > 1.9]
    return non_perfusions(at, draw.uniform(0.4, 1.5, len(at)), vessels, draw)


def _favour_borders(sites: VesselSites, areas: list[Lesion]) -> VesselSites:
    """Increase the weights of sites along the borders of areas."""
    weight = np.ones(len(sites.points))
    for area in areas:
        gap = np.hypot(*(sites.points - area.centre).T) - area.diameter / 2
        weight += 1.6 * np.exp(-((gap / 0.3) ** 2))
    return sites.reweighted(weight)


def _favour_ring(sites: VesselSites, centre: tuple[float, float], far: float, least: float) -> VesselSites:
    """Restrict sites to distances of more than ``least`` and about ``far`` mm from a point, outside the macula."""
    gap = np.hypot(*(sites.points - np.asarray(centre)).T)
    return sites.reweighted(np.exp(-((gap / far) ** 2)) * (gap > least) * (np.hypot(*sites.points.T) > 1.4))


def _exudation(sites: VesselSites, anatomy: Anatomy, draw: np.random.Generator) -> list[Lesion]:
    """Clusters and rings of exudate around leaks, often with oedema."""
    x, y = sites.points.T
    macular = sites.reweighted(np.exp(-0.5 * (np.hypot(x + 0.3, y) / 1.9) ** 2))
    centres = macular.sample(1 + int(draw.gamma(1.3, 1.6)), draw)
    lesions = hard_exudates(centres, anatomy, draw)
    for centre in centres:
        lesions += microaneurysms(centre + draw.normal(scale=0.13, size=(int(draw.integers(1, 5)), 2)), draw)
    if draw.random() < 0.55:
        lesions += oedemas(centres[: 1 + int(draw.integers(0, 2))], draw)
    return lesions


def _proliferation(anatomy: Anatomy, vessels: Vessels, draw: np.random.Generator) -> list[Lesion]:
    """New vessels at the disc or elsewhere, preretinal haemorrhage: at least one of them."""
    at_disc, elsewhere, blood = draw.random(3) < [0.45, 0.65, 0.3]
    if not (at_disc or elsewhere or blood):
        elsewhere = True
    lesions: list[Lesion] = []
    disc = np.asarray(anatomy.disc.centre)
    if at_disc:
        base = disc + draw.normal(scale=0.25, size=2)
        lesions.append(
            new_vessels(base, draw.uniform(0, 2 * math.pi), draw.uniform(0.7, 1.9), draw.uniform(1, 3), draw)
        )
    x, y = vessels.points.T
    middle = np.abs(np.hypot(x - 0.3, y) - 3.9) < 1.5
    near_vein = (vessels.kind == VEIN) & (vessels.radius > 0.03) & middle & (anatomy.disc.relative(x, y) > 2.2)
    arcades = VesselSites(vessels.points, near_vein.astype(float))
    bases = np.zeros((0, 2))
    if elsewhere:
        bases = arcades.sample(int(draw.integers(1, 4)), draw)
        for base in bases:
            heading = math.atan2(base[1], base[0]) + draw.normal(scale=0.9)
            lesions.append(new_vessels(base, heading, draw.uniform(0.5, 2.0), draw.uniform(0.5, 1.3), draw))
    if blood:
        source = bases if len(bases) and draw.random() < 0.6 else arcades.sample(1, draw)
        at = source[: 1 + int(draw.random() < 0.25)] + draw.normal(scale=0.3, size=2) + [0.0, 0.4]
        at = np.clip(at, [-3.6, -4.0], [4.6, 4.0])  # inside the field of a photograph
        lesions += preretinal_haemorrhages(at, draw)
    return lesions
