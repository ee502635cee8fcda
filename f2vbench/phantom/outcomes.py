"""Systemic outcomes that shift one vessel quantity each, with a known best possible AUROC.

Each outcome determines one drawn quantity by the binormal model: in standard deviations the quantity is N(±d, 1) in
patients with the outcome and N(0, 1) in others. The log odds are then linear in the quantity with an odds ratio of
exp(d) per standard deviation, and the best possible AUROC of any classifier is Φ(d / √2) (Hanley 1988, Med Decis
Making 8:197). Outcomes are independent of age, sex, pigmentation, camera and each other, so that only the vessels are
informative.

The directions are those of population studies: wider veins and stroke (McGeechan et al. 2009, Am J Epidemiol
170:1323), narrower arteries and coronary disease (McGeechan et al. 2009, Ann Intern Med 151:404), sparser vessels and
dementia (Cheung et al. 2014, Alzheimers Dement 10:135), changed vessels and Parkinson's disease (Kromer et al. 2016,
PLoS One 11:e0161136; tortuosity is our choice). The effect sizes are not: real hazard ratios are about 1.1 to 1.5 per
standard deviation (an AUROC of 0.53 to 0.61), which only studies of thousands of patients detect. The default d of 1
(odds ratio 2.7, AUROC 0.76) is much larger, so that a small benchmark can separate good from poor encoders.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

EFFECT = 1.0  # standard deviations
PREVALENCE = 0.25


@dataclass(frozen=True)
class Outcome:
    """A systemic disease and the quantity of the eye that it shifts.

    Attributes:
        name: Name of the outcome.
        quantity: Name of the quantity in `f2vbench.phantom.anatomy.quantities`.
        sign: +1 if the quantity is larger in patients with the outcome, -1 if it is smaller.
    """

    name: str
    quantity: str
    sign: int


OUTCOMES: dict[str, Outcome] = {
    outcome.name: outcome
    for outcome in (
        Outcome("stroke", "vein_diameter", +1),
        Outcome("dementia", "vessel_spacing", +1),
        Outcome("parkinson", "tortuosity", +1),
        Outcome("infarction", "artery_diameter", -1),
    )
}


def best_auroc(effect: float = EFFECT) -> float:
    """Best possible AUROC for an outcome: Φ(effect / √2), 0.5 to 1."""
    return 0.5 * (1 + math.erf(effect / 2))


def draw_outcomes(effect: float, draw: np.random.Generator) -> tuple[dict[str, bool], dict[str, float]]:
    """Draw the outcomes of one patient.

    Args:
        effect: Effect size d, standard deviations.
        draw: Random generator.

    Returns:
        Outcome → whether the patient has it; quantity → z in standard deviations.
    """
    have, shifts = {}, {}
    for outcome in OUTCOMES.values():
        have[outcome.name] = bool(draw.random() < PREVALENCE)
        shifts[outcome.quantity] = float(draw.normal() + outcome.sign * effect * have[outcome.name])
    return have, shifts
