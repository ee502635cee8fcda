"""Processor time of a unit with each head: fitting on the support images and predicting the test images.

    python -m benchmarks.head_speed [--widths 160,1024] [--images 5,10,20,40,80,231,900] [--seeds 5]

Five classes and random embeddings. The heads of the papers are trained as one stack of all seeds, with 80 validation
images; there are 130 test images. One thread. Prints milliseconds a unit and their ratio. `benchmarks.paper_grid`
measures the whole grid with both heads.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from f2vbench.config.fitting import HeadSettings
from f2vbench.heads.batched_training import HeadData, predict_probabilities, train_heads
from f2vbench.heads.mlp import Mlp
from f2vbench.heads.wide_mlp import predict_by_wide_mlp

CPU = torch.device("cpu")
CLASSES, VALIDATION, TEST = 5, 80, 130


def milliseconds(work: Callable[[], None], seeds: int) -> float:
    """Return the processor time of one seed."""
    started = time.process_time()
    work()
    return (time.process_time() - started) / seeds * 1000


def compare(width: int, images: int, seeds: int) -> tuple[float, float]:
    """Return the milliseconds of a unit with head=mlp and with head=paper."""
    random = np.random.default_rng([width, images])
    settings = HeadSettings(recipe="paper")
    head = Mlp(width, settings.widths, CLASSES, settings.dropout)
    targets, val_targets = (np.arange(n)[:, None] % CLASSES == np.arange(CLASSES) for n in (images, VALIDATION))
    sizes = (images, VALIDATION, TEST)
    splits = [[random.normal(size=(n, width)).astype(np.float32) for n in sizes] for _ in range(seeds)]
    y, y_val = torch.from_numpy(targets), torch.from_numpy(val_targets)

    def paper() -> None:
        vectors = [[torch.from_numpy(each) for each in of_seed] for of_seed in splits]
        data = [HeadData([x], y, [x_val], y_val, seed) for seed, (x, x_val, _) in enumerate(vectors)]
        for trained, (_, _, x_test) in zip(train_heads(head, data, settings, CPU), vectors, strict=True):
            predict_probabilities(head, trained.parameters, [x_test], False, CPU)

    def mlp() -> None:
        for support, _, test in splits:
            predict_by_wide_mlp(support, targets, test, False)

    return milliseconds(mlp, seeds), milliseconds(paper, seeds)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", default="160,1024")
    parser.add_argument("--images", default="5,10,20,40,80,231,900")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    compare(16, CLASSES, 1)  # the first call of each library is slow
    print("| width | support images | head=mlp, ms | head=paper, ms | mlp / paper |\n|---|---|---|---|---|")
    for width in map(int, arguments.widths.split(",")):
        for images in map(int, arguments.images.split(",")):
            mlp, paper = compare(width, images, arguments.seeds)
            print(f"| {width} | {images} | {mlp:.1f} | {paper:.1f} | {mlp / paper:.2f} |", flush=True)


if __name__ == "__main__":
    main()
