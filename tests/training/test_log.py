"""The training log and its TensorBoard events."""

from __future__ import annotations

import json

import pytest

from f2vbench.training.log import EVENTS, LOG, TrainingLog


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
