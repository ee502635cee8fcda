"""Vessel scores of generators without training: what of a generated angiogram is read as a vessel. Imports no torch.

Fluorescence makes vessels bright, most of all in the venous phase. Its brightness also contains the choroid, lesions
and shading, which are still there in the late phase, when the vessels are empty: the difference of the two phases
removes them. A local background, subtracted afterwards, removes what is wider than a vessel.

Frames 1 to 4 are arterial, 5 to 8 venous, 9 to 12 late, as in training. A model of one frame has no phases: every score
is the brightness or the contrast of its frame. A model with classes of vessels has their probability instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from f2vbench.config.run import VesselScoreName
from f2vbench.encoders.registry import FAMILIES

if TYPE_CHECKING:
    from torch import Tensor

Reading = Literal["venous", "venous-late", "maximum", "frame", "probability"]
"""What is computed from the output of a generator: the mean venous frame, its difference to the mean late frame, the
maximum of all frames, its only frame, or the largest probability of a class of vessels."""

BACKGROUND_SIGMA = 1 / 30
"""Gaussian sigma of the local background, relative to the diameter of the field of view: wider than any vessel."""

VENOUS, LATE = slice(4, 8), slice(8, 12)
"""Frames of two phases."""

_SCORES: dict[VesselScoreName, tuple[Reading, bool]] = {
    "brightness": ("venous", False),
    "contrast": ("venous", True),
    "venous-late": ("venous-late", False),
    "venous-late-contrast": ("venous-late", True),
    "maximum": ("maximum", False),
    "maximum-contrast": ("maximum", True),
}
_TEXT: dict[Reading, str] = {
    "venous": "the mean venous frame of the generated angiogram",
    "venous-late": "the mean venous minus the mean late frame of the generated angiogram",
    "maximum": "the brightest frame of the generated angiogram at each pixel",
    "frame": "the generated frame",
    "probability": "the largest probability of artery and vein",
}


@dataclass(frozen=True)
class VesselScore:
    """A vessel score of one family of generators.

    Attributes:
        reading: What is computed from the output of the generator.
        is_contrast: Whether the local background is subtracted from it.
    """

    reading: Reading
    is_contrast: bool

    @property
    def text(self) -> str:
        """What the score is, for notes."""
        return _TEXT[self.reading] + (" minus its local background" if self.is_contrast else "")

    @property
    def threshold(self) -> float | None:
        """Score at which vessel and background count as equally likely; None for differences, which have none."""
        return None if self.is_contrast or self.reading == "venous-late" else 0.5


def vessel_score_of(family: str, name: VesselScoreName) -> VesselScore:
    """The score of a family of generators that is meant by a value of `vessel_score=`, or comes nearest to it.

    Args:
        family: Name of the family.
        name: Value of `vessel_score=`.
    """
    reading, is_contrast = _SCORES[name]
    if FAMILIES[family].vessel_channels:
        return VesselScore("probability", False)
    if FAMILIES[family].frames == 1:
        return VesselScore("frame", is_contrast)
    return VesselScore(reading, is_contrast)


def frames_of(reading: Reading) -> tuple[int, int]:
    """First frame that a score of a video needs, from 0, and the frame after the last one."""
    return {"venous": (4, 8), "venous-late": (4, 12)}.get(reading, (0, 12))


def read_frames(frames: Tensor, reading: Reading, first: int = 0) -> Tensor:
    """Compute a vessel score from the frames of a video.

    Args:
        frames: (n, t, h, w); where `first` is 0, all twelve.
        reading: `venous`, `venous-late` or `maximum`.
        first: Number of frames that are left out at the start.

    Returns:
        (n, h, w).
    """
    if reading == "maximum":
        return frames.amax(1)
    venous, late = (frames[:, phase.start - first : phase.stop - first] for phase in (VENOUS, LATE))
    return venous.mean(1) if reading == "venous" else venous.mean(1) - late.mean(1)


def subtract_background(score: NDArray[np.float32], fov: NDArray[np.bool_]) -> NDArray[np.float32]:
    """A score map minus its Gaussian local mean inside the field of view.

    Args:
        score: (h, w) float32.
        fov: bool (h, w), the field of view.

    Returns:
        (h, w) float32, 0 outside the field of view.
    """
    rows = np.flatnonzero(fov.any(axis=1))
    sigma = BACKGROUND_SIGMA * float(rows[-1] - rows[0] + 1) if len(rows) else 1.0
    inside = fov.astype(np.float32)
    total, weight = (
        cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT) for values in (score * inside, inside)
    )
    return ((score - total / np.maximum(weight, 1e-3)) * inside).astype(np.float32)
