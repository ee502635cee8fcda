"""Run loggers: numbers and settings are read back with each package; what is missing is named with its remedy."""

from __future__ import annotations

import importlib.util
import json
import sqlite3

import pytest

from f2vbench.config.run_loggers import LOGGERS
from f2vbench.errors import SettingsError, StoreError
from f2vbench.loggers.open_loggers import check_loggers, open_loggers

SETTINGS = {"epochs": 3, "loss": {"gan": 2.0}}


def log_two_steps(name, folder):
    (logger,) = open_loggers([name], folder, SETTINGS, 0)
    logger.log({"videos": 4, "validation/psnr": 20.5}, 4)
    logger.log({"recall@1": 0.25}, 8)
    logger.close()


def test_a_missing_package_is_an_error_with_the_line_that_installs_it(monkeypatch, tmp_path):
    monkeypatch.setattr("f2vbench.loggers.open_loggers.find_spec", lambda name: None)
    with pytest.raises(SettingsError) as error:
        check_loggers(LOGGERS)
    assert error.value.problems == [
        f'log={name}: not installed; run `pip install "f2vbench[{name}]"`, or leave it out' for name in LOGGERS
    ]
    with pytest.raises(SettingsError):
        open_loggers(["mlflow"], tmp_path, {}, 0)
    assert not list(tmp_path.iterdir())


def test_errors_of_a_logger_name_its_setting(monkeypatch, tmp_path):
    class Broken:
        def open_run(self, run):
            raise ValueError("no  room")

    monkeypatch.setattr("f2vbench.loggers.open_loggers.find_spec", lambda name: object())
    monkeypatch.setattr("f2vbench.loggers.open_loggers.import_module", lambda name: Broken())
    with pytest.raises(StoreError, match=r"log=trackio: no room; leave log=trackio out to continue without it"):
        open_loggers(["trackio"], tmp_path, {}, 0)


def test_tensorboard_events(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed: f2vbench[tensorboard]")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log_two_steps("tensorboard", tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("validation/psnr")] == [(4, 20.5)]


def test_mlflow_files_and_a_second_call_continues_the_run(tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="mlflow is not installed: f2vbench[mlflow]")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_ALLOW_FILE_STORE"):
        monkeypatch.delenv(name, raising=False)
    log_two_steps("mlflow", tmp_path)
    log_two_steps("mlflow", tmp_path)
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=(tmp_path / "mlruns").as_uri())
    experiment = client.get_experiment_by_name("f2vbench")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == tmp_path.name
    assert run.info.status == "FINISHED"
    assert run.data.params == {"epochs": "3", "loss.gan": "2.0"}
    history = client.get_metric_history(run.info.run_id, "validation/psnr")
    assert [(metric.step, metric.value) for metric in history] == [(4, 20.5), (4, 20.5)]
    assert [metric.step for metric in client.get_metric_history(run.info.run_id, "recall_1")] == [8, 8]


def test_wandb_offline_keeps_the_log_in_the_run_folder(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb", reason="wandb is not installed: f2vbench[wandb]")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    log_two_steps("wandb", tmp_path)
    wandb.teardown()  # it reads WANDB_MODE once in a process
    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    content = file.read_bytes()
    for text in (b"validation/psnr", b"20.5", b"recall@1", b"loss.gan", b"f2vbench"):
        assert text in content, text


def test_wandb_without_login_says_how_to_continue(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="wandb is not installed: f2vbench[wandb]")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with pytest.raises(StoreError, match=r"log=wandb: .*WANDB_MODE=offline"):
        open_loggers(["wandb"], tmp_path / "run", SETTINGS, 0)


def test_trackio_database(tmp_path, monkeypatch):
    if importlib.util.find_spec("trackio") is None:
        pytest.skip("trackio is not installed: f2vbench[trackio]")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    monkeypatch.delenv("TRACKIO_PROJECT", raising=False)
    log_two_steps("trackio", tmp_path / "run")
    (database,) = (tmp_path / "trackio").glob("*.db")
    with sqlite3.connect(database) as connection:
        rows = connection.execute("select run_name, step, metrics from metrics order by step").fetchall()
        (config,) = connection.execute("select config from configs").fetchone()
    assert [(step, json.loads(metrics)) for _, step, metrics in rows] == [
        (4, {"videos": 4, "validation/psnr": 20.5}),
        (8, {"recall@1": 0.25}),
    ]
    assert rows[0][0].startswith("run-")
    assert json.loads(config).items() >= {"epochs": 3, "loss.gan": 2.0}.items()
