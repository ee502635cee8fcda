"""Statistics of assessments against values computed by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from f2vbench.analysis.assessment import (
    ACQUIRED,
    MEAN,
    RATING_COLUMNS,
    Assessment,
    find_assessments,
    identifications,
    missing_answers,
    pair_agreements,
    preferences,
    read_assessment,
    reliabilities,
    summarize_scores,
)
from f2vbench.analysis.assessment_frames import assessment_frames
from f2vbench.errors import StoreError

CASES, RATERS, CRITERIA = [f"p{n // 2}_{n % 2}" for n in range(12)], ("rater-1", "rater-2"), ("perfusion", "lesions")


def made(methods=("ours", "still"), *, seed: int = 0) -> Assessment:
    """Random scores of two raters; later methods are worse. Twelve eyes of six patients."""
    draw = np.random.default_rng(seed)
    rows = []
    for position, (method, case) in enumerate(itertools.product(methods, CASES), 1):
        for rater in RATERS:
            about = (rater, position, f"v{position}", method, case, case.split("_")[0])
            level = 1 + methods.index(method)
            rows += [(*about, name, float(np.clip(level + draw.integers(0, 3), 1, 5))) for name in CRITERIA]
            rows.append((*about, ACQUIRED, float(draw.random() < 0.8)))
    return Assessment("a" * 16, CRITERIA, tuple(methods), RATERS, pd.DataFrame(rows, columns=list(RATING_COLUMNS)))


def values(assessment: Assessment, rater: str, method: str, question: str) -> np.ndarray:
    rows = assessment.ratings
    chosen = rows[(rows.rater == rater) & (rows.method == method) & (rows.question == question)]
    return chosen.sort_values("case").value.to_numpy()


def test_means_and_standard_deviations():
    assessment = made()
    found = {(each.method, each.rater, each.question): each for each in summarize_scores(assessment)}
    one = values(assessment, "rater-1", "still", "lesions")
    assert (found["still", "rater-1", "lesions"].mean, found["still", "rater-1", "lesions"].n) == (one.mean(), 12)
    assert found["still", "rater-1", "lesions"].sd == pytest.approx(one.std(ddof=1))
    both = [values(assessment, rater, "ours", name) for rater in RATERS for name in CRITERIA]
    assert found["ours", "", MEAN].mean == pytest.approx(np.mean(both))
    assert found["ours", "", MEAN].sd == pytest.approx(np.mean(both, axis=0).std(ddof=1))


def test_agreement_of_two_raters():
    assessment = made()
    found = {(each.method, each.question): each for each in pair_agreements(assessment)}
    first, second = (values(assessment, rater, "ours", "lesions") for rater in RATERS)
    each = found["ours", "lesions"]
    assert each.quadratic.kappa == pytest.approx(cohen_kappa_score(first, second, weights="quadratic"))
    assert each.linear.kappa == pytest.approx(cohen_kappa_score(first, second, weights="linear"))
    assert each.exact == (first == second).mean()
    assert each.difference.bias == pytest.approx((first - second).mean())
    assert found["", "lesions"].n == 24
    assert found["", MEAN].linear is None
    assert found["", MEAN].difference.n == 24
    assert {(each.method, each.question): each.result.n for each in reliabilities(assessment)}["", MEAN] == 24


def test_preference_of_two_methods_is_a_sign_test_over_patients():
    assessment = made()
    each = {found.question: found for found in preferences(assessment)}["lesions"]
    means = {}
    for method in assessment.methods:
        by_eye = np.mean([values(assessment, rater, method, "lesions") for rater in RATERS], axis=0)
        means[method] = by_eye.reshape(6, 2).mean(axis=1)  # cases are sorted by patient
    difference = means["ours"] - means["still"]
    better, worse = int((difference < 0).sum()), int((difference > 0).sum())
    assert (each.patients, each.videos, each.friedman) == (6, 12, None)
    counts = each.pairs[0].counts
    assert (counts.win, counts.tie, counts.loss) == (better, 6 - better - worse, worse)
    assert counts.p == pytest.approx(stats.binomtest(better, better + worse).pvalue)
    assert each.pairs[0].difference == pytest.approx(difference.mean())
    assert each.pairs[0].p_adjusted >= counts.p


def test_preference_of_three_methods_is_friedmans_test():
    assessment = made(("a", "b", "c"))
    each = {found.question: found for found in preferences(assessment)}["perfusion"]
    means = [
        np.mean([values(assessment, rater, method, "perfusion") for rater in RATERS], axis=0).reshape(6, 2).mean(axis=1)
        for method in assessment.methods
    ]
    assert each.friedman.p == pytest.approx(stats.friedmanchisquare(*means).pvalue)
    ranks = stats.rankdata(np.stack(means, axis=1), axis=1).mean(axis=0)  # rank 1 is the lowest score, the best
    assert each.friedman.average_ranks == pytest.approx(ranks.tolist())
    assert len(each.pairs) == 3


def test_guesses_have_an_exact_interval():
    assessment = made()
    each = identifications(assessment)[0]
    right = int(values(assessment, "rater-1", "ours", ACQUIRED).sum())
    low, high = stats.beta.ppf(0.025, right, 13 - right), stats.beta.ppf(0.975, right + 1, 12 - right)
    assert (each.correct, each.n) == (right, 12)
    assert (each.low, each.high) == pytest.approx((low, high))


def test_missing_answers_leave_only_their_video_out():
    assessment = made()
    ratings = assessment.ratings
    gap = (ratings.rater == "rater-2") & (ratings.video == "v3") & (ratings.question == "lesions")
    ratings.loc[gap, "value"] = np.nan
    found = {(each.method, each.question): each.n for each in pair_agreements(assessment)}
    assert (found["ours", "lesions"], found["ours", MEAN], found["ours", "perfusion"]) == (11, 11, 12)
    preference = {each.question: each.videos for each in preferences(assessment)}
    assert (preference["lesions"], preference["perfusion"]) == (11, 12)
    assert [(each.rater, each.position, each.questions) for each in missing_answers(assessment)] == [
        ("rater-2", 3, ("lesions",))
    ]


def test_one_rater_has_scores_and_no_agreement():
    assessment = made()
    alone = Assessment(
        "a" * 16, CRITERIA, assessment.methods, RATERS, assessment.ratings[assessment.ratings.rater == "rater-1"]
    )
    assert alone.present == ("rater-1",)
    assert pair_agreements(alone) == reliabilities(alone) == []
    assert {each.rater for each in summarize_scores(alone)} == {"rater-1"}
    assert set(assessment_frames(alone)) == {"scores", "preference", "identification"}


def test_a_stored_assessment_is_read_again_and_a_changed_one_is_refused(tmp_path):
    assessment = made()
    assessment.ratings.loc[0, "value"] = np.nan
    path = tmp_path / "run" / "readers" / "assessment.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(assessment.content())
    assert find_assessments([tmp_path / "run", tmp_path / "run"]) == [path]
    again = read_assessment(path)
    pd.testing.assert_frame_equal(again.ratings, assessment.ratings)
    assert (again.methods, again.raters) == (assessment.methods, assessment.raters)
    path.write_bytes(path.read_bytes().replace(b'"still"', b'"stills"', 1))
    with pytest.raises(StoreError, match="its checksum does not match its content"):
        read_assessment(path)
