"""Keys of `f2vbench assess prepare` and `f2vbench assess score`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from f2vbench.analysis.rating_scale import CRITERIA, DEFAULT_CRITERIA
from f2vbench.config.base import Names, Paths, Settings
from f2vbench.errors import did_you_mean

View = Literal["side-by-side", "one-at-a-time"]
"""Whether photograph and videos are shown together, or one of them at a time."""

Blind = Literal["source", "method"]
"""What raters do not know: the method and which video is acquired, or the method only."""


class PrepareSettings(Settings):
    """Keys of `f2vbench assess prepare`."""

    run: Path | None = Field(
        None, description="run folder of a generation task; its frames are read from the feature cache and the data"
    )
    cases: Path | None = Field(
        None,
        description="instead of `run`: acquired videos with their photographs, as a table in the released format or a "
        "folder with one folder per case (photograph.png, frames/)",
    )
    frames: dict[str, Path] | Path | None = Field(
        None,
        description="generated frames, <folder>/<case>/<frame>.png, of the photograph's size: frames.<method>=folder, "
        "or frames=folder for one method of the folder's name",
    )
    task: str | None = Field(None, description="generation task of the run, where it has several")
    models: Names | None = Field(None, description="models of the run to assess (default: all)")
    videos: int = Field(50, ge=1, le=1000, description="number of examinations; each is shown once with every method")
    raters: int = Field(2, ge=1, le=50, description="number of raters; each scores all videos, on a page of their own")
    seed: int = Field(0, ge=0, description="seed of the selection, of the order and of the sides")
    criteria: Names = Field(
        list(DEFAULT_CRITERIA), description=f"what raters score from 1 to 5, one by one: {', '.join(CRITERIA)}"
    )
    view: View = Field("side-by-side", description="side-by-side, or one-at-a-time")
    blind: Blind = Field(
        "source",
        description="what raters do not know: source (the method, and which of both videos is acquired; they guess it) "
        "or method (the acquired video is labelled, as in the papers)",
    )
    size: int = Field(512, ge=64, le=2048, description="longest side of the frames on the page in pixels, at most")
    quality: int = Field(
        100,
        ge=60,
        le=100,
        description="WebP quality of the frames on the page; 100 is lossless, 95 about a third as large",
    )
    fps: float = Field(3.0, ge=0.5, le=30, description="frames a second at the start; raters can change it")
    out: Path = Field(description="new folder: pages/ for the raters, assessment-key.json for the study's owner")

    @field_validator("criteria")
    @classmethod
    def _check_criteria(cls, criteria: list[str]) -> list[str]:
        unknown = [name for name in criteria if name not in CRITERIA]
        if unknown:
            hint = did_you_mean(unknown[0], CRITERIA)
            raise ValueError(
                f"criteria={','.join(unknown)}: no such criterion; choose from {', '.join(CRITERIA)}{hint}"
            )
        return criteria

    @model_validator(mode="after")
    def _check_together(self) -> PrepareSettings:
        if (self.run is None) == (self.cases is None):
            raise ValueError("run, cases: give one of both: run=<run folder>, or cases=<folder> with frames.<method>=…")
        if self.cases is not None and self.frames is None:
            raise ValueError("frames: cases=… needs generated frames: frames.<method>=<folder>")
        if self.cases is not None and (self.task is not None or self.models is not None):
            raise ValueError("task, models: select from a run; with cases=… leave them out")
        return self


class RatingSettings(Settings):
    """Keys of `f2vbench assess score`."""

    positional_key: ClassVar[str | None] = "ratings"

    ratings: Paths = Field(
        description="CSV files that the raters exported, or folders of them; `ratings=` may be left out"
    )
    key: Path = Field(description="key file of the assessment, assessment-key.json")
    out: Path | None = Field(
        None,
        description="folder for tables and figures (default: the folder of the key); within a run folder, "
        "`f2vbench report` includes them",
    )
    style: str = Field("nature", description="widths and font sizes of figures: nature, lncs or slides")
