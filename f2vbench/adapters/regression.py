"""Task adapter for regression: a number is predicted from embeddings of frozen encoders."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from f2vbench.adapters.base import UnitContext
from f2vbench.adapters.numeric_task import Floats, Measured, NumericTask, SupportAndTest, read_column
from f2vbench.adapters.probes import FeatureScaler, predict_by_neighbours, predict_by_ridge
from f2vbench.adapters.stored_head import TrainedHead
from f2vbench.data.episodes import Episode
from f2vbench.heads.wide_mlp_regression import predict_numbers
from f2vbench.metrics.names import CHANCE
from f2vbench.metrics.regression import LOWER_IS_BETTER, evaluate


class Regression(NumericTask):
    """Closed-form heads on embeddings: kernel ridge regression, ridge regression and neighbours."""

    name = "regression"
    version = 1
    protocols = ("knn", "few-shot", "supervised", "probe")
    main_metrics = ("mae", "r2", "spearman", "concordance_correlation")
    lower_is_better = LOWER_IS_BETTER

    def predict(self, context: UnitContext, episode: Episode, data: SupportAndTest) -> Floats:
        """Return the predicted numbers, (n,)."""
        values = read_column(context, "value", episode.support)
        if data.support is None or data.test is None:
            return np.full(len(episode.test), values.mean())
        if context.unit.protocol in ("few-shot", "supervised"):
            return predict_numbers(data.support, values, data.test)
        scaler = FeatureScaler.fit(data.support)
        support, test = scaler.transform(data.support), scaler.transform(data.test)
        if context.unit.protocol == "knn":
            neighbours = predict_by_neighbours(support, values[:, None], test, context.settings.neighbours)
            return neighbours[:, 0].astype(np.float64)
        return predict_by_ridge(support, values, test)

    def head(self, context: UnitContext, episode: Episode, support: NDArray[np.float32]) -> TrainedHead:
        """Return the kernel ridge regression for storage."""
        values = read_column(context, "value", episode.support)
        return TrainedHead("kernel-regression", {"support": support, "values": values}, ("value",))

    def measure(self, context: UnitContext, episode: Episode, predictions: Floats) -> Measured:
        """Compute the metrics, and the errors of the mean of the support images as their chance level."""
        true = read_column(context, "value", episode.test)
        metrics, reasons = evaluate(predictions, true)
        mean = np.full(len(true), read_column(context, "value", episode.support).mean())
        of_mean, _ = evaluate(mean, true)
        chance = {"mae": of_mean["mae"], "rmse": of_mean["rmse"], "r2": 0.0, "spearman": 0.0, "pearson": 0.0}
        chance["concordance_correlation"] = 0.0
        metrics |= {name + CHANCE: level for name, level in chance.items() if metrics[name] is not None}
        per_image: dict[str, dict[str, float | None]] = {
            image: {"mae": abs(float(p) - float(t)), "predicted": float(p), "true": float(t)}
            for image, p, t in zip(episode.test, predictions, true, strict=True)
        }
        return Measured(metrics, reasons, per_image, {"predicted": predictions, "true": true})
