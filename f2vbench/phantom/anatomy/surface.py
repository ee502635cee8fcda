"""The fundus surface behind the vessels: pigment, choroid and nerve fibres, as fixed textures of the eye."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from f2vbench.phantom.anatomy.camera import Camera
from f2vbench.phantom.anatomy.textures import Texture


@dataclass(frozen=True)
class FundusSurface:
    """Pigmentation and textures of one eye.

    Attributes:
        melanin: 0 (blond) to 1 (dark fundus): absorption by choroid and pigment epithelium.
        tessellation: 0 to 1, visibility of the large choroidal vessels (thin pigment, age, myopia).
        clouds: Low-frequency variation of colour, mm to cm.
        grain: Mottling of the pigment epithelium, tens of µm.
        fibres: Striation of the nerve fibre layer, sampled in polar coordinates around the disc.
        sheen: 0 to 1, reflectance of the nerve fibres (high in young eyes).
    """

    melanin: float
    tessellation: float
    clouds: tuple[Texture, Texture]
    grain: tuple[Texture, Texture]
    fibres: Texture
    sheen: float

    def cloud_map(self, camera: Camera) -> np.ndarray:
        """Low-frequency variation, float32 (size, size), standard deviation about 1."""
        wide, close = (texture.projected_to(camera) for texture in self.clouds)
        return np.asarray(0.75 * wide + 0.66 * close)

    def grain_map(self, camera: Camera) -> np.ndarray:
        """High-frequency variation, float32 (size, size), standard deviation about 1."""
        coarse, fine = (texture.projected_to(camera) for texture in self.grain)
        return 0.7 * coarse + 0.7 * fine

    def fibre_map(self, camera: Camera, disc: tuple[float, float]) -> np.ndarray:
        """Striation of the nerve fibre bundles, float32 (size, size) ≥ 0, strongest above and below the disc.

        Args:
            camera: View of the image.
            disc: Centre of the disc, (x, y) mm.
        """
        x, y = camera.grid()
        dx, dy = x - disc[0], y - disc[1]
        distance = np.hypot(dx, dy)
        # Bundles leave the disc radially and arch around the fovea: they follow lines of constant `bent`.
        bent = np.arctan2(dy, dx + 0.085 * np.minimum(distance, 8) ** 2)
        stripes = self.fibres.at(bent * 9.0, distance * 0.35)
        toward_poles = np.abs(np.sin(np.arctan2(dy, dx - 0.6))) ** 1.5
        fall = np.exp(-((np.maximum(distance - 1.2, 0) / 2.6) ** 2))
        return np.asarray(np.clip(0.55 + 0.45 * stripes, 0, 2.5) * toward_poles * fall, np.float32)


def draw_fundus_surface(melanin: float, age: float, tessellated: float, draw: np.random.Generator) -> FundusSurface:
    """Draw the fundus surface of one eye.

    Args:
        melanin: 0 to 1.
        age: Years.
        tessellated: 0 to 1, added to the tessellation (pathological myopia).
        draw: Random generator.
    """
    thin = np.clip(0.8 - 0.9 * melanin + 0.006 * (age - 50) + draw.normal(scale=0.18), 0, 1)
    return FundusSurface(
        melanin=melanin,
        tessellation=float(np.clip(0.62 * thin**1.6 + tessellated, 0, 1)),
        clouds=(
            Texture.draw("cloud", float(draw.uniform(26, 40)), draw),
            Texture.draw("cloud", float(draw.uniform(8, 14)), draw),
        ),
        grain=(
            Texture.draw("grain", float(draw.uniform(8, 14)), draw),
            Texture.draw("grain", float(draw.uniform(2.2, 4)), draw),
        ),
        fibres=Texture.draw("cloud", 6.0, draw, 6.0, math.pi / 2),
        sheen=float(np.clip(draw.uniform(0, 1) * (1.25 - age / 80), 0, 1)),
    )
