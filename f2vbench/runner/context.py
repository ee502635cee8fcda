"""What all workers of a run share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from f2vbench.adapters.base import Family
from f2vbench.adapters.registry import family_named
from f2vbench.adapters.unit import Unit
from f2vbench.config.run import RunSettings
from f2vbench.data.task_data import TaskData
from f2vbench.encoders.spec import ModelSpec


@dataclass(frozen=True)
class Context:
    """What all workers of a run share; picklable.

    Attributes:
        weights: model → SHA-256 of the tensors that its units in the run folder were made with.
    """

    settings: RunSettings
    tasks: dict[str, TaskData]
    models: dict[str, ModelSpec]
    folder: Path
    weights: dict[str, str] = field(default_factory=dict)

    def family(self, task: str) -> Family:
        """The family that solves a task's units."""
        return family_named(self.tasks[task].card.family)

    def uses_torch(self, unit: Unit) -> bool:
        """Whether a unit needs torch, for its model or for what is trained on it."""
        return self.models[unit.encoder].uses_torch or self.family(unit.task).uses_torch(unit.protocol)

    def feature(self, unit: Unit) -> str | None:
        """What a unit reads from the feature store, or None."""
        return self.family(unit.task).feature(self.models[unit.encoder], unit.protocol, self.settings)
