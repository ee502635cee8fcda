"""MLflow: the server of MLFLOW_TRACKING_URI, or files in ``mlruns`` of the run folder."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from typing import Any

from f2vbench.loggers.open_loggers import PROJECT, LoggedRun

_TAG = "f2vbench.id"
_LONGEST_PARAMETER = 500
_PARAMETERS_IN_A_CALL = 100
_NOT_ALLOWED = re.compile(r"[^\w\-. :/]")


class MlflowBackend:
    """A run of MLflow; calls that continue in a folder continue its run.

    Args:
        run: What is logged.
    """

    def __init__(self, run: LoggedRun):
        address = os.environ.get("MLFLOW_TRACKING_URI")
        if not address:
            # MLflow 3 refuses files unless this is set, and mlflow-skinny cannot read its own default, SQLite.
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
            address = (run.folder.absolute() / "mlruns").as_uri()
        from mlflow import MlflowClient

        self._client: Any = MlflowClient(tracking_uri=address)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        found = self._client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self._client.create_experiment(name)
        earlier = self._client.search_runs([experiment], f"tags.`{_TAG}` = '{run.identifier}'", max_results=1)
        if earlier:
            self._id = earlier[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
        else:
            self._id = self._client.create_run(experiment, run_name=run.name, tags={_TAG: run.identifier}).info.run_id
            self._log_settings(run.settings)

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Log numbers; characters that MLflow refuses in names, such as @, become underscores."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(_NOT_ALLOWED.sub("_", name), value, now, step) for name, value in values.items()]
        self._client.log_batch(self._id, metrics=metrics)

    def close(self) -> None:
        """End the run."""
        self._client.set_terminated(self._id)

    def _log_settings(self, settings: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        parameters = [Param(name, str(value)[:_LONGEST_PARAMETER]) for name, value in settings.items()]
        for start in range(0, len(parameters), _PARAMETERS_IN_A_CALL):
            self._client.log_batch(self._id, params=parameters[start : start + _PARAMETERS_IN_A_CALL])


def open_run(run: LoggedRun) -> MlflowBackend:
    """Start or continue the run of a folder."""
    return MlflowBackend(run)
