"""The angiography camera: drawn and typical settings, exposures with and without noise, grey levels."""

from __future__ import annotations

import numpy as np
import pytest

from f2vbench.phantom.anatomy.camera import Camera
from f2vbench.phantom.imaging.angiograph_camera import draw_angiograph_camera, to_grey, typical_angiograph_camera

SIZE = 256


@pytest.mark.parametrize("haze", [0.0, 0.3, 0.9])
def test_the_typical_camera_is_the_centre_of_the_drawn_ones(haze: float) -> None:
    draw = np.random.default_rng(0)
    drawn = [draw_angiograph_camera(haze, draw) for _ in range(4000)]
    typical = typical_angiograph_camera(haze)
    for name in ("level", "falloff", "tilt", "glow", "blur", "read_noise", "shot_noise", "grain"):
        values = np.array([getattr(each, name) for each in drawn])
        tolerance = 5 * values.std(axis=0) / np.sqrt(len(values)) + 1e-9
        assert (np.abs(np.median(values, axis=0) - getattr(typical, name)) < tolerance).all(), name


def test_the_mean_of_many_exposures_is_the_exposure_without_noise() -> None:
    camera = Camera(size=SIZE, field=50, centre=(0.0, 0.0), torsion=0.0, mirrored=False)
    angiograph = typical_angiograph_camera(0.1)
    light = np.full((SIZE, SIZE), 0.2, np.float32)
    illumination = angiograph.illumination(camera)
    draw = np.random.default_rng(0)
    noisy = np.array([angiograph.expose(light, illumination, 1.0, 1, draw) for _ in range(40)], float)
    clean = angiograph.expose(light, illumination, 1.0, 1, None)
    inside = camera.field_of_view()
    assert noisy.std(axis=0)[inside].mean() > 2
    assert (noisy.mean(axis=0) - clean)[inside].mean() == pytest.approx(0, abs=0.1)


def test_grey_levels_increase_with_the_signal_up_to_white() -> None:
    grey = to_grey(np.linspace(-0.5, 5, 200, dtype=np.float32).reshape(10, 20), np.ones((10, 20), bool)).ravel()
    assert (np.diff(grey.astype(int)) >= 0).all()
    assert grey[0] == 0
    assert grey[-1] == 255
