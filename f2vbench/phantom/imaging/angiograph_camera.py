"""The angiography camera: fluorescence to grey levels, with gain, vignetting, scattered light and noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from f2vbench.phantom.anatomy.camera import Camera

_LARGEST_GAIN = 5.0  # relative to white at fluorescence 1.0: frames before the dye arrives stay dark and noisy


@dataclass(frozen=True)
class Angiograph:
    """Camera settings of one examination.

    Attributes:
        level: Grey level, 0 to 1, to which the automatic gain sets the median of the field.
        falloff: Loss of illumination at the rim of the field, 0 to 1.
        tilt: Change of illumination across the radius of the field, (to the right, down).
        glow: Fraction of the light that the ocular media scatter over several degrees.
        blur: Standard deviation of the point spread function, px of a 512 px image.
        read_noise: Standard deviation of the noise without light, in units of fluorescence.
        shot_noise: Variance of the noise at fluorescence 1.
        grain: Standard deviation of the noise correlation, px.
    """

    level: float
    falloff: float
    tilt: tuple[float, float]
    glow: float
    blur: float
    read_noise: float
    shot_noise: float
    grain: float

    def illumination(self, camera: Camera) -> np.ndarray:
        """Relative illumination of each pixel, float32 (size, size), 0 outside the field of view."""
        along = (np.arange(camera.size, dtype=np.float32) - (camera.size - 1) / 2) / (camera.size * camera.fill / 2)
        light = 1 - self.falloff * camera.radius_map() ** 2.5
        light *= 1 + self.tilt[0] * along[None, :] + self.tilt[1] * along[:, None]
        return np.asarray(np.where(camera.field_of_view(), np.maximum(light, 0.05), 0), np.float32)

    def expose(
        self,
        fluorescence: np.ndarray,
        illumination: np.ndarray,
        drift: float,
        scans: int,
        draw: np.random.Generator | None,
    ) -> np.ndarray:
        """Convert fluorescence to the grey levels of one frame, uint8 (size, size).

        Args:
            fluorescence: float32 (size, size), about 1 in a large vessel at the peak of the dye concentration.
            illumination: float32 (size, size), from `illumination`.
            drift: Error factor of the automatic gain in this frame.
            scans: Number of averaged scans; the arterial phase is too short for more than one.
            draw: Random generator of the noise, or None for a frame without noise.
        """
        signal = scatter(fluorescence, self.glow, self.blur) * illumination
        sample = signal[::8, ::8][illumination[::8, ::8] > 0]
        gain = min(self.level * drift / max(float(np.median(sample)), 1e-6), _LARGEST_GAIN)
        if draw is not None:
            noise = draw.standard_normal(signal.shape, dtype=np.float32)
            if self.grain > 0:
                noise = cv2.GaussianBlur(noise, (0, 0), self.grain)
                noise /= noise[::4, ::4].std()
            signal = signal + noise * np.sqrt((self.read_noise**2 + self.shot_noise * np.maximum(signal, 0)) / scans)
        return to_grey(gain * signal, illumination > 0)


def draw_angiograph_camera(haze: float, draw: np.random.Generator) -> Angiograph:
    """Draw the camera settings of one examination; ``haze`` is that of the eye, 0 to 1."""
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


def typical_angiograph_camera(haze: float) -> Angiograph:
    """Return the centre of each distribution of `draw_angiograph_camera`; ``haze`` is that of the eye, 0 to 1."""
    return Angiograph(
        level=0.205,
        falloff=0.35,
        tilt=(0.0, 0.0),
        glow=min(0.07 + 0.35 * haze, 0.6),
        blur=0.60 + 0.7 * haze,
        read_noise=0.0085,
        shot_noise=3e-4,
        grain=0.325,
    )


def scatter(image: np.ndarray, share: float, blur: float) -> np.ndarray:
    """Simulate the ocular media: one part of the light forms a sharp image, the other is scattered over a few degrees.

    Args:
        image: float32 (size, size).
        share: Fraction of the light that is scattered.
        blur: Standard deviation of the sharp part, px of a 512 px image.
    """
    size = image.shape[0]
    small = cv2.resize(image, (size // 8, size // 8), interpolation=cv2.INTER_AREA)
    wide = cv2.resize(cv2.GaussianBlur(small, (0, 0), size / 8 * 0.05), (size, size), interpolation=cv2.INTER_LINEAR)
    sharp = cv2.GaussianBlur(image, (0, 0), blur * size / 512)
    return np.asarray((1 - share) * sharp + share * wide)


def to_grey(signal: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Convert a signal (1 is white) to uint8 with a shoulder near white.

    Args:
        signal: float32 (size, size).
        inside: bool (size, size), the field of view; the result is 0 outside of it.
    """
    signal = np.maximum(signal, 0)
    cube = signal * signal * signal
    compressed = signal * cv2.pow(1 + cube * cube, -1 / 6)
    return np.asarray(np.where(inside, np.rint(255 * compressed), 0), np.uint8)
