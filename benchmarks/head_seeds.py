"""How often is an encoder called different from itself, when only the random numbers of its heads differ?

    python -m benchmarks.head_seeds [--comparisons 400] [--shots 4] [--select val] [--width 48] [--images 200]

Every comparison has simulated data of its own: patients with two images, five classes, embeddings that tell the classes
in part. Both sides have the same embeddings, the same support, validation and test images (five seeds, drawn as in a
run) and the same settings; the start, the order of images and the dropout of their heads differ. They are compared by
the test of `Results.compare`: with a right one about 5 % of the comparisons have p < 0.05. Prints a Markdown table,
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
from f2vbench.adapters.probes import Scale
from f2vbench.config.run import HeadSettings
from f2vbench.data.episodes import draw_classification_episode
from f2vbench.heads.batched_training import Lesson, predict, train
from f2vbench.heads.mlp import Mlp
from f2vbench.metrics.classification import evaluate
from f2vbench.stats.t_tests import paired_t_test
from f2vbench.utils.files import canonical_json, sha256

CPU = torch.device("cpu")
SEEDS = 5
SIDES = 2
CARD = load_task("phantom-dr").model_copy(update={"split": "random"})
CLASSES = [one.name for one in CARD.classes]
STACK = 10  # comparisons whose heads are trained together

Tested = tuple[torch.Tensor, np.ndarray]
"""(n, width) test vectors and (n, classes) targets."""


def simulated(comparison: int, images: int, width: int) -> tuple[DataFrame, dict[str, np.ndarray]]:
    """An index and the embedding of every image: a mean by class, noise by patient and noise by eye."""
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


def lessons(comparison: int, chosen: argparse.Namespace) -> tuple[list[Lesson], list[Tested]]:
    """What the ten heads of a comparison learn, and what each is tested on; seed by seed, side by side."""
    index, vectors = simulated(comparison, chosen.images, chosen.width)
    label = dict(zip(index.image, index.label, strict=True))
    learnt, tested = [], []
    for seed in range(SEEDS):
        episode = draw_classification_episode(index, CARD, "few-shot", chosen.shots, seed)
        scale = Scale.of(np.stack([vectors[image] for image in episode.support]))
        parts = []
        for images in (episode.support, episode.val, episode.test):
            scaled = torch.from_numpy(scale.apply(np.stack([vectors[image] for image in images])))
            parts.append((scaled, torch.tensor([[label[image] == one for one in CLASSES] for image in images])))
        (x, y), (seen, held), (test, truth) = parts
        val = ([seen], held) if chosen.select == "val" else (None, None)
        for side in range(SIDES):
            start = int(sha256(canonical_json([comparison, seed, side]))[:15], 16)
            learnt.append(Lesson([x], y, *val, seed=start))
            tested.append((test, truth.numpy()))
    return learnt, tested


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comparisons", type=int, default=400)
    parser.add_argument("--shots", type=int, default=4)
    parser.add_argument("--select", choices=["val", "last"], default="val")
    parser.add_argument("--width", type=int, default=48)
    parser.add_argument("--images", type=int, default=200, help="in all parts together")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    settings = HeadSettings()
    head = Mlp(chosen.width, settings.widths, len(CLASSES), settings.dropout)
    p_values: dict[str, list[float]] = defaultdict(list)
    levels: dict[str, list[float]] = defaultdict(list)
    for first in range(0, chosen.comparisons, STACK):
        held = [lessons(number, chosen) for number in range(first, min(first + STACK, chosen.comparisons))]
        trained = train(head, [lesson for learnt, _ in held for lesson in learnt], settings, CPU)
        tests = [one for _, tested in held for one in tested]
        found: dict[str, list[float]] = defaultdict(list)
        for own, (test, truth) in zip(trained, tests, strict=True):
            metrics, _ = evaluate(predict(head, own.parameters, [test], False, CPU), truth, "nominal", CLASSES)
            for name in Classification.main_metrics:
                value = metrics[name]
                assert value is not None, f"{name} has no value"
                found[name].append(value)
        for name, values in found.items():
            for sides in np.array(values).reshape(len(held), SEEDS, SIDES):
                p = paired_t_test(sides[:, 0], sides[:, 1], variation=("head seed",)).p
                p_values[name].append(1.0 if p is None else p)  # no difference at all
            levels[name] += values
    print("| metric | mean | called different, % | standard error |\n|---|---|---|---|")
    for name, values in p_values.items():
        rate = np.mean(np.array(values) < 0.05)
        error = math.sqrt(rate * (1 - rate) / len(values))
        print(f"| {name} | {np.mean(levels[name]):.3f} | {100 * rate:.1f} | {100 * error:.1f} |")


if __name__ == "__main__":
    main()
