"""Pixels of the photograph that one second of training processes, for two recipes of the preset `mini`.

    python -m benchmarks.recipe_speed [--repetitions 7] [--eyes 8]

The earlier recipe trains on single crops of 256 pixels of photographs at twice their size, with 4 downsamplings and 10
channels; that of the preset on batches of crops of 128 pixels at the size of the photograph. Both take steps with pixel
losses, which are more than nine tenths of the training, in alternation, loading of crops included and simulation left
out. A pixel counts at the size of the photograph, once for each window of three frames.
Requirement: 4 times as many pixels a second.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import torch

from f2vbench.training.data.video_loader import VideoLoader
from f2vbench.training.methods import build_method
from f2vbench.training.settings import TrainSettings
from f2vbench.training.train import open_training_data
from f2vbench.utils.device import arithmetic

REQUIRED_RATIO = 4.0
EARLIER = {
    "enlarge": 2,
    "crop": 256,
    "ngf": 10,
    "downsamplings": 4,
    "blocks": 9,
    "time": "none",
    "targets": "acquired",
    "augment": "f2v",
    "batch_size": 1,
    "windows": 6,
    "previous_dropped": 0.0,
    "weight_decay": 0.0,
    "loss": {"gradient": 0.0, "vessel_weight": 0.0, "lesion_weight": 0.0, "truth": 0.0},
}


def main() -> int:
    """Print pixels a second of both recipes, and return 1 if the ratio is below the requirement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--eyes", type=int, default=8, help="simulated eyes; at least 8, a batch")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    recipes = {"earlier": EARLIER, "mini": {}}
    steps = {name: _timed_step(changes, arguments.eyes) for name, changes in recipes.items()}
    rates: dict[str, list[float]] = {name: [] for name in steps}
    for repetition in range(arguments.repetitions + 1):
        for name, step in steps.items():
            rate = step(repetition)
            if repetition:  # the first one warms up
                rates[name].append(rate)
    medians = {name: float(np.median(each)) for name, each in rates.items()}
    ratio = medians["mini"] / medians["earlier"]
    for name, rate in medians.items():
        print(f"{name:<9}{rate / 1000:9.0f} thousand pixels a second")
    print(f"ratio {ratio:.2f}; required {REQUIRED_RATIO}: {'met' if ratio >= REQUIRED_RATIO else 'not met'}")
    return 0 if ratio >= REQUIRED_RATIO else 1


def _timed_step(changes: dict[str, object], eyes: int) -> Callable[[int], float]:
    """A function that trains on the batches of an epoch and returns pixels a second."""
    settings = TrainSettings.model_validate({"preset": "mini", "eyes": eyes, **changes})
    data = open_training_data(settings)
    loader = VideoLoader(data.train, settings.mask)
    device = torch.device("cpu")
    method = build_method(settings, device, arithmetic(settings.precision, device) == "bf16")
    batches = [list(range(start, start + settings.batch_size)) for start in range(0, eyes, settings.batch_size)]
    side = (settings.crop or settings.image_size) / settings.enlarge
    for _ in loader.load(batches):  # simulates the eyes
        pass

    def step(epoch: int) -> float:
        data.set_epoch(epoch)
        started = time.perf_counter()
        for batch in loader.load(batches):
            method.train_step(batch, epoch, 0, 0.0)
        pixels = len(batches) * settings.batch_size * settings.windows * side**2
        return pixels / (time.perf_counter() - started)

    return step


if __name__ == "__main__":
    sys.exit(main())
