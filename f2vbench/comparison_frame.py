"""Comparisons as a tidy table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from f2vbench.comparisons import PLACE, Compared
from f2vbench.stats.outcomes import Comparison

_TESTS: dict[str, Callable[[Compared], Comparison]] = {
    "corrected": lambda each: each.splits,
    "patients": lambda each: each.patients,
    "paired": lambda each: each.further.paired,
    "welch": lambda each: each.further.welch,
    "wilcoxon": lambda each: each.further.wilcoxon,
    "delong": lambda each: each.further.delong,
    "permutation": lambda each: each.further.swap,
}
"""By what its columns end in."""
_EFFECT = ["effect", "effect_low", "effect_high"]
_LAST = ["certainty", "test", "adjustment", "effect_is", "wilcoxon_smallest_p", "reason", "reason_effect"]


def as_frame(comparisons: Sequence[Compared]) -> pd.DataFrame:
    """One row a comparison; the columns are told at `Results.compare`."""
    table = pd.DataFrame([_row(each) for each in comparisons], columns=COLUMNS)
    table["shots"] = table.shots.astype("Int64")
    return table.astype(dict.fromkeys(_NUMBERS, float))


def _row(each: Compared) -> dict[str, Any]:
    row: dict[str, Any] = dict(zip(PLACE, each.place, strict=True)) | {"metric": each.metric, "better": each.better}
    row |= {"encoder": each.first, "best_other": each.second}
    row |= {"n": each.seeds.n, "difference": each.seeds.difference, "t": each.seeds.statistic}
    row |= {"p": each.seeds.p, "p_adjusted": each.seeds.p_adjusted, "reason": each.seeds.reason}
    row |= {"patients": each.patients.n, "low": each.patients.low, "high": each.patients.high}
    for suffix, test in _TESTS.items():
        found = test(each)
        row |= {f"p_{suffix}": found.p, f"p_{suffix}_adjusted": found.p_adjusted, f"reason_{suffix}": found.reason}
    effect = each.further.effect
    row |= dict(zip(_EFFECT, (effect.value, effect.low, effect.high), strict=True))
    row |= {"certainty": each.certainty, "test": each.seeds.method.name, "effect_is": effect.method.name}
    row |= {"adjustment": each.procedure.adjustment.name, "reason_effect": effect.reason}
    return row | {"wilcoxon_smallest_p": each.further.wilcoxon.smallest_p}


_P = [f"p_{suffix}{ending}" for suffix in _TESTS for ending in ("", "_adjusted")]
_NUMBERS = ["difference", "t", "p", "p_adjusted", "low", "high", *_P, *_EFFECT, "wilcoxon_smallest_p"]
COLUMNS = [
    *(*PLACE, "metric", "better", "encoder", "best_other", "n", "difference", "t", "p", "p_adjusted"),
    *("patients", "low", "high", *_EFFECT, *_P, *_LAST),
    *(f"reason_{suffix}" for suffix in _TESTS),
]
