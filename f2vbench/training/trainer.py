"""Trains a generator: epochs, checkpoints, validation, export.

A run folder holds

    settings.yaml            the settings of the run
    log.jsonl                a line a batch (losses, learning rate, videos a minute) and a line an epoch (validation)
    tensorboard/             the same for TensorBoard, where it is installed
    checkpoint.pt            the newest state, from which the same command goes on
    samples/epoch-001.png    validation videos, truth above generated, after each epoch; model=mae: photographs
                             whole, masked and restored
    samples/epoch-001.gif    the first of them as a video, truth beside generated, for models of 12 frames
    generator.safetensors    the trained generator (its moving average, where there is one), for model=<…>:<this file>
    generator.json           its card: architecture, settings, data, quality, sha256
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import yaml
from torch.utils.data import Dataset

from f2vbench.data.video_files import encode_gif
from f2vbench.pretrained.checkpoints import file_sha256
from f2vbench.pretrained.weights_cards import weights_card, weights_cards
from f2vbench.pretrained.weights_files import find_weights
from f2vbench.training.checkpoints import check_same_training, load_checkpoint, save_checkpoint
from f2vbench.training.data.batches import VideoLoader, epoch_order
from f2vbench.training.distributed import rank, wait_for_all, world_size
from f2vbench.training.divergence import Watch
from f2vbench.training.export import CHECKPOINT, EXPORT, SETTINGS, export, made_on
from f2vbench.training.learners import learner_of
from f2vbench.training.log import TrainingLog
from f2vbench.training.lr_schedule import rate_factor
from f2vbench.training.settings import TrainSettings
from f2vbench.utils.files import sweep, write_atomically
from f2vbench.utils.png import encode_png
from f2vbench.utils.progress import Progress, Silent

_FILM_FPS = 3.0
_TOLD = ("gan", "discriminator", "pixel", "squared", "reconstruction")  # losses beside the progress bar


class Cases(Protocol):
    """What a trainer needs of a data set; `f2vbench.training.data.dataset.CaseSet` is one."""

    @property
    def train(self) -> Dataset[Any]: ...

    @property
    def validation(self) -> Dataset[Any]: ...

    def set_epoch(self, epoch: int) -> None: ...


@dataclass
class Place:
    """How far a training has come.

    Attributes:
        epoch: the one under way, from 0.
        batch: the next of its batches.
        videos: trained on so far, over all processes.
        seconds: of training so far.
    """

    epoch: int = 0
    batch: int = 0
    videos: int = 0
    seconds: float = 0.0


class Trainer:
    """One training in one run folder; begins, or goes on where the folder's checkpoint stands.

    Args:
        settings: see `TrainSettings`.
        cases: the data set.
        device: of this process.
        bf16: autocast the networks to bfloat16.
        data: what identifies the data set, for the card and for the check on going on.
    """

    def __init__(
        self,
        settings: TrainSettings,
        cases: Cases,
        device: torch.device,
        *,
        bf16: bool = False,
        data: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
    ):
        if settings.batch_size % world_size():
            raise ValueError(f"batch_size={settings.batch_size} can't be shared by {world_size()} processes equally")
        self.settings = settings
        self.folder = settings.folder()
        self._learner = learner_of(settings, device, bf16)
        self.networks = self._learner.networks
        self.place = Place()
        self._cases = cases
        self._device = device
        self._data = {"training_videos": _size(cases.train), **(data or {})}
        if settings.start is not None:
            self._data["start"] = file_sha256(_weights(settings.start))
        self._progress = progress if progress is not None and rank() == 0 else Silent()
        self._training = VideoLoader(cases.train, settings.mask, settings.workers)
        self._held_out = VideoLoader(cases.validation)
        self._watch = Watch()
        self._batches = len(epoch_order(_size(cases.train), settings.batch_size, settings.seed, 0))
        self._quality: dict[str, float] = {}
        self._log: TrainingLog | None = None

    def run(self) -> Path:
        """Train to the end, and export.

        Returns:
            the exported generator's file.

        Raises:
            StoreError: the folder holds a training with other settings, or can't be written.
            WeightsError: ``start`` is of a generator of another shape.
            TrainingError: training diverged or collapsed.
        """
        self._open()
        left = self.settings.epochs * self._batches - self.place.epoch * self._batches - self.place.batch
        self._progress.begin(f"train {self.settings.model}", left)
        with torch.backends.cudnn.flags(benchmark=True):
            while self.place.epoch < self.settings.epochs:
                self._train_epoch()
                self._end_epoch()
        self._progress.end()
        if self._log is not None:
            self._log.close()
        wait_for_all()
        return self.folder / EXPORT

    def _open(self) -> None:
        """Go on with the checkpoint in the folder, or begin."""
        checkpoint = self.folder / CHECKPOINT
        if checkpoint.is_file():
            state = load_checkpoint(checkpoint, self._device)
            identity = {**self.settings.decisive(), **self._data}
            check_same_training(checkpoint, {**state["settings"], **state["data"]}, identity)
            self.networks.load_state(state)
            self.place = Place(**state["place"])
            self._quality = state["quality"]
            self._progress.note(f"going on in epoch {self.place.epoch + 1} after {self.place.videos} videos")
        elif self.settings.start is not None:
            self.networks.start_from(_weights(self.settings.start), self._learner.prefix)
        if rank() == 0:
            sweep(self.folder)
            told = self.settings.in_use()
            write_atomically(self.folder / SETTINGS, yaml.safe_dump(told, sort_keys=False).encode())
            self._log = TrainingLog(self.folder, self.place.videos)
        wait_for_all()

    def _train_epoch(self) -> None:
        place, settings = self.place, self.settings
        self._cases.set_epoch(place.epoch)
        order = epoch_order(_size(self._cases.train), settings.batch_size, settings.seed, place.epoch)[place.batch :]
        mine = [batch[rank() :: world_size()] for batch in order]
        saved = began = time.monotonic()
        for batch in self._training.load(mine):
            rate = settings.learning_rate * self._rate_factor()
            self.networks.set_learning_rate(rate)
            losses = self._learner.step(batch, place.epoch, place.videos)
            self._watch.look(losses, f"{self.folder}, epoch {place.epoch + 1}, {', '.join(batch.cases)}")
            now = time.monotonic()
            place.batch += 1
            place.videos += settings.batch_size
            place.seconds += now - began
            pace = 60 * settings.batch_size / max(now - began, 1e-9)
            began = now
            self._write({"epoch": place.epoch, "videos": place.videos, "rate": rate, "pace": pace, **losses})
            self._progress.advance(_label(place, losses))
            if now - saved > 60 * settings.save_minutes and place.batch < self._batches:
                saved = now
                self._save()

    def _rate_factor(self) -> float:
        return rate_factor(self.settings, self.place.epoch, self.place.batch, self._batches)

    def _end_epoch(self) -> None:
        """Validate, log, save; after the last epoch export too, so that a folder with all epochs has its export."""
        self.place.epoch, self.place.batch = self.place.epoch + 1, 0
        last = self.place.epoch == self.settings.epochs
        if rank() == 0:
            if last or self.place.epoch % self.settings.validate_every == 0:
                self._quality = self._validate()
                self._write({"epoch": self.place.epoch, "videos": self.place.videos, "validation": self._quality})
            if last:
                self.export()
            self._save()
        wait_for_all()

    def _validate(self) -> dict[str, float]:
        """Mean scores of the validation videos; empty where there are none."""
        settings = self.settings
        count = min(_size(self._cases.validation), settings.validate_videos)
        generator = self.networks.best.eval()
        scores: list[dict[str, float]] = []
        strips: list[np.ndarray] = []
        for batch in self._held_out.load([[index] for index in range(count)]):
            for video in self._learner.show(batch):
                film = video.film() if settings.samples and not scores else None
                if film is not None:
                    shown = self.folder / "samples" / f"epoch-{self.place.epoch:03d}.gif"
                    write_atomically(shown, encode_gif(film, _FILM_FPS))
                scores.append(video.scores())
                if len(strips) < settings.samples:
                    strips.append(video.strip())
        generator.train()
        if strips:
            picture = self.folder / "samples" / f"epoch-{self.place.epoch:03d}.png"
            write_atomically(picture, encode_png(np.concatenate(strips)))
        if not scores:
            return {}
        quality = {name: float(np.mean([score[name] for score in scores])) for name in scores[0]}
        told = ", ".join(f"{name} {value:.4g}" for name, value in quality.items())
        self._progress.note(
            f"epoch {self.place.epoch} of {settings.epochs}: {told} ({count} validation video{'s' * (count != 1)})"
        )
        return quality

    def export(self) -> Path:
        """Write the generator and its card into the run folder; returns the generator's file."""
        state = {"place": asdict(self.place), "data": self._data, "quality": self._quality}
        state["made_on"] = made_on(self._device)
        path = self.folder / EXPORT
        return export(self._learner, self.settings, path, state, half=self.settings.export_half)

    def _save(self) -> None:
        if rank() == 0:
            identity = {"settings": self.settings.decisive(), "data": self._data}
            told = {"place": asdict(self.place), "quality": self._quality, "made_on": made_on(self._device)}
            state = {**self.networks.state(), **identity, **told}
            save_checkpoint(self.folder / CHECKPOINT, state)

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._log is not None:
            self._log.write(line)


def _weights(start: Path) -> Path:
    """The file that ``start`` names: itself, or that of a weights card."""
    named = not start.exists() and str(start) in weights_cards()
    return find_weights(weights_card(str(start))) if named else start


def _size(dataset: Dataset[Any]) -> int:
    return len(dataset)  # type: ignore[arg-type]  # torch's Dataset declares no length


def _label(place: Place, losses: Mapping[str, float]) -> str:
    told = " ".join(f"{name} {losses[name]:.3f}" for name in _TOLD if name in losses)
    return f"epoch {place.epoch + 1} {told}"
