"""Windows of three frames, teacher forcing, and the knowledge mask."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from f2vbench.encoders.global_generator import window_input
from f2vbench.training.frame_windows import teacher_forcing_probability, window_target
from f2vbench.training.knowledge_mask import knowledge_mask


def test_a_window_predicts_the_next_three_frames_and_repeats_the_last_at_the_end():
    frames = torch.arange(12.0).reshape(1, 12, 1, 1).expand(5, 12, 2, 2)
    targets = window_target(frames, [0, 4, 9, 10, 11])[:, :, 1, 1].tolist()
    assert targets == [[0, 1, 2], [4, 5, 6], [9, 10, 11], [10, 11, 11], [11, 11, 11]]
    for windows in ([12, 0, 0, 0, 0], [0, 0, 0, 0, -1]):
        with pytest.raises(ValueError, match="0 to 11"):
            window_target(frames, windows)


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
