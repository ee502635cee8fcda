"""A scored human assessment: ratings, scores by method and rater, agreement of raters, preferences of methods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from f2vbench.analysis.rating_scale import CRITERIA, SCORES
from f2vbench.errors import StoreError
from f2vbench.stats.bland_altman import BlandAltmanResult, bland_altman
from f2vbench.stats.intraclass import IntraclassResult, intraclass_correlation
from f2vbench.stats.kappa import KappaResult, cohens_kappa
from f2vbench.stats.multiple_testing import holm
from f2vbench.stats.ranks import FriedmanResult, WinTieLoss, friedman_test, win_tie_loss
from f2vbench.utils.files import sealed, unseal

FILE_NAME = "assessment.json"
"""Name of the file of a scored assessment."""

ACQUIRED = "acquired"
"""The question which of both videos is the acquired one; its values are 1 for the right answer and 0."""

MEAN = "mean"
"""The mean of all criteria of a video."""

RATING_COLUMNS = ("rater", "position", "video", "method", "case", "patient", "question", "value")
"""Columns of ratings: one row for each rater, video and question."""

_VIDEO = ["method", "case"]


@dataclass(frozen=True)
class Assessment:
    """Ratings of an assessment.

    Attributes:
        identifier: Identifier of the assessment.
        criteria: Names of the criteria.
        methods: Names of the methods.
        raters: Names of all raters of the key, also of those without a file.
        ratings: Data frame with the columns `RATING_COLUMNS`; ``value`` is missing where there is no answer.
    """

    identifier: str
    criteria: tuple[str, ...]
    methods: tuple[str, ...]
    raters: tuple[str, ...]
    ratings: pd.DataFrame

    @property
    def present(self) -> tuple[str, ...]:
        """Raters with a file."""
        found = set(self.ratings.rater)
        return tuple(rater for rater in self.raters if rater in found)

    @property
    def questions(self) -> tuple[str, ...]:
        """Criteria, and their mean where there are several."""
        return (*self.criteria, MEAN) if len(self.criteria) > 1 else self.criteria

    @property
    def asks_source(self) -> bool:
        """Whether raters guessed which video is acquired."""
        return bool((self.ratings.question == ACQUIRED).any())

    def scores(self, question: str) -> pd.DataFrame:
        """Scores of one criterion, or the mean of all criteria of the videos that have all of them.

        Returns:
            Data frame with a row for each video (index: method, case) and a column for each rater with a file.
        """
        rows = self.ratings[self.ratings.question.isin(self.criteria if question == MEAN else [question])]
        by_question = rows.pivot_table(
            index=_VIDEO, columns=["rater", "question"], values="value", dropna=False, aggfunc="first"
        )
        columns = {rater: by_question[rater].mean(axis=1, skipna=False) for rater in self.present}
        return pd.DataFrame(columns)

    def content(self) -> bytes:
        """The assessment as a sealed file."""
        rows = self.ratings.astype(object).where(self.ratings.notna(), None)
        return sealed(
            {
                "assessment": self.identifier,
                "criteria": list(self.criteria),
                "methods": list(self.methods),
                "raters": list(self.raters),
                "columns": list(RATING_COLUMNS),
                "ratings": rows[list(RATING_COLUMNS)].to_numpy().tolist(),
            }
        )


def read_assessment(path: Path) -> Assessment:
    """Read a scored assessment.

    Raises:
        StoreError: The file is damaged or was changed.
    """
    try:
        stored = unseal(path.read_bytes())
        ratings = pd.DataFrame(stored["ratings"], columns=stored["columns"]).astype({"value": float})
        criteria, methods, raters = (tuple(stored[name]) for name in ("criteria", "methods", "raters"))
        return Assessment(stored["assessment"], criteria, methods, raters, ratings)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: can't be read ({error}); run f2vbench assess score again") from None


def find_assessments(folders: Iterable[Path]) -> list[Path]:
    """Files of the scored assessments in run folders, and in the folders directly within them."""
    return [
        path
        for folder in dict.fromkeys(folders)
        for path in sorted([*folder.glob(FILE_NAME), *folder.glob(f"*/{FILE_NAME}")])
    ]


@dataclass(frozen=True)
class ScoreSummary:
    """Scores of one method by one rater, or by the mean of all raters (``rater`` is empty).

    Attributes:
        method: Name of the method.
        rater: Name of the rater; empty for the mean over raters of each video.
        question: Criterion, or `MEAN`.
        n: Number of videos with a score.
        mean: Mean over videos; None without a score.
        sd: Standard deviation (n − 1) over videos; None below two scores.
    """

    method: str
    rater: str
    question: str
    n: int
    mean: float | None
    sd: float | None


def summarize_scores(assessment: Assessment) -> list[ScoreSummary]:
    """Mean and standard deviation of each method, rater and criterion.

    Where there are several raters, the mean over raters follows, of the videos that all of them scored.
    """
    summaries = []
    raters = ["", *assessment.present] if len(assessment.present) > 1 else list(assessment.present)
    for method in assessment.methods:
        for rater in (*raters[1:], raters[0]) if len(raters) > 1 else raters:
            for question in assessment.questions:
                table = assessment.scores(question).loc[[method]]
                values = (table[rater] if rater else table.mean(axis=1, skipna=False)).dropna()
                mean = float(values.mean()) if len(values) else None
                sd = float(values.std(ddof=1)) if len(values) > 1 else None
                summaries.append(ScoreSummary(method, rater, question, len(values), mean, sd))
    return summaries


@dataclass(frozen=True)
class PairAgreement:
    """Agreement of two raters on the videos of one method, or of all (``method`` is empty).

    Attributes:
        first: First rater.
        second: Second rater.
        method: Name of the method; empty for all videos.
        question: Criterion, or `MEAN`.
        n: Number of videos that both scored.
        exact: Share of videos with equal scores; None without such a video.
        linear: Linearly weighted kappa; None for `MEAN`, which has no scale of its own, and without a video.
        quadratic: Quadratically weighted kappa.
        difference: Bland–Altman analysis of first − second; None without a video.
    """

    first: str
    second: str
    method: str
    question: str
    n: int
    exact: float | None = None
    linear: KappaResult | None = None
    quadratic: KappaResult | None = None
    difference: BlandAltmanResult | None = None


def pair_agreements(assessment: Assessment) -> list[PairAgreement]:
    """Agreement of every two raters, by criterion and method; empty for one rater."""
    found = []
    for first, second in combinations(assessment.present, 2):
        for question in assessment.questions:
            for method in _groups(assessment):
                table = _of_method(assessment.scores(question), method)[[first, second]].dropna()
                found.append(_pair_agreement(first, second, method, question, table))
    return found


def _pair_agreement(first: str, second: str, method: str, question: str, table: pd.DataFrame) -> PairAgreement:
    if not len(table):
        return PairAgreement(first, second, method, question, 0)
    a, b = table[first].to_numpy(), table[second].to_numpy()
    kappas = {}
    if question != MEAN:
        scores = a.astype(int), b.astype(int)
        kappas = {
            "linear": cohens_kappa(*scores, SCORES, "linear"),
            "quadratic": cohens_kappa(*scores, SCORES, "quadratic"),
        }
    exact = float(np.isclose(a, b).mean())
    return PairAgreement(first, second, method, question, len(table), exact, difference=bland_altman(a, b), **kappas)


@dataclass(frozen=True)
class Reliability:
    """Intraclass correlation of all raters on the videos of one method, or of all (``method`` is empty)."""

    method: str
    question: str
    result: IntraclassResult


def reliabilities(assessment: Assessment) -> list[Reliability]:
    """Intraclass correlations by criterion and method, of the videos that all raters scored; empty for one rater."""
    if len(assessment.present) < 2:
        return []
    found = []
    for question in assessment.questions:
        for method in _groups(assessment):
            table = _of_method(assessment.scores(question), method).dropna()
            if len(table):
                found.append(Reliability(method, question, intraclass_correlation(table.to_numpy())))
    return found


@dataclass(frozen=True)
class PairPreference:
    """Preference between two methods: a sign test over patients.

    Attributes:
        first: First method.
        second: Second method.
        difference: Mean of first − second over patients; negative where the first has the better scores.
        counts: Patients in whom the first is better, equal and worse, with the p-value of the sign test.
        p_adjusted: p-value after Holm's adjustment over all pairs and criteria; None without a test.
    """

    first: str
    second: str
    difference: float
    counts: WinTieLoss
    p_adjusted: float | None


@dataclass(frozen=True)
class Preference:
    """Preference between all methods by one criterion.

    Attributes:
        question: Criterion, or `MEAN`.
        patients: Number of patients with a score of every method.
        videos: Number of their examinations.
        friedman: Friedman's test of three or more methods; None for two.
        pairs: Sign test of each pair.
    """

    question: str
    patients: int
    videos: int
    friedman: FriedmanResult | None
    pairs: tuple[PairPreference, ...]


def preferences(assessment: Assessment) -> list[Preference]:
    """Tests between methods by criterion; empty for one method, and without criteria where no patient has all methods.

    A patient's value is the mean over raters and over the patient's examinations, of those that every rater scored with
    every method.
    """
    tables = {}
    patients = assessment.ratings.drop_duplicates("case").set_index("case").patient
    for question in assessment.questions if len(assessment.methods) > 1 else ():
        by_video = assessment.scores(question).mean(axis=1, skipna=False)
        cases = by_video.unstack("method")[list(assessment.methods)].dropna()
        if len(cases):
            tables[question] = cases, cases.groupby(patients.reindex(cases.index)).mean()
    signs = {
        (question, first, second): win_tie_loss(-table[first], -table[second])
        for question, (_, table) in tables.items()
        for first, second in combinations(assessment.methods, 2)
    }
    tested = [pair for pair, counts in signs.items() if counts.p is not None]
    adjusted = dict(zip(tested, holm([float(signs[pair].p or 0) for pair in tested]).tolist(), strict=True))
    found = []
    for question, (cases, table) in tables.items():
        pairs = tuple(
            PairPreference(
                first,
                second,
                float((table[first] - table[second]).mean()),
                signs[question, first, second],
                adjusted.get((question, first, second)),
            )
            for first, second in combinations(assessment.methods, 2)
        )
        friedman = friedman_test(-table.to_numpy(), assessment.methods) if len(assessment.methods) > 2 else None
        found.append(Preference(question, len(table), len(cases), friedman, pairs))
    return found


@dataclass(frozen=True)
class Identification:
    """How often a rater took the acquired video for the acquired one.

    Attributes:
        rater: Name of the rater.
        method: Name of the method.
        correct: Number of right answers.
        n: Number of answers.
        low: Lower bound of the exact 95 % interval of the share; None without an answer.
        high: Upper bound.
        p: Two-sided p-value of a share of 1/2 (chance).
    """

    rater: str
    method: str
    correct: int
    n: int
    low: float | None
    high: float | None
    p: float | None


def identifications(assessment: Assessment) -> list[Identification]:
    """Right guesses by rater and method; empty where raters knew which video is acquired."""
    rows = assessment.ratings[assessment.ratings.question == ACQUIRED].dropna(subset=["value"])
    found = []
    for method in assessment.methods if assessment.asks_source else ():
        for rater in assessment.present:
            values = rows[(rows.method == method) & (rows.rater == rater)].value
            correct, n = int(values.sum()), len(values)
            if not n:
                found.append(Identification(rater, method, 0, 0, None, None, None))
                continue
            test = binomtest(correct, n)
            interval = test.proportion_ci(0.95)
            found.append(
                Identification(rater, method, correct, n, float(interval.low), float(interval.high), float(test.pvalue))
            )
    return found


@dataclass(frozen=True)
class MissingAnswers:
    """Questions without an answer, of one video on the page of a rater."""

    rater: str
    position: int
    video: str
    questions: tuple[str, ...]


def missing_answers(assessment: Assessment) -> list[MissingAnswers]:
    """Checklist of missing answers, in the order of the pages."""
    rows = assessment.ratings[assessment.ratings.value.isna()]
    return [
        MissingAnswers(str(rater), int(position), str(video), tuple(group.question))
        for (rater, position, video), group in rows.groupby(["rater", "position", "video"], sort=True)
    ]


def question_title(question: str) -> str:
    """Title of a criterion, of `MEAN` and of `ACQUIRED`."""
    if question in CRITERIA:
        return CRITERIA[question].title
    return "Mean of criteria" if question == MEAN else "Acquired video"


def _groups(assessment: Assessment) -> Sequence[str]:
    """Empty for all videos, then each method where there are several."""
    return ("", *assessment.methods) if len(assessment.methods) > 1 else assessment.methods


def _of_method(table: pd.DataFrame, method: str) -> pd.DataFrame:
    return table.loc[[method]] if method else table
