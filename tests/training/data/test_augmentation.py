"""Augmentation: one geometry for photograph, frames and masks; colour changes; resized crops."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage, stats

from f2vbench.training.data.augmentation import AUGMENTATIONS, Augmentation, change_colours, draw_geometry, warp
from f2vbench.training.data.registered_eye import RegisteredEye
from tests.helpers.case_files import disc


def patterned_eye(size: int = 64) -> RegisteredEye:
    """Photograph and frames have the same smooth pattern without symmetry."""
    rows, columns = np.mgrid[:size, :size] / size
    pattern = np.rint(60 + 60 * np.sin(5 * columns + 2 * rows) + 70 * columns * rows).astype(np.uint8)
    fov_mask = disc(size * 0.48, size)
    pattern = pattern * fov_mask
    return RegisteredEye(np.stack([pattern] * 3, axis=-1), np.stack([pattern] * 2), fov_mask, pattern > 130)


def photograph_of(square: np.ndarray) -> RegisteredEye:
    """A photograph without frames, with the whole square as its field of view."""
    frames = np.zeros((0, *square.shape), np.uint8)
    return RegisteredEye(np.stack([square] * 3, -1), frames, np.ones(square.shape, bool))


@pytest.mark.parametrize("seed", range(5))
def test_photograph_frames_and_masks_have_the_same_geometry(seed):
    eye = patterned_eye()
    matrix = draw_geometry(AUGMENTATIONS["f2v"], eye.fov_mask, 64, np.random.default_rng(seed))
    view = warp(eye, matrix, 64)
    assert (view.photograph[..., 1] == view.frames[0]).all()
    assert (view.frames[0] == view.frames[1]).all()
    # SciPy uses (row, column) and its own interpolation.
    linear, shift = matrix[::-1, 1::-1], matrix[::-1, 2]
    expected = ndimage.affine_transform(eye.frames[0].astype(float), linear, shift, (64, 64), order=1)
    interior = ndimage.binary_erosion(view.fov_mask, iterations=3)
    assert np.abs(expected - view.frames[0])[interior].max() < 6
    lesions = ndimage.affine_transform(eye.lesion_mask.astype(float), linear, shift, (64, 64), order=1) >= 0.5
    assert (lesions != view.lesion_mask)[interior].mean() < 0.01
    assert not view.frames[:, ~view.fov_mask].any()


def test_released_views_are_boxes_of_a_quarter_of_the_square_resized_to_it():
    """The distribution of the released code's integers: x up to ⅔ w, x₂ from x + ⅓ w to w, rows likewise."""
    changes, size = replace(AUGMENTATIONS["released"], flip=0.0), 510
    rng, slow = np.random.default_rng(0), np.random.default_rng(1)
    boxes = []
    for _ in range(4000):
        matrix = draw_geometry(changes, np.ones((size, size), bool), size, rng)
        first, last = (matrix @ [corner, corner, 1] for corner in (-0.5, size - 0.5))
        boxes.append([*(first + 0.5), *(last + 0.5)])
    found = np.array(boxes) / size
    starts = slow.integers(0, 340, (4000, 2), endpoint=True)
    expected = np.hstack([starts, slow.integers(starts + 170, 510, endpoint=True)]) / 510
    for column in range(4):
        assert stats.ks_2samp(found[:, column], expected[:, column]).pvalue > 1e-3
    areas, slow_areas = ((b[:, 2:] - b[:, :2]).prod(1) for b in (found, expected))
    assert areas.mean() == pytest.approx(0.25, abs=0.01)
    assert stats.ks_2samp(areas, slow_areas).pvalue > 1e-3
    assert found.min() >= -1e-9
    assert found.max() <= 1 + 1e-9


def test_a_released_view_shows_its_box_in_photograph_and_frames():
    eye = patterned_eye()
    matrix = draw_geometry(replace(AUGMENTATIONS["released"], flip=0.0), eye.fov_mask, 64, np.random.default_rng(4))
    view = warp(eye, matrix, 64)
    assert (view.photograph[..., 1] == view.frames[0]).all()
    columns, rows = (matrix[axis, axis] * np.arange(64) + matrix[axis, 2] for axis in (0, 1))
    grid = np.meshgrid(rows, columns, indexing="ij")
    expected = ndimage.map_coordinates(eye.frames[0].astype(float), grid, order=1)
    interior = ndimage.binary_erosion(view.fov_mask, iterations=8)
    assert interior.any()
    assert np.abs(expected - view.frames[0])[interior].max() < 6


def test_a_flip_mirrors_photograph_and_frames():
    eye = patterned_eye()
    matrix = draw_geometry(Augmentation(flip=1.0), eye.fov_mask, 64, np.random.default_rng(0))
    view = warp(eye, matrix, 64)
    assert (view.photograph == eye.photograph[:, ::-1]).all()
    assert (view.frames == eye.frames[:, :, ::-1]).all()


def test_a_crop_has_the_exact_pixels_of_the_square_and_is_mostly_inside_the_field_of_view():
    rng = np.random.default_rng(0)
    size, side = 97, 32
    fov_mask = disc(46, size)
    square = rng.integers(1, 256, (size, size)).astype(np.uint8) * fov_mask
    eye = RegisteredEye(np.stack([square] * 3, axis=-1), square[None], fov_mask)
    windows = np.lib.stride_tricks.sliding_window_view(square, (side, side)).reshape(-1, side * side)
    for seed in range(20):
        crop = warp(eye, draw_geometry(Augmentation(), fov_mask, side, np.random.default_rng(seed)), side)
        assert (windows == crop.frames[0].ravel()).all(axis=1).any()
        assert (crop.photograph == crop.frames[0][..., None]).all()
        assert crop.fov_mask.mean() >= 0.5


def test_brightness_multiplies_all_channels_by_one_factor():
    photograph = np.full((8, 8, 3), [0.4, 0.2, 0.1], np.float32)
    fov_mask = np.ones((8, 8), bool)
    changed = change_colours(photograph, fov_mask, 8, Augmentation(brightness=0.5), np.random.default_rng(1))
    factor = changed[0, 0] / photograph[0, 0]
    assert factor == pytest.approx([factor[0]] * 3, rel=1e-5)
    assert 0.5 <= factor[0] <= 1.5
    assert factor[0] != pytest.approx(1)


def test_a_resized_crop_covers_20_to_100_percent_of_the_square():
    size, side = 96, 64
    fov_mask = np.ones((size, size), bool)
    rows, columns = np.mgrid[:size, :size] / size
    eye = photograph_of(np.rint(255 * (0.5 + 0.2 * np.sin(6 * rows) + 0.25 * columns)).astype(np.uint8))
    shares, ratios, flips = [], [], []
    for seed in range(60):
        matrix = draw_geometry(AUGMENTATIONS["mae"], fov_mask, side, np.random.default_rng(seed))
        width, height = side * np.abs(matrix[0, 0]), side * matrix[1, 1]
        shares.append(width * height / size**2)
        ratios.append(width / height)
        flips.append(matrix[0, 0] < 0)
        corner = zip(first_corner(matrix), matrix.diagonal(), strict=True)
        left, top = (min(start, start + side * step) for start, step in corner)
        assert left >= -1e-6
        assert top >= -1e-6
        assert left + width <= size + 1e-6
        assert top + height <= size + 1e-6
        view = warp(eye, matrix, side).photograph[..., 0].astype(float)
        across = (left + (np.arange(side) + 0.5) * width / side - 0.5) / size
        across = across[::-1] if flips[-1] else across
        down = (top + (np.arange(side) + 0.5) * height / side - 0.5) / size
        expected = 255 * (0.5 + 0.2 * np.sin(6 * down)[:, None] + 0.25 * across[None])
        interior = slice(2, -2)  # at the edge the interpolation uses pixels outside the square
        assert np.abs(view - expected)[interior, interior].max() < 3
    assert 0.19 < min(shares) < 0.3
    assert 0.85 < max(shares) <= 1
    assert max(ratios) <= 4 / 3 + 1e-6
    assert min(ratios) >= 3 / 4 - 1e-6
    assert 15 < sum(flips) < 45


def first_corner(matrix: np.ndarray) -> np.ndarray:
    """Position of the outer corner of the first pixel, with pixel edges (not centres) at integer coordinates."""
    return matrix @ [-0.5, -0.5, 1] + 0.5


def test_a_view_that_shrinks_averages_pixels():
    size, side = 96, 64
    lines = np.full((size, size), 100, np.uint8)
    lines[:, ::3] = 160  # sampling every 1.5th pixel without averaging gives a moiré pattern
    eye = photograph_of(lines)
    matrix = draw_geometry(Augmentation(area=(1.0, 1.0)), eye.fov_mask, side, np.random.default_rng(0))
    view = warp(eye, matrix, side).photograph[4:-4, 4:-4, 0].astype(float)
    assert view.mean() == pytest.approx(120, abs=1)
    pairs = view[:, ::2] + view[:, 1::2]  # a pair covers a line and its two gaps
    assert pairs.std() < 2


@pytest.mark.parametrize("enlarge", [1, 2])
def test_a_view_at_a_lesion_has_one_in_its_middle_half(enlarge):
    size, side = 160, 48
    fov_mask = disc(78, size)
    lesions = np.zeros((size, size), bool)
    lesions[60:62, 100:102] = lesions[110:112, 50:52] = True
    changes = replace(AUGMENTATIONS["mini"], at_lesion=1.0).scaled(enlarge)
    pixels = np.argwhere(lesions)[:, ::-1]  # four of each lesion
    shown = []
    for seed in range(100):
        matrix = draw_geometry(changes, fov_mask, side, np.random.default_rng(seed), lesions)
        # Positions (column, row) of the lesions in the view, relative to its middle.
        inverse = np.linalg.inv(matrix[:, :2])
        positions = (pixels - matrix[:, 2]) @ inverse.T - (side - 1) / 2
        distance = np.abs(positions).max(axis=1)
        assert distance.min() <= side / 4 + 1e-9
        shown.append(int(np.argmin(distance)) // 4)
    assert 25 < sum(shown) < 75  # each of the two lesions has its share


def test_views_at_lesions_have_their_probability_and_other_views_are_as_without_it():
    size, side = 160, 32
    fov_mask, lesions = disc(78, size), np.zeros((size, size), bool)
    lesions[40, 90] = True
    mini = AUGMENTATIONS["mini"]
    differences = 0
    for seed in range(200):
        with_lesion, without, plain = (
            draw_geometry(changes, fov_mask, side, np.random.default_rng(seed), mask)
            for changes, mask in ((mini, lesions), (mini, None), (replace(mini, at_lesion=0.0), lesions))
        )
        assert (without == plain).all()
        differences += bool((with_lesion != plain).any())
    assert differences == pytest.approx(200 * mini.at_lesion, abs=20)
    empty = np.zeros_like(lesions)
    found = draw_geometry(replace(mini, at_lesion=1.0), fov_mask, side, np.random.default_rng(0), empty)
    assert (found == draw_geometry(replace(mini, at_lesion=0.0), fov_mask, side, np.random.default_rng(0))).all()


def test_a_view_of_the_whole_square_has_no_place_to_choose():
    fov_mask = disc(31, 64)
    lesions = disc(3, 64)
    changes = Augmentation(at_lesion=1.0)
    found = draw_geometry(changes, fov_mask, 64, np.random.default_rng(0), lesions)
    assert (found == np.eye(2, 3)).all()


@pytest.mark.parametrize("seed", range(6))
def test_colours_equal_the_changes_one_after_the_other_in_double_precision(seed):
    rng = np.random.default_rng(100 + seed)
    fov_mask = disc(20, 48)
    photograph = (rng.random((48, 48, 3)) * fov_mask[..., None]).astype(np.float32)
    before = photograph.copy()
    augmentation = Augmentation(
        brightness=0.25, contrast=0.3, saturation=0.3, white_balance=0.1, gamma=0.25, noise=0.02
    )
    changed = change_colours(photograph, fov_mask, 48, augmentation, np.random.default_rng(seed))

    draws = np.random.default_rng(seed)
    brightness, contrast, saturation, *balance = 1 + draws.uniform(-1, 1, 6) * [0.25, 0.3, 0.3, 0.1, 0.1, 0.1]
    gamma = math.exp(draws.uniform(-1, 1) * 0.25)
    _, noise = draws.random(2) * (0, 0.02)
    normal = np.random.default_rng(int(draws.integers(2**63))).standard_normal((48, 48, 3), np.float32)
    exact = photograph.astype(np.float64)
    grey = exact.mean(axis=2, keepdims=True)
    exact = (grey + (exact - grey) * saturation) * brightness * np.array(balance)
    mean = exact[fov_mask].mean()
    exact = np.clip(mean + (exact - mean) * contrast, 0, 1) ** gamma
    expected = np.clip(exact + normal * noise, 0, 1) * fov_mask[..., None]
    assert changed.dtype == np.float32
    np.testing.assert_allclose(changed, expected, rtol=0, atol=3e-6)
    np.testing.assert_array_equal(photograph, before)  # the caller's photograph is unchanged
