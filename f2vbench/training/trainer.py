"""The training loop: epochs, checkpoints, validation and export.

A run folder holds

    settings.yaml            the settings of the training
    log.jsonl                a line for each batch (losses, learning rate, videos a minute) and each validation
    tensorboard/             the same for TensorBoard, where it is installed
    checkpoint.pt            the newest state, from which the same command resumes
    samples/epoch-001.png    validation videos after an epoch, true above generated frames; model=mae: photographs,
                             masked and restored
    samples/epoch-001.gif    the first of them as a video, true beside generated frames, for models of 12 frames
    generator.safetensors    the trained network (its moving average, where there is one), for model=<…>:<this file>
    generator.json           its card: architecture, settings, data, validation, sha256
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import yaml
from torch.utils.data import Dataset

from f2vbench.data.video_files import encode_gif
from f2vbench.errors import SettingsError
from f2vbench.pretrained.checkpoints import file_sha256
from f2vbench.pretrained.weights_cards import weights_card, weights_cards
from f2vbench.pretrained.weights_files import find_weights
from f2vbench.training.checkpoints import (
    CHECKPOINT,
    Checkpoint,
    TrainingPosition,
    TrainingStatus,
    load_checkpoint,
    save_checkpoint,
)
from f2vbench.training.data.angiogram_dataset import Sample
from f2vbench.training.data.video_loader import VideoLoader, epoch_batches
from f2vbench.training.distributed import of_first_process, rank, wait_for_all, world_size
from f2vbench.training.divergence import DivergenceCheck
from f2vbench.training.export import EXPORT, SETTINGS, export_training, training_environment
from f2vbench.training.log import TrainingLog
from f2vbench.training.methods import ValidationResult, build_method
from f2vbench.training.schedule import Schedule
from f2vbench.training.settings import TrainSettings
from f2vbench.utils.files import remove_stale_parts, write_atomically
from f2vbench.utils.png import encode_png
from f2vbench.utils.progress import Progress, Silent
from f2vbench.utils.text import duration

_GIF_FPS = 3.0
_EXPORT_SECONDS = 5.0
_EXPORT_SECONDS_PER_PARAMETER = 2e-7
_DISPLAYED_LOSSES = (
    "gan",
    "discriminator",
    "pixel",
    "squared",
    "truth",
    "reconstruction",
    "noise",
)  # beside the progress bar


class TrainingData(Protocol):
    """The data sets of a trainer, such as `f2vbench.training.data.dataset.DatasetSplits`."""

    @property
    def train(self) -> Dataset[Sample]:
        """Training data of the current epoch."""

    @property
    def validation(self) -> Dataset[Sample]:
        """Validation data; may be empty."""

    def set_epoch(self, epoch: int) -> None:
        """Select the views of an epoch of ``train``."""


class Trainer:
    """One training in one run folder; it resumes from the folder's checkpoint, where there is one.

    Args:
        settings: Of the training.
        data: Training and validation data.
        device: Of this process.
        bf16: Autocast the networks to bfloat16.
        data_identity: What identifies the data, for the card and for the check before resuming.
        progress: Receives notes and the progress.
        started: `time.monotonic` when this process began to prepare the training; by default now.

    Attributes:
        settings: Of the training.
        folder: The run folder.
        method: Networks, training step and validation of the model.
        position: How far the training has progressed.
    """

    def __init__(
        self,
        settings: TrainSettings,
        data: TrainingData,
        device: torch.device,
        *,
        bf16: bool = False,
        data_identity: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
        started: float | None = None,
    ):
        if settings.batch_size % world_size():
            raise ValueError(f"batch_size={settings.batch_size}: {world_size()} processes can't share it equally")
        self.settings = settings
        self.folder = settings.folder()
        self.method = build_method(settings, device, bf16)
        self.position = TrainingPosition()
        self._data = data
        self._device = device
        self._data_identity = {"training_videos": _length(data.train), **(data_identity or {})}
        if settings.start is not None:
            self._data_identity["start"] = file_sha256(_weights_file(settings.start))
        self._progress = progress if progress is not None and rank() == 0 else Silent()
        self._training_loader = VideoLoader(data.train, settings.mask, settings.workers)
        self._validation_loader = VideoLoader(data.validation)
        self._divergence_check = DivergenceCheck()
        self._batches_per_epoch = len(epoch_batches(_length(data.train), settings.batch_size, settings.seed, 0))
        self._clock = time.monotonic() if started is None else started
        self._saved = time.monotonic()
        self._bf16 = bf16
        self._schedule = Schedule(settings, self._batches_per_epoch)
        self._milestone = 0
        self._shown_seconds = 0
        self._validation_scores: Mapping[str, float] = {}
        self._log: TrainingLog | None = None

    def run(self) -> Path:
        """Train to the end, and export.

        Returns:
            The exported weights file.

        Raises:
            StoreError: The folder holds a training with other settings, or can't be written.
            WeightsError: The file of ``start`` has a generator of another shape.
            TrainingError: The training diverged or collapsed.
            SettingsError: The budget of ``minutes`` is too short for one epoch.
        """
        self.start_or_resume()
        if not self.position.completed:
            with torch.backends.cudnn.flags(benchmark=True):
                self._train()
        if self._log is not None:
            self._log.close()
        wait_for_all()
        return self.folder / EXPORT

    def _train(self) -> None:
        if self.settings.minutes is not None:
            self._plan_budget(self.settings.minutes)
        self._begin_progress()
        while not self._schedule.is_done(self.position):
            self._train_epoch()
            self._end_epoch()
        if rank() == 0:
            self._finish()
        self._progress.end()

    def start_or_resume(self) -> None:
        """Load the folder's checkpoint, or the initial weights of ``start``; write the settings and open the log.

        Raises:
            StoreError: The folder holds a training with other settings, or can't be written.
            WeightsError: The file of ``start`` has a generator of another shape.
        """
        path = self.folder / CHECKPOINT
        if path.is_file():
            checkpoint = load_checkpoint(path, self._device)
            checkpoint.check_same_training(path, self.settings.identity(), self._data_identity)
            self.method.networks.load(checkpoint)
            self.position = replace(checkpoint.status.position)
            self._validation_scores = checkpoint.status.validation
            self._milestone = int(self._schedule.place(self.position))
            if self.position.completed:
                self._progress.note(f"this training is complete, after {self.position.videos} videos")
            else:
                self._progress.note(f"resuming in epoch {self.position.epoch + 1} after {self.position.videos} videos")
        elif self.settings.start is not None:
            self.method.networks.start_from(_weights_file(self.settings.start), self.method.prefix)
        if rank() == 0:
            remove_stale_parts(self.folder)
            settings_text = yaml.safe_dump(self.settings.used(), sort_keys=False)
            write_atomically(self.folder / SETTINGS, settings_text.encode())
            self._log = TrainingLog(self.folder, self.position.videos, self.settings.log, self.settings.used())
        wait_for_all()

    def learning_rate(self) -> float:
        """The learning rate of the next batch."""
        return self.settings.learning_rate * self._schedule.learning_rate_factor(self.position)

    def _plan_budget(self, minutes: float) -> None:
        """Measure a batch and a validation video, and divide the budget.

        The measurement uses networks of its own, so that the training does not depend on it.

        Raises:
            SettingsError: The budget is too short for one epoch.
        """
        settings, batches = self.settings, self._batches_per_epoch
        method = build_method(settings, self._device, self._bf16)
        self._data.set_epoch(self.position.epoch)
        indices = epoch_batches(_length(self._data.train), settings.batch_size, settings.seed, self.position.epoch)[0]
        begun = time.monotonic()
        (batch,) = self._training_loader.load([indices[rank() :: world_size()]])
        loading = (time.monotonic() - begun) / max(settings.workers, 1)
        for _ in range(2):  # the first step also prepares the arithmetic
            begun = time.monotonic()
            method.train_step(batch, 0, 0, 0.0)
            step = time.monotonic() - begun
        videos = min(_length(self._data.validation), settings.validate_videos)
        begun = time.monotonic()
        for batch in self._validation_loader.load([[0]] if videos else []):
            for result in method.validate(batch):
                result.scores()
        parameters = sum(parameter.numel() for parameter in method.networks.parameters())
        end = _EXPORT_SECONDS + parameters * _EXPORT_SECONDS_PER_PARAMETER + 1.5 * videos * (time.monotonic() - begun)
        epoch = batches * (max(loading, step) if settings.workers else loading + step)
        epoch, end = of_first_process([epoch, end], self._device)
        self._schedule = Schedule(settings, batches, reserve=end)
        self._tick()
        if self.position.videos == 0 and self.position.seconds + epoch + end > 60 * minutes:
            raise SettingsError(
                f"minutes={minutes:g}: preparation took {duration(self.position.seconds)}, the first pass over "
                f"{_length(self._data.train)} videos takes about {duration(epoch)}, validation and export "
                f"{duration(end)}: raise minutes, or lower the number of videos (eyes= for simulated ones)"
            )

    def _begin_progress(self) -> None:
        settings, position = self.settings, self.position
        if settings.minutes is not None:
            self._shown_seconds = int(position.seconds)
            left = max(0, int(60 * settings.minutes) - self._shown_seconds)
            self._progress.begin(f"train {settings.model}, seconds", left)
        else:
            done = position.epoch * self._batches_per_epoch + position.batch
            self._progress.begin(f"train {settings.model}", settings.epochs * self._batches_per_epoch - done)

    def _advance_progress(self, label: str) -> None:
        """Show a batch, or with ``minutes`` the seconds since the last one."""
        steps = 1
        if self.settings.minutes is not None:
            budget = int(60 * self.settings.minutes)
            steps = max(0, min(int(self.position.seconds), budget) - self._shown_seconds)
            self._shown_seconds += steps
        for _ in range(steps):
            self._progress.advance(label)

    def _tick(self) -> float:
        """Add the time since the last call to that of the training, and return it, in seconds.

        With ``minutes`` all processes have the time of the first one, so that they stop at the same batch.
        """
        now = time.monotonic()
        passed, self._clock = now - self._clock, now
        self.position.seconds += passed
        if self.settings.minutes is not None:
            (self.position.seconds,) = of_first_process([self.position.seconds], self._device)
        return passed

    def _train_epoch(self) -> None:
        position, settings = self.position, self.settings
        self._data.set_epoch(position.epoch)
        batches = epoch_batches(_length(self._data.train), settings.batch_size, settings.seed, position.epoch)
        shares = [batch[rank() :: world_size()] for batch in batches[position.batch :]]
        self._tick()
        for batch in self._training_loader.load(shares):
            learning_rate = self.learning_rate()
            self.method.networks.set_learning_rate(learning_rate)
            losses = self.method.train_step(batch, position.epoch, position.videos, self._schedule.place(position))
            self._divergence_check.check(losses, f"{self.folder}, epoch {position.epoch + 1}, {', '.join(batch.cases)}")
            passed = self._tick()
            position.batch += 1
            position.videos += settings.batch_size
            pace = 60 * settings.batch_size / max(passed, 1e-9)
            entry = {"epoch": position.epoch, "videos": position.videos, "rate": learning_rate, "pace": pace}
            self._write_log({**entry, **losses})
            self._advance_progress(_progress_label(position, losses))
            if self._schedule.is_done(position):
                break
            is_old = self._clock - self._saved > 60 * settings.save_minutes
            if is_old and position.batch < self._batches_per_epoch:
                self._save_checkpoint()

    def _end_epoch(self) -> None:
        """Validate and save where the schedule says so."""
        position, settings = self.position, self.settings
        if position.batch == self._batches_per_epoch:
            position.epoch, position.batch = position.epoch + 1, 0
        place, self._milestone = self._milestone, int(self._schedule.place(position))
        if rank() == 0 and self._milestone > place and not self._schedule.is_done(position):
            is_due = self._milestone // settings.validate_every > place // settings.validate_every
            if is_due:
                self._validate_and_log()
            # With minutes=, stages of the schedule are short, and a checkpoint of a large generator takes seconds.
            is_old = self._clock - self._saved > 60 * settings.save_minutes
            if settings.minutes is None or is_due or is_old:
                self._save_checkpoint()
        self._tick()
        wait_for_all()

    def _finish(self) -> None:
        """Validate, export and save, in this order, so that a completed training always has its export."""
        self._validate_and_log()
        self.position.completed = True
        path = self.folder / EXPORT
        export_training(self.method, self.settings, path, self._status(), half=self.settings.export_half)
        self._save_checkpoint()

    def _validate_and_log(self) -> None:
        self._validation_scores = self._validate()
        entry = {"epoch": self.position.epoch, "videos": self.position.videos}
        self._write_log({**entry, "validation": self._validation_scores})

    def _validate(self) -> dict[str, float]:
        """Mean scores of the validation videos, and pictures of the first ones; empty without validation data."""
        settings = self.settings
        count = min(_length(self._data.validation), settings.validate_videos)
        network = self.method.networks.best.eval()
        scores: list[dict[str, float]] = []
        strips: list[np.ndarray] = []
        for batch in self._validation_loader.load([[index] for index in range(count)]):
            for result in self.method.validate(batch):
                if settings.samples and not scores:
                    self._write_animation(result)
                scores.append(result.scores())
                if len(strips) < settings.samples:
                    strips.append(result.strip())
        network.train()
        if strips:
            write_atomically(self._sample_path(".png"), encode_png(np.concatenate(strips)))
        if not scores:
            return {}
        names = dict.fromkeys(name for score in scores for name in score)
        means = {name: float(np.mean([score[name] for score in scores if name in score])) for name in names}
        text = ", ".join(f"{name} {value:.4g}" for name, value in means.items())
        total = "" if settings.minutes is not None else f" of {settings.epochs}"
        self._progress.note(
            f"epoch {self.position.epoch}{total}: {text} ({count} validation video{'s' * (count != 1)})"
        )
        return means

    def _write_animation(self, result: ValidationResult) -> None:
        frames = result.animation()
        if frames is not None:
            write_atomically(self._sample_path(".gif"), encode_gif(frames, _GIF_FPS))

    def _sample_path(self, suffix: str) -> Path:
        return self.folder / "samples" / f"epoch-{self.position.epoch:03d}{suffix}"

    def _status(self) -> TrainingStatus:
        environment = training_environment(self._device)
        return TrainingStatus(self.position, self._data_identity, self._validation_scores, environment)

    def _save_checkpoint(self) -> None:
        self._saved = time.monotonic()
        if rank() == 0:
            networks = self.method.networks
            states = networks.network_states(), networks.optimiser_states()
            save_checkpoint(self.folder / CHECKPOINT, Checkpoint(self.settings.identity(), self._status(), *states))

    def _write_log(self, line: Mapping[str, Any]) -> None:
        if self._log is not None:
            self._log.write(line)


def _weights_file(start: Path) -> Path:
    """The file of ``start``: the path itself, or the file of the weights card with this name."""
    is_card = not start.exists() and str(start) in weights_cards()
    return find_weights(weights_card(str(start))) if is_card else start


def _length(dataset: Dataset[Any]) -> int:
    return len(dataset)  # type: ignore[arg-type]  # torch's Dataset declares no length


def _progress_label(position: TrainingPosition, losses: Mapping[str, float]) -> str:
    values = " ".join(f"{name} {losses[name]:.3f}" for name in _DISPLAYED_LOSSES if name in losses)
    return f"epoch {position.epoch + 1} {values}"
