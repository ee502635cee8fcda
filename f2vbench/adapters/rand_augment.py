"""RandAugment (Cubuk et al., NeurIPS 2020): a few random operations on an image, all of a similar strength.

Operations and strengths (0 to 10) are those of timm's policy ``rand-m9-mstd0.5-inc1``, which MAE and RETFound use for
fine-tuning. One difference: pixels from outside the image are black, like photographs outside the field of view.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

_PROBABILITY = 0.5  # that a drawn operation is applied
_STRENGTH_DEVIATION = 0.5
_MAX_STRENGTH = 10.0
_LEVELS = np.arange(256)

Operation = Callable[[Image.Image, float, float], Image.Image]
"""(image, strength in [0, 1], sign ±1 for operations with a direction) → image."""


def _transform(image: Image.Image, matrix: tuple[float, ...]) -> Image.Image:
    """Apply an affine transformation, which maps new to old pixel coordinates."""
    return image.transform(image.size, Image.Transform.AFFINE, matrix, resample=Image.Resampling.BICUBIC)


def _enhance(enhancer: Callable[[Image.Image], ImageEnhance._Enhance]) -> Operation:
    """Return the operation that interpolates to Pillow's plain image (grey, blurred, black), or extrapolates."""
    return lambda image, strength, sign: enhancer(image).enhance(max(0.1, 1 + sign * 0.9 * strength))


def _posterise(image: Image.Image, strength: float, sign: float) -> Image.Image:
    return ImageOps.posterize(image, max(1, 4 - int(4 * strength)))  # timm uses 0 bits, which Pillow rejects


def _solarise(image: Image.Image, strength: float, sign: float) -> Image.Image:
    return ImageOps.solarize(image, 256 - int(256 * strength))


def _brighten_dark(image: Image.Image, strength: float, sign: float) -> Image.Image:
    table = np.where(_LEVELS < 128, np.minimum(255, _LEVELS + int(110 * strength)), _LEVELS)
    return image.point(table.tolist() * 3)


OPERATIONS: dict[str, Operation] = {
    "auto-contrast": lambda image, strength, sign: ImageOps.autocontrast(image),
    "equalise": lambda image, strength, sign: ImageOps.equalize(image),
    "invert": lambda image, strength, sign: ImageOps.invert(image),
    "rotate": lambda image, strength, sign: image.rotate(30 * strength * sign, Image.Resampling.BICUBIC),
    "posterise": _posterise,
    "solarise": _solarise,
    "brighten-dark": _brighten_dark,
    "colour": _enhance(ImageEnhance.Color),
    "contrast": _enhance(ImageEnhance.Contrast),
    "brightness": _enhance(ImageEnhance.Brightness),
    "sharpness": _enhance(ImageEnhance.Sharpness),
    "shear-x": lambda image, strength, sign: _transform(image, (1, 0.3 * strength * sign, 0, 0, 1, 0)),
    "shear-y": lambda image, strength, sign: _transform(image, (1, 0, 0, 0.3 * strength * sign, 1, 0)),
    "translate-x": lambda image, strength, sign: _transform(
        image, (1, 0, 0.45 * strength * sign * image.width, 0, 1, 0)
    ),
    "translate-y": lambda image, strength, sign: _transform(
        image, (1, 0, 0, 0, 1, 0.45 * strength * sign * image.height)
    ),
}
"""Operations by name; draws depend on their order."""


def rand_augment(image: Image.Image, operations: int, magnitude: float, rng: np.random.Generator) -> Image.Image:
    """Draw operations with replacement, and apply each with probability 0.5.

    Args:
        image: RGB image.
        operations: Number of operations to draw.
        magnitude: Mean strength, 0 to 10. The strength of each operation is normal with standard deviation 0.5,
            clipped to 0 to 10.
        rng: Random stream of the view.

    Returns:
        The augmented image.
    """
    for name in rng.choice(list(OPERATIONS), operations):
        applied = rng.random() < _PROBABILITY
        strength = float(np.clip(rng.normal(magnitude, _STRENGTH_DEVIATION), 0, _MAX_STRENGTH)) / _MAX_STRENGTH
        sign = 1.0 if rng.random() < 0.5 else -1.0
        if applied:
            image = OPERATIONS[name](image, strength, sign)
    return image
