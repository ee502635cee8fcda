"""Views that encoders are trained on, against timm's operations and by what they have to be."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from f2vbench.adapters.augmentation import erase, made_ahead, random_view
from f2vbench.adapters.rand_augment import OPERATIONS, rand_augment
from f2vbench.config.run import TuneSettings
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
    "raise-dark": "SolarizeAdd",
    "colour": "ColorIncreasing",
    "contrast": "ContrastIncreasing",
    "brightness": "BrightnessIncreasing",
    "sharpness": "SharpnessIncreasing",
    "shear-x": "ShearX",
    "shear-y": "ShearY",
    "move-x": "TranslateXRel",
    "move-y": "TranslateYRel",
}


def picture(seed: int = 0, height: int = 40, width: int = 52) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(10, 240, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def test_the_operations_are_those_of_the_recipe():
    recipe = auto_augment.rand_augment_transform("rand-m9-mstd0.5-inc1", {})
    assert {NAMES[name] for name in OPERATIONS} == {operation.name for operation in recipe.ops}
    assert {(op.prob, op.magnitude, op.magnitude_std) for op in recipe.ops} == {(0.5, 9, 0.5)}
    assert recipe.num_layers == TuneSettings().operations
    assert recipe.ops[0].magnitude == TuneSettings().magnitude


@pytest.mark.parametrize("name", list(OPERATIONS))
@pytest.mark.parametrize("strength", [0.0, 0.35, 0.9, 1.0])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_an_operation_is_timms_at_the_same_strength(name, strength, sign, monkeypatch):
    monkeypatch.setattr(auto_augment.random, "random", lambda: 0.2 if sign > 0 else 0.8)  # above a half is negative
    theirs = NAMES[name]
    given = auto_augment.LEVEL_TO_ARG[theirs]
    level = given(10 * strength, {}) if given else ()
    if level == (0,) and name == "posterise":
        level = (1,)  # no picture is left with 0 bits, and Pillow refuses them
    fill = {"fillcolor": (0, 0, 0), "resample": Image.Resampling.BICUBIC}
    expected = auto_augment.NAME_TO_OP[theirs](picture(), *level, **fill)
    found = OPERATIONS[name](picture(), strength, sign)
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


def test_half_of_the_operations_are_done_each_as_often_as_any_other(monkeypatch):
    done: list[str] = []
    strengths: list[float] = []

    def noted(name):
        def operation(shown, strength, sign):
            done.append(name)
            strengths.append(strength * sign)
            return shown

        return operation

    for name in OPERATIONS:
        monkeypatch.setitem(OPERATIONS, name, noted(name))
    draw = np.random.default_rng(3)
    shown = picture()
    for _ in range(1500):
        rand_augment(shown, 2, 7.0, draw)
    assert len(done) == pytest.approx(1500, rel=0.08)
    counts = [done.count(name) for name in OPERATIONS]
    assert min(counts) > 65
    assert max(counts) < 140
    size = np.abs(strengths)
    assert (size.mean(), size.std()) == (pytest.approx(0.7, abs=0.005), pytest.approx(0.05, abs=0.005))
    assert np.mean(np.sign(strengths)) == pytest.approx(0, abs=0.09)


def test_parts_are_of_the_share_and_ratio_asked_for():
    """The column and row of each pixel are its colours, so a view tells which part it shows."""
    rows, columns = (2 * np.mgrid[:128, :128]).astype(np.uint8)
    square = np.stack([columns, rows, np.zeros_like(rows)], -1)
    settings = TuneSettings(crop_area=0.3, operations=0)
    shares, ratios, mirrored = [], [], 0
    for seed in range(250):
        view = random_view(square, (64, 64), settings, np.random.default_rng(seed)).astype(float)
        across, down = np.diff(view[..., 0], axis=1).mean() * 64, np.diff(view[..., 1], axis=0).mean() * 64
        mirrored += across < 0
        shares.append(abs(across) * down / 256**2)
        ratios.append(abs(across) / down)
    assert 0.28 < min(shares) < 0.33
    assert np.mean(shares) == pytest.approx(0.65, abs=0.05)
    assert 0.7 < min(ratios) < 0.8
    assert 1.25 < max(ratios) < 1.4
    assert 95 < mirrored < 155
    whole = TuneSettings(crop_area=1, operations=0)
    for seed in range(6):
        view = random_view(square, (128, 128), whole, np.random.default_rng(seed))
        assert np.array_equal(view, square) or np.array_equal(view, square[:, ::-1])


def test_rectangles_of_noise_take_their_share():
    shares, values = [], []
    for seed in range(300):
        prepared = torch.full((3, 60, 60), 7.0)
        erase(prepared, 0.25, np.random.default_rng(seed))
        gone = (prepared != 7).all(0)
        if gone.any():
            shares.append(gone.float().mean().item())
            values.append(prepared[:, gone])
            rows, columns = gone.any(1).sum(), gone.any(0).sum()
            assert rows * columns == gone.sum(), "one rectangle"
            assert 0.25 < rows / columns < 4
    assert 55 < len(shares) < 95
    assert min(shares) > 0.015
    assert max(shares) < 0.35
    noise = torch.cat([each.flatten() for each in values])
    assert (noise.mean().item(), noise.std().item()) == (pytest.approx(0, abs=0.02), pytest.approx(1, abs=0.02))
    untouched = torch.zeros(3, 20, 20)
    erase(untouched, 0, np.random.default_rng(0))
    assert not untouched.any()


def test_views_come_in_order_and_follow_from_their_own_stream():
    shown = np.asarray(picture(1, 64, 64))

    def make(place):
        draw = np.random.default_rng((9, place))
        return random_view(shown, (32, 32), TuneSettings(), draw), draw

    batches = [[3, 1], [2], [0, 4]]
    with ThreadPoolExecutor(3) as pool:
        made = list(made_ahead(batches, make, pool))
    assert [len(batch) for batch in made] == [2, 1, 2]
    for places, views in zip(batches, made, strict=True):
        for place, (pixels, _) in zip(places, views, strict=True):
            np.testing.assert_array_equal(pixels, make(place)[0])
    assert len({pixels.tobytes() for views in made for pixels, _ in views}) == 5
