"""Validation of input arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def as_finite_vector(values: ArrayLike, name: str = "values") -> NDArray[np.float64]:
    """Convert values to a finite (n,) float64 array.

    Args:
        values: (n,) numbers, n ≥ 1.
        name: Name of the argument in error messages.

    Returns:
        (n,) float64.

    Raises:
        ValueError: The shape is not (n,), the array is empty, or a value is NaN or infinite.

    Example:
        >>> as_finite_vector([1, 2]).tolist()
        [1.0, 2.0]
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must have shape (n,) with at least one value, not {array.shape}")
    _check_finite(array, name)
    return array


def as_paired_vectors(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Convert paired values to two finite (n,) float64 arrays.

    Args:
        first: (n,) values of the first model.
        second: (n,) values of the second model, for the same seeds, tasks or cases in the same order.

    Returns:
        Both as (n,) float64.

    Raises:
        ValueError: An array is not a finite vector, or the lengths differ.

    Example:
        >>> first, second = as_paired_vectors([0.5, 0.75], [0.25, 0.5])
        >>> (first - second).tolist()
        [0.25, 0.25]
    """
    a, b = as_finite_vector(first, "first"), as_finite_vector(second, "second")
    if a.shape != b.shape:
        raise ValueError(f"a paired test needs equally many values of both models, not {a.size} and {b.size}")
    return a, b


def check_predictions(values: ArrayLike, name: str) -> np.ndarray:
    """Convert predictions of n cases to an array and check it.

    Args:
        values: (n,) or (n, k) finite numbers, n ≥ 1.
        name: Name of the argument in error messages.

    Returns:
        (n,) or (n, k), of the dtype of the input.

    Raises:
        ValueError: Another shape, no case, or a value that is NaN or infinite.

    Example:
        >>> check_predictions([[0.5, 0.5], [0.25, 0.75]], "first").shape
        (2, 2)
    """
    array = np.asarray(values)
    if array.ndim not in (1, 2) or array.shape[0] == 0:
        raise ValueError(f"{name} must have shape (n,) or (n, k) with at least one case, not {array.shape}")
    if array.dtype.kind == "f":
        _check_finite(array, name)
    return array


def as_binary_labels(labels: ArrayLike, n: int) -> NDArray[np.bool_]:
    """Convert binary labels to bool.

    Args:
        labels: (n,) bool, or 0 and 1.
        n: Number of cases.

    Returns:
        (n,) bool.

    Raises:
        ValueError: Another length, or a label other than 0 and 1.

    Example:
        >>> as_binary_labels([0, 1, 1], 3).tolist()
        [False, True, True]
    """
    array = np.asarray(labels)
    if array.shape != (n,):
        raise ValueError(f"labels must have shape ({n},), one for each case, not {array.shape}")
    if array.dtype != bool and not np.isin(array, (0, 1)).all():
        raise ValueError(f"labels must be bool, or 0 and 1, not {sorted(set(np.unique(array).tolist()))[:5]}")
    return array.astype(bool)


def encode_patients(patients: ArrayLike | Sequence[str] | None, n: int) -> tuple[NDArray[np.int64], int]:
    """Number the patients of n cases, in the order of their sorted names.

    Args:
        patients: (n,) patient of each case; None counts each case as a patient.
        n: Number of cases.

    Returns:
        (n,) int number of each case's patient, and the number of patients.

    Raises:
        ValueError: Another length, or a patient that is NaN or None.

    Example:
        >>> codes, count = encode_patients(["p2", "p1", "p2"], 3)
        >>> codes.tolist(), count
        ([1, 0, 1], 2)
    """
    if patients is None:
        return np.arange(n), n
    names = np.asarray(patients)
    if names.shape != (n,):
        raise ValueError(f"patients must have shape ({n},), one for each case, not {names.shape}")
    if (names != names).any() or (names.dtype == object and any(name is None for name in names)):
        raise ValueError("some cases have no patient (NaN or None): name it, or use a unique name where it is unknown")
    distinct, codes = np.unique(names, return_inverse=True)
    return codes.reshape(-1), len(distinct)


def is_constant(values: np.ndarray, scale: float) -> bool:
    """Test whether values differ by rounding error only.

    Args:
        values: (n,).
        scale: Magnitude of the numbers from which the values were computed.

    Returns:
        True where the range of the values is at most 10⁻¹² · scale.

    Example:
        >>> is_constant(np.array([0.1 + 0.2, 0.3]), 1.0)
        True
    """
    return bool(np.ptp(values) <= 1e-12 * scale)


def max_abs(*arrays: np.ndarray) -> float:
    """Largest absolute value among arrays.

    Args:
        *arrays: At least one array with at least one value.

    Returns:
        At least 0.

    Example:
        >>> max_abs(np.array([1.0, -3.0]), np.array([2.0]))
        3.0
    """
    return float(max(np.abs(array).max() for array in arrays))


def significance_level(confidence: float) -> float:
    """Significance level α = 1 − confidence.

    Args:
        confidence: Confidence level of an interval, in (0, 1).

    Returns:
        α in (0, 1).

    Raises:
        ValueError: The confidence is outside (0, 1).

    Example:
        >>> significance_level(0.75)
        0.25
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, e.g. 0.95, not {confidence}")
    return 1 - confidence


def _check_finite(array: np.ndarray, name: str) -> None:
    missing = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))
    if missing.size:
        where = ", ".join(map(str, missing[:5])) + (", …" if missing.size > 5 else "")
        raise ValueError(
            f"{name} must be finite, but {missing.size} of {len(array)} are not (at {where}): remove those cases from "
            "all arrays, and report how many were removed"
        )
