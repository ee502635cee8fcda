"""The strip: positions of photograph and frames, and labels of the phases."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from f2vbench.videos.strip import TILE, StripText, draw_strip


def test_frames_are_in_reading_order_to_the_right_of_the_photograph():
    photograph = np.full((50, 50, 3), (200, 100, 50), np.uint8)
    frames = np.stack([np.full((50, 50), 15 + 18 * number, np.uint8) for number in range(12)])
    page = np.array(Image.open(io.BytesIO(draw_strip(photograph, frames, StripText(True, "")))))
    pixels = [np.argwhere((page == level).all(axis=2)) for level in frames[:, 0, 0]]
    centres = np.array([np.median(found, axis=0) for found in pixels])
    rows, columns = centres.reshape(3, 4, 2)[..., 0], centres.reshape(3, 4, 2)[..., 1]
    assert (np.ptp(rows, axis=1) < 4).all()  # four frames in a row
    assert (np.diff(rows.mean(axis=1)) > TILE).all()
    assert (np.diff(columns, axis=1) > TILE).all()
    assert all(0.9 * TILE**2 < len(found) <= TILE**2 for found in pixels)  # numbers cover a small part
    large = np.argwhere((page == (200, 100, 50)).all(axis=2))
    assert large[:, 1].max() < columns.min() - TILE / 2
    assert (large[:, 0].min(), large[:, 0].max()) == (pixels[0][:, 0].min(), pixels[-1][:, 0].max())


def test_only_strips_of_videos_name_the_phases():
    photograph, frames = np.zeros((20, 20, 3), np.uint8), np.zeros((4, 20, 20), np.uint8)
    assert len({draw_strip(photograph, frames, StripText(phases, "x")) for phases in (True, False)}) == 2


def test_strips_of_any_length_with_a_long_footer_have_a_row_for_each_four_frames():
    photograph = np.zeros((20, 20, 3), np.uint8)
    for count in (1, 5, 8, 14):
        strip = draw_strip(photograph, np.zeros((count, 20, 20), np.uint8), StripText(True, "x" * 400))
        assert Image.open(io.BytesIO(strip)).height >= -(-count // 4) * TILE
