"""Work items of a run, encode photographs or run units, and the progress of their phases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import ClassVar

from f2vbench.adapters.unit import Unit
from f2vbench.runner.context import Context
from f2vbench.utils.progress import Progress


class Phase(Enum):
    """Phases of a run, in their order; the value is the title of the progress display."""

    ENCODE = "encoding photographs in groups"
    RUN_UNITS = "units"


@dataclass(frozen=True)
class Extract:
    """Encode images of a task with one model.

    Attributes:
        model: Name of the model.
        task: Name of the task.
        feature: Kind of features, see `f2vbench.adapters.base.Feature`.
        images: Ids of the images.
    """

    phase: ClassVar[Phase] = Phase.ENCODE

    model: str
    task: str
    feature: str
    images: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """One label per step of the progress display."""
        return (f"encoding {self.task} with {self.model}",)

    def split(self, size: int) -> Iterator[Extract]:
        """Work items of at most ``size`` images."""
        for start in range(0, len(self.images), size):
            yield replace(self, images=self.images[start : start + size])

    def uses_torch(self, context: Context) -> bool:
        """Whether the model needs torch."""
        return context.models[self.model].uses_torch


@dataclass(frozen=True)
class RunUnits:
    """Run units of one task family, protocol and number of shots in one step.

    Attributes:
        units: At least one unit.
    """

    phase: ClassVar[Phase] = Phase.RUN_UNITS

    units: tuple[Unit, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """One label per step of the progress display."""
        return tuple(unit.label for unit in self.units)

    def uses_torch(self, context: Context) -> bool:
        """Whether the model or its training needs torch."""
        return any(context.uses_torch(unit) for unit in self.units)


Item = Extract | RunUnits


@dataclass(frozen=True)
class Outcome:
    """Outcome of a work item.

    Attributes:
        claimed_elsewhere: Number of units that another process is working on.
        timing: Seconds and counts of the steps; for units run together, the mean over them.
        notes: Messages for the user, such as damaged files that were set aside.
    """

    claimed_elsewhere: int = 0
    timing: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class PhaseProgress:
    """Progress of the phases of a run, one after the other.

    With several workers the last items of a phase may complete after the first of the next phase; the display has moved
    on by then, and does not count them.

    Args:
        items: All work items of the run.
        progress: Receives the steps.
    """

    def __init__(self, items: Sequence[Item], progress: Progress):
        self._progress = progress
        self._steps: Counter[Phase] = Counter()
        for item in items:
            self._steps[item.phase] += len(item.labels)
        self._current: Phase | None = None
        self._open_steps = 0
        self._in_work: dict[tuple[str, ...], float] = {}
        self._remaining = [phase for phase in Phase if self._steps[phase]]
        if self._remaining:
            self._begin(self._remaining[0])

    def step(self, item: Item, fraction: float) -> None:
        """Report the completed fraction of an item in work."""
        if item.phase in self._remaining:
            self._begin(item.phase)
        if item.phase is self._current:
            self._in_work[item.labels] = fraction * len(item.labels)
            self._progress.show_part(f"{item.labels[0]}: {fraction:.0%}", sum(self._in_work.values()))

    def advance(self, item: Item) -> None:
        """Report a completed item."""
        self._in_work.pop(item.labels, None)
        if item.phase in self._remaining:
            self._begin(item.phase)
        if item.phase is self._current:
            for label in item.labels:
                self._progress.advance(label)
            self._open_steps -= len(item.labels)
            if not self._open_steps and self._remaining:
                self._begin(self._remaining[0])

    def _begin(self, phase: Phase) -> None:
        self._current = phase
        self._remaining = self._remaining[self._remaining.index(phase) + 1 :]
        self._open_steps = self._steps[phase]
        self._in_work.clear()
        self._progress.begin(phase.value, self._steps[phase])
