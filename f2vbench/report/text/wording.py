"""How models, metrics, places and numbers are called in a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from f2vbench.utils.text import plural

METRIC_NAMES = {
    "auroc": "AUROC",
    "average_precision": "AUPR",
    "dice": "Dice",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "brier": "Brier score",
    "calibration_error": "calibration error",
    "quadratic_kappa": "quadratic κ",
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
_SUFFIXES = {"_frame_pooled": "whole frame, all pixels", "_pooled": "all pixels", "_frame": "whole frame"}
SHOTS_OF = {"classification": " a class"}
"""What is said behind a number of support images, by family, where they are not those of all."""
NONE = "–"


def metric_name(metric: str, better: str = "higher") -> str:
    """``AUROC``, ``LPIPS ↓``, ``Dice (all pixels)``"""
    base, told = metric, ""
    for suffix, meaning in _SUFFIXES.items():
        if metric.endswith(suffix):
            base, told = metric.removesuffix(suffix), f" ({meaning})"
            break
    arrow = " ↓" if better == "lower" else ""
    return f"{METRIC_NAMES.get(base, base)}{told}{arrow}"


def kind_of(baseline: bool, weights: str) -> str:
    """``baseline``, ``untrained`` or what the weights are called."""
    return "baseline" if baseline else weights


def model_name(encoder: str, baseline: bool) -> str:
    """An encoder as sentences call it, baselines told to be baselines."""
    return f"{encoder} (baseline)" if baseline else encoder


def shots_text(shots: int | None, family: str) -> str:
    """``1 shot``, ``4 shots``; ``4 a class`` where they are of each class; nothing where there is no number."""
    if shots is None or pd.isna(shots) or shots == 0:
        return ""
    return f"{int(shots):,}{SHOTS_OF[family]}" if family in SHOTS_OF else plural(int(shots), "shot")


@dataclass(frozen=True)
class Names:
    """How a report calls tasks and places.

    Attributes:
        titles, families: of each task.
    """

    titles: Mapping[str, str]
    families: Mapping[str, str]

    def shots(self, task: str, shots: int | None) -> str:
        return shots_text(shots, self.families[task])

    def place(self, task: str, protocol: str, shots: int | None = None) -> str:
        """``RITE, few-shot, 2 shots``, ``ODIR-5K, few-shot, 2 a class``"""
        return ", ".join(part for part in (self.titles[task], protocol, self.shots(task, shots)) if part)


def number(value: float | None, digits: int = 4) -> str:
    """A value as tables show it: four decimals, fewer from 10 on, a dash where there is none."""
    if value is None or pd.isna(value):
        return NONE
    size = abs(value)
    shown = f"{value:.{digits if size < 10 else max(digits - 2, 0) if size < 1000 else 1}f}"
    return shown.lstrip("-") if float(shown) == 0 else shown.replace("-", "−")


def signed(value: float | None) -> str:
    return NONE if value is None or pd.isna(value) else number(value) if value < 0 else f"+{number(value)}"


def interval(low: float | None, high: float | None, digits: int = 4) -> str:
    """``[0.9012, 0.9344]``, or nothing."""
    if low is None or high is None or pd.isna(low) or pd.isna(high):
        return ""
    return f"[{number(low, digits)}, {number(high, digits)}]"
