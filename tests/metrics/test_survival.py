"""Survival metrics against scikit-survival and a slow loop, whole and in resamples."""

from __future__ import annotations

import numpy as np
import pytest

from f2vbench.metrics.survival import evaluate, prediction_columns, survival_metrics, time_grid

HORIZON = 4.0


def case(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n, 40) predicted survival, times and events; odd seeds have tied times, every fifth tied risks."""
    draw = np.random.default_rng(seed)
    n = int(draw.integers(30, 150))
    x = draw.normal(size=n)
    progression, end = draw.exponential(5 * np.exp(-0.7 * x)), draw.uniform(2, 10, n)
    time, event = np.minimum(progression, end) + 0.11, progression <= end
    if seed % 2:
        time = np.round(time * 4) / 4 + 0.11
    time[0] = 0.1  # scikit-survival needs a time before the grid
    risk = x + draw.normal(size=n)
    if seed % 5 == 0:
        risk = np.round(risk)
    return np.exp(-np.outer(np.exp(0.5 * risk), time_grid(HORIZON) / 8)), time, event


def slow_harrell_c(risk: np.ndarray, time: np.ndarray, event: np.ndarray) -> float:
    concordant = pairs = 0.0
    for i in range(len(time)):
        for j in range(len(time)):
            if event[i] and (time[i] < time[j] or (time[i] == time[j] and not event[j])):
                pairs += 1
                concordant += 1.0 if risk[i] > risk[j] else 0.5 if risk[i] == risk[j] else 0.0
    return concordant / pairs


def references(survival: np.ndarray, time: np.ndarray, event: np.ndarray) -> dict[str, float]:
    metrics = pytest.importorskip("sksurv.metrics", reason='needs pip install "f2vbench[survival]"')
    from sksurv.util import Surv

    risk, y = 1 - survival[:, -1], Surv.from_arrays(event, time)
    return {
        "uno_c": metrics.concordance_index_ipcw(y, y, risk, tau=HORIZON)[0],
        "harrell_c": metrics.concordance_index_censored(event, time, risk)[0],
        "auroc_at_horizon": metrics.cumulative_dynamic_auc(y, y, risk, [HORIZON])[0][0],
        "integrated_brier": metrics.integrated_brier_score(y, y, survival, time_grid(HORIZON)),
    }


@pytest.mark.parametrize("seed", range(10))
def test_each_metric_equals_scikit_survival(seed: int) -> None:
    survival, time, event = case(seed)
    values, reasons = evaluate(survival, time, event, HORIZON)
    assert values == pytest.approx(references(survival, time, event), abs=1e-12)
    assert reasons == {}


@pytest.mark.parametrize("seed", range(4))
def test_harrells_c_counts_pairs(seed: int) -> None:
    survival, time, event = case(seed)
    expected = slow_harrell_c(1 - survival[:, -1], time, event)
    assert evaluate(survival, time, event, HORIZON)[0]["harrell_c"] == pytest.approx(expected, abs=1e-12)


def test_small_risks_are_no_ties() -> None:
    """scikit-survival counts differences below 1e-8 as ties, see findings/concordance_depends_on_scale.sh."""
    survival, time, event = case(2)
    values, rare = (evaluate(each, time, event, HORIZON)[0] for each in (survival, 1 - (1 - survival) * 1e-9))
    for name in ("uno_c", "harrell_c", "auroc_at_horizon"):
        assert rare[name] == pytest.approx(values[name], abs=1e-12)


@pytest.mark.parametrize("name", survival_metrics(HORIZON))
def test_a_weighted_metric_is_the_metric_of_the_repeated_cases(name: str) -> None:
    survival, time, event = case(5)
    weights = np.random.default_rng(1).integers(0, 3, (10, len(time))).astype(float)
    computed = survival_metrics(HORIZON)[name].prepare(prediction_columns(time, survival), event)(weights)
    for value, row in zip(computed, weights.astype(int), strict=True):
        rows = np.repeat(np.arange(len(time)), row)
        assert value == pytest.approx(evaluate(survival[rows], time[rows], event[rows], HORIZON)[0][name], abs=1e-12)


def test_more_pairs_than_a_block_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    survival, time, event = case(1)
    whole = evaluate(survival, time, event, HORIZON)
    monkeypatch.setattr("f2vbench.stats.weighted_survival._BLOCK", 7)
    assert evaluate(survival, time, event, HORIZON)[0] == pytest.approx(whole[0], abs=1e-14)


def test_a_horizon_beyond_all_follow_up_leaves_metrics_out_with_a_reason() -> None:
    survival, time, event = case(1)
    values, reasons = evaluate(survival, np.minimum(time, HORIZON), event & (time < HORIZON), HORIZON)
    assert values["auroc_at_horizon"] is values["integrated_brier"] is None
    assert reasons["integrated_brier"] == "no case was followed beyond 4: choose a smaller horizon in the task card"
    assert values["uno_c"] is not None


def test_without_an_event_before_the_horizon_there_is_no_concordance() -> None:
    survival, time, _ = case(1)
    values, reasons = evaluate(survival, time + 5.0, np.ones(len(time), bool), HORIZON)
    assert values["uno_c"] is values["auroc_at_horizon"] is None
    assert reasons["uno_c"] == "no event before 4 that another case outlived"
    assert values["integrated_brier"] is not None


def test_arrays_that_are_no_predictions_are_refused() -> None:
    survival, time, event = case(1)
    with pytest.raises(ValueError, match="must have shape"):
        evaluate(survival[:, :-1], time, event, HORIZON)
    with pytest.raises(ValueError, match="not above 0"):
        evaluate(survival, time - time.min(), event, HORIZON)
