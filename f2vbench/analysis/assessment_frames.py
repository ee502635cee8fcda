"""Statistics of a human assessment as data frames with all numbers, for CSV files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd

from f2vbench.analysis.assessment import (
    Assessment,
    PairAgreement,
    identifications,
    missing_answers,
    pair_agreements,
    preferences,
    reliabilities,
    summarize_scores,
)
from f2vbench.stats.bland_altman import BlandAltmanResult
from f2vbench.stats.kappa import KappaResult

_ALL = "all"


def assessment_frames(assessment: Assessment) -> Mapping[str, pd.DataFrame]:
    """Data frames of an assessment by name; those without rows are left out.

    ``scores``, ``agreement``, ``reliability``, ``preference``, ``identification`` and ``missing``. In the columns
    ``rater`` and ``method``, ``all`` is the mean of the raters and all methods together.
    """
    rows: dict[str, list[dict[str, Any]]] = {
        "scores": [asdict(each) | {"rater": each.rater or _ALL} for each in summarize_scores(assessment)],
        "agreement": [_agreement(each) for each in pair_agreements(assessment)],
        "reliability": [
            {
                "question": each.question,
                "method": each.method or _ALL,
                "n": each.result.n,
                "raters": each.result.raters,
                "icc_2_1": each.result.single,
                "icc_2_1_low": each.result.single_low,
                "icc_2_1_high": each.result.single_high,
                "icc_2_k": each.result.average,
                "icc_2_k_low": each.result.average_low,
                "icc_2_k_high": each.result.average_high,
                "f": each.result.statistic,
                "p": each.result.p,
                "reason": each.result.reason,
            }
            for each in reliabilities(assessment)
        ],
        "preference": [
            {
                "question": each.question,
                "first": pair.first,
                "second": pair.second,
                "patients": each.patients,
                "examinations": each.videos,
                "better": pair.counts.win,
                "equal": pair.counts.tie,
                "worse": pair.counts.loss,
                "difference": pair.difference,
                "p_sign": pair.counts.p,
                "p_sign_adjusted": pair.p_adjusted,
                "chi2_friedman": None if each.friedman is None else each.friedman.statistic,
                "p_friedman": None if each.friedman is None else each.friedman.p,
            }
            for each in preferences(assessment)
            for pair in each.pairs
        ],
        "identification": [asdict(each) for each in identifications(assessment)],
        "missing": [asdict(each) | {"questions": " ".join(each.questions)} for each in missing_answers(assessment)],
    }
    return {name: pd.DataFrame(found) for name, found in rows.items() if found}


def _agreement(each: PairAgreement) -> dict[str, Any]:
    row: dict[str, Any] = {
        "question": each.question,
        "first": each.first,
        "second": each.second,
        "method": each.method or _ALL,
    }
    row |= {"n": each.n, "equal": each.exact}
    return row | _kappa("linear", each.linear) | _kappa("quadratic", each.quadratic) | _difference(each.difference)


def _kappa(weights: str, result: KappaResult | None) -> dict[str, Any]:
    names = ("kappa", "se", "low", "high", "p", "reason")
    return {f"{weights}_{name}": None if result is None else getattr(result, name) for name in names}


def _difference(result: BlandAltmanResult | None) -> dict[str, Any]:
    row: dict[str, Any] = {"difference": None if result is None else result.bias}
    row["difference_sd"] = None if result is None else result.sd
    for name, field in (("difference", "bias_interval"), ("lower_limit", "low"), ("upper_limit", "high")):
        interval = None if result is None else getattr(result, field if name == "difference" else f"{field}_interval")
        if name != "difference":
            row[name] = None if result is None else getattr(result, field)
        row[f"{name}_low"], row[f"{name}_high"] = interval or (None, None)
    return row
