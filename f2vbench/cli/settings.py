"""Settings of the verbs `list` and `doctor`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from f2vbench.config.base import Settings


class ListSettings(Settings):
    """Keys of `f2vbench list`."""

    root: Path = Field(Path("runs"), description="folder that `list runs` searches")


class DoctorSettings(Settings):
    """Keys of `f2vbench doctor`."""

    out: Path = Field(Path("runs"), description="folder for run folders, tested for write access")
