"""What the facts of a checklist are read from, and what they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from f2vbench.report.run_results import RunResults
from f2vbench.stats.procedure import Procedure


class Fact(NamedTuple):
    """A statement, and the keys of the records that it comes from.

    Attributes:
        text: One or more sentences.
        keys: Keys of `UnitRecord` (``record``) and `CallRecord` (``call``).
    """

    text: str
    keys: str


@dataclass(frozen=True)
class Evidence:
    """What the facts are read from.

    Attributes:
        results: Results of the runs.
        procedure: t-test over seeds, adjustment of p-values and interval of the report.
    """

    results: RunResults
    procedure: Procedure


FactFunction = Callable[[Evidence], Fact | None]
"""Reads the stored records alone, and returns None where they do not say it."""


def span(values: Sequence[int]) -> str:
    """``4``, ``4 to 1,200``, or an empty text without values.

    Args:
        values: Counts.
    """
    if not values:
        return ""
    return f"{min(values):,}" if min(values) == max(values) else f"{min(values):,} to {max(values):,}"
