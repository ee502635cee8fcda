"""Settings keys of `f2vbench weights …` and `f2vbench export`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from f2vbench.config.base import ListFormat, Names, Settings


class NoKeys(Settings):
    """No keys, for `f2vbench weights show`, `where` and `check`."""


class ListKeys(Settings):
    """Keys of `f2vbench weights list`."""

    format: ListFormat = Field("text", description="text, or json (one entry per card)")


class ExportSettings(Settings):
    """Keys of `f2vbench export <run folder>`."""

    out: Path | None = Field(
        None,
        description="file to write, .safetensors; above 15 MB shards with an index (default: generator.safetensors "
        "in the run folder)",
    )
    half: bool = Field(False, description="store weights in half precision")


class MakeSettings(Settings):
    """Keys of `f2vbench weights make <run folder>`."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]*$", description="name of the card and its file, such as fundus2video-mini"
    )
    out: Path = Field(
        Path("weights"), description="folder for <name>.safetensors (or its shards and index) and <name>.yaml"
    )
    title: str | None = Field(None, min_length=1, description="name in messages and tables")
    quality: Path | None = Field(
        None, description="YAML or JSON list of measured values, each with data, metric, value and an optional note"
    )
    default: bool = Field(False, description="the model family uses these weights when model= names none")
    licence: str = Field("MIT", min_length=1, description="licence of the weights")
    source: str = Field(
        "f2vbench, trained by the command below", min_length=1, description="owners of the weights, or their page"
    )
    training_data: str | None = Field(
        None, min_length=1, description="training data; required unless it is simulated eyes"
    )
    replace: bool = Field(False, description="overwrite other weights with this name")


class ResultsSettings(Settings):
    """Keys of `f2vbench weights results <run folder>`."""

    repo: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", description="owner/name of the model repository on the Hub")
    model: str = Field(min_length=1, description="name of the model in the run")
    dataset: str = Field(
        pattern=r"^[\w.-]+/[\w.-]+$", description="owner/name of the data set on the Hub that the results belong to"
    )
    task: Names | None = Field(None, description="task of the run, where it has several")
    metric: str | None = Field(None, min_length=1, description="metric (default: the main metric of the task)")
    task_id: str | None = Field(
        None,
        min_length=1,
        description="identifier of the task in the data set; {condition} is replaced by <task>-<protocol>-<shots>, the "
        "default",
    )
    revision: str | None = Field(None, pattern=r"^[0-9a-f]{7,40}$", description="commit of the data set")
    source: str | None = Field(None, pattern=r"^https://", description="address of the report")
    replace: bool = Field(False, description="replace earlier results of the same task in the repository")
    dry_run: bool = Field(False, description="write the files that would be uploaded, without using the network")
    out: Path = Field(Path("eval-results-upload"), description="dry run: the folder to write")


class PushSettings(Settings):
    """Keys of `f2vbench weights push <run folder or card>`."""

    repo: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", description="owner/name on the Hub; created if it does not exist")
    private: bool = Field(False, description="create the repository as private")
    replace: bool = Field(False, description="replace an earlier version of these weights in the repository")
    dry_run: bool = Field(False, description="write the folder that would be uploaded, without using the network")
    out: Path | None = Field(None, description="dry run: the folder to write (default: <name>-upload)")
    quality: Path | None = Field(None, description="for a run folder: as for `weights make`")
    licence: str = Field("MIT", min_length=1, description="for a run folder: licence of the weights")
    training_data: str | None = Field(None, min_length=1, description="for a run folder: training data")
