"""Settings of the verbs `f2vbench cache list`, `verify`, `pack`, `prune`, `import` and `export`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from f2vbench.config.base import ListFormat, Names, Settings

_DAYS = {"h": 1 / 24, "d": 1.0, "w": 7.0}
_BYTES = {"MB": 10**6, "GB": 10**9, "TB": 10**12}


def _days(value: Any) -> Any:
    """``12h``, ``30d`` or ``8w`` as days."""
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"(\d{1,6}) ?([hdw])", value.strip())
    if found is None:
        raise ValueError(f"'{value}' is no age: write a number of hours, days or weeks, as in 12h, 30d or 8w")
    return int(found[1]) * _DAYS[found[2]]


def _size(value: Any) -> Any:
    """``500MB``, ``50GB`` or ``1TB`` as bytes."""
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?) ?([MGT]B)", value.strip().upper())
    if found is None:
        raise ValueError(f"'{value}' is no size: write a number with its unit, as in 500MB, 50GB or 1TB")
    return round(float(found[1]) * _BYTES[found[2]])


def _only(value: Any) -> Any:
    """The only element of a list of arguments without a key."""
    if isinstance(value, list):
        if len(value) != 1:
            raise ValueError(f"give one file, not {len(value)}")
        return value[0]
    return value


File = Annotated[Path, BeforeValidator(_only)]
"""A file, which may be written without its key."""


class CacheSettings(Settings):
    """Keys that choose feature sets."""

    model: str | None = Field(
        None, description="feature sets of a model: its family (retfound), or family and variant (timm:resnet18)"
    )
    set: str | None = Field(
        None, min_length=4, pattern="^[0-9a-fA-F]+$", description="feature sets whose key starts with these digits"
    )


class CacheListSettings(CacheSettings):
    """Keys of `f2vbench cache list`."""

    format: ListFormat = Field("text", description="text (a table and the total), or json (one entry per feature set)")


class PruneSettings(CacheSettings):
    """Keys of `f2vbench cache prune`."""

    unused: Annotated[float, BeforeValidator(_days)] | None = Field(
        None, ge=0, description="feature sets that no process has opened for this time: 12h, 30d, 8w"
    )
    to: Annotated[int, BeforeValidator(_size)] | None = Field(
        None,
        ge=0,
        description="remove only until the rest is so small: 500MB, 50GB; those unused longest first",
    )
    delete: bool = Field(False, description="remove them; without it they are only listed")

    @model_validator(mode="after")
    def _has_criterion(self) -> PruneSettings:
        """Refuse to choose all feature sets without a word.

        Raises:
            ValueError: No key chooses feature sets.
        """
        if self.unused is None and self.to is None and self.model is None and self.set is None:
            raise ValueError("choose what to remove: unused=30d, to=50GB, model=timm:resnet18 or set=<key>")
        return self


class ImportSettings(Settings):
    """Keys of `f2vbench cache import`."""

    positional_key: ClassVar[str | None] = "file"

    file: File = Field(description=".npz or Parquet file with image ids and vectors")
    name: str = Field(description="name of the model: model=embeddings:<name>")
    task: Names = Field(description="tasks whose image ids the file has; each image needs a vector")
    data: str | dict[str, str] | None = Field(None, description="folder of the data set, or `data.<task>=folder`")
    ids: str | None = Field(None, description="array or column with the ids, where it is not obvious")
    unknown: Literal["refuse", "leave-out"] = Field("refuse", description="rows whose ids the tasks do not have")
    replace: bool = Field(False, description="replace embeddings of this name that come from another file")


class ExportSettings(CacheSettings):
    """Keys of `f2vbench cache export`."""

    positional_key: ClassVar[str | None] = "out"

    out: File = Field(description=".npz or Parquet file to write")
    task: Names = Field(description="task whose images are exported")
    data: str | dict[str, str] | None = Field(None, description="folder of the data set")
    replace: bool = Field(False, description="replace a file that exists")

    @model_validator(mode="after")
    def _has_one_task(self) -> ExportSettings:
        """Refuse several tasks, which may share ids.

        Raises:
            ValueError: There are several tasks.
        """
        if len(self.task) > 1:
            raise ValueError("task: write one file for each task")
        return self
