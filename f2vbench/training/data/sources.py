"""Where the eyes of a data set come from: files, or the simulator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, get_args

import numpy as np

from f2vbench.data.cases import PHASES, Case, Frame, evenly_spaced
from f2vbench.training.data.case_images import RegisteredEye, read_eye, square_eye, stacked
from f2vbench.training.data.case_split import Part
from f2vbench.utils.files import canonical_json, sha256

Sampling = Literal["uniform", "random"]
SAMPLINGS: tuple[Sampling, ...] = get_args(Sampling)

# Simulated eyes: seeds of their own, far from those of the task cards, so that no run trains on a task's eyes.
# Validation and test have one seed for all runs, so that runs of other seeds are measured on the same eyes.
_HELD_OUT_SEED = 999_999
_FIRST_TRAINING_SEED = 1_000_000
_FIRST_TEST_EYE = 20_000


class Source(Protocol):
    """Eyes by number; an eye may have several appearances, of which one is chosen."""

    def __len__(self) -> int: ...

    def choose(self, index: int, epoch: int, draw: np.random.Generator) -> Any:
        """What to show at this place of this epoch; hashable, the key of `read` and `name`."""

    def read(self, choice: Any) -> RegisteredEye: ...

    def name(self, choice: Any) -> str: ...

    def identity(self) -> dict[str, Any]:
        """What decides the eyes, for a card or a checkpoint; JSON-able, and the same wherever the files lie."""


class FileEyes:
    """Cases on the disk.

    Args:
        per_phase: frames of each phase to show; 0 for the photograph alone.
        size: of the square, px.
    """

    def __init__(self, cases: Sequence[Case], per_phase: int, size: int, sampling: Sampling):
        self.cases = tuple(cases)
        self._per_phase = per_phase
        self._size = size
        self._sampling = sampling

    def __len__(self) -> int:
        return len(self.cases)

    def choose(self, index: int, epoch: int, draw: np.random.Generator) -> tuple[int, tuple[Frame, ...]]:
        shown: list[Frame] = []
        for phase in PHASES:
            frames = self.cases[index].in_phase(phase)
            if self._sampling == "random" and len(frames) > self._per_phase:
                places = np.sort(draw.choice(len(frames), self._per_phase, replace=False)).tolist()
            else:
                places = evenly_spaced(len(frames), self._per_phase)
            shown += [frames[place] for place in places]
        return index, tuple(shown)

    def read(self, choice: tuple[int, tuple[Frame, ...]]) -> RegisteredEye:
        index, frames = choice
        return read_eye(self.cases[index], frames, self._size)

    def name(self, choice: tuple[int, tuple[Frame, ...]]) -> str:
        return self.cases[choice[0]].name

    def identity(self) -> dict[str, Any]:
        return {"cases": len(self.cases), "sha256": sha256(canonical_json([case.content for case in self.cases]))}


class PhantomEyes:
    """Simulated eyes, made when they are asked for; on one core 0.1 s at 64 px, 0.4 s at 512 px, and 0.1 s for a
    photograph alone at 336 px.

    Args:
        part: training eyes are others as epochs go by and for each seed; those of validation and test always the same.
        count: eyes in an epoch.
        renew: epochs after which training eyes are others.
    """

    def __init__(self, part: Part, count: int, seed: int, per_phase: int, size: int, renew: int = 1):
        self._training = part == "train"
        self._first = _FIRST_TEST_EYE if part == "test" else 0
        self._count = count
        self._renew = renew
        self._seed = _FIRST_TRAINING_SEED + seed if self._training else _HELD_OUT_SEED
        self._per_phase = per_phase
        self._size = size

    def __len__(self) -> int:
        return self._count

    def choose(self, index: int, epoch: int, draw: np.random.Generator) -> int:
        return self._first + index + (epoch // self._renew * self._count if self._training else 0)

    def read(self, choice: int) -> RegisteredEye:
        from f2vbench.phantom.cohort import SMALLEST, Cohort
        from f2vbench.phantom.imaging.angiogram import FRAMES_PER_PHASE

        eye = Cohort(self._seed, choice // 2 + 1, size=max(self._size, SMALLEST))[choice]
        taken = eye.photograph()
        if self._per_phase == 0:
            field = taken.camera.field_of_view()
            return square_eye(taken.image, stacked([], field), field, self._size, None)
        frames = eye.angiogram().frames
        places = evenly_spaced(FRAMES_PER_PHASE, self._per_phase)
        shown = [first + place for first in range(0, len(frames), FRAMES_PER_PHASE) for place in places]
        truth = taken.truth
        lesions = np.zeros(taken.image.shape[:2], bool)
        for mask in truth.lesions.values():
            lesions |= mask
        return square_eye(taken.image, frames[shown], truth.field_of_view, self._size, lesions)

    def name(self, choice: int) -> str:
        side = ("right", "left")[choice % 2]
        return f"phantom-{self._seed}-P{choice // 2 + 1:05d}_{side}"

    def identity(self) -> dict[str, Any]:
        from f2vbench.phantom.cohort import VERSION

        return {
            "phantom": VERSION,
            "seed": self._seed,
            "first": self._first,
            "eyes": self._count,
            "renew": self._renew,
        }
