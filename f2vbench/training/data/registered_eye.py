"""A photograph and its angiogram frames on one square around the field of view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from f2vbench.data.cases import Case, Frame
from f2vbench.data.images import read_mask, read_rgb
from f2vbench.data.square_crop import SquareView
from f2vbench.errors import DataError
from f2vbench.training.data.truth_maps import pack_truth

# The released preprocessing: a pixel belongs to the field of view where its green value (0 to 255) exceeds these.
PHOTOGRAPH_BLACK_LEVEL = 11
FRAME_BLACK_LEVEL = 2

GREEN = 1
"""Index of the green channel; a frame that is stored in colour is read from it."""


@dataclass(frozen=True)
class RegisteredEye:
    """A photograph and its frames on the same square of pixels, all 0 outside the field of view.

    Attributes:
        photograph: uint8 (size, size, 3), RGB.
        frames: uint8 (n, size, size); n is 0 for a photograph without an angiogram.
        fov_mask: bool (size, size), the field of view.
        lesion_mask: bool (size, size), or None where lesions are not labelled.
        truth: uint32 (size, size), a map of `f2vbench.training.data.truth_maps`, or None for eyes that are not
            simulated.
    """

    photograph: np.ndarray
    frames: np.ndarray
    fov_mask: np.ndarray
    lesion_mask: np.ndarray | None = None
    truth: np.ndarray | None = None


def read_eye(case: Case, frames: Sequence[Frame], size: int) -> RegisteredEye:
    """Read a case with the selected frames, on a square around the field of view.

    Args:
        case: Photograph and, where there is one, lesion mask.
        frames: Frames of the case, in order. A frame may occur more than once.
        size: Side of the square in pixels.

    Raises:
        DataError: A file can no longer be read, or its size has changed.
    """
    photograph = read_rgb(case.photograph)
    pixels: dict[Path, np.ndarray] = {}
    for frame in frames:
        if frame.path not in pixels:
            pixels[frame.path] = read_rgb(frame.path)[..., GREEN]
    lesion_mask = None if case.lesions is None else read_mask(case.lesions)
    for path, image in pixels.items():
        if image.shape != photograph.shape[:2]:
            raise DataError(f"{path}: no longer has the size of {case.photograph}; start the training again")
    stack = stack_frames([pixels[frame.path] for frame in frames], photograph.shape[:2])
    return crop_to_square(photograph, stack, angiogram_field_of_view(photograph, stack), size, lesion_mask)


def crop_to_square(
    photograph: np.ndarray,
    frames: np.ndarray,
    fov_mask: np.ndarray,
    size: int,
    lesion_mask: np.ndarray | None = None,
    masks: Mapping[str, np.ndarray] | None = None,
) -> RegisteredEye:
    """Mask the images, crop them to a square around the field of view, and resize them.

    Args:
        photograph: uint8 (h, w, 3), RGB.
        frames: uint8 (n, h, w).
        fov_mask: bool (h, w), the field of view, not empty.
        size: Side of the square in pixels.
        lesion_mask: bool (h, w), or None.
        masks: Class of a truth map → bool (h, w), or None.
    """
    view = SquareView.around(fov_mask)
    square_fov = view.crop(fov_mask, size)

    square_photograph = view.crop(photograph * fov_mask[..., None], size) * square_fov[..., None]
    square_frames = stack_frames([view.crop(frame * fov_mask, size) * square_fov for frame in frames], square_fov.shape)
    square_lesions = None if lesion_mask is None else view.crop(lesion_mask & fov_mask, size) & square_fov
    truth = None
    if masks is not None:
        truth = pack_truth({name: view.crop(mask, size) & square_fov for name, mask in masks.items()}, square_fov.shape)
    return RegisteredEye(square_photograph, square_frames, square_fov, square_lesions, truth)


def stack_frames(frames: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Stack frames of ``shape`` (h, w) to uint8 (n, h, w); n may be 0."""
    return np.stack(frames) if frames else np.zeros((0, *shape), np.uint8)


def angiogram_field_of_view(photograph: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """The field of view that photograph and frames share, as in the released preprocessing.

    It is the largest region (8 neighbours), with holes filled, of the pixels whose green value exceeds
    `PHOTOGRAPH_BLACK_LEVEL` in the photograph and `FRAME_BLACK_LEVEL` in every frame. Frames that are dark nearly
    everywhere, as before the dye arrives, would leave only a fragment. Therefore the photograph's own field of view
    is used where the shared one has less than half of its area, and where there are no frames.

    Args:
        photograph: uint8 (h, w, 3), RGB.
        frames: uint8 (n, h, w).

    Returns:
        bool (h, w).
    """
    lit = photograph[..., GREEN] > PHOTOGRAPH_BLACK_LEVEL
    of_photograph = _largest_filled_region(lit)
    shared = _largest_filled_region(lit & (frames > FRAME_BLACK_LEVEL).all(axis=0))
    return shared if 2 * shared.sum() >= of_photograph.sum() else of_photograph


def _largest_filled_region(mask: np.ndarray) -> np.ndarray:
    count, labels, measures, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count == 1:
        return mask
    largest = 1 + int(np.argmax(measures[1:, cv2.CC_STAT_AREA]))
    region = (labels == largest).astype(np.uint8)
    contours, _ = cv2.findContours(region, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(region, contours, -1, 1, cv2.FILLED)) > 0
