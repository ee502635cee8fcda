"""What all workers of a run share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from f2vbench.adapters.base import TaskAdapter
from f2vbench.adapters.registry import adapter_for
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

    def adapter(self, task: str) -> TaskAdapter:
        """Return the adapter of a task's family."""
        return adapter_for(self.tasks[task].card.family)

    def uses_torch(self, unit: Unit) -> bool:
        """Whether a unit needs torch, for its model or for what is trained on it."""
        return self.models[unit.encoder].uses_torch or self.adapter(unit.task).uses_torch(unit.protocol)

    def feature(self, unit: Unit) -> str | None:
        """What a unit reads from the feature store, or None."""
        return self.adapter(unit.task).feature_kind(self.models[unit.encoder], unit.protocol, self.settings)
