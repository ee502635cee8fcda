"""The place of a training in its schedule, and the learning rate there: by epochs and by a wall-clock budget."""

from __future__ import annotations

import math

import numpy as np
import pytest

from f2vbench.training.checkpoints import TrainingPosition
from f2vbench.training.schedule import Schedule
from tests.helpers.training import mae_settings, video_settings


def factors(settings, positions, batches):
    """The learning-rate factor of each (epoch, batch)."""
    schedule = Schedule(settings, batches)
    return [schedule.learning_rate_factor(TrainingPosition(*position)) for position in positions]


def test_the_papers_rate_decays_every_fifty_batches(tmp_path):
    settings = video_settings(tmp_path, preset="paper", epochs=4, flat_epochs=0)
    found = factors(settings, [(0, 0), (0, 49), (0, 50), (3, 99)], 100)
    assert found == [1, 1, 1 - 0.5 / 4, 1 - 3.5 / 4]


def test_the_released_rate_decays_every_epoch_after_the_flat_ones(tmp_path):
    settings = video_settings(tmp_path, preset="released", epochs=50, flat_epochs=10, loss={"perceptual": 0.0})
    assert factors(settings, [(10, 0), (49, 0), (49, 99)], 100) == pytest.approx([1, 1 / 40, 1 / 40])


def test_the_rate_of_masked_autoencoders_rises_linearly_and_decays_as_half_a_cosine(tmp_path):
    settings = mae_settings(tmp_path, epochs=10, warmup_epochs=2)
    positions = [(0, 0), (0, 3), (1, 3), (2, 0), (6, 0), (7, 2), (9, 3)]
    expected = [1 / 8, 4 / 8, 1, 1, 0.5, (1 + math.cos(math.pi * 5.5 / 8)) / 2, (1 + math.cos(math.pi * 7.75 / 8)) / 2]
    assert factors(settings, positions, 4) == pytest.approx(expected)


def test_by_epochs_the_place_is_the_number_of_passes_and_the_time_has_no_influence(tmp_path):
    schedule = Schedule(video_settings(tmp_path, epochs=10, flat_epochs=0), batches=4)
    positions = [TrainingPosition(2, 3, seconds=seconds) for seconds in (0.0, 1e6)]
    assert [schedule.place(position) for position in positions] == [2.75, 2.75]
    ends = [schedule.is_done(TrainingPosition(epoch, batch, seconds=1e6)) for epoch, batch in [(9, 3), (10, 0)]]
    assert ends == [False, True]


def budgeted(folder, reserve=60.0, **changes):
    """Ten epochs in 11 minutes, of which by default the last one is for validation and export."""
    values = {"minutes": 11, "epochs": 10, "warmup_epochs": 1, "flat_epochs": 3, "fall": "cosine", **changes}
    return Schedule(video_settings(folder, **values), batches=7, reserve=reserve)


def test_by_minutes_the_place_is_the_used_share_of_the_budget_and_passes_have_no_influence(tmp_path):
    schedule = budgeted(tmp_path)
    found = [schedule.place(TrainingPosition(9, 5, seconds=seconds)) for seconds in (0, 150, 300, 600, 660, 7000)]
    assert found == pytest.approx([0, 2.5, 5, 10, 10, 10])
    assert [schedule.is_done(TrainingPosition(99, 0, seconds=seconds)) for seconds in (599.9, 600)] == [False, True]


def test_by_minutes_the_rate_warms_up_stays_and_falls_to_zero_at_the_end_of_the_budget(tmp_path):
    seconds = np.linspace(0, 600, 1201)

    def rates(**changes):
        schedule = budgeted(tmp_path, **changes)
        return np.array([schedule.learning_rate_factor(TrainingPosition(0, 0, seconds=second)) for second in seconds])

    place = seconds / 60
    for fall, decay in (("cosine", lambda x: (1 + np.cos(np.pi * x)) / 2), ("linear", lambda x: 1 - x)):
        found = rates(fall=fall)
        expected = np.where(place < 1, np.maximum(place, 1e-3), decay(np.clip((place - 3) / 7, 0, 1)))
        np.testing.assert_allclose(found, expected, atol=1e-12)
        assert found[0] > 0  # the first batch also trains
        assert found[-1] == pytest.approx(0, abs=1e-12)
        assert (np.diff(found[place <= 3]) >= 0).all()
        assert (np.diff(found[place >= 3]) <= 0).all()
    # The rate follows the time from batch to batch, whatever update_every says.
    np.testing.assert_array_equal(rates(update_every=50), rates())


def test_a_budget_that_is_shorter_than_its_end_is_over_at_once(tmp_path):
    schedule = budgeted(tmp_path, reserve=3600)
    assert not schedule.is_done(TrainingPosition())
    assert schedule.is_done(TrainingPosition(seconds=0.1))
