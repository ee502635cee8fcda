"""Vessel scores of generators without training: what of a generated angiogram is read as a vessel. Imports no torch.

Fluorescence makes vessels bright, most of all in the venous phase. Its brightness also contains the choroid, lesions
and shading, which are still there in the late phase, when the vessels are empty: the difference of the two phases
removes them. A local background, subtracted afterwards, removes what is wider than a vessel.

Frames 1 to 4 are arterial, 5 to 8 venous, 9 to 12 late, as in training. A model of one frame has no phases: every score
of frames is the brightness or the contrast of its frame.

Generators that were trained with the truth of simulated eyes also predict arteries and veins, beside the frames or
instead of them: their score is a probability. It needs no photograph of a person with vessel labels, but it is not read
from an angiogram.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from f2vbench.config.run import VesselScoreName
from f2vbench.encoders.registry import FAMILIES
from f2vbench.errors import SettingsError
from f2vbench.phantom.truth_classes import TRUTH_CLASSES

if TYPE_CHECKING:
    from torch import Tensor

Reading = Literal["venous", "venous-late", "maximum", "frame", "probability", "truth"]
"""What is computed from the output of a generator: the mean venous frame, its difference to the mean late frame, the
maximum of all frames, its only frame, the larger probability of artery and vein, or the probability of every class of
the simulator's truth."""

VESSEL = "vessel"
"""The class of tasks without ``mask_classes``: arteries and veins together."""

NO_TRUTH_LAYER = "its weights predict no vessels, only frames; use vessel_score=auto or a score of frames"
"""Why a generator has no probability of vessels."""

BACKGROUND_SIGMA = 1 / 30
"""Gaussian sigma of the local background, relative to the diameter of the field of view: wider than any vessel."""

VENOUS, LATE = slice(4, 8), slice(8, 12)
"""Frames of two phases."""

_FRAME_SCORES: dict[VesselScoreName, tuple[Reading, bool]] = {
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
    "probability": "the larger probability of artery and vein, which it learned from the truth of simulated eyes",
    "truth": "the probability of each class, which it learned from the truth of simulated eyes",
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


@dataclass(frozen=True)
class ScoreReading:
    """How the vessel scores of a feature set are computed.

    Attributes:
        reading: What is computed from the output of a generator.
        views: Number of mirrored and rotated views whose mean is stored.
    """

    reading: Reading
    views: int


def vessel_score_of(family: str, has_truth_layer: bool, name: VesselScoreName) -> VesselScore:
    """The score of a generator that is meant by a value of `vessel_score=`, or comes nearest to it.

    Args:
        family: Name of its family. Every score of one that predicts the truth instead of frames is its probability.
        has_truth_layer: As `ModelSpec.has_truth_layer`. `auto` is the probability where there is one, else the
            brightness.
        name: Value of `vessel_score=`.

    Raises:
        SettingsError: The generator has frames alone, and the name is `probability`.
    """
    if FAMILIES[family].predicts_truth or (has_truth_layer and name in ("auto", "probability")):
        return VesselScore("probability", False)
    if name == "probability":
        raise SettingsError(f"vessel_score=probability: {NO_TRUTH_LAYER}")
    reading, is_contrast = _FRAME_SCORES["brightness" if name == "auto" else name]
    if FAMILIES[family].frames == 1:
        return VesselScore("frame", is_contrast)
    return VesselScore(reading, is_contrast)


def truth_positions(name: str) -> tuple[int, ...]:
    """Positions of the classes of the simulator's truth that are a class of a task; empty for other classes.

    >>> truth_positions("vessel"), truth_positions("disc"), truth_positions("cup")
    ((0, 1), (2,), ())

    Args:
        name: Name of the class on the task card.
    """
    names = ("artery", "vein") if name == VESSEL else (name,)
    return tuple(TRUTH_CLASSES.index(each) for each in names if each in TRUTH_CLASSES)


def frames_of(reading: Reading) -> tuple[int, int]:
    """First frame that a score of a video needs, from 0, and the frame after the last one."""
    return {"venous": (4, 8), "venous-late": (4, 12)}.get(reading, (0, 12))


def mean_of_views(score: Callable[[Tensor], Tensor], x: Tensor, views: int) -> Tensor:
    """The mean score of a photograph rotated by multiples of 90° and of its mirror image, each turned back.

    Args:
        score: (n, c, h, w) → (n, h, w) or (n, classes, h, w).
        x: (n, c, h, w).
        views: 1 to 8; the first four are not mirrored.

    Returns:
        The mean, as one result of ``score``.
    """
    total: Tensor | None = None
    for view in range(views):
        seen = x.flip(3) if view >= 4 else x
        found = score(seen.rot90(view, (2, 3)).contiguous()).rot90(-view, (-2, -1))
        found = found.flip(-1) if view >= 4 else found
        total = found if total is None else total + found
    if total is None:
        raise ValueError(f"views={views}: must be 1 or more")
    return total / views


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
