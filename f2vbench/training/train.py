"""From settings to a trained generator."""

from __future__ import annotations

from pathlib import Path

import torch

from f2vbench.config.base import flatten
from f2vbench.errors import SettingsError
from f2vbench.training.data.dataset import CaseSet, open_cases
from f2vbench.training.distributed import local_device, process_group, rank, world_size
from f2vbench.training.settings import TrainSettings
from f2vbench.training.trainer import Trainer
from f2vbench.utils.device import torch_device, training_arithmetic
from f2vbench.utils.progress import Progress, Silent


def train(settings: TrainSettings, progress: Progress | None = None) -> Path:
    """Train a generator, or go on with its training, in this process or as one of those that torchrun started.

    Returns:
        the exported generator, in the run folder that `f2vbench.training.trainer` describes.

    Raises:
        SettingsError: a GPU that is not there; a batch that the processes can't share equally.
        DataError: data missing or not usable.
        StoreError: the folder holds another training, or can't be written.
        WeightsError: the perceptual loss has no weights.
        TrainingError: training diverged or collapsed.
    """
    device = local_device(torch_device(settings.device))
    if device.type == "cuda":
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(settings.threads)
    with process_group(device):
        if settings.batch_size % world_size():
            raise SettingsError(
                f"batch_size={settings.batch_size}: {world_size()} processes share a step's videos equally; give a "
                f"multiple of {world_size()}"
            )
        told = progress if progress is not None and rank() == 0 else Silent()
        told.note(f"run folder: {settings.folder()}")
        cases = open_training_cases(settings, told)
        for note in cases.notes:
            told.note(note)
        bf16 = training_arithmetic(settings.precision, device) == "bf16"
        data = flatten({"data": cases.identity()})
        return Trainer(settings, cases, device, bf16=bf16, data=data, progress=told).run()


def open_training_cases(settings: TrainSettings, progress: Progress | None = None) -> CaseSet:
    """The data set that settings name."""
    whole = sum(settings.split)
    return open_cases(
        settings.data,
        size=settings.image_size,
        seed=settings.seed,
        validation=settings.split[1] / whole,
        test=settings.split[2] / whole,
        augment=settings.augment,
        sampling=settings.frames,
        model_frames=0 if settings.model == "mae" else 12,
        crop=settings.crop,
        late_crop=(settings.epochs - settings.late_epochs, settings.late_crop) if settings.late_crop else None,
        enlarge=settings.enlarge,
        normalised=settings.photograph == "normalised",
        eyes=settings.eyes,
        renew=settings.renew,
        progress=progress,
    )
