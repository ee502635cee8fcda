"""The heads of both recipes against logistic regression, scikit-learn's MLPClassifier and prototypes.

    python -m benchmarks.heads [--seeds 10] [--shots 1,2,4,8,16,all] [--data digits,wine,...] [--phantoms 340]

Data: scikit-learn's digits and wine (standardised); Gaussian classes of several widths and signals; 16 Gaussian
features seen through 64 to 1,024 random ReLU units; and simulated photographs of seven diseases (`phantom-disease` at
256 px), encoded by `fundus2fa-mini`. For each seed, 60 % of the images are for training and up to 500 others for
testing. All heads but `mlp` receive features scaled as in a run. The heads of the papers keep the last epoch, because
no validation images are used. Prints mean AUROC and Brier score by data and shots, then the difference between
`mlp` and the better of logistic regression and MLPClassifier, and the change of the AUROC when embeddings are
repeated 16 times.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from sklearn.datasets import load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from f2vbench import load_encoder
from f2vbench.adapters.probes import FeatureScaler, predict_by_logistic_regression, predict_by_prototype
from f2vbench.config.fitting import HeadSettings
from f2vbench.data.task_data import open_task
from f2vbench.heads.batched_training import HeadData, predict_probabilities, train_heads
from f2vbench.heads.mlp import Mlp
from f2vbench.heads.wide_mlp import predict_by_wide_mlp
from f2vbench.utils.progress import Silent

Floats = NDArray[np.floating]
Labels = NDArray[np.int64]
Predict = Callable[[Floats, NDArray[np.bool_], Floats], Floats]

CPU = torch.device("cpu")
TEST_IMAGES = 500
CLASSES = 5
IMAGES = 1500
GAUSSIANS = ((16, 0.5), (16, 1.0), (160, 0.25), (160, 0.4), (1024, 0.1), (1024, 0.2))
RELU_WIDTHS = (64, 256, 1024)
CARD = Path(__file__).resolve().parents[1] / "tasks" / "phantom-disease.yaml"


def gaussians(width: int, signal: float) -> tuple[Floats, Labels]:
    """Return embeddings with a mean of each class and unit noise."""
    random = np.random.default_rng([width, int(100 * signal)])
    labels = random.integers(0, CLASSES, IMAGES)
    means = random.normal(scale=signal, size=(CLASSES, width))
    return means[labels] + random.normal(size=(IMAGES, width)), labels


def relu_features(width: int) -> tuple[Floats, Labels]:
    """Return random ReLU features of 16 Gaussian features."""
    random = np.random.default_rng(width + 7)
    labels = random.integers(0, CLASSES, IMAGES)
    means = random.normal(scale=0.8, size=(CLASSES, 16))
    hidden = means[labels] + random.normal(size=(IMAGES, 16))
    return np.maximum(hidden @ random.normal(size=(16, width)) / 4 + random.normal(size=width) / 2, 0), labels


def phantoms(images: int) -> tuple[Floats, Labels]:
    """Simulate photographs of seven diseases, and encode them with `fundus2fa-mini`."""
    card = yaml.safe_load(CARD.read_text(encoding="utf-8"))
    card |= {"name": "heads-disease", "images": images}
    card["phantom"] |= {"patients": images // 2, "size": 256}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "tasks").mkdir()
        (Path(folder) / "tasks" / "heads-disease.yaml").write_text(yaml.safe_dump(card), encoding="utf-8")
        os.environ["F2VBENCH_PATH"] = folder
        index = open_task("heads-disease", None, Silent()).index
    embeddings = load_encoder("fundus2fa-mini").embed([Path(path) for path in index.path])
    return embeddings, np.unique(index.label.astype(str), return_inverse=True)[1]


def data_sets(images: int) -> dict[str, Callable[[], tuple[Floats, Labels]]]:
    """Return how each data set is made, by name."""
    made: dict[str, Callable[[], tuple[Floats, Labels]]] = {
        "digits": lambda: load_digits(return_X_y=True),
        "wine": lambda: (StandardScaler().fit_transform(load_wine().data), load_wine().target),
    }
    made |= {f"Gaussian {w}, {s}": lambda w=w, s=s: gaussians(w, s) for w, s in GAUSSIANS}
    made |= {f"ReLU {w}": lambda w=w: relu_features(w) for w in RELU_WIDTHS}
    return made | {"phantoms": lambda: phantoms(images)}


def split(labels: Labels, shots: int | None, seed: int) -> tuple[Labels, Labels]:
    """Return the rows of the support and the test images."""
    order = np.random.default_rng([seed, 77]).permutation(len(labels))
    cut = int(0.6 * len(order))
    train, test = order[:cut], order[cut:][:TEST_IMAGES]
    if shots is not None:
        train = np.concatenate([train[labels[train] == one][:shots] for one in np.unique(labels)])
    return train, test


def scaled(predict: Predict) -> Predict:
    """Return a classifier that receives features scaled by the support images."""

    def of_scaled(support: Floats, targets: NDArray[np.bool_], test: Floats) -> Floats:
        scaler = FeatureScaler.fit(support)
        return predict(scaler.transform(support), targets, scaler.transform(test))

    return of_scaled


def of_papers(support: Floats, targets: NDArray[np.bool_], test: Floats) -> Floats:
    """Predict with a head of the recipe ``paper``."""
    settings = HeadSettings(recipe="paper")
    head = Mlp(support.shape[1], settings.widths, targets.shape[1], settings.dropout)
    data = HeadData([torch.from_numpy(support)], torch.from_numpy(targets), None, None, seed=0)
    (trained,) = train_heads(head, [data], settings, CPU)
    return predict_probabilities(head, trained.parameters, [torch.from_numpy(test)], False, CPU)


def of_scikit_learn(support: Floats, targets: NDArray[np.bool_], test: Floats) -> Floats:
    """Predict with scikit-learn's MLPClassifier and its defaults."""
    return MLPClassifier(random_state=0).fit(support, targets.argmax(axis=1)).predict_proba(test)


HEADS: dict[str, Predict] = {
    "mlp": lambda support, targets, test: predict_by_wide_mlp(support, targets, test, False),
    "mlp, repeated": lambda support, targets, test: predict_by_wide_mlp(
        np.tile(support, 16), targets, np.tile(test, 16), False
    ),
    "paper": scaled(of_papers),
    "probe": scaled(lambda support, targets, test: predict_by_logistic_regression(support, targets, test, False)),
    "MLPClassifier": scaled(of_scikit_learn),
    "prototype": scaled(lambda support, targets, test: predict_by_prototype(support, targets, test, False)),
}


def scores(probabilities: Floats, labels: Labels) -> tuple[float, float]:
    """Return the macro AUROC and the Brier score (sum over classes)."""
    targets = labels[:, None] == np.arange(probabilities.shape[1])
    aurocs = [roc_auc_score(targets[:, one], probabilities[:, one]) for one in np.unique(labels)]
    return float(np.mean(aurocs)), float(np.mean(np.sum((probabilities - targets) ** 2, axis=1)))


def main() -> None:
    """Print the table, and the largest shortfall of `mlp`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--shots", default="1,2,4,8,16,all")
    parser.add_argument("--data", help="names of data sets, separated by semicolons")
    parser.add_argument("--phantoms", type=int, default=340, help="number of simulated photographs")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    shown = [name for name in HEADS if name != "mlp, repeated"]
    print(f"| data | shots | {' | '.join(shown)} | AUROC − best | Brier − best | AUROC, repeated |")
    print("|---|---|" + "---|" * (len(shown) + 3))
    makers = data_sets(arguments.phantoms)
    for name in arguments.data.split(";") if arguments.data else makers:
        embeddings, labels = makers[name]()
        for shots in arguments.shots.split(","):
            values: dict[str, list[tuple[float, float]]] = defaultdict(list)
            for seed in range(arguments.seeds):
                support, test = split(labels, None if shots == "all" else int(shots), seed)
                targets = labels[support][:, None] == np.arange(labels.max() + 1)
                for head, predict in HEADS.items():
                    values[head].append(scores(predict(embeddings[support], targets, embeddings[test]), labels[test]))
            means = {head: np.mean(of_head, axis=0) for head, of_head in values.items()}
            cells = [f"{means[head][0]:.3f} / {means[head][1]:.3f}" for head in shown]
            auroc = means["mlp"][0] - max(means[other][0] for other in ("probe", "MLPClassifier"))
            brier = means["mlp"][1] - min(means[other][1] for other in ("probe", "MLPClassifier"))
            repeated = means["mlp, repeated"][0] - means["mlp"][0]
            differences = [f"{auroc:+.3f}", f"{brier:+.3f}", f"{repeated:+.4f}"]
            print(f"| {name} | {shots} | {' | '.join([*cells, *differences])} |", flush=True)


if __name__ == "__main__":
    main()
