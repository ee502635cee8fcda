"""Rendering of the fluorescence layers of an eye: once per view, for frames at any time."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from f2vbench.phantom.anatomy.camera import Camera
from f2vbench.phantom.anatomy.landmarks import Anatomy
from f2vbench.phantom.anatomy.textures import Texture
from f2vbench.phantom.anatomy.tube_rasterizer import Tubes, draw_tubes
from f2vbench.phantom.anatomy.vessel_masks import render_vessels
from f2vbench.phantom.imaging.choroid import choroidal_vessels
from f2vbench.phantom.imaging.dye import simulate_transit
from f2vbench.phantom.imaging.eye import Eye, cover_lesions, macular_absorption
from f2vbench.phantom.imaging.fluorescence import Layers
from f2vbench.phantom.lesions.base import Lesion, coverage

CUT_OFF = 0.018  # mm: vessels of smaller radius are omitted where capillaries are lost
_STRAND = 0.011  # mm, radius of new vessels
_COARSE = 32  # px, size of the map of tissue arrival times


@dataclass(frozen=True)
class _TissueTextures:
    """Textures of an eye's tissue in a view; images are float32 (size, size), mean about 0, standard deviation about 1.

    Attributes:
        x: Retinal coordinate of each pixel, mm.
        y: Retinal coordinate of each pixel, mm.
        fine: Capillary bed, finest scale.
        net: Capillary bed, meshes.
        clumps: Capillary bed, lobules.
        patches: Filling of the choroid, large scale.
        lobes: Filling of the choroid, lobules.
        disc: Striation of the disc.
    """

    x: np.ndarray
    y: np.ndarray
    fine: np.ndarray
    net: np.ndarray
    clumps: np.ndarray
    patches: np.ndarray
    lobes: np.ndarray
    disc: Texture

    @property
    def from_fovea(self) -> np.ndarray:
        """Distance of each pixel from the fovea, mm."""
        return np.asarray(np.hypot(self.x, self.y))


def render_layers(eye: Eye, camera: Camera) -> Layers:
    """Render the fluorescence layers of an eye in the view of a camera; their textures depend on the eye only."""
    textures = _render_tissue_textures(eye, camera)
    inside, rim, on_disc = _disc(eye.anatomy, camera, textures)
    lost = _lost_capillaries(eye, camera, textures)
    strands, leak = _leaks(eye.lesions, camera, textures)
    cut = _inside(lost > 0.5, camera.to_pixels(eye.vessels.points)) & (eye.vessels.radius < CUT_OFF)
    arteries, veins = render_vessels(eye.vessels, camera, only=~cut)
    transit = simulate_transit(eye.vessels, eye.anatomy.values)
    coarse = np.stack([each.ravel() for each in camera.at_size(_COARSE).grid()], axis=1)
    aneurysms = cv2.GaussianBlur(cover_lesions(eye, camera, "microaneurysm"), (0, 0), 0.6 * camera.size / 512)
    blood = cover_lesions(eye, camera, "haemorrhage", by="strength")
    exudate = cover_lesions(eye, camera, "hard_exudate")
    return Layers(
        camera=camera,
        transit=transit,
        arteries=arteries,
        veins=veins,
        supplied=transit.at(coarse).reshape(_COARSE, _COARSE),
        choroid=_choroid(eye, camera, textures) * (1 - 0.93 * inside) * (1 - 0.35 * lost),
        lobules=np.clip(0.9 + 0.8 * textures.patches + 0.45 * textures.lobes, 0, 5),
        capillaries=(_capillaries(eye, camera, textures) * (1 - inside) + 0.9 * on_disc) * (1 - 0.97 * lost),
        points=np.clip(1.8 * aneurysms, 0, 1),
        strands=strands,
        leak=leak,
        pools=_pools(eye.lesions, camera, textures),
        stains=rim + _stains(eye, camera, textures),
        stained_walls=cv2.GaussianBlur(lost, (0, 0), 0.35 * camera.pixels_per_mm) if lost.any() else lost,
        deep_block=(1 - 0.95 * blood) * (1 - 0.35 * exudate),
        block=(1 - 0.96 * cover_lesions(eye, camera, "preretinal_haemorrhage")) * (1 - 0.4 * blood),
        choroid_start=eye.anatomy.values["arm_to_choroid"],
    )


def _render_tissue_textures(eye: Eye, camera: Camera) -> _TissueTextures:
    draw = np.random.default_rng([*eye.seed, 1961])  # the year of the first angiograms (Novotny and Alvis)
    scales = (("grain", 6.5), ("net", 5.0), ("net", 9.0), ("cloud", 16.0), ("grain", 45.0))
    fine, net, clumps, patches, lobes = (
        Texture.draw(kind, period, draw).projected_to(camera) for kind, period in scales
    )
    return _TissueTextures(*camera.grid(), fine, net, clumps, patches, lobes, Texture.draw("cloud", 6.0, draw))


def _capillaries(eye: Eye, camera: Camera, textures: _TissueTextures) -> np.ndarray:
    """Density of capillaries, about 1; 0 in the avascular zone, reduced around it and behind cotton wool and scars."""
    from_fovea = textures.from_fovea
    ragged = 0.07 * eye.surface.cloud_map(camera)
    edge = (from_fovea - 0.5 * eye.anatomy.values["avascular_zone"] + ragged) / 0.16
    density = np.clip(0.5 + 0.5 * edge, 0, 1) * (1 - 0.5 * np.exp(-(from_fovea**2)))
    density *= np.clip(1 + 0.22 * textures.fine + 0.20 * textures.net, 0.1, 2.5)
    density *= 1 - 0.85 * cover_lesions(eye, camera, "cotton_wool_spot")
    return np.asarray(density * (1 - 0.6 * cover_lesions(eye, camera, "laser_scar")))


def _choroid(eye: Eye, camera: Camera, textures: _TissueTextures) -> np.ndarray:
    """Transmission of the pigment epithelium for the light of the choroid, times the variation of the choroid."""
    surface = eye.surface
    through = np.exp(-(0.8 + 1.7 * eye.anatomy.values["macular_pigment"]) * macular_absorption(eye, camera))
    through *= 1 - 0.45 * surface.melanin
    through *= np.clip(1 + 0.12 * surface.grain_map(camera) + 0.17 * surface.cloud_map(camera), 0.3, 2)
    window = cover_lesions(eye, camera, "atrophy", "crescent")
    if window.any():
        through += window * (1.5 + 0.7 * choroidal_vessels(eye, camera) - through)
    pigmented = cover_lesions(eye, camera, "laser_scar", by="pigment")
    dark = 0.35 * cover_lesions(eye, camera, "laser_scar") + 0.6 * pigmented * np.clip(
        0.8 + 0.3 * textures.clumps, 0, 1
    )
    return np.asarray(through * (1 - dark))


def _stains(eye: Eye, camera: Camera, textures: _TissueTextures) -> np.ndarray:
    """Staining of drusen, bare sclera and the borders of laser scars."""
    scar = cover_lesions(eye, camera, "laser_scar")
    pigmented = cover_lesions(eye, camera, "laser_scar", by="pigment")
    around = np.clip(1.6 * cv2.GaussianBlur(scar, (0, 0), max(0.5, 0.05 * camera.pixels_per_mm)), 0, 1)
    border = around * (1 - 0.75 * pigmented - 0.15 * scar) * np.clip(1 + 0.5 * textures.clumps, 0.1, 2.2)
    stains = 0.18 * border + 0.35 * cover_lesions(eye, camera, "crescent")
    return np.asarray(stains + 0.42 * cover_lesions(eye, camera, "drusen", by="strength"))


def _leaks(lesions: tuple[Lesion, ...], camera: Camera, textures: _TissueTextures) -> tuple[Tubes | None, np.ndarray]:
    """Rasterised new vessels, if any, and the leakage strength of all lesions, (size // 4, size // 4)."""
    leaking = [lesion for lesion in lesions if lesion.kind != "oedema"]
    strands, leak = _strands(lesions, camera)
    leak = np.clip(leak + 0.13 * coverage(leaking, camera, by="leak"), 0, 1.5)
    quarter = (camera.size // 4, camera.size // 4)
    uneven = leak * np.clip(1 + 0.35 * textures.clumps, 0.3, 2)
    return strands, cv2.resize(uneven, quarter, interpolation=cv2.INTER_AREA)


def _lost_capillaries(eye: Eye, camera: Camera, textures: _TissueTextures) -> np.ndarray:
    """Fraction of closed capillaries, float32 (size, size) in [0, 1], with ragged borders."""
    areas = cover_lesions(eye, camera, "non_perfusion")
    if not areas.any():
        return areas
    soft = cv2.GaussianBlur(areas, (0, 0), 0.07 * camera.pixels_per_mm)
    closed = np.clip(2 * soft - 0.5 - 0.14 * textures.net - 0.12 * textures.clumps, 0, 1)
    return np.asarray(closed * np.minimum(4 * soft, 1))


def _disc(anatomy: Anatomy, camera: Camera, textures: _TissueTextures) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Disc with a soft border, its late staining, and its radial capillaries; float32 (size, size) each."""
    inside, rim, capillaries = np.zeros((3, camera.size, camera.size), np.float32)
    corners = camera.to_pixels(anatomy.disc.points)
    margin = 0.6 * camera.pixels_per_mm
    low = np.clip(np.floor(corners.min(axis=0) - margin), 0, camera.size).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0) + margin), 0, camera.size).astype(int)
    if (high <= low).any():
        return inside, rim, capillaries
    part = (slice(low[1], high[1]), slice(low[0], high[0]))
    relative = anatomy.disc.relative(textures.x[part], textures.y[part])
    inside[part] = np.clip(0.5 - (relative - 1) / 0.08, 0, 1)
    cup = np.clip(0.5 - (anatomy.cup.relative(textures.x[part], textures.y[part]) - 1) / 0.3, 0, 1)
    angle = np.arctan2(textures.y[part] - anatomy.disc.centre[1], textures.x[part] - anatomy.disc.centre[0])
    uneven = np.clip(0.8 + 0.4 * textures.disc.at(0.8 * np.cos(angle), 0.8 * np.sin(angle)), 0.2, 1.6)
    ring = np.exp(-0.5 * ((relative - 0.93) / 0.17) ** 2)
    rim[part] = 0.13 * uneven * ring + 0.27 * inside[part] * (0.85 + 0.15 * uneven) * (1 - 0.35 * cup)
    radial = np.clip(0.55 + 0.5 * textures.disc.at(5 * np.cos(angle), 5 * np.sin(angle)), 0, 2)
    capillaries[part] = inside[part] * radial * (1 - 0.75 * cup)
    return inside, rim, capillaries


def _strands(lesions: tuple[Lesion, ...], camera: Camera) -> tuple[Tubes | None, np.ndarray]:
    """Rasterised new vessels and their leakage strength, float32 (size, size)."""
    drawn = [lesion for lesion in lesions if lesion.strands is not None and len(lesion.strands)]
    if not drawn:
        return None, np.zeros((camera.size, camera.size), np.float32)
    pieces = camera.to_pixels(np.concatenate([np.asarray(lesion.strands) for lesion in drawn])).astype(np.float32)
    leak = np.concatenate([np.full(len(lesion.strands), lesion.leak) for lesion in drawn if lesion.strands is not None])
    radius = np.full((len(pieces), 2), _STRAND * camera.pixels_per_mm, np.float32)
    tubes = draw_tubes(pieces[:, 0], pieces[:, 1], radius, camera.size)
    return tubes, tubes.spread(tubes.coverage() * leak[tubes.segment])


def _pools(lesions: tuple[Lesion, ...], camera: Camera, textures: _TissueTextures) -> np.ndarray:
    """Intraretinal fluid: petaloid around the fovea (cysts in Henle's layer), honeycomb pattern elsewhere."""
    oedema = [lesion for lesion in lesions if lesion.kind == "oedema"]
    pools = np.zeros((camera.size, camera.size), np.float32)
    if not oedema:
        return pools
    softness = max(0.12, float(np.mean([lesion.softness for lesion in oedema]))) * camera.pixels_per_mm
    shape = cv2.GaussianBlur(coverage(oedema, camera, by="leak"), (0, 0), softness)
    from_fovea, angle = textures.from_fovea, np.arctan2(textures.y, textures.x)
    petals = np.clip(0.5 + 0.8 * np.cos(9 * angle + 0.8 * np.sin(2 * angle)), 0, 1) * np.clip(from_fovea / 0.15, 0, 1)
    near = np.exp(-((from_fovea / 0.75) ** 2))
    return np.asarray(shape * (near * petals + (1 - near) * np.clip(0.6 - 0.11 * textures.clumps, 0, 1)), np.float32)


def _inside(mask: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Whether points (n, 2) px lie in a mask (size, size), bool (n,)."""
    size = len(mask)
    columns, rows = np.rint(pixels).astype(int).T
    visible = (columns >= 0) & (columns < size) & (rows >= 0) & (rows < size)
    return np.asarray(visible & mask[np.where(visible, rows, 0), np.where(visible, columns, 0)])
