"""Options of the training data: images, frame sampling, split and simulation."""

from __future__ import annotations

from dataclasses import dataclass, replace

from f2vbench.data.case_table import PhaseReading
from f2vbench.data.cases import PHASES
from f2vbench.training.data.angiogram_dataset import LateCrop, View
from f2vbench.training.data.augmentation import AUGMENTATIONS, Augmentation
from f2vbench.training.data.image_sources import FrameSampling

_SMALLEST_SIDE = 16
_WHOLE_FIELD = Augmentation(area=(1.0, 1.0))

# Photographs without frames are loaded at this multiple of their size, so that magnified crops are not blurred.
_PHOTOGRAPH_OVERSAMPLING = 1.5


@dataclass(frozen=True)
class ImageOptions:
    """Size, crops and augmentation of the images.

    Attributes:
        size: Side of the square that the field of view is resized to, in pixels.
        enlarge: Magnification of the squares in the samples of all splits.
        crop: Side of random training crops in pixels, at most ``size × enlarge``; None for whole squares.
        late_crop: Side of the training crops in the last epochs; None for ``crop`` in all epochs.
        augmentation: Of the training split.
        shading_correction: Normalise photographs by their local mean and contrast (`f2vbench.data.shading_correction`).
    """

    size: int
    enlarge: int = 1
    crop: int | None = None
    late_crop: LateCrop | None = None
    augmentation: Augmentation = AUGMENTATIONS["f2v"]
    shading_correction: bool = False

    def loaded_size(self, photographs_only: bool) -> int:
        """Side of the squares before augmentation, in pixels."""
        return round(_PHOTOGRAPH_OVERSAMPLING * self.size) if photographs_only else self.size

    def training_view(self, photographs_only: bool) -> View:
        """The views of the training split."""
        augmentation = self.augmentation.scaled(self.enlarge)
        if photographs_only:
            augmentation = replace(augmentation, area=augmentation.area or _WHOLE_FIELD.area)
        side = self.crop or self.size * self.enlarge
        return View(side, augmentation, self.late_crop, self.shading_correction)

    def evaluation_view(self, photographs_only: bool) -> View:
        """The views of validation and test: the whole square, without random changes."""
        unchanged = _WHOLE_FIELD if photographs_only else Augmentation().scaled(self.enlarge)
        return View(self.size * self.enlarge, unchanged, shading_correction=self.shading_correction)

    def problems(self) -> list[str]:
        """A message for each value out of range."""
        problems = []
        if self.size < _SMALLEST_SIDE:
            problems.append(f"size={self.size}: must be at least {_SMALLEST_SIDE} pixels")
        if self.enlarge < 1:
            problems.append(f"enlarge={self.enlarge}: must be 1 or more")
        largest = self.size * max(self.enlarge, 1)
        if self.crop is not None and not _SMALLEST_SIDE <= self.crop <= largest:
            problems.append(
                f"crop={self.crop}: must be {_SMALLEST_SIDE} to {largest} pixels (size × enlarge); leave it out for "
                "whole squares"
            )
        return problems


@dataclass(frozen=True)
class SamplingOptions:
    """The angiogram frames of a sample.

    Attributes:
        frames: Frames of a sample, a third of each phase; 0 for photographs without frames.
        training: How training frames are selected: ``uniform`` (at equal distances, as in the foundation-model
            paper) or ``random`` (without replacement, as in MICCAI 2024). Validation and test are always uniform.
        minimum_frames: Cases with fewer frames in a phase are left out. Cases with enough of these, but fewer than
            a sample has, repeat the nearest frames. Notes name both.
        phases: How the phases of a table are read. With ``released``, a sample has equally many frames of each phase
            that the table has; otherwise all three are needed.
    """

    frames: int = 12
    training: FrameSampling = "uniform"
    minimum_frames: int = 2
    phases: PhaseReading = "named"

    @property
    def per_phase(self) -> int:
        """Frames of each phase."""
        return self.frames // len(PHASES)

    @property
    def photographs_only(self) -> bool:
        """Whether samples have no frames."""
        return self.frames == 0

    def problems(self) -> list[str]:
        """A message for each value out of range."""
        problems = []
        if self.frames < 0 or self.frames % len(PHASES):
            problems.append(f"frames={self.frames}: must be a multiple of {len(PHASES)}, equally many of each phase")
        if self.minimum_frames < 1:
            problems.append(f"minimum_frames={self.minimum_frames}: must be at least 1 frame of each phase")
        return problems


@dataclass(frozen=True)
class SplitShares:
    """Shares of the patients for validation and test; simulated data gets these shares in addition.

    Attributes:
        validation: 0 for no validation data.
        test: 0 for no test data.
    """

    validation: float = 0.15
    test: float = 0.15

    def problems(self) -> list[str]:
        """A message if the shares leave nothing to train on."""
        if min(self.validation, self.test) >= 0 and self.validation + self.test < 1:
            return []
        return [f"validation={self.validation}, test={self.test}: must be 0 or more, and below 1 together"]


@dataclass(frozen=True)
class SimulationOptions:
    """The simulated eyes.

    Attributes:
        eyes: Training eyes in an epoch.
        renew: Number of epochs after which new training eyes are simulated. Above 1, the eyes stay in memory in
            between: 5 MB for each eye of 512 pixels, in each loader process.
        noise: Whether training frames have the noise, the motion and the gain of an examination.
    """

    eyes: int = 200
    renew: int = 1
    noise: bool = True

    def problems(self) -> list[str]:
        """A message for each value out of range."""
        problems = []
        if self.eyes < 1:
            problems.append(f"eyes={self.eyes}: must be at least 1")
        if self.renew < 1:
            problems.append(f"renew={self.renew}: must be at least 1 epoch")
        return problems
