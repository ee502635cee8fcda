"""RandAugment (Cubuk et al., NeurIPS 2020): a few random operations on a picture, all of one strength.

The operations, and what a strength of 0 to 10 means for each, are those of timm's policy ``rand-m9-mstd0.5-inc1``, with
which MAE and RETFound are fine-tuned. Unlike there, what comes into the picture from beyond its edges is black, as
photographs are outside the field of view.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

_DONE = 0.5  # of the operations drawn
_SPREAD = 0.5
_STRONGEST = 10.0
_LUT = np.arange(256)

Operation = Callable[[Image.Image, float, float], Image.Image]
"""Takes the picture, the strength (0 to 1), and a sign for operations that go either way; gives the picture changed."""


def _moved(picture: Image.Image, matrix: tuple[float, ...]) -> Image.Image:
    """The picture through an affine geometry from its new pixels to its old ones."""
    return picture.transform(picture.size, Image.Transform.AFFINE, matrix, resample=Image.Resampling.BICUBIC)


def _looked_up(picture: Image.Image, table: np.ndarray) -> Image.Image:
    """Each value (0 to 255) replaced by the one that stands in its place."""
    return picture.point(table.tolist() * 3)


def _enhanced(kind: Callable[[Image.Image], ImageEnhance._Enhance]) -> Operation:
    """Towards the plain picture of its kind (grey, blurred, black), or as far beyond the photograph."""
    return lambda picture, strength, sign: kind(picture).enhance(max(0.1, 1 + sign * 0.9 * strength))


def _posterised(picture: Image.Image, strength: float, sign: float) -> Image.Image:
    return ImageOps.posterize(picture, max(1, 4 - int(4 * strength)))  # timm asks for 0 bits, which Pillow refuses


def _solarised(picture: Image.Image, strength: float, sign: float) -> Image.Image:
    return ImageOps.solarize(picture, 256 - int(256 * strength))


def _dark_raised(picture: Image.Image, strength: float, sign: float) -> Image.Image:
    return _looked_up(picture, np.where(_LUT < 128, np.minimum(255, _LUT + int(110 * strength)), _LUT))


OPERATIONS: dict[str, Operation] = {
    "auto-contrast": lambda picture, strength, sign: ImageOps.autocontrast(picture),
    "equalise": lambda picture, strength, sign: ImageOps.equalize(picture),
    "invert": lambda picture, strength, sign: ImageOps.invert(picture),
    "rotate": lambda picture, strength, sign: picture.rotate(30 * strength * sign, Image.Resampling.BICUBIC),
    "posterise": _posterised,
    "solarise": _solarised,
    "raise-dark": _dark_raised,
    "colour": _enhanced(ImageEnhance.Color),
    "contrast": _enhanced(ImageEnhance.Contrast),
    "brightness": _enhanced(ImageEnhance.Brightness),
    "sharpness": _enhanced(ImageEnhance.Sharpness),
    "shear-x": lambda picture, strength, sign: _moved(picture, (1, 0.3 * strength * sign, 0, 0, 1, 0)),
    "shear-y": lambda picture, strength, sign: _moved(picture, (1, 0, 0, 0.3 * strength * sign, 1, 0)),
    "move-x": lambda picture, strength, sign: _moved(picture, (1, 0, 0.45 * strength * sign * picture.width, 0, 1, 0)),
    "move-y": lambda picture, strength, sign: _moved(picture, (1, 0, 0, 0, 1, 0.45 * strength * sign * picture.height)),
}


def rand_augment(picture: Image.Image, operations: int, magnitude: float, draw: np.random.Generator) -> Image.Image:
    """An RGB picture after so many operations, drawn with replacement, of which each is done half the time.

    Args:
        magnitude: 0 to 10, the mean strength; each operation's own is drawn around it, sd 0.5, and cut at both ends.
    """
    for name in draw.choice(list(OPERATIONS), operations):
        done = draw.random() < _DONE
        strength = float(np.clip(draw.normal(magnitude, _SPREAD), 0, _STRONGEST)) / _STRONGEST
        sign = 1.0 if draw.random() < 0.5 else -1.0
        if done:
            picture = OPERATIONS[name](picture, strength, sign)
    return picture
