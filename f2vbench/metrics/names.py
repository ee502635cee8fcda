"""Names of metrics in records, importable without loading a network or OpenCV."""

from __future__ import annotations

import re

CHANCE = "_chance"
"""Suffix of a metric's name under which its value expected by chance is stored: ``recall@1_chance``."""

VIDEO_METRICS = {"psnr": "dB", "ssim": "", "lpips": "", "fvd": ""}
"""Video metrics of both protocols, and their units."""

FRAME_METRICS = ("psnr", "ssim", "lpips")
"""Video metrics that are computed for each frame."""

STAND_IN = "haar-pyramid-1"
"""Name of `f2vbench.metrics.frechet.stand_in_features`. Change it whenever their arithmetic changes."""

STAND_IN_METRIC = f"frechet_{STAND_IN.replace('-', '_')}"
"""Fréchet distance of the stand-in features, which need no weights."""

LOWER_IS_BETTER = ("lpips", "fvd", STAND_IN_METRIC)
"""Video metrics that are distances. Of PSNR and SSIM higher is better."""

LOWER_IS_BETTER_OF_MASKS = ("hd95",)
"""Metrics of masks that are distances."""

CARD_METRICS = {
    "classification": (
        "auroc",
        "average_precision",
        "accuracy",
        "balanced_accuracy",
        "f1",
        "quadratic_kappa",
        "brier",
        "calibration_error",
    ),
    "regression": ("mae", "rmse", "r2", "spearman", "pearson", "concordance_correlation"),
    "survival": ("uno_c", "harrell_c", "auroc_at_horizon", "integrated_brier"),
}
"""Metrics that a task card of each family may choose as its main metric."""

_UNIT_INTERVAL = re.compile(
    r"(auroc|average_precision|accuracy|balanced_accuracy|f1|calibration_error|dice|iou|nsd|sensitivity|specificity|map"
    r"|uno_c|harrell_c|auroc_at_horizon|mean_recall|recall@\d+|precision@\d+)([_:].*)?"
)
_RANGES: dict[str, tuple[float | None, float | None]] = {
    "brier": (0.0, 2.0),
    "quadratic_kappa": (-1.0, 1.0),
    "mae": (0.0, None),
    "rmse": (0.0, None),
    "r2": (None, 1.0),
    "spearman": (-1.0, 1.0),
    "pearson": (-1.0, 1.0),
    "concordance_correlation": (-1.0, 1.0),
    "integrated_brier": (0.0, None),
    "hd95": (0.0, None),
    "ssim": (-1.0, 1.0),
    "lpips": (0.0, None),
    "fvd": (0.0, None),
    STAND_IN_METRIC: (0.0, None),
}


def metric_range(metric: str) -> tuple[float | None, float | None]:
    """Smallest and largest possible value of a metric, None where there is none or the metric is unknown.

    Args:
        metric: Name of the metric, with any suffix: ``dice_frame``, ``recall@1:other-eye``, ``ssim_venous``.

    Example:
        >>> metric_range("dice_frame_pooled"), metric_range("ssim_venous"), metric_range("psnr")
        ((0.0, 1.0), (-1.0, 1.0), (None, None))
    """
    if _UNIT_INTERVAL.fullmatch(metric):
        return 0.0, 1.0
    return next((bounds for name, bounds in _RANGES.items() if re.fullmatch(rf"{name}([_:].*)?", metric)), (None, None))
