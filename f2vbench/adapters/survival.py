"""Task adapter for survival: the time until an event is predicted from embeddings of frozen encoders.

The head is a Cox model with a ridge penalty (`f2vbench.heads.cox`, scikit-survival): few-shot and supervised on the
coordinates of the kernel of `f2vbench.heads.wide_kernel`, the probe on those of standardised embeddings.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from f2vbench.adapters.base import UnitContext
from f2vbench.adapters.numeric_task import (
    Floats,
    Measured,
    NumericTask,
    SupportAndTest,
    read_column,
    read_patients,
)
from f2vbench.adapters.probes import FeatureScaler, principal_coordinates
from f2vbench.adapters.stored_head import Arrays, TrainedHead
from f2vbench.config.run import Protocol, RunSettings
from f2vbench.data.episodes import Episode
from f2vbench.encoders.spec import ModelSpec
from f2vbench.heads.cox import check_installed, predict_marginal, predict_survival
from f2vbench.heads.wide_kernel import kernel_coordinates
from f2vbench.metrics.names import CHANCE
from f2vbench.metrics.survival import LOWER_IS_BETTER, evaluate, time_grid


class Survival(NumericTask):
    """Penalised Cox models on embeddings."""

    name = "survival"
    version = 1
    protocols = ("few-shot", "supervised", "probe")
    main_metrics = ("uno_c", "harrell_c", "auroc_at_horizon", "integrated_brier")
    lower_is_better = LOWER_IS_BETTER

    def unsupported_reason(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> str | None:
        """Refuse what `NumericTask` refuses, and everything where scikit-survival is not installed.

        Raises:
            SettingsError: scikit-survival is not installed.
        """
        check_installed()
        return super().unsupported_reason(model, protocol, settings)

    def predict(self, context: UnitContext, episode: Episode, data: SupportAndTest) -> Floats:
        """Return the predicted survival at each time of the grid, (n, k)."""
        times = time_grid(_horizon(context))
        time = read_column(context, "time", episode.support)
        event = read_column(context, "event", episode.support) == 1
        if data.support is None or data.test is None:
            return predict_marginal(time, event, len(episode.test), times)
        if context.unit.protocol == "probe":
            scaler = FeatureScaler.fit(data.support)
            z, z_test = principal_coordinates(scaler.transform(data.support), scaler.transform(data.test))
        else:
            z, project = kernel_coordinates(data.support.astype(np.float64))
            z_test = project(data.test.astype(np.float64))
        return predict_survival(z, time, event, read_patients(context, episode.support), z_test, times)

    def head(self, context: UnitContext, episode: Episode, support: NDArray[np.float32]) -> TrainedHead:
        """Return the Cox model for storage; patients are numbered."""
        arrays: Arrays = {
            "support": support,
            "time": read_column(context, "time", episode.support),
            "event": read_column(context, "event", episode.support).astype(np.uint8),
            "patient": np.unique(read_patients(context, episode.support), return_inverse=True)[1].astype(np.int64),
        }
        return TrainedHead("cox", arrays, ("risk",))

    def measure(self, context: UnitContext, episode: Episode, predictions: Floats) -> Measured:
        """Compute the metrics, and those of the Kaplan–Meier curve of the support images as chance levels."""
        horizon = _horizon(context)
        time = read_column(context, "time", episode.test)
        event = read_column(context, "event", episode.test) == 1
        metrics, reasons = evaluate(predictions, time, event, horizon)
        support = read_column(context, "time", episode.support), read_column(context, "event", episode.support) == 1
        marginal = predict_marginal(*support, len(time), time_grid(horizon))
        of_marginal, _ = evaluate(marginal, time, event, horizon)
        metrics |= {name + CHANCE: level for name, level in of_marginal.items() if metrics[name] is not None}
        per_image: dict[str, dict[str, float | None]] = {
            image: {"risk": 1 - float(curve[-1]), "time": float(t), "event": float(e)}
            for image, curve, t, e in zip(episode.test, predictions, time, event, strict=True)
        }
        arrays = {"survival": predictions, "time": time, "event": event.astype(np.uint8)}
        return Measured(metrics, reasons, per_image, arrays)


def _horizon(context: UnitContext) -> float:
    horizon = context.task.card.horizon
    if horizon is None:  # a card of this family is refused without it
        raise ValueError(f"{context.task.card.name}: no horizon")
    return horizon
