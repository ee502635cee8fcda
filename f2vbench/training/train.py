"""Training of a model from its settings."""

from __future__ import annotations

import time
from pathlib import Path

import torch

from f2vbench.config.base import flatten
from f2vbench.encoders.model_family import FRAMES
from f2vbench.encoders.registry import FAMILIES
from f2vbench.errors import SettingsError, StoreError
from f2vbench.loggers.open_loggers import LOCAL_FOLDERS, check_loggers
from f2vbench.training.checkpoints import CHECKPOINT
from f2vbench.training.data.angiogram_dataset import LateCrop
from f2vbench.training.data.augmentation import AUGMENTATIONS
from f2vbench.training.data.dataset import PHANTOM, DatasetSplits, open_dataset
from f2vbench.training.data.options import ImageOptions, SamplingOptions, SimulationOptions, SplitShares
from f2vbench.training.distributed import local_device, process_group, rank, world_size
from f2vbench.training.export import EXPORT, SETTINGS
from f2vbench.training.log import LOG
from f2vbench.training.loss_settings import TRUTH_LOSSES
from f2vbench.training.settings import TrainSettings
from f2vbench.training.trainer import Trainer
from f2vbench.utils.device import arithmetic, torch_device
from f2vbench.utils.existing_outputs import check_output_folder
from f2vbench.utils.progress import Progress, Silent


def train(settings: TrainSettings, progress: Progress | None = None) -> Path:
    """Train a model, or resume its training, in this process or as one of the processes of torchrun.

    Args:
        settings: Of the training.
        progress: Receives notes and the progress of the training.

    Returns:
        The exported weights file in the run folder (see `f2vbench.training.trainer`).

    Raises:
        SettingsError: The GPU does not exist, the processes can't share a batch equally, or a package that the model
            needs, or a run logger, is not installed.
        DataError: Data is missing or unusable.
        StoreError: The run folder holds another training, or can't be written.
        WeightsError: The initial weights or those of the perceptual loss are missing or unusable.
        TrainingError: The training diverged or collapsed.
    """
    started = time.monotonic()
    check_loggers(settings.log)
    FAMILIES[settings.model].check_libraries(f"model={settings.model}")
    device = local_device(torch_device(settings.device))
    if device.type == "cuda":
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(settings.threads)
    with process_group(device):
        if settings.batch_size % world_size():
            raise SettingsError(
                f"batch_size={settings.batch_size}: {world_size()} processes share a batch equally; use a multiple of "
                f"{world_size()}"
            )
        reporter = progress if progress is not None and rank() == 0 else Silent()
        reporter.note(f"run folder: {settings.folder()}")
        _check_folder(settings.folder())
        datasets = open_training_data(settings, reporter)
        for note in datasets.notes:
            reporter.note(note)
        unknown = [key for key in TRUTH_LOSSES if getattr(settings.loss, key)]
        if settings.data != PHANTOM and settings.model != "mae" and unknown:
            keys = ", ".join(f"loss.{key}" for key in unknown)
            reporter.note(f"{keys}: not used, because only simulated eyes come with their vessels and lesions")
        bf16 = arithmetic(settings.precision, device) == "bf16"
        identity = flatten({"data": datasets.identity()})
        trainer = Trainer(
            settings, datasets, device, bf16=bf16, data_identity=identity, progress=reporter, started=started
        )
        try:
            return trainer.run()
        except StoreError as error:
            if not isinstance(error.__cause__, OSError):
                raise
            checkpoint = settings.folder() / CHECKPOINT
            kept = f"the same command continues from {checkpoint}"
            if not checkpoint.is_file():
                kept = "no checkpoint is stored yet, so the same command starts again"
            raise StoreError([*error.problems, kept]) from error


def _check_folder(folder: Path) -> None:
    """Refuse a folder with files of others, or with exported weights that no checkpoint tells how to continue.

    Raises:
        StoreError: The folder can't hold this training.
    """
    names = (SETTINGS, LOG, CHECKPOINT, "samples", EXPORT, Path(EXPORT).with_suffix(".json").name)
    check_output_folder(folder, "out", (*names, *LOCAL_FOLDERS), [CHECKPOINT])
    if (folder / EXPORT).exists() and not (folder / CHECKPOINT).exists():
        raise StoreError(
            f"out={folder}: has the exported weights of a training ({EXPORT}) without its {CHECKPOINT}, and this "
            "training would replace them; choose another folder with out="
        )


def open_training_data(settings: TrainSettings, progress: Progress | None = None) -> DatasetSplits:
    """Open the data set of a training.

    Args:
        settings: Of the training.
        progress: Receives the progress of the image checks.

    Raises:
        DataError: Data is missing or unusable.
    """
    late_crop = None
    if settings.late_crop:
        late_crop = LateCrop(settings.epochs - settings.late_epochs, settings.late_crop)
    _, validation, test = settings.split
    whole = sum(settings.split)
    return open_dataset(
        settings.data,
        ImageOptions(
            size=settings.image_size,
            enlarge=settings.enlarge,
            crop=settings.crop,
            late_crop=late_crop,
            augmentation=AUGMENTATIONS[settings.augment],
            shading_correction=settings.photograph == "normalised",
        ),
        seed=settings.seed,
        sampling=SamplingOptions(
            frames=0 if settings.model == "mae" else FRAMES, training=settings.frames, phases=settings.phases
        ),
        shares=SplitShares(validation / whole, test / whole),
        simulation=SimulationOptions(settings.eyes, settings.renew, settings.targets == "acquired"),
        normalise_patients=settings.patients == "normalise",
        progress=progress,
    )
