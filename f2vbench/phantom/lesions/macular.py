"""Lesions of macular degeneration (drusen, atrophy, haemorrhage) and of myopia (crescent, patchy atrophy)."""

from __future__ import annotations

import math

import numpy as np

from f2vbench.phantom.anatomy.landmarks import Anatomy
from f2vbench.phantom.lesions.base import Lesion
from f2vbench.phantom.lesions.outlines import blob_outlines
from f2vbench.phantom.lesions.vascular_lesions import hard_exudates, new_vessels, oedemas

# AREDS report 6, 2001, Am J Ophthalmol 132:668: small < 63 µm, intermediate, large ≥ 125 µm.
SMALL_DRUSEN, LARGE_DRUSEN = 0.063, 0.125  # mm
DRUSEN_SIZES = (0.03, 0.35)  # mm


def small_drusen(count: int, anatomy: Anatomy, draw: np.random.Generator) -> list[Lesion]:
    """Draw a few hard drusen smaller than `SMALL_DRUSEN`, as in most old eyes."""
    at = draw.normal(scale=1.7, size=(count, 2))
    return _drusen(_off_disc(at, anatomy), 0.045, 0.25, SMALL_DRUSEN - 1e-3, 0.012, draw)


def soft_drusen(count: int, anatomy: Anatomy, draw: np.random.Generator) -> list[Lesion]:
    """Draw soft drusen of all sizes, the large ones central and confluent; at least three are large."""
    spread = draw.uniform(0.6, 1.5)
    seeds = draw.normal(scale=spread, size=(max(3, count // 4), 2))
    at = seeds[draw.integers(0, len(seeds), count)] + draw.normal(scale=0.2, size=(count, 2))
    lesions = _drusen(_off_disc(at, anatomy), draw.uniform(0.085, 0.13), 0.4, DRUSEN_SIZES[1], 0.03, draw)
    large = draw.normal(scale=0.7 * spread, size=(int(draw.integers(4, 16)), 2))
    large = _off_disc(np.clip(large, -2.5, 2.5), anatomy)
    size = draw.uniform(LARGE_DRUSEN + 0.01, DRUSEN_SIZES[1], len(large))
    shapes = blob_outlines(
        large, size, draw, 0.14, draw.uniform(1, 1.4, len(large)), draw.uniform(0, math.pi, len(large)), 24
    )
    strength = draw.uniform(0.45, 0.9, len(large))
    return lesions + [Lesion("drusen", shapes[n], strength[n], 0.0, 0.045) for n in range(len(large))]


def geographic_atrophy(draw: np.random.Generator) -> list[Lesion]:
    """Draw one to five sharp-edged areas of 0.5 to 4 mm, often around the foveal centre."""
    lesions = []
    count = 1 + int(draw.random() < 0.5) * int(draw.integers(1, 5))
    around = draw.uniform(0, 2 * math.pi)
    for n in range(count):
        angle = around + 2 * math.pi * n / count + draw.normal(scale=0.3)
        far = draw.uniform(0.0, 0.6) if count == 1 else draw.uniform(0.7, 1.6)
        at = far * np.array([math.cos(angle), math.sin(angle)])
        size = draw.uniform(1.3, 4.0) if count == 1 else draw.uniform(0.5, 1.7)
        lesions.append(_atrophy(at, size, 0.17, draw))
    return lesions


def exudative_macula(anatomy: Anatomy, draw: np.random.Generator) -> list[Lesion]:
    """Draw a leaking choroidal membrane (faintly visible), subretinal haemorrhage, fluid and exudates around it."""
    at = draw.normal(scale=0.45, size=2)
    membrane = new_vessels(at, float(draw.uniform(0, 6.3)), float(draw.uniform(0.6, 1.4)), 2.4, draw)
    lesions = [Lesion("neovascularisation", membrane.outline, 0.12, 1.0, 0.08, membrane.strands)]
    lesions += oedemas(at[None] + draw.normal(scale=0.15, size=2), draw, 1.6, 3.4)
    for _ in range(int(draw.integers(1, 4))):
        turn = draw.uniform(0, 2 * math.pi)
        beside = at + draw.uniform(0.5, 1.3) * np.array([math.cos(turn), math.sin(turn)])
        size = np.array([draw.uniform(0.5, 2.0)])
        shape = blob_outlines(beside[None], size, draw, 0.13, draw.uniform(1.2, 2.4), turn + math.pi / 2, 48)[0]
        lesions.append(Lesion("haemorrhage", shape, float(draw.uniform(0.7, 1.0)), 0.0, 0.06))
    if draw.random() < 0.75:
        lesions += hard_exudates(at + draw.normal(scale=0.5, size=(int(draw.integers(1, 4)), 2)), anatomy, draw, 0.3)
    return lesions


def patchy_atrophy(anatomy: Anatomy, draw: np.random.Generator) -> list[Lesion]:
    """Draw white, well-defined patches of the myopic macula (META-PM category 3: Ohno-Matsui et al. 2015)."""
    at = _off_disc(draw.normal(scale=[1.9, 1.5], size=(int(draw.integers(2, 8)), 2)), anatomy)
    return [_atrophy(point, float(0.35 + draw.gamma(2.0, 0.35)), 0.13, draw) for point in at]


def crescent(anatomy: Anatomy, width: float, spread: float, pigment: float, draw: np.random.Generator) -> Lesion:
    """Draw a crescent of exposed sclera and choroid beside the disc, temporal and often slightly below.

    Args:
        anatomy: Landmarks of the eye.
        width: Largest width, mm.
        spread: Extent to either side of its middle, radians; π for a ring.
        pigment: 0 to 1, pigmentation of the outer border.
        draw: Random generator.
    """
    middle = math.pi - draw.normal(0.0, 0.25) - 0.1
    angle = np.linspace(middle - spread, middle + spread, 72)
    shape = np.cos((angle - middle) / spread * math.pi / 2)
    rise = np.clip(shape, 0, 1) ** 0.7 if spread < 3.0 else 0.35 + 0.65 * (0.5 + 0.5 * np.cos(angle - middle))
    for order in (2, 3, 5, 8):
        rise = rise * (1 + 0.11 / math.sqrt(order) * draw.normal() * np.cos(order * angle + draw.uniform(0, 6.3)))
    disc = anatomy.disc
    inner = np.interp(angle % (2 * math.pi), np.arange(97) * 2 * math.pi / 96, np.append(disc.radii, disc.radii[0]))
    ray = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    outer = disc.centre + (inner + width * rise)[:, None] * ray
    inside = disc.centre + (0.985 * inner)[:, None] * ray
    return Lesion(
        "crescent", np.concatenate([outer, inside[::-1]]), float(draw.uniform(0.6, 1.0)), 0.0, 0.04, None, pigment
    )


def _atrophy(at: np.ndarray, size: float, roughness: float, draw: np.random.Generator) -> Lesion:
    """Draw one sharp-edged area with a scalloped border."""
    shape = blob_outlines(
        at[None], np.array([size]), draw, roughness, draw.uniform(1.0, 1.4), draw.uniform(0, math.pi), 72
    )[0]
    middle = shape.mean(axis=0)
    scallops = 1 + 0.035 * draw.standard_normal(72)
    scallops = 0.5 * scallops + 0.25 * (np.roll(scallops, 1) + np.roll(scallops, -1))
    shape = middle + scallops[:, None] * (shape - middle)
    return Lesion("atrophy", shape, float(draw.uniform(0.55, 1.0)), 0.0, 0.015, None, float(draw.beta(1.0, 2.0)))


def _drusen(
    at: np.ndarray, median: float, spread: float, most: float, softness: float, draw: np.random.Generator
) -> list[Lesion]:
    size = np.clip(median * np.exp(draw.normal(scale=spread, size=len(at))), DRUSEN_SIZES[0], most)
    shapes = blob_outlines(at, size, draw, 0.09, draw.uniform(1, 1.3, len(at)), draw.uniform(0, math.pi, len(at)), 14)
    strength = draw.uniform(0.35, 0.9, len(at))
    return [Lesion("drusen", shapes[n], strength[n], 0.0, softness) for n in range(len(at))]


def _off_disc(points: np.ndarray, anatomy: Anatomy) -> np.ndarray:
    """Points, (n, 2) mm, that lie outside the disc and its immediate surround."""
    return np.asarray(points[anatomy.disc.relative(*points.T) > 1.3])
