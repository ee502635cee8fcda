"""Sources of training images: files, or the simulator."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from f2vbench.data.cases import PHASES, Case, Frame, evenly_spaced
from f2vbench.training.data.case_split import Split
from f2vbench.training.data.registered_eye import RegisteredEye, crop_to_square, read_eye, stack_frames
from f2vbench.training.data.truth_maps import truth_masks
from f2vbench.utils.files import canonical_json, sha256

FrameSampling = Literal["uniform", "random"]

# Seeds of the simulated eyes. They are far from those of the task cards, so that no training uses the eyes of a task.
# Validation and test have one seed, so that trainings with different seeds are evaluated on the same eyes.
_EVALUATION_SEED = 999_999
_FIRST_TRAINING_SEED = 1_000_000
_FIRST_TEST_EYE = 20_000


class Selection(Hashable, Protocol):
    """An eye with its selected frames, not loaded yet; equal selections load equal images."""

    @property
    def name(self) -> str:
        """Name of the case."""

    def load(self) -> RegisteredEye:
        """Read or simulate photograph and frames."""


class ImageSource(Protocol):
    """The eyes of one split."""

    def __len__(self) -> int:
        """Number of eyes in an epoch."""

    def select(self, index: int, epoch: int, rng: np.random.Generator) -> Selection:
        """The eye of an index in an epoch, with its frames."""

    def identity(self) -> dict[str, Any]:
        """What determines the eyes, JSON-serialisable and independent of the location of the files."""


@dataclass(frozen=True)
class SelectedCase:
    """A case on disk with the selected frames.

    Attributes:
        case: Photograph and optional lesion mask.
        frames: In order of phase and time.
        size: Side of the square in pixels.
    """

    case: Case
    frames: tuple[Frame, ...]
    size: int

    @property
    def name(self) -> str:
        """Name of the case."""
        return self.case.name

    def load(self) -> RegisteredEye:
        """Read the images."""
        return read_eye(self.case, self.frames, self.size)


class CaseFiles:
    """Cases on disk.

    Args:
        cases: The cases of the split.
        frames_per_phase: Frames of each phase in a sample; 0 for photographs without frames.
        size: Side of the square in pixels.
        sampling: ``uniform``: frames at equal distances. ``random``: without replacement, other ones each time.
        phases: The phases of a video, in order.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        frames_per_phase: int,
        size: int,
        sampling: FrameSampling,
        phases: Sequence[str] = PHASES,
    ):
        self.cases = tuple(cases)
        self._phases = tuple(phases)
        self._frames_per_phase = frames_per_phase
        self._size = size
        self._sampling = sampling

    def __len__(self) -> int:
        return len(self.cases)

    def select(self, index: int, epoch: int, rng: np.random.Generator) -> SelectedCase:
        """The case of an index with its frames in an epoch."""
        selected: list[Frame] = []
        for phase in self._phases:
            frames = self.cases[index].in_phase(phase)
            if self._sampling == "random" and len(frames) > self._frames_per_phase:
                positions = np.sort(rng.choice(len(frames), self._frames_per_phase, replace=False)).tolist()
            else:
                positions = evenly_spaced(len(frames), self._frames_per_phase)
            selected += [frames[position] for position in positions]
        return SelectedCase(self.cases[index], tuple(selected), self._size)

    def identity(self) -> dict[str, Any]:
        """Number of cases and hash of their content."""
        return {"cases": len(self.cases), "sha256": sha256(canonical_json([case.content for case in self.cases]))}


@dataclass(frozen=True)
class SelectedPhantom:
    """A simulated eye.

    Attributes:
        seed: Of the cohort.
        number: Of the eye in the cohort.
        frames_per_phase: Frames of each phase; 0 for the photograph alone.
        size: Side of the square in pixels.
        noise: Whether the frames have the noise, the motion and the gain of an examination.
    """

    seed: int
    number: int
    frames_per_phase: int
    size: int
    noise: bool = True

    @property
    def name(self) -> str:
        """Name of the case: seed, patient and eye."""
        eye = ("right", "left")[self.number % 2]
        return f"phantom-{self.seed}-P{self.number // 2 + 1:05d}_{eye}"

    def load(self) -> RegisteredEye:
        """Simulate the images."""
        from f2vbench.phantom.cohort import SMALLEST, Cohort
        from f2vbench.phantom.imaging.angiogram import FRAMES_PER_PHASE

        eye = Cohort(self.seed, self.number // 2 + 1, size=max(self.size, SMALLEST))[self.number]
        photograph = eye.photograph()
        if self.frames_per_phase == 0:
            fov_mask = photograph.camera.field_of_view()
            return crop_to_square(photograph.image, stack_frames([], fov_mask.shape), fov_mask, self.size)
        frames = eye.angiogram(noise=self.noise).frames
        positions = evenly_spaced(FRAMES_PER_PHASE, self.frames_per_phase)
        selected = [first + position for first in range(0, len(frames), FRAMES_PER_PHASE) for position in positions]
        truth = photograph.truth
        lesion_mask = np.zeros(photograph.image.shape[:2], bool)
        for mask in truth.lesions.values():
            lesion_mask |= mask
        masks = truth_masks(truth, photograph.camera)
        return crop_to_square(photograph.image, frames[selected], truth.field_of_view, self.size, lesion_mask, masks)


class PhantomEyes:
    """Simulated eyes, generated on access.

    On one core an eye takes 0.1 s at 64 pixels and 0.4 s at 512 pixels; a photograph alone takes 0.1 s at 336 pixels.

    Args:
        split: Training eyes change with the epoch and the seed. Validation and test eyes are always the same.
        count: Eyes in an epoch.
        seed: Of the training eyes.
        frames_per_phase: Frames of each phase in a sample; 0 for photographs without frames.
        size: Side of the square in pixels.
        renew: Number of epochs after which the training eyes change.
        noise: Whether training frames have the noise, the motion and the gain of an examination. Frames of validation
            and test always have.
    """

    def __init__(
        self,
        split: Split,
        count: int,
        seed: int,
        frames_per_phase: int,
        size: int,
        renew: int = 1,
        noise: bool = True,
    ):
        self._training = split == "train"
        self._first = _FIRST_TEST_EYE if split == "test" else 0
        self._count = count
        self._renew = renew
        self._seed = _FIRST_TRAINING_SEED + seed if self._training else _EVALUATION_SEED
        self._frames_per_phase = frames_per_phase
        self._size = size
        self._noise = noise or not self._training

    def __len__(self) -> int:
        return self._count

    def select(self, index: int, epoch: int, rng: np.random.Generator) -> SelectedPhantom:
        """The eye of an index in an epoch."""
        number = self._first + index + (epoch // self._renew * self._count if self._training else 0)
        return SelectedPhantom(self._seed, number, self._frames_per_phase, self._size, self._noise)

    def identity(self) -> dict[str, Any]:
        """Version of the simulator, seed and range of the eyes."""
        from f2vbench.phantom.cohort import VERSION

        return {
            "phantom": VERSION,
            "seed": self._seed,
            "first": self._first,
            "eyes": self._count,
            "renew": self._renew,
        }
