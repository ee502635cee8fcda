"""Single grey images of other modalities: indocyanine green, red-free, autofluorescence."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from f2vbench.phantom.anatomy.camera import Camera
from f2vbench.phantom.anatomy.landmarks import Anatomy
from f2vbench.phantom.anatomy.vessel_masks import render_vessels
from f2vbench.phantom.imaging.angiograph_camera import draw_angiograph_camera
from f2vbench.phantom.imaging.choroid import choroidal_vessels
from f2vbench.phantom.imaging.dye import concentration
from f2vbench.phantom.imaging.eye import Eye, cover_lesions, macular_absorption

# Brightness in green light; healthy retina has about 0.6.
_PALE = {
    "drusen": 0.80,
    "hard_exudate": 1.10,
    "cotton_wool_spot": 0.98,
    "laser_scar": 0.72,
    "atrophy": 0.78,
    "crescent": 0.95,
}
_DARK_RED = ("haemorrhage", "preretinal_haemorrhage", "microaneurysm")
_RETINAL_DELAY = 1.5  # s from the choroidal to the retinal vessels


def acquire_icg(eye: Eye, camera: Camera, draw: np.random.Generator, seconds: float = 45.0) -> np.ndarray:
    """Simulate a frame of indocyanine green angiography, uint8 (size, size).

    Infrared light passes through pigment and thin layers of blood, and the dye stays in the vessels, so the choroidal
    vessels are visible. They fade into a grey background after about ten minutes (Yannuzzi et al. 1992, Retina
    12:191).

    Args:
        eye: The eye.
        camera: View of the image.
        draw: Random generator of the camera settings and the noise.
        seconds: Time after injection; later than the filling of the choroid (about 15 s).

    Raises:
        ValueError: The dye has not reached the eye at this time.
    """
    since = seconds - eye.anatomy.values["arm_to_choroid"]
    if since <= 0:
        raise ValueError(
            f"seconds={seconds}: no dye in the eye {seconds} s after injection; use more than {seconds - since:.0f} s"
        )
    blood = float(concentration(np.asarray(since)))
    washed = 1 - np.exp(-since / 500)  # dye in the choroidal tissue and the pigment epithelium
    surface = eye.surface
    vessels = choroidal_vessels(eye, camera)
    cover = 1 - 0.15 * surface.melanin
    light = 0.10 + cover * (
        0.75 * blood * vessels + 0.20 * blood + 0.16 * washed * (1 + 0.12 * surface.grain_map(camera))
    )
    light *= 1 - 0.15 * surface.melanin * macular_absorption(eye, camera)
    light *= 1 - 0.8 * _disc(eye.anatomy, camera)
    light *= 1 - 0.45 * cover_lesions(eye, camera, "atrophy") * (1 - vessels)
    light *= 1 - 0.75 * cover_lesions(eye, camera, "preretinal_haemorrhage")
    light *= 1 - 0.35 * cover_lesions(eye, camera, "haemorrhage", "drusen", "hard_exudate")
    retinal = float(concentration(np.asarray(since - _RETINAL_DELAY)))
    for pixels in render_vessels(eye.vessels, camera):
        depth = pixels.tubes.depth() / camera.pixels_per_mm
        light.ravel()[pixels.tubes.pixel] += 0.7 * (1 - np.exp(-7 * depth * retinal))
    return _expose(light, eye, camera, draw, level=1.35)


def acquire_red_free(eye: Eye, camera: Camera, draw: np.random.Generator) -> np.ndarray:
    """Simulate a photograph in green light, uint8 (size, size): blood is dark, nerve fibres are bright.

    Args:
        eye: The eye.
        camera: View of the image.
        draw: Random generator of the camera settings and the noise.
    """
    surface, anatomy = eye.surface, eye.anatomy
    light = 0.62 + 0.03 * surface.cloud_map(camera) + 0.018 * surface.grain_map(camera) * (1.3 - surface.melanin)
    if surface.tessellation > 0:
        light += 0.10 * surface.tessellation * (choroidal_vessels(eye, camera) - 0.4) * (1 - surface.melanin)
    light *= 1 - 0.42 * macular_absorption(eye, camera) * (0.55 + 0.45 * surface.melanin)
    lost = 1 - 0.9 * cover_lesions(eye, camera, "nerve_fibre_defect")
    light += 0.17 * (0.35 + 0.65 * surface.sheen) * surface.fibre_map(camera, anatomy.disc.centre) * lost
    disc, cup = _disc(anatomy, camera), _soft(anatomy.cup.points, camera, 0.10)
    light += disc * (0.72 + 0.42 * cup - light)
    for kind, brightness in _PALE.items():
        light += cover_lesions(eye, camera, kind, by="strength") * (brightness - light)
    for pixels, absorption in zip(reversed(render_vessels(eye.vessels, camera)), (11.0, 8.5), strict=True):
        depth = pixels.tubes.depth() / camera.pixels_per_mm
        light.ravel()[pixels.tubes.pixel] *= 0.34 + 0.66 * np.exp(-absorption * depth)
    light *= 1 - 0.62 * cover_lesions(eye, camera, *_DARK_RED, by="strength")
    return _expose(light, eye, camera, draw, level=1.9)


def acquire_autofluorescence(eye: Eye, camera: Camera, draw: np.random.Generator) -> np.ndarray:
    """Simulate fundus autofluorescence in blue light, uint8 (size, size).

    Lipofuscin of the pigment epithelium fluoresces; it increases with age (Delori, Goger, Dorey 2001, Invest
    Ophthalmol Vis Sci 42:1855). Macular pigment and blood absorb. Disc and atrophy have no lipofuscin; the border of
    atrophy is brighter than its surround.

    Args:
        eye: The eye.
        camera: View of the image.
        draw: Random generator of the camera settings and the noise.
    """
    surface = eye.surface
    from_fovea = np.hypot(*camera.grid())
    lipofuscin = 0.30 + 0.006 * min(eye.age, 75.0)
    light = lipofuscin * (0.72 + 0.28 * np.exp(-(((from_fovea - 3.2) / 3.5) ** 2)))  # largest 7–13° from the fovea
    light *= 1 + 0.05 * surface.cloud_map(camera) + 0.06 * surface.grain_map(camera)
    light *= np.exp(-1.15 * eye.anatomy.values["macular_pigment"] * macular_absorption(eye, camera)) * (
        1 - 0.25 * macular_absorption(eye, camera)
    )
    gone = cover_lesions(eye, camera, "atrophy", "crescent")
    if gone.any():
        light *= 1 + 0.7 * np.clip(cv2.GaussianBlur(gone, (0, 0), 0.12 * camera.pixels_per_mm) - gone, 0, 1)
    light *= 1 - 0.93 * gone
    drusen = cover_lesions(eye, camera, "drusen", by="strength")
    light *= 1 + drusen * 0.45 * np.clip(surface.cloud_map(camera), -1, 1)  # some brighter, some darker
    scar = cover_lesions(eye, camera, "laser_scar")
    light *= 1 - 0.75 * scar
    light *= 1 - 0.90 * _disc(eye.anatomy, camera)
    for pixels in render_vessels(eye.vessels, camera):
        depth = pixels.tubes.depth() / camera.pixels_per_mm
        light.ravel()[pixels.tubes.pixel] *= 0.16 + 0.84 * np.exp(-16 * depth)
    light *= 1 - 0.85 * cover_lesions(eye, camera, *_DARK_RED, by="strength")
    light *= 1 - 0.30 * cover_lesions(eye, camera, "hard_exudate", "cotton_wool_spot")
    return _expose(0.25 * light, eye, camera, draw, level=1.25, scans=2)


def _expose(
    light: np.ndarray, eye: Eye, camera: Camera, draw: np.random.Generator, level: float, scans: int = 4
) -> np.ndarray:
    """Convert light to grey levels with a drawn angiography camera, its median grey level multiplied by ``level``."""
    drawn = draw_angiograph_camera(eye.haze, draw)
    angiograph = replace(drawn, level=drawn.level * level)
    return angiograph.expose(light.astype(np.float32), angiograph.illumination(camera), 1.0, scans, draw)


def _disc(anatomy: Anatomy, camera: Camera) -> np.ndarray:
    """The disc with a soft border, float32 (size, size) in [0, 1]."""
    return _soft(anatomy.disc.points, camera, 0.04)


def _soft(points: np.ndarray, camera: Camera, softness: float) -> np.ndarray:
    """A filled outline, its border blurred by ``softness`` mm; float32 (size, size) in [0, 1]."""
    mask = np.zeros((camera.size, camera.size), np.float32)
    cv2.fillPoly(mask, [np.rint(camera.to_pixels(points) * 16).astype(np.int32)], 1.0, cv2.LINE_8, 4)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), max(0.4, softness * camera.pixels_per_mm)))
