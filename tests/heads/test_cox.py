"""Penalised Cox models on coordinates, against scikit-survival and direct formulas."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from f2vbench.adapters.probes import FeatureScaler, principal_coordinates
from f2vbench.errors import SettingsError
from f2vbench.heads import cox
from f2vbench.heads.cox import predict_marginal, predict_survival

TIMES = np.array([1.0, 2.5, 4.0])
needs_survival = pytest.mark.skipif(
    not __import__("importlib.util").util.find_spec("sksurv"), reason='needs pip install "f2vbench[survival]"'
)


def case(m: int = 50) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates, times, events and patients of support images, and coordinates of test images."""
    draw = np.random.default_rng(0)
    z = draw.normal(size=(m + 30, 5)) / np.sqrt(5)
    z -= z[:m].mean(axis=0)
    progression, end = 6 * draw.exponential(np.exp(-2 * z[:, 0])), draw.uniform(3, 10, len(z))
    time, event = np.minimum(progression, end)[:m], (progression <= end)[:m]
    return z[:m], time, event, np.arange(m) // 2, z[m:]


def slow_partial_likelihood(scores: np.ndarray, time: np.ndarray, event: np.ndarray) -> float:
    return sum(scores[i] - np.log(np.exp(scores[time >= time[i]]).sum()) for i in np.flatnonzero(event))


def test_partial_likelihood_equals_its_definition() -> None:
    z, time, event, _, _ = case()
    for times in (time, np.ceil(time)):
        expected = slow_partial_likelihood(3 * z[:, 0], times, event)
        assert cox._partial_likelihood(3 * z[:, 0], times, event) == pytest.approx(expected, rel=1e-12)


def test_the_marginal_curve_is_kaplan_meiers() -> None:
    nonparametric = pytest.importorskip("sksurv.nonparametric", reason='needs pip install "f2vbench[survival]"')
    _, time, event, _, _ = case()
    for times in (time, np.ceil(time)):
        at, curve = nonparametric.kaplan_meier_estimator(event, times)
        grid = np.array([0.01, *at, times.max() + 1])
        expected = [1.0 if x < at[0] else curve[at <= x][-1] for x in grid]
        assert predict_marginal(times, event, 2, grid) == pytest.approx(np.tile(expected, (2, 1)), abs=1e-12)


@needs_survival
def test_curves_decrease_and_rank_the_risk() -> None:
    z, time, event, patients, z_test = case()
    curves = predict_survival(z, time, event, patients, z_test, TIMES)
    assert curves.shape == (30, 3)
    assert (np.diff(curves, axis=1) <= 0).all()
    assert np.corrcoef(-curves[:, 1], z_test[:, 0])[0, 1] > 0.6


@needs_survival
def test_the_order_of_support_images_does_not_matter() -> None:
    z, time, event, patients, z_test = case(20)
    order = np.random.default_rng(1).permutation(20)
    expected = predict_survival(z, time, event, patients, z_test, TIMES)
    shuffled = predict_survival(z[order], time[order], event[order], patients[order], z_test, TIMES)
    assert np.array_equal(shuffled, expected)


@needs_survival
def test_times_after_the_last_support_time_have_the_last_survival() -> None:
    z, time, event, patients, z_test = case()
    curves = predict_survival(z, time, event, patients, z_test, np.array([time.max(), 99.0]))
    assert np.array_equal(curves[:, 0], curves[:, 1])


@needs_survival
def test_an_event_of_one_patient_gives_the_marginal_curve() -> None:
    z, time, event, patients, z_test = case()
    event = event & (patients == patients[np.flatnonzero(event)[0]])
    assert np.array_equal(
        predict_survival(z, time, event, patients, z_test, TIMES), predict_marginal(time, event, 30, TIMES)
    )


@needs_survival
def test_principal_coordinates_are_the_ridge_of_the_embeddings() -> None:
    from sksurv.linear_model import CoxPHSurvivalAnalysis
    from sksurv.util import Surv

    _, time, event, _, _ = case(20)
    draw = np.random.default_rng(3)
    x, x_test = draw.normal(size=(20, 30)), draw.normal(size=(4, 30))
    scaler = FeatureScaler.fit(x)
    support, test = scaler.transform(x), scaler.transform(x_test)
    z, z_test = principal_coordinates(support, test)
    assert np.mean(np.sum(z**2, axis=1)) == pytest.approx(1)
    scale = np.mean(np.sum((support - support.mean(axis=0)) ** 2, axis=1))
    y = Surv.from_arrays(event, time)
    of_coordinates = CoxPHSurvivalAnalysis(alpha=1.0).fit(z, y).predict(z_test)
    of_embeddings = (
        CoxPHSurvivalAnalysis(alpha=scale).fit(support - support.mean(axis=0), y).predict(test - support.mean(axis=0))
    )
    assert of_coordinates - of_coordinates[0] == pytest.approx(of_embeddings - of_embeddings[0], abs=1e-4)


def test_without_scikit_survival_the_message_names_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sksurv", None)
    with pytest.raises(SettingsError, match=r'pip install "f2vbench\[survival\]"'):
        cox.check_installed()
