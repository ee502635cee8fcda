"""Augmented views: the operations of timm's RandAugment, and the distributions of crops and erased rectangles."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from f2vbench.adapters.augmentation import prefetch_views, random_view, randomly_erase
from f2vbench.adapters.rand_augment import OPERATIONS, rand_augment
from f2vbench.config.fitting import TuneSettings
from f2vbench.utils.torchvision_compat import allow_missing_torchvision_ops

allow_missing_torchvision_ops()

from timm.data import auto_augment  # noqa: E402

NAMES = {
    "auto-contrast": "AutoContrast",
    "equalise": "Equalize",
    "invert": "Invert",
    "rotate": "Rotate",
    "posterise": "PosterizeIncreasing",
    "solarise": "SolarizeIncreasing",
    "brighten-dark": "SolarizeAdd",
    "colour": "ColorIncreasing",
    "contrast": "ContrastIncreasing",
    "brightness": "BrightnessIncreasing",
    "sharpness": "SharpnessIncreasing",
    "shear-x": "ShearX",
    "shear-y": "ShearY",
    "translate-x": "TranslateXRel",
    "translate-y": "TranslateYRel",
}


def picture(seed: int = 0, height: int = 40, width: int = 52) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(10, 240, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def test_the_operations_are_those_of_the_policy_of_timm():
    policy = auto_augment.rand_augment_transform("rand-m9-mstd0.5-inc1", {})
    assert {NAMES[name] for name in OPERATIONS} == {operation.name for operation in policy.ops}
    assert {(op.prob, op.magnitude, op.magnitude_std) for op in policy.ops} == {(0.5, 9, 0.5)}
    assert policy.num_layers == TuneSettings().operations
    assert policy.ops[0].magnitude == TuneSettings().magnitude


@pytest.mark.parametrize("name", list(OPERATIONS))
@pytest.mark.parametrize("strength", [0.0, 0.35, 0.9, 1.0])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_an_operation_equals_that_of_timm_at_the_same_strength(name, strength, sign, monkeypatch):
    monkeypatch.setattr(auto_augment.random, "random", lambda: 0.2 if sign > 0 else 0.8)  # above 0.5 is negative
    timm_name = NAMES[name]
    level_function = auto_augment.LEVEL_TO_ARG[timm_name]
    level = level_function(10 * strength, {}) if level_function else ()
    if level == (0,) and name == "posterise":
        level = (1,)  # Pillow rejects 0 bits
    fill = {"fillcolor": (0, 0, 0), "resample": Image.Resampling.BICUBIC}
    expected = auto_augment.NAME_TO_OP[timm_name](picture(), *level, **fill)
    found = OPERATIONS[name](picture(), strength, sign)
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


def test_half_of_the_drawn_operations_are_applied_all_equally_often(monkeypatch):
    applied: list[str] = []
    strengths: list[float] = []

    def recorder(name):
        def operation(image, strength, sign):
            applied.append(name)
            strengths.append(strength * sign)
            return image

        return operation

    for name in OPERATIONS:
        monkeypatch.setitem(OPERATIONS, name, recorder(name))
    draw = np.random.default_rng(3)
    image = picture()
    for _ in range(1500):
        rand_augment(image, 2, 7.0, draw)
    assert len(applied) == pytest.approx(1500, rel=0.08)
    counts = [applied.count(name) for name in OPERATIONS]
    assert min(counts) > 65
    assert max(counts) < 140
    size = np.abs(strengths)
    assert (size.mean(), size.std()) == (pytest.approx(0.7, abs=0.005), pytest.approx(0.05, abs=0.005))
    assert np.mean(np.sign(strengths)) == pytest.approx(0, abs=0.09)


def test_crops_have_the_area_and_aspect_ratio_of_the_settings():
    """The colours of a pixel are its column and row, so that a view shows the position of its crop."""
    rows, columns = (2 * np.mgrid[:128, :128]).astype(np.uint8)
    square = np.stack([columns, rows, np.zeros_like(rows)], -1)
    settings = TuneSettings(crop_area=0.3, operations=0)
    areas, ratios, flipped = [], [], 0
    for seed in range(250):
        view = random_view(square, (64, 64), settings, np.random.default_rng(seed)).astype(float)
        across, down = np.diff(view[..., 0], axis=1).mean() * 64, np.diff(view[..., 1], axis=0).mean() * 64
        flipped += across < 0
        areas.append(abs(across) * down / 256**2)
        ratios.append(abs(across) / down)
    assert 0.28 < min(areas) < 0.33
    assert np.mean(areas) == pytest.approx(0.65, abs=0.05)
    assert 0.7 < min(ratios) < 0.8
    assert 1.25 < max(ratios) < 1.4
    assert 95 < flipped < 155
    whole = TuneSettings(crop_area=1, operations=0)
    for seed in range(6):
        view = random_view(square, (128, 128), whole, np.random.default_rng(seed))
        assert np.array_equal(view, square) or np.array_equal(view, square[:, ::-1])


def test_erased_rectangles_have_the_area_and_probability_of_the_settings():
    areas, values = [], []
    for seed in range(300):
        prepared = torch.full((3, 60, 60), 7.0)
        randomly_erase(prepared, 0.25, np.random.default_rng(seed))
        erased = (prepared != 7).all(0)
        if erased.any():
            areas.append(erased.float().mean().item())
            values.append(prepared[:, erased])
            rows, columns = erased.any(1).sum(), erased.any(0).sum()
            assert rows * columns == erased.sum(), "not a rectangle"
            assert 0.25 < rows / columns < 4
    assert 55 < len(areas) < 95
    assert min(areas) > 0.015
    assert max(areas) < 0.35
    noise = torch.cat([each.flatten() for each in values])
    assert (noise.mean().item(), noise.std().item()) == (pytest.approx(0, abs=0.02), pytest.approx(1, abs=0.02))
    untouched = torch.zeros(3, 20, 20)
    randomly_erase(untouched, 0, np.random.default_rng(0))
    assert not untouched.any()


def test_prefetched_views_are_in_order_and_depend_on_their_own_stream_only():
    image = np.asarray(picture(1, 64, 64))

    def make_view(position):
        draw = np.random.default_rng((9, position))
        return random_view(image, (32, 32), TuneSettings(), draw), draw

    batches = [[3, 1], [2], [0, 4]]
    with ThreadPoolExecutor(3) as pool:
        made = list(prefetch_views(batches, make_view, pool))
    assert [len(batch) for batch in made] == [2, 1, 2]
    for positions, views in zip(batches, made, strict=True):
        for position, (pixels, _) in zip(positions, views, strict=True):
            np.testing.assert_array_equal(pixels, make_view(position)[0])
    assert len({pixels.tobytes() for views in made for pixels, _ in views}) == 5
