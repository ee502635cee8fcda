"""Run folders as a finished training leaves them, without the training."""

from __future__ import annotations

from pathlib import Path

from f2vbench.encoders.pix2pixhd import global_generator, initialise
from f2vbench.generator.checkpoints import export_generator
from f2vbench.generator.export import generator_card
from f2vbench.generator.models import generator_shape
from f2vbench.generator.settings import TrainSettings
from f2vbench.words import build

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
    generator = global_generator(generator_shape(settings))
    initialise(generator, seed)
    place = {"epoch": 5 if done is None else done, "videos": 600, "seconds": 5400.0}
    card = generator_card(settings, place, {"training_videos": 120}, {"psnr": 21.5}, ORIGIN)
    export_generator(generator, folder / "generator.safetensors", card, half=True)
    return folder
