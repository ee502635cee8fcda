"""Largest differences of the clinical metrics from independent references, on random data with and without ties.

    python -m benchmarks.clinical_references [--repeats 200]

The output is the Markdown table of `docs/explanation/clinical-metrics.md`. Needs scikit-learn and statsmodels.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import statsmodels.api as sm
from numpy.typing import NDArray
from sklearn import metrics as sklearn_metrics
from statsmodels.stats.proportion import proportion_confint

from f2vbench.metrics import operating_points as ours
from f2vbench.stats.delong import delong_interval, delong_test
from f2vbench.stats.proportions import wilson_interval

Floats = NDArray[np.float64]


def simulate(draw: np.random.Generator) -> tuple[Floats, Floats, NDArray[np.bool_], NDArray[np.int64]]:
    """Probabilities of two models, labels, and the patient of each image; every other data set has ties."""
    n = int(draw.integers(40, 200))
    patients = np.arange(n) // 2
    effect = np.repeat(draw.normal(size=n // 2 + 1), 2)[:n]
    labels = draw.random(n) < 0.35
    labels[:2] = [True, False]
    scores = [effect / 2 + draw.normal(size=n) + skill * labels - 0.7 for skill in (1.5, 1.1)]
    first, second = (1 / (1 + np.exp(-each)) for each in scores)
    if draw.random() < 0.5:
        first, second = (np.clip(np.round(each * 16), 1, 15) / 16 for each in (first, second))
    return first, second, labels, patients


def differences(draw: np.random.Generator) -> Iterator[tuple[str, str, float]]:
    """Function, reference and difference on one random data set."""
    p, other, y, patients = simulate(draw)
    called = p >= 0.4
    metrics = ours.decision_metrics(called, y)
    expected = {
        "sensitivity": sklearn_metrics.recall_score(y, called),
        "specificity": sklearn_metrics.recall_score(~y, ~called),
        "ppv": sklearn_metrics.precision_score(y, called),
        "npv": sklearn_metrics.precision_score(~y, ~called),
        "f1": sklearn_metrics.f1_score(y, called),
        "mcc": sklearn_metrics.matthews_corrcoef(y, called),
    }
    for name, value in expected.items():
        if metrics[name] is not None:
            yield "decision_metrics", "scikit-learn", abs(metrics[name] - value)
    hits = int((called & y).sum())
    ends = wilson_interval(hits / y.sum(), y.sum())
    for end, reference in zip(ends, proportion_confint(hits, y.sum(), method="wilson"), strict=True):
        yield "wilson_interval", "statsmodels `proportion_confint`", abs(float(end) - reference)
    false, true, _ = sklearn_metrics.roc_curve(y, p, drop_intermediate=False)
    youden = ours.decision_metrics(p >= ours.choose_threshold(p, y, ours.OperatingPoint()), y)
    index = (youden["sensitivity"] or 0.0) + (youden["specificity"] or 0.0) - 1
    yield "choose_threshold, Youden index", "scikit-learn `roc_curve`", abs(index - (true - false).max())
    yield (
        "partial_auroc",
        "scikit-learn `roc_auc_score(max_fpr=0.1)`",
        abs(_defined(ours.partial_auroc(p, y)) - sklearn_metrics.roc_auc_score(y, p, max_fpr=0.1)),
    )
    for target in (0.9, 0.95):
        loop = max(t for f, t in zip(false, true, strict=True) if 1 - f >= target - 1e-12)
        found = _defined(ours.sensitivity_at_specificity(p, y, target))
        yield "sensitivity_at_specificity, specificity_at_sensitivity", "loop over the ROC curve", abs(found - loop)
        loop = max(1 - f for f, t in zip(false, true, strict=True) if t >= target - 1e-12)
        found = _defined(ours.specificity_at_sensitivity(p, y, target))
        yield "sensitivity_at_specificity, specificity_at_sensitivity", "loop over the ROC curve", abs(found - loop)
    x = np.log(p / (1 - p))
    slope = sm.Logit(y.astype(float), sm.add_constant(x)).fit(disp=0, tol=1e-12).params[1]
    yield "calibration_slope", "statsmodels `Logit`", abs(_defined(ours.calibration_slope(p, y)) - slope)
    model = sm.GLM(y.astype(float), np.ones((len(y), 1)), family=sm.families.Binomial(), offset=x)
    intercept = model.fit(tol=1e-12).params[0]
    found = _defined(ours.calibration_intercept(p, y))
    yield "calibration_intercept", "statsmodels `GLM` with offset", abs(found - intercept)
    thresholds = np.linspace(0.05, 0.95, 19)
    for t, value in zip(thresholds, ours.net_benefit(p, y, thresholds), strict=True):
        loop = sum((1.0 if label else -t / (1 - t)) for score, label in zip(p, y, strict=True) if score >= t) / len(y)
        yield "net_benefit", "loop over cases", abs(value - loop)
    single, paired = obuchowski(p, p, y, patients), delong_interval(p, y, patients=patients)
    yield (
        "delong_interval with patients",
        "Obuchowski's formula in loops over pairs",
        abs((paired.se or 0.0) - single**0.5),
    )
    test = delong_test(p, other, y, patients=patients)
    variance = single + obuchowski(other, other, y, patients) - 2 * obuchowski(p, other, y, patients)
    if test.statistic is not None and test.difference is not None:
        difference = abs(abs(test.difference / test.statistic) - variance**0.5)
        yield "delong_test with patients", "Obuchowski's formula in loops over pairs", difference


def obuchowski(first: Floats, second: Floats, labels: NDArray[np.bool_], patients: NDArray[np.int64]) -> float:
    """Covariance of two AUROCs of clustered cases, Obuchowski (1997), equations 3 to 7, by loops."""
    names = sorted(set(patients.tolist()))
    positives, negatives = np.flatnonzero(labels), np.flatnonzero(~labels)

    def parts(scores: Floats) -> tuple[dict[int, float], dict[int, float], float]:
        def wins(i: int, j: int) -> float:
            return 1.0 if scores[i] > scores[j] else 0.5 if scores[i] == scores[j] else 0.0

        x = {int(i): sum(wins(i, j) for j in negatives) / len(negatives) for i in positives}
        y = {int(j): sum(wins(i, j) for i in positives) / len(positives) for j in negatives}
        return x, y, sum(x.values()) / len(x)

    sums = []
    for scores in (first, second):
        x, y, area = parts(scores)
        of_patient = [[i for i in range(len(labels)) if patients[i] == name] for name in names]
        tens = [sum(x[i] - area for i in members if i in x) for members in of_patient]
        ones = [sum(y[i] - area for i in members if i in y) for members in of_patient]
        sums.append((tens, ones))
    with_positive = len({patients[i] for i in positives})
    with_negative = len({patients[j] for j in negatives})
    m, n, total = len(positives), len(negatives), len(names)
    (a10, a01), (b10, b01) = sums
    s10 = with_positive / ((with_positive - 1) * m) * sum(a * b for a, b in zip(a10, b10, strict=True))
    s01 = with_negative / ((with_negative - 1) * n) * sum(a * b for a, b in zip(a01, b01, strict=True))
    s11 = total / (total - 1) * sum(a * b for a, b in zip(a10, b01, strict=True))
    s11_swapped = total / (total - 1) * sum(a * b for a, b in zip(b10, a01, strict=True))
    return s10 / m + s01 / n + (s11 + s11_swapped) / (m * n)


def _defined(value: float | None) -> float:
    assert value is not None
    return value


def largest(repeats: int, compute: Callable[[np.random.Generator], Iterator[tuple[str, str, float]]]) -> dict:
    """(function, reference) → largest difference over random data sets."""
    found: dict[tuple[str, str], float] = {}
    for seed in range(repeats):
        for function, reference, difference in compute(np.random.default_rng(seed)):
            key = function, reference
            found[key] = max(found.get(key, 0.0), difference)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=200)
    repeats = parser.parse_args().repeats
    warnings.simplefilter("ignore")
    print("| function | reference | largest difference |\n|---|---|---|")
    for (function, reference), difference in largest(repeats, differences).items():
        names = ", ".join(f"`{name}`" if " " not in name else name for name in function.split(", "))
        print(f"| {names} | {reference} | {difference:.0e} |")


if __name__ == "__main__":
    main()
