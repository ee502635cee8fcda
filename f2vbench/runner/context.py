"""Tasks, models and settings that all workers of a run share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from f2vbench.adapters.base import TaskAdapter
from f2vbench.adapters.registry import adapter_of
from f2vbench.adapters.unit import Unit
from f2vbench.config.run import RunSettings
from f2vbench.data.task_data import TaskData
from f2vbench.encoders.spec import ModelSpec


@dataclass(frozen=True)
class Context:
    """Tasks, models and settings that all workers of a run share; picklable.

    Attributes:
        settings: Settings of the run.
        tasks: Tasks by name.
        models: Models by name, including the parts of fusions.
        folder: The run folder.
        weights: Model → SHA-256 of the tensors that produced its units in the run folder.
    """

    settings: RunSettings
    tasks: dict[str, TaskData]
    models: dict[str, ModelSpec]
    folder: Path
    weights: dict[str, str] = field(default_factory=dict)

    def adapter(self, task: str) -> TaskAdapter:
        """Adapter that runs the units of a task."""
        return adapter_of(self.tasks[task].card)

    def uses_torch(self, unit: Unit) -> bool:
        """Whether the model of a unit or its training needs torch."""
        return self.models[unit.encoder].uses_torch or self.adapter(unit.task).uses_torch(unit.protocol)

    def feature(self, unit: Unit) -> str | None:
        """Kind of features that a unit reads from the feature store, or None."""
        return self.adapter(unit.task).feature_kind(self.models[unit.encoder], unit.protocol, self.settings)
