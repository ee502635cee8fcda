"""The learning-rate schedules of the presets."""

from __future__ import annotations

import math

import pytest

from f2vbench.training.lr_schedule import learning_rate_factor
from tests.helpers.training import mae_settings, video_settings


def test_the_papers_rate_decays_every_fifty_batches(tmp_path):
    settings = video_settings(tmp_path, preset="paper", epochs=4, flat_epochs=0)
    found = [learning_rate_factor(settings, epoch, batch, 100) for epoch, batch in [(0, 0), (0, 49), (0, 50), (3, 99)]]
    assert found == [1, 1, 1 - 0.5 / 4, 1 - 3.5 / 4]


def test_the_released_rate_decays_every_epoch_after_the_flat_ones(tmp_path):
    settings = video_settings(tmp_path, preset="released", epochs=50, flat_epochs=10, loss={"perceptual": 0.0})
    assert learning_rate_factor(settings, 10, 0, 100) == 1
    assert learning_rate_factor(settings, 49, 0, 100) == pytest.approx(1 / 40)


def test_the_rate_of_masked_autoencoders_rises_linearly_and_decays_as_half_a_cosine(tmp_path):
    settings = mae_settings(tmp_path, epochs=10, warmup_epochs=2)
    positions = [(0, 0), (0, 3), (1, 3), (2, 0), (6, 0), (7, 2), (9, 3)]
    found = [learning_rate_factor(settings, *position, 4) for position in positions]
    expected = [1 / 8, 4 / 8, 1, 1, 0.5, (1 + math.cos(math.pi * 5.5 / 8)) / 2, (1 + math.cos(math.pi * 7.75 / 8)) / 2]
    assert found == pytest.approx(expected)
