"""Two models at one place, tested: over seeds as in the papers, with overlap of splits corrected, and over patients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from f2vbench.stats.bootstrap import paired_bootstrap
from f2vbench.stats.methods import BOOTSTRAP_PERCENTILE, CORRECTED_T, PAIRED_T
from f2vbench.stats.outcomes import Comparison, Varies, unit_of
from f2vbench.stats.tests import corrected_resampled_t_test, paired_t_test
from f2vbench.stats.weighted import METRICS, Metric, mean_over_classes, mean_over_seeds
from f2vbench.store.runs import Record

Predictions = Callable[[Record], dict[str, np.ndarray]]
_TRAINING_FREE = ("zero-shot", "prototype", "knn")
_OF_PREDICTIONS = ("auroc", "average_precision")


def what_varies(records: Iterable[Record], protocol: str) -> tuple[Varies, ...]:
    """What is another from seed to seed, as the episodes tell."""
    episodes = [record["result"]["episode"] for record in records]
    varies: list[Varies] = []
    if len({tuple(episode["test"]) for episode in episodes}) > 1:
        varies.append("split")
    if len({tuple(episode["support"]) for episode in episodes}) > 1:
        varies.append("episode")
    if protocol not in _TRAINING_FREE or not varies:
        varies.append("head seed")
    return tuple(varies)


def tests_of(
    first: Mapping[int, Record],
    second: Mapping[int, Record],
    metric: str,
    protocol: str,
    predictions: Predictions,
    replicates: int,
) -> tuple[Comparison, Comparison, Comparison]:
    """The papers' test, the corrected one, and the bootstrap over patients, of records by seed.

    A test that can't be had has a reason in place of its p.

    Args:
        predictions: reads the stored arrays of a record, for metrics that are no mean over images.
        replicates: of the bootstrap.
    """
    seeds = [
        seed
        for seed in sorted(first.keys() & second.keys())
        if _value(first[seed], metric) is not None and _value(second[seed], metric) is not None
    ]
    varies = what_varies([*first.values(), *second.values()], protocol)
    if not seeds:
        none = Comparison(
            method=PAIRED_T,
            varies=varies,
            n=0,
            unit=unit_of(varies),
            difference=None,
            reason=_NOTHING_SHARED if not first.keys() & second.keys() else _NO_VALUE,
        )
        corrected = replace(none, method=CORRECTED_T, unit="splits")
        return none, corrected, replace(none, method=BOOTSTRAP_PERCENTILE, varies=("test patients",), unit="patients")
    a, b = ([_value(records[seed], metric) for seed in seeds] for records in (first, second))
    papers = paired_t_test(a, b, varies=varies)
    sides = [first[seed] for seed in seeds], [second[seed] for seed in seeds]
    return papers, _corrected(a, b, sides[0], varies, papers), _over_patients(*sides, metric, predictions, replicates)


def _corrected(
    a: Sequence[Any], b: Sequence[Any], records: Sequence[Record], varies: tuple[Varies, ...], papers: Comparison
) -> Comparison:
    """Nadeau and Bengio's test; the size of a split is counted in patients."""
    none = replace(papers, method=CORRECTED_T, unit="splits", statistic=None, p=None, low=None, high=None, needed=None)
    if "split" not in varies:
        why = "every seed is tested on the same images, so there are no splits whose overlap could be corrected for"
        return replace(none, reason=why)
    episodes = [record["result"]["episode"] for record in records]
    if any("patients_in_all" not in episode for episode in episodes):
        return replace(none, reason=_NO_PATIENTS)
    test = round(float(np.mean([len(set(episode["patients"])) for episode in episodes])))
    others = episodes[0]["patients_in_all"] - test
    if others < 1:
        return replace(none, reason="every patient is tested: there is no other part")
    return corrected_resampled_t_test(a, b, train=others, test=test, varies=varies)


_NOTHING_SHARED = "no seed in common"
_NO_VALUE = "no seed at which both have a value"
_NO_PATIENTS = "the records don't tell whose images were tested; an older version made them: run again in a new folder"


def _over_patients(
    first: Sequence[Record], second: Sequence[Record], metric: str, predictions: Predictions, replicates: int
) -> Comparison:
    """Patients drawn with all their images at all seeds; what is resampled is the mean over seeds that tables show."""

    def none(reason: str) -> Comparison:
        means = [float(np.mean([_value(record, metric) for record in side])) for side in (first, second)]
        return Comparison(
            method=BOOTSTRAP_PERCENTILE,
            varies=("test patients",),
            n=0,
            unit="patients",
            difference=means[0] - means[1],
            reason=reason,
        )

    if any("patients" not in record["result"]["episode"] for record in (*first, *second)):
        return none(_NO_PATIENTS)
    if any(
        a["result"]["episode"]["test"] != b["result"]["episode"]["test"] for a, b in zip(first, second, strict=True)
    ):
        return none("the two were tested on different images")
    stored = _by_image(first, second, metric) or _by_prediction(first, second, metric, predictions)
    if stored is None:
        return none("this metric is not a mean over images, and not made from stored predictions")
    a, b, labels, patients, how = stored
    return paired_bootstrap(a, b, labels, metric=mean_over_seeds(how), patients=patients, replicates=replicates)


Stored = tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray, Metric]


def _by_image(first: Sequence[Record], second: Sequence[Record], metric: str) -> Stored | None:
    """Values of the single images, where their mean is the unit's value."""
    rows: list[tuple[int, float, float, str]] = []
    for number, (one, other) in enumerate(zip(first, second, strict=True)):
        held = [record["result"]["per_image"] for record in (one, other)]
        images = [image for image in held[0] if image in held[1]]
        values = [[side[image].get(metric) for image in images] for side in held]
        if not images or any(value is None for side in values for value in side):
            return None
        for record, side in zip((one, other), values, strict=True):
            if abs(float(np.mean(side)) - _value(record, metric)) > 1e-9 * max(1.0, abs(float(np.mean(side)))):
                return None
        patient_of = _patient_of(one)
        rows += [(number, *pair, patient_of[image]) for image, *pair in zip(images, *values, strict=True)]
    seed, a, b, patients = zip(*rows, strict=True)
    return np.column_stack([seed, a]), np.column_stack([seed, b]), None, np.array(patients), METRICS["mean"]


def _by_prediction(
    first: Sequence[Record], second: Sequence[Record], metric: str, predictions: Predictions
) -> Stored | None:
    """Stored probabilities and labels of the test images, where the metric made from them is the unit's value."""
    if metric not in _OF_PREDICTIONS:
        return None
    sides: list[list[np.ndarray]] = [[], []]
    labels, patients = [], []
    for number, pair in enumerate(zip(first, second, strict=True)):
        for record, side in zip(pair, sides, strict=True):
            result = record["result"]
            if "predictions" not in result or result.get("images") != result["episode"]["test"]:
                return None
            held = predictions(record)
            scores, targets = held["probabilities"], held["targets"].astype(int)
            if result["label_kind"] == "binary":
                scores, targets = scores[:, 1:], targets[:, 1:]
            how = METRICS[metric] if scores.shape[1] == 1 else mean_over_classes(metric)
            shaped = (scores[:, 0], targets[:, 0]) if scores.shape[1] == 1 else (scores, targets)
            value = float(how.prepare(*shaped)(np.ones((1, len(scores))))[0])
            if not abs(value - _value(record, metric)) < 1e-6:
                return None
            side.append(np.column_stack([np.full(len(scores), number), scores]))
        labels.append(shaped[1])
        patients += [_patient_of(pair[0])[image] for image in pair[0]["result"]["images"]]
    a, b = (np.concatenate(side) for side in sides)
    return a, b, np.concatenate(labels), np.array(patients), how


def _patient_of(record: Record) -> dict[str, str]:
    episode = record["result"]["episode"]
    return dict(zip(episode["test"], episode["patients"], strict=True))


def _value(record: Record, metric: str) -> Any:
    return record["result"]["metrics"].get(metric)
