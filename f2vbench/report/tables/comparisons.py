"""Tables of comparisons: the deciding test, and the same comparisons by further tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from f2vbench.analysis.comparisons import ModelComparison
from f2vbench.analysis.significance_tests import TestName
from f2vbench.report.tables.table import Cell, Column, Table, text_columns
from f2vbench.report.text.table_notes import pretrained_notes
from f2vbench.report.text.wording import (
    NONE,
    TaskNames,
    as_sentence,
    interval_text,
    metric_name,
    model_name,
    number,
    signed,
)
from f2vbench.stats.result_classes import Comparison, describe_generalization, describe_variation
from f2vbench.utils.text import p_value, plural

_FURTHER_TESTS: dict[TestName, tuple[str, str]] = {
    "paired": ("paired t", "seeds"),
    "welch": ("Welch's t", "seeds"),
    "corrected": ("corrected for overlap", "seeds"),
    "wilcoxon": ("Wilcoxon", "seeds"),
    "bootstrap": ("bootstrap", "test patients"),
    "delong": ("DeLong", "test patients"),
    "permutation": ("permutation", "test patients"),
    "gee": ("GEE", "test patients"),
    "predictions": ("t on predictions", "test images, as in Figure 4 of the paper"),
}
"""Column title of each test, and what it is over."""
_EFFECT_SIZES = {
    "paired": "Effect size: Hedges' g_z, the mean difference over seeds ÷ its standard deviation, bias-corrected,",
    "welch": "Effect size: Hedges' g, the difference of means ÷ the pooled standard deviation over seeds, "
    "bias-corrected,",
}


def comparison_tables(comparisons: Sequence[ModelComparison], names: TaskNames, baselines: set[str]) -> list[Table]:
    """Make the tables of the deciding and of further tests.

    Args:
        comparisons: Comparisons of the report.
        names: Names of tasks and conditions.
        baselines: Names of the baselines.

    Returns:
        Two tables, or none where nothing was compared.
    """
    if not comparisons:
        return []
    return [_deciding_test(comparisons, names, baselines), _further_tests(comparisons, names, baselines)]


def verdict_text(comparison: ModelComparison) -> str:
    """``better``, ``worse``, ``not significant``, ``no test possible``."""
    return "no test possible" if comparison.verdict == "no test" else comparison.verdict


def _deciding_test(comparisons: Sequence[ModelComparison], names: TaskNames, baselines: set[str]) -> Table:
    procedure = comparisons[0].procedure
    paired = procedure.test == "paired"
    columns = [
        *text_columns("condition", "metric", "first", "second"),
        Column("difference"),
        Column("verdict", numeric=False),
        Column("crossed", f"p, {procedure.selection_adjustment.name}-adjusted, over patients and seeds"),
        Column(
            "paired t of the papers" if paired else procedure.seed_test.name,
            f"p, {procedure.adjusted_label}, over seeds, as if independent",
        ),
    ]
    rows = []
    for each in comparisons:
        test = each.crossed
        difference = each.means[0] - each.means[1] if test.difference is None else test.difference
        rows.append(
            [
                *_pair_cells(each, names, baselines),
                Cell(signed(difference), difference, interval_text(test.low, test.high), reason=test.reason),
                Cell(verdict_text(each), detail=_verdict_detail(each)),
                _crossed_cell(each),
                _p_cell(each.t_test, describe_variation(each.t_test.variation)),
            ]
        )
    shown = [test for each in comparisons for test in (each.crossed, each.t_test)]
    seeds = "paired t-test of the papers" if paired else "t-test of Welch"
    return Table(
        "comparisons",
        "Significance of differences",
        "The difference is first − second; the verdict is on the first. The crossed test and the 95 % interval of the "
        "difference (Obuchowski and Rockette, Hillis) take into account at once that other test patients and other "
        "heads, with what else varies between seeds, would give other values; the verdict depends on it alone. "
        "Its p-value is adjusted for the choice of the two models among all pairs at the condition, or of the "
        "best other model among those compared with a reference model (step-down max-T), and then by the method of "
        f"{procedure.adjustment_method.name} over all rows of this table; the interval is not. The line "
        f"below each p-value names the unadjusted one, its sample and what varies in it. The {seeds} assumes "
        "independent seeds, which does not hold where seeds share images or test patients, and is not adjusted for "
        "the choice of the models.",
        columns,
        rows,
        [
            *_pretrained_notes(comparisons, names),
            *_missing_notes(shown),
            *_warnings(comparisons),
        ],
    )


def _verdict_detail(comparison: ModelComparison) -> str:
    """What a significant difference generalizes to, or how many patients would show one."""
    test = comparison.crossed
    if comparison.significance == "significant":
        return f"for {describe_generalization(test.variation)}"
    count = test.required.count_text(test.unit) if test.required is not None else ""
    return f"{count} needed" if count else ""


def _crossed_cell(comparison: ModelComparison) -> Cell:
    """Adjusted p-value of the crossed test, and below it the steps of the adjustment and the sample."""
    test = comparison.crossed
    if test.p is None:
        return Cell(NONE, reason=test.reason)
    steps = f"p {p_value(test.p)}; of {plural(comparison.selection.pairs, 'pair')} {p_value(comparison.selection.p)}"
    sample = f"{test.sample}; {describe_variation(test.variation)}"
    return Cell(p_value(test.p_adjusted), test.p_adjusted, f"{steps}; {sample}")


def _warnings(comparisons: Iterable[ModelComparison]) -> list[str]:
    """What limits the crossed test, with the number of rows that each concerns."""
    counts = Counter(each.crossed.note for each in comparisons if each.crossed.note)
    return [f"{as_sentence(note).rstrip('.')} ({plural(count, 'row')})." for note, count in counts.items()]


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
    optional: tuple[TestName, ...] = (
        "corrected",
        "wilcoxon",
        "bootstrap",
        "delong",
        "permutation",
        "gee",
        "predictions",
    )
    missing = _missing_notes(each.tests[name] for each in comparisons for name in optional)
    missing += [f"{NONE} {each.effect_size.reason}" for each in comparisons if each.effect_size.reason]
    return Table(
        "comparisons-other-tests",
        "Further tests of the same comparisons",
        f"{_EFFECT_SIZES[procedure.test]} with its 95 % interval, first against second. The paired and Welch's "
        "t-test and Wilcoxon's signed-rank test assume independent seeds; the corrected t-test (Nadeau and Bengio) "
        "accounts for overlapping splits. The bootstrap, DeLong's test (AUROC of one class) and the paired permutation "
        "test (exchange of the two models by patient) compare means over seeds and generalize to new patients, with "
        "the heads as trained; a patient who is tested at several seeds counts once. So do generalised estimating "
        "equations (GEE: accuracy, Dice and other means over images; exchangeable correlation of a patient's images). "
        "The t-test on predictions is that of Figure 4 of the foundation-model paper: it compares the mean predicted "
        "probabilities of the images, not the metric, and is small for models of equal quality that differ in "
        "confidence. The p-values of each test are adjusted over all rows, but not for the choice of the models. The "
        "verdicts do not depend on these tests.",
        columns,
        rows,
        [*_pretrained_notes(comparisons, names), *_wilcoxon_notes(comparisons), *dict.fromkeys(missing)],
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
        *(
            Cell(model_name(name, name in baselines), detail=names.mark(comparison.condition.task, name))
            for name in (comparison.first, comparison.second)
        ),
    ]


def _pretrained_notes(comparisons: Iterable[ModelComparison], names: TaskNames) -> list[str]:
    pairs = [(each.condition.task, name) for each in comparisons for name in (each.first, each.second)]
    return pretrained_notes(names, pairs)


def _p_cell(test: Comparison, variation: str = "") -> Cell:
    """Adjusted p-value, and below it the unadjusted one with its sample size."""
    if test.p is None:
        return Cell(NONE, reason=test.reason)
    detail = f"p {p_value(test.p)}, n = {test.n:,} {test.unit}{'; ' if variation else ''}{variation}"
    return Cell(p_value(test.p_adjusted), test.p_adjusted, detail, reason=test.reason)


def _missing_notes(tests: Iterable[Comparison]) -> list[str]:
    """Reasons of missing p-values, each once."""
    return [f"{NONE} {reason}" for reason in dict.fromkeys(test.reason for test in tests if test.p is None)]
