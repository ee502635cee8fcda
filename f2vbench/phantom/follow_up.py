"""Follow-up of simulated patients: years until diabetic retinopathy progresses, or until follow-up ends.

The hazard is proportional: a Weibull hazard that increases with time, times `HAZARD_RATIO` for each grade of severity
of the worse eye. Of patients without retinopathy, 15 % progress in five years; of those with the largest severity,
93 %. Follow-up ends after 3 to 10 years, independent of everything else, as when patients join a study at different
times.

The size of the effect is chosen so that a small benchmark can separate good from poor encoders; its direction is that
of the Early Treatment Diabetic Retinopathy Study (report 12, Ophthalmology 1991, 98:823).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

HAZARD_RATIO = 2.0
"""Ratio of the hazards of neighbouring grades of severity."""

_SHAPE = 1.5
_RISK, _HORIZON = 0.15, 5.0  # risk of patients without retinopathy after this number of years
_FOLLOW_UP = (3.0, 10.0)  # years


@dataclass(frozen=True)
class FollowUp:
    """Follow-up of one patient.

    Attributes:
        years: Time of progression, or the end of follow-up; above 0.
        event: Whether progression was observed.
    """

    years: float
    event: bool


def risk(severity: int, years: float) -> float:
    """Probability of progression within a time.

    Args:
        severity: Severity of the worse eye, 0 to 4.
        years: The time, 0 or above.

    Example:
        >>> round(risk(0, 5), 2), round(risk(4, 5), 2)
        (0.15, 0.93)
    """
    return 1 - math.exp(math.log1p(-_RISK) * (years / _HORIZON) ** _SHAPE * HAZARD_RATIO**severity)


def draw_follow_up(severity: int, draw: np.random.Generator) -> FollowUp:
    """Draw the follow-up of one patient.

    Args:
        severity: Severity of the worse eye, 0 to 4.
        draw: Random generator.
    """
    cumulative_hazard = draw.standard_exponential() / HAZARD_RATIO**severity
    progression = _HORIZON * (cumulative_hazard / -math.log1p(-_RISK)) ** (1 / _SHAPE)
    end = draw.uniform(*_FOLLOW_UP)
    return FollowUp(max(round(float(min(progression, end)), 4), 1e-4), bool(progression <= end))
