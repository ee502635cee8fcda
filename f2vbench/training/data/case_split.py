"""Which patients train, validate and test."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal, get_args

from f2vbench.errors import DataError

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = get_args(Part)


def split_patients(patients: Iterable[str], validation: float, test: float, seed: int) -> dict[str, Part]:
    """The part of each patient.

    A patient's place in [0, 1) is a hash of seed and name, and the parts are intervals of it; so patients that are
    added later move nobody. Only where that leaves a part empty do the patients nearest to its interval fill it.

    Args:
        validation, test: shares of the patients, together below 1; 0 for none.

    Raises:
        DataError: fewer patients than parts.
    """
    ordered = sorted(set(patients), key=lambda patient: (_place(patient, seed), patient))
    parts = 1 + (validation > 0) + (test > 0)
    if len(ordered) < parts:
        raise DataError(
            f"{len(ordered)} patient{'s' * (len(ordered) != 1)} can't be split into {parts} parts by patient: add "
            "cases of others, or train on all with validation=0 test=0"
        )
    testing = sum(_place(patient, seed) < test for patient in ordered)
    held_out = sum(_place(patient, seed) < test + validation for patient in ordered)
    testing = min(max(testing, int(test > 0)), len(ordered) - 1 - (validation > 0))
    held_out = min(max(held_out, testing + (validation > 0)), len(ordered) - 1)
    return {
        patient: "test" if at < testing else "validation" if at < held_out else "train"
        for at, patient in enumerate(ordered)
    }


def _place(patient: str, seed: int) -> float:
    digest = hashlib.sha256(f"{seed} {patient}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56
