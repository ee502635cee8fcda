"""Tables of a human assessment: scores, agreement of raters, preferences of methods, guesses and missing answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from f2vbench.analysis.assessment import (
    Assessment,
    PairAgreement,
    Preference,
    ScoreSummary,
    identifications,
    missing_answers,
    pair_agreements,
    preferences,
    question_title,
    reliabilities,
    summarize_scores,
)
from f2vbench.report.tables.table import Cell, Column, Table, count_cell, text_columns
from f2vbench.report.text.wording import NONE, interval_text, join_names, number
from f2vbench.stats.citations import BLAND_ALTMAN, CLOPPER_PEARSON, FRIEDMAN, INTRACLASS, SIGN_TEST, WEIGHTED_KAPPA
from f2vbench.stats.kappa import KappaResult
from f2vbench.utils.text import p_value, plural

_ALL_METHODS, _ALL_RATERS = "all methods", "mean of raters"
_MOST_MISSING = 200  # rows; more say that a page was hardly begun
_SCALE = "1 (excellent) to 5 (very poor), lower is better"


def assessment_tables(assessment: Assessment) -> list[Table]:
    """All tables of an assessment that have rows."""
    tables = (
        scores_table(assessment),
        agreement_table(assessment),
        reliability_table(assessment),
        preference_table(assessment),
        ranks_table(assessment),
        identification_table(assessment),
        missing_table(assessment),
    )
    return [table for table in tables if table is not None]


def stored_assessment_tables(assessments: Sequence[Assessment]) -> list[Table]:
    """Tables of several assessments; where there is more than one, names and titles have their identifiers."""
    if len(assessments) < 2:
        return [table for assessment in assessments for table in assessment_tables(assessment)]
    return [
        replace(table, name=f"{table.name}-{each.identifier}", title=f"{table.title} ({each.identifier})")
        for each in assessments
        for table in assessment_tables(each)
    ]


def scores_table(assessment: Assessment) -> Table:
    """Mean ± standard deviation by method, rater and criterion."""
    rows: dict[tuple[str, str], list[ScoreSummary]] = {}
    for summary in summarize_scores(assessment):
        rows.setdefault((summary.method, summary.rater), []).append(summary)
    notes = []
    absent = [rater for rater in assessment.raters if rater not in assessment.present]
    if absent:
        notes.append(f"No file of {join_names(absent)}.")
    return Table(
        "assessment-scores",
        "Human assessment, scores",
        f"Scores from {_SCALE}: mean ± standard deviation over videos, and the number of videos. The {_ALL_RATERS} is "
        "that of each video, of the videos that every rater scored. Scale: Table 2 of the Fundus2Video paper.",
        [*text_columns("method", "rater"), *(Column(question_title(name)) for name in assessment.questions)],
        [
            [Cell(method), Cell(rater or _ALL_RATERS), *map(_score_cell, summaries)]
            for (method, rater), summaries in rows.items()
        ],
        notes,
    )


def agreement_table(assessment: Assessment) -> Table | None:
    """Kappa and limits of agreement of every two raters; None for one rater."""
    found = pair_agreements(assessment)
    if not found:
        return None
    return Table(
        "assessment-agreement",
        "Human assessment, agreement of raters",
        f"Linear and quadratic κ: {WEIGHTED_KAPPA.name} with 95 % interval and p of κ = 0. Difference: first − second "
        f"rater, with limits of agreement ({BLAND_ALTMAN.name}). κ needs a scale, which the mean of criteria does not "
        "have.",
        [
            *text_columns("criterion", "raters", "videos of"),
            Column("n"),
            Column("equal"),
            Column("κ", "linear"),
            Column("p", "linear"),
            Column("κ", "quadratic"),
            Column("p", "quadratic"),
            Column("difference"),
            Column("limits of agreement"),
        ],
        [_agreement_row(each) for each in found],
        (f"κ: {WEIGHTED_KAPPA.citation}.", f"Limits of agreement: {BLAND_ALTMAN.citation}."),
    )


def reliability_table(assessment: Assessment) -> Table | None:
    """Intraclass correlations; None for one rater."""
    found = reliabilities(assessment)
    if not found:
        return None
    rows = []
    for each in found:
        result = each.result
        single = interval_text(result.single_low, result.single_high, 3)
        average = interval_text(result.average_low, result.average_high, 3).replace("−inf", "−∞")
        rows.append(
            [
                Cell(question_title(each.question)),
                Cell(each.method or _ALL_METHODS),
                count_cell(result.n),
                count_cell(result.raters),
                Cell(number(result.single, 3), result.single, single, reason=result.reason),
                Cell(number(result.average, 3), result.average, average, reason=result.reason),
                Cell(p_value(result.p), result.p, reason=result.reason),
            ]
        )
    return Table(
        "assessment-reliability",
        "Human assessment, reliability",
        f"ICC(2,1), the reliability of one rater, and ICC(2,k), that of the mean of k raters, with 95 % intervals "
        f"({INTRACLASS.name}); p of ICC = 0. Videos that every rater scored.",
        [
            *text_columns("criterion", "videos of"),
            *map(Column, ("n", "raters", "ICC(2,1)", "ICC(2,k)", "p")),
        ],
        rows,
        (f"ICC: {INTRACLASS.citation}.",),
    )


def preference_table(assessment: Assessment) -> Table | None:
    """Sign tests between every two methods; None for one method."""
    found = preferences(assessment)
    if not found:
        return None
    rows = []
    for each in found:
        for pair in each.pairs:
            counts = pair.counts
            rows.append(
                [
                    Cell(question_title(each.question)),
                    Cell(pair.first),
                    Cell(pair.second),
                    count_cell(each.patients),
                    count_cell(counts.win),
                    count_cell(counts.tie),
                    count_cell(counts.loss),
                    Cell(_signed(pair.difference), pair.difference),
                    Cell(p_value(counts.p), counts.p, reason="" if counts.p is not None else "all are equal"),
                    Cell(p_value(pair.p_adjusted), pair.p_adjusted),
                ]
            )
    return Table(
        "assessment-preference",
        "Human assessment, preference between methods",
        "Patients in whom the first method has better, equal and worse scores than the second, and the mean difference "
        "(negative: the first is better). A patient's score is the mean over raters and examinations. p: two-sided "
        f"{SIGN_TEST.name} without ties; adjusted: Holm over all rows.",
        [
            *text_columns("criterion", "first", "second"),
            *map(Column, ("patients", "better", "equal", "worse", "difference", "p", "p adjusted")),
        ],
        rows,
        (f"Sign test: {SIGN_TEST.citation}.",),
    )


def ranks_table(assessment: Assessment) -> Table | None:
    """Friedman's test of three or more methods; None for fewer."""
    found = [each for each in preferences(assessment) if each.friedman is not None]
    if not found:
        return None
    return Table(
        "assessment-ranks",
        "Human assessment, ranks of methods",
        f"Mean rank of each method over patients (1 is best), and {FRIEDMAN.name} of equal ranks.",
        [
            *text_columns("criterion"),
            Column("patients"),
            *(Column(method, "mean rank") for method in assessment.methods),
            Column("χ²"),
            Column("p"),
        ],
        [_ranks_row(each) for each in found],
        (f"Friedman's test: {FRIEDMAN.citation}.",),
    )


def identification_table(assessment: Assessment) -> Table | None:
    """Right guesses which video is acquired; None where raters knew it."""
    found = identifications(assessment)
    if not found:
        return None
    rows = []
    for each in found:
        share = each.correct / each.n if each.n else None
        rows.append(
            [
                Cell(each.method),
                Cell(each.rater),
                count_cell(each.n),
                count_cell(each.correct),
                Cell(number(share, 3), share, interval_text(each.low, each.high, 3)),
                Cell(p_value(each.p), each.p),
            ]
        )
    return Table(
        "assessment-identification",
        "Human assessment, recognition of the acquired video",
        "Pairs in which the rater took the acquired video for the acquired one. Share with exact 95 % interval; p: "
        "exact binomial test of chance, 0.5. A share near 0.5 means that generated videos pass for acquired ones.",
        [*text_columns("method", "rater"), *map(Column, ("n", "right", "share", "p"))],
        rows,
        (f"Interval: {CLOPPER_PEARSON.citation}.",),
    )


def missing_table(assessment: Assessment) -> Table | None:
    """Checklist of missing answers; None where there are none."""
    found = missing_answers(assessment)
    if not found:
        return None
    more = len(found) - _MOST_MISSING
    return Table(
        "assessment-missing",
        "Human assessment, missing answers",
        f"{plural(len(found), 'pair')} without all answers, by the position on the rater's page.",
        [*text_columns("rater"), Column("pair"), *text_columns("video", "missing")],
        [
            [
                Cell(each.rater),
                count_cell(each.position),
                Cell(each.video),
                Cell(", ".join(map(question_title, each.questions))),
            ]
            for each in found[:_MOST_MISSING]
        ],
        (f"{plural(more, 'more pair')} without all answers.",) if more > 0 else (),
    )


def _score_cell(summary: ScoreSummary) -> Cell:
    if summary.mean is None:
        return Cell(NONE, reason="no scores")
    spread = "" if summary.sd is None else f" ± {summary.sd:.2f}"
    return Cell(f"{summary.mean:.2f}{spread}", summary.mean, f"n = {summary.n}")


def _agreement_row(each: PairAgreement) -> list[Cell]:
    difference = each.difference
    limits = Cell(NONE, reason="no limits of agreement")
    if difference is not None and difference.low is not None:
        limits = Cell(interval_text(difference.low, difference.high, 2))
    bias = None if difference is None else difference.bias
    return [
        Cell(question_title(each.question)),
        Cell(f"{each.first}, {each.second}"),
        Cell(each.method or _ALL_METHODS),
        count_cell(each.n),
        Cell(NONE if each.exact is None else f"{100 * each.exact:.0f} %", each.exact),
        *_kappa_cells(each.linear),
        *_kappa_cells(each.quadratic),
        Cell(_signed(bias), bias),
        limits,
    ]


def _kappa_cells(result: KappaResult | None) -> list[Cell]:
    if result is None:
        return [Cell(NONE, reason="no scale"), Cell(NONE, reason="no scale")]
    interval = interval_text(result.low, result.high, 3)
    return [
        Cell(number(result.kappa, 3), result.kappa, interval, reason=result.reason if result.kappa is None else ""),
        Cell(p_value(result.p), result.p, reason=result.reason if result.p is None else ""),
    ]


def _ranks_row(each: Preference) -> list[Cell]:
    friedman = each.friedman
    if friedman is None:
        raise ValueError(f"{each.question}: no test of ranks")
    return [
        Cell(question_title(each.question)),
        count_cell(each.patients),
        *(Cell(f"{rank:.2f}", rank) for rank in friedman.average_ranks),
        Cell(number(friedman.statistic, 3), friedman.statistic, reason=friedman.reason),
        Cell(p_value(friedman.p), friedman.p, reason=friedman.reason),
    ]


def _signed(value: float | None) -> str:
    if value is None:
        return NONE
    text = f"{value:+.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", "−")
