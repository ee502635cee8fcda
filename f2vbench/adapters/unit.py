"""The unit: encoder × task × protocol × shots × seed, the smallest thing that is run, stored and resumed."""

from __future__ import annotations

from dataclasses import dataclass, field

from f2vbench.config.run import Protocol
from f2vbench.store.record_schema import Identity, UnitCoordinates


@dataclass(frozen=True)
class Unit:
    """A place in the grid, and the fingerprint of everything that decides its result.

    Attributes:
        shots: number of support images (in classification of each class); 0 for zero-shot, None for all there are.
        identity: data, task, model and settings, JSON-able; its hash with the place is the fingerprint.
    """

    encoder: str
    task: str
    protocol: Protocol
    shots: int | None
    seed: int
    fingerprint: str = field(repr=False)
    identity: Identity = field(repr=False, compare=False, hash=False)

    @property
    def label(self) -> str:
        """How the unit is called in messages: ``tophat · rite · few-shot 1 · seed 0``."""
        shots = f" {self.shots}" if self.shots else ""
        return f"{self.encoder} · {self.task} · {self.protocol}{shots} · seed {self.seed}"

    @property
    def name(self) -> str:
        """The record's file name, without extension."""
        shots = f"-{self.shots}" if self.shots else ""
        where = f"{self.encoder}.{self.task}.{self.protocol}{shots}.seed-{self.seed}"
        return f"{where}.{self.fingerprint[:12]}"

    def coordinates(self) -> UnitCoordinates:
        """The unit's place in the grid, as stored in its record."""
        return {
            "encoder": self.encoder,
            "task": self.task,
            "protocol": self.protocol,
            "shots": self.shots,
            "seed": self.seed,
        }
