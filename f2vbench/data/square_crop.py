"""The square crop around the field of view, which encoders receive, and its inverse."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from f2vbench.errors import DataError


@dataclass(frozen=True)
class SquareView:
    """A square region of a photograph; pixels outside the photograph are zero.

    Attributes:
        top: First row of the square in the photograph; may be negative.
        left: First column of the square; may be negative.
        side: Edge of the square in pixels.
        height: Height of the photograph in pixels.
        width: Width of the photograph in pixels.
    """

    top: int
    left: int
    side: int
    height: int
    width: int

    @classmethod
    def around(cls, fov: np.ndarray) -> SquareView:
        """The square with the longer edge and the centre of the field of view's bounding box.

        If the edges of the box differ by an odd number of pixels, the centres differ by half a pixel.

        Args:
            fov: bool (height, width), the field of view.

        Raises:
            DataError: The field of view is empty.
        """
        rows, columns = np.flatnonzero(fov.any(axis=1)), np.flatnonzero(fov.any(axis=0))
        if not rows.size:
            raise DataError("the field of view is empty: its mask has no pixel set; correct or remove the mask file")
        first_row, end_row = int(rows[0]), int(rows[-1]) + 1
        first_column, end_column = int(columns[0]), int(columns[-1]) + 1
        side = max(end_row - first_row, end_column - first_column)
        top, left = (first_row + end_row - side) // 2, (first_column + end_column - side) // 2
        return cls(top, left, side, fov.shape[0], fov.shape[1])

    def crop(self, image: np.ndarray, size: int) -> np.ndarray:
        """Crop and resize an image.

        Masks (bool) are resampled by nearest neighbour; uint8 and float32 images by area averaging if they are reduced
        and by cubic interpolation if they are enlarged.

        Args:
            image: (height, width[, 3]), of the photograph's size.
            size: Edge of the result in pixels.

        Returns:
            (size, size[, 3]), in the dtype of ``image``.

        Raises:
            ValueError: The image does not have the photograph's size.
        """
        if image.shape[:2] != (self.height, self.width):
            raise ValueError(f"image of shape {image.shape} for a photograph of {self.height} × {self.width} pixels")
        square = np.zeros((self.side, self.side, *image.shape[2:]), image.dtype)
        in_square, in_photograph = self._overlap()
        square[in_square] = image[in_photograph]
        if image.dtype == bool:
            # INTER_NEAREST shifts by up to a pixel, INTER_NEAREST_EXACT does not.
            resized = cv2.resize(square.astype(np.uint8), (size, size), interpolation=cv2.INTER_NEAREST_EXACT)
            return resized.astype(bool)
        method = cv2.INTER_AREA if size < self.side else cv2.INTER_CUBIC
        return cv2.resize(square, (size, size), interpolation=method)

    def restore(self, score: np.ndarray) -> np.ndarray:
        """Resize a map of the square back to the photograph.

        Args:
            score: (size, size).

        Returns:
            float32 (height, width), by bilinear interpolation; zero outside the square.
        """
        square = cv2.resize(score.astype(np.float32), (self.side, self.side), interpolation=cv2.INTER_LINEAR)
        restored = np.zeros((self.height, self.width), np.float32)
        in_square, in_photograph = self._overlap()
        restored[in_photograph] = square[in_square]
        return restored

    def _overlap(self) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """The overlap of square and photograph: (rows, columns) in the square, and in the photograph."""
        top, bottom = max(self.top, 0), min(self.top + self.side, self.height)
        left, right = max(self.left, 0), min(self.left + self.side, self.width)
        in_square = slice(top - self.top, bottom - self.top), slice(left - self.left, right - self.left)
        return in_square, (slice(top, bottom), slice(left, right))
