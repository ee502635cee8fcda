"""Keys of `f2vbench predict`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from f2vbench.config.base import Paths, Settings


class PredictSettings(Settings):
    """Keys of `f2vbench predict`."""

    positional_key: ClassVar[str | None] = "head"

    head: Paths = Field(
        description="folder of stored heads, runs/<run>/heads/<condition>, or some of its files: the seeds of one "
        "encoder, task, protocol and number of shots; `head=` can be omitted"
    )
    images: Path = Field(description="folder of photographs, searched in all its folders, or one photograph")
    out: Path = Field(Path("predictions.csv"), description="table of the predictions, one row for each photograph")
    model: str | None = Field(
        None, description="model argument of the encoder, where its weights are no longer in their place"
    )
    weights: str | None = Field(None, description="weights file of the encoder, likewise")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:<n>")
    jobs: int | Literal["auto"] = Field("auto", description="number of worker processes that encode photographs")

    @model_validator(mode="after")
    def _check_together(self) -> PredictSettings:
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            raise ValueError(f"device={self.device}: must be auto, cpu, cuda or cuda:<n>")
        if self.jobs != "auto" and self.jobs < 1:
            raise ValueError(f"jobs={self.jobs}: must be at least 1, or auto")
        if self.out.suffix.lower() != ".csv":
            raise ValueError(f"out={self.out}: the table is a CSV file; choose a name that ends in .csv")
        return self
