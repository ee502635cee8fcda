"""Run folders of completed trainings, written without training."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import torch

from f2vbench.cli.main import main
from f2vbench.config.parsing import build
from f2vbench.training.checkpoints import TrainingPosition, TrainingStatus
from f2vbench.training.export import export_training
from f2vbench.training.methods import build_method
from f2vbench.training.settings import TrainSettings
from tests.helpers.shards import small_files

EPOCHS = 5
ORIGIN = {
    "device": "cpu",
    "processes": 1,
    "software": {"f2vbench": "9.9", "git": None, "python": "3.12.1", "libraries": {"torch": "2.9.0"}},
    "machine": {"system": "Linux", "processor": "Abacus 3000", "cores": 8},
}
SHAPE = {"downsamplings": 4, "blocks": 9, "skips": "none", "time": "none"}


def write_training(
    folder: Path,
    model: str = "fundus2video",
    *,
    completed_epochs: int = EPOCHS,
    seed: int = 3,
    data: str = "phantom",
    limit: int = 10**9,
) -> Path:
    """A run folder with the weights of a generator of width 4 and their description, after some of 5 epochs.

    The weights have 1.4 MB; above `limit` bytes they are in shards.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in _exported_files(model, completed_epochs, seed, data, limit).items():
        (folder / name).write_bytes(content)
    return folder


@functools.cache
def _exported_files(model: str, completed_epochs: int, seed: int, data: str, limit: int) -> dict[str, bytes]:
    values = {"model": model, "preset": "mini", "ngf": 4, "epochs": EPOCHS, "flat_epochs": 1, "seed": seed}
    settings = build(TrainSettings, {**values, **SHAPE, "data": data})
    position = TrainingPosition(completed_epochs, 0, videos=600, seconds=5400.0, completed=completed_epochs == EPOCHS)
    status = TrainingStatus(position, {"training_videos": 120}, {"psnr": 21.5}, ORIGIN)
    method = build_method(settings, torch.device("cpu"), bf16=False)
    with tempfile.TemporaryDirectory() as folder, small_files(limit):
        export_training(method, settings, Path(folder) / "generator.safetensors", status, half=True)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def make_card(run: Path, folder: Path, name: str, *settings: str) -> int:
    """Exit code of `f2vbench weights make`: weights with a card from a run folder."""
    return main(["weights", "make", str(run), f"name={name}", f"out={folder}", *settings])
