"""Systemic outcomes that can be read from the vessels as well as stated, and no better.

Each outcome is tied to one drawn quantity by the binormal model: in standard deviations the quantity is
N(±d, 1) in patients with the outcome and N(0, 1) in the others. Then the log odds are linear in it with odds
ratio exp(d) a standard deviation, and the best AUROC that any reader of the eye can reach is Φ(d / √2) (Hanley
1988, Med Decis Making 8:197). Outcomes are drawn on their own, apart from age, sex, pigment, camera and each
other, so that the vessels are the only way to them.

The directions are those of population studies: wider veins and stroke (McGeechan et al. 2009, Am J Epidemiol
170:1323), narrower arteries and coronary disease (McGeechan et al. 2009, Ann Intern Med 151:404), sparser
vessels and dementia (Cheung et al. 2014, Alzheimers Dement 10:135), changed vessels and Parkinson's disease
(Kromer et al. 2016, PLoS One 11:e0161136; tortuosity is our choice). Their sizes are not: in truth hazard ratios
are about 1.1 to 1.5 a standard deviation (an AUROC of 0.53 to 0.61), which takes thousands of patients
to see. The default d of 1 (odds ratio 2.7, AUROC 0.76) is far stronger, so that a small benchmark can tell a
good encoder from a poor one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

EFFECT = 1.0  # standard deviations
PREVALENCE = 0.25


@dataclass(frozen=True)
class Outcome:
    """A disease of the body and the quantity of the eye that goes with it.

    Attributes:
        quantity: its name in `f2vbench.phantom.anatomy.quantities`.
        sign: +1 where the quantity is larger in patients with the outcome, -1 where it is smaller.
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
    """The best AUROC that can be reached for an outcome: Φ(effect / √2), 0.5 to 1."""
    return 0.5 * (1 + math.erf(effect / 2))


def draw_outcomes(effect: float, draw: np.random.Generator) -> tuple[dict[str, bool], dict[str, float]]:
    """The outcomes of one patient, and the z that they give to their quantities.

    Args:
        effect: d, standard deviations.
    """
    have, shifts = {}, {}
    for outcome in OUTCOMES.values():
        have[outcome.name] = bool(draw.random() < PREVALENCE)
        shifts[outcome.quantity] = float(draw.normal() + outcome.sign * effect * have[outcome.name])
    return have, shifts
