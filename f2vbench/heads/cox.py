"""Proportional hazards (Cox 1972) with a ridge penalty, on coordinates of the support images.

The model is scikit-survival's (extra ``survival``). The penalty is the one with the largest partial likelihood of
left-out patients (Verweij and Van Houwelingen 1993, Stat Med 12:2305). Coordinates are orthogonal and sorted by
variance; the `_MAX_COORDINATES` of the largest variance are used.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from f2vbench.errors import SettingsError
from f2vbench.stats.kaplan_meier import kaplan_meier

Floats = NDArray[np.float64]

# Penalties of coordinates whose squared rows have the mean 1.
_PENALTIES = 10.0 ** np.arange(-1, 2.01, 0.5)
_MAX_COORDINATES = 64
_FOLDS = 5
INSTALL = 'pip install "f2vbench[survival]"'
"""Line that installs scikit-survival."""


def check_installed() -> None:
    """Check that scikit-survival is installed.

    Raises:
        SettingsError: It is not; the message has the line that installs it.
    """
    try:
        import sksurv  # noqa: F401
    except ImportError:
        raise SettingsError(f"survival tasks need scikit-survival, which is not installed: {INSTALL}") from None


def predict_survival(
    z: Floats, time: Floats, event: NDArray[np.bool_], patients: NDArray[Any], z_test: Floats, times: Floats
) -> Floats:
    """Fit a Cox model on the support images and predict survival curves of the test images.

    The order of the support images does not matter.

    Args:
        z: (m, rank) coordinates of the support images, centred; the mean of the squared rows is 1.
        time: (m,) times above 0.
        event: (m,) whether the event was observed.
        patients: (m,) patient of each support image; folds of the cross-validation do not divide patients.
        z_test: (n, rank) coordinates of the test images.
        times: (k,) times.

    Returns:
        (n, k) probabilities of no event until each time. Beyond the last support time the curve is constant. With an
        event of one patient, or coordinates of rank 0, all curves are those of `predict_marginal`.

    Raises:
        SettingsError: scikit-survival is not installed.
    """
    check_installed()
    if not z.shape[1] or len(np.unique(patients[event])) < 2:
        return predict_marginal(time, event, len(z_test), times)
    order = np.lexsort((time, event, *z.T[::-1][:8]))
    z, time, event, patients = z[order], time[order], event[order], patients[order]
    kept = slice(max(z.shape[1] - _MAX_COORDINATES, 0), None)
    z, z_test = z[:, kept], z_test[:, kept]
    penalty = _select_penalty(z, time, event, patients)
    model = _fit(z, time, event, penalty)
    inside = np.minimum(times, time.max())
    return np.array([np.atleast_1d(curve(inside)) for curve in model.predict_survival_function(z_test)])


def predict_marginal(time: Floats, event: NDArray[np.bool_], count: int, times: Floats) -> Floats:
    """Return the Kaplan–Meier curve of the support images for every test image.

    Args:
        time: (m,) times above 0.
        event: (m,) whether the event was observed.
        count: Number of test images.
        times: (k,) times.

    Returns:
        (count, k) probabilities of no event until each time; the curve is constant after the last support time.

    Example:
        >>> predict_marginal(np.array([1.0, 2.0]), np.array([True, False]), 1, np.array([0.5, 1.0, 3.0])).tolist()
        [[1.0, 0.5, 0.5]]
    """
    curve = kaplan_meier(time, event)
    marginal: Floats = np.tile(curve.survival[np.searchsorted(curve.times, times, side="right") - 1], (count, 1))
    return marginal


def _fit(z: Floats, time: Floats, event: NDArray[np.bool_], penalty: float) -> Any:
    from sksurv.linear_model import CoxPHSurvivalAnalysis
    from sksurv.util import Surv

    return CoxPHSurvivalAnalysis(alpha=penalty, ties="efron").fit(z, Surv.from_arrays(event, time))


def _select_penalty(z: Floats, time: Floats, event: NDArray[np.bool_], patients: NDArray[Any]) -> float:
    """Return the penalty with the largest cross-validated partial likelihood; the largest one of equals."""
    names, codes = np.unique(patients, return_inverse=True)
    with_event = np.array([event[codes == code].any() for code in range(len(names))])
    fold = np.empty(len(names), int)
    for members in (np.flatnonzero(with_event), np.flatnonzero(~with_event)):
        fold[members] = np.arange(len(members)) % min(_FOLDS, max(int(with_event.sum()), 2))
    folds = fold[codes]
    likelihoods = np.zeros(len(_PENALTIES))
    for left_out in np.unique(folds):
        train = folds != left_out
        if not event[train].any():
            continue
        for position, penalty in enumerate(_PENALTIES):
            scores = z @ _fit(z[train], time[train], event[train], penalty).coef_
            likelihoods[position] += _partial_likelihood(scores, time, event)
            likelihoods[position] -= _partial_likelihood(scores[train], time[train], event[train])
    return float(_PENALTIES[len(_PENALTIES) - 1 - int(np.argmax(likelihoods[::-1]))])


def _partial_likelihood(scores: Floats, time: Floats, event: NDArray[np.bool_]) -> float:
    """Logarithm of the partial likelihood, with Breslow's handling of ties."""
    order = np.argsort(-time, kind="stable")
    cumulated = np.logaddexp.accumulate(scores[order])
    last = np.searchsorted(-time[order], -time, side="right") - 1  # of the cases still at risk at each time
    return float(np.sum((scores - cumulated[last])[event]))
