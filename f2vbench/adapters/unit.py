"""The unit: encoder × task × protocol × shots × seed, the smallest piece of work that is run, stored and resumed."""

from __future__ import annotations

from dataclasses import dataclass, field

from f2vbench.config.run import Protocol
from f2vbench.store.record_schema import Identity, UnitCoordinates


@dataclass(frozen=True)
class Unit:
    """One unit of a run.

    Attributes:
        encoder: Name of the model.
        task: Name of the task.
        protocol: Evaluation protocol.
        shots: Number of support images, for classification per class; 0 for zero-shot, None for all.
        seed: Index of the seed.
        fingerprint: SHA-256 of everything that affects the result: ``identity``, protocol, shots and seed.
        identity: Data, task, model, settings and version of the adapter.
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
        """Name of the unit in messages: ``tophat · rite · few-shot 1 · seed 0``."""
        shots = f" {self.shots}" if self.shots else ""
        return f"{self.encoder} · {self.task} · {self.protocol}{shots} · seed {self.seed}"

    @property
    def name(self) -> str:
        """File name of the unit's record, without extension."""
        shots = f"-{self.shots}" if self.shots else ""
        coordinates = f"{self.encoder}.{self.task}.{self.protocol}{shots}.seed-{self.seed}"
        return f"{coordinates}.{self.fingerprint[:12]}"

    def coordinates(self) -> UnitCoordinates:
        """Return encoder, task, protocol, shots and seed, as stored in the unit's record."""
        return {
            "encoder": self.encoder,
            "task": self.task,
            "protocol": self.protocol,
            "shots": self.shots,
            "seed": self.seed,
        }
