"""Records and run folders with simulated results, for tests and benchmarks of the analysis and the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from f2vbench.store.runs import RunFolder
from f2vbench.utils.files import canonical_json, sha256

SOFTWARE = {"f2vbench": "0.1.0", "git": "1234567890abcdef", "python": "3.12.0", "libraries": {"torch": "2.8.0"}}
MACHINE = {"system": "Linux", "processor": "a processor", "cores": 2}


def unit_record(
    encoder: str,
    *,
    task: str = "eyes",
    protocol: str = "few-shot",
    shots: int | None = 1,
    seed: int = 0,
    images: Mapping[str, Mapping[str, float]] | None = None,
    metrics: Mapping[str, float | None] | None = None,
    reasons: Mapping[str, str] | None = None,
    weights: str = "simulated",
    baseline: bool = False,
    patients: Sequence[str] | None = None,
    patients_in_all: int = 20,
    support: Sequence[str] = ("first",),
    family: str = "segmentation",
    main_metrics: Sequence[str] = ("auroc", "dice"),
    lower_is_better: Sequence[str] = (),
    weights_sha256: str | None = None,
    data: str = "data",
) -> dict[str, Any]:
    """Record of a unit.

    Args:
        encoder: Name of the encoder.
        images: Image → metric → value.
        metrics: Values of the metrics; by default the means over ``images``.
        patients: Patient of each image; by default one patient per image.
        patients_in_all: Number of patients of the task.

    Returns:
        A record; other arguments are stored as they are.
    """
    per_image = {name: dict(values) for name, values in (images or {}).items()}
    names = list(per_image)
    if metrics is None:
        metrics = {key: float(np.mean([per_image[name][key] for name in names])) for key in per_image[names[0]]}
    unit = {"encoder": encoder, "task": task, "protocol": protocol, "shots": shots, "seed": seed}
    identity = {"data": data, "model": {"sha256": weights_sha256}, "settings": {}}
    episode = {"support": list(support), "test": names, "seed": seed}
    episode |= {"patients": list(patients or names), "patients_in_all": patients_in_all}
    return {
        "unit": unit,
        "family": family,
        "main_metrics": list(main_metrics),
        "lower_is_better": list(lower_is_better),
        "fingerprint": sha256(canonical_json([*unit.values(), data, weights_sha256])),
        "identity": identity,
        "weights": weights,
        "floor": baseline,
        "result": {
            "episode": episode,
            "metrics": dict(metrics),
            "reasons": dict(reasons or {}),
            "per_image": per_image,
        },
        "timing": {},
        "provenance": {
            "software": SOFTWARE,
            "machine": MACHINE,
            "device": "cpu",
            "threads": 1,
            "precision": "float32",
            "weights_sha256": weights_sha256,
        },
    }


def grid(
    levels: Mapping[str, float],
    *,
    seeds: int = 5,
    shots: Iterable[int] = (1,),
    images: int = 10,
    baselines: Sequence[str] = (),
    untrained: Sequence[str] = (),
    spread: float = 0.01,
    **others: Any,
) -> list[dict[str, Any]]:
    """Records of several models whose AUROC varies about a level, and whose Dice is 0.8 of it.

    Each seed tests a random half of the patients, with one image each. Nine tenths of the variation between images are
    common to all models.

    Args:
        levels: Mean AUROC of each model.
        seeds: Number of seeds.
        shots: Numbers of support images; 0 is zero-shot.
        images: Number of test images; there are twice as many patients.
        baselines: Models that are baselines.
        untrained: Models with random weights.
        spread: Standard deviation between images.
        **others: Arguments of `unit_record`.

    Returns:
        One record per model, number of shots and seed.
    """
    rng = np.random.default_rng(1)
    records = []
    for count in shots:
        for seed in range(seeds):
            tested = sorted(f"eye{number:04d}" for number in rng.permutation(2 * images)[:images])
            common = rng.normal(0, spread, images)
            for name, level in levels.items():
                values = np.clip(level + common + rng.normal(0, spread / 10, images), 0, 1)
                per_image = {
                    image: {"auroc": float(v), "dice": float(v) * 0.8}
                    for image, v in zip(tested, values.tolist(), strict=True)
                }
                records.append(
                    unit_record(
                        name,
                        shots=count,
                        protocol="few-shot" if count else "zero-shot",
                        seed=seed,
                        images=per_image,
                        baseline=name in baselines,
                        weights="none" if name in baselines else "untrained" if name in untrained else name,
                        patients_in_all=2 * images,
                        support=[f"support{seed}-{i}" for i in range(count)],
                        **others,
                    )
                )
    return records


def call_record(
    tasks: Mapping[str, Mapping[str, Any]],
    *,
    left_out: Sequence[str] = (),
    planned: Iterable[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Record of a call.

    Args:
        tasks: Task → keys of its card that differ from the default.
        left_out: Notes on models and tasks that were left out.
        planned: Records of the requested units.

    Returns:
        A record.
    """
    card = {
        "title": "Simulated eyes",
        "labels": "None.",
        "source": "simulated",
        "terms": "none",
        "split": "random",
        "test_fraction": 0.5,
        "layout": "folder",
    }
    data = {
        name: {"folder": "nowhere", "images": 20, "patients": 20, "notes": [], "card": card | dict(changes)}
        for name, changes in tasks.items()
    }
    settings = {"preset": "quick", "image_size": 512, "finetune": "frozen"}
    call = {"settings": settings, "models": {}, "data": data, "left_out": list(left_out)}
    units = [dict(record["unit"]) for record in planned]
    return call | ({"planned": [unit | {"seeds": [unit.pop("seed")]} for unit in units]} if units else {})


def write_run(folder: Path, records: Iterable[Mapping[str, Any]], call: Mapping[str, Any] | None = None) -> Path:
    """Write records, and the call that made them, to a run folder; returns the folder."""
    run = RunFolder(folder)
    run.open_for_writing()
    for number, record in enumerate(records):
        unit = record["unit"]
        run.write(f"{unit['encoder']}.{unit['task']}.{number}", dict(record))
    if call is not None:
        run.log_call(dict(call))
    return folder
