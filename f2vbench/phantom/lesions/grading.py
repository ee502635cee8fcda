"""Grades of disease, computed from the drawn lesions: labels are those that a perfect grader would assign."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from f2vbench.phantom.anatomy.landmarks import Anatomy
from f2vbench.phantom.anatomy.vessels import VEIN, Vessels
from f2vbench.phantom.lesions.base import Lesion

# The quadrants meet at the midpoint between fovea and disc (half the mean distance: Jonas R. et al. 2015, PLoS One
# 10:e0138701), so that a photograph of the posterior pole contains a large part of each quadrant.
MIDDLE = (2.36, -0.32)  # mm
QUADRANTS = ("superior temporal", "superior nasal", "inferior temporal", "inferior nasal")

# International scale: Wilkinson et al. 2003, Ophthalmology 110:1677.
SEVERE_HAEMORRHAGES = 20  # severe with more than this number in each of four quadrants
SEVERE_BEADING = 2  # quadrants with venous beading
SEVERE_IRMA = 1  # quadrants with intraretinal microvascular abnormalities

BEAD_CONTRAST = 0.07  # mean relative deviation of the radius from its neighbourhood that is definite beading
BEAD_LENGTH = 1.5  # mm of beaded vein in a quadrant
BEAD_RADIUS = 0.022  # mm: beading of narrower veins is invisible in photographs

# Vertical cup-to-disc ratio: 0.7 is about the 97.5th percentile of most populations (Foster et al. 2002, Br J
# Ophthalmol 86:238). Drawn normal ratios end at 0.64, so a slightly lower threshold separates both here.
GLAUCOMA_RATIO = 0.67
SUSPECT_RATIO = 0.56  # threshold in eyes with a nerve fibre defect
ADVANCED_RATIO = 0.77

_NON_PROLIFERATIVE = ("haemorrhage", "hard_exudate", "cotton_wool_spot", "oedema", "non_perfusion")


def quadrant(points: np.ndarray) -> np.ndarray:
    """Index into `QUADRANTS` of each point, int (…,), for points (…, 2) mm."""
    points = np.asarray(points)
    return np.asarray((points[..., 0] > MIDDLE[0]).astype(int) + 2 * (points[..., 1] > MIDDLE[1]).astype(int))


def dr_grade(lesions: Iterable[Lesion], vessels: Vessels, anatomy: Anatomy) -> int:
    """Grade of diabetic retinopathy on the international scale (Wilkinson 2003), 0 to 4.

    The grade is meaningful for eyes without other haemorrhagic diseases. Drusen, atrophy, crescents and laser scars
    have no influence: treated retinopathy is graded by its remaining lesions.

    Args:
        lesions: All lesions of the eye.
        vessels: Vessel trees.
        anatomy: Landmarks of the eye.
    """
    found = tuple(lesions)
    kinds = {lesion.kind for lesion in found}
    if kinds & {"neovascularisation", "preretinal_haemorrhage"}:
        return 4
    if (
        _per_quadrant(found, "haemorrhage").min() > SEVERE_HAEMORRHAGES
        or (beaded_length(vessels, anatomy) >= BEAD_LENGTH).sum() >= SEVERE_BEADING
        or (_per_quadrant(found, "intraretinal_microvascular_abnormality") > 0).sum() >= SEVERE_IRMA
    ):
        return 3
    if kinds & set(_NON_PROLIFERATIVE) or (beaded_length(vessels, anatomy) >= BEAD_LENGTH).any():
        return 2
    return 1 if "microaneurysm" in kinds else 0


def glaucoma_stage(anatomy: Anatomy, lesions: Iterable[Lesion]) -> int:
    """Stage of glaucoma: 0 none, 1 early, 2 advanced.

    Advanced: vertical cup-to-disc ratio of at least `ADVANCED_RATIO`. Early: at least `GLAUCOMA_RATIO`, or at least
    `SUSPECT_RATIO` with a nerve fibre defect.

    Args:
        anatomy: Landmarks of the eye.
        lesions: All lesions of the eye.
    """
    ratio = anatomy.cup_to_disc
    if ratio >= ADVANCED_RATIO:
        return 2
    defect = any(lesion.kind == "nerve_fibre_defect" for lesion in lesions)
    return int(ratio >= (SUSPECT_RATIO if defect else GLAUCOMA_RATIO))


def beaded_length(vessels: Vessels, anatomy: Anatomy) -> np.ndarray:
    """Length of beaded vein in each quadrant, (4,) mm.

    A vein is beaded where its radius, corrected for the steps at branches (Murray's law), deviates from that of the
    neighbouring 0.5 mm by `BEAD_CONTRAST` on average over about 1 mm.

    Args:
        vessels: Vessel trees.
        anatomy: Landmarks of the eye.
    """
    level = np.log(vessels.radius) - np.log(vessels.supply) / anatomy.values["branching_exponent"]
    above, below = np.maximum(vessels.parent, 0), vessels.main_child()
    inner = (vessels.parent >= 0) & (below >= 0)
    below = np.where(below >= 0, below, np.arange(len(below)))
    ripple = np.abs(level - 0.5 * (level[above[above]] + level[below[below]])) * inner
    for _ in range(2):  # mean over the neighbours, twice
        ripple = (ripple + ripple[above] + ripple[below] + ripple[above[above]] + ripple[below[below]]) / 5
    beaded = (ripple > BEAD_CONTRAST) & (vessels.kind == VEIN) & (vessels.radius > BEAD_RADIUS)
    length = vessels.path - vessels.path[above]
    return np.bincount(quadrant(vessels.points[beaded]), length[beaded], minlength=4)


def _per_quadrant(lesions: tuple[Lesion, ...], kind: str) -> np.ndarray:
    """Number of lesions of a kind in each quadrant, (4,)."""
    centres = np.array([lesion.centre for lesion in lesions if lesion.kind == kind]).reshape(-1, 2)
    return np.bincount(quadrant(centres), minlength=4)
