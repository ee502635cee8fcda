"""The field of view of photographs: percentiles of grey levels, and the region with the sharpest round border."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from f2vbench.data.field_of_view import field_of_view, grey_level_percentiles


@pytest.mark.parametrize("count", [1, 2, 7, 1000])
def test_percentiles_of_a_histogram_are_numpys_to_the_bit(count):
    draw = np.random.default_rng(count)
    percentages = (0, 1, 10, 50, 90, 99.7, 100)
    for levels in (1, 3, 256):
        values = draw.integers(0, levels, count).astype(np.uint8)
        found = grey_level_percentiles(np.bincount(values, minlength=256), percentages)
        assert found == [float(np.percentile(values, percentage)) for percentage in percentages]


def test_the_field_is_a_disc_of_the_brightest_channel_or_of_the_colour_that_differs_from_the_corners():
    rows, columns = np.mgrid[:300, :320]
    disc = np.hypot(rows - 150, columns - 160) < 130
    noise = np.random.default_rng(0).integers(0, 6, (300, 320, 3))
    on_black = disc[..., None] * np.array([150, 90, 40])
    on_film = np.where(disc[..., None], [150, 90, 40], [60, 150, 60])
    for pixels in (on_black, on_film):
        found = field_of_view((pixels + noise).astype(np.uint8))
        assert (found & disc).sum() / (found | disc).sum() > 0.98


def test_an_opening_of_grey_levels_commutes_with_thresholds():
    draw = np.random.default_rng(1)
    channel = cv2.GaussianBlur(draw.integers(0, 256, (200, 180)).astype(np.uint8), (0, 0), 2)
    channel = cv2.normalize(channel, None, 0, 255, cv2.NORM_MINMAX)
    cv2.line(channel, (0, 20), (179, 60), 255, 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    opened = cv2.morphologyEx(channel, cv2.MORPH_OPEN, disc)
    for threshold in (40.5, 90, 127.3, 200):
        mask = cv2.morphologyEx((channel > threshold).astype(np.uint8), cv2.MORPH_OPEN, disc)
        np.testing.assert_array_equal(opened > threshold, mask > 0)
