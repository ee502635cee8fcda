"""TensorBoard: event files in ``tensorboard`` of the run folder."""

from __future__ import annotations

from collections.abc import Mapping

from f2vbench.loggers.open_loggers import LoggedRun

EVENTS = "tensorboard"


class TensorboardBackend:
    """Writer of event files; events from before an interruption are purged.

    Args:
        run: What is logged.
    """

    def __init__(self, run: LoggedRun):
        from torch.utils.tensorboard import SummaryWriter

        self._events = SummaryWriter(str(run.folder / EVENTS), purge_step=run.first_step)

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Log numbers."""
        for name, value in values.items():
            self._events.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is pending, and close the file."""
        self._events.close()


def open_run(run: LoggedRun) -> TensorboardBackend:
    """Open event files in a folder."""
    return TensorboardBackend(run)
