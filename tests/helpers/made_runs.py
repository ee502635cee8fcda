"""Run folders as the families write them, made of drawn numbers, for tests of figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from f2vbench.store.runs import RunFolder

CLASSES = {
    "papila": ["non-glaucoma", "suspected", "glaucoma"],
    "ukb-stroke": ["control", "stroke"],
    "messidor2": ["no DR", "mild", "moderate", "severe", "proliferative"],
}
KINDS = {"papila": "ordinal", "ukb-stroke": "binary", "messidor2": "ordinal"}
# How well a model tells classes apart, in standard deviations; weights; whether it is a baseline.
MODELS: dict[str, tuple[float, str, bool]] = {
    "fundus2video-mini": (1.5, "fundus2video-mini.safetensors@01234567", False),
    "fundus2fa-mini": (1.2, "fundus2fa-mini.safetensors@01234567", False),
    "retfound:mae_natureCFP": (1.35, "hub", False),
    "fundus2fa:untrained": (0.5, "untrained", False),
    "colour": (0.4, "none", True),
    "random": (0.0, "none", True),
}
PLACES: list[tuple[str, int | None]] = [
    ("zero-shot", 0),
    *(("few-shot", n) for n in (1, 2, 4, 8)),
    ("supervised", None),
]


def classification_run(
    folder: Path,
    tasks: tuple[str, ...] = ("papila", "ukb-stroke", "messidor2"),
    models: dict[str, tuple[float, str, bool]] = MODELS,
    places: list[tuple[str, int | None]] = PLACES,
    seeds: int = 5,
    images: int = 90,
) -> Path:
    """A run of classification units: probabilities get better with skill and shots."""
    run = RunFolder(folder)
    run.open_for_writing()
    for task in tasks:
        for protocol, shots in places:
            gain = {"zero-shot": 0.0, "supervised": 1.0}.get(protocol, 0.35 + 0.15 * np.log2(shots or 1))
            for name, (skill, weights, baseline) in models.items():
                for seed in range(seeds):
                    drawn = np.random.default_rng([seed, len(name), int(100 * skill), int(100 * gain), len(task)])
                    unit = {"encoder": name, "task": task, "protocol": protocol, "shots": shots, "seed": seed}
                    result = classification_result(run, task, drawn, skill * gain, images)
                    run.write(
                        ".".join(map(str, unit.values())), record(unit, result, "classification", weights, baseline)
                    )
    return folder


def classification_result(
    run: RunFolder, task: str, drawn: np.random.Generator, skill: float, images: int
) -> dict[str, Any]:
    classes, kind = CLASSES[task], KINDS[task]
    truth = np.arange(images) % len(classes)
    logits = drawn.normal(size=(images, len(classes)))
    logits[np.arange(images), truth] += skill
    p = np.exp(1.6 * logits)
    p = (p / p.sum(axis=1, keepdims=True)).astype(np.float32)
    targets = truth[:, None] == np.arange(len(classes))
    if kind == "binary":
        values = {"auroc": roc_auc_score(truth, p[:, 1]), "average_precision": average_precision_score(truth, p[:, 1])}
        base = 1 / 2
    else:
        values = {
            "auroc": roc_auc_score(targets, p, average="macro"),
            "average_precision": average_precision_score(targets, p, average="macro"),
        }
        base = 1 / len(classes)
    values |= {"auroc_chance": 0.5, "average_precision_chance": base, "calibration_error": 0.1}
    names = [f"image{n:03}" for n in range(images)]
    return {
        "episode": {"support": [], "test": names, "seed": 1},
        "classes": classes,
        "label_kind": kind,
        "images": names,
        "support_by_class": dict.fromkeys(classes, 1),
        "metrics": {name: float(value) for name, value in values.items()},
        "reasons": {},
        "per_image": {
            name: {"correct": float(row.argmax() == own), "probability": float(row[own])}
            for name, row, own in zip(names, p, truth, strict=True)
        },
        "predictions": run.put_predictions({"probabilities": p, "targets": targets.astype(np.uint8)}),
    }


def record(unit: dict[str, Any], result: dict[str, Any], family: str, weights: str, baseline: bool) -> dict[str, Any]:
    shots = unit["shots"] or 1
    return {
        "unit": unit,
        "family": family,
        "lower_is_better": ["brier", "calibration_error"],
        "fingerprint": "".join(f"{ord(c):x}" for c in str(unit))[-64:],
        "identity": {"data": "0" * 64, "model": {"family": unit["encoder"].partition(":")[0]}},
        "weights": weights,
        "floor": baseline,
        "result": result,
        "timing": {
            "prepare_seconds": 0.2,
            "fit_seconds": (0.1 if baseline else 3.0) * shots,
            "fit_steps": 0 if baseline else 150,
            "score_seconds": 0.5 + 0.1 * len(unit["encoder"]),
            "measure_seconds": 0.1,
            "scored": 90,
            "map_bytes": 1000,
        },
        "provenance": {"machine": {"processor": "test", "cores": 2}, "device": "cpu", "weights_sha256": None},
    }
