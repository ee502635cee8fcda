"""Stacked heads against the same heads one by one, and against scikit-learn's MLPClassifier, in one process.

    python -m benchmarks.head_stacking [--seeds 5] [--width 1024] [--classes 5] [--shots 1 2 4 8 16] [--epochs 50]

Prints seconds of one core (the best of three) for each number of shots. "Loop" is the plain way: torch.nn layers,
cross-entropy and AdamW, one head after another, with the same batches, dropout and choice of epoch.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Callable
from itertools import pairwise

import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from torch import nn

from f2vbench.config.run import HeadSettings
from f2vbench.heads.batched_training import Lesson, learning_rate, train
from f2vbench.heads.mlp import Mlp
from f2vbench.metrics.classification import auroc_by_class

CPU = torch.device("cpu")


def lesson(seed: int, width: int, classes: int, shots: int, val: int = 30) -> Lesson:
    """Random vectors: the time does not depend on what they hold."""
    random = torch.Generator().manual_seed(seed)

    def part(n: int) -> tuple[list[torch.Tensor], torch.Tensor]:
        return [torch.randn(n, width, generator=random)], torch.arange(n)[:, None] % classes == torch.arange(classes)

    return Lesson(*part(shots * classes), *part(val), seed=seed)


def by_loop(one: Lesson, settings: HeadSettings) -> None:
    """One head trained with PyTorch's own layers and optimiser."""
    torch.manual_seed(one.seed)
    (x,), (seen,) = one.features, one.val_features or []
    y, held = one.targets.float().argmax(1), one.val_targets.numpy() if one.val_targets is not None else None
    sizes = [x.shape[1], *settings.widths]
    layers: list[nn.Module] = []
    for wide, narrow in pairwise(sizes):
        layers += [nn.Linear(wide, narrow), nn.ReLU(), nn.Dropout(settings.dropout)]
    network = nn.Sequential(*layers, nn.Linear(sizes[-1], one.targets.shape[1]))
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=settings.weight_decay)
    criterion = nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing)
    steps = math.ceil(len(x) / settings.batch_size)
    best = -1.0
    for epoch in range(settings.epochs):
        network.train()
        order = torch.randperm(len(x))
        for step in range(steps):
            rows = order[step * settings.batch_size :][: settings.batch_size]
            optimiser.param_groups[0]["lr"] = learning_rate(settings, epoch + step / steps)
            optimiser.zero_grad()
            criterion(network(x[rows]), y[rows]).backward()
            optimiser.step()
        network.eval()
        with torch.inference_mode():
            areas = auroc_by_class(network(seen).softmax(1).numpy(), held)
        area = sum(area or 0 for area in areas)
        if area > best:
            best, _ = area, {name: tensor.clone() for name, tensor in network.state_dict().items()}


def by_scikit_learn(one: Lesson, settings: HeadSettings) -> None:
    """One head by scikit-learn: Adam at one rate, no dropout, no smoothing, no choice of epoch."""
    (x,) = one.features
    size = min(settings.batch_size, len(x))
    fitted = MLPClassifier(
        settings.widths, batch_size=size, max_iter=settings.epochs, n_iter_no_change=settings.epochs, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted.fit(x.numpy(), one.targets.float().argmax(1).numpy())


def seconds(work: Callable[[], object]) -> float:
    """Processor time of this process, the best of three: others on the machine count little."""
    times = []
    for _ in range(3):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--classes", type=int, default=5)
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--epochs", type=int, default=50)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    settings = HeadSettings(epochs=chosen.epochs, warmup_epochs=min(10, chosen.epochs - 1))
    head = Mlp(chosen.width, settings.widths, chosen.classes, settings.dropout)
    train(head, [lesson(0, chosen.width, chosen.classes, 1)], settings, CPU)  # prepares the kernels
    print("shots  stacked s  loop s  loop / stacked  scikit-learn s  scikit-learn / stacked")
    for shots in chosen.shots:
        lessons = [lesson(seed, chosen.width, chosen.classes, shots) for seed in range(chosen.seeds)]
        stacked = seconds(lambda lessons=lessons: train(head, lessons, settings, CPU))
        loop = seconds(lambda lessons=lessons: [by_loop(one, settings) for one in lessons])
        sklearn = seconds(lambda lessons=lessons: [by_scikit_learn(one, settings) for one in lessons])
        ratios = f"{loop / stacked:14.1f}  {sklearn:14.2f}  {sklearn / stacked:22.1f}"
        print(f"{shots:5d}  {stacked:9.2f}  {loop:6.2f}  {ratios}")


if __name__ == "__main__":
    main()
