"""Subgroups of test images by what is known of them beside their label: eye, age, sex, site, camera."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from f2vbench.errors import SettingsError, did_you_mean
from f2vbench.store.record_schema import UnitRecord
from f2vbench.utils.text import shortened

AGE_BANDS = (40.0, 50.0, 60.0, 70.0)
"""Default edges of the bands of age in years; an edge belongs to the band above it."""

NOT_GIVEN = "not given"
"""Subgroup of the images of which a value is missing."""

MAX_GROUPS = 12
"""Largest number of subgroups by one column."""


def available_columns(records: Iterable[UnitRecord]) -> list[str]:
    """Names of the columns that records have values of, in the order in which they occur."""
    names = (name for record in records for name in record["result"]["episode"].get("columns", {}))
    return list(dict.fromkeys(names))


def check_columns(by: Sequence[str], records: Sequence[UnitRecord]) -> None:
    """Refuse columns that no record has.

    Args:
        by: Names of columns.
        records: Records of all units.

    Raises:
        SettingsError: A column is unknown; the message lists those that exist.
    """
    known = available_columns(records)
    unknown = [name for name in by if name not in known]
    if not unknown:
        return
    if not known:
        raise SettingsError(
            f"by={','.join(by)}: the records have no columns of their images: the data set's table has none (eye, age, "
            "sex, site, camera or others), or an earlier version made the records; run again with a new out= folder"
        )
    raise SettingsError(
        f"by={','.join(unknown)}: no such column in these results; available: {', '.join(known)}"
        f"{did_you_mean(unknown[0], known)}"
    )


def group_labels(name: str, values: Sequence[str], age_bands: Sequence[float] = AGE_BANDS) -> list[str]:
    """The subgroup of each image.

    Args:
        name: Name of the column; ``age`` is divided into bands.
        values: Value of each image, as text; "" is missing.
        age_bands: Edges of the bands of age.

    Returns:
        A name for each image; `NOT_GIVEN` where the value is missing.

    Raises:
        SettingsError: An age is no number.

    Example:
        >>> group_labels("age", ["39.5", "40", "71", ""], [40, 70])
        ['under 40', '40–69', '70 and over', 'not given']
        >>> group_labels("sex", ["female", "", "male"])
        ['female', 'not given', 'male']
    """
    if name != "age":
        return [value.strip() or NOT_GIVEN for value in values]
    bad = [value for value in dict.fromkeys(values) if value.strip() and _age(value) is None]
    if bad:
        raise SettingsError(
            f"by=age: these ages are no numbers of years: {shortened([repr(value) for value in bad])}; correct them in "
            "the data set's table, or leave them empty"
        )
    ages = [_age(value) for value in values]
    return [NOT_GIVEN if age is None else _band(age, age_bands) for age in ages]


def order_groups(name: str, groups: Iterable[str], age_bands: Sequence[float] = AGE_BANDS) -> list[str]:
    """Distinct subgroups in reading order: ages from young to old, others by name, `NOT_GIVEN` last.

    Args:
        name: Name of the column.
        groups: Subgroups, with repetitions.
        age_bands: Edges of the bands of age.

    Raises:
        SettingsError: There are more than `MAX_GROUPS`.

    Example:
        >>> order_groups("sex", ["not given", "male", "female", "male"])
        ['female', 'male', 'not given']
    """
    found = set(groups)
    named = found - {NOT_GIVEN}
    if len(named) > MAX_GROUPS:
        raise SettingsError(
            f"by={name}: {len(named)} different values ({shortened(sorted(named))}), and subgroups need at most "
            f"{MAX_GROUPS}: join values in the data set's table"
        )
    bands = _band_names(age_bands) if name == "age" else sorted(named)
    return [*(group for group in bands if group in named), *([NOT_GIVEN] if NOT_GIVEN in found else [])]


def _age(value: str) -> float | None:
    try:
        age = float(value)
    except ValueError:
        return None
    return age if math.isfinite(age) and age >= 0 else None


def _band(age: float, edges: Sequence[float]) -> str:
    return _band_names(edges)[sum(age >= edge for edge in edges)]


def _band_names(edges: Sequence[float]) -> list[str]:
    def upper(low: float, high: float) -> str:
        whole = low == int(low) and high == int(high)
        return f"{low:g}–{high - 1:g}" if whole else f"{low:g} to under {high:g}"

    between = [upper(low, high) for low, high in pairwise(edges)]
    return [f"under {edges[0]:g}", *between, f"{edges[-1]:g} and over"]
