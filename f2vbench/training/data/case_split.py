"""Assignment of patients to training, validation and test."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal, get_args

from f2vbench.errors import DataError

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


def split_patients(patients: Iterable[str], validation: float, test: float, seed: int) -> dict[str, Split]:
    """Assign each patient to a split.

    A hash of seed and name gives each patient a position in [0, 1), and each split is an interval of positions.
    Patients that are added later therefore never change the split of others. Where a split would be empty, the
    patients nearest to its interval fill it.

    Args:
        patients: Names; duplicates count once.
        validation: Share of the patients for validation, 0 for none.
        test: Share of the patients for testing, 0 for none. Both shares together are below 1.
        seed: Of the positions.

    Returns:
        The split of each patient.

    Raises:
        DataError: There are fewer patients than splits.
    """
    ordered = sorted(set(patients), key=lambda patient: (_position(patient, seed), patient))
    splits = 1 + (validation > 0) + (test > 0)
    if len(ordered) < splits:
        raise DataError(
            f"{len(ordered)} patient{'s' * (len(ordered) != 1)} can't be split into {splits} splits by patient: add "
            "cases of other patients, or train on all of them with split=1/0/0"
        )
    test_count = sum(_position(patient, seed) < test for patient in ordered)
    training_start = sum(_position(patient, seed) < test + validation for patient in ordered)
    test_count = min(max(test_count, int(test > 0)), len(ordered) - 1 - (validation > 0))
    training_start = min(max(training_start, test_count + (validation > 0)), len(ordered) - 1)
    return {
        patient: "test" if index < test_count else "validation" if index < training_start else "train"
        for index, patient in enumerate(ordered)
    }


def _position(patient: str, seed: int) -> float:
    digest = hashlib.sha256(f"{seed} {patient}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56
