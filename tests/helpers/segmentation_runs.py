"""Settings of a small segmentation run, as arguments of `Benchmark` and of the command line."""

from __future__ import annotations

from typing import Any

UNITS = 12
SETTINGS: dict[str, Any] = {
    "task": "folder",
    "model": ["timm:test_resnet:untrained"],
    "baselines": ["tophat", "scratch"],
    "shots": [1, 2],
    "seeds": 2,
    "image_size": 64,
    "augment": "none",
    "steps": 2,
    "batch_size": 2,
    "decoder": {"crop": 32},
    "scratch": {"steps": 1, "batch_size": 2},
    "jobs": 1,
}
ARGUMENTS = [
    "task=folder",
    "model=timm:test_resnet:untrained",
    "baselines=tophat,scratch",
    "shots=1,2",
    "seeds=2",
    "image_size=64",
    "augment=none",
    "steps=2",
    "batch_size=2",
    "decoder.crop=32",
    "scratch.steps=1",
    "scratch.batch_size=2",
]
