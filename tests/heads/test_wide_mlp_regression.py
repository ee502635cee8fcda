"""Kernel ridge regression of the perceptron of infinite width."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge

from f2vbench.heads import wide_mlp_regression
from f2vbench.heads.wide_kernel import kernel_coordinates
from f2vbench.heads.wide_mlp_regression import predict_numbers


def case(m: int = 40, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(m + 60, 6))
    y = 60 + 8 * x[:, 0] + 3 * np.abs(x[:, 1]) + noise * draw.normal(size=len(x))
    return x[:m], y[:m], x[m:], y[m:]


def test_one_penalty_is_scikit_learns_kernel_ridge(monkeypatch: pytest.MonkeyPatch) -> None:
    support, values, test, _ = case()
    monkeypatch.setattr(wide_mlp_regression, "_PENALTIES", np.array([0.3]))
    z, project = kernel_coordinates(support)
    z_test = project(test)
    expected = KernelRidge(alpha=0.3, kernel="linear").fit(z, values - values.mean()).predict(z_test) + values.mean()
    assert predict_numbers(support, values, test) == pytest.approx(expected, abs=1e-8)


def test_weights_of_penalties_follow_from_images_that_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    support, values, test, _ = case(m=12)
    errors = []
    z, _ = kernel_coordinates(support)
    order = np.lexsort(support.T[:16])
    z, _ = kernel_coordinates(support[order])
    for penalty in wide_mlp_regression._PENALTIES:
        residuals = []
        for i in range(len(z)):
            rest = np.arange(len(z)) != i
            y = values[order][rest]
            # The centre of the coordinates stays; the constant is refitted, without a penalty.
            design = np.column_stack([np.ones(rest.sum()), z[rest]])
            ridge = np.diag(np.r_[0.0, np.full(z.shape[1], penalty)])
            fitted = np.linalg.solve(design.T @ design + ridge, design.T @ y)
            residuals.append(values[order][i] - np.r_[1.0, z[i]] @ fitted)
        errors.append(np.mean(np.square(residuals)))
    seen: list[np.ndarray] = []
    weights = wide_mlp_regression._weights
    monkeypatch.setattr(wide_mlp_regression, "_weights", lambda e, n: (seen.append(e), weights(e, n))[1])
    predict_numbers(support, values, test)
    assert seen[0] == pytest.approx(np.array(errors), rel=1e-8)


def test_it_learns_more_than_the_mean_and_little_from_noise() -> None:
    support, values, test, true = case(m=80)
    assert np.abs(predict_numbers(support, values, test) - true).mean() < 0.35 * np.abs(true - values.mean()).mean()
    shuffled = np.random.default_rng(2).permutation(values)
    predictions = predict_numbers(support, shuffled, test)
    assert np.abs(predictions - true).mean() < 1.15 * np.abs(true - values.mean()).mean()


def test_the_order_of_support_images_and_the_scale_of_embeddings_do_not_matter() -> None:
    support, values, test, _ = case()
    expected = predict_numbers(support, values, test)
    order = np.random.default_rng(1).permutation(len(values))
    assert np.array_equal(predict_numbers(support[order], values[order], test), expected)
    assert predict_numbers(50 * support, values, 50 * test) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("m", [1, 2, 3])
def test_few_images_give_finite_predictions_near_their_values(m: int) -> None:
    support, values, test, _ = case()
    predictions = predict_numbers(support[:m], values[:m], test)
    assert np.isfinite(predictions).all()
    assert np.abs(predictions - values[:m].mean()).max() <= 5 * max(np.ptp(values[:m]), 1e-9)
    assert predict_numbers(np.ones((3, 4)), np.array([1.0, 2.0, 6.0]), np.zeros((2, 4))).tolist() == [3.0, 3.0]
