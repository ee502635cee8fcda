"""Settings of the verbs `list` and `doctor`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from f2vbench.config.base import ListFormat, Settings


class ListSettings(Settings):
    """Keys of `f2vbench list`."""

    root: Path = Field(Path("runs"), description="folder that `list runs` searches")
    format: ListFormat = Field("text", description="text (a summary and a table), or json (one entry per item)")


class DoctorSettings(Settings):
    """Keys of `f2vbench doctor`."""

    out: Path = Field(Path("runs"), description="folder for run folders, tested for write access")
    details: bool = Field(False, description="list every check, and how to get missing weights and data sets")
    format: ListFormat = Field("text", description="text (a summary and what has to be fixed), or json (every check)")
