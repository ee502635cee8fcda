"""Table of equivalence and non-inferiority of the compared models, with a margin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from f2vbench.analysis.comparisons import ModelComparison
from f2vbench.report.tables.table import Cell, Column, Table, text_columns
from f2vbench.report.text.wording import NONE, TaskNames, interval_text, metric_name, model_name, number, signed
from f2vbench.stats.equivalence import EquivalenceResult, equivalence_test, equivalence_verdict
from f2vbench.stats.multiple_testing import holm
from f2vbench.utils.text import p_value

_P = ("p_equivalence", "p_first", "p_second")


def equivalence_table(
    comparisons: Sequence[ModelComparison], margin: float, names: TaskNames, baselines: set[str]
) -> Table | None:
    """Make the table of all comparisons of a report.

    Args:
        comparisons: Comparisons of the report.
        margin: Largest difference that does not matter, in units of each metric.
        names: Names of tasks and conditions.
        baselines: Names of the baselines.

    Returns:
        A row for each comparison; None where nothing was compared.
    """
    if not comparisons:
        return None
    results = [equivalence_test(each.crossed, margin, higher_is_better=each.better != "lower") for each in comparisons]
    adjusted = {name: _holm([getattr(result, name) for result in results]) for name in _P}
    rows = []
    for index, (each, result) in enumerate(zip(comparisons, results, strict=True)):
        own = {name: adjusted[name][index] for name in _P}
        verdict = equivalence_verdict(own["p_equivalence"], own["p_first"], own["p_second"], result.alpha)
        rows.append(
            [
                Cell(names.condition(each.condition)),
                Cell(metric_name(each.metric, each.better)),
                *(
                    Cell(model_name(name, name in baselines), detail=names.mark(each.condition.task, name))
                    for name in (each.first, each.second)
                ),
                _difference_cell(result),
                Cell(verdict, detail=_needed(result, verdict), reason=result.reason),
                *(_p_cell(getattr(result, name), own[name], result.reason) for name in _P),
            ]
        )
    columns = [
        *text_columns("condition", "metric", "first", "second"),
        Column("difference"),
        Column("verdict", numeric=False),
        Column("equivalent", "p, Holm-adjusted"),
        Column("first not inferior", "p, Holm-adjusted"),
        Column("second not inferior", "p, Holm-adjusted"),
    ]
    reasons = dict.fromkeys(result.reason for result in results if result.reason)
    return Table(
        "equivalence",
        f"Equivalence and non-inferiority with a margin of {margin:g}",
        f"Equivalent: the difference (first − second) lies within ± {margin:g} in units of the metric, by two "
        "one-sided crossed tests over patients and seeds at 0.05, in agreement with the 90 % interval in brackets. Not "
        f"inferior: worse by less than {margin:g}, by the one-sided test at 0.025, in agreement with the 95 % "
        "interval. p-values are adjusted by Holm's method over all rows of a column; the line below has the unadjusted "
        "one. The margin must be chosen before the results are seen, and so must the models: the best and the second "
        "are not. Needed: the patients at which models without any difference would be shown to be equivalent with "
        "80 % power.",
        columns,
        rows,
        [f"{NONE} {reason}" for reason in reasons],
    )


def _holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust the p-values that exist."""
    tested = [index for index, p in enumerate(p_values) if p is not None]
    adjusted: list[float | None] = [None] * len(p_values)
    if tested:
        for index, p in zip(tested, holm(np.array([p_values[i] for i in tested], float)).tolist(), strict=True):
            adjusted[index] = p
    return adjusted


def _difference_cell(result: EquivalenceResult) -> Cell:
    text = number(result.difference) if result.difference is None else signed(result.difference)
    return Cell(text, result.difference, interval_text(result.low, result.high), reason=result.reason)


def _needed(result: EquivalenceResult, verdict: str) -> str:
    if result.required is None or verdict == "equivalent":
        return ""
    rounded = result.required if result.required < 1000 else int(float(f"{result.required:.2g}"))
    return f"about {rounded:,} {result.unit} needed"


def _p_cell(p: float | None, adjusted: float | None, reason: str) -> Cell:
    if p is None or adjusted is None:
        return Cell(NONE, reason=reason)
    return Cell(p_value(adjusted), adjusted, f"p {p_value(p)}")
