"""Settings of `f2vbench report`."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from f2vbench.analysis.subgroup_labels import AGE_BANDS
from f2vbench.analysis.subgroups import SubgroupRequest
from f2vbench.config.base import Names, Settings, split_list
from f2vbench.errors import did_you_mean
from f2vbench.metrics.operating_points import OperatingPoint
from f2vbench.report.tables.clinical import ClinicalSettings
from f2vbench.stats.intervals import MeanInterval
from f2vbench.stats.procedure import Adjustment, SeedTest

TABLE_FORMATS = ("html", "csv", "md", "latex", "parquet")
FIGURE_FORMATS = ("pdf", "svg", "png")


class ReportSettings(Settings):
    """Keys of `f2vbench report`."""

    run: Names | None = Field(None, description="run folders to report together (default: the latest below ./runs)")
    metric: Names | None = Field(
        None, description="metrics of the tables (default: the main ones of each task), or all"
    )
    baseline: str | None = Field(
        None, description="reference model, compared with the best other model (default: the first model of the run)"
    )
    format: Names = Field(
        ["html", "csv", "pdf"],
        description="file formats: html (one page without other files); csv, md, latex and parquet (needs pyarrow) for "
        "tables; pdf, svg and png for figures",
    )
    figures: Names = Field(["all"], description="names of figures, all (that the runs have data for), or none")
    style: str = Field("nature", description="widths and font sizes of figures: nature, lncs or slides")
    second: bool = Field(False, description="mark the second best value of each column in LaTeX and Markdown")
    test: SeedTest = Field(
        "paired",
        description="t-test over seeds: paired (shared seeds, as in the papers) or welch (all seeds of each model)",
    )
    adjust: Adjustment = Field(
        "holm", description="adjustment of p-values for multiple comparisons: holm, or bh for Benjamini–Hochberg"
    )
    interval: MeanInterval = Field(
        "crossed",
        description="95 % interval of a mean: crossed (for other patients and other heads); over seeds only: student "
        "(Student's t, within the range of the metric), or papers (mean ± 1.96 standard errors, which covers 88 % at "
        "five seeds)",
    )
    operating_point: str | None = Field(
        None,
        description="tables of operating points and of calibration, with thresholds chosen on the validation images: "
        "youden, sensitivity:0.9 or specificity:0.95 (any target between 0 and 1)",
    )
    checklists: bool = Field(
        False,
        description="write checklist.md and checklist.csv: items of CLAIM 2024 and TRIPOD+AI with what the records "
        "say, and what only the author can answer",
    )
    by: Names | None = Field(
        None,
        description="columns of the data set's table by which results are divided into subgroups, such as "
        "sex,age,site,eye,camera; with operating_point= also sensitivity and specificity of binary tasks",
    )
    age_bands: Annotated[list[float], BeforeValidator(split_list)] = Field(
        list(AGE_BANDS), description="edges of the bands of age in years; an edge belongs to the band above it"
    )
    margin: float | None = Field(
        None,
        gt=0,
        description="table of equivalence and non-inferiority of the compared models: the largest difference that does "
        "not matter, in units of the metric, such as 0.02",
    )
    out: Path | None = Field(None, description="folder to write to (default: the first run folder)")

    @field_validator("operating_point")
    @classmethod
    def _check_operating_point(cls, text: str | None) -> str | None:
        return None if text is None else str(OperatingPoint.parse(text))

    @field_validator("age_bands")
    @classmethod
    def _check_age_bands(cls, edges: list[float]) -> list[float]:
        rises = all(low < high for low, high in pairwise(edges))
        if not edges or not rises or edges[0] <= 0:
            given = ",".join(f"{edge:g}" for edge in edges)
            raise ValueError(f"age_bands={given}: rising ages above 0 are needed, as in age_bands=40,60")
        return edges

    @field_validator("format")
    @classmethod
    def _check_formats(cls, formats: list[str]) -> list[str]:
        known = (*TABLE_FORMATS, *FIGURE_FORMATS)
        unknown = [name for name in formats if name not in known]
        if unknown:
            hint = did_you_mean(unknown[0], known)
            raise ValueError(f"format={','.join(unknown)}: unknown format; available: {', '.join(known)}{hint}")
        return formats

    def clinical(self) -> ClinicalSettings:
        """Which clinical tables the report has."""
        point = None if self.operating_point is None else OperatingPoint.parse(self.operating_point)
        subgroups = SubgroupRequest(tuple(self.by), tuple(self.age_bands), point) if self.by else None
        return ClinicalSettings(point, subgroups, self.margin)
