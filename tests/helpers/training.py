"""Small trainings: synthetic data, settings, and the comparison of logs and gradients."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from f2vbench.config.base import overlay
from f2vbench.config.parsing import build
from f2vbench.phantom.truth_classes import TRUTH_CLASSES
from f2vbench.training.data.angiogram_dataset import Sample
from f2vbench.training.distributed import process_group
from f2vbench.training.log import LOG
from f2vbench.training.settings import TrainSettings
from f2vbench.training.trainer import Trainer

SIDE = 64
CPU = torch.device("cpu")
FRAMES = 12


class Videos(Dataset):
    """Videos of a bright line that appears on a textured background, different in each epoch.

    Args:
        count: Number of videos.
        lesions: Samples have a lesion mask.
        simulated: Samples have the truth of a simulator.
    """

    def __init__(self, count: int, lesions: bool = False, simulated: bool = False):
        self.count, self.lesions, self.simulated = count, lesions, simulated
        self.epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # loader processes read it too

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng([int(self.epoch), index])
        photograph = rng.uniform(-1, 1, (3, SIDE, SIDE)).astype(np.float32)
        frames = np.full((FRAMES, 1, SIDE, SIDE), -0.5, np.float32)
        row = rng.integers(8, SIDE - 8)
        for number in range(FRAMES):
            frames[number, 0, row : row + 4] += number / FRAMES
        photograph[:, row : row + 4] = -1
        fov_mask = torch.ones(1, SIDE, SIDE, dtype=torch.bool)
        lesion_mask = fov_mask.float() if self.lesions else None
        truth = self._truth(frames) if self.simulated else None
        images = torch.from_numpy(photograph), torch.from_numpy(frames)
        return Sample(*images, fov_mask, lesion_mask, truth, f"eye {index}")

    @staticmethod
    def _truth(frames: np.ndarray) -> torch.Tensor:
        """The line is an artery in its left half and a vein in its right half; everything else is a hard exudate."""
        line = frames[-1, 0] > -0.5
        truth = np.zeros((len(TRUTH_CLASSES), SIDE, SIDE), np.uint8)
        truth[TRUTH_CLASSES.index("artery"), :, : SIDE // 2] = line[:, : SIDE // 2]
        truth[TRUTH_CLASSES.index("vein"), :, SIDE // 2 :] = line[:, SIDE // 2 :]
        truth[TRUTH_CLASSES.index("hard_exudate")] = ~line
        return torch.from_numpy(truth)


class Photographs(Dataset):
    """Smooth waves on a background of one colour, different in each epoch."""

    def __init__(self, count: int):
        self.count = count
        self.epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng([int(self.epoch), index])
        rows, columns = np.mgrid[:SIDE, :SIDE] / 16
        waves = [0.2 * np.sin(rng.uniform(1, 2) * rows + rng.uniform(1, 2) * columns) for _ in range(3)]
        colours = np.array([0.5, -0.1, -0.7])[:, None, None]
        photograph = torch.from_numpy((colours + np.stack(waves)).astype(np.float32))
        fov_mask = torch.ones(1, SIDE, SIDE, dtype=torch.bool)
        return Sample(photograph, torch.zeros(0, 1, SIDE, SIDE), fov_mask, None, None, f"eye {index}")


class SyntheticData:
    """Training and validation data of a trainer."""

    def __init__(self, train: Dataset, validation: Dataset):
        self.train, self.validation = train, validation

    def set_epoch(self, epoch: int) -> None:
        self.train.epoch.fill_(epoch)


def video_data(train: int = 3, validation: int = 2, lesions: bool = False, simulated: bool = False) -> SyntheticData:
    return SyntheticData(Videos(train, lesions, simulated), Videos(validation, simulated=simulated))


def photograph_data(train: int = 4, validation: int = 2) -> SyntheticData:
    return SyntheticData(Photographs(train), Photographs(validation))


_ALL_LOSSES = {
    "gan": 1.0,
    "feature_matching": 10.0,
    "gradient_variance": 5.0,
    "pixel": 10.0,
    "squared": 0.0,
    "gradient": 0.0,
    "vessel_weight": 0.0,
    "lesion_weight": 0.0,
    "truth": 0.0,
}

_SINGLE_SQUARES = {
    "photograph": "plain",
    "augment": "f2v",
    "targets": "acquired",
    "crop": None,
    "batch_size": 1,
    "downsamplings": 4,
    "time": "none",
    "previous_dropped": 0.0,
    "rollout_epochs": 0,
    "pixel_epochs": 0,
    "warmup_epochs": 0,
    "fall": "linear",
    "update_every": None,
    "learning_rate": 2e-4,
    "beta1": 0.5,
    "beta2": 0.999,
    "weight_decay": 0.0,
}


def video_settings(out: Path, **changes) -> TrainSettings:
    """Settings of a Fundus2Video of the published depth with 2 channels, with all losses of the paper.

    It is trained on single whole squares, for 3 of the 12 windows and 2 epochs.
    """
    values = {"preset": "f2v", "image_size": SIDE, "ngf": 2, "ndf": 2, "scales": 2, "windows": 3}
    values |= {"truth_videos": 400, "epochs": 2, "flat_epochs": 1, "validate_every": 1, "samples": 1}
    if changes.get("preset", "f2v") == "f2v":
        values |= _SINGLE_SQUARES
        if changes.get("model") not in ("pix2pixhd", "truth"):
            values["loss"] = _ALL_LOSSES
    return build(TrainSettings, overlay(values, {"out": out, "device": "cpu", **changes}))


def mae_settings(out: Path, **changes) -> TrainSettings:
    """Settings of a masked autoencoder of two blocks, trained for 2 epochs."""
    values = {"model": "mae", "preset": "mini", "image_size": SIDE, "batch_size": 2, "epochs": 2, "warmup_epochs": 1}
    values |= {"export_half": False, "mae": {"width": 64, "depth": 2, "decoder_width": 32, "decoder_depth": 1}}
    return build(TrainSettings, {**values, "out": out, "device": "cpu", **changes})


def diffusion_settings(out: Path, **changes) -> TrainSettings:
    """Settings of a diffusion model of two levels and ten noise steps, trained on single videos for 2 epochs."""
    values = {"model": "med-ddpm", "preset": "mini", "image_size": SIDE, "batch_size": 1, "epochs": 2}
    values |= {"export_half": False, "samples": 1, "validate_every": 1, "learning_rate": 1e-3}
    values["diffusion"] = {"channels": [8, 16], "layers": 1, "noise_steps": 10, "sampler": "ddim-5"}
    return build(TrainSettings, overlay(values, {"out": out, "device": "cpu", **changes}))


def flow_settings(out: Path, **changes) -> TrainSettings:
    """Settings of a small `seg2vid`, trained on single videos for 2 epochs."""
    values = {"model": "seg2vid", "preset": "mini", "image_size": SIDE, "batch_size": 1, "epochs": 2}
    values |= {"export_half": False, "samples": 1, "validate_every": 1, "seg2vid": {"width": 8, "latent": 6}}
    return build(TrainSettings, overlay(values, {"out": out, "device": "cpu", **changes}))


def run_training(settings: TrainSettings, data: SyntheticData | None = None, **options) -> Trainer:
    """Train to the end, by default on 3 videos or, with model=mae, 4 photographs."""
    if data is None:
        data = photograph_data() if settings.model == "mae" else video_data()
    trainer = Trainer(settings, data, CPU, **options)
    trainer.run()
    return trainer


def logged_batches(folder: Path) -> list[dict]:
    """The log's lines about batches, without the speed."""
    lines = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "pace"} for line in lines if "pace" in line]


def logged_losses(folder: Path) -> list[dict]:
    """The losses of each batch in the log."""
    others = {"epoch", "videos", "rate", "contrast"}
    return [{key: line[key] for key in line if key not in others} for line in logged_batches(folder)]


class Interrupted(Exception):
    """Raised by `StopAfter`."""


class StopAfter:
    """A progress display that interrupts the training after a number of batches."""

    def __init__(self, batches: int):
        self._left = batches

    def begin(self, title, total): ...
    def note(self, text): ...
    def end(self): ...

    def advance(self, label):
        self._left -= 1
        if not self._left:
            raise Interrupted


def train_batches(settings: TrainSettings, data: SyntheticData, batches: int) -> Trainer:
    """Train on a number of batches, without the validation and export at the end."""
    trainer = Trainer(settings, data, CPU, progress=StopAfter(batches))
    try:
        trainer.run()
    except Interrupted:
        return trainer
    raise AssertionError("the training ended before it was interrupted")


def gradients(trainer: Trainer) -> list[torch.Tensor]:
    return [parameter.grad for parameter in trainer.method.networks.parameters()]


def assert_same_gradients(found: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> None:
    """Compare gradients. The absolute tolerance is for biases before a normalisation: their gradient is rounding."""
    rounding = 1e-5 * max(float(gradient.abs().max()) for gradient in expected)
    for one, two in zip(found, expected, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-2, atol=rounding + 1e-3 * float(two.abs().max()))


def train_in_two_processes(trainings: Mapping[str, TrainSettings], folder: Path) -> None:
    """Run trainings with a batch size of 2 in two processes.

    Stores ``gradients-<name>.pt`` of the first process and ``position-<name>-<process>.json`` of both in ``folder``.
    The second process was started two seconds earlier.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Forked processes need not import torch again, which takes longer than these trainings.
    start_method = "fork" if sys.platform == "linux" else "spawn"
    arguments = (dict(trainings), folder, port)
    torch.multiprocessing.start_processes(_train_as_one_of_two, arguments, nprocs=2, start_method=start_method)


def _train_as_one_of_two(number: int, trainings: dict[str, TrainSettings], folder: Path, port: int) -> None:
    torch.set_num_threads(1)
    environment = {"RANK": number, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({key: str(value) for key, value in environment.items()})
    with process_group(CPU):
        for name, settings in trainings.items():
            data = None if settings.model == "mae" else video_data(2)
            trainer = run_training(settings, data, started=time.monotonic() - 2 * number)
            (folder / f"position-{name}-{number}.json").write_text(json.dumps(asdict(trainer.position)))
            if number == 0:
                torch.save(gradients(trainer), folder / f"gradients-{name}.pt")
