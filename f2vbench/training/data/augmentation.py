"""Augmentation of a photograph with its angiogram: one geometry for both, colours for the photograph alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from f2vbench.training.data.case_images import RegisteredEye, stacked

_PLACES = 8
_LEAST_INSIDE = 0.5
_SHRINKS = 1.2  # from here on pixels are averaged, not only interpolated


@dataclass(frozen=True)
class Augmentation:
    """How far views of an eye differ; the default changes nothing.

    Attributes:
        flip: probability of a mirror image, left and right exchanged.
        rotation: degrees to either side.
        zoom: least and greatest enlargement, even in its logarithm. What is enlarged beyond the frame is cropped at
            a random place.
        brightness: the photograph is multiplied by 1 ± this.
        contrast: differences from its mean are multiplied by 1 ± this.
        saturation: differences from its grey are multiplied by 1 ± this.
        balance: each colour channel is multiplied by 1 ± this.
        gamma: exponent exp(± this).
        area: least and greatest share of the square that a view shows before it is enlarged by ``zoom``; None for
            views whose pixels are as large as the square's.
        aspect: with ``area``, greatest ratio of the sides of what is shown, even in its logarithm.
        blur: greatest sd of a Gaussian, px of a square of 512, enlarged as all is.
        noise: greatest sd of noise, of the range 0 to 1.
    """

    flip: float = 0.0
    rotation: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    balance: float = 0.0
    gamma: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    area: tuple[float, float] | None = None
    aspect: float = 1.0

    def enlarged(self, times: float) -> Augmentation:
        """The same of squares that are shown so many times as large."""
        return replace(self, zoom=(self.zoom[0] * times, self.zoom[1] * times), blur=self.blur * times)


GEOMETRY = Augmentation(flip=0.5, rotation=20.0, zoom=(0.9, 1.3))
"""The geometry of ``f2v``."""

AUGMENTATIONS = {
    "none": Augmentation(),
    # MICCAI 2024, 3.0.2: "random cropping, scaling, and color augmentation"; how far is not told.
    "paper": Augmentation(zoom=(1.0, 1.2), brightness=0.2, contrast=0.2, saturation=0.2),
    # The released code mirrors, of photograph and frames only the photograph; here both.
    "released": Augmentation(flip=0.5),
    "geometry": GEOMETRY,
    "f2v": replace(
        GEOMETRY, brightness=0.25, contrast=0.25, saturation=0.3, balance=0.1, gamma=0.25, blur=1.0, noise=0.02
    ),
    # He et al. 2022, and Zhou et al. 2023: random resized crops and mirror images, no colours.
    "mae": Augmentation(flip=0.5, area=(0.2, 1.0), aspect=4 / 3),
}
"""By name, as the settings have them."""


def draw_geometry(augmentation: Augmentation, inside: np.ndarray, side: int, draw: np.random.Generator) -> np.ndarray:
    """A (2, 3) matrix from pixels (column, row) of the view to those of the square; pixel centres at whole numbers.

    Where the view shows a part of the square only, of up to eight random places the first is taken that is at least
    half inside the field of view, or else the fullest.

    Args:
        inside: bool (size, size), the field of view on the square.
        side: of the view, px; at a zoom of 1 its pixels are as large as the square's.
    """
    mirror = -1.0 if draw.random() < augmentation.flip else 1.0
    turn = math.radians(draw.uniform(-augmentation.rotation, augmentation.rotation))
    zoom = math.exp(draw.uniform(*np.log(augmentation.zoom)))
    cosine, sine = math.cos(turn) / zoom, math.sin(turn) / zoom
    size = inside.shape[0]
    widths = _shares(augmentation, draw) * (size / side) if augmentation.area is not None else np.ones(2)
    linear = np.array([[cosine, -sine], [sine, cosine]]) * ([mirror, 1.0] * widths)
    room = np.maximum(0.0, (size - side / zoom * widths) / 2)
    # Drawn all at once, so that a view's colours do not depend on how many places were tried.
    shifts = draw.uniform(-room, room, (_PLACES, 2))
    if turn == 0 and zoom == 1 and augmentation.area is None:
        shifts = np.clip(np.floor(shifts) + room % 1, -room, room)  # whole pixels, so that nothing is interpolated
    places = (size - 1) / 2 + shifts
    shares: list[float] = []
    for place in places if room.any() else places[:1]:
        shares.append(float(_shown(inside, _about(linear, place, side), side).mean()))
        if shares[-1] >= _LEAST_INSIDE:
            break
    return _about(linear, places[int(np.argmax(shares))], side)


def warp(eye: RegisteredEye, matrix: np.ndarray, side: int) -> RegisteredEye:
    """The eye through a geometry: all parts alike, 0 outside the field of view.

    Args:
        matrix: as `draw_geometry` gives it.
    """
    size = eye.inside.shape[0]
    if side == size and np.array_equal(matrix, np.eye(2, 3)):
        return eye
    inside = _shown(eye.inside, matrix, side)

    shrinks = abs(np.linalg.det(matrix[:, :2])) > _SHRINKS**2
    halves = np.column_stack([matrix[:, :2] / 2, matrix[:, 2] - matrix[:, :2].sum(axis=1) / 4])

    def warped(image: np.ndarray) -> np.ndarray:
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        if shrinks:
            fine = cv2.warpAffine(image, halves, (2 * side, 2 * side), flags=flags)
            return np.asarray(cv2.resize(fine, (side, side), interpolation=cv2.INTER_AREA))
        return np.asarray(cv2.warpAffine(image, matrix, (side, side), flags=flags))

    lesions = None if eye.lesions is None else _shown(eye.lesions, matrix, side) & inside
    frames = stacked([warped(frame) * inside for frame in eye.frames], inside)
    return RegisteredEye(warped(eye.photograph) * inside[..., None], frames, inside, lesions)


def change_colours(
    photograph: np.ndarray, inside: np.ndarray, size: int, augmentation: Augmentation, draw: np.random.Generator
) -> np.ndarray:
    """The photograph as another camera or lamp might have shown it.

    Args:
        photograph: float32 (h, w, 3), RGB in [0, 1].
        inside: bool (h, w); means are taken there, and what is outside stays 0.
        size: of the square that this is a view of, px: the measure of blur.
    """
    spread = [augmentation.brightness, augmentation.contrast, augmentation.saturation, *[augmentation.balance] * 3]
    brightness, contrast, saturation, *balance = 1 + draw.uniform(-1, 1, 6) * spread
    gamma = math.exp(draw.uniform(-1, 1) * augmentation.gamma)
    blur, noise = draw.random(2) * (augmentation.blur * size / 512, augmentation.noise)
    seed = int(draw.integers(2**63))
    if replace(augmentation, flip=0.0, rotation=0.0, zoom=(1.0, 1.0)) == Augmentation() or not inside.any():
        return photograph
    grey = photograph.mean(axis=2, keepdims=True)
    changed = (grey + (photograph - grey) * saturation) * (brightness * np.array(balance))
    mean = changed[inside].mean()
    changed = np.clip(mean + (changed - mean) * contrast, 0, 1).astype(np.float32) ** np.float32(gamma)
    if blur > 0.1:
        changed = cv2.GaussianBlur(changed, (0, 0), blur)
    if noise > 0:
        grain = np.random.default_rng(seed).standard_normal(changed.shape, np.float32)
        changed = changed + grain * np.float32(noise)
    return np.asarray(np.clip(changed, 0, 1) * inside[..., None], np.float32)


def _shares(augmentation: Augmentation, draw: np.random.Generator) -> np.ndarray:
    """Width and height of what a view shows, of the square's side; no more than all of it."""
    area = draw.uniform(*augmentation.area) if augmentation.area is not None else 1.0
    stretch = math.exp(draw.uniform(-1, 1) * math.log(augmentation.aspect) / 2)
    return np.minimum(1.0, math.sqrt(area) * np.array([stretch, 1 / stretch]))


def _about(linear: np.ndarray, place: np.ndarray, side: int) -> np.ndarray:
    """The geometry whose view has ``place`` of the square in its middle."""
    middle = np.full(2, (side - 1) / 2)
    return np.column_stack([linear, place - linear @ middle])


def _shown(mask: np.ndarray, matrix: np.ndarray, side: int) -> np.ndarray:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(mask.astype(np.float32), matrix, (side, side), flags=flags)) >= 0.5
