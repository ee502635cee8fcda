"""Boundary metrics against distance transforms, loops over pixels, and MONAI."""

from __future__ import annotations

import os

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, gaussian_filter

from f2vbench.metrics.boundary import TOLERANCE, boundary_metrics, outline, surface_distances

WIDTH = 48


def masks(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two masks that overlap in part, with several pieces, some of them at the border of the picture."""
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=(2, 40, WIDTH)), (0, 2.5, 2.5))
    return smooth[0] > 0.02, smooth[0] + smooth[1] / 2 > 0.03


def outline_by_loop(mask: np.ndarray) -> np.ndarray:
    padded = np.pad(mask, 1)
    found = np.zeros_like(mask)
    for row, column in np.argwhere(mask):
        steps = ((row, column + 1), (row + 2, column + 1), (row + 1, column), (row + 1, column + 2))
        found[row, column] = not all(padded[step] for step in steps)
    return found


@pytest.mark.parametrize("seed", range(6))
def test_distances_equal_those_of_distance_transforms(seed):
    predicted, reference = masks(seed)
    np.testing.assert_array_equal(outline(predicted), outline_by_loop(predicted))
    edges = outline_by_loop(predicted), outline_by_loop(reference)
    directed = [distance_transform_edt(~other)[one] for one, other in (edges, edges[::-1])]
    values = boundary_metrics(predicted, reference, WIDTH)
    assert values["hd95"] == pytest.approx(max(np.percentile(each, 95) for each in directed) * 100 / WIDTH, abs=1e-12)
    within = sum(np.count_nonzero(each <= TOLERANCE * WIDTH) for each in directed)
    assert values["nsd"] == within / sum(map(len, directed))
    distances = surface_distances(predicted, reference)
    assert distances.hausdorff(100) == pytest.approx(max(each.max() for each in directed), abs=1e-12)


def test_metrics_equal_those_of_monai():
    if "F2VBENCH_TEST_MONAI" not in os.environ:
        pytest.skip("set F2VBENCH_TEST_MONAI=1 to compare with MONAI, whose import takes a minute on a slow machine")
    torch = pytest.importorskip("torch")
    monai = pytest.importorskip("monai.metrics")
    for seed in range(6):
        predicted, reference = (torch.from_numpy(mask)[None, None].float() for mask in masks(seed))
        hd95 = monai.compute_hausdorff_distance(predicted, reference, include_background=True, percentile=95)
        nsd = monai.compute_surface_dice(predicted, reference, [TOLERANCE * WIDTH], include_background=True)
        values = boundary_metrics(*masks(seed), WIDTH)
        assert values["hd95"] == pytest.approx(float(hd95) * 100 / WIDTH, abs=1e-4)
        assert values["nsd"] == pytest.approx(float(nsd), abs=1e-6)


def test_metrics_without_a_prediction_or_a_reference():
    empty, full = np.zeros((9, 9), bool), np.ones((9, 9), bool)
    assert boundary_metrics(empty, full, 9) == {"hd95": 100.0, "nsd": 0.0}
    assert boundary_metrics(full, empty, 9) == {"hd95": None, "nsd": None}
    assert boundary_metrics(full, full, 9) == {"hd95": 0.0, "nsd": 1.0}
    assert surface_distances(empty, full) is None
