"""Baselines with embeddings: the numbers of the colour baseline, and untrained networks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from f2vbench.data.field_of_view import field_of_view
from f2vbench.encoders.baselines.image_vectors import colour_and_texture
from f2vbench.encoders.loading import load_encoder
from f2vbench.errors import DataError

SIDE = 256


def _disc(side: int = SIDE, seed: int = 0, noise: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """A bright disc, bluer downwards, that fills a black square, and its mask."""
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    inside = np.hypot(rows, columns) <= side / 2
    grain = np.random.default_rng(seed).integers(0, noise + 1, (side, side, 3))
    tint = np.array([0, 0, 40]) * (rows[..., None] / side)
    return ((np.array([170, 90, 50]) + tint + grain) * inside[..., None]).astype(np.uint8), inside


def _full_image(seed: int = 0) -> np.ndarray:
    """A photograph without black pixels, so that its field of view is the whole image."""
    image = np.random.default_rng(seed).integers(0, 60, (SIDE, SIDE, 3)) + np.array([140, 80, 40])
    assert field_of_view(image.astype(np.uint8)).all()
    return image.astype(np.uint8)


def _lab(rgb: np.ndarray) -> np.ndarray:
    """CIE 15: sRGB to linear RGB to XYZ (D65) to L*a*b*."""
    value = rgb / 255
    linear = np.where(value > 0.04045, ((value + 0.055) / 1.055) ** 2.4, value / 12.92)
    matrix = [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
    xyz = linear @ np.array(matrix).T / (0.95047, 1, 1.08883)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def test_colour_histograms_are_in_cielab():
    image = _full_image()
    found = colour_and_texture(image)
    lab = _lab(image).reshape(-1, 3)
    limits = ((0, 100), (-20, 60), (-20, 80))
    for channel, (low, high) in enumerate(limits):
        clipped = np.clip(lab[:, channel], low, high - 1e-6)
        expected = np.histogram(clipped, bins=16, range=(low, high))[0] / len(lab)
        np.testing.assert_allclose(found[16 * channel : 16 * (channel + 1)], expected, atol=2e-4)
    np.testing.assert_allclose(found[48:51], lab.mean(0) / 100, atol=1e-5)
    np.testing.assert_allclose(found[51:54], lab.std(0) / 100, atol=1e-5)


def _patterns_by_hand(green: np.ndarray, margin: int) -> np.ndarray:
    """Shares of uniform rotation-invariant patterns, computed pixel by pixel."""
    codes, rows = [], green.tolist()
    for row in range(margin, len(green) - margin):
        for column in range(margin, len(green) - margin):
            around = []
            for step in range(8):
                y, x = row - math.sin(step * math.pi / 4), column + math.cos(step * math.pi / 4)
                top, left = math.floor(round(y, 5)), math.floor(round(x, 5))
                fy, fx = round(y, 5) - top, round(x, 5) - left
                above = (1 - fx) * rows[top][left] + (fx * rows[top][left + 1] if fx else 0)
                below = (1 - fx) * rows[top + 1][left] + (fx * rows[top + 1][left + 1] if fx else 0) if fy else 0
                around.append((1 - fy) * above + fy * below >= rows[row][column])
            changes = sum(around[i] != around[i - 1] for i in range(8))
            codes.append(sum(around) if changes <= 2 else 9)
    return np.bincount(codes, minlength=10) / len(codes)


def test_texture_is_patterns_and_gradients_at_three_scales():
    image = _full_image(1)
    found = colour_and_texture(image)[54:].reshape(3, 13)
    green = image[..., 1].astype(float)
    quarter = np.rint(green.reshape(64, 4, 64, 4).mean((1, 3)))
    np.testing.assert_allclose(found[2, :10], _patterns_by_hand(quarter, 2), atol=0.01)
    for row, scale in enumerate((1, 2, 4)):
        small = green.reshape(SIDE // scale, scale, SIDE // scale, scale).mean((1, 3)) / 255
        down, right = np.zeros_like(small), np.zeros_like(small)
        down[1:-1], right[:, 1:-1] = (small[2:] - small[:-2]) / 2, (small[:, 2:] - small[:, :-2]) / 2
        strength = np.hypot(down, right)[2:-2, 2:-2]
        np.testing.assert_allclose(found[row, 10:], np.quantile(strength, (0.5, 0.9, 0.99)), atol=2e-3)


def test_pixels_outside_the_field_of_view_are_ignored():
    disc, inside = _disc(noise=0)
    wide = np.zeros((300, 400, 3), np.uint8)
    wide[20:276, 70:326] = disc
    close, with_border = colour_and_texture(disc), colour_and_texture(wide)
    assert np.abs(close - with_border).max() < 0.05
    lightness = _lab(disc)[inside][:, 0]
    assert abs(with_border[48] - lightness.mean() / 100) < 0.01  # with the black border it would be a fifth lower


def test_histograms_sum_to_one_and_follow_the_colour():
    baseline = load_encoder("colour")
    disc, _ = _disc()
    darker = (disc * 0.6).astype(np.uint8)
    bright, dark = baseline.embed([disc, darker])
    assert bright.shape == (93,)
    assert bright.dtype == np.float32
    for vector in (bright, dark):
        np.testing.assert_allclose([vector[:16].sum(), vector[16:32].sum(), vector[32:48].sum()], 1, rtol=1e-5)
    assert bright[48] > dark[48] + 0.1
    assert np.array_equal(baseline.embed([darker])[0], dark)


def test_black_and_tiny_photographs_have_finite_vectors():
    images = [np.zeros((40, 60, 3), np.uint8), np.full((3, 2, 3), 90, np.uint8), np.full((1, 1, 3), 255, np.uint8)]
    assert np.isfinite(load_encoder("colour").embed(images)).all()


@pytest.mark.parametrize("image", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3)), np.zeros((0, 8, 3), np.uint8)])
def test_invalid_photographs_are_refused(image):
    with pytest.raises(DataError, match="image 1: must be a uint8"):
        load_encoder("colour").embed([np.zeros((8, 8, 3), np.uint8), image])


def test_a_random_network_is_untrained_and_reproducible():
    disc, _ = _disc()
    torch.manual_seed(1)
    first = load_encoder("random")
    torch.manual_seed(2)
    second = load_encoder("random")
    assert first.describe()["weights"] == "untrained"
    assert first.spec.is_baseline
    assert np.array_equal(first.embed([disc]), second.embed([disc]))
    assert first.embed([disc]).shape == (1, 512)


def test_every_residual_branch_of_the_random_network_is_active():
    encoder = load_encoder("random")
    last = [block.bn2.weight for stage in range(1, 5) for block in getattr(encoder.model, f"layer{stage}")]
    assert all(bool((weight == 1).all()) for weight in last)
    photographs = [_disc(seed=seed)[0] for seed in (0, 1)]
    photographs.append((photographs[0] * 0.5).astype(np.uint8))
    vectors = encoder.embed(photographs)
    assert np.isfinite(vectors).all()
    assert len(np.unique(vectors.round(4), axis=0)) == 3
