"""Open the run loggers of a training or a run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from f2vbench.config.base import flatten
from f2vbench.config.run_loggers import LoggerName
from f2vbench.errors import F2VBenchError, SettingsError, StoreError

PROJECT = "f2vbench"
"""Project or experiment of a logger, unless an environment variable of the logger names another."""
LOCAL_FOLDERS = ("tensorboard", "wandb", "mlruns")
"""Folders that loggers write in the folder of a training or run."""


class LoggedRun(NamedTuple):
    """What is logged.

    Attributes:
        folder: Folder of the training or run; local files of a logger are in it.
        settings: Settings by dotted key.
        first_step: First step that will be logged; later ones are from before an interruption.
    """

    folder: Path
    settings: Mapping[str, Any]
    first_step: int

    @property
    def name(self) -> str:
        """Name of the run: that of its folder."""
        return self.folder.absolute().name

    @property
    def identifier(self) -> str:
        """The same for every call that continues in this folder."""
        return hashlib.sha256(str(self.folder.absolute()).encode()).hexdigest()[:16]


class Backend(Protocol):
    """A run logger of another package."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Log numbers by name at a step."""

    def close(self) -> None:
        """Write what is pending, and end."""


class RunLogger:
    """A run logger whose errors name the value of ``log=`` that selects it.

    Args:
        name: Name of the logger.
        run: What is logged.

    Raises:
        StoreError: The logger can't be used, for example without login.
    """

    def __init__(self, name: LoggerName, run: LoggedRun):
        self._name = name
        with self._errors():
            self._backend: Backend = import_module(f"f2vbench.loggers.{name}_backend").open_run(run)

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Log numbers at a step.

        Args:
            values: Numbers by name.
            step: Number of the step; not less than that of an earlier call.

        Raises:
            StoreError: The logger failed.
        """
        with self._errors():
            self._backend.log(values, step)

    def close(self) -> None:
        """Write what is pending, and end.

        Raises:
            StoreError: The logger failed.
        """
        with self._errors():
            self._backend.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except F2VBenchError:
            raise
        except Exception as error:  # each package has its own classes of errors
            reason = " ".join(str(error).split()) or type(error).__name__
            raise StoreError(
                f"log={self._name}: {reason}; leave log={self._name} out to continue without it"
            ) from error


def check_loggers(names: Iterable[LoggerName]) -> None:
    """Refuse loggers whose package is not installed.

    Args:
        names: Names of loggers.

    Raises:
        SettingsError: A package is missing; the message has the line that installs it.
    """
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise SettingsError(
            [f'log={name}: not installed; run `pip install "f2vbench[{name}]"`, or leave it out' for name in missing]
        )


def open_loggers(names: Iterable[LoggerName], folder: Path, settings: Mapping[str, Any], step: int) -> list[RunLogger]:
    """Open run loggers.

    Args:
        names: Names of loggers.
        folder: Folder of the training or run.
        settings: Settings, which may be nested.
        step: First step that will be logged.

    Raises:
        SettingsError: A package is not installed.
        StoreError: A logger can't be used.
    """
    names = list(names)
    check_loggers(names)
    run = LoggedRun(folder, flatten(dict(settings)), step)
    return [RunLogger(name, run) for name in names]
