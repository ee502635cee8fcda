"""Run folders with made-up numbers, as a finished run leaves them: for tests and benchmarks of what reads them."""

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
    weights: str = "made-up",
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
    """A unit's record; metrics are the means of ``images`` (image → metric → value) unless they are given."""
    held = {name: dict(values) for name, values in (images or {}).items()}
    names = list(held)
    if metrics is None:
        metrics = {key: float(np.mean([held[name][key] for name in names])) for key in held[names[0]]}
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
        "result": {"episode": episode, "metrics": dict(metrics), "reasons": dict(reasons or {}), "per_image": held},
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
    """Records of models whose AUROC and Dice lie about a level; each seed tests half of twice ``images`` patients.

    What images and seeds add is the same for all models, but for a tenth of it.
    """
    draw = np.random.default_rng(1)
    records = []
    for count in shots:
        for seed in range(seeds):
            tested = sorted(f"eye{number:04d}" for number in draw.permutation(2 * images)[:images])
            common = draw.normal(0, spread, images)
            for name, level in levels.items():
                values = np.clip(level + common + draw.normal(0, spread / 10, images), 0, 1)
                held = {
                    image: {"auroc": float(v), "dice": float(v) * 0.8}
                    for image, v in zip(tested, values.tolist(), strict=True)
                }
                records.append(
                    unit_record(
                        name,
                        shots=count,
                        protocol="few-shot" if count else "zero-shot",
                        seed=seed,
                        images=held,
                        baseline=name in baselines,
                        weights="none" if name in baselines else "untrained" if name in untrained else name,
                        patients_in_all=2 * images,
                        support=[f"support{seed}-{i}" for i in range(count)],
                        **others,
                    )
                )
    return records


def call_record(tasks: Mapping[str, Mapping[str, Any]], *, left_out: Sequence[str] = ()) -> dict[str, Any]:
    """A call's record; ``tasks`` overlays the card of each."""
    card = {
        "title": "Made eyes",
        "labels": "Nobody's.",
        "source": "made up",
        "terms": "none",
        "split": "random",
        "test_fraction": 0.5,
        "layout": "folder",
    }
    data = {
        name: {"folder": "nowhere", "images": 20, "patients": 20, "notes": [], "card": card | dict(given)}
        for name, given in tasks.items()
    }
    settings = {"preset": "quick", "image_size": 512, "finetune": "frozen"}
    return {"settings": settings, "models": {}, "data": data, "left_out": list(left_out)}


def write_run(folder: Path, records: Iterable[Mapping[str, Any]], call: Mapping[str, Any] | None = None) -> Path:
    """The run folder of records, with the call that made them."""
    run = RunFolder(folder)
    run.open_for_writing()
    for number, record in enumerate(records):
        unit = record["unit"]
        run.write(f"{unit['encoder']}.{unit['task']}.{number}", dict(record))
    if call is not None:
        run.log_call(dict(call))
    return folder
