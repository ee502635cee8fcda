"""Keys of `f2vbench weights …` and `f2vbench export`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from f2vbench.config.base import Settings


class NoKeys(Settings):
    """`f2vbench weights list`, `show`, `where` and `check` have none."""


class ExportSettings(Settings):
    """Keys of `f2vbench export <run folder>`."""

    out: Path | None = Field(
        None, description="the file to write, .safetensors (default: generator.safetensors in the run folder)"
    )
    half: bool = Field(False, description="store half precision")


class MakeSettings(Settings):
    """Keys of `f2vbench weights make <run folder>`."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]*$", description="of the card and its file, such as fundus2video-mini"
    )
    out: Path = Field(Path("weights"), description="folder for <name>.safetensors and <name>.yaml")
    title: str | None = Field(None, min_length=1, description="name for messages and tables")
    quality: Path | None = Field(
        None, description="YAML or JSON list of measured numbers, each with data, metric, value and, if wanted, a note"
    )
    default: bool = Field(False, description="the family uses these weights when none are given")
    licence: str = Field("MIT", min_length=1, description="of the weights")
    source: str = Field(
        "f2vbench, trained by the command below", min_length=1, description="who offers them, or their page"
    )
    training_data: str | None = Field(
        None, min_length=1, description="what they were trained on; filled in for simulated eyes, else required"
    )
    replace: bool = Field(False, description="overwrite weights of this name with others")


class PushSettings(Settings):
    """Keys of `f2vbench weights push <run folder or card>`."""

    repo: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", description="owner/name on the Hub; made if it is not there")
    private: bool = Field(False, description="make the repository private, if it is made")
    replace: bool = Field(False, description="replace an earlier version of these weights in the repository")
    dry_run: bool = Field(False, description="write the folder that would be uploaded, and reach for no network")
    out: Path | None = Field(None, description="dry run: that folder (default: <name>-upload)")
    quality: Path | None = Field(None, description="a run folder's: as for `weights make`")
    licence: str = Field("MIT", min_length=1, description="a run folder's: of the weights")
    training_data: str | None = Field(None, min_length=1, description="a run folder's: what it was trained on")
