"""Keys of `f2vbench app`."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, model_validator

from f2vbench.config.base import Paths, Settings


class AppSettings(Settings):
    """Keys of `f2vbench app`."""

    model: str = Field(
        "fundus2video-mini",
        description="generator, as in f2vbench generate: a weights card, or <family>:<weights file>",
    )
    weights: str | None = Field(None, description="weights file, where `model` names none")
    index: Path | None = Field(
        None,
        description="folder of images, or run, with an index of f2vbench search: the page shows the nearest images",
    )
    heads: Paths | None = Field(
        None,
        description="folders of stored heads, runs/<run>/heads/<condition>, of f2vbench run keep_heads=yes: the page "
        "shows their predictions",
    )
    k: int = Field(5, ge=1, le=20, description="number of nearest images")
    size: int = Field(512, ge=64, le=2048, description="side of the square around the field of view, pixels")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:<n>")
    port: int = Field(7860, ge=1024, le=65535, description="port of the page at 127.0.0.1")

    @model_validator(mode="after")
    def _check_together(self) -> AppSettings:
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            raise ValueError(f"device={self.device}: must be auto, cpu, cuda or cuda:<n>")
        return self
