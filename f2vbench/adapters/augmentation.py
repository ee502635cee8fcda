"""Views of photographs that an encoder is trained on: random crops, mirror images, RandAugment, erased rectangles.

The recipe of MAE's and RETFound's fine-tuning. A view follows from its own random stream alone, so views can be made
in any order, and beside the training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future

import numpy as np
from PIL import Image
from torch import Tensor, from_numpy

from f2vbench.adapters.rand_augment import rand_augment
from f2vbench.config.run import TuneSettings

_TRIES = 10
_ASPECT = 4 / 3
_ERASED_AREA, _ERASED_ASPECT = (0.02, 1 / 3), 1 / 0.3

View = tuple[np.ndarray, np.random.Generator]
"""uint8 (height, width, 3), and the random stream that goes on where the view was made."""


def random_view(
    picture: np.ndarray, size: tuple[int, int], settings: TuneSettings, draw: np.random.Generator
) -> np.ndarray:
    """A random part of a picture at another size, mirrored half the time, in other colours and places.

    The part is ``crop_area`` to 1 of the picture's area, of sides in a ratio of 3/4 to 4/3 (even in its logarithm);
    where ten draws don't fit, the largest such part in the middle, which of a square is all of it.

    Args:
        picture: uint8 (h, w, 3).
        size: (height, width) of the view.

    Returns:
        uint8 (*size, 3).
    """
    box = _random_box(picture.shape[0], picture.shape[1], settings.crop_area, draw)
    shown = Image.fromarray(picture).resize(size[::-1], Image.Resampling.BICUBIC, box)
    if draw.random() < 0.5:
        shown = shown.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(rand_augment(shown, settings.operations, settings.magnitude, draw))


def _random_box(height: int, width: int, least: float, draw: np.random.Generator) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a random part."""
    for _ in range(_TRIES):
        area = draw.uniform(least, 1) * height * width
        aspect = math.exp(draw.uniform(-1, 1) * math.log(_ASPECT)) if least < 1 else width / height
        wide, high = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < wide <= width and 0 < high <= height:
            left, top = int(draw.integers(width - wide + 1)), int(draw.integers(height - high + 1))
            return left, top, left + wide, top + high
    wide, high = min(width, round(height * _ASPECT)), min(height, round(width * _ASPECT))
    left, top = (width - wide) // 2, (height - high) // 2
    return left, top, left + wide, top + high


def erase(prepared: Tensor, chance: float, draw: np.random.Generator) -> None:
    """Fill a random rectangle with standard normal noise, of what a network is shown of one view, in place.

    Random erasing (Zhong et al., AAAI 2020): 2 to 33 % of the area, sides in a ratio of 0.3 to 1/0.3.

    Args:
        prepared: (channels, height, width).
        chance: that it is done at all.
    """
    if draw.random() >= chance:
        return
    channels, height, width = prepared.shape
    for _ in range(_TRIES):
        area = draw.uniform(*_ERASED_AREA) * height * width
        aspect = math.exp(draw.uniform(-1, 1) * math.log(_ERASED_ASPECT))
        wide, high = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < wide < width and 0 < high < height:
            top, left = int(draw.integers(height - high + 1)), int(draw.integers(width - wide + 1))
            noise = draw.standard_normal((channels, high, wide), np.float32)
            prepared[:, top : top + high, left : left + wide] = from_numpy(noise).to(prepared)
            return


def made_ahead(batches: Sequence[Sequence[int]], make: Callable[[int], View], pool: Executor) -> Iterator[list[View]]:
    """The views of each batch of positions, in their order; while one is worked on, the pool makes the next."""
    waiting: list[Future[View]] | None = None
    for batch in [*batches, []]:
        coming = [pool.submit(make, position) for position in batch]
        if waiting is not None:
            yield [view.result() for view in waiting]
        waiting = coming
