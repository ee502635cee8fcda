"""One simulated patient: age, sex, diseases of both eyes, outcomes of the body, and the quantities of each eye.

Every random number comes from a generator whose key names the seed, the patient, the side and the purpose, so
anything can be made alone, in any order and in any process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from f2vbench.phantom.anatomy.quantities import draw_values
from f2vbench.phantom.lesions.disease import DISEASES
from f2vbench.phantom.outcomes import draw_outcomes

_CAMERA_PROFILES = 64
# New purposes go to the end: a purpose's place is part of the keys.
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
)
# Share of patients with each disease unless diseases are named, which then get equal shares; mean age; and the
# chance that the other eye has it too; all chosen, after the textbooks.
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
    """One patient as drawn; pairs are (right, left).

    Attributes:
        number: from 0.
        look: number of the camera.
        values: quantities before disease.
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
    """A patient by number, from 0.

    Args:
        diseases: in equal shares; None for all of them, with more of diabetic retinopathy and of normal eyes.
        effect: of the systemic outcomes, standard deviations.
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
    """Random numbers for one purpose; ``side`` is 0 for what both eyes share, 1 right, 2 left."""
    return np.random.default_rng([_PURPOSES.index(purpose), patient, side, view, seed])


def _shares(diseases: Sequence[str] | None) -> tuple[list[str], np.ndarray]:
    if diseases is not None:
        return list(diseases), np.full(len(diseases), 1 / len(diseases))
    others = (1 - sum(_SHARE.values())) / (len(DISEASES) - len(_SHARE))
    shares = np.array([_SHARE.get(name, others) for name in DISEASES])
    return list(DISEASES), shares / shares.sum()


def _both_eyes(disease: str, draw: np.random.Generator) -> tuple[tuple[str, str], tuple[int, int]]:
    """(right, left) diseases and severities: the second eye has it too or is normal, about as far advanced."""
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
