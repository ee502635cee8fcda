"""Difference of two models in a mean over images, by generalised estimating equations with patients as clusters."""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

from f2vbench.stats.citations import GEE
from f2vbench.stats.power import required_cases
from f2vbench.stats.result_classes import Comparison
from f2vbench.stats.validation import as_paired_vectors, encode_patients, is_constant, max_abs, significance_level

INSTALL = "generalised estimating equations need statsmodels: pip install 'f2vbench[gee]'"
"""Reason where the optional package is missing."""

_LEAST_PATIENTS = 5


def gee_difference_test(
    first: ArrayLike, second: ArrayLike, *, patients: ArrayLike, confidence: float = 0.95
) -> Comparison:
    """Test the difference of two models in a mean over images, such as accuracy, with several images of a patient.

    The differences of the images (first − second) have one mean and one correlation between the images of a patient
    (exchangeable working correlation, statsmodels). Patients with many correlated images weigh less by image than those
    with one, so the estimate differs slightly from the mean of the differences. The standard error is the sandwich
    estimate with the correction of Mancl and DeRouen, compared with Student's t at patients − 1 degrees of freedom.
    The test generalizes to other patients, for the models as they are.

    Args:
        first: (n,) values of the first model, such as 1 for a correct prediction and 0.
        second: (n,) values of the second model for the same images.
        patients: (n,) patient of each image.
        confidence: Confidence level of the interval.

    Returns:
        Difference, t, p and interval; without statsmodels, the reason names the line that installs it.

    Raises:
        ValueError: Lengths do not match, or a value is not finite.

    Example:
        >>> first, second = [1, 1, 1, 0, 1, 1, 1, 1, 0, 1], [1, 0, 1, 0, 0, 1, 1, 0, 0, 1]
        >>> test = gee_difference_test(first, second, patients=[0, 0, 1, 1, 2, 2, 3, 3, 4, 4])
        >>> round(test.difference, 4), round(test.p, 4)
        (0.3, 0.0936)
    """
    alpha = significance_level(confidence)
    a, b = as_paired_vectors(first, second)
    codes, count = encode_patients(patients, a.size)
    differences = a - b
    none = Comparison(
        method=GEE,
        variation=("test patients",),
        n=count,
        unit="patients",
        difference=float(differences.mean()),
        confidence=confidence,
    )
    if importlib.util.find_spec("statsmodels") is None:
        return replace(none, reason=INSTALL)
    if count < _LEAST_PATIENTS:
        return replace(none, reason=f"{count} patients: the standard error needs at least {_LEAST_PATIENTS}")
    if is_constant(differences, max(max_abs(a, b), 1e-3)):
        return replace(none, reason="the models differ by the same value for every image, so there is no test")
    estimate, se = _fit(differences, codes)
    if not se > 0:
        return replace(none, reason="the estimated standard error is zero, so there is no test")
    t = estimate / se
    margin = float(stdtrit(count - 1, 1 - alpha / 2)) * se
    return replace(
        none,
        difference=estimate,
        statistic=t,
        p=float(2 * stdtr(count - 1, -abs(t))),
        low=estimate - margin,
        high=estimate + margin,
        required=required_cases(count, estimate, se),
        se=se,
        df=float(count - 1),
    )


def _fit(differences: np.ndarray, codes: np.ndarray) -> tuple[float, float]:
    """Mean of clustered differences and its standard error."""
    from statsmodels.genmod.cov_struct import Exchangeable
    from statsmodels.genmod.families import Gaussian
    from statsmodels.genmod.generalized_estimating_equations import GEE as Model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a working correlation at its bound, which the sandwich estimate corrects
        model = Model(differences, np.ones((len(differences), 1)), codes, family=Gaussian(), cov_struct=Exchangeable())
        fitted = model.fit(cov_type="bias_reduced")
    return float(fitted.params[0]), float(fitted.bse[0])
