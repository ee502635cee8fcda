"""Masks under the affine transform of a view: the seen region, and equality with the conversion of the whole mask."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from f2vbench.training.data.affine_masks import seen_region, warp_mask
from f2vbench.training.data.augmentation import AUGMENTATIONS, draw_geometry
from f2vbench.training.data.truth_maps import TRUTH_CLASSES, pack_truth, unpack_truth, warp_truth
from tests.helpers.case_files import disc


def warp_whole(mask, matrix, side):
    """The view of a mask of which every pixel is converted."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(mask.astype(np.float32), matrix, (side, side), flags=flags) >= 0.5


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("side", [16, 64])
def test_the_view_is_that_of_the_whole_mask_in_every_pixel(seed, side):
    rng = np.random.default_rng(seed)
    masks = {name: rng.random((96, 96)) < 0.4 for name in TRUTH_CLASSES}
    matrix = draw_geometry(AUGMENTATIONS["mini"], disc(44, 96), side, rng)
    if seed % 4 == 0:  # a part of the view lies outside of the mask
        matrix[:, 2] -= rng.uniform(20, 60, 2)
    views = unpack_truth(warp_truth(pack_truth(masks, (96, 96)), matrix, side))
    for view, mask in zip(views, masks.values(), strict=True):
        expected = warp_whole(mask, matrix, side)
        np.testing.assert_array_equal(view, expected)
        np.testing.assert_array_equal(warp_mask(mask, matrix, side), expected)


def test_the_seen_region_is_around_the_corners_of_the_view():
    matrix = np.array([[0.0, -2.0, 40.0], [2.0, 0.0, 10.0]])  # a quarter turn: columns 26 to 40, rows 10 to 24
    rows, columns = seen_region(matrix, 8, (100, 100))
    assert rows.start <= 10 < 24 < rows.stop <= 30
    assert columns.start <= 26 < 40 < columns.stop <= 46


def test_a_view_outside_of_the_mask_is_empty():
    matrix = np.array([[1.0, 0.0, 500.0], [0.0, 1.0, -500.0]])
    rows, columns = seen_region(matrix, 8, (50, 60))
    assert (rows.start, rows.stop, columns.start, columns.stop) == (0, 0, 60, 60)
    assert not warp_mask(np.ones((50, 60), bool), matrix, 8).any()
    assert not warp_truth(np.ones((50, 60), np.uint32), matrix, 8).any()
