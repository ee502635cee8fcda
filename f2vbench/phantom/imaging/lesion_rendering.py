"""Rendering of lesions in colour photographs, as changes of a linear reflectance image.

Blood absorbs as in vessels (most in green), exudate and cotton wool reflect all colours, atrophy exposes choroid and
sclera. Computations are restricted to the pixels that lesions cover. The random generator positions fine mottling
only; pigment clumps are landmarks and therefore the same in every photograph of an eye.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from f2vbench.phantom.anatomy.camera import Camera
from f2vbench.phantom.anatomy.textures import Texture
from f2vbench.phantom.anatomy.tube_rasterizer import draw_tubes
from f2vbench.phantom.imaging.choroid import choroidal_vessels
from f2vbench.phantom.imaging.eye import Eye
from f2vbench.phantom.lesions.base import Lesion, coverage

_BLOOD = np.array([0.55, 1.75, 1.45], np.float32)  # absorption of thick blood in R, G, B, natural logarithm
_THICK_BLOOD = np.array([0.75, 2.5, 2.1], np.float32)
_NEW_BLOOD = np.array([0.30, 1.5, 1.2], np.float32)  # oxygenated blood in fine vessels
_EXUDATE = np.array([0.97, 0.80, 0.30], np.float32)  # reflectances
_COTTON = np.array([0.92, 0.76, 0.44], np.float32)
_DRUSEN = np.array([0.90, 0.58, 0.19], np.float32)
_SCAR = np.array([0.88, 0.56, 0.21], np.float32)
_BARE = np.array([0.97, 0.64, 0.25], np.float32)  # sclera through thin choroid
_CHOROID = np.array([0.74, 0.27, 0.10], np.float32)  # choroidal vessels in front of the sclera
_PIGMENT = np.array([0.11, 0.055, 0.025], np.float32)
_LOST_FIBRES = np.array([-0.14, -0.46, -0.40], np.float32)  # relative change: less sheen
_OEDEMA = np.array([0.02, 0.10, 0.16], np.float32)  # relative change: greyer
_UNSUPPLIED = np.array([-0.05, -0.01, 0.04], np.float32)  # relative change: duller

_NET_RADIUS = {"neovascularisation": 0.012, "intraretinal_microvascular_abnormality": 0.012}  # mm
_LEAST_COVERAGE = 1 / 400  # pixels with less coverage stay unchanged


def render_lesions_below_vessels(image: np.ndarray, eye: Eye, camera: Camera, draw: np.random.Generator) -> np.ndarray:
    """Add the lesions behind the vessels: drusen, atrophy, scars, crescents, oedema, lost fibres and capillaries.

    Args:
        image: float32 (size, size, 3), linear RGB reflectance.
        eye: The eye.
        camera: View of the image.
        draw: Random generator of the mottling.

    Returns:
        A new image, or ``image`` itself where the eye has no such lesion.
    """
    found = _by_kind(eye)
    mottling = Texture.draw("grain", 4.0, draw)
    kinds = ("nerve_fibre_defect", "non_perfusion", "oedema", "drusen", "atrophy", "crescent", "laser_scar")
    if not found.keys() & set(kinds):
        return image
    image = image.copy()
    if defects := found.get("nerve_fibre_defect"):
        layer = _Layer.of(defects, camera)
        x, y = layer.position
        disc = eye.anatomy.disc.centre
        # The nerve fibre layer, and with it the effect of its loss, becomes thinner with the distance from the disc.
        thick = np.exp(-((np.hypot(x - disc[0], y - disc[1]) / 6.0) ** 2))
        layer.multiply(image, 1 + (layer.cover * thick)[:, None] * _LOST_FIBRES)
    for kind, change in (("non_perfusion", _UNSUPPLIED), ("oedema", _OEDEMA)):
        if lesions := found.get(kind):
            layer = _Layer.of(lesions, camera)
            layer.multiply(image, 1 + layer.cover[:, None] * change)
    if drusen := found.get("drusen"):
        layer = _Layer.of(drusen, camera)
        layer.blend(image, 0.50 * layer.cover, _DRUSEN)
    for kind in ("atrophy", "crescent"):
        if bare := found.get(kind):
            _bare(image, bare, eye, camera, mottling)
    if scars := found.get("laser_scar"):
        _scar(image, scars, camera, mottling)
    return image


def render_lesions_above_vessels(image: np.ndarray, eye: Eye, camera: Camera, draw: np.random.Generator) -> np.ndarray:
    """Add the lesions in front of the vessels: blood, exudates, cotton-wool spots, new vessels.

    Args:
        image: float32 (size, size, 3), linear RGB reflectance.
        eye: The eye.
        camera: View of the image.
        draw: Random generator of the mottling.

    Returns:
        A new image, or ``image`` itself where the eye has no such lesion.
    """
    found = _by_kind(eye)
    fine, coarse = Texture.draw("grain", 3.0, draw), Texture.draw("cloud", 5.0, draw)
    kinds = ("cotton_wool_spot", "haemorrhage", "microaneurysm", "hard_exudate", "preretinal_haemorrhage")
    if not found.keys() & {*kinds, *_NET_RADIUS}:
        return image
    image = image.copy()
    if spots := found.get("cotton_wool_spot"):
        layer = _Layer.of(spots, camera)
        layer.blend(image, np.clip(0.8 * layer.cover * (1 + 0.3 * layer.sample(fine)), 0, 1), _COTTON)
    if bleeding := [*found.get("haemorrhage", ()), *found.get("microaneurysm", ())]:
        layer = _Layer.of(bleeding, camera, thick=0.07)
        mottled = np.clip(1 + 0.14 * layer.sample(fine) + 0.20 * layer.sample(coarse), 0.4, 1.6)
        layer.multiply(image, np.exp(-(layer.cover * mottled)[:, None] * _BLOOD))
    for kind, radius in _NET_RADIUS.items():
        if nets := found.get(kind):
            _net(image, nets, radius, camera)
    if exudates := found.get("hard_exudate"):
        layer = _Layer.of(exudates, camera)
        layer.blend(image, np.clip(0.9 * layer.cover * (1 + 0.10 * layer.sample(fine)), 0, 1), _EXUDATE)
    if pools := found.get("preretinal_haemorrhage"):
        layer = _Layer.of(pools, camera)
        layer.multiply(image, np.exp(-(layer.cover * (1 + 0.10 * layer.sample(coarse)))[:, None] * _THICK_BLOOD))
    return image


@dataclass(frozen=True)
class _Layer:
    """The m pixels that some lesions cover.

    Attributes:
        pixel: (m,) flat indices.
        cover: (m,) coverage times strength of the lesions.
        position: Retinal coordinates x and y of the pixels, (m,) mm each.
    """

    pixel: np.ndarray
    cover: np.ndarray
    position: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of(cls, lesions: Sequence[Lesion], camera: Camera, by: str = "strength", thick: float = 0.0) -> _Layer:
        """Coverage by lesions, blurred by their mean softness.

        Args:
            lesions: Lesions of the layer.
            camera: View of the image.
            by: Attribute by which coverage is multiplied, see `coverage`.
            thick: Distance from the border over which the lesions become thicker, mm; 0 for flat lesions.
        """
        cover = coverage(lesions, camera, by)
        sigma = 0.5 * float(np.mean([lesion.softness for lesion in lesions])) * camera.pixels_per_mm
        if sigma > 0.3:
            cover = cv2.GaussianBlur(cover, (0, 0), sigma)
        if thick:
            cover = cover * (0.55 + 0.65 * cv2.GaussianBlur(cover, (0, 0), thick * camera.pixels_per_mm))
        return cls.from_image(cover, camera)

    @classmethod
    def from_image(cls, cover: np.ndarray, camera: Camera) -> _Layer:
        """The pixels of a coverage map, float32 (size, size)."""
        pixel = np.flatnonzero(cover.ravel() > _LEAST_COVERAGE)
        rows, columns = np.divmod(pixel.astype(np.float32), np.float32(camera.size))
        back = cv2.invertAffineTransform(camera.matrix).astype(np.float32)
        x, y = (back[n, 0] * columns + back[n, 1] * rows + back[n, 2] for n in (0, 1))
        return cls(pixel, cover.ravel()[pixel], (x, y))

    def sample(self, texture: Texture) -> np.ndarray:
        """The texture at the layer's pixels, (m,)."""
        return texture.at(*self.position) if len(self.pixel) else np.zeros(0, np.float32)

    def blend(self, image: np.ndarray, share: np.ndarray, colour: np.ndarray) -> None:
        """Blend a colour, (3,) or (m, 3), into the pixels in place, with opacity ``share``, (m,)."""
        pixels = image.reshape(-1, 3)
        below = pixels[self.pixel]
        pixels[self.pixel] = below + share[:, None] * (colour - below)

    def multiply(self, image: np.ndarray, factor: np.ndarray) -> None:
        """Multiply the pixels in place by ``factor``, (m, 3)."""
        image.reshape(-1, 3)[self.pixel] *= factor


def _by_kind(eye: Eye) -> dict[str, list[Lesion]]:
    found: dict[str, list[Lesion]] = {}
    for lesion in eye.lesions:
        found.setdefault(lesion.kind, []).append(lesion)
    return found


def _bare(image: np.ndarray, areas: list[Lesion], eye: Eye, camera: Camera, mottling: Texture) -> None:
    """Render sclera behind choroidal vessels, and dark pigment along the border and in clumps."""
    layer = _Layer.of(areas, camera)
    half = choroidal_vessels(eye, camera.at_size((camera.size + 1) // 2))  # cached: the fundus uses the same view
    choroid = cv2.resize(half, (camera.size, camera.size), interpolation=cv2.INTER_LINEAR)
    vessels = choroid.ravel()[layer.pixel][:, None]
    behind = _BARE * (1 + 0.05 * layer.sample(mottling)[:, None]) + 0.85 * vessels * (_CHOROID - _BARE)
    # Remnants of the pigment epithelium, more in dark eyes, remain in patches.
    clouds = eye.surface.clouds[1]
    remnants = 0.16 + 0.20 * eye.surface.melanin + 0.10 * layer.sample(clouds) + 0.06 * layer.sample(mottling)
    behind = behind * (1 - 0.3 * eye.surface.melanin)
    layer.blend(image, layer.cover * np.clip(1 - remnants, 0.45, 0.95), behind)
    pigmented = [area for area in areas if area.pigment > 0.1]
    if pigmented:
        dark = coverage(pigmented, camera, by="pigment")
        wide = cv2.GaussianBlur(dark, (0, 0), 0.06 * camera.pixels_per_mm)
        layer = _Layer.from_image(wide, camera)
        inner, clumps = dark.ravel()[layer.pixel], layer.sample(clouds)
        border = 4 * layer.cover * np.clip(1 - layer.cover / max(float(dark.max()), 1e-6), 0, 1)
        share = np.clip(border * (0.35 + 0.5 * clumps) + 0.9 * inner * np.clip(clumps - 1.3, 0, 1), 0, 0.85)
        layer.blend(image, share, _PIGMENT)


def _scar(image: np.ndarray, scars: list[Lesion], camera: Camera, mottling: Texture) -> None:
    """Render pale laser burns with a darker centre, some with clumps of black pigment."""
    layer = _Layer.of(scars, camera)
    layer.blend(image, np.clip(0.62 * layer.cover * (1 + 0.25 * layer.sample(mottling)), 0, 1), _SCAR)
    layer = _Layer.of([_core(scar, 0.5, 0.35 * scar.strength) for scar in scars], camera)
    layer.blend(image, 0.5 * layer.cover, 0.6 * _CHOROID)
    black = [_core(scar, 0.35 + 0.5 * scar.pigment, scar.pigment) for scar in scars if scar.pigment > 0.15]
    if black:
        layer = _Layer.of(black, camera)
        layer.blend(image, np.clip(1.2 * layer.cover * (1 + 0.3 * layer.sample(mottling)), 0, 0.92), _PIGMENT)


def _core(scar: Lesion, share: float, strength: float) -> Lesion:
    middle = scar.centre
    return replace(scar, outline=middle + share * (scar.outline - middle), strength=min(strength, 1.0), softness=0.04)


def _net(image: np.ndarray, nets: list[Lesion], radius: float, camera: Camera) -> None:
    """Render nets of fine vessels; vessels thinner than a pixel absorb in proportion to their coverage."""
    with_strands = [(net.strands, net.strength) for net in nets if net.strands is not None]
    if not with_strands:
        return
    strength = np.concatenate([np.full(len(strands), strength) for strands, strength in with_strands])
    points = camera.to_pixels(np.concatenate([strands for strands, _ in with_strands])).astype(np.float32)
    width = np.full((len(points), 2), radius * camera.pixels_per_mm, np.float32)
    tubes = draw_tubes(points[:, 0], points[:, 1], width, camera.size)
    density = 0.75 * strength[tubes.segment] * tubes.coverage()
    image.reshape(-1, 3)[tubes.pixel] *= np.exp(-density[:, None] * _NEW_BLOOD)
