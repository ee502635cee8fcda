"""Comparisons as tables: the tests that decide, and the same comparisons by other tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from f2vbench.analysis.comparisons import Certainty, Compared
from f2vbench.report.tables.table import Cell, Column, Table
from f2vbench.report.text.wording import NONE, Names, interval, metric_name, model_name, number, signed
from f2vbench.stats.result_classes import Comparison, describe_variation
from f2vbench.utils.text import p_value

_CERTAINTY: dict[Certainty, str] = {
    "sure": "{}",
    "over seeds only": "{} over seeds; patients can't tell",
    "over patients only": "{} over patients; seeds can't tell",
    "contradictory": "seeds and patients disagree",
    "not significant": "not significant",
    "no test": "no test possible",
}


def comparison_tables(comparisons: Sequence[Compared], names: Names, baselines: set[str]) -> list[Table]:
    """The tests that decide, and the others; none where nothing was compared."""
    if not comparisons:
        return []
    return [_deciding(comparisons, names, baselines), _others(comparisons, names, baselines)]


def certainty_text(each: Compared) -> str:
    """``better``, ``not significant``, ``better over patients; seeds can't tell``"""
    verdict = next((verdict for verdict in each.verdicts() if verdict in ("better", "worse")), "")
    return _CERTAINTY[each.certainty].format(verdict)


def _deciding(comparisons: Sequence[Compared], names: Names, baselines: set[str]) -> Table:
    procedure = comparisons[0].procedure
    over = f"p, {procedure.adjusted_label}, over"
    columns = [
        *_COMPARED,
        Column("difference"),
        Column("verdict", numeric=False),
        Column("as in the papers" if procedure.test == "paired" else procedure.seed_test.name, f"{over} seeds"),
        Column("corrected for overlap", f"{over} seeds"),
        Column("bootstrap", f"{over} test patients"),
    ]
    rows = []
    for each in comparisons:
        difference, between = each.means[0] - each.means[1], each.patients
        rows.append(
            [
                *_compared(each, names, baselines),
                Cell(signed(difference), difference, interval(between.low, between.high), reason=between.reason),
                Cell(certainty_text(each)),
                *(_p(found, describe_variation(found.variation)) for found in (each.seeds, each.splits, each.patients)),
            ]
        )
    seeds = "the papers' t-test" if procedure.test == "paired" else procedure.seed_test.name
    return Table(
        "comparisons",
        "Which differences are real",
        "The difference is first − second, with its 95 % interval over test patients; the verdict is on the first. "
        f"Each p-value says what varies: {seeds} takes the seeds as "
        "independent, which they are not where they share images; the corrected test (Nadeau and Bengio) accounts for "
        "the overlap of their splits; the bootstrap asks for other patients, with the heads as they were trained. "
        f"The adjustment of each, {procedure.adjustment_method.name}'s, is over all rows of this table.",
        columns,
        rows,
        _reasons(found for each in comparisons for found in (each.seeds, each.splits, each.patients)),
    )


def _others(comparisons: Sequence[Compared], names: Names, baselines: set[str]) -> Table:
    procedure = comparisons[0].procedure
    over = f"p, {procedure.adjusted_label}, over"
    columns = [
        *_COMPARED,
        Column("effect size"),
        Column("paired t", f"{over} seeds"),
        Column("Welch's t", f"{over} seeds"),
        Column("Wilcoxon", f"{over} seeds"),
        Column("DeLong", f"{over} test patients"),
        Column("permutation", f"{over} test patients"),
    ]
    rows = []
    for each in comparisons:
        further, effect = each.further, each.further.effect
        size = Cell(number(effect.value, 2), effect.value, interval(effect.low, effect.high, 2), reason=effect.reason)
        shown = (further.paired, further.welch, further.wilcoxon, further.delong, further.swap)
        rows.append([*_compared(each, names, baselines), size, *map(_p, shown)])
    baselines_of = {
        (each.further.wilcoxon.n, each.further.wilcoxon.smallest_p)
        for each in comparisons
        if each.further.wilcoxon.smallest_p is not None
    }
    notes = [
        f"With {n} seeds Wilcoxon's p can't be below {smallest:.4f}, before any adjustment"
        f"{', so that it can show nothing at 0.05' if smallest >= 0.05 else ''}."
        for n, smallest in sorted(baselines_of)
    ]
    tests = [f for each in comparisons for f in (each.further.wilcoxon, each.further.delong, each.further.swap)]
    reasons = [f"{NONE} {each.further.effect.reason}" for each in comparisons if each.further.effect.reason]
    return Table(
        "comparisons-other-tests",
        "The same comparisons by other tests",
        f"{_EFFECTS[procedure.test]} with its 95 % interval, first against second. The t-tests and Wilcoxon's "
        "signed-rank test take the seeds as independent. DeLong's test, of AUROC of two classes, and the permutation "
        "test, which swaps the two models patient by patient, are of the means over seeds and ask for other patients, "
        "with the heads as they were trained; a patient tested at several seeds counts once. Every test is adjusted "
        "over all rows by itself. The verdicts do not rest on these.",
        columns,
        rows,
        [*notes, *dict.fromkeys([*_reasons(tests), *reasons])],
    )


_EFFECTS = {
    "paired": "Effect size: Hedges' g_z, mean difference over seeds ÷ its standard deviation, freed of its bias,",
    "welch": "Effect size: Hedges' g, difference of means ÷ pooled standard deviation over seeds, freed of its bias,",
}
_COMPARED = [Column(title, numeric=False) for title in ("place", "metric", "first", "second")]


def _compared(each: Compared, names: Names, baselines: set[str]) -> list[Cell]:
    return [
        Cell(names.place(*each.place)),
        Cell(metric_name(each.metric, each.better)),
        *(Cell(model_name(name, name in baselines)) for name in (each.first, each.second)),
    ]


def _p(found: Comparison, varies: str = "") -> Cell:
    """The adjusted p, and below it the plain one and what it rests on."""
    basis = f"p {p_value(found.p)}, n = {found.n:,} {found.unit}{'; ' if varies else ''}{varies}"
    return Cell(p_value(found.p_adjusted), found.p_adjusted, basis if found.p is not None else "", reason=found.reason)


def _reasons(tests: Iterable[Comparison]) -> list[str]:
    """Why p-values are missing, once each."""
    return [f"{NONE} {reason}" for reason in dict.fromkeys(test.reason for test in tests if test.p is None)]
