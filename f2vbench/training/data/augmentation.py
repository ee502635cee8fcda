"""Augmentation of a photograph with its angiogram: one geometry for both, colour changes for the photograph alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from f2vbench.training.data.affine_masks import warp_mask
from f2vbench.training.data.registered_eye import RegisteredEye, stack_frames
from f2vbench.training.data.truth_maps import warp_truth

_CANDIDATE_CENTRES = 8
_MINIMUM_FOV_SHARE = 0.5
_AREA_AVERAGING_FROM = 1.2  # shrinking factor above which pixels are averaged, not only interpolated


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random changes of a view; the default changes nothing.

    Attributes:
        flip: Probability of a horizontal flip.
        rotation: Largest rotation in degrees, in both directions.
        zoom: Smallest and largest magnification, drawn uniformly in the logarithm. A magnified square that exceeds
            the view is cropped at a random position.
        brightness: The photograph is multiplied by 1 ± this value.
        contrast: Differences from the photograph's mean are multiplied by 1 ± this value.
        saturation: Differences from the grey value of a pixel are multiplied by 1 ± this value.
        white_balance: Each colour channel is multiplied by 1 ± this value.
        gamma: The exponent is exp(± this value).
        blur: Largest standard deviation of a Gaussian blur, in pixels of a square of 512 pixels.
        noise: Largest standard deviation of Gaussian noise, for intensities in [0, 1].
        area: Smallest and largest share of the square that a view covers before it is magnified by ``zoom``; None
            for views whose pixels have the size of the square's pixels.
        aspect: Largest ratio of the sides of the covered area, drawn uniformly in the logarithm; used with ``area``.
        box: Whether the view is a random box of the square, resized to the view: as in the released code, each side of
            the box begins in the first two thirds of the square and has at least a third of its length. The box has a
            quarter of the square on average. Rotation, zoom and area have no effect.
        at_lesion: Probability that a view that covers a part of the square has a random pixel of a lesion in its middle
            half, where the eye has a labelled lesion.
    """

    flip: float = 0.0
    rotation: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    white_balance: float = 0.0
    gamma: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    area: tuple[float, float] | None = None
    aspect: float = 1.0
    box: bool = False
    at_lesion: float = 0.0

    def scaled(self, factor: float) -> Augmentation:
        """The same augmentation for squares that are magnified by ``factor``."""
        return replace(self, zoom=(self.zoom[0] * factor, self.zoom[1] * factor), blur=self.blur * factor)


GEOMETRY = Augmentation(flip=0.5, rotation=20.0, zoom=(0.9, 1.3))
"""The geometric part of ``f2v``."""

AUGMENTATIONS = {
    "none": Augmentation(),
    # MICCAI 2024, 3.0.2: "random cropping, scaling, and color augmentation"; the paper gives no ranges.
    "paper": Augmentation(zoom=(1.0, 1.2), brightness=0.2, contrast=0.2, saturation=0.2),
    # The released code flips the photograph but not the frames; here both are flipped.
    "released": Augmentation(flip=0.5, box=True),
    "geometry": GEOMETRY,
    "f2v": replace(
        GEOMETRY, brightness=0.25, contrast=0.25, saturation=0.3, white_balance=0.1, gamma=0.25, blur=1.0, noise=0.02
    ),
    # Any orientation and more scales: small crops of few eyes then have many vessels and lesions of each direction and
    # width. The colours are those of photographs without their shading.
    "mini": Augmentation(
        flip=0.5,
        rotation=180.0,
        zoom=(0.74, 1.35),
        brightness=0.1,
        contrast=0.3,
        saturation=0.3,
        white_balance=0.1,
        gamma=0.15,
        blur=1.0,
        noise=0.02,
        at_lesion=0.3,
    ),
    # He et al. 2022, and Zhou et al. 2023: random resized crops and flips, no colour changes.
    "mae": Augmentation(flip=0.5, area=(0.2, 1.0), aspect=4 / 3),
}
"""The augmentations by the names that the settings use."""


def draw_geometry(
    augmentation: Augmentation,
    fov_mask: np.ndarray,
    side: int,
    rng: np.random.Generator,
    lesion_mask: np.ndarray | None = None,
) -> np.ndarray:
    """Draw the affine transform of a view.

    A view that covers only a part of the square tries up to eight random positions, first the one at a lesion where
    `Augmentation.at_lesion` asks for it. It uses the first one with at least half of the view inside the field of view,
    or else the position with the largest share. A random box (`Augmentation.box`) is used as it is drawn.

    Args:
        augmentation: Ranges of flip, rotation, zoom and covered area.
        fov_mask: bool (size, size), the field of view on the square.
        side: Side of the view in pixels. At a zoom of 1 its pixels have the size of the square's pixels.
        rng: Source of random numbers.
        lesion_mask: bool (size, size), or None.

    Returns:
        float64 (2, 3), the matrix from pixels (column, row) of the view to pixels of the square. Pixel centres have
        integer coordinates.
    """
    flip = -1.0 if rng.random() < augmentation.flip else 1.0
    angle = math.radians(rng.uniform(-augmentation.rotation, augmentation.rotation))
    zoom = math.exp(rng.uniform(*np.log(augmentation.zoom)))
    cosine, sine = math.cos(angle) / zoom, math.sin(angle) / zoom
    size = fov_mask.shape[0]
    if augmentation.box:
        start = rng.uniform(0, 2 / 3, 2)
        end = rng.uniform(start + 1 / 3, 1)
        return _centred_on(np.diag([flip, 1.0] * (end - start) * size / side), (start + end) / 2 * size - 0.5, side)
    scales = np.ones(2)
    if augmentation.area is not None:
        scales = _draw_covered_shares(augmentation.area, augmentation.aspect, rng) * (size / side)
    linear = np.array([[cosine, -sine], [sine, cosine]]) * ([flip, 1.0] * scales)
    margin = np.maximum(0.0, (size - side / zoom * scales) / 2)
    # All positions are drawn at once, so that the colours of a view do not depend on the number of positions tried.
    shifts = rng.uniform(-margin, margin, (_CANDIDATE_CENTRES, 2))
    if angle == 0 and zoom == 1 and augmentation.area is None:
        # Whole pixels, so that nothing is interpolated.
        shifts = np.clip(np.floor(shifts) + margin % 1, -margin, margin)
    centres = (size - 1) / 2 + shifts
    if augmentation.at_lesion and margin.any():
        at_lesion, pixel, offset = rng.random(), rng.random(), rng.uniform(-side / 4, side / 4, 2)
        pixels = np.flatnonzero(lesion_mask) if lesion_mask is not None else np.zeros(0, int)
        if at_lesion < augmentation.at_lesion and len(pixels):
            row, column = divmod(int(pixels[int(pixel * len(pixels))]), size)
            middle = (size - 1) / 2
            centres[0] = np.clip(np.array([column, row]) + linear @ offset, middle - margin, middle + margin)
    fov_shares: list[float] = []
    for centre in centres if margin.any() else centres[:1]:
        fov_shares.append(float(warp_mask(fov_mask, _centred_on(linear, centre, side), side).mean()))
        if fov_shares[-1] >= _MINIMUM_FOV_SHARE:
            break
    return _centred_on(linear, centres[int(np.argmax(fov_shares))], side)


def warp(eye: RegisteredEye, matrix: np.ndarray, side: int) -> RegisteredEye:
    """Apply an affine transform to photograph, frames and masks alike.

    Args:
        eye: Photograph, frames and masks on one square.
        matrix: (2, 3), as `draw_geometry` returns it.
        side: Side of the view in pixels.

    Returns:
        The view; all its images are 0 outside the field of view.
    """
    size = eye.fov_mask.shape[0]
    if side == size and np.array_equal(matrix, np.eye(2, 3)):
        return eye
    fov_mask = warp_mask(eye.fov_mask, matrix, side)

    shrinks = abs(np.linalg.det(matrix[:, :2])) > _AREA_AVERAGING_FROM**2
    half_pixels = np.column_stack([matrix[:, :2] / 2, matrix[:, 2] - matrix[:, :2].sum(axis=1) / 4])

    def warp_image(image: np.ndarray) -> np.ndarray:
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        if shrinks:
            fine = cv2.warpAffine(image, half_pixels, (2 * side, 2 * side), flags=flags)
            return np.asarray(cv2.resize(fine, (side, side), interpolation=cv2.INTER_AREA))
        return np.asarray(cv2.warpAffine(image, matrix, (side, side), flags=flags))

    lesion_mask = None if eye.lesion_mask is None else warp_mask(eye.lesion_mask, matrix, side) & fov_mask
    frames = stack_frames([warp_image(frame) * fov_mask for frame in eye.frames], fov_mask.shape)
    truth = None if eye.truth is None else warp_truth(eye.truth, matrix, side) * fov_mask
    return RegisteredEye(warp_image(eye.photograph) * fov_mask[..., None], frames, fov_mask, lesion_mask, truth)


def change_colours(
    photograph: np.ndarray, fov_mask: np.ndarray, size: int, augmentation: Augmentation, rng: np.random.Generator
) -> np.ndarray:
    """Apply random brightness, contrast, saturation, white balance, gamma, blur and noise to a photograph.

    Args:
        photograph: float32 (h, w, 3), RGB in [0, 1].
        fov_mask: bool (h, w). Means are computed inside, and pixels outside stay 0.
        size: Side of the square that the photograph is a view of, in pixels. The blur scales with it.
        augmentation: Ranges of the changes.
        rng: Source of random numbers. The number of draws does not depend on the ranges.

    Returns:
        float32 (h, w, 3), RGB in [0, 1].
    """
    ranges = [augmentation.brightness, augmentation.contrast, augmentation.saturation]
    ranges += [augmentation.white_balance] * 3
    brightness, contrast, saturation, *white_balance = 1 + rng.uniform(-1, 1, 6) * ranges
    gamma = math.exp(rng.uniform(-1, 1) * augmentation.gamma)
    blur, noise = rng.random(2) * (augmentation.blur * size / 512, augmentation.noise)
    noise_seed = int(rng.integers(2**63))
    geometry_only = replace(augmentation, flip=0.0, rotation=0.0, zoom=(1.0, 1.0), box=False, at_lesion=0.0)
    if geometry_only == Augmentation() or not fov_mask.any():
        return photograph
    # Saturation, brightness and white balance are one matrix of colours, contrast is a factor and an offset of it.
    to_grey = np.full((3, 3), 1 / 3)
    colours = (to_grey + (np.eye(3) - to_grey) * saturation) * (brightness * np.array(white_balance))[:, None]
    mean = float((colours @ cv2.mean(photograph, fov_mask.view(np.uint8))[:3]).mean())
    offset = np.full((3, 1), mean * (1 - contrast))
    changed = np.asarray(cv2.transform(photograph, np.hstack([contrast * colours, offset])), np.float32)
    np.clip(changed, 0, 1, out=changed)
    changed **= np.float32(gamma)
    if blur > 0.1:
        changed = np.asarray(cv2.GaussianBlur(changed, (0, 0), blur), np.float32)
    if noise > 0:
        normal = np.random.default_rng(noise_seed).standard_normal(changed.shape, np.float32)
        changed += normal * np.float32(noise)
    np.clip(changed, 0, 1, out=changed)
    changed *= fov_mask[..., None]
    return changed


def _draw_covered_shares(area: tuple[float, float], aspect: float, rng: np.random.Generator) -> np.ndarray:
    """Width and height of the covered area as shares of the square's side, at most 1."""
    share = rng.uniform(*area)
    stretch = math.exp(rng.uniform(-1, 1) * math.log(aspect) / 2)
    return np.minimum(1.0, math.sqrt(share) * np.array([stretch, 1 / stretch]))


def _centred_on(linear: np.ndarray, centre: np.ndarray, side: int) -> np.ndarray:
    """The (2, 3) transform that shows ``centre`` of the square in the middle of the view."""
    middle = np.full(2, (side - 1) / 2)
    return np.column_stack([linear, centre - linear @ middle])
