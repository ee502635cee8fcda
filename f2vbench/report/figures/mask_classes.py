"""Classes of segmentation results, as figures of photographs read them: tasks with one class have the class ``""``."""

from __future__ import annotations

from collections.abc import Iterable

from f2vbench.store.record_schema import Threshold, UnitRecord


def classes_of(records: Iterable[UnitRecord]) -> list[str]:
    """Names of the classes of a task, from its records; ``[""]`` for a task with one class."""
    return next((record["result"]["mask_classes"] for record in records if "mask_classes" in record["result"]), [""])


def class_metric(metric: str, class_name: str) -> str:
    """Name of a metric of a class; the metric itself for the class ``""``."""
    return f"{metric}:{class_name}" if class_name else metric


def class_threshold(record: UnitRecord, class_name: str) -> Threshold:
    """Threshold of the score maps of a class."""
    result = record["result"]
    return result["thresholds"][class_name] if class_name else result["threshold"]


def class_suffix(class_name: str, start: str = "-") -> str:
    """What follows the name or title of a figure of one class; empty for the class ``""``."""
    return f"{start}{class_name}" if class_name else ""
