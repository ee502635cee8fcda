"""The field of view of an angiogram, and the square around it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from f2vbench.training.data.registered_eye import angiogram_field_of_view, crop_to_square
from tests.helpers.case_files import colour_eye, disc, grey_eye


def test_the_field_of_view_is_the_largest_region_lit_in_all_images_with_holes_filled():
    rng = np.random.default_rng(0)
    photograph = np.zeros((60, 80, 3), np.uint8)
    photograph[5:55, 10:70, 1] = rng.integers(5, 60, (50, 60))
    photograph[2:4, 75:78, 1] = 200
    frames = np.where(rng.random((3, 60, 80)) < 0.05, 2, rng.integers(3, 255, (3, 60, 80))).astype(np.uint8)
    lit = (photograph[..., 1] > 11) & (frames > 2).all(axis=0)
    labels, _ = ndimage.label(lit, structure=np.ones((3, 3)))
    largest = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    expected = ndimage.binary_fill_holes(largest)
    assert (angiogram_field_of_view(photograph, frames) == expected).all()


def test_frames_before_the_dye_arrives_do_not_reduce_the_field_of_view_to_a_fragment():
    frames = np.stack([grey_eye(100), grey_eye(0)])
    frames[1, 22:26, 22:26] = 90
    assert (angiogram_field_of_view(colour_eye(), frames) == disc()).all()


def test_the_square_is_the_bounding_box_of_the_field_of_view():
    photograph, frames = np.zeros((50, 70, 3), np.uint8), np.zeros((1, 50, 70), np.uint8)
    photograph[10:40, 20:60] = 100
    frames[:, 10:40, 20:60] = np.arange(40)[None, :] * 5 + 20
    eye = crop_to_square(photograph, frames, photograph[..., 1] > 0, 40)
    assert (eye.fov_mask == np.pad(np.ones((30, 40), bool), ((5, 5), (0, 0)))).all()
    assert (eye.frames[0, 20] == np.arange(40) * 5 + 20).all()
