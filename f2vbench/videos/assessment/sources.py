"""Where an assessment takes its photographs, acquired videos and generated videos from: a run folder, or folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pandas import DataFrame

from f2vbench.adapters.generation import frames_on_photograph
from f2vbench.adapters.video_evaluation import VideoSource
from f2vbench.analysis.load_runs import load_runs
from f2vbench.data.angiograms import RealVideos, size_problems
from f2vbench.data.cases import PHASES
from f2vbench.data.photographs import Photograph, open_photograph
from f2vbench.data.task_data import open_task
from f2vbench.encoders.baselines.angiograms import MeanVideo, PrecomputedVideos, load_videos
from f2vbench.encoders.model_argument import parse_model
from f2vbench.errors import DataError, SettingsError, StoreError, did_you_mean
from f2vbench.report.stored_data import NotStored, StoredData
from f2vbench.store.record_schema import UnitRecord
from f2vbench.utils.progress import Progress
from f2vbench.utils.text import shortened
from f2vbench.videos.assessment.settings import PrepareSettings

_FAMILY = "generation"
_OWN_DATA = "angiogram"  # task card of cases in folders


@dataclass(frozen=True)
class AssessmentData:
    """Photographs and videos that can be assessed.

    Attributes:
        index: Index of the images, see `f2vbench.data.task_data.TaskData`.
        real: Acquired videos.
        images: Ids of the photographs that every method has a video of.
        sources: Generated videos of each method.
        origin: Run or folder, and fingerprint of the data, for the key.
    """

    index: DataFrame
    real: RealVideos
    images: tuple[str, ...]
    sources: tuple[VideoSource, ...]
    origin: Mapping[str, Any]

    def photograph(self, image: str) -> Photograph:
        """Load a photograph by its image id."""
        return open_photograph(self.index[self.index["image"] == image].iloc[0])

    def patient(self, image: str) -> str:
        """Patient of a photograph."""
        return str(self.index[self.index["image"] == image].iloc[0]["patient"])


def assessment_data(settings: PrepareSettings, progress: Progress) -> AssessmentData:
    """Open the photographs, acquired videos and generated videos of an assessment.

    Args:
        settings: Keys of `f2vbench assess prepare`.
        progress: Receives messages while data is read.

    Raises:
        SettingsError: The run has no such task or model, or two methods have the same name.
        DataError: A folder is missing, frames lack cases, or sizes differ.
        StoreError: The run has no generation task, or does not hold the frames of a model; the message says how to get
            them.
    """
    folders = _frame_folders(settings.frames)
    if settings.run is not None:
        return _from_run(settings.run, settings, folders)
    task = open_task(_OWN_DATA, settings.cases, progress)
    real = RealVideos(task.index)
    images = [str(name) for name in task.index[task.index["modality"] == "CF"]["image"]]
    if problems := size_problems(task.index):
        raise DataError(problems)
    sources, images = _folder_sources(folders, images, real)
    origin = {"cases": str(task.folder), "data": task.fingerprint}
    return AssessmentData(task.index, real, tuple(images), tuple(sources), origin)


def _frame_folders(frames: dict[str, Path] | Path | None) -> dict[str, Path]:
    if frames is None:
        return {}
    if isinstance(frames, Path):
        frames = {frames.resolve().name: frames}
    return {name: folder.expanduser() for name, folder in frames.items()}


def _folder_sources(
    folders: Mapping[str, Path], images: Sequence[str], real: RealVideos
) -> tuple[list[VideoSource], list[str]]:
    """Methods of folders, and the photographs that all folders have frames of.

    Raises:
        DataError: A folder has no frames, or the folders have no case in common with the photographs.
    """
    sources: list[VideoSource] = []
    common = list(images)
    for name, folder in folders.items():
        videos = PrecomputedVideos(folder)
        common = [image for image in common if videos.has(real.case(image))]
        if not common:
            cases = [real.case(image) for image in images]
            raise DataError(
                f"frames.{name}={folder}: none of its cases is one of the {len(cases)} cases with an acquired video "
                f"({shortened(cases)}); name its folders after the cases"
            )
        sources.append(VideoSource(name, _reader(videos, real), "venous"))
    return sources, common


def _reader(videos: Any, real: RealVideos) -> Callable[[Photograph], np.ndarray]:
    def read(photograph: Photograph) -> np.ndarray:
        frames: np.ndarray = videos.video(real.case(photograph.name), photograph.rgb, photograph.fov)
        return frames

    return read


def _from_run(folder: Path, settings: PrepareSettings, folders: Mapping[str, Path]) -> AssessmentData:
    runs = load_runs([folder])
    stored = StoredData(runs.records, runs.sources, runs.calls)
    records = _records(folder, runs.records, settings)
    task_name = records[0]["unit"]["task"]
    data = stored.task_data(task_name)
    real = RealVideos(data.index)
    names = list(dict.fromkeys(record["unit"]["encoder"] for record in records))
    duplicates = sorted(set(names) & set(folders))
    if duplicates:
        raise SettingsError(f"frames.{duplicates[0]}: the run has a model of this name; name the folder otherwise")
    seeds = sorted(set.intersection(*(_seeds(records, name) for name in names)))
    if not seeds:
        raise StoreError(f"run={folder}: {shortened(names)} have no seed in common; choose others with models=")
    # Each photograph is taken from the first seed that tests it, so that baselines are fitted on other patients.
    first = {
        image: seed
        for seed in reversed(seeds)
        for image in _record(records, names[0], seed)["result"]["episode"]["test"]
    }
    sources, problems = [], []
    for name in names:
        by_seed = {seed: _record(records, name, seed) for seed in seeds}
        try:
            sources.append(_run_source(name, by_seed, first, stored, data, real))
        except (NotStored, DataError) as error:
            problems += error.problems
    if problems:
        raise StoreError(problems)
    extra, images = _folder_sources(folders, sorted(first), real)
    origin = {"run": str(folder), "task": task_name, "data": data.fingerprint, "seeds": seeds}
    return AssessmentData(data.index, real, tuple(images), (*sources, *extra), origin)


def _records(folder: Path, records: Sequence[UnitRecord], settings: PrepareSettings) -> list[UnitRecord]:
    """Records of one generation task, and of the requested models."""
    of_family = [record for record in records if record.get("family") == _FAMILY]
    tasks = list(dict.fromkeys(record["unit"]["task"] for record in of_family))
    if not tasks:
        raise StoreError(
            f"run={folder}: has no units of a generation task, so no videos; run one first: f2vbench run "
            "task=phantom-video model=fundus2video-mini, or give folders: cases=… frames.<method>=…"
        )
    if settings.task is not None and settings.task not in tasks:
        raise SettingsError(
            f"task={settings.task}: not in this run{did_you_mean(settings.task, tasks)}; it has {tasks}"
        )
    if settings.task is None and len(tasks) > 1:
        raise SettingsError(f"run={folder}: has several generation tasks; choose one: task={' or '.join(tasks)}")
    task = settings.task or tasks[0]
    selected = [record for record in of_family if record["unit"]["task"] == task]
    names = list(dict.fromkeys(record["unit"]["encoder"] for record in selected))
    unknown = [model for model in settings.models or [] if model not in names]
    if unknown:
        hint = did_you_mean(unknown[0], names)
        raise SettingsError(f"models={','.join(unknown)}: not in this run{hint}; it has {', '.join(names)}")
    wanted = settings.models or names
    return [record for model in wanted for record in selected if record["unit"]["encoder"] == model]


def _seeds(records: Sequence[UnitRecord], name: str) -> set[int]:
    return {record["unit"]["seed"] for record in records if record["unit"]["encoder"] == name}


def _record(records: Sequence[UnitRecord], name: str, seed: int) -> UnitRecord:
    return next(record for record in records if record["unit"]["encoder"] == name and record["unit"]["seed"] == seed)


def _run_source(
    name: str,
    by_seed: Mapping[int, UnitRecord],
    first: Mapping[str, int],
    stored: StoredData,
    data: Any,
    real: RealVideos,
) -> VideoSource:
    """Frames of one model of a run: from the feature store, from its folder, or computed again for a baseline.

    Raises:
        NotStored: The frames are not on this machine.
        DataError: The folder of its frames is missing.
    """
    record = next(iter(by_seed.values()))
    if record["identity"]["kind"] != "video":
        return VideoSource(name, _store_reader(name, first, stored, data), _phase(record))
    spec = parse_model(stored.frames_argument(name) or name)
    if spec.identity() != record["identity"]["model"]:
        raise NotStored(f"{name}: its frames have changed since the run; run again, then prepare the assessment")
    if spec.folder is not None or not isinstance(load_videos(spec), MeanVideo):
        return VideoSource(name, _reader(load_videos(spec), real), _phase(record))
    fitted: dict[int, MeanVideo] = {}

    def mean_video(photograph: Photograph) -> np.ndarray:
        seed = first[photograph.name]
        if seed not in fitted:
            fitted[seed] = MeanVideo()
            rows = data.index.set_index("image", drop=False)
            support = by_seed[seed]["result"]["episode"]["support"]
            fitted[seed].fit((real.frames(image), open_photograph(rows.loc[image]).fov) for image in support)
        return fitted[seed].video(real.case(photograph.name), photograph.rgb, photograph.fov)

    return VideoSource(name, mean_video, _phase(record))


def _store_reader(
    name: str, first: Mapping[str, int], stored: StoredData, data: Any
) -> Callable[[Photograph], np.ndarray]:
    rows = data.index.set_index("image", drop=False)
    absent = [image for image in first if not stored.has_video(name, rows.loc[image])]
    if absent:
        raise NotStored(
            f"{name}: the feature cache lacks its frames of {len(absent)} of {len(first)} photographs "
            f"({shortened(absent)}), because the run was made on another machine, or the cache was emptied. Repeat the "
            f"run with another out=, which computes them again; or write them with f2vbench generate image=<cases> "
            f"out=<folder> model={name} restore=yes, and give frames.{name}=<folder> with models= for the others"
        )

    def read(photograph: Photograph) -> np.ndarray:
        frames = stored.video(name, photograph)
        if frames is None:
            raise StoreError(f"{name}: the frames of {photograph.name} in the feature cache are damaged; run again")
        return frames_on_photograph(frames, photograph)

    return read


def _phase(record: UnitRecord) -> str:
    """Phase of a model of one frame, which has metrics of this phase only."""
    metrics = record["result"]["metrics"]
    return next((phase for phase in PHASES if f"psnr_{phase}" in metrics), "venous")
