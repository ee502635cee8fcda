"""What the functions of this package ask of their arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def finite(values: ArrayLike, name: str = "values") -> np.ndarray:
    """(n,) float64 of at least one finite number.

    Raises:
        ValueError: another shape, nothing in it, or a number that is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must be one row of at least one number, not of shape {array.shape}")
    _refuse_missing(array, name)
    return array


def pairs(first: ArrayLike, second: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Two (n,) arrays, of the same seeds, tasks or cases in the same order.

    Raises:
        ValueError: they are not finite, or one has more than the other.
    """
    a, b = finite(first, "first"), finite(second, "second")
    if a.shape != b.shape:
        raise ValueError(f"a paired test needs as many values of the one as of the other, not {a.size} and {b.size}")
    return a, b


def predictions_of(values: ArrayLike, name: str) -> np.ndarray:
    """(n,) or (n, k) numbers of n cases, finite.

    Raises:
        ValueError: another shape, no case, or a number that is not finite.
    """
    array = np.asarray(values)
    if array.ndim not in (1, 2) or array.shape[0] == 0:
        raise ValueError(f"{name} must hold (n,) or (n, k) numbers of at least one case, not shape {array.shape}")
    if array.dtype.kind == "f":
        _refuse_missing(array, name)
    return array


def binary(labels: ArrayLike, n: int) -> np.ndarray:
    """(n,) bool from labels that are bool, or 0 and 1.

    Raises:
        ValueError: another length, or another value.
    """
    array = np.asarray(labels)
    if array.shape != (n,):
        raise ValueError(f"there are {n} cases, so there must be ({n},) labels, not {array.shape}")
    if array.dtype != bool and not np.isin(array, (0, 1)).all():
        raise ValueError(f"labels must be bool, or 0 and 1, not {sorted(set(np.unique(array).tolist()))[:5]}")
    return array.astype(bool)


def clusters(patients: ArrayLike | Sequence[str] | None, n: int) -> tuple[np.ndarray, int]:
    """Number of the patient of each case, (n,) int, in the order of their sorted names, and how many there are.

    Without names each case is a patient of its own.

    Raises:
        ValueError: another length, or a patient without a name (NaN, None).
    """
    if patients is None:
        return np.arange(n), n
    names = np.asarray(patients)
    if names.shape != (n,):
        raise ValueError(f"there are {n} cases, so there must be ({n},) patients, not {names.shape}")
    if (names != names).any() or (names.dtype == object and any(name is None for name in names)):
        raise ValueError("some cases have no patient (NaN or None): name each, one apart where it is not known")
    distinct, codes = np.unique(names, return_inverse=True)
    return codes.reshape(-1), len(distinct)


def is_constant(values: np.ndarray, scale: float) -> bool:
    """Whether (n,) values differ by no more than rounding of numbers of the size ``scale``."""
    return bool(np.ptp(values) <= 1e-12 * scale)


def magnitude(*arrays: np.ndarray) -> float:
    """The largest absolute value among arrays."""
    return float(max(np.abs(array).max() for array in arrays))


def level(confidence: float) -> float:
    """1 − confidence.

    Raises:
        ValueError: not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence lies between 0 and 1, as 0.95, not {confidence}")
    return 1 - confidence


def _refuse_missing(array: np.ndarray, name: str) -> None:
    missing = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))
    if missing.size:
        where = ", ".join(map(str, missing[:5])) + (", …" if missing.size > 5 else "")
        raise ValueError(
            f"{name} must be finite, but {missing.size} of {len(array)} are not (at {where}): leave those cases out of "
            "both sides, and say so"
        )
