"""Trainings that diverge or collapse are stopped."""

from __future__ import annotations

import pytest

from f2vbench.training.checkpoints import CHECKPOINT, load_checkpoint
from f2vbench.training.divergence import DivergenceCheck, TrainingError
from tests.helpers.training import CPU, run_training, video_settings


def test_a_loss_that_is_not_finite_is_named():
    with pytest.raises(TrainingError, match=r"epoch 3: training diverged \(gan not finite\).*learning_rate"):
        DivergenceCheck().check({"gan": float("nan"), "contrast": 1.0}, "epoch 3")


def test_fifty_batches_of_uniform_output_are_a_collapse():
    check = DivergenceCheck()
    for _ in range(49):
        check.check({"contrast": 0.001}, "epoch 3")
    with pytest.raises(TrainingError, match="uniform for 50 batches"):
        check.check({"contrast": 0.001}, "epoch 3")


def test_divergence_is_detected_before_the_checkpoint_is_overwritten(tmp_path):
    with pytest.raises(TrainingError, match="diverged"):
        run_training(video_settings(tmp_path, windows=1, learning_rate=1e30, save_minutes=1e-9))
    generator = load_checkpoint(tmp_path / CHECKPOINT, CPU).networks["generator"]
    assert all(value.isfinite().all() for value in generator.values())
