"""Names of the metrics of videos, known without loading a network."""

from __future__ import annotations

from f2vbench.metrics.frechet import STAND_IN

METRICS = {"psnr": "dB", "ssim": "", "lpips": "", "fvd": ""}
"""Metrics that both protocols have, and their units."""

FRAME_METRICS = ("psnr", "ssim", "lpips")
"""Those of single frames."""

STAND_IN_METRIC = f"frechet_{STAND_IN.replace('-', '_')}"
"""The Fréchet distance of the feature that needs no weights."""

LOWER_IS_BETTER = ("lpips", "fvd", STAND_IN_METRIC)
"""Distances; of PSNR and SSIM more is better."""
