"""Names of metrics in records, importable without loading a network or OpenCV."""

from __future__ import annotations

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
