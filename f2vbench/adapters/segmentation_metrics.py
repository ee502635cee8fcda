"""Metrics of a test set of segmentation: of one class as in vessel segmentation, or of several classes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np

from f2vbench.adapters.segmenters import ClassThreshold, ScoreMap
from f2vbench.data.photographs import Photograph
from f2vbench.metrics.averaging import mean_if_complete
from f2vbench.metrics.boundary import BOUNDARY_METRICS, boundary_metrics
from f2vbench.metrics.segmentation import OVERLAP_METRICS, RANKING_METRICS, Confusion, PixelPool, evaluate

CLASS_METRICS = (*RANKING_METRICS, "dice", "iou", "sensitivity", "specificity", *BOUNDARY_METRICS)
"""Metrics of one class of a photograph, and their means over photographs."""
POOLED_METRICS = (*RANKING_METRICS, "dice", "iou")
"""Metrics of the pixels of all photographs."""
_NEEDS_THRESHOLD = tuple(name for name in CLASS_METRICS if name not in RANKING_METRICS)
_OF_ALL_IMAGES = "specificity"  # all other metrics need pixels of the class


@dataclass(frozen=True)
class SegmentationMetrics:
    """Metrics of a test set.

    Attributes:
        metrics: Name → value or None.
        reasons: Name → why the value is None.
        per_image: Image id → metrics of this image.
        images: Class → number of test images in which it occurs; empty for tasks with one class.
    """

    metrics: dict[str, float | None]
    reasons: dict[str, str]
    per_image: dict[str, dict[str, float | None]]
    images: dict[str, int] = field(default_factory=dict)


def evaluate_score_maps(
    scored: Iterable[tuple[Photograph, ScoreMap]], threshold: float | None, threshold_rule: str
) -> SegmentationMetrics:
    """Compute all metrics of a test set with one class, which every image has.

    A metric without suffix is the mean over photographs, inside the field of view. ``_pooled`` pools the pixels of all
    photographs; ``_frame`` uses the whole image frame; ``_frame_pooled`` both. Pixels outside the field of view have
    the lowest score of their map, because models are neither trained nor queried there.

    Args:
        scored: Photographs with their score maps.
        threshold: Threshold for the overlap metrics; None if there is none.
        threshold_rule: Why there is no threshold.
    """
    pools = {"": PixelPool(), "_frame": PixelPool()}
    per_image: dict[str, dict[str, float | None]] = {}
    for photograph, score_map in scored:
        restored = score_map.restored()[0]
        scores = np.where(photograph.fov, restored, restored.min())
        row: dict[str, float | None] = {}
        for suffix, pixels in (("", photograph.fov), ("_frame", np.ones_like(photograph.fov))):
            inside, labels = scores[pixels], photograph.vessels[pixels]
            row.update({name + suffix: value for name, value in evaluate(inside, labels, threshold).items()})
            pools[suffix].add(inside, labels, threshold)
        per_image[photograph.name] = row
    metrics: dict[str, float | None] = {}
    for suffix, pool in pools.items():
        for name in (*RANKING_METRICS, *OVERLAP_METRICS):
            metrics[name + suffix] = mean_if_complete([row[name + suffix] for row in per_image.values()])
        metrics.update({f"{name}{suffix}_pooled": value for name, value in pool.metrics(threshold).items()})
    return SegmentationMetrics(metrics, _reasons(metrics, threshold, threshold_rule), per_image)


def evaluate_classes(
    scored: Iterable[tuple[Photograph, ScoreMap]], thresholds: dict[str, ClassThreshold]
) -> SegmentationMetrics:
    """Compute all metrics of a test set with several classes, inside the field of view.

    Pixels that the annotation excludes do not count. ``<metric>:<class>`` is the mean over the photographs in which the
    class occurs; the others count as negatives in ``specificity:<class>``, the mean over all photographs, and in
    ``<metric>_pooled:<class>``, of the pixels of all photographs. A metric without a class is the mean over classes
    (macro), None if a class has no value. Of a photograph, it is the mean over the classes that occur in it.

    Args:
        scored: Photographs with their score maps.
        thresholds: Class → threshold, in the order of the maps.
    """
    names = list(thresholds)
    pools = {name: PixelPool() for name in names}
    per_image: dict[str, dict[str, float | None]] = {}
    for photograph, score_map in scored:
        counted, row = photograph.counted, dict[str, float | None]()
        for number, (name, scores) in enumerate(zip(names, score_map.restored(), strict=True)):
            mask, threshold = photograph.annotation.mask(number), thresholds[name].value
            pools[name].add(scores[counted], mask[counted], threshold)
            own = _class_values(scores, mask, counted, photograph.view.side, threshold)
            row.update({f"{metric}:{name}": value for metric, value in own.items()})
        for metric in CLASS_METRICS:
            of_classes = [value for name in names if (value := row.get(f"{metric}:{name}")) is not None]
            if of_classes:
                row[metric] = fmean(of_classes)
        per_image[photograph.name] = row
    metrics: dict[str, float | None] = {}
    for name, pool in pools.items():
        threshold = thresholds[name].value
        for metric in CLASS_METRICS:
            values = [value for row in per_image.values() if (value := row.get(f"{metric}:{name}")) is not None]
            metrics[f"{metric}:{name}"] = fmean(values) if values else None
        pooled = {**pool.metrics(threshold), "iou": None if threshold is None else pool.confusion.iou()}
        metrics.update({f"{metric}_pooled:{name}": pooled[metric] for metric in POOLED_METRICS})
    for metric in (*CLASS_METRICS, *(f"{metric}_pooled" for metric in POOLED_METRICS)):
        metrics[metric] = mean_if_complete([metrics[f"{metric}:{name}"] for name in names])
    images = {name: sum(f"auroc:{name}" in row for row in per_image.values()) for name in names}
    return SegmentationMetrics(metrics, _class_reasons(metrics, thresholds, images), per_image, images)


def _class_values(
    scores: np.ndarray, mask: np.ndarray, counted: np.ndarray, width: int, threshold: float | None
) -> dict[str, float]:
    """Metrics of one class of a photograph that are defined."""
    labels = mask[counted]
    values: dict[str, float | None] = dict(evaluate(scores[counted], labels, threshold))
    values.pop("accuracy")
    if threshold is not None:
        predicted = (scores >= threshold) & counted
        values["iou"] = Confusion.from_predictions(predicted[counted], labels).iou()
        values |= boundary_metrics(predicted, mask & counted, width)
    occurs = bool(labels.any())
    return {name: value for name, value in values.items() if value is not None and (occurs or name == _OF_ALL_IMAGES)}


def _class_reasons(
    metrics: dict[str, float | None], thresholds: dict[str, ClassThreshold], images: dict[str, int]
) -> dict[str, str]:
    """Why values are missing: of a class, and of means over classes, which name the classes without a value."""
    reasons = {}
    for metric, value in metrics.items():
        base, _, name = metric.partition(":")
        if value is None and name:
            needs_threshold = base.removesuffix("_pooled") in _NEEDS_THRESHOLD
            if needs_threshold and thresholds[name].value is None:
                reasons[metric] = f"threshold {thresholds[name].rule}"
            else:
                reasons[metric] = "the class is in no test image" if not images[name] else "no negative pixel"
    for metric, value in metrics.items():
        if value is None and ":" not in metric:
            missing = [name for name in thresholds if metrics[f"{metric}:{name}"] is None]
            reasons[metric] = "; ".join(f"{name}: {reasons[f'{metric}:{name}']}" for name in missing)
    return reasons


def _reasons(metrics: dict[str, float | None], threshold: float | None, threshold_rule: str) -> dict[str, str]:
    reasons = {}
    for name, value in metrics.items():
        if value is None:
            lacks_threshold = threshold is None and name.startswith(OVERLAP_METRICS)
            reasons[name] = f"threshold {threshold_rule}" if lacks_threshold else "a class is absent from a test image"
    return reasons
