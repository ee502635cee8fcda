"""Run folders as a finished training leaves them, without the training."""

from __future__ import annotations

from pathlib import Path

import torch

from f2vbench.config.parsing import build
from f2vbench.training.checkpoints import TrainingPosition, TrainingStatus
from f2vbench.training.export import export_training
from f2vbench.training.methods import build_method
from f2vbench.training.settings import TrainSettings

ORIGIN = {
    "device": "cpu",
    "processes": 1,
    "software": {"f2vbench": "9.9", "git": None, "python": "3.12.1", "libraries": {"torch": "2.9.0"}},
    "machine": {"system": "Linux", "processor": "Abacus 3000", "cores": 8},
}


def finished(folder: Path, model: str = "fundus2video", *, done: int | None = None, seed: int = 3, **changes) -> Path:
    """A run folder with a generator of width 4 and its card, after ``done`` of 5 epochs (all by default)."""
    words = {"model": model, "preset": "mini", "ngf": 4, "epochs": 5, "flat_epochs": 1, "seed": seed, **changes}
    settings = build(TrainSettings, words)
    position = TrainingPosition(epoch=5 if done is None else done, videos=600, seconds=5400.0)
    status = TrainingStatus(position, {"training_videos": 120}, {"psnr": 21.5}, ORIGIN)
    method = build_method(settings, torch.device("cpu"), bf16=False)
    export_training(method, settings, folder / "generator.safetensors", status, half=True)
    return folder
