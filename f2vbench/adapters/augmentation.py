"""Augmented views of photographs for the training of encoders: crop, flip, RandAugment and random erasing.

The recipe of the fine-tuning of MAE and RETFound. A view depends on its own random stream only, so views can be made in
any order, and in parallel to the training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future

import numpy as np
from PIL import Image
from torch import Tensor, from_numpy

from f2vbench.adapters.rand_augment import rand_augment
from f2vbench.config.fitting import TuneSettings

_ATTEMPTS = 10
_MAX_ASPECT = 4 / 3
_ERASED_AREA, _MAX_ERASED_ASPECT = (0.02, 1 / 3), 1 / 0.3

View = tuple[np.ndarray, np.random.Generator]
"""An (h, w, 3) uint8 view, and its random generator, for further draws."""


def random_view(
    image: np.ndarray, size: tuple[int, int], settings: TuneSettings, rng: np.random.Generator
) -> np.ndarray:
    """Crop a random box, resize it, flip it with probability 0.5, and apply RandAugment.

    The box covers ``crop_area`` to 1 of the image's area, and its aspect ratio is log-uniform in 3/4 to 4/3. If ten
    draws do not fit into the image, the largest centred box with such an aspect ratio is used.

    Args:
        image: (h, w, 3) uint8.
        size: Height and width of the view.
        settings: Strength of the augmentation.
        rng: Random stream of the view.

    Returns:
        (*size, 3) uint8.
    """
    box = _random_box(image.shape[0], image.shape[1], settings.crop_area, rng)
    view = Image.fromarray(image).resize(size[::-1], Image.Resampling.BICUBIC, box)
    if rng.random() < 0.5:
        view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(rand_augment(view, settings.operations, settings.magnitude, rng))


def _random_box(height: int, width: int, min_area: float, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Draw a box: left, top, right, bottom."""
    for _ in range(_ATTEMPTS):
        area = rng.uniform(min_area, 1) * height * width
        aspect = math.exp(rng.uniform(-1, 1) * math.log(_MAX_ASPECT)) if min_area < 1 else width / height
        box_width, box_height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < box_width <= width and 0 < box_height <= height:
            left, top = int(rng.integers(width - box_width + 1)), int(rng.integers(height - box_height + 1))
            return left, top, left + box_width, top + box_height
    box_width, box_height = min(width, round(height * _MAX_ASPECT)), min(height, round(width * _MAX_ASPECT))
    left, top = (width - box_width) // 2, (height - box_height) // 2
    return left, top, left + box_width, top + box_height


def randomly_erase(image: Tensor, probability: float, rng: np.random.Generator) -> None:
    """Fill a random rectangle with standard normal noise, in place.

    Random erasing (Zhong et al., AAAI 2020): the rectangle covers 2 to 33 % of the area, with an aspect ratio of 0.3
    to 1/0.3.

    Args:
        image: (channels, height, width), preprocessed for the network.
        probability: Probability that a rectangle is erased.
        rng: Random stream of the view.
    """
    if rng.random() >= probability:
        return
    channels, height, width = image.shape
    for _ in range(_ATTEMPTS):
        area = rng.uniform(*_ERASED_AREA) * height * width
        aspect = math.exp(rng.uniform(-1, 1) * math.log(_MAX_ERASED_ASPECT))
        box_width, box_height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < box_width < width and 0 < box_height < height:
            top, left = int(rng.integers(height - box_height + 1)), int(rng.integers(width - box_width + 1))
            noise = rng.standard_normal((channels, box_height, box_width), np.float32)
            image[:, top : top + box_height, left : left + box_width] = from_numpy(noise).to(image)
            return


def prefetch_views(
    batches: Sequence[Sequence[int]], make_view: Callable[[int], View], pool: Executor
) -> Iterator[list[View]]:
    """Yield the views of each batch; the pool makes the next batch in the meantime.

    Args:
        batches: Positions of the images in each batch.
        make_view: Makes the view of a position.
        pool: Executor that calls ``make_view``.

    Yields:
        The views of one batch, in the order of its positions.
    """
    pending: list[Future[View]] | None = None
    for batch in [*batches, []]:
        submitted = [pool.submit(make_view, position) for position in batch]
        if pending is not None:
            yield [view.result() for view in pending]
        pending = submitted
