"""Tables of comparisons: the deciding tests, and the same comparisons by further tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from f2vbench.analysis.comparisons import ModelComparison, Significance
from f2vbench.analysis.significance_tests import TestName
from f2vbench.report.tables.table import Cell, Column, Table, text_columns
from f2vbench.report.text.wording import NONE, TaskNames, interval_text, metric_name, model_name, number, signed
from f2vbench.stats.result_classes import Comparison, describe_variation
from f2vbench.utils.text import p_value

_VERDICTS: dict[Significance, str] = {
    "significant": "{}",
    "over seeds only": "{} over seeds only",
    "over patients only": "{} over patients only",
    "contradictory": "contradictory",
    "not significant": "not significant",
    "no test": "no test possible",
}
_FURTHER_TESTS: dict[TestName, tuple[str, str]] = {
    "paired": ("paired t", "seeds"),
    "welch": ("Welch's t", "seeds"),
    "wilcoxon": ("Wilcoxon", "seeds"),
    "delong": ("DeLong", "test patients"),
    "permutation": ("permutation", "test patients"),
}
"""Column title of each test, and what it is over."""
_EFFECT_SIZES = {
    "paired": "Effect size: Hedges' g_z, the mean difference over seeds ÷ its standard deviation, bias-corrected,",
    "welch": "Effect size: Hedges' g, the difference of means ÷ the pooled standard deviation over seeds, "
    "bias-corrected,",
}


def comparison_tables(comparisons: Sequence[ModelComparison], names: TaskNames, baselines: set[str]) -> list[Table]:
    """Make the tables of deciding and of further tests.

    Args:
        comparisons: Comparisons of the report.
        names: Names of tasks and conditions.
        baselines: Names of the baselines.

    Returns:
        Two tables, or none where nothing was compared.
    """
    if not comparisons:
        return []
    return [_deciding_tests(comparisons, names, baselines), _further_tests(comparisons, names, baselines)]


def verdict_text(comparison: ModelComparison) -> str:
    """``better``, ``not significant``, ``better over patients only``."""
    verdict = next((verdict for verdict in comparison.verdicts() if verdict in ("better", "worse")), "")
    return _VERDICTS[comparison.significance].format(verdict)


def _deciding_tests(comparisons: Sequence[ModelComparison], names: TaskNames, baselines: set[str]) -> Table:
    procedure = comparisons[0].procedure
    over = f"p, {procedure.adjusted_label}, over"
    paired = procedure.test == "paired"
    columns = [
        *text_columns("condition", "metric", "first", "second"),
        Column("difference"),
        Column("verdict", numeric=False),
        Column("corrected for overlap", f"{over} seeds"),
        Column("bootstrap", f"{over} test patients"),
        Column("paired t of the papers" if paired else procedure.seed_test.name, f"{over} seeds, as if independent"),
    ]
    rows = []
    shown: list[Comparison] = []
    for each in comparisons:
        difference, patients = each.means[0] - each.means[1], each.over_patients
        tests = (each.tests["corrected"], patients, each.t_test)
        shown += tests
        rows.append(
            [
                *_pair_cells(each, names, baselines),
                Cell(
                    signed(difference), difference, interval_text(patients.low, patients.high), reason=patients.reason
                ),
                Cell(verdict_text(each)),
                *(_p_cell(test, describe_variation(test.variation)) for test in tests),
            ]
        )
    seeds = "paired t-test of the papers" if paired else "t-test of Welch"
    return Table(
        "comparisons",
        "Significance of differences",
        "The difference is first − second, with its 95 % interval over test patients; the verdict is on the first. "
        f"The line below each p-value names its sample and what varies in it. The {seeds} assumes independent seeds, "
        "which does not hold where seeds share images; the corrected t-test (Nadeau and Bengio) accounts for "
        "overlapping splits; the bootstrap generalizes to new patients, with the heads as trained. "
        f"The p-values of each test are adjusted by the method of {procedure.adjustment_method.name} over all rows of "
        "this table.",
        columns,
        rows,
        _missing_notes(shown),
    )


def _further_tests(comparisons: Sequence[ModelComparison], names: TaskNames, baselines: set[str]) -> Table:
    procedure = comparisons[0].procedure
    columns = [*text_columns("condition", "metric", "first", "second"), Column("effect size")]
    columns += [
        Column(title, f"p, {procedure.adjusted_label}, over {sample}") for title, sample in _FURTHER_TESTS.values()
    ]
    rows = []
    for each in comparisons:
        effect = each.effect_size
        size = Cell(
            number(effect.value, 2), effect.value, interval_text(effect.low, effect.high, 2), reason=effect.reason
        )
        cells = [_p_cell(each.tests[name]) for name in _FURTHER_TESTS]
        rows.append([*_pair_cells(each, names, baselines), size, *cells])
    optional: tuple[TestName, ...] = ("wilcoxon", "delong", "permutation")
    missing = _missing_notes(each.tests[name] for each in comparisons for name in optional)
    missing += [f"{NONE} {each.effect_size.reason}" for each in comparisons if each.effect_size.reason]
    return Table(
        "comparisons-other-tests",
        "Further tests of the same comparisons",
        f"{_EFFECT_SIZES[procedure.test]} with its 95 % interval, first against second. The t-tests and Wilcoxon's "
        "signed-rank test assume independent seeds. DeLong's test (AUROC of one class) and the paired permutation test "
        "(exchange of the two models by patient) compare means over seeds and generalize to new patients, with the "
        "heads as trained; a patient who is tested at several seeds counts once. The p-values of each test are "
        "adjusted over all rows. The verdicts do not depend on these tests.",
        columns,
        rows,
        [*_wilcoxon_notes(comparisons), *dict.fromkeys(missing)],
    )


def _wilcoxon_notes(comparisons: Sequence[ModelComparison]) -> list[str]:
    """Smallest p-value of Wilcoxon's test at each number of seeds, where that is not small."""
    tests = [each.tests["wilcoxon"] for each in comparisons]
    smallest = {(test.n, test.smallest_p) for test in tests if test.smallest_p is not None}
    return [
        f"With {n} seeds, the p-value of Wilcoxon's test is at least {p:.4f} before adjustment"
        f"{', so that no difference can be significant at 0.05' if p >= 0.05 else ''}."
        for n, p in sorted(smallest)
    ]


def _pair_cells(comparison: ModelComparison, names: TaskNames, baselines: set[str]) -> list[Cell]:
    return [
        Cell(names.condition(comparison.condition)),
        Cell(metric_name(comparison.metric, comparison.better)),
        *(Cell(model_name(name, name in baselines)) for name in (comparison.first, comparison.second)),
    ]


def _p_cell(test: Comparison, variation: str = "") -> Cell:
    """Adjusted p-value, and below it the unadjusted one with its sample size."""
    if test.p is None:
        return Cell(NONE, reason=test.reason)
    detail = f"p {p_value(test.p)}, n = {test.n:,} {test.unit}{'; ' if variation else ''}{variation}"
    return Cell(p_value(test.p_adjusted), test.p_adjusted, detail, reason=test.reason)


def _missing_notes(tests: Iterable[Comparison]) -> list[str]:
    """Reasons of missing p-values, each once."""
    return [f"{NONE} {reason}" for reason in dict.fromkeys(test.reason for test in tests if test.p is None)]
