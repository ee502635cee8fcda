"""Keys of `f2vbench generate` and `f2vbench score`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from f2vbench.config.base import Settings

Format = Literal["frames", "gif", "mp4", "png"]


def _paths(value: object) -> object:
    """Split ``"a,b"``; lists are not split, so that arguments without a key may contain a comma."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value if isinstance(value, list | tuple) else [value]


class GenerateSettings(Settings):
    """Keys of `f2vbench generate`."""

    positional_key: ClassVar[str | None] = "image"

    image: Annotated[list[Path], BeforeValidator(_paths), Field(min_length=1)] = Field(
        description="photographs, folders of photographs, or a table in the released format (or its folder), whose "
        "cases name the results; `image=` may be left out: f2vbench generate eye.jpg out=eye.gif"
    )
    out: Path = Field(
        description="for one photograph: a file .gif or .mp4 (.png for single-frame models), or a folder for its "
        "frames; for several photographs: a folder for all results. A strip is written beside each result"
    )
    model: str = Field(
        "fundus2video",
        description="fundus2video, fundus2fa, pix2pixhd, seg2vid or med-ddpm, with `:<weights file>` or `:untrained`",
    )
    weights: str | None = Field(None, description="weights file, where `model` names none")
    format: Literal["auto"] | Format = Field(
        "auto",
        description="frames, gif, mp4, or png (single-frame models); auto: by the suffix of `out`; for several "
        "photographs frames, or png for single-frame models",
    )
    size: int = Field(512, ge=64, le=4096, description="side of the square around the field of view, pixels")
    frames: int | None = Field(
        None,
        ge=1,
        le=120,
        description="number of frames (default 12, as in the training of Fundus2Video; 1 for single-frame models)",
    )
    fps: float = Field(
        3.0, ge=0.1, le=50, description="frames a second of GIF and MP4; a GIF shows the last frame longer"
    )
    restore: bool = Field(
        False, description="yes: frames have the size of the photograph; no: the square around the field of view"
    )
    overwrite: bool = Field(False, description="replace results that were generated with other settings")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:<n>")

    @model_validator(mode="after")
    def _check_together(self) -> GenerateSettings:
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            raise ValueError(f"device={self.device}: must be auto, cpu, cuda or cuda:<n>")
        return self


class ScoreSettings(Settings):
    """Keys of `f2vbench score`."""

    real: Path = Field(description="folder of the real videos, <case>/<frame>.png")
    generated: Path = Field(description="folder of the generated videos, with the same cases and numbers of frames")
    protocol: Literal["standard", "paper-compat", "both"] = Field(
        "standard",
        description="standard: correct metrics; paper-compat: the arithmetic of the published figures, for comparison "
        "with them; both",
    )
    lpips: Path | None = Field(None, description="AlexNet weights for LPIPS; by default those of the weights card")
    i3d: Path | None = Field(None, description="I3D weights for FVD; by default those of the weights card")
    out: Path | None = Field(None, description="CSV file for all scores, a row for each video and metric")
    resamples: int = Field(200, ge=0, le=100_000, description="bootstrap resamples of the Fréchet distances")
    seed: int = Field(0, ge=0, description="of the bootstrap")

    @model_validator(mode="after")
    def _check_together(self) -> ScoreSettings:
        if self.out is not None and self.out.suffix.lower() != ".csv":
            raise ValueError(f"out={self.out}: the scores are a CSV file, out=scores.csv")
        return self
