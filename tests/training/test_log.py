"""The training log and its TensorBoard events."""

from __future__ import annotations

import json

import pytest

from f2vbench.loggers.tensorboard_backend import EVENTS
from f2vbench.training.log import LOG, TrainingLog


def test_a_log_removes_lines_after_the_checkpoint_and_incomplete_lines(tmp_path):
    log = TrainingLog(tmp_path, 0)
    for count in (1, 2, 3):
        log.write({"videos": count, "validation": {"psnr": 1.0}})
    log.close()
    with (tmp_path / LOG).open("ab") as file:
        file.write(b'{"videos": 4, "gan')
    TrainingLog(tmp_path, 2).close()
    assert [json.loads(line)["videos"] for line in (tmp_path / LOG).read_text().splitlines()] == [1, 2]


def test_tensorboard_events_have_the_same_numbers(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = TrainingLog(tmp_path, 0)
    log.write({"videos": 7, "gan": 0.5, "validation": {"psnr": 20.0}})
    log.close()
    events = EventAccumulator(str(tmp_path / EVENTS)).Reload()
    assert [(event.step, event.value) for event in events.Scalars("gan")] == [(7, 0.5)]
    assert [(event.step, event.value) for event in events.Scalars("validation/psnr")] == [(7, 20.0)]


class Recorder:
    """A run logger that keeps what it receives."""

    def __init__(self):
        self.lines, self.closed = [], False

    def log(self, values, step):
        self.lines.append((step, dict(values)))

    def close(self):
        self.closed = True


def test_run_loggers_receive_the_lines_and_the_settings(tmp_path, monkeypatch):
    recorder, opened = Recorder(), []

    def open_loggers(names, folder, settings, step):
        opened.append((set(names) - {"tensorboard"}, folder, settings, step))
        return [recorder]

    monkeypatch.setattr("f2vbench.training.log.open_loggers", open_loggers)
    log = TrainingLog(tmp_path, 6, ["wandb"], {"epochs": 3})
    log.write({"videos": 7, "gan": 0.5, "validation": {"psnr": 20.0}})
    log.close()
    assert opened == [({"wandb"}, tmp_path, {"epochs": 3}, 7)]
    assert recorder.lines == [(7, {"videos": 7.0, "gan": 0.5, "validation/psnr": 20.0})]
    assert recorder.closed
    assert (tmp_path / LOG).is_file()
