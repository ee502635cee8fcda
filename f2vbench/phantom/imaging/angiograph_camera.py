"""The camera of an angiogram: fluorescence to grey levels, with gain, vignetting, glow and noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from f2vbench.phantom.anatomy.camera import Camera

_LARGEST_GAIN = 5.0  # grey level of 1.0 fluorescence over white: earlier frames stay dark and noisy


@dataclass(frozen=True)
class Angiograph:
    """One examination's camera settings.

    Attributes:
        level: grey level, 0 to 1, that the automatic gain gives to the median of the field.
        falloff: loss of light at the rim of the field, 0 to 1.
        tilt: change of light across the field's radius, (to the right, downwards).
        glow: share of light that media scatter widely.
        blur: standard deviation of the point spread, px at 512.
        read_noise: standard deviation without light, in units of fluorescence.
        shot_noise: variance of fluorescence 1.
        grain: standard deviation over which noise is correlated, px.
    """

    level: float
    falloff: float
    tilt: tuple[float, float]
    glow: float
    blur: float
    read_noise: float
    shot_noise: float
    grain: float

    def light(self, camera: Camera) -> np.ndarray:
        """Share of the light that reaches each pixel, float32 (size, size), 0 outside the field of view."""
        along = (np.arange(camera.size, dtype=np.float32) - (camera.size - 1) / 2) / (camera.size * camera.fill / 2)
        light = 1 - self.falloff * camera.radius_map() ** 2.5
        light *= 1 + self.tilt[0] * along[None, :] + self.tilt[1] * along[:, None]
        return np.asarray(np.where(camera.field_of_view(), np.maximum(light, 0.05), 0), np.float32)

    def expose(
        self, fluorescence: np.ndarray, light: np.ndarray, drift: float, scans: int, draw: np.random.Generator
    ) -> np.ndarray:
        """One frame, uint8 (size, size).

        Args:
            fluorescence: float32 (size, size), about 1 in a large vessel full of dye at its peak.
            light: from `light`.
            drift: factor by which this frame's gain misses its aim.
            scans: how many are averaged; the early phases are too quick for more than one.
        """
        signal = scatter(fluorescence, self.glow, self.blur) * light
        sample = signal[::8, ::8][light[::8, ::8] > 0]
        gain = min(self.level * drift / max(float(np.median(sample)), 1e-6), _LARGEST_GAIN)
        noise = draw.standard_normal(signal.shape, dtype=np.float32)
        if self.grain > 0:
            noise = cv2.GaussianBlur(noise, (0, 0), self.grain)
            noise /= noise[::4, ::4].std()
        signal = signal + noise * np.sqrt((self.read_noise**2 + self.shot_noise * np.maximum(signal, 0)) / scans)
        return to_grey(gain * signal, light > 0)


def draw_angiograph_camera(haze: float, draw: np.random.Generator) -> Angiograph:
    """The settings of one examination; ``haze`` is the eye's, 0 to 1."""
    return Angiograph(
        level=float(np.clip(np.exp(draw.normal(np.log(0.205), 0.20)), 0.12, 0.36)),
        falloff=float(draw.uniform(0.15, 0.55)),
        tilt=(float(draw.normal(0, 0.10)), float(draw.normal(0, 0.10))),
        glow=float(np.clip(0.07 + 0.35 * haze + draw.normal(0, 0.03), 0.04, 0.6)),
        blur=float(draw.uniform(0.45, 0.75) + 0.7 * haze),
        read_noise=float(np.exp(draw.normal(np.log(0.0085), 0.40))),
        shot_noise=float(np.exp(draw.normal(np.log(3e-4), 0.35))),
        grain=float(draw.uniform(0.0, 0.65)),
    )


def scatter(image: np.ndarray, share: float, blur: float) -> np.ndarray:
    """Light through the eye's media: a sharp part, and a share that is spread over a few degrees.

    Args:
        image: float32 (size, size).
        share: of the light that is scattered widely.
        blur: standard deviation of the sharp part, px of an image of 512 px.
    """
    size = image.shape[0]
    small = cv2.resize(image, (size // 8, size // 8), interpolation=cv2.INTER_AREA)
    wide = cv2.resize(cv2.GaussianBlur(small, (0, 0), size / 8 * 0.05), (size, size), interpolation=cv2.INTER_LINEAR)
    sharp = cv2.GaussianBlur(image, (0, 0), blur * size / 512)
    return np.asarray((1 - share) * sharp + share * wide)


def to_grey(signal: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Signal (1 is white) to uint8 with a shoulder near white; 0 outside of the field of view."""
    signal = np.maximum(signal, 0)
    cube = signal * signal * signal
    bent = signal * cv2.pow(1 + cube * cube, -1 / 6)
    return np.asarray(np.where(inside, np.rint(255 * bent), 0), np.uint8)
