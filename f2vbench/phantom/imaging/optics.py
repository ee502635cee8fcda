"""From the light that leaves the retina to the file that a fundus camera writes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from f2vbench.phantom.anatomy.camera import Camera

_LUMINANCE = np.array([0.30, 0.59, 0.11], np.float32)


@dataclass(frozen=True)
class CameraProfile:
    """What one camera and its operator do to every photograph.

    Attributes:
        field: degrees.
        fill: diameter of the field over the image's edge.
        cut: share of the radius cut at top and bottom.
        notch: tab at the rim.
        balance: (3,) gain of R, G, B.
        saturation: 0 grey, 1 as it is.
        brightness: where the 80th percentile of the luminance is put, 0 to 1 of the display's range.
        gamma: of the display curve.
        blood: strength of the vessels' absorption, about 1: flare and optics change it.
        reflex: strength of the central reflex.
        vignette: loss of light at the rim.
        blur: sd of the optics' blur over the field's diameter.
        sharpening: of the camera's software.
        noise: sd in display units at middle grey.
        quality: of the JPEG file.
        flare: veiling light, share of the mean.
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
    """A camera, from the range that clinics use."""
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
        blood=float(np.exp(draw.normal(0.28, 0.32))),
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
    """The flash: falls off towards the rim, never quite centred, and the lens throws some of it back."""
    small = camera.at_size(max(camera.size // 4, 16))  # light changes slowly
    rho = small.radius_map()
    along = np.linspace(-1, 1, small.size, dtype=np.float32)

    def towards(angle: float) -> np.ndarray:
        return along[None, :] * math.cos(angle) + along[:, None] * math.sin(angle)

    tilt = draw.uniform(0, 0.40) * towards(draw.uniform(0, 2 * math.pi))
    light = np.exp(tilt) * (1 - camera_profile.vignette * np.minimum(rho, 1.05) ** draw.uniform(2, 5))
    stray = np.zeros((small.size, small.size, 3), np.float32)
    if draw.random() < 0.45:  # a pale crescent of lens or iris light along the rim
        side, width = towards(draw.uniform(0, 2 * math.pi)), draw.uniform(0.10, 0.5)
        glow = np.clip((side * rho - (1 - width)) / width, 0, 1) ** 2 * draw.uniform(0.05, 0.5)
        colour = np.array([0.42, 0.42 * draw.uniform(0.6, 1.0), 0.42 * draw.uniform(0.4, 1.0)], np.float32)
        stray += glow[..., None] * colour * (image[::8, ::8].mean() / 0.2)
    if draw.random() < 0.30:  # the pupil's edge or lids shade one side
        side, depth = towards(draw.uniform(0, 2 * math.pi)), draw.uniform(0.2, 0.8)
        shade = 1 - depth * np.clip((side - draw.uniform(0.35, 0.8)) / 0.4, 0, 1)
        light = light * shade
        stray *= shade[..., None]
    if draw.random() < 0.10:  # reflection from the lens' middle
        x, y = draw.uniform(-0.35, 0.35, 2)
        spot = np.exp(-(((along[None, :] - x) ** 2 + (along[:, None] - y) ** 2) / draw.uniform(0.0008, 0.02)))
        stray += (draw.uniform(0.05, 0.35) * spot)[..., None] * np.array([0.7, 0.6, 0.45], np.float32)
    lit = image * _enlarged(np.maximum(light, 0.05), camera.size)[..., None]
    return np.asarray(lit + _enlarged(stray, camera.size) if stray.any() else lit)


def haze(
    image: np.ndarray, density: float, age: float, camera_profile: CameraProfile, draw: np.random.Generator
) -> np.ndarray:
    """Media: the lens yellows with age, scatters light into a veil, and a cataract takes contrast.

    Args:
        density: 0 for clear media to 1 for a dense cataract.
    """
    yellow = 0.0045 * max(age - 20, 0) + 0.8 * density
    passed = np.exp(-yellow * np.array([0.05, 0.30, 1.0], np.float32))
    veil = min(camera_profile.flare + 0.72 * density * draw.uniform(0.8, 1.1), 0.9)
    small = cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA) * passed
    wide = cv2.GaussianBlur(small, (0, 0), 3.5)
    scattered = veil * (0.65 * wide + 0.35 * wide.mean() * np.array([1.0, 0.9, 0.65], np.float32))
    clear = image if density < 0.05 else blur(image, (0.0015 + 0.004 * density) * image.shape[0])
    return clear * ((1 - veil) * passed) + _enlarged(scattered.astype(np.float32), image.shape[0])


def develop(image: np.ndarray, camera: Camera, camera_profile: CameraProfile, draw: np.random.Generator) -> np.ndarray:
    """Optics' blur, sensor, colour, sharpening, noise and JPEG; uint8 (size, size, 3)."""
    diameter = camera.fill * camera.size
    defocus = abs(draw.normal(scale=0.0003)) + (draw.uniform(0.0005, 0.002) if draw.random() < 0.10 else 0)
    image = blur(image, diameter * (camera_profile.blur + defocus))
    inside = camera.field_of_view()
    balance = camera_profile.balance * np.exp(draw.normal(scale=0.03, size=3))
    bright = float(np.percentile((image[::4, ::4] @ (_LUMINANCE * balance))[inside[::4, ::4]], 80))
    target = min(camera_profile.brightness * math.exp(draw.normal(scale=0.09)), 0.85)
    exposure = target**camera_profile.gamma / max(bright, 1e-4)
    mixing = (
        camera_profile.saturation * np.eye(3) + (1 - camera_profile.saturation) * _LUMINANCE
    )  # grey is the same for every channel
    shown = cv2.transform(image, (exposure * mixing * balance).astype(np.float32))
    shown = cv2.pow(np.maximum(shown, 0), 1 / camera_profile.gamma)
    bright_parts = shown > 0.8
    shown[bright_parts] = 0.8 + 0.25 * np.tanh((shown[bright_parts] - 0.8) / 0.25)  # the shoulder of the tone curve
    if camera_profile.sharpening > 0:
        shown = cv2.addWeighted(
            shown, 1 + camera_profile.sharpening, blur(shown, 0.0030 * diameter), -camera_profile.sharpening, 0
        )
    shown += _noise(camera.size, camera_profile.noise, shown, draw)
    edge = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 0.6)[..., None]
    stored = np.clip((shown * edge + (1 - edge) * 0.012) * 255 + 0.5, 0, 255).astype(np.uint8)
    coded = cv2.imencode(".jpg", stored[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, camera_profile.quality])[1]
    decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    assert decoded is not None, "what was just encoded can be decoded"
    return np.ascontiguousarray(decoded[..., ::-1])


def blur(image: np.ndarray, sd: float) -> np.ndarray:
    """Gaussian blur of ``sd`` px; below a fifth of a pixel nothing changes."""
    return image if sd < 0.2 else np.asarray(cv2.GaussianBlur(image, (0, 0), sd))


def _enlarged(small: np.ndarray, size: int) -> np.ndarray:
    """A smooth field, (n, n[, 3]), at (size, size[, 3])."""
    return np.asarray(cv2.resize(small.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR))


def _noise(size: int, sd: float, shown: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Sensor noise: mostly brightness, some coarser colour, smoothed by demosaicing; less in bright places."""
    grain = draw.standard_normal((size, size), dtype=np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), 0.8) * 1.4 + 0.33 * grain
    half = (size + 1) // 2
    colour = _enlarged(draw.standard_normal((half, half, 3), dtype=np.float32), size)
    return np.asarray((grain[..., None] + 0.42 * colour) * (sd * 1.25 - sd * 0.5 * np.minimum(shown, 1)))
