"""Which patients of a cohort are for training, validation and test: 55 : 15 : 30, spread over the diseases."""

from __future__ import annotations

from f2vbench.phantom.cohort import Cohort
from f2vbench.phantom.patients import generator

# Of twenty patients in a row 11 train, 3 validate and 6 test; of three, one each.
_ROW = [{"T": "train", "V": "val", "S": "test"}[letter] for letter in "TSVTTSTTSTVTSTTSTVTS"]


def draw_splits(cohort: Cohort) -> list[str]:
    """``train``, ``val`` or ``test`` for each patient.

    Patients are put in rows of one disease, severity and set of outcomes, shuffled within, and the parts dealt out
    along them, so that each of these is in each part in about the same share.
    """
    order = []
    for number in range(cohort.patients):
        patient = cohort.patient(number)
        severity, disease = max(zip(patient.severities, patient.diseases, strict=True))
        place = generator(cohort.seed, "split", number).random()
        order.append((disease, severity, tuple(patient.outcomes.values()), place, number))
    splits = [""] * cohort.patients
    for place, (*_, number) in enumerate(sorted(order)):
        splits[number] = _ROW[place % len(_ROW)]
    return splits
