"""Training time of heads in a stack, one after another, and with scikit-learn's MLPClassifier, in one process.

    python -m benchmarks.head_stacking [--seeds 5] [--width 1024] [--classes 5] [--shots 1 2 4 8 16] [--epochs 50]

Prints processor seconds (the minimum of three runs) for each number of shots. "Loop" trains one head after another with
torch.nn layers, cross-entropy and AdamW, and the same batches, dropout and selection of the epoch.
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

from f2vbench.config.fitting import HeadSettings
from f2vbench.heads.batched_training import HeadData, learning_rate_at, train_heads
from f2vbench.heads.mlp import Mlp
from f2vbench.metrics.classification import auroc_by_class
from f2vbench.utils.processes import keep_freed_memory

CPU = torch.device("cpu")


def head_data(seed: int, width: int, classes: int, shots: int, val: int = 30) -> HeadData:
    """Return random data; the training time does not depend on the values."""
    generator = torch.Generator().manual_seed(seed)

    def split(n: int) -> tuple[list[torch.Tensor], torch.Tensor]:
        return [torch.randn(n, width, generator=generator)], torch.arange(n)[:, None] % classes == torch.arange(classes)

    return HeadData(*split(shots * classes), *split(val), seed=seed)


def train_plainly(data: HeadData, settings: HeadSettings) -> None:
    """Train one head with PyTorch's layers and optimiser."""
    assert data.val_features is not None
    assert data.val_targets is not None
    torch.manual_seed(data.seed)
    (x,), (x_val,) = data.features, data.val_features
    y, y_val = data.targets.float().argmax(1), data.val_targets.numpy()
    sizes = [x.shape[1], *settings.widths]
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(settings.dropout)]
    network = nn.Sequential(*layers, nn.Linear(sizes[-1], data.targets.shape[1]))
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=settings.weight_decay)
    criterion = nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing)
    steps = math.ceil(len(x) / settings.batch_size)
    best = -1.0
    for epoch in range(settings.epochs):
        network.train()
        order = torch.randperm(len(x))
        for step in range(steps):
            rows = order[step * settings.batch_size :][: settings.batch_size]
            optimiser.param_groups[0]["lr"] = learning_rate_at(settings, epoch + step / steps)
            optimiser.zero_grad()
            criterion(network(x[rows]), y[rows]).backward()
            optimiser.step()
        network.eval()
        with torch.inference_mode():
            aurocs = auroc_by_class(network(x_val).softmax(1).numpy(), y_val)
        total = sum(auroc or 0 for auroc in aurocs)
        if total > best:
            best, _ = total, {name: tensor.clone() for name, tensor in network.state_dict().items()}


def train_with_scikit_learn(data: HeadData, settings: HeadSettings) -> None:
    """Train one head with scikit-learn: Adam at a constant rate, without dropout, smoothing or epoch selection."""
    (x,) = data.features
    size = min(settings.batch_size, len(x))
    fitted = MLPClassifier(
        settings.widths, batch_size=size, max_iter=settings.epochs, n_iter_no_change=settings.epochs, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted.fit(x.numpy(), data.targets.float().argmax(1).numpy())


def seconds(work: Callable[[], object]) -> float:
    """Return the processor seconds of this process, the minimum of three runs."""
    times = []
    for _ in range(3):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def main() -> None:
    """Measure each number of shots and print a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--classes", type=int, default=5)
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--epochs", type=int, default=50)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as a run does
    settings = HeadSettings(epochs=arguments.epochs, warmup_epochs=min(10, arguments.epochs - 1))
    head = Mlp(arguments.width, settings.widths, arguments.classes, settings.dropout)
    train_heads(head, [head_data(0, arguments.width, arguments.classes, 1)], settings, CPU)  # warm-up
    print("shots  stacked s  loop s  loop / stacked  scikit-learn s  scikit-learn / stacked")
    for shots in arguments.shots:
        data = [head_data(seed, arguments.width, arguments.classes, shots) for seed in range(arguments.seeds)]
        stacked = seconds(lambda data=data: train_heads(head, data, settings, CPU))
        loop = seconds(lambda data=data: [train_plainly(each, settings) for each in data])
        sklearn = seconds(lambda data=data: [train_with_scikit_learn(each, settings) for each in data])
        ratios = f"{loop / stacked:14.1f}  {sklearn:14.2f}  {sklearn / stacked:22.1f}"
        print(f"{shots:5d}  {stacked:9.2f}  {loop:6.2f}  {ratios}")


if __name__ == "__main__":
    main()
