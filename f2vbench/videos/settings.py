"""Keys of the verbs that make angiograms from photographs and score them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from f2vbench.config.base import Settings

Format = Literal["frames", "gif", "mp4", "png"]


def _paths(value: object) -> object:
    """``"a,b"`` → both; a list stays, so that names with a comma can be given as words without a key."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value if isinstance(value, list | tuple) else [value]


class GenerateSettings(Settings):
    """Keys of `f2vbench generate`."""

    bare_words: ClassVar[str | None] = "image"

    image: Annotated[list[Path], BeforeValidator(_paths), Field(min_length=1)] = Field(
        description="photographs, folders of them, or a table in the released format (or its folder), whose cases give "
        "the names; `image=` may be left out: f2vbench generate eye.jpg out=eye.gif"
    )
    out: Path = Field(
        description="for one photograph: a file .gif or .mp4 (.png for models of one frame), or a folder for its "
        "frames; for several: a folder with one result a photograph. The strip lies beside each"
    )
    model: str = Field(
        "fundus2video", description="fundus2video, fundus2fa or pix2pixhd, with `:<weights file>` or `:untrained`"
    )
    weights: str | None = Field(None, description="weights file, where the model's word names none")
    format: Literal["auto"] | Format = Field(
        "auto",
        description="frames, gif, mp4, or png (models of one frame); auto: told by the ending of `out`; for several "
        "photographs frames, or png for models of one frame",
    )
    size: int = Field(512, ge=64, le=4096, description="side of the square around the field of view, pixels")
    frames: int | None = Field(
        None, ge=1, le=120, description="how many (default 12, for which Fundus2Video is trained; 1 for other models)"
    )
    fps: float = Field(
        3.0, ge=0.1, le=50, description="frames a second of GIF and MP4; a GIF holds the last one longer"
    )
    restore: bool = Field(
        False, description="yes: frames on the photograph's own pixels; no: the square around the field of view"
    )
    overwrite: bool = Field(False, description="make results again that were made with other settings")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:<n>")

    @model_validator(mode="after")
    def _check_together(self) -> GenerateSettings:
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            raise ValueError(f"device={self.device}: must be auto, cpu, cuda or cuda:<n>")
        return self


class ScoreSettings(Settings):
    """Keys of `f2vbench score`."""

    real: Path = Field(description="folder of the real videos, <case>/<frame>.png")
    generated: Path = Field(description="folder of the generated ones, with the same cases and as many frames")
    protocol: Literal["standard", "paper-compat", "both"] = Field(
        "standard",
        description="standard: correct metrics; paper-compat: the arithmetic behind the published figures, the only "
        "one to stand beside them; both",
    )
    lpips: Path | None = Field(None, description="AlexNet weights for LPIPS; by default looked for by their card")
    i3d: Path | None = Field(None, description="I3D weights for FVD; by default looked for by their card")
    out: Path | None = Field(None, description="CSV file for all scores, a row a video and metric")
    resamples: int = Field(200, ge=0, le=100_000, description="bootstrap resamples of the Fréchet distances")
    seed: int = Field(0, ge=0, description="of the bootstrap")

    @model_validator(mode="after")
    def _check_together(self) -> ScoreSettings:
        if self.out is not None and self.out.suffix.lower() != ".csv":
            raise ValueError(f"out={self.out}: the scores are a CSV file, out=scores.csv")
        return self
