"""Effects of a disease on an eye: changes of drawn quantities and vessels, and lesions.

Severities are those of `SEVERITIES`: for diabetic retinopathy the grade on the international scale, for other
diseases 1 (early or mild) and 2 (late or severe).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from f2vbench.phantom.anatomy.landmarks import Anatomy
from f2vbench.phantom.anatomy.vessels import Vessels
from f2vbench.phantom.lesions.base import Lesion
from f2vbench.phantom.lesions.diabetic import diabetic_retinopathy
from f2vbench.phantom.lesions.macular import (
    crescent,
    exudative_macula,
    geographic_atrophy,
    patchy_atrophy,
    small_drusen,
    soft_drusen,
)
from f2vbench.phantom.lesions.outlines import BEND, fibre_points
from f2vbench.phantom.lesions.vein_occlusion import branch_vein_occlusion

SEVERITIES: Mapping[str, tuple[int, ...]] = {
    "normal": (0,),
    "diabetic_retinopathy": (1, 2, 3, 4),
    "glaucoma": (1, 2),
    "macular_degeneration": (1, 2),
    "branch_vein_occlusion": (1, 2),
    "cataract": (1, 2),
    "pathological_myopia": (1, 2),
}
DISEASES = tuple(SEVERITIES)


@dataclass(frozen=True)
class Findings:
    """Effects of disease and age on one eye.

    Attributes:
        lesions: All lesions.
        vessels: Vessel trees, changed by the disease.
        haze: 0 for clear media to 1 for a dense cataract.
        tessellated: 0 to 1, additional visibility of the choroidal vessels.
    """

    lesions: tuple[Lesion, ...]
    vessels: Vessels
    haze: float
    tessellated: float


def apply_disease_to_values(
    disease: str, severity: int, values: Mapping[str, float], draw: np.random.Generator
) -> tuple[dict[str, float], float]:
    """Change drawn quantities by a disease.

    Args:
        disease: One of `DISEASES`.
        severity: One of its `SEVERITIES`.
        values: Drawn quantities by their names in `quantities`.
        draw: Random generator.

    Returns:
        Changed quantities, and ``notch`` (0 to 1) for `f2vbench.phantom.anatomy.landmarks.draw_anatomy`.

    Raises:
        ValueError: The disease or the severity is unknown.
    """
    _check(disease, severity)
    changed, notch = dict(values), 0.0
    if disease == "glaucoma":
        # The new ratio increases with the healthy one; early and advanced ranges do not overlap.
        low, high = ((0.60, 0.75), (0.80, 0.92))[severity - 1]
        share = float(np.clip(0.5 * draw.random() + 0.5 * (values["cup_to_disc"] - 0.1) / 0.54, 0, 1))
        changed["cup_to_disc"] = low + (high - low) * share
        notch = float(draw.uniform(0.3, 1.0))
    elif disease == "pathological_myopia":
        # Discs of highly myopic eyes are large, oval and rotated (Jonas et al. 1988, Ophthalmology 95:1346).
        changed["disc_height"] = min(values["disc_height"] * draw.uniform(1.0, 1.25), 2.9)
        changed["disc_width"] = values["disc_width"] * draw.uniform(0.80, 1.02)
        changed["disc_tilt"] = float(np.clip(values["disc_tilt"] + draw.normal(scale=18), -45, 45))
        changed["melanin"] = values["melanin"] * draw.uniform(0.4, 0.9)
        changed["cup_to_disc"] = min(values["cup_to_disc"], 0.55)
    return changed, notch


def draw_findings(
    disease: str, severity: int, anatomy: Anatomy, vessels: Vessels, age: float, draw: np.random.Generator
) -> Findings:
    """Draw lesions, vessel changes and media opacity of one eye.

    Args:
        disease: One of `DISEASES`.
        severity: One of its `SEVERITIES`.
        anatomy: Landmarks of the eye.
        vessels: Vessel trees before the disease.
        age: Years.
        draw: Random generator.

    Raises:
        ValueError: The disease or the severity is unknown.
    """
    _check(disease, severity)
    lesions: list[Lesion] = []
    haze = float(np.clip(0.006 * (age - 45) + draw.normal(scale=0.05), 0, 0.22))
    tessellated = 0.0
    if disease == "diabetic_retinopathy":
        lesions, vessels = diabetic_retinopathy(severity, anatomy, vessels, draw)
    elif disease == "branch_vein_occlusion":
        lesions, vessels = branch_vein_occlusion(severity, anatomy, vessels, draw)
    elif disease == "glaucoma":
        lesions = _glaucoma(severity, anatomy, draw)
    elif disease == "macular_degeneration":
        lesions = _macular_degeneration(severity, anatomy, draw)
    elif disease == "cataract":
        haze = float(draw.uniform(*((0.28, 0.52), (0.55, 1.0))[severity - 1]))
    elif disease == "pathological_myopia":
        lesions = _myopia(severity, anatomy, draw)
        tessellated = float(draw.uniform(*((0.4, 0.7), (0.6, 1.0))[severity - 1]))
    lesions += _ageing(disease, anatomy, age, draw)
    return Findings(tuple(lesions), vessels, haze, tessellated)


def _check(disease: str, severity: int) -> None:
    if disease not in SEVERITIES:
        raise ValueError(f"Unknown disease '{disease}'; known: {', '.join(DISEASES)}")
    if severity not in SEVERITIES[disease]:
        known = ", ".join(map(str, SEVERITIES[disease]))
        raise ValueError(f"Unknown severity {severity} of {disease}; known: {known}")


def _glaucoma(severity: int, anatomy: Anatomy, draw: np.random.Generator) -> list[Lesion]:
    """Wedge defects of the nerve fibre layer, more often below, and frequent atrophy beside the disc."""
    poles = [0] if severity == 1 and draw.random() < 0.65 else [0, 1]
    if draw.random() < 0.2:
        poles = poles[::-1][:1] if severity == 1 else poles
    lesions = [_nerve_fibre_defect(pole, severity, anatomy, draw) for pole in poles]
    if draw.random() < 0.45:
        lesions.append(crescent(anatomy, float(draw.uniform(0.08, 0.3)), float(draw.uniform(0.7, 1.6)), 0.2, draw))
    return lesions


def _nerve_fibre_defect(pole: int, severity: int, anatomy: Anatomy, draw: np.random.Generator) -> Lesion:
    """A wedge along the fibres from the lower (0) or upper (1) temporal margin of the disc."""
    sign = -1 if pole else 1
    middle = math.radians(draw.uniform(103, 128))
    half = math.radians(draw.uniform(*((3, 9), (7, 20))[severity - 1]))
    disc = np.asarray(anatomy.disc.centre)
    distance = np.linspace(0.42 * anatomy.disc.height, draw.uniform(5.0, 0.7 / BEND), 40)
    # Narrow at the disc, wider with the distance, like the nerve fibre bundle.
    opening = half * np.clip(0.45 + 0.16 * distance, 0.4, 1.0)
    edges = [fibre_points(disc, sign * (middle + side * opening), distance) for side in (-1, 1)]
    edges = [edge + np.cumsum(draw.normal(scale=0.006, size=edge.shape), axis=0) for edge in edges]
    outline = np.concatenate([edges[0], edges[1][::-1]])
    return Lesion("nerve_fibre_defect", outline, float(draw.uniform(0.5, 1.0)), 0.0, 0.16)


def _macular_degeneration(severity: int, anatomy: Anatomy, draw: np.random.Generator) -> list[Lesion]:
    drusen = soft_drusen(int(40 + 160 * draw.random() ** 1.5), anatomy, draw)
    if severity == 1:
        return drusen
    late = geographic_atrophy(draw) if draw.random() < 0.55 else exudative_macula(anatomy, draw)
    covering = [lesion for lesion in late if lesion.kind == "atrophy"]
    kept = [
        each for each in drusen if all(math.dist(each.centre, area.centre) > 0.5 * area.diameter for area in covering)
    ]
    return kept[: int(draw.integers(10, 121))] + late


def _myopia(severity: int, anatomy: Anatomy, draw: np.random.Generator) -> list[Lesion]:
    ring = severity == 2 and draw.random() < 0.4
    width = draw.uniform(*((0.25, 0.75), (0.5, 1.4))[severity - 1])
    spread = math.pi if ring else draw.uniform(1.0, 1.9)
    lesions = [crescent(anatomy, float(width), float(spread), float(draw.uniform(0, 0.8)), draw)]
    if severity == 2:
        lesions += patchy_atrophy(anatomy, draw)
    return lesions


def _ageing(disease: str, anatomy: Anatomy, age: float, draw: np.random.Generator) -> list[Lesion]:
    """Age-related changes without disease: a few small drusen, a narrow crescent."""
    lesions: list[Lesion] = []
    if disease != "macular_degeneration" and draw.random() < np.clip((age - 40) / 70, 0.02, 0.6):
        lesions += small_drusen(1 + int(draw.gamma(1.3, 3.0)), anatomy, draw)
    if disease not in ("pathological_myopia", "glaucoma") and draw.random() < 0.12 + 0.002 * age:
        width, spread = float(draw.uniform(0.06, 0.22)), float(draw.uniform(0.6, 1.5))
        lesions.append(crescent(anatomy, width, spread, float(draw.random() ** 2 * 0.7), draw))
    return lesions
