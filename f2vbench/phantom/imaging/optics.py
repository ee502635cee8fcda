"""Optics, sensor and image processing of a fundus camera: from retinal reflectance to the stored image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from f2vbench.phantom.anatomy.camera import Camera

_LUMINANCE = np.array([0.30, 0.59, 0.11], np.float32)


@dataclass(frozen=True)
class CameraProfile:
    """Properties that one camera and its operator give to every photograph.

    Attributes:
        field: Angle of the field of view, degrees.
        fill: Diameter of the field of view divided by the edge length of the image.
        cut: Fraction of the radius that is cut off at the top and at the bottom.
        notch: Whether the field of view has a tab at its rim.
        balance: (3,) gain of R, G, B.
        saturation: 0 for grey images, 1 for unchanged colours.
        brightness: Display value, 0 to 1, of the 80th percentile of the luminance.
        gamma: Exponent of the display curve.
        blood: Strength of the vessels' absorption, about 1; it depends on flare and optics.
        reflex: Strength of the central reflex of vessels.
        vignette: Loss of illumination at the rim, 0 to 1.
        blur: Standard deviation of the optical blur divided by the diameter of the field.
        sharpening: Weight of the unsharp mask.
        noise: Standard deviation at middle grey, in display units (0 to 1).
        quality: JPEG quality, 0 to 100.
        flare: Veiling light as a fraction of the mean.
    """

    field: float
    fill: float
    cut: float
    notch: bool
    balance: np.ndarray
    saturation: float
    brightness: float
    gamma: float
    blood: float
    reflex: float
    vignette: float
    blur: float
    sharpening: float
    noise: float
    quality: int
    flare: float


def draw_camera_profile(draw: np.random.Generator) -> CameraProfile:
    """Draw a camera profile from the range of cameras in clinical use."""
    cut = float(draw.uniform(0.05, 0.3)) if draw.random() < 0.3 else 0.0
    balance = np.exp(draw.normal(loc=(0, -0.08, -0.08), scale=(0.12, 0.15, 0.34))).astype(np.float32)
    return CameraProfile(
        field=float(draw.choice([30.0, 35.0, 40.0, 45.0, 45.0, 45.0, 50.0, 50.0, 60.0])),
        fill=float(draw.uniform(0.90, 0.995)),
        cut=cut,
        notch=bool(draw.random() < 0.3),
        balance=balance,
        saturation=float(draw.uniform(0.65, 1.45)),
        brightness=float(draw.uniform(0.36, 0.72)),
        gamma=float(draw.uniform(1.7, 2.5)),
        blood=float(np.exp(draw.normal(0.0, 0.32))),
        reflex=float(draw.uniform(0.02, 0.38)),
        vignette=float(draw.uniform(0.05, 0.6)),
        blur=float(np.exp(draw.uniform(math.log(0.0004), math.log(0.0019)))),
        sharpening=float(max(0.0, draw.uniform(-0.4, 1.4))),
        noise=float(np.exp(draw.uniform(math.log(0.004), math.log(0.022)))),
        quality=int(draw.integers(68, 99)),
        flare=float(draw.uniform(0.0, 0.12)),
    )


def illuminate(
    image: np.ndarray, camera: Camera, camera_profile: CameraProfile, draw: np.random.Generator
) -> np.ndarray:
    """Apply the illumination of the flash: fall-off towards the rim, off-centre, with reflections of the lens.

    Args:
        image: float32 (size, size, 3), linear RGB reflectance.
        camera: View of the image.
        camera_profile: Camera that acquires the image.
        draw: Random generator of tilt, reflections and shadows.

    Returns:
        float32 (size, size, 3).
    """
    small = camera.at_size(max(camera.size // 4, 16))  # illumination changes slowly across the image
    rho = small.radius_map()
    along = np.linspace(-1, 1, small.size, dtype=np.float32)

    def towards(angle: float) -> np.ndarray:
        return along[None, :] * math.cos(angle) + along[:, None] * math.sin(angle)

    tilt = draw.uniform(0, 0.40) * towards(draw.uniform(0, 2 * math.pi))
    light = np.exp(tilt) * (1 - camera_profile.vignette * np.minimum(rho, 1.05) ** draw.uniform(2, 5))
    stray = np.zeros((small.size, small.size, 3), np.float32)
    if draw.random() < 0.45:  # a pale crescent along the rim: reflection of lens or iris
        side, width = towards(draw.uniform(0, 2 * math.pi)), draw.uniform(0.10, 0.5)
        glow = np.clip((side * rho - (1 - width)) / width, 0, 1) ** 2 * draw.uniform(0.05, 0.5)
        colour = np.array([0.42, 0.42 * draw.uniform(0.6, 1.0), 0.42 * draw.uniform(0.4, 1.0)], np.float32)
        stray += glow[..., None] * colour * (image[::8, ::8].mean() / 0.2)
    if draw.random() < 0.30:  # shadow of pupil margin or lids on one side
        side, depth = towards(draw.uniform(0, 2 * math.pi)), draw.uniform(0.2, 0.8)
        shade = 1 - depth * np.clip((side - draw.uniform(0.35, 0.8)) / 0.4, 0, 1)
        light = light * shade
        stray *= shade[..., None]
    if draw.random() < 0.10:  # reflection from the centre of the lens
        x, y = draw.uniform(-0.35, 0.35, 2)
        spot = np.exp(-(((along[None, :] - x) ** 2 + (along[:, None] - y) ** 2) / draw.uniform(0.0008, 0.02)))
        stray += (draw.uniform(0.05, 0.35) * spot)[..., None] * np.array([0.7, 0.6, 0.45], np.float32)
    lit = image * _enlarged(np.maximum(light, 0.05), camera.size)[..., None]
    return np.asarray(lit + _enlarged(stray, camera.size) if stray.any() else lit)


def haze(
    image: np.ndarray, density: float, age: float, camera_profile: CameraProfile, draw: np.random.Generator
) -> np.ndarray:
    """Simulate the ocular media: yellowing of the lens with age, scattered light, and loss of contrast by cataract.

    Args:
        image: float32 (size, size, 3), linear RGB.
        density: 0 for clear media to 1 for a dense cataract.
        age: Years.
        camera_profile: Camera that acquires the image.
        draw: Random generator of the amount of scattered light.

    Returns:
        float32 (size, size, 3).
    """
    yellow = 0.0045 * max(age - 20, 0) + 0.8 * density
    passed = np.exp(-yellow * np.array([0.05, 0.30, 1.0], np.float32))
    veil = min(camera_profile.flare + 0.72 * density * draw.uniform(0.8, 1.1), 0.9)
    small = cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA) * passed
    wide = cv2.GaussianBlur(small, (0, 0), 3.5)
    scattered = veil * (0.65 * wide + 0.35 * wide.mean() * np.array([1.0, 0.9, 0.65], np.float32))
    clear = image if density < 0.05 else blur(image, (0.0015 + 0.004 * density) * image.shape[0])
    return np.asarray(clear * ((1 - veil) * passed) + _enlarged(scattered.astype(np.float32), image.shape[0]))


def develop(image: np.ndarray, camera: Camera, camera_profile: CameraProfile, draw: np.random.Generator) -> np.ndarray:
    """Simulate optical blur, exposure, colour processing, sharpening, noise and JPEG compression.

    Args:
        image: float32 (size, size, 3), linear RGB.
        camera: View of the image.
        camera_profile: Camera that acquires the image.
        draw: Random generator of focus, white balance, exposure and noise.

    Returns:
        uint8 (size, size, 3), RGB.
    """
    diameter = camera.fill * camera.size
    defocus = abs(draw.normal(scale=0.0003)) + (draw.uniform(0.0005, 0.002) if draw.random() < 0.10 else 0)
    image = blur(image, diameter * (camera_profile.blur + defocus))
    inside = camera.field_of_view()
    balance = camera_profile.balance * np.exp(draw.normal(scale=0.03, size=3))
    bright = float(np.percentile((image[::4, ::4] @ (_LUMINANCE * balance))[inside[::4, ::4]], 80))
    target = min(camera_profile.brightness * math.exp(draw.normal(scale=0.09)), 0.85)
    exposure = target**camera_profile.gamma / max(bright, 1e-4)
    # Luminance, which replaces the lost part of the saturation, is the same in every channel.
    mixing = camera_profile.saturation * np.eye(3) + (1 - camera_profile.saturation) * _LUMINANCE
    display = cv2.transform(image, (exposure * mixing * balance).astype(np.float32))
    display = cv2.pow(np.maximum(display, 0), 1 / camera_profile.gamma)
    bright_parts = display > 0.8
    display[bright_parts] = 0.8 + 0.25 * np.tanh((display[bright_parts] - 0.8) / 0.25)  # shoulder of the tone curve
    if camera_profile.sharpening > 0:
        display = cv2.addWeighted(
            display, 1 + camera_profile.sharpening, blur(display, 0.0030 * diameter), -camera_profile.sharpening, 0
        )
    display += _noise(camera.size, camera_profile.noise, display, draw)
    edge = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 0.6)[..., None]
    stored = np.clip((display * edge + (1 - edge) * 0.012) * 255 + 0.5, 0, 255).astype(np.uint8)
    coded = cv2.imencode(".jpg", stored[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, camera_profile.quality])[1]
    decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    assert decoded is not None, "OpenCV cannot decode the JPEG image that it encoded"
    return np.ascontiguousarray(decoded[..., ::-1])


def blur(image: np.ndarray, sd: float) -> np.ndarray:
    """Apply a Gaussian blur of ``sd`` px; below 0.2 px return the image unchanged."""
    return image if sd < 0.2 else np.asarray(cv2.GaussianBlur(image, (0, 0), sd))


def _enlarged(small: np.ndarray, size: int) -> np.ndarray:
    """Resize a smooth field, (n, n[, 3]), to (size, size[, 3])."""
    return np.asarray(cv2.resize(small.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR))


def _noise(size: int, sd: float, display: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Sensor noise: luminance noise and coarser colour noise, smoothed by demosaicing; less in bright regions."""
    grain = draw.standard_normal((size, size), dtype=np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), 0.8) * 1.4 + 0.33 * grain
    half = (size + 1) // 2
    colour = _enlarged(draw.standard_normal((half, half, 3), dtype=np.float32), size)
    return np.asarray((grain[..., None] + 0.42 * colour) * (sd * 1.25 - sd * 0.5 * np.minimum(display, 1)))
