"""Settings of the verb that simulates eyes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from f2vbench.config.base import Names, Settings


class PhantomSettings(Settings):
    """Keys of `f2vbench phantom`."""

    out: Path | None = Field(
        None, description="folder for images, videos, masks and tables; an incomplete folder is continued"
    )
    sheet: Path | None = Field(None, description="contact sheet of several eyes, a PNG file; with or without out=")
    patients: int = Field(20, ge=1, description="number of patients, two eyes each")
    seed: int = Field(0, ge=0, description="seed of the patients; the same seed gives the same bytes")
    size: int = Field(512, ge=64, le=4096, description="edge length of the images, pixels")
    disease: Names | None = Field(
        None,
        description="diseases of the patients, in equal shares: normal, diabetic_retinopathy, glaucoma, "
        "macular_degeneration, branch_vein_occlusion, cataract, pathological_myopia; by default all, with larger "
        "shares of the first two",
    )
    effect: float = Field(
        1.0,
        ge=0,
        le=4,
        description="standard deviations by which a systemic outcome (stroke, dementia, parkinson, infarction) shifts "
        "its vessel trait; the best possible AUROC is 0.76 at 1, 0.5 at 0",
    )
    parts: Names = Field(
        ["all"],
        description="what to write: vessels, dr, glaucoma, disease, systemic, retrieval, video, survival; all: the "
        "first seven",
    )
    croissant: bool = Field(
        False, description="write croissant.json, metadata of the files, tables and columns in the Croissant format"
    )
    jobs: int | Literal["auto"] = Field(
        "auto", description="worker processes; auto: one per core; the bytes do not depend on it"
    )
    eyes: int = Field(6, ge=1, le=64, description="number of eyes on the contact sheet, one per row")

    @model_validator(mode="after")
    def _check_together(self) -> PhantomSettings:
        if self.out is None and self.sheet is None:
            raise ValueError("no output: set out=folder, sheet=file.png, or both")
        if self.croissant and self.out is None:
            raise ValueError("croissant=yes describes the data set in out=; set out=folder")
        if self.sheet is not None and self.sheet.suffix.lower() != ".png":
            raise ValueError(f"sheet={self.sheet}: the contact sheet is a PNG file; use for example sheet=eyes.png")
        if self.jobs != "auto" and self.jobs < 1:
            raise ValueError(f"jobs={self.jobs}: must be auto or at least 1")
        return self
