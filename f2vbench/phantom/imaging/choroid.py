"""Large choroidal vessels: ribbons that run from the posterior pole to the four vortex veins."""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np

from f2vbench.phantom.anatomy.camera import Camera
from f2vbench.phantom.anatomy.textures import Texture
from f2vbench.phantom.imaging.eye import Eye

_RIBBONS = 480
_STEP, _STEPS = 0.35, 46  # mm
_REACH = 9.0  # mm: ribbons start within this distance of the fovea
_VORTEX = 15.0  # mm from the fovea to the ampullae, near the equator (Rutnin 1967, Am J Ophthalmol 63:821)
_LAYERS = 5  # ribbons of one layer merge, those of different layers overlap transparently


def choroidal_vessels(eye: Eye, camera: Camera) -> np.ndarray:
    """Coverage of each pixel by large choroidal vessels, float32 (size, size) in [0, 1], mean about 0.4.

    The vessels depend on the eye only and are the same in every view. The last views are cached, because several
    layers of an image use the same one. The array is read-only.
    """
    return _rendered_vessels(eye.seed, camera)


@functools.lru_cache(maxsize=4)
def _rendered_vessels(seed: tuple[int, ...], camera: Camera) -> np.ndarray:
    draw = np.random.default_rng([*seed, 1973])  # the year of the first angiograms of the choroid
    lines, radius = _ribbons(draw)
    pixels = np.rint(camera.to_pixels(lines) * 16).astype(np.int32)
    width = np.maximum(1, np.rint(2 * radius * camera.pixels_per_mm)).astype(int)
    inside = ((pixels > 0) & (pixels < 16 * camera.size)).all(axis=2)
    quarters = [slice(piece * _STEPS // 4, (piece + 1) * _STEPS // 4 + 1) for piece in range(4)]
    visible = np.stack([inside[:, quarter].any(axis=1) for quarter in quarters], axis=1)
    depth = np.zeros((camera.size, camera.size), np.float32)
    layer = np.zeros((camera.size, camera.size), np.uint8)
    for first in range(_LAYERS):
        layer[:] = 0
        for ribbon in range(first, len(pixels), _LAYERS):
            # Veins widen towards the vortex: each ribbon is drawn in four parts of different width.
            for piece in np.flatnonzero(visible[ribbon]):
                thickness = int(width[ribbon, piece])
                grey = min(255, 90 + 22 * thickness)
                part = pixels[ribbon, quarters[piece]]
                cv2.polylines(layer, [part], False, grey, thickness, cv2.LINE_AA, 4)
        depth += cv2.GaussianBlur(layer, (0, 0), max(0.6, 0.05 * camera.pixels_per_mm)).astype(np.float32) / 255
    filled = np.asarray(1 - np.exp(-0.75 * depth))
    filled.setflags(write=False)
    return filled


def _ribbons(draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw the centre lines, (k, _STEPS + 1, 2), and the radii of their quarters, (k, 4), mm."""
    angle = draw.uniform(0, 2 * math.pi, _RIBBONS)
    point = _REACH * (draw.random(_RIBBONS) ** 0.62)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    point[:, 0] += 1.5
    quadrant = math.pi / 4 + math.pi / 2 * np.arange(4) + draw.normal(0, 0.15, 4)
    vortex = _VORTEX * np.stack([np.cos(quadrant), np.sin(quadrant)], axis=1) + [1.5, 0.0]
    # Each vein drains to about the nearest vortex; the watershed is not sharp.
    gap = np.hypot(*(point[:, None] - vortex).transpose(2, 0, 1)) + draw.normal(0, 1.2, (_RIBBONS, 4))
    target = vortex[gap.argmin(axis=1)]
    bend, wander = Texture.draw("cloud", 34.0, draw), Texture.draw("cloud", 8.0, draw)
    own = draw.normal(0, 0.22, _RIBBONS)
    lines = [point]
    for _ in range(_STEPS):
        remaining = target - point
        heading = np.arctan2(remaining[:, 1], remaining[:, 0]) + own
        heading += 0.45 * bend.at(*point.T) + 0.24 * wander.at(*point.T)
        point = point + _STEP * np.stack([np.cos(heading), np.sin(heading)], axis=1)
        lines.append(point)
    start = draw.uniform(0.02, 0.085, _RIBBONS)
    return np.stack(lines, axis=1), start[:, None] + np.array([0.0, 0.03, 0.06, 0.09])
