"""Trainings with a wall-clock budget (`minutes`): their end, stages, resumption, and budgets that are too short."""

from __future__ import annotations

import json
import time

import pytest
import torch

from f2vbench.errors import SettingsError
from f2vbench.training.checkpoints import CHECKPOINT, load_checkpoint
from f2vbench.training.export import EXPORT
from f2vbench.training.methods import GeneratorMethod
from f2vbench.training.trainer import Trainer
from tests.helpers.training import (
    CPU,
    logged_batches,
    logged_losses,
    run_training,
    train_batches,
    video_data,
    video_settings,
)


class Clock:
    """A clock that training steps and validations advance, for the trainer."""

    now = 1000.0
    step = 2.0
    validation = 2.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    """Every step of a generator takes two seconds, every validation video two, and the export none."""
    clock = Clock()
    train_step, validate = GeneratorMethod.train_step, GeneratorMethod.validate

    def timed_step(*arguments):
        clock.now += clock.step
        return train_step(*arguments)

    def timed_validation(*arguments):
        clock.now += clock.validation
        return validate(*arguments)

    monkeypatch.setattr("f2vbench.training.trainer.time", clock)
    monkeypatch.setattr(GeneratorMethod, "train_step", timed_step)
    monkeypatch.setattr(GeneratorMethod, "validate", timed_validation)
    return clock


def one_minute(folder, **changes):
    """A minute of a single-frame model, whose first half has pixel losses only."""
    values = {"model": "fundus2fa", "minutes": 1, "epochs": 10, "warmup_epochs": 1, "flat_epochs": 2, "ema": 0.0}
    values |= {"fall": "cosine", "pixel_epochs": 5, "validate_every": 5, "samples": 0, "scales": 1, "blocks": 1}
    return video_settings(folder, **{**values, **changes})


def logged_validations(folder):
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line for line in lines if "validation" in line]


def test_a_training_goes_through_all_stages_and_ends_inside_its_budget_with_its_export(tmp_path, clock):
    trainer = run_training(one_minute(tmp_path))
    # Two steps and a validation are measured first; 5 seconds are kept for the export and 1.5 × 2 × 2 for validation.
    assert clock.now - 1000 == pytest.approx(60 - 5 - 2, abs=2)
    batches = logged_batches(tmp_path)
    assert trainer.position.epoch == len(batches) // 3 > 4
    rates = [batch["rate"] / trainer.settings.learning_rate for batch in batches]
    assert max(rates) == 1
    assert rates[-1] < 0.02
    assert rates[rates.index(1) :] == sorted(rates[rates.index(1) :], reverse=True)
    is_pixel_stage = [set(losses) == {"pixel"} for losses in logged_losses(tmp_path)]
    assert is_pixel_stage == sorted(is_pixel_stage, reverse=True)
    # The measured 6 seconds belong to the first half of about 49.
    assert is_pixel_stage.index(False) == pytest.approx((49 / 2 - 6) / 2, abs=1)
    assert len(logged_validations(tmp_path)) == 2  # in the middle and at the end
    card = json.loads((tmp_path / "generator.json").read_text())
    assert card["completed"]
    assert card["videos"] == len(batches)
    assert card["seconds"] == pytest.approx(49, abs=2)


def test_a_rerun_of_a_finished_training_does_nothing_on_a_faster_machine_too(tmp_path, clock):
    run_training(one_minute(tmp_path))
    files = [tmp_path / name for name in (EXPORT, "generator.json", CHECKPOINT, "log.jsonl")]
    before, ended = [path.read_bytes() for path in files], clock.now
    clock.validation = 0.0  # a run that measured this would have 6 seconds left
    run_training(one_minute(tmp_path))
    assert clock.now == ended
    assert [path.read_bytes() for path in files] == before


def test_a_killed_training_resumes_with_the_time_that_was_left(tmp_path, clock):
    settings = one_minute(tmp_path, save_minutes=1e-9)
    train_batches(settings, video_data(), 24)  # seconds after the 6 of the measurement
    stored = load_checkpoint(tmp_path / CHECKPOINT, CPU).status.position
    assert stored.seconds == pytest.approx(6 + 24, abs=2)
    videos = stored.videos
    begun = clock.now = 5000.0  # the time between the runs does not count
    run_training(settings)
    assert stored.seconds + clock.now - begun == pytest.approx(60 - 5 - 2, abs=2)
    batches = logged_batches(tmp_path)
    assert [batch["videos"] for batch in batches] == list(range(1, len(batches) + 1))
    rates = [batch["rate"] for batch in batches]
    # The time of the new measurement is missing between the rates before and after.
    assert 0 < rates[videos - 1] - rates[videos] < 0.4 * settings.learning_rate
    assert rates[-1] < 0.02 * settings.learning_rate


def test_a_training_that_is_killed_while_it_exports_is_exported_by_the_next_run(tmp_path, clock, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("f2vbench.training.trainer.export_training", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run_training(one_minute(tmp_path))
    assert not load_checkpoint(tmp_path / CHECKPOINT, CPU).status.position.completed
    (tmp_path / EXPORT).write_bytes(b"weights that were exported in the meantime")
    run_training(one_minute(tmp_path))
    assert (tmp_path / EXPORT).stat().st_size > 1000
    assert json.loads((tmp_path / "generator.json").read_text())["completed"]


def test_a_budget_that_is_too_short_for_one_epoch_is_refused_before_the_training(tmp_path, clock):
    with pytest.raises(SettingsError, match=r"minutes=0\.25: .* the first pass over 3 videos .* raise minutes"):
        run_training(one_minute(tmp_path, minutes=0.25))
    assert not (tmp_path / CHECKPOINT).exists()
    assert not logged_batches(tmp_path)


def test_the_measurement_leaves_the_training_unchanged(tmp_path, clock):
    settings = one_minute(tmp_path)
    trainer = Trainer(settings, video_data(), CPU)
    before = {name: tensor.clone() for name, tensor in trainer.method.networks.generator.state_dict().items()}
    trainer.start_or_resume()
    trainer._plan_budget(1)
    for name, tensor in trainer.method.networks.generator.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert trainer.position.videos == 0


def test_with_the_real_clock_the_preparation_is_a_part_of_the_budget(tmp_path):
    started = time.monotonic() - 1
    trainer = run_training(one_minute(tmp_path, minutes=7 / 60), video_data(1, 1), started=started)
    assert trainer.position.completed
    assert trainer.position.seconds > 1
    assert (tmp_path / EXPORT).is_file()
