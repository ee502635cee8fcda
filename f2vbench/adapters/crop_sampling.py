"""Where the crops of decoder training are taken: anywhere in the field of view, or half of them around a class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_SHARE_WITH_CLASS = 0.5


class Place(NamedTuple):
    """A support image, and a pixel that the crop has to contain; None for a crop anywhere in the field of view."""

    image: int
    pixel: tuple[int, int] | None = None


class UniformSampler:
    """Images in equal shares, and crops anywhere in the field of view.

    Args:
        images: Number of images.
    """

    def __init__(self, images: int):
        self._images = images

    def draw(self, rng: np.random.Generator, count: int) -> list[Place]:
        """Draw places of crops.

        Args:
            rng: Random stream.
            count: Number of crops.
        """
        return [Place(int(image)) for image in rng.integers(self._images, size=count)]


class BalancedSampler:
    """Half of the crops contain a pixel of a class, of the classes in equal shares; the others are uniform.

    A class is drawn first, then an image that has it, then one of its pixels there, so that a rare or small class is
    in as many crops as any other. Classes without pixels are left out; without any, all crops are uniform.

    Args:
        masks: (classes, h, w) of each image, the fraction of each pixel that is of each class.
        inside: (h, w) of each image, 1 for pixels that count.
    """

    def __init__(self, masks: Sequence[np.ndarray], inside: Sequence[np.ndarray]):
        self._uniform = UniformSampler(len(masks))
        self._shapes = [each.shape for each in inside]
        self._pixels: list[list[tuple[int, np.ndarray]]] = []
        for number in range(len(masks[0])):
            found = ((image, np.flatnonzero(mask[number] * inside[image] > 0)) for image, mask in enumerate(masks))
            of_class = [(image, pixels) for image, pixels in found if len(pixels)]
            if of_class:
                self._pixels.append(of_class)

    def draw(self, rng: np.random.Generator, count: int) -> list[Place]:
        """Draw places of crops.

        Args:
            rng: Random stream.
            count: Number of crops.
        """
        places = self._uniform.draw(rng, count)
        has_class = rng.random(count) < _SHARE_WITH_CLASS
        return [
            self._of_class(rng) if of_class and self._pixels else place
            for place, of_class in zip(places, has_class, strict=True)
        ]

    def _of_class(self, rng: np.random.Generator) -> Place:
        images = self._pixels[rng.integers(len(self._pixels))]
        image, pixels = images[rng.integers(len(images))]
        row, column = divmod(int(pixels[rng.integers(len(pixels))]), self._shapes[image][1])
        return Place(image, (row, column))


def crop_corner(
    rng: np.random.Generator, inside: np.ndarray, crop: int, grid: int, pixel: tuple[int, int] | None = None
) -> tuple[int, int]:
    """Draw the top left corner of a crop, on a grid.

    Args:
        rng: Random stream.
        inside: (h, w), 1 for pixels that count.
        crop: Side of the crop.
        grid: Corners are at multiples of it.
        pixel: Row and column that the crop has to contain, at a random place in it; by default its centre is in the
            field of view if that is possible.

    Returns:
        Row and column of the corner.
    """
    rows, columns = ((side - crop) // grid + 1 for side in inside.shape)
    if pixel is not None:
        top, left = (
            _containing(rng, position, crop, grid, count)
            for position, count in zip(pixel, (rows, columns), strict=True)
        )
        return top, left
    centres = inside[crop // 2 :: grid, crop // 2 :: grid][:rows, :columns]
    allowed = np.flatnonzero(centres)
    position = int(allowed[rng.integers(len(allowed))]) if len(allowed) else int(rng.integers(rows * columns))
    return position // columns * grid, position % columns * grid


def _containing(rng: np.random.Generator, position: int, crop: int, grid: int, count: int) -> int:
    """Draw one of ``count`` corners so that the crop contains a position; the last corner for one behind all crops."""
    first = max(0, -((crop - 1 - position) // grid))  # the smallest multiple of the grid that is ≥ position − crop + 1
    last = min(position // grid, count - 1)
    return grid * (int(rng.integers(first, last + 1)) if first <= last else count - 1)
