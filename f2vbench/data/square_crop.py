"""The square around the field of view that encoders see, and the way back to the photograph."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from f2vbench.errors import DataError


@dataclass(frozen=True)
class SquareView:
    """A square of ``side`` pixels whose first row and column are (``top``, ``left``) of a photograph.

    The photograph has ``height`` × ``width`` pixels. The square may stick out of it (``top`` and ``left`` may
    be negative); what lies outside reads as zero.
    """

    top: int
    left: int
    side: int
    height: int
    width: int

    @classmethod
    def around(cls, fov: np.ndarray) -> SquareView:
        """The square on the longer edge of the bounding box of ``fov`` (bool, height × width), centred on it.

        Where the box's edges differ by an odd number of pixels, the centre is half a pixel off.

        Raises:
            DataError: no pixel of ``fov`` is True.
        """
        rows, columns = np.flatnonzero(fov.any(axis=1)), np.flatnonzero(fov.any(axis=0))
        if not rows.size:
            raise DataError("the field of view is empty: its mask has no pixel set; mend or remove the mask file")
        first_row, end_row = int(rows[0]), int(rows[-1]) + 1
        first_column, end_column = int(columns[0]), int(columns[-1]) + 1
        side = max(end_row - first_row, end_column - first_column)
        top, left = (first_row + end_row - side) // 2, (first_column + end_column - side) // 2
        return cls(top, left, side, fov.shape[0], fov.shape[1])

    def crop(self, image: np.ndarray, size: int) -> np.ndarray:
        """The square, resized to (size, size[, channels]), in the type of ``image``.

        Args:
            image: (height, width[, 3]). Masks (bool) take the nearest pixel; uint8 and float32 images are
                averaged over areas when they shrink and interpolated by cubics when they grow.
        """
        if image.shape[:2] != (self.height, self.width):
            raise ValueError(f"image of shape {image.shape} in a view of {self.height} × {self.width} pixels")
        square = np.zeros((self.side, self.side, *image.shape[2:]), image.dtype)
        inside, outside = self._overlap()
        square[inside] = image[outside]
        if image.dtype == bool:
            # INTER_NEAREST takes the pixel above and left of the centre; the exact kind doesn't shift.
            resized = cv2.resize(square.astype(np.uint8), (size, size), interpolation=cv2.INTER_NEAREST_EXACT)
            return resized.astype(bool)
        method = cv2.INTER_AREA if size < self.side else cv2.INTER_CUBIC
        return cv2.resize(square, (size, size), interpolation=method)

    def restore(self, score: np.ndarray) -> np.ndarray:
        """A float32 (size, size) map of the square as (height, width): bilinear, zero outside the square."""
        square = cv2.resize(score.astype(np.float32), (self.side, self.side), interpolation=cv2.INTER_LINEAR)
        restored = np.zeros((self.height, self.width), np.float32)
        inside, outside = self._overlap()
        restored[outside] = square[inside]
        return restored

    def _overlap(self) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Where square and photograph overlap: (rows, columns) of the square, and of the photograph."""
        top, bottom = max(self.top, 0), min(self.top + self.side, self.height)
        left, right = max(self.left, 0), min(self.left + self.side, self.width)
        of_square = slice(top - self.top, bottom - self.top), slice(left - self.left, right - self.left)
        return of_square, (slice(top, bottom), slice(left, right))
