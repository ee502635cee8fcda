"""Windows of three frames, teacher forcing, and the knowledge mask."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from f2vbench.encoders.global_generator import window_input
from f2vbench.training.frame_windows import degraded_frames, teacher_forcing_probability, window_target
from f2vbench.training.knowledge_mask import knowledge_mask


def test_a_window_predicts_the_next_three_frames_and_repeats_the_last_at_the_end():
    frames = torch.arange(12.0).reshape(1, 12, 1, 1).expand(5, 12, 2, 2)
    targets = window_target(frames, [0, 4, 9, 10, 11])[:, :, 1, 1].tolist()
    assert targets == [[0, 1, 2], [4, 5, 6], [9, 10, 11], [10, 11, 11], [11, 11, 11]]
    for windows in ([12, 0, 0, 0, 0], [0, 0, 0, 0, -1]):
        with pytest.raises(ValueError, match="0 to 11"):
            window_target(frames, windows)


def test_a_share_of_true_frames_is_dropped_for_the_photograph_and_the_rest_is_blurred_and_noisy():
    side, videos = 24, 400
    checks = torch.from_numpy((np.indices((side, side)).sum(0) % 2 * 2.0 - 1).astype(np.float32))
    frames, photograph = checks.expand(videos, 3, side, side), torch.full((videos, 3, side, side), 0.3)
    rngs = [np.random.default_rng(video) for video in range(videos)]
    found = degraded_frames(frames, photograph, 0.3, rngs)
    dropped = (found == photograph).flatten(1).all(1)
    assert dropped.sum() == pytest.approx(0.3 * videos, abs=30)
    inner = (slice(None), slice(None), slice(6, -6), slice(6, -6))
    kept, pattern = found[~dropped][inner], checks[6:-6, 6:-6]
    # A mean filter removes the checks, so that the share of the blurred copy is what the pattern lacks.
    sharp = (kept * pattern).mean((1, 2, 3))
    noise = (kept - sharp[:, None, None, None] * pattern).std((1, 2, 3))
    assert stats.kstest(sharp.numpy(), "uniform", (0, 1)).pvalue > 1e-3
    assert stats.kstest(noise.numpy(), "uniform", (0, 0.1)).pvalue > 1e-3
    assert abs(float(np.corrcoef(sharp, noise)[0, 1])) < 0.2
    # A video has its own random numbers, wherever it is in a batch.
    again = degraded_frames(frames[:1], photograph[:1], 0.3, [np.random.default_rng(7)])
    assert torch.equal(again[0], found[7])
    assert torch.equal(degraded_frames(frames, photograph, 0.0, rngs), frames)


def test_the_first_window_receives_the_photograph_twice_and_later_ones_three_frames():
    photograph, previous = torch.rand(1, 3, 2, 2), torch.rand(1, 3, 2, 2)
    assert torch.equal(window_input(photograph, None), torch.cat([photograph, photograph], 1))
    assert torch.equal(window_input(photograph, previous)[:, 3:], previous)


def test_the_probability_of_teacher_forcing_falls_as_in_the_released_code():
    found = [teacher_forcing_probability(videos, 0.5, 1 / 11, 1000) for videos in (0, 99, 100, 200, 999, 1000, 5000)]
    assert found == pytest.approx([1 / 2, 1 / 2, 1 / 3, 1 / 4, 1 / 11, 0, 0])
    assert teacher_forcing_probability(10**6, 0.5, 0.5, None) == 0.5


def test_the_knowledge_mask_is_strictly_more_than_45_grey_levels_between_first_and_last_frame():
    first = np.array([[0, 0, 0, 200, 100]], np.uint8)
    last = np.array([[45, 46, 44, 154, 100]], np.uint8)
    middle = np.full_like(first, 255)
    frames = torch.from_numpy(np.stack([first, middle, last])[None].astype(np.float32)) / 127.5 - 1
    assert knowledge_mask(frames).tolist() == [[[[0, 1, 0, 1, 0]]]]
