"""Quantities that are drawn for every eye, each with its unit, distribution, range and source.

Every quantity is mean + sd · z, clipped to its range. One component of z is common to both eyes of the patient
(`shared` is the correlation between the eyes), the other is specific to the eye. The drawn values are stored with
the eye and written to ``eyes.csv``, so that results can be analysed against the anatomy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Quantity:
    """One quantity of an eye.

    Attributes:
        name: Key of the quantity in tables and labels.
        unit: Unit of `mean`, `sd`, `low` and `high`; empty for ratios.
        mean: Mean of the distribution.
        sd: Standard deviation.
        low: Lower limit.
        high: Upper limit.
        shared: Correlation between the two eyes of a patient, 0 to 1.
        source: Source of mean and sd; "chosen" where no published value was found.
    """

    name: str
    unit: str
    mean: float
    sd: float
    low: float
    high: float
    shared: float
    source: str

    def value(self, z: float) -> float:
        """Return the quantity ``z`` standard deviations from its mean, clipped to its range."""
        return float(min(max(self.mean + self.sd * z, self.low), self.high))


_JONAS_1988 = "Jonas, Gusek, Naumann 1988, Invest Ophthalmol Vis Sci 29:1151"
_RIVA_1985 = "Riva, Grunwald, Sinclair, Petrig 1985, Invest Ophthalmol Vis Sci 26:1124"

QUANTITIES: dict[str, Quantity] = {
    quantity.name: quantity
    for quantity in (
        Quantity("disc_fovea_distance", "mm", 4.76, 0.34, 3.9, 5.7, 0.9, "Jonas R. et al. 2015, PLoS One 10:e0138701"),
        Quantity("disc_fovea_angle", "°", 7.76, 3.63, -3.0, 19.0, 0.6, "Jonas R. et al. 2015, PLoS One 10:e0141771"),
        Quantity("disc_height", "mm", 1.92, 0.22, 1.4, 2.6, 0.9, _JONAS_1988),
        Quantity("disc_width", "mm", 1.76, 0.20, 1.25, 2.4, 0.9, _JONAS_1988),
        Quantity("disc_tilt", "°", 0.0, 9.0, -30.0, 30.0, 0.5, "chosen"),
        Quantity("cup_to_disc", "", 0.42, 0.13, 0.05, 0.64, 0.85, "Crowston et al. 2004, Br J Ophthalmol 88:766"),
        Quantity("artery_diameter", "µm", 92.0, 8.5, 64.0, 120.0, 0.8, _RIVA_1985),
        Quantity("vein_diameter", "µm", 115.0, 10.0, 82.0, 152.0, 0.8, _RIVA_1985 + "; ratio: Knudtson 2003"),
        Quantity("branching_exponent", "", 2.85, 0.12, 2.5, 3.2, 0.5, "Murray 1926, PNAS 12:207; Zamir 1979"),
        Quantity(
            "tortuosity", "", 0.36, 0.10, 0.10, 0.75, 0.7, "slope of the path; Hart et al. 1999: arc/chord 1.02–1.2"
        ),
        Quantity("vessel_spacing", "mm", 0.62, 0.07, 0.45, 0.90, 0.8, "chosen so that vessel density fits"),
        Quantity("arcade_height", "mm", 3.45, 0.38, 2.5, 4.6, 0.8, "chosen; arcades 3–4 mm from the fovea"),
        Quantity(
            "avascular_zone",
            "mm",
            0.53,
            0.10,
            0.25,
            0.90,
            0.9,
            "Bresnick et al. 1984, Ophthalmology 91:1161 (diameter)",
        ),
        Quantity("melanin", "", 0.50, 0.24, 0.0, 1.0, 0.98, "chosen: blond fundus 0, black fundus 1"),
        Quantity("macular_pigment", "", 0.50, 0.20, 0.05, 1.0, 0.9, "chosen: share of its largest density"),
        Quantity("arm_to_choroid", "s", 10.0, 1.4, 7.0, 15.0, 1.0, "textbook: choroidal flush 8–12 s after injection"),
        Quantity("artery_delay", "s", 1.5, 0.3, 0.8, 2.5, 1.0, "textbook: retinal arteries 1–2 s after the choroid"),
        Quantity(
            "passage_time",
            "s",
            1.7,
            0.4,
            0.9,
            3.5,
            0.9,
            "Wolf, Arend, Reim 1994, Surv Ophthalmol 38 suppl.",
        ),
        Quantity("artery_velocity", "mm/s", 22.0, 5.0, 10.0, 38.0, 0.9, _RIVA_1985),
        Quantity("vein_velocity", "mm/s", 14.0, 3.5, 6.0, 26.0, 0.9, _RIVA_1985),
    )
}


def draw_values(
    patient: np.random.Generator, eyes: tuple[np.random.Generator, ...], shifts: Mapping[str, float]
) -> tuple[dict[str, float], ...]:
    """Draw the quantities of each eye of one patient.

    Args:
        patient: Random generator of the component that both eyes share.
        eyes: One random generator per eye, for the component specific to the eye.
        shifts: Quantity → z in standard deviations, for the quantities that a systemic outcome determines. Both
            eyes get exactly this z.

    Returns:
        One dictionary per eye: quantity → value in the unit of the quantity.
    """
    shared = dict(zip(QUANTITIES, patient.standard_normal(len(QUANTITIES)), strict=True))
    values = []
    for eye in eyes:
        own = dict(zip(QUANTITIES, eye.standard_normal(len(QUANTITIES)), strict=True))
        z = {
            name: math.sqrt(q.shared) * shared[name] + math.sqrt(1 - q.shared) * own[name]
            for name, q in QUANTITIES.items()
        }
        values.append({name: q.value(shifts.get(name, z[name])) for name, q in QUANTITIES.items()})
    return tuple(values)
