"""Names of metrics, models, conditions and numbers in reports."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from f2vbench.analysis.frames import PRETRAINED_MARK, Condition
from f2vbench.utils.text import plural

METRIC_NAMES = {
    "auroc": "AUROC",
    "average_precision": "AUPR",
    "dice": "Dice",
    "iou": "IoU",
    "hd95": "HD95",
    "nsd": "NSD",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "brier": "Brier score",
    "calibration_error": "calibration error",
    "quadratic_kappa": "quadratic κ",
    "mae": "MAE",
    "rmse": "RMSE",
    "r2": "R²",
    "spearman": "Spearman ρ",
    "pearson": "Pearson r",
    "concordance_correlation": "concordance correlation",
    "uno_c": "Uno's C",
    "harrell_c": "Harrell's C",
    "auroc_at_horizon": "AUROC at the horizon",
    "integrated_brier": "integrated Brier score",
    "recall@1": "Recall@1",
    "recall@5": "Recall@5",
    "recall@10": "Recall@10",
    "mean_recall": "mean recall",
    "map": "mAP",
    "fvd": "FVD",
    "psnr": "PSNR",
    "ssim": "SSIM",
    "lpips": "LPIPS",
}
SHOTS_UNIT = {"classification": " per class"}
"""Text after the number of support images, for task families that count them per class."""
NONE = "–"
_SUFFIXES = {"_frame_pooled": "whole frame, all pixels", "_pooled": "all pixels", "_frame": "whole frame"}


def metric_name(metric: str, better: str = "higher") -> str:
    """``AUROC``, ``LPIPS ↓``, ``Dice (all pixels)``."""
    base, region = metric, ""
    for suffix, meaning in _SUFFIXES.items():
        if metric.endswith(suffix):
            base, region = metric.removesuffix(suffix), f" ({meaning})"
            break
    arrow = " ↓" if better == "lower" else ""
    return f"{METRIC_NAMES.get(base, base)}{region}{arrow}"


def weights_label(baseline: bool, weights: str) -> str:
    """``baseline``, or the label of the weights."""
    return "baseline" if baseline else weights


def model_name(encoder: str, baseline: bool) -> str:
    """Name of an encoder in sentences; baselines are marked."""
    return f"{encoder} (baseline)" if baseline else encoder


def shots_text(shots: int | None, family: str) -> str:
    """``1 shot``, ``4 shots``, ``4 per class``; empty where there is no number of shots."""
    if shots is None or pd.isna(shots) or shots == 0:
        return ""
    return f"{int(shots):,}{SHOTS_UNIT[family]}" if family in SHOTS_UNIT else plural(int(shots), "shot")


@dataclass(frozen=True)
class TaskNames:
    """Names of tasks and conditions in a report.

    Attributes:
        titles: Title of each task.
        families: Task family of each task.
        pretrained: (task, model) of the models that were trained on images of the data set of the task.
    """

    titles: Mapping[str, str]
    families: Mapping[str, str]
    pretrained: Collection[tuple[str, str]] = ()

    def mark(self, task: str, encoder: str) -> str:
        """Mark of a model that was trained on images of the data set of a task; empty for others."""
        return PRETRAINED_MARK if (task, encoder) in self.pretrained else ""

    def shots(self, task: str, shots: int | None) -> str:
        """Number of shots of a task, as `shots_text`."""
        return shots_text(shots, self.families[task])

    def condition(self, condition: Condition) -> str:
        """``RITE, few-shot, 2 shots``, ``ODIR-5K, few-shot, 2 per class``."""
        task, protocol, shots = condition
        return ", ".join(part for part in (self.titles[task], protocol, self.shots(task, shots)) if part)


def join_names(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def as_sentence(text: str) -> str:
    """Text with a capital letter at its start and a full stop at its end."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def number(value: float | None, digits: int = 4) -> str:
    """Format a value with four decimals, with fewer from 10 on, and as a dash where it is missing."""
    if value is None or pd.isna(value):
        return NONE
    size = abs(value)
    text = f"{value:.{digits if size < 10 else max(digits - 2, 0) if size < 1000 else 1}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def signed(value: float | None) -> str:
    """Format a difference with its sign."""
    return NONE if value is None or pd.isna(value) else number(value) if value < 0 else f"+{number(value)}"


def interval_text(low: float | None, high: float | None, digits: int = 4) -> str:
    """``[0.9012, 0.9344]``, or empty where a bound is missing."""
    if low is None or high is None or pd.isna(low) or pd.isna(high):
        return ""
    return f"[{number(low, digits)}, {number(high, digits)}]"
