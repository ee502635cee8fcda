"""Fréchet distances against SciPy's matrix root, closed forms and features computed by hand."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from scipy.linalg import sqrtm

from f2vbench.errors import WeightsError
from f2vbench.metrics.frechet import frechet_distance, stand_in_features
from f2vbench.metrics.i3d import fvd, i3d_features, load_i3d
from tests.helpers.video_networks import block_means, frames


def _whitened(count: int, width: int, seed: int) -> np.ndarray:
    """Features whose sample mean is exactly 0 and whose sample covariance is exactly the identity."""
    draws = np.random.default_rng(seed).normal(size=(count, width))
    return np.linalg.qr(draws - draws.mean(axis=0))[0] * math.sqrt(count - 1)


def test_the_frechet_distance_of_diagonal_gaussians_has_its_closed_form():
    mean, first, second = np.array([1.0, -2, 0]), np.array([1.0, 2, 0.5]), np.array([3.0, 2, 0.1])
    result = frechet_distance(_whitened(50, 3, 0) * first, mean + _whitened(80, 3, 1) * second)
    assert result.value == pytest.approx(np.sum(mean**2) + np.sum((first - second) ** 2), abs=1e-10)
    assert (result.real, result.fake, result.features, result.caution) == (50, 80, 3, None)


@pytest.mark.parametrize(("real_count", "fake_count"), [(60, 45), (9, 14), (60, 9)])
def test_the_frechet_distance_equals_the_matrix_root_of_scipy(real_count, fake_count):
    draw = np.random.default_rng(5)
    mix = draw.normal(size=(20, 20))
    real, fake = draw.normal(size=(real_count, 20)) @ mix, draw.normal(size=(fake_count, 20)) + 0.3
    first, second = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    shift = real.mean(axis=0) - fake.mean(axis=0)
    # SciPy's root of a singular product is inaccurate; a small ridge on both makes it usable as a reference.
    ridge = 1e-9 * np.eye(20)
    root = np.trace(sqrtm((first + ridge) @ (second + ridge)).real)
    expected = shift @ shift + np.trace(first) + np.trace(second) - 2 * root
    if min(real_count, fake_count) < 20:
        with pytest.warns(UserWarning, match=f"N = {min(real_count, fake_count)} videos for 20 features"):
            result = frechet_distance(real, fake)
    else:
        result = frechet_distance(real, fake)
    assert result.value == pytest.approx(expected, rel=1e-4)


def test_the_distance_of_equal_sets_is_zero_and_the_distance_is_symmetric():
    draw = np.random.default_rng(2)
    real, fake = draw.normal(size=(30, 6)), 2 * draw.normal(size=(40, 6))
    assert frechet_distance(real, real[::-1]).value == pytest.approx(0, abs=1e-12)
    assert frechet_distance(real, fake).value == pytest.approx(frechet_distance(fake, real).value)


@pytest.mark.parametrize(("videos", "features"), [(60, 4), (12, 24)])
@pytest.mark.filterwarnings("ignore:N = ")
def test_the_interval_is_reproducible_and_covers_the_expected_distance_of_sets_of_this_size(videos, features):
    def sets(seed: int) -> tuple[np.ndarray, np.ndarray]:
        draw = np.random.default_rng(seed)
        return draw.normal(size=(videos, features)), 0.5 + 1.5 * draw.normal(size=(videos, features))

    expected = np.mean([frechet_distance(*sets(seed)).value for seed in range(1000, 1300)])
    results = [frechet_distance(*sets(seed), resamples=100, seed=1) for seed in range(40)]
    assert results[3] == frechet_distance(*sets(3), resamples=100, seed=1)
    assert sum(one.low <= expected <= one.high for one in results) >= 36
    assert np.mean([one.high - one.low for one in results]) < 6.5 * np.std([one.value for one in results])


def test_stand_in_features_of_a_blinking_checkerboard_equal_those_computed_by_hand():
    board = np.indices((64, 64)).sum(axis=0) % 2
    video = np.stack([0.5 + 0.25 * (1 - 2 * board) * (-1) ** t for t in range(8)])
    features = stand_in_features(video)
    no_signal = np.log(1 / 255)
    bands, brightness = features[:32].reshape(4, 2, 4), features[32:]
    assert bands[0, 0] == pytest.approx(np.log(1 / 255 + 0.25))  # all detail is in the finest band …
    assert bands[1:3] == pytest.approx(no_signal)
    assert bands[0, 1, 1:] == pytest.approx(np.log(1 / 255 + 0.5))  # … and changes by twice its size in each step;
    assert bands[0, 1, 0] == pytest.approx(np.log(1 / 255 + 0.5 / np.sqrt(2)))  # the first frame has no step
    assert bands[3] == pytest.approx(np.repeat([np.log(1 / 255 + 0.5), no_signal], 4).reshape(2, 4))
    assert brightness == pytest.approx(0.5)


def test_i3d_receives_the_resized_centre_in_minus_one_to_one(tiny_i3d):
    network = load_i3d(tiny_i3d.path, card=tiny_i3d.card)
    video, _ = frames(10, 64, 96)
    resized = np.stack([cv2.resize(f, (336, 224), interpolation=cv2.INTER_LINEAR) for f in video])
    assert i3d_features(video, network) == pytest.approx(block_means(2 * resized[:, :, 56:280] - 1), abs=1e-5)


def test_fvd_is_the_frechet_distance_of_i3d_features(tiny_i3d):
    network = load_i3d(tiny_i3d.path, card=tiny_i3d.card)
    draw = np.random.default_rng(0)
    real, fake = (np.repeat(np.repeat(draw.random((5, 10, 4, 4)), 56, 2), 56, 3) for _ in range(2))
    first, second = (np.stack([block_means(2 * v - 1) for v in videos]) for videos in (real, fake))
    expected = np.square(first.mean(0) - second.mean(0)).sum()
    c1, c2 = (np.cov(f, rowvar=False) for f in (first, second))
    expected += np.trace(c1) + np.trace(c2) - 2 * np.sqrt(np.clip(np.linalg.eigvals(c1 @ c2).real, 0, None)).sum()
    with pytest.warns(UserWarning, match="N = 5"):
        result = fvd(real, fake, network)
    assert result.value == pytest.approx(expected, rel=1e-3)
    with pytest.raises(ValueError, match="at least 10 frames"):
        fvd(real[:, :9], fake[:, :9], network)


def test_torchscript_is_run_only_if_it_is_the_file_of_its_card(tiny_i3d):
    with pytest.raises(WeightsError, match="bytes, but i3d_torchscript"):
        load_i3d(tiny_i3d.path)
