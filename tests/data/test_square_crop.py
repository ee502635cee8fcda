"""The square crop: its position, its resampling, and the way back to the photograph without a shift."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import center_of_mass, gaussian_filter, map_coordinates

from f2vbench.data.square_crop import SquareView
from f2vbench.errors import DataError


def _box(height: int, width: int, rows: slice, columns: slice) -> np.ndarray:
    fov = np.zeros((height, width), bool)
    fov[rows, columns] = True
    return fov


def test_the_square_is_centred_on_the_bounding_box():
    assert SquareView.around(_box(100, 120, slice(10, 90), slice(30, 90))) == SquareView(10, 20, 80, 100, 120)
    # A wide field of view, cut off at top and bottom: the square extends beyond the photograph.
    assert SquareView.around(_box(60, 120, slice(0, 60), slice(10, 110))) == SquareView(-20, 10, 100, 60, 120)
    single = np.zeros((9, 9), bool)
    single[4, 7] = True
    assert SquareView.around(single) == SquareView(4, 7, 1, 9, 9)


def test_an_empty_field_of_view_is_refused():
    with pytest.raises(DataError, match="no pixel set"):
        SquareView.around(np.zeros((5, 5), bool))


def test_a_crop_of_the_same_size_copies_pixels_and_pads_with_zeros():
    view = SquareView(-20, 10, 100, 60, 120)
    rgb = np.random.default_rng(0).integers(1, 256, (60, 120, 3), dtype=np.uint8)
    crop = view.crop(rgb, 100)
    np.testing.assert_array_equal(crop[20:80], rgb[:, 10:110])
    assert not crop[:20].any()
    assert not crop[80:].any()
    mask = rgb[..., 0] > 128
    np.testing.assert_array_equal(view.crop(mask, 100)[20:80], mask[:, 10:110])


def test_reduction_averages_areas():
    rgb = np.random.default_rng(1).integers(0, 256, (80, 80, 3), dtype=np.uint8)
    crop = SquareView(0, 0, 80, 80, 80).crop(rgb, 20)
    expected = rgb.reshape(20, 4, 20, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(crop, expected, atol=0.51)


@pytest.mark.parametrize("size", [17, 32, 50, 64, 111])
def test_masks_are_resampled_by_nearest_neighbour(size):
    mask = np.random.default_rng(2).random((51, 51)) > 0.5
    source = np.floor((np.arange(size) + 0.5) * 51 / size).astype(int)
    crop = SquareView(0, 0, 51, 51, 51).crop(mask, size)
    assert crop.dtype == bool
    np.testing.assert_array_equal(crop, mask[np.ix_(source, source)])


@pytest.mark.parametrize("size", [64, 100, 128, 256])
def test_a_blob_keeps_its_position(size):
    view = SquareView.around(_box(110, 140, slice(5, 105), slice(20, 120)))
    impulse = np.zeros((110, 140))
    impulse[44, 83] = 1
    blob = gaussian_filter(impulse, 6)
    blob /= blob.max()
    rgb = np.repeat((250 * blob).astype(np.uint8)[..., None], 3, axis=2)
    scale = size / view.side
    expected = ((44 + 0.5 - view.top) * scale - 0.5, (83 + 0.5 - view.left) * scale - 0.5)
    np.testing.assert_allclose(center_of_mass(view.crop(rgb, size)[..., 0].astype(float)), expected, atol=0.1 * scale)
    np.testing.assert_allclose(center_of_mass(view.crop(blob > 0.5, size).astype(float)), expected, atol=0.3)
    restored = view.restore(view.crop(blob.astype(np.float32), size))
    np.testing.assert_allclose(center_of_mass(restored), (44, 83), atol=0.1)


@pytest.mark.parametrize("size", [64, 200])
def test_cropping_and_restoring_keeps_a_smooth_map(size):
    view = SquareView.around(_box(90, 150, slice(0, 90), slice(20, 140)))
    y, x = np.mgrid[:90, :150]
    smooth = (np.sin(y / 15) * np.cos(x / 20)).astype(np.float32)
    restored = view.restore(view.crop(smooth, size))
    assert restored.dtype == np.float32
    assert restored.shape == (90, 150)
    inner = np.s_[5:-5, 25:135]
    np.testing.assert_allclose(restored[inner], smooth[inner], atol=0.02)
    assert not restored[:, :20].any()
    assert not restored[:, 140:].any()


def test_restoring_is_bilinear():
    score = np.random.default_rng(3).random((16, 16)).astype(np.float32)
    restored = SquareView(0, 0, 48, 48, 48).restore(score)
    places = (np.arange(48) + 0.5) / 3 - 0.5
    expected = map_coordinates(score, np.meshgrid(places, places, indexing="ij"), order=1, mode="nearest")
    np.testing.assert_allclose(restored, expected, atol=1e-4)


def test_an_image_of_another_size_is_refused():
    with pytest.raises(ValueError, match="90"):
        SquareView(0, 0, 10, 10, 10).crop(np.zeros((90, 10), bool), 5)
