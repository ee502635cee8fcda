"""Simulated eyes against published ranges, and against real photographs and angiogram frames."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from f2vbench.data.images import read_rgb
from f2vbench.data.photographs import open_photograph
from f2vbench.data.task_data import open_task
from f2vbench.phantom import Cohort, realism_measures


@pytest.fixture(scope="module")
def healthy() -> dict[str, list[float]]:
    eyes = Cohort(5, 5, diseases=["normal"])
    rows = [realism_measures.anatomical_figures(eye.eye, eye.truth("macula")) for eye in eyes]
    return {name: [row[name] for row in rows] for name in realism_measures.PUBLISHED}


@pytest.mark.parametrize("name", realism_measures.PUBLISHED)
def test_the_median_of_healthy_eyes_lies_in_the_published_range(healthy, name):
    low, high, _ = realism_measures.PUBLISHED[name]
    assert low <= np.nanmedian(healthy[name]) <= high


def test_contrast_and_spectrum_are_within_a_factor_of_those_of_real_sets(photographs: Path):
    """The finest textures have about half the contrast of those in the real sets."""
    real = np.array([_real_measures(photographs, "rite", every=8), _real_measures(photographs, "hrf", every=15)])
    simulated = [eye.photograph("macula") for eye in Cohort(6, 5)]
    phantom = np.median([_measures(p.image, p.truth.vessels, p.truth.field_of_view) for p in simulated], axis=0)
    assert (phantom > 0.4 * real.min(axis=0)).all()
    assert (phantom < 1.6 * real.max(axis=0)).all()


def _measures(image: np.ndarray, vessels: np.ndarray, inside: np.ndarray) -> list[float]:
    return [realism_measures.green_contrast(image, vessels, inside), *realism_measures.green_spectrum(image, inside)]


def _real_measures(photographs: Path, name: str, every: int) -> np.ndarray:
    index = open_task(name, photographs / name).index
    rows = []
    for _, row in index[index.mask_path != ""].iloc[::every].iterrows():
        photograph = open_photograph(row)
        rows.append(_measures(photograph.rgb, photograph.vessels, photograph.fov))
    return np.median(rows, axis=0)


@pytest.mark.parametrize(("phase", "numbers"), [("arterial", (1, 2, 3)), ("venous", (4, 5, 6))])
def test_grey_levels_of_frames_lie_within_the_spread_of_real_ones(photographs: Path, phase, numbers):
    files = sorted((photographs / "ffa_frames" / "01.phase_identification" / f"{phase}_phase").glob("*.jpg"))
    assert files
    real = []
    for file in files:
        grey = read_rgb(file)[..., 1]
        inside = np.zeros(grey.shape, np.uint8)
        cv2.circle(inside, (grey.shape[1] // 2, grey.shape[0] // 2), int(0.47 * len(grey)), 1, -1)
        real.append(np.percentile(grey[inside > 0], [5, 50, 95]))
    low, high = np.percentile(real, [2, 98], axis=0)
    levels = []
    for eye in Cohort(6, 2):
        angiogram, inside = eye.angiogram("macula", 384), eye.camera("macula", 384).field_of_view()
        levels += [np.percentile(angiogram.frames[n][inside], [5, 50, 95]) for n in numbers]
    assert (np.median(levels, axis=0) > low).all()
    assert (np.median(levels, axis=0) < high).all()
