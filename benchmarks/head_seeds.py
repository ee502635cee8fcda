"""False-positive rate of the comparison of an encoder with itself, when only the seeds of the heads differ.

    python -m benchmarks.head_seeds [--comparisons 400] [--shots 4] [--select val] [--width 48] [--images 200]

Each comparison simulates its own data: patients with two images, five classes, and embeddings with overlapping classes.
Both sides have the same embeddings, the same support, validation and test images (five seeds, drawn as in a run) and
the same settings. Initial parameters, order of the images and dropout of their heads differ. The test of
`Results.compare` compares the two sides; p < 0.05 is expected in about 5 % of the comparisons. Prints a Markdown table
with the standard error of each percentage.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict

import numpy as np
import torch
from pandas import DataFrame

from f2vbench import load_task
from f2vbench.adapters.classification import Classification
from f2vbench.adapters.probes import FeatureScaler
from f2vbench.config.fitting import HeadSettings
from f2vbench.data.episodes import draw_classification_episode
from f2vbench.heads.batched_training import HeadData, predict_probabilities, train_heads
from f2vbench.heads.mlp import Mlp
from f2vbench.metrics.classification import evaluate
from f2vbench.stats.t_tests import paired_t_test
from f2vbench.utils.files import canonical_json, sha256

CPU = torch.device("cpu")
SEEDS = 5
SIDES = 2
CARD = load_task("phantom-dr").model_copy(update={"split": "random"})
CLASSES = [one.name for one in CARD.classes]
COMPARISONS_PER_STACK = 10  # comparisons whose heads are trained as one stack

TestData = tuple[torch.Tensor, np.ndarray]
"""(n, width) test vectors and (n, classes) targets."""


def simulate(comparison: int, images: int, width: int) -> tuple[DataFrame, dict[str, np.ndarray]]:
    """Return an index and the embedding of each image: a mean per class, noise per patient and noise per eye."""
    draw = np.random.default_rng([comparison, images, width])
    means = draw.normal(scale=0.35, size=(len(CLASSES), width))
    patients = np.repeat(np.arange(images // 2), 2)
    labels = np.repeat(draw.permutation(np.arange(images // 2) % len(CLASSES)), 2)
    shared = draw.normal(scale=0.7, size=(images // 2, width))
    vectors = means[labels] + shared[patients] + draw.normal(scale=0.7, size=(len(labels), width))
    names = [f"p{patient}_{eye}" for patient, eye in zip(patients, "lr" * (images // 2), strict=True)]
    index = DataFrame({"image": names, "patient": [f"p{p}" for p in patients], "split": ""})
    index["label"] = [CLASSES[label] for label in labels]
    return index, dict(zip(names, vectors.astype(np.float32), strict=True))


def head_data(comparison: int, arguments: argparse.Namespace) -> tuple[list[HeadData], list[TestData]]:
    """Return training and test data of the ten heads of a comparison, ordered by seed, then side."""
    index, vectors = simulate(comparison, arguments.images, arguments.width)
    label = dict(zip(index.image, index.label, strict=True))
    training, test_data = [], []
    for seed in range(SEEDS):
        episode = draw_classification_episode(index, CARD, "few-shot", arguments.shots, seed)
        scaler = FeatureScaler.fit(np.stack([vectors[image] for image in episode.support]))
        splits = []
        for images in (episode.support, episode.val, episode.test):
            scaled = torch.from_numpy(scaler.transform(np.stack([vectors[image] for image in images])))
            targets = torch.tensor([[label[image] == name for name in CLASSES] for image in images])
            splits.append((scaled, targets))
        (x, y), (x_val, y_val), (x_test, y_test) = splits
        val = ([x_val], y_val) if arguments.select == "val" else (None, None)
        for side in range(SIDES):
            head_seed = int(sha256(canonical_json([comparison, seed, side]))[:15], 16)
            training.append(HeadData([x], y, *val, seed=head_seed))
            test_data.append((x_test, y_test.numpy()))
    return training, test_data


def main() -> None:
    """Run the comparisons and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comparisons", type=int, default=400)
    parser.add_argument("--shots", type=int, default=4)
    parser.add_argument("--select", choices=["val", "last"], default="val")
    parser.add_argument("--width", type=int, default=48)
    parser.add_argument("--images", type=int, default=200, help="number of images in all splits")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settings = HeadSettings()
    head = Mlp(arguments.width, settings.widths, len(CLASSES), settings.dropout)
    p_values: dict[str, list[float]] = defaultdict(list)
    values_by_metric: dict[str, list[float]] = defaultdict(list)
    for first in range(0, arguments.comparisons, COMPARISONS_PER_STACK):
        numbers = range(first, min(first + COMPARISONS_PER_STACK, arguments.comparisons))
        data = [head_data(number, arguments) for number in numbers]
        trained = train_heads(head, [each for training, _ in data for each in training], settings, CPU)
        test_data = [each for _, of_comparison in data for each in of_comparison]
        by_metric: dict[str, list[float]] = defaultdict(list)
        for result, (x_test, y_test) in zip(trained, test_data, strict=True):
            probabilities = predict_probabilities(head, result.parameters, [x_test], False, CPU)
            metrics, _ = evaluate(probabilities, y_test, "nominal", CLASSES)
            for name in Classification.main_metrics:
                value = metrics[name]
                assert value is not None, f"{name} has no value"
                by_metric[name].append(value)
        for name, values in by_metric.items():
            for sides in np.array(values).reshape(len(numbers), SEEDS, SIDES):
                p = paired_t_test(sides[:, 0], sides[:, 1], variation=("head seed",)).p
                p_values[name].append(1.0 if p is None else p)  # both sides are equal
            values_by_metric[name] += values
    print("| metric | mean | p < 0.05, % | standard error |\n|---|---|---|---|")
    for name, values in p_values.items():
        rate = np.mean(np.array(values) < 0.05)
        error = math.sqrt(rate * (1 - rate) / len(values))
        print(f"| {name} | {np.mean(values_by_metric[name]):.3f} | {100 * rate:.1f} | {100 * error:.1f} |")


if __name__ == "__main__":
    main()
