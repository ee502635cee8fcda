"""Settings of the verbs `list`, `doctor` and `power`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from f2vbench.config.base import ListFormat, Names, Settings, expand_integers, unique
from f2vbench.stats.planning import Aim, VarianceFormula

Counts = Annotated[
    list[Annotated[int, Field(ge=1)]],
    BeforeValidator(lambda value: unique(expand_integers(value))),
    Field(min_length=1),
]
"""Distinct numbers above 0: a list, or text with commas and ranges."""


class ListSettings(Settings):
    """Keys of `f2vbench list`."""

    root: Path = Field(Path("runs"), description="folder that `list runs` searches")
    format: ListFormat = Field("text", description="text (a summary and a table), or json (one entry per item)")


class DoctorSettings(Settings):
    """Keys of `f2vbench doctor`."""

    out: Path = Field(Path("runs"), description="folder for run folders, tested for write access")
    details: bool = Field(False, description="list every check, and how to get missing weights and data sets")
    format: ListFormat = Field("text", description="text (a summary and what has to be fixed), or json (every check)")


class PowerSettings(Settings):
    """Keys of `f2vbench power`."""

    difference: float | None = Field(
        None,
        description="true difference of the first and the second model, in units of the metric (default: 0 for "
        "non-inferiority and equivalence; with run=, the observed one)",
    )
    aim: Aim = Field(
        "difference",
        description="what the study is to show: difference (two-sided), non-inferiority (the first model is worse by "
        "less than margin=) or equivalence (the difference lies within ± margin=)",
    )
    margin: float | None = Field(None, gt=0, description="largest difference that does not matter")
    metric: str = Field(
        "auroc",
        description="auroc, accuracy, sensitivity, specificity, another mean over images (with sd=), or with "
        "run= any metric of the run",
    )
    value: float | None = Field(None, description="expected value of the first model")
    prevalence: float | None = Field(None, gt=0, lt=1, description="share of positive images")
    images: float = Field(2.0, ge=1, description="images of a patient")
    within: float = Field(0.5, ge=0, le=1, description="correlation of the images of a patient")
    correlation: float = Field(0.5, ge=0, lt=1, description="correlation of the values of both models")
    sd: float | None = Field(None, gt=0, description="standard deviation over images, of a mean over images")
    seed_sd: float = Field(0.0, ge=0, description="standard deviation over seeds of the difference")
    formula: VarianceFormula = Field(
        "binormal",
        description="variance of an AUROC: binormal (exact for continuous scores), or obuchowski (as R's pROC for "
        "sample sizes; larger)",
    )
    patients: Counts = Field([50, 100, 200, 400, 800], description="numbers of test patients of the table")
    seeds: Counts = Field([1], description="numbers of seeds of the table")
    alpha: float = Field(0.05, gt=0, lt=1, description="significance level (non-inferiority has half of it)")
    power: float = Field(0.8, gt=0, lt=1, description="power to reach")
    run: Path | None = Field(None, description="run folder that the variances are estimated from")
    model: Names | None = Field(None, description="first and second model of the run (default: the best two)")
    task: str | None = Field(None, description="task of the run (needed if there are several)")
    protocol: str | None = Field(None, description="protocol of the run (needed if there are several)")
    shots: int | None = Field(None, description="number of shots of the run (needed if there are several)")
