"""Checkpoints: the state from which a training resumes."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from f2vbench.errors import StoreError
from f2vbench.utils.files import write_atomically

CHECKPOINT = "checkpoint.pt"
"""File name in a run folder."""

_MAX_LISTED = 5
_REQUIRED_KEYS = {"settings", "data", "place", "networks", "optimisers"}


@dataclass
class TrainingPosition:
    """How far a training has progressed.

    Attributes:
        epoch: The current epoch, counted from 0.
        batch: The next batch of the epoch, counted from 0.
        videos: Number of videos trained on so far, over all processes.
        seconds: Training time so far.
        completed: Whether the training is complete and exported.
    """

    epoch: int = 0
    batch: int = 0
    videos: int = 0
    seconds: float = 0.0
    completed: bool = False


@dataclass(frozen=True)
class TrainingStatus:
    """Progress and provenance of a training.

    Attributes:
        position: How far it has progressed.
        data: What identifies the training data, and the initial weights where they come from a file.
        validation: Scores of the last validation, by metric.
        environment: Device, number of processes, software and machine.
    """

    position: TrainingPosition
    data: Mapping[str, Any]
    validation: Mapping[str, float] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training.

    Attributes:
        settings: `TrainSettings.identity` of the training.
        status: Progress and provenance.
        networks: State dictionaries by name.
        optimisers: State dictionaries by the name of the network.
    """

    settings: Mapping[str, Any]
    status: TrainingStatus
    networks: Mapping[str, Any]
    optimisers: Mapping[str, Any]

    def check_same_training(self, path: Path, settings: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        """Check that a training with these settings and data may resume from the checkpoint.

        Args:
            path: Of the checkpoint, for the message.
            settings: `TrainSettings.identity`.
            data: As in `TrainingStatus`.

        Raises:
            StoreError: Settings or data differ; the message has the keys and both values.
        """
        stored, current = {**self.settings, **self.status.data}, {**settings, **data}
        keys = [key for key in {**stored, **current} if stored.get(key) != current.get(key)]
        if not keys:
            return
        differences = "; ".join(f"{key} was {stored.get(key)}, is {current.get(key)}" for key in keys[:_MAX_LISTED])
        more = f"; and {len(keys) - _MAX_LISTED} more" if len(keys) > _MAX_LISTED else ""
        raise StoreError(
            f"{path}: a training with other settings ({differences}{more}); choose another folder with out=, or use "
            "the same settings to resume it"
        )


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint completely or not at all; on a full disk the previous file stays.

    Args:
        path: Of the file.
        checkpoint: Its tensors and plain values are stored.

    Raises:
        StoreError: The file can't be written.
    """
    status = checkpoint.status
    content = io.BytesIO()
    state = {
        "networks": checkpoint.networks,
        "optimisers": checkpoint.optimisers,
        "settings": dict(checkpoint.settings),
        "data": dict(status.data),
        "place": asdict(status.position),
        "quality": dict(status.validation),
        "made_on": dict(status.environment),
    }
    torch.save(state, content)
    write_atomically(path, content.getvalue(), durable=True)


def load_checkpoint(path: Path, device: torch.device) -> Checkpoint:
    """Read a checkpoint; code in the file is never executed.

    Args:
        path: Of the file.
        device: Of the tensors.

    Raises:
        StoreError: The file is damaged, or not a checkpoint of a training.
    """
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        if not set(state) >= _REQUIRED_KEYS:
            raise ValueError("it has other content")
        status = TrainingStatus(
            TrainingPosition(**state["place"]), state["data"], state.get("quality", {}), state.get("made_on", {})
        )
    except Exception as error:  # damaged files raise errors without a common class
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:120]
        raise StoreError(
            f"{path}: not a checkpoint of a training, or damaged ({reason}); remove it to start again, or choose "
            "another folder with out="
        ) from error
    return Checkpoint(state["settings"], status, state["networks"], state["optimisers"])
