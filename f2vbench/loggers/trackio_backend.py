"""Trackio: a local database in TRACKIO_DIR (default: the Hugging Face cache), shown by ``trackio show``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from f2vbench.loggers.open_loggers import PROJECT, LoggedRun


class TrackioBackend:
    """A run of Trackio; calls that continue in a folder continue its run.

    Args:
        run: What is logged.
    """

    def __init__(self, run: LoggedRun):
        import trackio

        self._trackio: Any = trackio
        with redirect_stdout(StringIO()):  # it prints advice
            self._run: Any = trackio.init(
                project=os.environ.get("TRACKIO_PROJECT", PROJECT),
                name=f"{run.name}-{run.identifier[:6]}",
                config=dict(run.settings),
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Log numbers."""
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        """Write what is pending, and end the run."""
        with redirect_stdout(StringIO()):
            self._trackio.finish()


def open_run(run: LoggedRun) -> TrackioBackend:
    """Start or continue the run of a folder."""
    return TrackioBackend(run)
