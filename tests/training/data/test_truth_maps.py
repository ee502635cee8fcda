"""Maps of bits of what the simulator knows: classes, packing, views, and the truth of a simulated eye."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from f2vbench.phantom import Cohort
from f2vbench.phantom.lesions.base import KINDS
from f2vbench.training.data.augmentation import AUGMENTATIONS, draw_geometry, warp
from f2vbench.training.data.options import SimulationOptions
from f2vbench.training.data.registered_eye import RegisteredEye, crop_to_square
from f2vbench.training.data.truth_maps import (
    LESIONS,
    TRUTH_CLASSES,
    VESSELS,
    pack_truth,
    truth_masks,
    unpack_truth,
    warp_truth,
)
from tests.helpers.case_files import disc, open_plain


def random_masks(size: int = 24) -> dict[str, np.ndarray]:
    """Overlapping masks of all classes but the fovea."""
    rng = np.random.default_rng(0)
    return {name: rng.random((size, size)) < 0.3 for name in TRUTH_CLASSES if name != "fovea"}


def test_the_classes_are_vessels_landmarks_and_every_kind_of_lesion():
    assert TRUTH_CLASSES[VESSELS] == ("artery", "vein")
    assert TRUTH_CLASSES[LESIONS] == KINDS
    assert len(TRUTH_CLASSES) <= 32  # bits


def test_every_pixel_has_the_bits_of_its_classes_and_they_are_unpacked_to_the_same_masks():
    masks = random_masks()
    packed = pack_truth(masks, (24, 24))
    assert packed.dtype == np.uint32
    for row in range(24):
        for column in range(24):
            classes = [name for name, mask in masks.items() if mask[row, column]]
            assert int(packed[row, column]) == sum(2 ** TRUTH_CLASSES.index(name) for name in classes)
    unpacked = unpack_truth(packed)
    assert unpacked.dtype == np.uint8
    for number, name in enumerate(TRUTH_CLASSES):
        np.testing.assert_array_equal(unpacked[number], masks.get(name, np.zeros((24, 24), bool)))


def test_a_view_has_each_class_where_it_covers_half_of_a_pixel():
    masks = random_masks()
    angle = math.radians(33)
    matrix = np.array([[math.cos(angle), -math.sin(angle), 7.3], [math.sin(angle), math.cos(angle), -2.1]]) * 0.8
    view = unpack_truth(warp_truth(pack_truth(masks, (24, 24)), matrix, 16))

    def coverage(mask, x, y):
        """Bilinear interpolation; outside the map there is nothing."""
        left, top, value = math.floor(x), math.floor(y), 0.0
        for column, row in ((left, top), (left + 1, top), (left, top + 1), (left + 1, top + 1)):
            if 0 <= column < 24 and 0 <= row < 24:
                value += mask[row, column] * (1 - abs(x - column)) * (1 - abs(y - row))
        return value

    compared = 0
    for number, name in enumerate(TRUTH_CLASSES):
        mask = masks.get(name, np.zeros((24, 24), bool))
        for row in range(16):
            for column in range(16):
                value = coverage(mask, *(matrix @ [column, row, 1]))
                if abs(value - 0.5) > 0.05:  # OpenCV interpolates between 32 positions in a pixel
                    assert view[number, row, column] == (value > 0.5), (name, row, column)
                    compared += 1
    assert compared > 0.8 * len(TRUTH_CLASSES) * 16**2


def test_a_view_of_an_eye_has_its_truth_inside_the_field_of_view_only():
    fov_mask = disc(28, 64)
    square = np.zeros((64, 64), np.uint8)
    eye = RegisteredEye(
        np.stack([square] * 3, -1), square[None], fov_mask, truth=pack_truth({"disc": fov_mask}, (64, 64))
    )
    matrix = draw_geometry(AUGMENTATIONS["mini"], fov_mask, 48, np.random.default_rng(3))
    view = warp(eye, matrix, 48)
    disc_mask = unpack_truth(view.truth)[TRUTH_CLASSES.index("disc")]
    np.testing.assert_array_equal(disc_mask, view.fov_mask)
    assert 0 < disc_mask.mean() < 1
    assert warp(RegisteredEye(eye.photograph, eye.frames, fov_mask), matrix, 48).truth is None


@pytest.fixture(scope="module")
def simulated():
    """An eye at 256 px: its photograph with truth and camera, and the masks of its truth map."""
    photograph = Cohort(3, 1, size=256)[0].photograph()
    return photograph, truth_masks(photograph.truth, photograph.camera)


def test_the_masks_are_those_of_the_simulator_and_the_fovea_lies_at_the_centre_of_the_macula(simulated):
    photograph, masks = simulated
    truth, camera = photograph.truth, photograph.camera
    assert set(masks) <= set(TRUTH_CLASSES)
    expected = {"artery": truth.arteries, "vein": truth.veins, "disc": truth.disc, **truth.lesions}
    for name, mask in expected.items():
        assert not mask.any() if name not in masks else (masks[name] == mask).all()
    rows, columns = np.nonzero(masks["fovea"])
    (x, y), (origin_x, origin_y) = (columns.mean(), rows.mean()), camera.to_pixels(np.zeros((1, 2)))[0]
    assert math.hypot(x - origin_x, y - origin_y) < 1
    assert masks["fovea"].sum() == pytest.approx(math.pi * (0.5 * camera.pixels_per_mm) ** 2, rel=0.05)


def test_a_pixel_where_artery_and_vein_cross_is_both(simulated):
    _, masks = simulated
    both = masks["artery"] & masks["vein"]
    assert both.any()
    unpacked = unpack_truth(pack_truth(masks, (256, 256)))
    assert unpacked[VESSELS, both].all()
    np.testing.assert_array_equal(unpacked[VESSELS].all(axis=0), both)


def test_a_simulated_sample_has_the_truth_of_its_eye_on_the_same_square():
    sample = open_plain("phantom", size=64, simulation=SimulationOptions(eyes=1)).train[0]
    _, seed, name = sample.case.split("-")
    photograph = next(eye for eye in Cohort(int(seed), 1, size=64) if eye.name == name).photograph()
    assert sample.truth.dtype == torch.uint8
    assert sample.truth.shape == (len(TRUTH_CLASSES), 64, 64)
    masks = truth_masks(photograph.truth, photograph.camera)
    fov_mask, frames = photograph.truth.field_of_view, np.zeros((0, 64, 64), np.uint8)
    for number, class_name in enumerate(TRUTH_CLASSES):
        mask = masks.get(class_name, np.zeros((64, 64), bool))
        # A mask is cropped as the lesion mask, which another test compares with the images.
        expected = crop_to_square(photograph.image, frames, fov_mask, 64, mask).lesion_mask
        np.testing.assert_array_equal(sample.truth[number].numpy(), expected)
    assert sample.truth[VESSELS].any()


def test_training_frames_may_be_noise_free_and_those_of_validation_and_test_never_are():
    noise, plain = (
        open_plain("phantom", size=64, simulation=SimulationOptions(eyes=1, noise=noise)) for noise in (True, False)
    )
    clean = plain.train[0]
    _, seed, name = clean.case.split("-")
    eye = next(eye for eye in Cohort(int(seed), 1, size=64) if eye.name == name)
    photograph = eye.photograph()

    def square(frames):
        return crop_to_square(photograph.image, frames, photograph.truth.field_of_view, 64)

    expected, acquired = (square(eye.angiogram(noise=is_noisy).frames).frames for is_noisy in (False, True))
    found = np.rint((clean.frames[:, 0].numpy() + 1) * 127.5)
    np.testing.assert_array_equal(found, expected)
    assert np.abs(found - acquired)[:, clean.fov_mask[0].numpy()].mean() > 1
    rng = np.random.default_rng(0)
    for split, is_same in (("train", False), ("validation", True), ("test", True)):
        selected = [getattr(opened, split).source.select(0, 0, rng) for opened in (noise, plain)]
        assert (selected[0] == selected[1]) == is_same  # equal selections load equal images
        assert selected[0].noise
    assert "with noise-free frames" in plain.notes[0]
    assert "noise-free" not in noise.notes[0]
