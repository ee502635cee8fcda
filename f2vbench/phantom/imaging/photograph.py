"""Colour photographs: reflectance of the layers of an eye, from the choroid to the lens.

All layers change a linear reflectance image, float32 (size, size, 3) RGB; `optics` converts it to the stored image.
Blood absorbs by the depth of the round vessel, which light passes twice (Beer-Lambert law): most in green, least in
red. Veins absorb more red light than arteries, because their haemoglobin is deoxygenated (van Assendelft 1970; for
the layers: Preece and Claridge 2004, IEEE Trans Pattern Anal Mach Intell 26:913).
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from f2vbench.phantom.anatomy.camera import Camera
from f2vbench.phantom.anatomy.textures import Texture
from f2vbench.phantom.anatomy.vessel_masks import RenderedVessels, VesselPixels, render_vessels
from f2vbench.phantom.imaging.choroid import choroidal_vessels
from f2vbench.phantom.imaging.eye import Eye
from f2vbench.phantom.imaging.lesion_rendering import render_lesions_above_vessels, render_lesions_below_vessels
from f2vbench.phantom.imaging.optics import CameraProfile, develop, haze, illuminate

_FAIR = np.array([0.76, 0.25, 0.090], np.float32)  # blond fundus: the choroid is visible
_DARK = np.array([0.34, 0.105, 0.034], np.float32)
_RIM = np.array([0.95, 0.50, 0.20], np.float32)
_CUP = np.array([1.02, 0.80, 0.42], np.float32)
# Absorption of 1 mm of blood: arteries, veins.
_BLOOD = np.array([[2.2, 13.7, 11.3], [5.1, 14.4, 12.0]], np.float32)


def acquire_photograph(
    eye: Eye,
    camera: Camera,
    camera_profile: CameraProfile,
    draw: np.random.Generator,
    rendered: RenderedVessels | None = None,
) -> np.ndarray:
    """Simulate a colour photograph, uint8 (size, size, 3) RGB, nearly black outside the field of view.

    Args:
        eye: The eye.
        camera: View of the photograph.
        camera_profile: Camera that acquires the photograph.
        draw: Random generator of what differs between two acquisitions: illumination, focus, noise.
        rendered: The eye's vessels in this view; computed by default.
    """
    rendered = rendered or render_vessels(eye.vessels, camera)
    fundus = _nerve_fibres(_fundus(eye, camera), eye, camera)
    image = _disc(fundus, eye, camera, draw)
    image = render_lesions_below_vessels(image, eye, camera, draw)
    image = _blood(image, fundus, rendered, eye, camera, camera_profile, draw)
    image = render_lesions_above_vessels(image, eye, camera, draw)
    image = illuminate(image, camera, camera_profile, draw)
    image = haze(image, eye.haze, eye.age, camera_profile, draw)
    return develop(image, camera, camera_profile, draw)


def _fundus(eye: Eye, camera: Camera) -> np.ndarray:
    """Choroid, pigment epithelium and macula; all but the fine mottling is computed at half the resolution."""
    surface, half = eye.surface, camera.at_size((camera.size + 1) // 2)
    base = _FAIR + (_DARK - _FAIR) * surface.melanin**0.8
    x, y = half.grid()
    distance = x * x + y * y
    cloud = surface.cloud_map(half)
    dark = (-0.08 * cloud)[..., None]
    if surface.tessellation > 0.02:
        # The pigment epithelium is uneven and denser at the macula: the choroid is visible in parts of the fundus.
        visible = np.clip(0.55 + 0.35 * cloud, 0, 1) * (1 - 0.6 * np.exp(-distance / 2 / 1.5**2))
        tint = surface.tessellation * np.array([0.55, 0.9, 0.7], np.float32)
        dark = dark + ((0.4 - choroidal_vessels(eye, half)) * visible)[..., None] * tint
    # Taller pigment cells darken the macula; its yellow pigment absorbs blue and some green (Bone 1992: up to 4°).
    pigment = eye.anatomy.values["macular_pigment"]
    broad, narrow = np.exp(-distance / 2 / 1.05**2), np.exp(-distance / 2 / 0.33**2)
    dark = dark + broad[..., None] * ((0.36 + 0.40 * surface.melanin) * np.array([0.75, 1.0, 1.0], np.float32))
    dark += narrow[..., None] * ((0.30 + 0.45 * pigment) * np.array([0.5, 0.95, 1.6], np.float32))
    smooth = base * cv2.exp(-dark.astype(np.float32))
    fine = 1 + (0.018 + 0.022 * surface.melanin) * surface.grain_map(camera)
    size = (camera.size, camera.size)
    return np.asarray(cv2.resize(smooth, size, interpolation=cv2.INTER_LINEAR) * fine[..., None])


def _nerve_fibres(image: np.ndarray, eye: Eye, camera: Camera) -> np.ndarray:
    """Add the silvery striation around the disc: reflection of the nerve fibres, mostly green and blue."""
    sheen = eye.surface.sheen
    if sheen < 0.03:
        return image
    half = camera.at_size((camera.size + 1) // 2)
    fibres = eye.surface.fibre_map(half, eye.anatomy.disc.centre) * (0.075 * sheen)
    sheen_map = cv2.resize(fibres, (camera.size, camera.size), interpolation=cv2.INTER_LINEAR)
    return np.asarray(image + sheen_map[..., None] * np.array([0.55, 0.62, 0.40], np.float32))


def _disc(image: np.ndarray, eye: Eye, camera: Camera, draw: np.random.Generator) -> np.ndarray:
    """Add the optic disc: neural rim, pale cup, a temporal scleral ring, a nasal border that is less sharp."""
    disc, cup = eye.anatomy.disc, eye.anatomy.cup
    corners = camera.to_pixels(disc.points)
    margin = 0.5 * (corners.max(axis=0) - corners.min(axis=0))
    left, top = np.maximum(np.floor(corners.min(axis=0) - margin), 0).astype(int)
    right, bottom = np.minimum(np.ceil(corners.max(axis=0) + margin) + 1, camera.size).astype(int)
    if left >= right or top >= bottom:
        return image
    x, y = (each[top:bottom, left:right] for each in camera.grid())
    at, in_cup = disc.relative(x, y), cup.relative(x, y)
    nasal = np.clip((x - disc.centre[0]) / (0.5 * disc.width), -1, 1)
    softness = 0.028 + 0.022 * (1 + nasal)
    inside = _sigmoid((1.0 - at) / softness)[..., None]
    pallor = _sigmoid((1.0 - in_cup) / 0.14)[..., None]
    mottle = Texture.draw("cloud", 3.0, draw).at(x, y)[..., None]
    rim = _RIM * (1 - 0.10 * nasal[..., None]) * (1 + 0.06 * mottle)
    colour = rim + (_CUP * (1 + 0.05 * mottle) - rim) * pallor
    colour = colour * (0.72 + 0.28 * image.mean() / 0.30)
    ring = np.exp(-(((at - 1.04) / 0.045) ** 2)) * np.clip(-nasal, 0, 1) * 0.35
    halo = np.exp(-np.maximum(at - 1, 0) / 0.16)[..., None] * (0.04 + 0.12 * eye.surface.sheen)
    part = image[top:bottom, left:right]
    part = part * (1 + halo) + ring[..., None] * np.array([0.3, 0.26, 0.16], np.float32)
    result = image.copy()
    result[top:bottom, left:right] = part + (colour - part) * inside
    return np.asarray(result)


def _blood(
    image: np.ndarray,
    fundus: np.ndarray,
    rendered: RenderedVessels,
    eye: Eye,
    camera: Camera,
    camera_profile: CameraProfile,
    draw: np.random.Generator,
) -> np.ndarray:
    """Add the absorption of the vessels and their central reflex, the specular reflection of the round wall."""
    arteries, veins = rendered
    density = camera_profile.blood * math.exp(draw.normal(scale=0.06))
    flat = image.reshape(-1, 3).copy()
    depths = [pixels.tubes.depth() / camera.pixels_per_mm for pixels in (arteries, veins)]
    on_top = _on_top(arteries, veins, eye.vessels.artery_over, camera.size)
    for which, (pixels, depth) in enumerate(zip((arteries, veins), depths, strict=True)):
        visible = depth * np.where(on_top[which], 1.0, 0.35)  # a vessel below another one is hardly visible
        flat[pixels.tubes.pixel] *= np.exp(-density * visible[:, None] * _BLOOD[which])
    for which, pixels in enumerate((arteries, veins)):
        reflex = _reflex(pixels, camera_profile.reflex * (1.0, 0.4)[which])
        flat[pixels.tubes.pixel] += reflex[:, None] * fundus.reshape(-1, 3)[pixels.tubes.pixel]
    return np.asarray(flat.reshape(image.shape))


def _reflex(pixels: VesselPixels, strength: float) -> np.ndarray:
    """Brightness of the central reflex relative to the background, (m,): a third of the width, on wide vessels only."""
    radius = pixels.tubes.radius
    profile = np.exp(-((pixels.tubes.offset / np.maximum(0.30 * radius, 0.5)) ** 2))
    return np.asarray(strength * profile * np.clip((radius - 0.9) / 1.6, 0, 1))


def _on_top(
    arteries: VesselPixels, veins: VesselPixels, artery_over: float, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Whether each pixel of the arteries, (m,) bool, and of the veins is free of vessels of the other kind above it."""
    owner = np.full(size * size, -1)
    owner[arteries.tubes.pixel] = arteries.end
    wide = arteries.tubes.coverage() > 0.5
    # The order at a crossing depends on the index of a group of 24 nodes, so that it is the same across the crossing.
    chance = (arteries.end // 24 * 2654435761 % 1000) / 1000
    artery_wins = np.full(size * size, True)
    artery_wins[arteries.tubes.pixel[wide]] = chance[wide] < artery_over
    covered_by_artery = np.zeros(size * size, bool)
    covered_by_artery[arteries.tubes.pixel[wide]] = True
    covered_by_vein = np.zeros(size * size, bool)
    covered_by_vein[veins.tubes.pixel[veins.tubes.coverage() > 0.5]] = True
    over_artery = ~artery_wins & covered_by_vein
    over_vein = artery_wins & covered_by_artery
    return ~over_artery[arteries.tubes.pixel], ~over_vein[veins.tubes.pixel]


def _sigmoid(value: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(np.clip(-value, -30, 30))), np.float32)
