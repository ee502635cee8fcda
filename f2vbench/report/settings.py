"""Keys of `f2vbench report`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from f2vbench.config.run import Names, Settings
from f2vbench.errors import did_you_mean
from f2vbench.stats.procedure import Adjustment, SeedTest

TABLE_FORMATS = ("html", "csv", "md", "latex", "parquet")
FIGURE_FORMATS = ("pdf", "svg", "png")


class ReportSettings(Settings):
    """Keys of `f2vbench report`."""

    run: Names | None = Field(None, description="run folders, reported together; by default the latest below ./runs")
    metric: Names | None = Field(
        None, description="metrics of the tables; by default the main ones of each task; `all` for every one"
    )
    baseline: str | None = Field(
        None, description="model to compare with the best other (default: the first model that is no baseline)"
    )
    format: Names = Field(
        ["html", "csv", "pdf"],
        description="what is written: html (one page that needs nothing else); csv, md and latex for tables; parquet "
        "for long tables (wants pyarrow); pdf, svg and png for figures",
    )
    figures: Names = Field(["all"], description="figures by name, all that the runs give something for, or none")
    style: str = Field("nature", description="widths and sizes of figures: nature, lncs or slides")
    second: bool = Field(False, description="mark the second best of each column in LaTeX and Markdown")
    test: SeedTest = Field(
        "paired",
        description="t-test over seeds: paired, over shared seeds as in the papers, or welch, over all of each",
    )
    adjust: Adjustment = Field(
        "holm", description="of p-values for the number of comparisons: holm, or bh for Benjamini–Hochberg"
    )
    out: Path | None = Field(None, description="folder to write to (default: the first run folder)")

    @field_validator("format")
    @classmethod
    def _can_be_written(cls, formats: list[str]) -> list[str]:
        known = (*TABLE_FORMATS, *FIGURE_FORMATS)
        unknown = [name for name in formats if name not in known]
        if unknown:
            hint = did_you_mean(unknown[0], known)
            raise ValueError(f"format={','.join(unknown)}: what can be written is {', '.join(known)}{hint}")
        return formats
