"""Keys of `f2vbench search`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from f2vbench.config.base import Settings
from f2vbench.config.run import Cut, Pooling


def _single(value: Any) -> Any:
    """Return the only element of a list of positional arguments."""
    if isinstance(value, list):
        if len(value) != 1:
            raise ValueError(f"search for one image at a time, not for {len(value)}")
        return value[0]
    return value


class SearchSettings(Settings):
    """Keys of `f2vbench search`, and the settings of `f2vbench.search.search.search`."""

    positional_key: ClassVar[str | None] = "image"

    image: Annotated[Path, BeforeValidator(_single)] = Field(description="the query; `image=` can be omitted")
    index: Path = Field(
        description="images to search: a folder (with a table retrieval.csv, results show patients and modalities), or "
        "a run of a retrieval task; its index is built once and stored in the cache"
    )
    k: int = Field(10, ge=1, le=100, description="number of results")
    model: str | None = Field(
        None, description="encoder, as in f2vbench run; default: the encoder of the index, or the first of the run"
    )
    weights: str | None = Field(None, description="weights file of the model")
    cut: Cut | None = Field(None, description="last layer of a pix2pixHD generator's encoder, as in f2vbench run")
    pooling: Pooling = Field("levels", description="pooling of a pix2pixHD generator's maps, as in f2vbench run")
    out: Path | None = Field(None, description="contact sheet (PNG, PDF or SVG; default <image>-found.png)")
    rebuild: bool = Field(False, description="replace the index if another encoder built it")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:<n>")
    precision: Literal["auto", "float32", "bf16"] = Field("auto", description="arithmetic of the encoder")
    jobs: int | Literal["auto"] = Field("auto", description="number of worker processes that build an index")
