"""Run folders and records with simulated results, for tests of figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from f2vbench.store.runs import RunFolder
from tests.helpers.stored_runs import MACHINE, SOFTWARE

CLASSES = {
    "papila": ["non-glaucoma", "suspected", "glaucoma"],
    "ukb-stroke": ["control", "stroke"],
    "messidor2": ["no DR", "mild", "moderate", "severe", "proliferative"],
}
KINDS = {"papila": "ordinal", "ukb-stroke": "binary", "messidor2": "ordinal"}


class SimulatedEncoder(NamedTuple):
    """Distance between classes in standard deviations, label of the weights, and whether it is a baseline."""

    skill: float
    weights: str
    baseline: bool = False


ENCODERS = {
    "fundus2video-mini": SimulatedEncoder(1.5, "fundus2video-mini.safetensors@01234567"),
    "fundus2fa-mini": SimulatedEncoder(1.2, "fundus2fa-mini.safetensors@01234567"),
    "retfound:mae_natureCFP": SimulatedEncoder(1.35, "hub"),
    "fundus2fa:untrained": SimulatedEncoder(0.5, "untrained"),
    "colour": SimulatedEncoder(0.4, "none", baseline=True),
    "random": SimulatedEncoder(0.0, "none", baseline=True),
}
CONDITIONS: list[tuple[str, int | None]] = [
    ("zero-shot", 0),
    *(("few-shot", shots) for shots in (1, 2, 4, 8)),
    ("supervised", None),
]


def classification_run(
    folder: Path,
    tasks: Sequence[str] = tuple(CLASSES),
    encoders: Mapping[str, SimulatedEncoder] = ENCODERS,
    conditions: Sequence[tuple[str, int | None]] = CONDITIONS,
    seeds: int = 5,
    images: int = 90,
) -> Path:
    """Write a run of classification units whose results improve with the skill of the encoder and with shots."""
    run = RunFolder(folder)
    run.open_for_writing()
    for task in tasks:
        for protocol, shots in conditions:
            gain = {"zero-shot": 0.0, "supervised": 1.0}.get(protocol, 0.35 + 0.15 * np.log2(shots or 1))
            for name, encoder in encoders.items():
                for seed in range(seeds):
                    rng = np.random.default_rng([seed, len(name), int(100 * encoder.skill), int(100 * gain), len(task)])
                    unit = {"encoder": name, "task": task, "protocol": protocol, "shots": shots, "seed": seed}
                    result = _classification_result(run, task, rng, encoder.skill * gain, images)
                    run.write(".".join(map(str, unit.values())), _classification_record(unit, result, encoder))
    return folder


def _classification_result(
    run: RunFolder, task: str, rng: np.random.Generator, skill: float, images: int
) -> dict[str, Any]:
    classes = CLASSES[task]
    truth = np.arange(images) % len(classes)
    logits = rng.normal(size=(images, len(classes)))
    logits[np.arange(images), truth] += skill
    p = np.exp(1.6 * logits)
    p = (p / p.sum(axis=1, keepdims=True)).astype(np.float32)
    targets = truth[:, None] == np.arange(len(classes))
    names = [f"image{n:03}" for n in range(images)]
    # Of two classes the metrics are those of the second one.
    y, scores = (truth, p[:, 1]) if KINDS[task] == "binary" else (targets, p)
    metrics = {
        "auroc": roc_auc_score(y, scores, average="macro"),
        "average_precision": average_precision_score(y, scores, average="macro"),
        "auroc_chance": 0.5,
        "average_precision_chance": 1 / len(classes),
        "calibration_error": 0.1,
    }
    return {
        "episode": {"support": [], "test": names, "seed": 1},
        "classes": classes,
        "label_kind": KINDS[task],
        "images": names,
        "support_by_class": dict.fromkeys(classes, 1),
        "metrics": {name: float(value) for name, value in metrics.items()},
        "reasons": {},
        "per_image": {
            name: {"correct": float(row.argmax() == label), "probability": float(row[label])}
            for name, row, label in zip(names, p, truth, strict=True)
        },
        "predictions": run.put_predictions({"probabilities": p, "targets": targets.astype(np.uint8)}),
    }


def _classification_record(unit: dict[str, Any], result: dict[str, Any], encoder: SimulatedEncoder) -> dict[str, Any]:
    return {
        "unit": unit,
        "family": "classification",
        "lower_is_better": ["brier", "calibration_error"],
        "fingerprint": "".join(f"{ord(character):x}" for character in str(unit))[-64:],
        "identity": {"data": "0" * 64, "model": {"family": unit["encoder"].partition(":")[0]}},
        "weights": encoder.weights,
        "floor": encoder.baseline,
        "result": result,
        "timing": {
            "prepare_seconds": 0.2,
            "fit_seconds": (0.1 if encoder.baseline else 3.0) * (unit["shots"] or 1),
            "fit_steps": 0 if encoder.baseline else 150,
            "score_seconds": 0.5 + 0.1 * len(unit["encoder"]),
            "measure_seconds": 0.1,
            "scored": 90,
            "map_bytes": 1000,
        },
        "provenance": {"machine": {"processor": "test", "cores": 2}, "device": "cpu", "weights_sha256": None},
    }


def retrieval_record(encoder: str, seed: int, hit_rate: float, baseline: bool = False) -> dict[str, Any]:
    """Record of a retrieval unit: 40 images of 20 patients, with a random hit or miss for each query."""
    rng = np.random.default_rng([seed, int(100 * hit_rate)])
    names = [f"i{n:02}" for n in range(40)]
    patients = [f"p{n // 2}" for n in range(40)]
    hits = (rng.random(40) < hit_rate).astype(float)
    all_found = dict.fromkeys(("recall@5", "recall@10", "mean_recall"), 1.0)
    per_image = {
        name: {"recall@1": hit, "map": rng.random()} | all_found for name, hit in zip(names, hits, strict=True)
    }
    metrics = {"recall@1": hits.mean(), "map": 0.5} | all_found
    chance = {"recall@1": 0.02, "recall@5": 0.1, "recall@10": 0.3, "mean_recall": 0.14}
    return {
        "unit": {"encoder": encoder, "task": "eyes", "protocol": "zero-shot", "shots": 0, "seed": seed},
        "family": "retrieval",
        "main_metrics": ["recall@1", "recall@5", "recall@10", "mean_recall"],
        "fingerprint": f"{encoder}{seed}",
        "identity": {"data": "d", "model": {}},
        "timing": {},
        "provenance": {"software": SOFTWARE, "machine": MACHINE, "device": "cpu", "weights_sha256": None},
        "weights": "none" if baseline else "untrained",
        "floor": baseline,
        "result": {
            "episode": {"test": names, "support": [], "seed": seed, "patients": patients, "patients_in_all": 20},
            "reasons": {},
            "metrics": metrics | {f"{name}_chance": level for name, level in chance.items()},
            "per_image": per_image,
            "gallery": names,
            "about": {"patient": patients, "modality": ["CF", "FFA"] * 20, "eye": ["left"] * 40, "view": [""] * 40},
        },
    }


def retrieval_records() -> list[dict[str, Any]]:
    """Records of three seeds of a good encoder and of a poor baseline."""
    return [
        *(retrieval_record("good", seed, 0.8) for seed in range(3)),
        *(retrieval_record("poor", seed, 0.3, baseline=True) for seed in range(3)),
    ]


def without_patients(record: Mapping[str, Any]) -> dict[str, Any]:
    """A retrieval record as older versions wrote it: without the patient of each image."""
    return {**record, "result": {key: value for key, value in record["result"].items() if key != "about"}}
