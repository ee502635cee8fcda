"""Settings of `f2vbench data`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from f2vbench.config.base import Names, Settings


class DataSettings(Settings):
    """Keys of `f2vbench data list`, `where`, `check` and `split`."""

    task: Names | None = Field(None, description="task cards by name; `data list` shows all without it")
    data: str | dict[str, str] | None = Field(
        None, description="folder of the data set, or `data.<task>=folder`; by default looked for in F2VBENCH_DATA"
    )
    split: Path | None = Field(
        None, description="check: a file with the columns image and split, to be checked as well"
    )
    seed: int = Field(0, ge=0, description="seed index of the split that is drawn where the owner gives none")
    alike: float = Field(
        0.95, gt=0.5, le=1, description="check: correlation above which two photographs are told as alike; 1 for none"
    )
    out: Path | None = Field(
        None, description="check: every finding, as .csv or .json; split: the split used, as .csv (image, split, …)"
    )
