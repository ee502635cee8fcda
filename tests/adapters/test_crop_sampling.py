"""Crops of decoder training: uniform ones stay what they were, and balanced ones contain the classes."""

from __future__ import annotations

import numpy as np
import pytest

from f2vbench.adapters.crop_sampling import BalancedSampler, UniformSampler, crop_corner
from f2vbench.adapters.registry import adapter_for
from f2vbench.config.run import RunSettings
from f2vbench.encoders.model_argument import parse_model

SIDE, CROP = 64, 16


def masks() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Three images: a large class in all, one pixel of a rare class in the second, and a third class in none."""
    of_images = [np.zeros((3, SIDE, SIDE), np.float32) for _ in range(3)]
    for each in of_images:
        each[0, 10:50, 10:50] = 1
    of_images[1][1, 60, 3] = 0.2
    of_images[2][2, 0, 0] = 1  # outside the field of view
    inside = np.ones((SIDE, SIDE), np.float32)
    inside[0] = 0
    return of_images, [inside] * 3


def test_half_of_the_balanced_crops_contain_a_class_each_class_equally_often():
    of_images, inside = masks()
    rng, sampler = np.random.default_rng(0), BalancedSampler(of_images, inside)
    places = sampler.draw(rng, 4000)
    of_class = [place for place in places if place.pixel is not None]
    assert len(of_class) / 4000 == pytest.approx(0.5, abs=0.03)
    rare = [place for place in of_class if place == (1, (60, 3))]
    assert len(rare) / len(of_class) == pytest.approx(0.5, abs=0.04)
    large = [place for place in of_class if place != (1, (60, 3))]
    assert all(of_images[image][0][pixel] for image, pixel in large)
    counts = np.bincount([place.image for place in large])
    assert counts / len(large) == pytest.approx([1 / 3] * 3, abs=0.05)
    for grid in (1, 4, 16):
        for image, pixel in of_class[:200]:
            top, left = crop_corner(rng, inside[image], CROP, grid, pixel)
            assert top % grid == left % grid == 0
            assert 0 <= top <= SIDE - CROP
            assert 0 <= left <= SIDE - CROP
            assert top <= pixel[0] < top + CROP
            assert left <= pixel[1] < left + CROP


def test_a_pixel_is_anywhere_in_its_crop():
    rng, inside = np.random.default_rng(1), np.ones((SIDE, SIDE))
    offsets = {30 - crop_corner(rng, inside, CROP, 1, (30, 30))[0] for _ in range(600)}
    assert offsets == set(range(CROP))
    assert crop_corner(rng, inside, SIDE, 1, (63, 0)) == (0, 0)
    assert crop_corner(rng, np.ones((70, 70)), 32, 32, (69, 69)) == (32, 32), "behind the last crop of the grid"


def test_without_pixels_of_a_class_crops_are_uniform():
    empty = [np.zeros((2, SIDE, SIDE), np.float32)] * 2
    places = BalancedSampler(empty, [np.ones((SIDE, SIDE))] * 2).draw(np.random.default_rng(0), 50)
    assert {place.pixel for place in places} == {None}
    assert {place.image for place in places} == {0, 1}


def test_uniform_crops_take_the_random_stream_of_earlier_versions():
    inside = np.zeros((SIDE, SIDE), np.float32)
    inside[8:40, 16:48] = 1
    rng, same = np.random.default_rng(5), np.random.default_rng(5)
    places = UniformSampler(7).draw(rng, 4)
    assert [place.image for place in places] == same.integers(7, size=4).tolist()
    for grid in (1, 8):
        rows = (SIDE - CROP) // grid + 1
        allowed = np.flatnonzero(inside[CROP // 2 :: grid, CROP // 2 :: grid][:rows, :rows])
        position = int(allowed[same.integers(len(allowed))])
        assert crop_corner(rng, inside, CROP, grid) == (position // rows * grid, position % rows * grid)


def test_uniform_sampling_has_no_key_in_fingerprints():
    adapter, model = adapter_for("segmentation"), parse_model("timm:test_resnet:untrained")
    recorded = [
        adapter.recorded_settings(model, "few-shot", RunSettings(task=["rite"], decoder={"sampling": sampling}))
        for sampling in ("uniform", "balanced")
    ]
    assert "sampling" not in recorded[0]["decoder"]
    assert recorded[1]["decoder"]["sampling"] == "balanced"
