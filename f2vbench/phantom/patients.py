"""One simulated patient: age, sex, diseases of both eyes, systemic outcomes, and the quantities of each eye.

Every random generator has a key of seed, patient, side, view and purpose, so that everything can be drawn alone, in
any order and in any process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from f2vbench.phantom.anatomy.quantities import draw_values
from f2vbench.phantom.lesions.disease import DISEASES
from f2vbench.phantom.outcomes import draw_outcomes

_CAMERA_PROFILES = 64
# The key contains the index of the purpose: append new purposes at the end, and keep the names.
_PURPOSES = (
    "patient",
    "outcomes",
    "shared values",
    "own values",
    "look",
    "disease",
    "anatomy",
    "vessels",
    "findings",
    "surface",
    "camera",
    "photograph",
    "angiogram",
    "icg",
    "red_free",
    "autofluorescence",
    "split",
    "follow-up",
)
# Share of patients with each disease (if none are requested), mean age, and probability that both eyes are affected;
# chosen after textbooks.
_SHARE = {"normal": 0.25, "diabetic_retinopathy": 0.35}
_MEAN_AGE = {"macular_degeneration": 72.0, "cataract": 68.0, "glaucoma": 64.0, "pathological_myopia": 52.0}
_BOTH_EYES = {
    "diabetic_retinopathy": 0.95,
    "glaucoma": 0.80,
    "macular_degeneration": 0.75,
    "branch_vein_occlusion": 0.07,
    "cataract": 0.90,
    "pathological_myopia": 0.85,
}
_SEVERITIES = {"diabetic_retinopathy": 4}  # 2 for the others


@dataclass(frozen=True)
class Patient:
    """One drawn patient; pairs are (right, left).

    Attributes:
        number: Number of the patient, from 0.
        age: Years, 20 to 90.
        sex: "female" or "male".
        camera_profile: Number of the camera profile.
        diseases: Disease of each eye.
        severities: Severity of each eye, 0 for normal eyes.
        outcomes: Systemic outcomes.
        values: Quantities of each eye before disease, by their names in `quantities`.
    """

    number: int
    age: float
    sex: str
    camera_profile: int
    diseases: tuple[str, str]
    severities: tuple[int, int]
    outcomes: Mapping[str, bool]
    values: tuple[Mapping[str, float], Mapping[str, float]]


def draw_patient(seed: int, number: int, diseases: Sequence[str] | None, effect: float) -> Patient:
    """Draw a patient.

    Args:
        seed: Seed of the cohort.
        number: Number of the patient, from 0.
        diseases: Diseases in equal shares; None for all, with larger shares of diabetic retinopathy and normal eyes.
        effect: Effect size of the systemic outcomes, standard deviations.
    """
    draw = generator(seed, "patient", number)
    names, shares = _shares(diseases)
    disease = names[int(draw.choice(len(names), p=shares))]
    age = float(np.clip(draw.normal(_MEAN_AGE.get(disease, 58.0), 13.0), 20, 90))
    sex = "female" if draw.random() < 0.5 else "male"
    camera_profile = int(draw.integers(_CAMERA_PROFILES))
    both, severities = _both_eyes(disease, draw)
    outcomes, shifts = draw_outcomes(effect, generator(seed, "outcomes", number))
    own = (generator(seed, "own values", number, 1), generator(seed, "own values", number, 2))
    values = draw_values(generator(seed, "shared values", number), own, shifts)
    return Patient(number, age, sex, camera_profile, both, severities, outcomes, (values[0], values[1]))


def generator(seed: int, purpose: str, patient: int = 0, side: int = 0, view: int = 0) -> np.random.Generator:
    """Return the random generator of one purpose.

    Args:
        seed: Seed of the cohort.
        purpose: One of `_PURPOSES`.
        patient: Number of the patient, from 0.
        side: 0 for both eyes, 1 right, 2 left.
        view: Index of the view in `f2vbench.phantom.anatomy.camera.VIEWS`.
    """
    return np.random.default_rng([_PURPOSES.index(purpose), patient, side, view, seed])


def _shares(diseases: Sequence[str] | None) -> tuple[list[str], np.ndarray]:
    if diseases is not None:
        return list(diseases), np.full(len(diseases), 1 / len(diseases))
    others = (1 - sum(_SHARE.values())) / (len(DISEASES) - len(_SHARE))
    shares = np.array([_SHARE.get(name, others) for name in DISEASES])
    return list(DISEASES), shares / shares.sum()


def _both_eyes(disease: str, draw: np.random.Generator) -> tuple[tuple[str, str], tuple[int, int]]:
    """Draw (right, left) diseases and severities: the second eye is normal or affected with a similar severity."""
    if disease == "normal":
        return ("normal", "normal"), (0, 0)
    most = _SEVERITIES.get(disease, 2)
    first = int(draw.integers(1, most + 1))
    second = int(np.clip(first + draw.choice([-1, 0, 1], p=[0.2, 0.6, 0.2]), 1, most))
    both = draw.random() < _BOTH_EYES[disease]
    diseases, severities = (disease, disease if both else "normal"), (first, second if both else 0)
    if draw.random() < 0.5:
        return diseases, severities
    return (diseases[1], diseases[0]), (severities[1], severities[0])
