"""Settings of `f2vbench data`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from f2vbench.config.base import ListFormat, Names, Settings


class DataSettings(Settings):
    """Settings of `f2vbench data list`, `where`, `check` and `split`."""

    task: Names | None = Field(None, description="names of tasks; without it, `data list` shows all")
    data: str | dict[str, str] | None = Field(
        None, description="folder of the data set, or `data.<task>=folder`; default: searched in F2VBENCH_DATA"
    )
    split: Path | None = Field(None, description="check: also check a split file with the columns image and split")
    seed: int = Field(0, ge=0, description="seed index of a random split, for data sets without an official one")
    alike: float = Field(
        0.90, gt=0.5, le=1, description="check: correlation above which photographs are near-duplicates; 1 skips this"
    )
    format: ListFormat = Field("text", description="list, where: text, or json (one entry per task)")
    fields: Path | None = Field(
        None, description="check: draw the field of view of each photograph into this folder, empty or new"
    )
    out: Path | None = Field(
        None, description="check: write all findings, as .csv or .json; split: write the split, as .csv"
    )
