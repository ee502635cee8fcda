"""Keys of `f2vbench search`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from f2vbench.config.run import Settings


def _only(value: Any) -> Any:
    """The one of bare words."""
    if isinstance(value, list):
        if len(value) != 1:
            raise ValueError(f"search for one image at a time, not for {len(value)}")
        return value[0]
    return value


class SearchSettings(Settings):
    """Keys of `f2vbench search`, and the arguments of `f2vbench.search.search.search`."""

    positional_key: ClassVar[str | None] = "image"

    image: Annotated[Path, BeforeValidator(_only)] = Field(
        description="the image whose like is looked for; its key may be left out"
    )
    index: Path = Field(
        description="folder of images (with a retrieval.csv, patients and modalities are told), or a run of a "
        "retrieval task; its index is built once and kept in the cache"
    )
    k: int = Field(10, ge=1, le=100, description="how many images are shown")
    model: str | None = Field(
        None, description="encoder, as in f2vbench run; by default the one that built the index, or the run's first"
    )
    weights: str | None = Field(None, description="weights file of the model")
    cut: int = Field(19, description="where the pix2pixHD generator's encoder ends: 17, 19 or 25 (module index)")
    out: Path | None = Field(None, description="contact sheet (PNG, PDF or SVG; default <image>-found.png)")
    rebuild: bool = Field(False, description="build the index anew where another encoder built the one there is")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:<n>")
    precision: Literal["auto", "float32", "bf16"] = Field("auto", description="arithmetic of the encoder")
    jobs: int | Literal["auto"] = Field("auto", description="worker processes that build an index")
