"""Names of the run loggers, as the settings of trainings and runs have them."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator

from f2vbench.config.base import split_list, unique

LoggerName = Literal["wandb", "mlflow", "trackio", "tensorboard"]
LOGGERS: tuple[LoggerName, ...] = get_args(LoggerName)
LoggerNames = Annotated[list[LoggerName], BeforeValidator(lambda value: unique(split_list(value)))]
"""Distinct names of run loggers, possibly none."""
