"""Weights & Biases: online, or offline with WANDB_MODE=offline; local files are in ``wandb`` of the run folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from f2vbench.errors import StoreError
from f2vbench.loggers.open_loggers import PROJECT, LoggedRun


class WandbBackend:
    """A run of Weights & Biases; calls that continue in a folder continue its run.

    Args:
        run: What is logged.

    Raises:
        StoreError: There is no login, and WANDB_MODE is not ``offline``.
    """

    def __init__(self, run: LoggedRun):
        import wandb

        run.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._run: Any = wandb.init(
                dir=str(run.folder),
                project=os.environ.get("WANDB_PROJECT", PROJECT),
                name=run.name,
                id=run.identifier,
                resume="allow",
                config=dict(run.settings),
                settings=wandb.Settings(
                    silent=True, console="off", disable_git=True, save_code=False, x_disable_stats=True
                ),
            )
        except wandb.errors.UsageError as error:
            raise StoreError(
                f"log=wandb: {' '.join(str(error).split())} Run `wandb login`, or set WANDB_MODE=offline to keep the "
                "log in the run folder (`wandb sync` uploads it later)"
            ) from error

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Log numbers; steps before the last one are ignored by Weights & Biases."""
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        """Write what is pending, and end the run."""
        self._run.finish()


def open_run(run: LoggedRun) -> WandbBackend:
    """Start or continue the run of a folder."""
    return WandbBackend(run)
