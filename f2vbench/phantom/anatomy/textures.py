"""Irregular textures on the retina: the same noise in every view and modality of an eye.

A few large periodic noise tiles are computed once per process. Each texture samples a tile at its own offset, scale
and rotation, so rendering a texture costs one affine warp.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import cv2
import numpy as np

from f2vbench.phantom.anatomy.camera import Camera

TILE = 512


@functools.cache
def _tile(kind: str) -> np.ndarray:
    """A periodic field, float32 (TILE, TILE), mean 0 and standard deviation 1.

    Kinds: ``cloud`` (amplitude falls with frequency, largest structures a quarter of the tile), ``grain`` (a
    band around 8 px), ``net`` (winding lines between rounded cells, as of anastomosing vessels).
    """
    draw = np.random.default_rng([20261121, len(kind), sum(kind.encode())])
    frequency = np.hypot(np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None, :]) * TILE
    amplitude = {
        "cloud": np.where(frequency > 3, 1 / np.maximum(frequency, 1) ** 1.5, 0),
        "grain": np.exp(-(np.log(np.maximum(frequency, 0.5) / 64) ** 2) / 0.35),
        "net": np.exp(-(np.log(np.maximum(frequency, 0.5) / 24) ** 2) / 0.12),
    }[kind]

    def field() -> np.ndarray:
        spectrum = np.fft.rfft2(draw.standard_normal((TILE, TILE))) * amplitude
        values = np.fft.irfft2(spectrum, s=(TILE, TILE))
        return np.asarray(values / values.std())

    values = field()
    if kind == "net":  # the zero lines of two fields are two sets of winding lines
        values = np.maximum(np.exp(-((values / 0.55) ** 2)), 0.7 * np.exp(-((field() / 0.45) ** 2)))
        values = cv2.GaussianBlur(values, (0, 0), 2.0, borderType=cv2.BORDER_REFLECT_101)
    values = values - values.mean()
    return np.asarray((values / values.std()).astype(np.float32))


@functools.cache
def _bordered(kind: str) -> np.ndarray:
    """The tile with its first row and column repeated at the end, for interpolation across the border."""
    return np.asarray(cv2.copyMakeBorder(_tile(kind), 0, 1, 0, 1, cv2.BORDER_WRAP))


@dataclass(frozen=True)
class Texture:
    """A noise texture: a tile with scale, rotation and offset.

    Attributes:
        kind: "cloud", "grain" or "net".
        period: Width of the tile on the retina, mm.
        stretch: Elongation of the structures along `turn`.
        turn: Direction of the elongation, radians.
        offset: Position in the tile, in units of the tile width.
    """

    kind: str
    period: float
    stretch: float
    turn: float
    offset: tuple[float, float]

    @classmethod
    def draw(
        cls,
        kind: str,
        period: float,
        draw: np.random.Generator,
        stretch: float = 1.0,
        turn: float | None = None,
    ) -> Texture:
        """Draw the offset of a texture, and its direction unless ``turn`` sets it."""
        angle = float(draw.uniform(0, 2 * math.pi)) if turn is None else turn
        return cls(kind, period, stretch, angle, (float(draw.random()), float(draw.random())))

    def projected_to(self, camera: Camera) -> np.ndarray:
        """The texture on the pixels of a camera, float32 (size, size), mean about 0, standard deviation about 1."""
        to_tile = (
            TILE
            / self.period
            * np.array(
                [
                    [math.cos(self.turn) / self.stretch, math.sin(self.turn) / self.stretch],
                    [-math.sin(self.turn), math.cos(self.turn)],
                ]
            )
        )
        to_mm = cv2.invertAffineTransform(camera.matrix)
        linear = to_tile @ to_mm[:, :2]
        shift = to_tile @ to_mm[:, 2] + TILE * np.asarray(self.offset)
        matrix = np.column_stack([linear, shift % TILE])
        return np.asarray(
            cv2.warpAffine(
                _tile(self.kind),
                matrix,
                (camera.size, camera.size),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_WRAP,
            )
        )

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The texture at points (coordinates usually in mm), float32 of the shape of ``x``."""
        u = (x * math.cos(self.turn) + y * math.sin(self.turn)) / self.stretch
        v = -x * math.sin(self.turn) + y * math.cos(self.turn)
        columns = (u / self.period + self.offset[0]) % 1.0 * TILE
        rows = (v / self.period + self.offset[1]) % 1.0 * TILE
        # OpenCV limits images to 32,767 rows and columns: sample any shape as rows of 1,024 points.
        positions = np.stack([columns.ravel(), rows.ravel()]).astype(np.float32)
        positions = np.pad(positions, ((0, 0), (0, -positions.shape[1] % 1024))).reshape(2, -1, 1024)
        sampled = cv2.remap(_bordered(self.kind), positions[0], positions[1], cv2.INTER_LINEAR)
        return np.asarray(sampled.ravel()[: columns.size].reshape(columns.shape))
