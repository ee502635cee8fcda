"""Settings of `f2vbench leaderboard`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from f2vbench.config.base import Names, Paths, Settings


class LeaderboardSettings(Settings):
    """Keys of `f2vbench leaderboard`."""

    positional_key: ClassVar[str | None] = "runs"

    runs: Paths = Field(
        description="run folders, such as runs/*; `runs=` may be left out. Folders that are no benchmark runs are "
        "named and left out"
    )
    metric: Names | None = Field(
        None,
        description="metrics of the tables; the first that a task has orders its models (default: the main metrics of "
        "each task family)",
    )
    title: str = Field("Leaderboard of retinal encoders", min_length=1, max_length=200, description="title of the page")
    published: bool = Field(True, description="show values that papers publish, in rows marked as not measured here")
    out: Path = Field(
        Path("leaderboard"), description="folder for leaderboard.html, leaderboard.json and leaderboard.csv"
    )
