"""Run loggers of a benchmark: means over seeds with the number of support images as step."""

from __future__ import annotations

import pytest

from f2vbench import Benchmark, Results
from f2vbench.benchmark import _log_means
from f2vbench.config.parsing import build
from f2vbench.config.run import RunSettings
from f2vbench.errors import SettingsError
from tests.helpers.stored_runs import grid


class Recorder:
    """A run logger that keeps what it receives."""

    def __init__(self):
        self.lines, self.closed = [], False

    def log(self, values, step):
        self.lines.append((step, dict(values)))

    def close(self):
        self.closed = True


def settings_with(**values):
    return build(RunSettings, {"task": "rite", "model": "fundus2video:untrained", **values})


def test_means_over_seeds_are_logged_with_the_number_of_shots_as_step(monkeypatch, tmp_path):
    recorder, opened = Recorder(), []
    monkeypatch.setattr("f2vbench.benchmark.open_loggers", lambda *given: opened.append(given) or [recorder])
    results = Results(grid({"net.v2": 0.9, "b": 0.6}, task="rite", seeds=3, shots=(4, 0)))
    _log_means(settings_with(log="trackio", out=str(tmp_path)), results)
    assert [step for step, _ in recorder.lines] == [0, 4]
    frame = results.frame.query("encoder == 'net.v2' and metric == 'auroc' and shots == 4")
    assert recorder.lines[1][1]["rite/few-shot/net.v2/auroc"] == pytest.approx(frame.value.mean())
    assert len(recorder.lines[1][1]) == 4
    assert recorder.closed
    ((names, folder, given, first),) = opened
    assert (names, folder, first) == (["trackio"], tmp_path, 0)
    assert given["task"] == ["rite"]
    assert "log" not in given


def test_nothing_is_logged_without_a_logger(monkeypatch):
    monkeypatch.setattr("f2vbench.benchmark.open_loggers", lambda *_: pytest.fail("opened"))
    _log_means(settings_with(), Results(grid({"a": 0.9}, seeds=1)))


def test_a_missing_package_stops_a_run_before_anything_else(monkeypatch, tmp_path):
    monkeypatch.setattr("f2vbench.loggers.open_loggers.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r'pip install "f2vbench\[wandb\]"'):
        Benchmark(settings_with(log="wandb", data=str(tmp_path / "nowhere"), out=str(tmp_path / "run"))).run()
    assert not (tmp_path / "run").exists()
