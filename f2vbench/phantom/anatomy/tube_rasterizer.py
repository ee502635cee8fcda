"""Sub-pixel rasterisation of vessels: tubes around centre lines.

Vessels of a photograph are 1 to 12 pixels wide. Their appearance therefore depends on the depth of the tube averaged
over each pixel, not on whether the pixel centre lies inside the vessel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_CHUNK = 2_000_000  # pixels evaluated at a time


@dataclass(frozen=True)
class Tubes:
    """The m pixels that tubes cover, each with the tube in which it lies deepest.

    Attributes:
        size: Edge length of the square image, px.
        pixel: (m,) flat index of the pixel.
        segment: (m,) index of the segment.
        along: (m,) position on the segment, 0 at its first end, 1 at its second.
        offset: (m,) signed distance from the centre line, px (left of the direction is positive).
        radius: (m,) radius of the tube at this position, px.
    """

    size: int
    pixel: np.ndarray
    segment: np.ndarray
    along: np.ndarray
    offset: np.ndarray
    radius: np.ndarray

    def coverage(self) -> np.ndarray:
        """Fraction of each pixel that the tube covers, (m,) in [0, 1]."""
        distance = np.abs(self.offset)
        covered = np.minimum(distance + 0.5, self.radius) - np.maximum(distance - 0.5, -self.radius)
        return np.asarray(np.clip(covered, 0, 1))

    def depth(self) -> np.ndarray:
        """Mean depth of the tube over each pixel, (m,) px: 2√(r² − d²) averaged across one pixel."""
        radius, distance = self.radius, np.abs(self.offset)

        def area(x: np.ndarray) -> np.ndarray:
            u = np.clip(x / radius, -1, 1)
            return np.asarray(radius**2 * (u * np.sqrt(1 - u * u) + np.arcsin(u)))

        return np.asarray(area(distance + 0.5) - area(distance - 0.5))

    def spread(self, values: np.ndarray, fill: float = 0.0) -> np.ndarray:
        """Return a float32 (size, size) image with values (m,) at the pixels and ``fill`` elsewhere."""
        image = np.full(self.size * self.size, fill, np.float32)
        image[self.pixel] = values
        return image.reshape(self.size, self.size)


def draw_tubes(start: np.ndarray, end: np.ndarray, radius: np.ndarray, size: int) -> Tubes:
    """Rasterise segments of vessels on a square image.

    Where tubes overlap, a pixel belongs to the tube in which it lies deepest.

    Args:
        start: (n, 2) px (column, row), pixel centres at integer coordinates.
        end: (n, 2) px (column, row).
        radius: (n, 2) px at both ends.
        size: Edge length of the image, px.
    """
    reach = radius.max(axis=1) + 1.0
    low = np.ceil(np.minimum(start, end) - reach[:, None]).astype(np.int64)
    high = np.floor(np.maximum(start, end) + reach[:, None]).astype(np.int64)
    visible = ((high >= 0) & (low < size)).all(axis=1)
    window = (high - low + 1).max(axis=1)
    best = np.full(size * size, np.iinfo(np.int64).max)
    for side, group in _groups(np.flatnonzero(visible), window[visible]):
        grid = np.arange(side)
        columns = low[group, 0, None, None] + grid[None, None, :]
        rows = low[group, 1, None, None] + grid[None, :, None]
        inside = (columns >= 0) & (columns < size) & (rows >= 0) & (rows < size)
        gap, _, _, at = _measure(
            columns.astype(np.float32), rows.astype(np.float32), start[group], end[group], radius[group]
        )
        excess = gap - at
        inside = inside & (excess < 0.75)
        which, row, column = np.nonzero(inside)
        key = ((excess[inside] + 1024) * 65536).astype(np.int64) << 24 | group[which]
        np.minimum.at(best, (low[group[which], 1] + row) * size + low[group[which], 0] + column, key)
    pixel = np.flatnonzero(best < np.iinfo(np.int64).max)
    segment = best[pixel] & 0xFFFFFF
    columns, rows = (pixel % size).astype(np.float32), (pixel // size).astype(np.float32)
    _, offset, along, at = _measure(
        columns[:, None, None], rows[:, None, None], start[segment], end[segment], radius[segment]
    )
    return Tubes(size, pixel, segment, along.ravel(), offset.ravel(), at.ravel())


def _groups(index: np.ndarray, window: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Segments grouped by the size of the pixel window that they cover, in chunks."""
    groups, below = [], 0
    for side in (6, 8, 10, 12, 15, 18, 22, 28, 36, 48, 64, 96, 128, 256, 512, 1024):
        members = index[(window > below) & (window <= side)]
        below = side
        chunk = max(1, _CHUNK // side**2)
        groups += [(side, members[first : first + chunk]) for first in range(0, len(members), chunk)]
    return groups


def _measure(
    columns: np.ndarray, rows: np.ndarray, start: np.ndarray, end: np.ndarray, radius: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Distance, signed distance, position along the segment and radius there; float32, segments on the first axis."""
    start, end, radius = (each.astype(np.float32)[:, None, None] for each in (start, end, radius))
    direction = end - start
    length = np.maximum(np.hypot(direction[..., 0], direction[..., 1]), 1e-6)
    ux, uy = direction[..., 0] / length, direction[..., 1] / length
    dx, dy = columns - start[..., 0], rows - start[..., 1]
    across = ux * dy - uy * dx
    ahead = dx * ux + dy * uy
    along = np.clip(ahead / length, 0, 1)
    beyond = ahead - along * length
    gap = np.sqrt(across * across + beyond * beyond)
    at = radius[..., 0] + along * (radius[..., 1] - radius[..., 0])
    signed = np.where(across < 0, -gap, gap)
    return gap, signed, along, at
